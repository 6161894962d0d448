//! Batches on their way to the sinks while the next ones are polled.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::RunError;
use super::settle::Settler;
use crate::bindings::Batch;
use crate::observer::Step;
use crate::sink::SinkError;

/// While there is more to read, checkpoints are stored so often; always before a wait.
const SETTLE_EVERY: Duration = Duration::from_secs(1);

/// Leave for one batch to be under way.
pub(super) type Room = OwnedSemaphorePermit;

/// The batches of one source that are under way. They are delivered one by one and in order, and so are their
/// checkpoints stored. The first one that fails ends it, and those behind it with it.
pub(super) struct Deliveries {
    orders: mpsc::UnboundedSender<Order>,
    room: Arc<Semaphore>,
    in_flight: usize,
    delivered: Arc<Delivered>,
    task: Option<JoinHandle<(Settler, Result<(), RunError>)>>,
    /// What a task that ended has left.
    settler: Option<Settler>,
}

/// What arrived.
#[derive(Debug, Default)]
struct Delivered {
    events: AtomicU64,
    gaps: AtomicU64,
}

enum Order {
    Deliver(Box<Batch>, Room),
    /// A checkpoint that no event belongs to.
    Learn(String),
    Settle(oneshot::Sender<()>),
    Forget(oneshot::Sender<()>),
}

impl Deliveries {
    pub(super) fn begin(settler: Settler, in_flight: usize) -> Self {
        let (orders, _) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(0));
        let mut this = Self { orders, room, in_flight, delivered: Arc::default(), task: None, settler: None };
        this.start(settler);
        this
    }

    fn start(&mut self, settler: Settler) {
        let (orders, received) = mpsc::unbounded_channel();
        self.orders = orders;
        self.room = Arc::new(Semaphore::new(self.in_flight.max(1)));
        self.task = Some(tokio::spawn(work(settler, received, Arc::clone(&self.delivered))));
    }

    /// Events and gaps so far.
    pub(super) fn delivered(&self) -> (u64, u64) {
        (self.delivered.events.load(Ordering::Relaxed), self.delivered.gaps.load(Ordering::Relaxed))
    }

    /// Waits until one more batch may be under way.
    pub(super) fn room(&self) -> impl Future<Output = Result<Room, RunError>> + use<> {
        let room = Arc::clone(&self.room);
        async move { room.acquire_owned().await.map_err(|error| cut_short(&error)) }
    }

    /// Waits until a delivery has failed.
    pub(super) fn failed(&self) -> impl Future<Output = ()> + use<> {
        let orders = self.orders.clone();
        async move { orders.closed().await }
    }

    pub(super) fn deliver(&self, batch: Batch, room: Room) {
        self.order(Order::Deliver(Box::new(batch), room));
    }

    pub(super) fn learn(&self, checkpoint: String) {
        self.order(Order::Learn(checkpoint));
    }

    /// Waits until all batches were delivered and the last checkpoint is stored.
    pub(super) async fn settle(&mut self) -> Result<(), RunError> {
        let (settled, told) = oneshot::channel();
        self.order(Order::Settle(settled));
        if told.await.is_ok() { Ok(()) } else { Err(self.failure().await) }
    }

    /// Clears the state: a bounded range was read to its end.
    pub(super) async fn forget(&mut self) -> Result<(), RunError> {
        let (forgotten, told) = oneshot::channel();
        self.order(Order::Forget(forgotten));
        if told.await.is_ok() { Ok(()) } else { Err(self.failure().await) }
    }

    /// Why a delivery has failed.
    pub(super) async fn failure(&mut self) -> RunError {
        let Some(task) = self.task.take() else { return cut_short(&"it has failed before") };
        match task.await {
            Ok((settler, result)) => {
                self.settler = Some(settler);
                result.err().unwrap_or_else(|| cut_short(&"nothing more was asked for"))
            }
            Err(error) => cut_short(&error),
        }
    }

    /// After a failure: takes the sinks back to what is stored, and says where to read on from.
    pub(super) async fn go_back(&mut self) -> Result<Option<String>, RunError> {
        let Some(mut settler) = self.settler.take() else { return Err(cut_short(&"nothing is left of it")) };
        settler.resume().await?;
        let checkpoint = settler.checkpoint().cloned();
        self.start(settler);
        Ok(checkpoint)
    }

    /// Gives up what is under way.
    pub(super) fn abandon(&self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }

    fn order(&self, order: Order) {
        // Where nobody receives it, a delivery has failed, which `settle` and `failed` tell.
        let _failed = self.orders.send(order);
    }
}

impl Drop for Deliveries {
    fn drop(&mut self) {
        self.abandon();
    }
}

fn cut_short(reason: &dyn std::fmt::Display) -> RunError {
    RunError::Sink(SinkError::Failed {
        message: format!("the delivery was cut short: {reason}"),
        hint: "start it again".to_owned(),
    })
}

async fn work(
    mut settler: Settler,
    mut orders: mpsc::UnboundedReceiver<Order>,
    delivered: Arc<Delivered>,
) -> (Settler, Result<(), RunError>) {
    let result = obey(&mut settler, &mut orders, &delivered).await;
    (settler, result)
}

async fn obey(
    settler: &mut Settler,
    orders: &mut mpsc::UnboundedReceiver<Order>,
    delivered: &Delivered,
) -> Result<(), RunError> {
    let mut due = Instant::now() + SETTLE_EVERY;
    loop {
        let order = if settler.has_pending() { timeout_at(due, orders.recv()).await } else { Ok(orders.recv().await) };
        match order {
            Ok(None) => return Ok(()),
            Ok(Some(Order::Deliver(batch, room))) => {
                settler.deliver(&batch).await?;
                settler.tell(&Step::Delivered(&batch));
                delivered.events.fetch_add(batch.events.len() as u64, Ordering::Relaxed);
                delivered.gaps.fetch_add(batch.gaps.len() as u64, Ordering::Relaxed);
                settler.delivered(batch.checkpoint);
                drop(room);
            }
            Ok(Some(Order::Learn(checkpoint))) => settler.delivered(checkpoint),
            Ok(Some(Order::Settle(settled))) => {
                settler.settle().await?;
                // Who does not wait for it any more is stopping.
                let _stopping = settled.send(());
            }
            Ok(Some(Order::Forget(forgotten))) => {
                settler.forget().await?;
                let _stopping = forgotten.send(());
            }
            Err(_due) => {}
        }
        if Instant::now() >= due {
            settler.settle().await?;
            due = Instant::now() + SETTLE_EVERY;
        }
    }
}
