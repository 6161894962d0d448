//! One wasmtime engine for all components of a process.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView as _};
use wasmtime_wasi::p2::bindings as wasi;

use crate::cache::Cache;
use crate::component::{Component, Precompiled};
use crate::instance::State;
use crate::outgoing;
use crate::population::Population;

/// How long a component computes before others get their turn.
const TICK: Duration = Duration::from_millis(10);

/// Compiles components, and links them to what they may import: `wasi:http`, `wasi:io` and `wasi:clocks`, and nothing
/// else. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    engine: wasmtime::Engine,
    linker: Linker<State>,
    ticker: Ticker,
    population: Arc<Population>,
}

/// Why a file is no component of this contract.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error("cannot read the component {}: {error}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It is no component.
    #[error("{name} is no WebAssembly component: {reason}")]
    NotAComponent {
        /// Which one.
        name: String,
        /// What it is instead, or what is wrong with it.
        reason: String,
    },
    /// It does not export the contract.
    #[error("{name} does not export pipeline:source/source@0.1.0{}", listed(" but ", exports))]
    OtherWorld {
        /// Which one.
        name: String,
        /// What it exports.
        exports: Vec<String>,
    },
    /// It asks for more than a source gets.
    #[error("{name} imports what no source is given{}", listed(": ", imports))]
    Imports {
        /// Which one.
        name: String,
        /// The imports outside `wasi:http`, `wasi:io` and `wasi:clocks`.
        imports: Vec<String>,
    },
    /// Its imports or exports have the right names and other types.
    #[error("{name} was built for another version of the contract: {reason}")]
    Mismatch {
        /// Which one.
        name: String,
        /// Where they part.
        reason: String,
    },
}

fn listed(prefix: &str, names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("{prefix}{}", names.join(", ")) }
}

impl LoadError {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "name the file with `component` in the configuration or `--component`",
            Self::NotAComponent { .. } => {
                "a core module becomes a component with `componentize CORE.wasm COMPONENT.wasm` or `wasm-tools component new`"
            }
            Self::OtherWorld { .. } => "build it against the world `source-plugin` of the package in wit/",
            Self::Imports { .. } => {
                "a source may import wasi:http, wasi:io and wasi:clocks; build for wasm32-unknown-unknown, which adds no others"
            }
            Self::Mismatch { .. } => {
                "rebuild the component against the package in wit/, or use the host that it was built for"
            }
        }
    }
}

impl Engine {
    /// An engine with a ticker thread, which runs only while a component computes or waits.
    ///
    /// # Errors
    ///
    /// The machine cannot run WebAssembly, or has no thread left.
    pub fn new() -> wasmtime::Result<Self> {
        Self::with_config(wasmtime::Config::new())
    }

    /// The same with settings of wasmtime's own, such as where memories come from. What this library depends on is set
    /// whatever they say.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), or settings that do not go together.
    pub fn with_config(mut config: wasmtime::Config) -> wasmtime::Result<Self> {
        config.wasm_component_model(true).epoch_interruption(true);
        let engine = wasmtime::Engine::new(&config)?;
        let linker = link(&engine)?;
        let ticker = Ticker::start(engine.clone())?;
        let population = Population::of_this_machine();
        Ok(Self { inner: Arc::new(Inner { engine, linker, ticker, population }) })
    }

    /// Reads, checks and compiles a component; about a second of computing for each megabyte.
    ///
    /// # Errors
    ///
    /// The file is missing, is no component, or is one of another world.
    pub fn load(&self, path: &Path) -> Result<Component, LoadError> {
        let bytes = std::fs::read(path).map_err(|error| LoadError::Unreadable { path: path.to_owned(), error })?;
        self.load_bytes(&path.display().to_string(), &bytes)
    }

