//! One isolated instance of a component.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use wasmtime::Store;
use wasmtime::component::{ResourceTable, ResourceTableError};
use wasmtime_wasi::clocks::{WasiClocksCtxView, WasiClocksView};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::bindings::{AccessPlan, Batch, Budget, Description, Diagnostic, Failure, Position, SourceHost};
use crate::clock::{Clock, GuestClock};
use crate::component::Component;
use crate::engine::Engine;
use crate::hooks::Hooks;
use crate::limits::{Limiter, Limits};
use crate::policy::{Denial, Policy};
use crate::population::Living;
use crate::secrets::Vault;
use crate::transport::Transport;

/// Requests that a probe may make; a poll's number is in its budget.
const PROBE_REQUESTS: u32 = 16;

/// What the host keeps beside an instance's memory.
pub(crate) struct State {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Hooks,
    limiter: Limiter,
}

impl State {
    pub(crate) fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }
}

impl WasiClocksView for State {
    fn clocks(&mut self) -> WasiClocksCtxView<'_> {
        WasiClocksCtxView { ctx: self.wasi.clocks(), table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.hooks, table: &mut self.table, ctx: &mut self.http }
    }
}

/// Why a call came to no answer. The instance is gone; the checkpoint is the truth, and a fresh instance reads on.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CallError {
    /// It did what WebAssembly forbids, or gave up.
    #[error("the component trapped in `{call}`: {reason}")]
    Trapped {
        /// Which function.
        call: &'static str,
        /// What it did.
        reason: String,
    },
    /// It wanted more memory than it gets.
    #[error("the component wanted more than its {} MiB of memory in `{call}`", limit >> 20)]
    Memory {
        /// Which function.
        call: &'static str,
        /// The limit in bytes.
        limit: usize,
    },
    /// It computed for too long.
    #[error("the component computed for more than {limit:?} in `{call}`")]
    Cpu {
        /// Which function.
        call: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// It took too long, waiting included.
    #[error("the component did not return from `{call}` within {limit:?}")]
    Deadline {
        /// Which function.
        call: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// It handed over more at once than it may.
    #[error("the component handed over more than {limit} bytes at once in `{call}`")]
    Copied {
        /// Which function.
        call: &'static str,
        /// The limit in bytes.
        limit: usize,
    },
    /// It held more streams, requests and timers than it may.
    #[error("the component held more than {limit} handles in `{call}`")]
    Handles {
        /// Which function.
        call: &'static str,
        /// The limit.
        limit: usize,
    },
    /// Its functions have other types than the contract's.
    #[error("the component was built for another version of the contract: {reason}")]
    Contract {
        /// Where they part.
        reason: String,
    },
    /// This machine has no memory left for it.
    #[error("this machine gives no memory for an instance: {reason}")]
    Exhausted {
        /// What the system says.
        reason: String,
    },
    /// It was used after one of the above, or after a call that was dropped half-way.
    #[error("the instance is dead")]
    Dead,
}

impl CallError {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Trapped { .. } => {
                "that is a bug in the component: report it with the line above; reading goes on from the stored checkpoint"
            }
            Self::Memory { .. } => "raise `memory_bytes` under [host], or lower `max_bytes`",
            Self::Cpu { .. } => "raise `cpu_time` under [host] if the component is meant to compute that much",
            Self::Deadline { .. } => "raise `call_timeout` under [host], or lower `max_duration`",
            Self::Handles { .. } => {
                "it does not let go of what it has done with: that is a bug in the component, report it"
            }
            Self::Copied { .. } => "the component does not keep to its budget: report it",
            Self::Contract { .. } => {
                "rebuild the component against the package in wit/, or use the host that it was built for"
            }
            // What a memory begins with is kept in a file without a name.
            Self::Exhausted { reason } if *reason == io::Error::from(Errno::FBIG).to_string() => {
                "raise the limit of file sizes (`ulimit -f`, `LimitFSIZE=` of a systemd unit): an instance's memory counts as a file"
            }
            Self::Exhausted { .. } => {
                "give the host more memory, run fewer sources in it, or raise its limits: `ulimit -v`, and `sysctl vm.max_map_count`"
            }
            Self::Dead => "make a fresh instance",
        }
    }
}

