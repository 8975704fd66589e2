//! Spans on their way out: a queue with a limit, and the task that sends them in batches. Whoever
//! ends a span never waits; what does not fit, or what the collector does not take, is counted.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc as blocking;
use std::time::Duration;

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use crate::collector::Told;

/// Longest wait of a flush that says nothing else.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// How spans leave.
#[derive(Clone, Copy, Debug)]
pub struct Batching {
    /// Spans that wait at most; those beyond are dropped.
    pub queue_spans: usize,
    /// Spans of one request at most.
    pub batch_spans: usize,
    /// How long a span waits for others to leave with.
    pub delay: Duration,
    /// Time for one request.
    pub timeout: Duration,
}

/// What became of spans that ended.
#[derive(Debug, Default)]
pub struct SpanCounts {
    exported: AtomicU64,
    queue_full: AtomicU64,
    failed: AtomicU64,
    rejected: AtomicU64,
}

impl SpanCounts {
    /// Taken by the collector.
    pub fn exported(&self) -> u64 {
        self.exported.load(Relaxed)
    }

    /// Dropped since as many waited as may.
    pub fn queue_full(&self) -> u64 {
        self.queue_full.load(Relaxed)
    }

    /// Lost with requests that failed.
    pub fn failed(&self) -> u64 {
        self.failed.load(Relaxed)
    }

    /// Taken in by the collector and thrown away.
    pub fn rejected(&self) -> u64 {
        self.rejected.load(Relaxed)
    }
}

/// What the task is told besides spans; it answers by using or dropping the sender.
enum Order {
    Flush(blocking::SyncSender<()>),
    Stop(blocking::SyncSender<()>),
}

/// The end that spans are put in. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Queue {
    spans: mpsc::Sender<SpanData>,
    orders: mpsc::Sender<Order>,
    counts: Arc<SpanCounts>,
}

impl Queue {
    /// Starts to send on `runtime`, by `exporter`; `told` says what the exporter keeps to itself.
    pub(crate) fn start<E: SpanExporter + 'static>(
        exporter: E,
        told: impl Fn() -> Told + Send + Sync + 'static,
        batching: Batching,
        runtime: &Handle,
    ) -> Self {
        let (spans, ended) = mpsc::channel(batching.queue_spans.max(1));
        let (orders, given) = mpsc::channel(1);
        let counts = Arc::<SpanCounts>::default();
        let sending =
            Sending { exporter, told, batching, counts: counts.clone(), is_failing: false };
        runtime.spawn(sending.run(ended, given));
        Self { spans, orders, counts }
    }

    pub(crate) fn counts(&self) -> &Arc<SpanCounts> {
        &self.counts
    }

    /// Takes a span that has ended, or drops and counts it.
    pub(crate) fn put(&self, span: SpanData) {
        if self.spans.try_send(span).is_err() {
            self.counts.queue_full.fetch_add(1, Relaxed);
        }
    }

    /// Gives an order and waits, blocking, until it is carried out.
    fn order(
        &self,
        order: fn(blocking::SyncSender<()>) -> Order,
        limit: Duration,
    ) -> OTelSdkResult {
        let (sender, done) = blocking::sync_channel(1);
        self.orders.try_send(order(sender)).map_err(|_| OTelSdkError::AlreadyShutdown)?;
        done.recv_timeout(limit).map_err(|_| OTelSdkError::Timeout(limit))
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queue")
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _span: &mut Span, _context: &opentelemetry::Context) {}

    fn on_end(&self, span: SpanData) {
        self.put(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.order(Order::Flush, FLUSH_LIMIT)
    }

    fn shutdown_with_timeout(&self, limit: Duration) -> OTelSdkResult {
        self.order(Order::Stop, limit)
    }
}

/// The task that sends.
struct Sending<E, F> {
    exporter: E,
    told: F,
    batching: Batching,
    counts: Arc<SpanCounts>,
    /// Whether the last batch was lost: only the first of an outage is logged.
    is_failing: bool,
}

impl<E: SpanExporter, F: Fn() -> Told> Sending<E, F> {
    async fn run(mut self, mut spans: mpsc::Receiver<SpanData>, mut orders: mpsc::Receiver<Order>) {
        let most = self.batching.batch_spans.max(1);
        let mut batch = Vec::new();
        let mut leaves = Instant::now();
        loop {
            let was_empty = batch.is_empty();
            let room = most - batch.len();
            tokio::select! {
                biased;
                order = orders.recv() => {
                    if !matches!(order, Some(Order::Flush(_))) {
                        spans.close();
                    }
                    loop {
                        while batch.len() < most && let Ok(span) = spans.try_recv() {
                            batch.push(span);
                        }
                        if batch.is_empty() {
                            break;
                        }
                        self.send(&mut batch).await;
                    }
                    // Whoever ordered may have stopped waiting.
                    match order {
                        Some(Order::Flush(done)) => {
                            let _ = done.try_send(());
                        }
                        Some(Order::Stop(done)) => {
                            let _ = done.try_send(());
                            return;
                        }
                        None => return,
                    }
                }
                () = sleep_until(leaves), if !was_empty => self.send(&mut batch).await,
                count = spans.recv_many(&mut batch, room) => {
                    if count == 0 {
                        return;
                    }
                    if was_empty {
                        leaves = Instant::now() + self.batching.delay;
                    }
                    if batch.len() >= most {
                        self.send(&mut batch).await;
                    }
                }
            }
        }
    }

