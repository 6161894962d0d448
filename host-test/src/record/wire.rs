//! What stands between a component and the network, and takes down what goes by.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use http_body_util::BodyExt as _;
use scenario::{Answer, ChunkSizes, Interaction, Times, Traffic};
use source_host::{HttpError, Timeouts, Transport, WasiBody};
use tokio::runtime::Handle;

use super::{RecordStep, Watcher, exchange, numbered};
use crate::drive::Link;
use crate::transport::{give, plain_request};

/// A transport that asks another one, on a runtime of its own where time is not paused, and gives the component what a
/// replay would.
pub(super) struct Wire {
    live: Arc<dyn Transport>,
    network: Handle,
    watcher: Watcher,
    poll: AtomicU32,
    /// In the order in which they were asked; `None` for what is under way.
    taken: Arc<Mutex<Vec<Option<Interaction>>>>,
}

impl Wire {
    pub(super) fn new(live: Arc<dyn Transport>, network: Handle, watcher: Watcher) -> Self {
        Self { live, network, watcher, poll: AtomicU32::new(0), taken: Arc::default() }
    }

    /// The number of the poll that begins.
    pub(super) fn polling(&self, number: u32) {
        self.poll.store(number, Ordering::Relaxed);
    }

    /// Everything that was answered.
    pub(super) fn traffic(&self) -> Traffic {
        numbered(self.taken().iter().flatten().cloned().collect())
    }

    /// Runs what takes real time. The paused clock stands still meanwhile: it does so for as long as a thread is busy.
    pub(super) async fn on_network<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        let network = self.network.clone();
        match tokio::task::spawn_blocking(move || network.block_on(work)).await {
            Ok(done) => done,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    // What a thread left behind that panicked half-way is still what was said.
    fn taken(&self) -> MutexGuard<'_, Vec<Option<Interaction>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Link for Wire {
    fn requests(&self) -> usize {
        self.taken().len()
    }
}

#[async_trait]
impl Transport for Wire {
    async fn send(
        &self,
        request: http::Request<WasiBody>,
        timeouts: Timeouts,
    ) -> Result<http::Response<WasiBody>, HttpError> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let recorded = exchange::request(&plain_request(&head, &body))?;
        let place = {
            let mut taken = self.taken();
            taken.push(None);
            taken.len() - 1
        };
        let why = format!("Request {} of the recording, in poll {}.", place + 1, self.poll.load(Ordering::Relaxed));
        let (live, taken, watcher) = (Arc::clone(&self.live), Arc::clone(&self.taken), Arc::clone(&self.watcher));
        // Taken down where it is known, also where the component does not wait for it.
        let answer = self.on_network(async move {
            let answer = exchange::answer(&*live, head, body, timeouts).await;
            let told = match &answer {
                Answer::Response(response) => Ok(response.status),
                Answer::Failure(failure) => Err(failure.kind.word()),
            };
            watcher(RecordStep::Answered(&recorded.origin, told));
            let interaction = Interaction {
                number: 0,
                line: 0,
                why,
                request: recorded,
                answer: answer.clone(),
                times: Times::Exactly(1),
                range: None,
            };
            let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
            taken[place] = Some(interaction);
            answer
        });
        give(&answer.await, &ChunkSizes::Whole).await
    }
}