/// One isolated instance of a component. Disposable: after a [`CallError`] every further call is [`CallError::Dead`].
pub struct Instance {
    component: Component,
    store: Store<State>,
    exports: SourceHost,
    limits: Limits,
    alive: bool,
    _living: Living,
}

impl Instance {
    /// Instantiates a component, about 50 µs.
    ///
    /// # Errors
    ///
    /// Its start trapped or did not fit the limits.
    pub async fn new(
        component: &Component,
        policy: Arc<Policy>,
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        limits: &Limits,
    ) -> Result<Self, CallError> {
        Self::with_secrets(component, policy, None, transport, clock, limits).await
    }

    /// One whose configuration holds placeholders.
    pub(crate) async fn with_secrets(
        component: &Component,
        policy: Arc<Policy>,
        vault: Option<Arc<Vault>>,
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        limits: &Limits,
    ) -> Result<Self, CallError> {
        let living = component.engine().population().born();
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        let mut http = WasiHttpCtx::new();
        // The measure is of the map in memory, which is about twice what is on the wire.
        http.set_field_size_limit(limits.header_bytes.saturating_mul(2));
        let wasi =
            WasiCtxBuilder::new().wall_clock(GuestClock(Arc::clone(&clock))).monotonic_clock(GuestClock(clock)).build();
        let hooks = Hooks::new(policy, vault, transport, limits);
        let limiter = Limiter::new(limits.memory_bytes);
        let mut store = Store::new(component.engine().wasmtime(), State { table, wasi, http, hooks, limiter });
        store.limiter(|state| &mut state.limiter);
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        store.set_hostcall_fuel(limits.copied_bytes);
        store.set_max_component_handles(limits.handles);

        let made = bounded(component.engine(), limits, component.pre().instantiate_async(&mut store)).await;
        let exports = settle(made, "instantiate", limits, &store)?;
        let (component, limits) = (component.clone(), limits.clone());
        Ok(Self { component, store, exports, limits, alive: true, _living: living })
    }

    /// What the component says of itself.
    ///
    /// # Errors
    ///
    /// The instance is gone.
    pub async fn describe(&mut self) -> Result<Description, CallError> {
        self.begin(0)?;
        let made = bounded(
            self.component.engine(),
            &self.limits,
            self.exports.pipeline_source_source().call_describe(&mut self.store),
        )
        .await;
        self.end(made, "describe")
    }

    /// What a configuration means, or everything that is wrong with it.
    ///
    /// # Errors
    ///
    /// The instance is gone.
    pub async fn plan(&mut self, config: &str) -> Result<Result<AccessPlan, Vec<Diagnostic>>, CallError> {
        self.begin(0)?;
        let made = bounded(
            self.component.engine(),
            &self.limits,
            self.exports.pipeline_source_source().call_plan(&mut self.store, config),
        )
        .await;
        self.end(made, "plan")
    }

    /// Proves credentials and permission with the smallest real calls.
    ///
    /// # Errors
    ///
    /// The instance is gone.
    pub async fn probe(&mut self, config: &str) -> Result<Result<Vec<Diagnostic>, Failure>, CallError> {
        self.begin(PROBE_REQUESTS)?;
        let made = bounded(
            self.component.engine(),
            &self.limits,
            self.exports.pipeline_source_source().call_probe(&mut self.store, config),
        )
        .await;
        self.end(made, "probe")
    }

    /// Reads on from a position, within a budget.
    ///
    /// # Errors
    ///
    /// The instance is gone.
    pub async fn poll(
        &mut self,
        config: &str,
        at: &Position,
        budget: &Budget,
    ) -> Result<Result<Batch, Failure>, CallError> {
        self.begin(budget.max_requests)?;
        self.store.set_hostcall_fuel(copied_bytes(&self.limits, budget));
        let source = self.exports.pipeline_source_source();
        let made =
            bounded(self.component.engine(), &self.limits, source.call_poll(&mut self.store, config, at, *budget))
                .await;
        self.end(made, "poll")
    }

    /// How many requests the last call made, refused ones included.
    #[must_use]
    pub fn requests(&self) -> u32 {
        self.store.data().hooks.requests()
    }