    /// As [`load`](Self::load), but takes compiled code from a folder, and leaves it there where it had to compile. The
    /// folder is made where there is none, with the mode 0700; one that others than this user may use is not trusted, and
    /// nothing is taken from it. A cache that is of no use costs the compiling and is no error.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn load_cached(&self, path: &Path, folder: &Path) -> Result<Component, LoadError> {
        let bytes = std::fs::read(path).map_err(|error| LoadError::Unreadable { path: path.to_owned(), error })?;
        let name = path.display().to_string();
        let Some(cache) = Cache::open(folder) else { return self.load_bytes(&name, &bytes) };
        let file = cache.file(self.wasmtime(), &bytes);
        if let Some(component) = Component::cached(self, &name, &file) {
            return component;
        }
        let component = self.load_bytes(&name, &bytes)?;
        match component.precompile() {
            Ok(code) => cache.keep(&file, code.bytes()),
            Err(error) => tracing::debug!("the compiled code is not kept: {error:#}"),
        }
        Ok(component)
    }

    /// As [`load`](Self::load), of bytes that are at hand; `name` is what errors call them.
    ///
    /// # Errors
    ///
    /// They are no component, or one of another world.
    pub fn load_bytes(&self, name: &str, bytes: &[u8]) -> Result<Component, LoadError> {
        Component::compile(self, name, bytes)
    }

    /// Takes a component that was compiled before, without compiling it again.
    ///
    /// # Errors
    ///
    /// It was compiled by another version of wasmtime or with other settings.
    pub fn load_precompiled(&self, name: &str, precompiled: &Precompiled) -> Result<Component, LoadError> {
        Component::deserialize(self, name, precompiled)
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.inner.engine
    }

    pub(crate) fn linker(&self) -> &Linker<State> {
        &self.inner.linker
    }

    /// All instances of its components.
    pub(crate) fn population(&self) -> &Arc<Population> {
        &self.inner.population
    }

    /// Keeps the ticker running while it lives.
    pub(crate) fn running(&self) -> Running<'_> {
        self.inner.ticker.running()
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

/// The imports of a source and no others: what is missing here cannot be reached.
fn link(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<State>> {
    struct Io;
    impl HasData for Io {
        type Data<'a> = &'a mut ResourceTable;
    }

    let mut linker = Linker::new(engine);
    wasi::io::error::add_to_linker::<State, Io>(&mut linker, State::table)?;
    wasi::io::poll::add_to_linker::<State, Io>(&mut linker, State::table)?;
    wasi::io::streams::add_to_linker::<State, Io>(&mut linker, State::table)?;
    wasi::clocks::monotonic_clock::add_to_linker::<State, WasiClocks>(&mut linker, State::clocks)?;
    wasi::clocks::wall_clock::add_to_linker::<State, WasiClocks>(&mut linker, State::clocks)?;
    outgoing::link(&mut linker)?;
    Ok(linker)
}

/// A thread that interrupts computing components now and then, parked while none is called.
struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
    handle: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    calls: AtomicUsize,
    stopped: AtomicBool,
}

impl Ticker {
    fn start(engine: wasmtime::Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let seen = Arc::clone(&shared);
        let handle = std::thread::Builder::new().name("epoch-ticker".to_owned()).spawn(move || {
            while !seen.stopped.load(Ordering::Acquire) {
                if seen.calls.load(Ordering::Acquire) == 0 {
                    std::thread::park();
                } else {
                    std::thread::sleep(TICK);
                    engine.increment_epoch();
                }
            }
        })?;
        Ok(Self { shared, thread: handle.thread().clone(), handle: Some(handle) })
    }

    fn running(&self) -> Running<'_> {
        if self.shared.calls.fetch_add(1, Ordering::AcqRel) == 0 {
            self.thread.unpark();
        }
        Running(self)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        self.thread.unpark();
        if let Some(handle) = self.handle.take()
            && handle.join().is_err()
        {
            tracing::error!("the ticker thread had panicked");
        }
    }
}

/// While this lives, the ticker ticks.
pub(crate) struct Running<'a>(&'a Ticker);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.shared.calls.fetch_sub(1, Ordering::AcqRel);
    }
}