    async fn send(&mut self, batch: &mut Vec<SpanData>) {
        let spans = std::mem::take(batch);
        let count = spans.len() as u64;
        let limit = self.batching.timeout;
        let sent = timeout(limit, self.exporter.export(spans)).await;
        let told = (self.told)();
        let error = match sent {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(told.error.unwrap_or_else(|| error.to_string())),
            Err(_) => Some(format!("there was no answer within {} ms", limit.as_millis())),
        };
        match error {
            Some(error) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::warn!(%error, "spans are not exported and get lost");
                }
                self.counts.failed.fetch_add(count, Relaxed);
            }
            None => {
                let rejected = told.rejected.min(count);
                self.counts.rejected.fetch_add(rejected, Relaxed);
                self.counts.exported.fetch_add(count - rejected, Relaxed);
                if std::mem::replace(&mut self.is_failing, false) {
                    tracing::info!("spans are exported again");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status};
    use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};
    use tokio::sync::Semaphore;

    use super::*;

    /// Takes batches as permits allow, and says how large they were; a batch of 1 fails.
    #[derive(Debug)]
    struct Gate {
        permits: Arc<Semaphore>,
        sizes: mpsc::UnboundedSender<usize>,
    }

    impl SpanExporter for Gate {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.permits.acquire().await.unwrap().forget();
            let _ = self.sizes.send(batch.len());
            match batch.len() {
                1 => Err(OTelSdkError::InternalFailure("one alone".to_owned())),
                _ => Ok(()),
            }
        }
    }

    fn span() -> SpanData {
        let now = std::time::SystemTime::UNIX_EPOCH;
        SpanData {
            span_context: SpanContext::empty_context(),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: "span".into(),
            start_time: now,
            end_time: now,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: opentelemetry::InstrumentationScope::default(),
        }
    }

    /// A queue of 3 spans in batches of 2, what it sends, and the permits.
    fn queue(permits: usize) -> (Queue, mpsc::UnboundedReceiver<usize>, Arc<Semaphore>) {
        let (sizes, sent) = mpsc::unbounded_channel();
        let permits = Arc::new(Semaphore::new(permits));
        let batching = Batching {
            queue_spans: 3,
            batch_spans: 2,
            delay: Duration::from_secs(5),
            timeout: Duration::from_secs(60),
        };
        let gate = Gate { permits: permits.clone(), sizes };
        (Queue::start(gate, Told::default, batching, &Handle::current()), sent, permits)
    }

    #[tokio::test(start_paused = true)]
    async fn spans_leave_when_they_are_enough_or_have_waited() {
        let (queue, mut sent, _permits) = queue(10);
        for _ in 0..2 {
            queue.put(span());
        }
        assert_eq!(sent.recv().await, Some(2));
        let began = Instant::now();
        queue.put(span());
        assert_eq!(sent.recv().await, Some(1));
        assert_eq!(began.elapsed().as_secs(), 5);
        tokio::task::yield_now().await;
        assert_eq!((queue.counts().exported(), queue.counts().failed()), (2, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_fit_is_dropped_and_counted() {
        let (queue, mut sent, permits) = queue(0);
        for _ in 0..2 {
            queue.put(span());
        }
        // They are under way, and the collector does not answer.
        tokio::task::yield_now().await;
        for _ in 0..8 {
            queue.put(span());
        }
        assert_eq!(queue.counts().queue_full(), 5);
        permits.add_permits(3);
        for size in [2, 2, 1] {
            assert_eq!(sent.recv().await, Some(size));
        }
        tokio::task::yield_now().await;
        assert_eq!((queue.counts().exported(), queue.counts().failed()), (4, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_collector_that_does_not_answer_in_time_has_lost_them() {
        let (queue, _sent, permits) = queue(0);
        queue.put(span());
        tokio::time::sleep(Duration::from_secs(66)).await;
        assert_eq!(queue.counts().failed(), 1);
        drop(permits);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn an_order_sends_what_waits() {
        let (queue, mut sent, _permits) = queue(10);
        for _ in 0..3 {
            queue.put(span());
        }
        let flushed = queue.clone();
        tokio::task::spawn_blocking(move || flushed.force_flush().unwrap()).await.unwrap();
        let sizes = [sent.try_recv().unwrap(), sent.try_recv().unwrap()];
        assert_eq!(sizes.iter().sum::<usize>(), 3);
        let stopped = queue.clone();
        let limit = Duration::from_secs(60);
        tokio::task::spawn_blocking(move || stopped.shutdown_with_timeout(limit).unwrap())
            .await
            .unwrap();
        queue.put(span());
        assert_eq!(queue.counts().queue_full(), 1);
    }
}