    /// Why requests of the last call were refused.
    #[must_use]
    pub fn denials(&self) -> Vec<Denial> {
        self.store.data().hooks.denials()
    }

    /// Why a secret of a request of the last call was not there.
    pub(crate) fn missing_secret(&self) -> Option<Denial> {
        self.store.data().hooks.missing_secret()
    }

    /// What the last request of the last call was answered with, where it was.
    pub(crate) fn status(&self) -> Option<u16> {
        self.store.data().hooks.status()
    }

    /// Its linear memory, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.store.data().limiter.used
    }

    /// Whether it can still be called.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.alive
    }

    fn begin(&mut self, requests: u32) -> Result<(), CallError> {
        if !self.alive {
            return Err(CallError::Dead);
        }
        // A call that is dropped half-way leaves it so.
        self.alive = false;
        self.store.data().hooks.begin(requests);
        Ok(())
    }

    fn end<T>(&mut self, made: Bounded<T>, call: &'static str) -> Result<T, CallError> {
        let value = settle(made, call, &self.limits, &self.store)?;
        self.alive = true;
        Ok(value)
    }
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance")
            .field("component", &self.component)
            .field("alive", &self.alive)
            .finish_non_exhaustive()
    }
}

/// A batch is its bodies, and for each event its other texts and what its records take in memory.
fn copied_bytes(limits: &Limits, budget: &Budget) -> usize {
    let events = (budget.max_events as usize).saturating_mul(4 << 10);
    let bodies = usize::try_from(budget.max_bytes).unwrap_or(usize::MAX);
    limits.copied_bytes.saturating_add(events).saturating_add(bodies)
}

enum Bounded<T> {
    Done(wasmtime::Result<T>),
    Deadline,
    Cpu,
}

/// Runs a call within its deadline and its share of the processor.
///
/// Only the time inside `poll` is computing. A component that never waits is interrupted by the epoch all the same, so
/// both limits hold for it, under a clock that stands still as well.
async fn bounded<T>(engine: &Engine, limits: &Limits, call: impl Future<Output = wasmtime::Result<T>>) -> Bounded<T> {
    let _running = engine.running();
    let mut call = pin!(call);
    let mut busy = Duration::ZERO;
    let metered = poll_fn(|cx| {
        let since = Instant::now();
        let polled = call.as_mut().poll(cx);
        busy += since.elapsed();
        match polled {
            Poll::Ready(result) => Poll::Ready(Bounded::Done(result)),
            Poll::Pending if busy > limits.cpu => Poll::Ready(Bounded::Cpu),
            Poll::Pending => Poll::Pending,
        }
    });
    tokio::time::timeout(limits.call, metered).await.unwrap_or(Bounded::Deadline)
}

fn settle<T>(made: Bounded<T>, call: &'static str, limits: &Limits, store: &Store<State>) -> Result<T, CallError> {
    match made {
        Bounded::Done(Ok(value)) => Ok(value),
        Bounded::Done(Err(error)) => {
            tracing::debug!(call, "the component failed: {error:?}");
            if store.data().limiter.exceeded {
                return Err(CallError::Memory { call, limit: limits.memory_bytes });
            }
            let reason = error.root_cause().to_string();
            if reason.contains("hostcall") && reason.contains("fuel") {
                return Err(CallError::Copied { call, limit: store.hostcall_fuel() });
            }
            if reason == ResourceTableError::Full.to_string() || reason.contains("handle limit exceeded") {
                return Err(CallError::Handles { call, limit: limits.handles });
            }
            if error.root_cause().is::<Errno>() || error.root_cause().is::<io::Error>() {
                return Err(CallError::Exhausted { reason });
            }
            // What fails here without having run is the comparison of types, which waits for an instance.
            if call == "instantiate" && !error.is::<wasmtime::Trap>() {
                return Err(CallError::Contract { reason });
            }
            Err(CallError::Trapped { call, reason })
        }
        Bounded::Deadline => Err(CallError::Deadline { call, limit: limits.call }),
        Bounded::Cpu => Err(CallError::Cpu { call, limit: limits.cpu }),
    }
}
