//! Waits that are waited.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::watch;

use super::wire::Wire;
use super::{RecordStep, Watcher};
use crate::drive::Pace;

/// The clock of the run lags behind the machine's by what was computed, so that the waits make up for it.
pub(super) struct Really {
    wire: Arc<Wire>,
    stop: watch::Receiver<bool>,
    watcher: Watcher,
    began: Instant,
    /// The beginning on the clock of the run.
    origin: tokio::time::Instant,
}

impl Really {
    /// Make it where time is paused.
    pub(super) fn new(wire: Arc<Wire>, stop: watch::Receiver<bool>, watcher: Watcher) -> Self {
        Self { wire, stop, watcher, began: Instant::now(), origin: tokio::time::Instant::now() }
    }
}

#[async_trait]
impl Pace for Really {
    fn polling(&self, number: u32) {
        self.wire.polling(number);
        (self.watcher)(RecordStep::Polling(number));
    }

    async fn wait(&self, length: Duration) -> bool {
        let due = self.began + self.origin.elapsed() + length;
        let left = due.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            (self.watcher)(RecordStep::Waiting(left));
        }
        let mut stop = self.stop.clone();
        let stopped = self.wire.on_network(async move {
            let asked = async {
                // Where whoever could stop it is gone, nobody does.
                if stop.wait_for(|stop| *stop).await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                biased;
                () = asked => true,
                () = tokio::time::sleep(left) => false,
            }
        });
        if stopped.await {
            return false;
        }
        tokio::time::sleep(length).await;
        true
    }
}
