//! The image on its way to those who live by it: the current one for readers, and each step from
//! one to the next for subscribers, in order.
//!
//! Steps that come faster than subscribers take them are merged, so that nothing piles up.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;
use pharos_base::Offset;
use tokio::sync::{Notify, watch};
use tracing::Instrument as _;

use crate::image::{MetadataDelta, MetadataImage};
use crate::metrics::LoaderMetrics;
use crate::quorum::Commit;

/// Is told of a step: the image before, the image after, and what differs. It may block on a disk;
/// the next step waits for it.
pub type Subscriber =
    Box<dyn Fn(&Arc<MetadataImage>, &Arc<MetadataImage>, &MetadataDelta) + Send + Sync>;

/// Publishes images; clones share one.
#[derive(Clone)]
pub struct ImagePublisher(Arc<Inner>);

struct Inner {
    current: ArcSwap<MetadataImage>,
    published: watch::Sender<Offset>,
    pending: Mutex<Option<Commit>>,
    wake: Notify,
    subscribers: Mutex<Vec<Subscriber>>,
    metrics: OnceLock<LoaderMetrics>,
}

impl Default for ImagePublisher {
    fn default() -> Self {
        Self::new()
    }
}

impl ImagePublisher {
    /// A publisher that stands at the empty image.
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            current: ArcSwap::default(),
            published: watch::Sender::new(Offset(-1)),
            pending: Mutex::new(None),
            wake: Notify::new(),
            subscribers: Mutex::new(Vec::new()),
            metrics: OnceLock::new(),
        }))
    }

    /// The newest image that every subscriber has dealt with.
    pub fn current(&self) -> Arc<MetadataImage> {
        self.0.current.load_full()
    }

    /// The same without counting a reference, for short looks.
    pub fn load(&self) -> Guard<Arc<MetadataImage>> {
        self.0.current.load()
    }

    /// Adds a subscriber. Its first step leads from the empty image to the current one, if that is
    /// not empty itself.
    pub fn subscribe(&self, subscriber: Subscriber) {
        let mut subscribers = self.0.subscribers.lock();
        let current = self.current();
        if current.last_offset().0 >= 0 {
            let empty = Arc::new(MetadataImage::empty());
            subscriber(&empty, &current, &MetadataDelta::between(&empty, &current));
        }
        subscribers.push(subscriber);
    }

    /// Waits until the image contains the record at `offset`.
    pub async fn wait_for(&self, offset: Offset) {
        let mut published = self.0.published.subscribe();
        let span = tracing::debug_span!("metadata.apply", offset = offset.0);
        // The sender lives as long as `self`, so this cannot fail.
        let _ = published.wait_for(|at| *at >= offset).instrument(span).await;
    }

    /// Follows the offset of the current image.
    pub fn offsets(&self) -> watch::Receiver<Offset> {
        self.0.published.subscribe()
    }

    /// Measures what is published from now on; the first that is given stays.
    pub(crate) fn measure(&self, metrics: LoaderMetrics) {
        let _first_stays = self.0.metrics.set(metrics);
    }

    /// Hands over a committed step; returns at once.
    pub(crate) fn offer(&self, commit: Commit) {
        let mut pending = self.0.pending.lock();
        match &mut *pending {
            Some(waiting) => {
                waiting.image = commit.image;
                waiting.delta.merge(commit.delta);
                waiting.from_snapshot |= commit.from_snapshot;
            }
            none => *none = Some(commit),
        }
        drop(pending);
        self.0.wake.notify_one();
    }

    /// Publishes what is handed over, for ever.
    pub(crate) async fn run(self) {
        loop {
            self.0.wake.notified().await;
            let Some(commit) = self.0.pending.lock().take() else {
                continue;
            };
            let publisher = self.clone();
            let done = tokio::task::spawn_blocking(move || publisher.publish(commit)).await;
            if let Err(error) = done {
                tracing::error!("a metadata image was not published: {error}");
            }
        }
    }

    /// Subscribers first: once readers see a topic, its logs are there. A step is told once, so
    /// one that panics takes it from no other.
    pub(crate) fn publish(&self, commit: Commit) {
        let started = Instant::now();
        let subscribers = self.0.subscribers.lock();
        let before = self.current();
        if !commit.delta.is_empty() {
            for subscriber in &*subscribers {
                let tell = || subscriber(&before, &commit.image, &commit.delta);
                if catch_unwind(AssertUnwindSafe(tell)).is_err() {
                    tracing::error!("a subscriber of the metadata image panicked");
                    if let Some(metrics) = self.0.metrics.get() {
                        metrics.apply_failed();
                    }
                }
            }
        }
        let offset = commit.image.last_offset();
        self.0.current.store(commit.image);
        drop(subscribers);
        if let Some(metrics) = self.0.metrics.get() {
            metrics.published(&commit.delta, started.elapsed());
            if commit.from_snapshot {
                metrics.snapshot_loaded();
            }
            if commit.delta.features_changed {
                metrics.follow(&self.load(), self);
            }
        }
        self.0.published.send_replace(offset);
    }
}

#[cfg(test)]
mod tests {
    use pharos_base::{Clock, LeaderEpoch, TopicId};
    use pharos_metrics::{Registry, Value};

    use super::*;
    use crate::image::Provenance;
    use crate::image::tests::topic_record;

    fn step(before: &MetadataImage, offset: i64, name: &str) -> Commit {
        let mut image = before.clone();
        let mut delta = MetadataDelta::default();
        image.apply(&topic_record(name, TopicId::random()), &mut delta).unwrap();
        image.set_provenance(Provenance {
            last_offset: Offset(offset),
            last_epoch: LeaderEpoch(1),
            last_timestamp_ms: 0,
        });
        Commit { image: Arc::new(image), delta, from_snapshot: false }
    }

    #[test]
    fn a_subscriber_that_panics_takes_the_step_from_no_other() {
        let registry = Registry::new(Clock::real());
        let publisher = ImagePublisher::new();
        publisher.measure(LoaderMetrics::new(&registry, &publisher, || 1));
        let seen = Arc::new(Mutex::new(Vec::new()));
        publisher.subscribe(Box::new(|_, _, _| panic!("as a test")));
        let others = seen.clone();
        publisher.subscribe(Box::new(move |_, after, _| others.lock().push(after.topic_count())));
        publisher.publish(step(&publisher.current(), 0, "a"));
        publisher.publish(step(&publisher.current(), 1, "b"));
        assert_eq!(*seen.lock(), [1, 2]);
        assert_eq!(publisher.current().topic_count(), 2);
        let bean = "kafka.server:type=broker-metadata-metrics";
        let failures = registry.read(bean, "metadata-apply-error-count").unwrap();
        assert_eq!(failures, Value::Long(2));
    }

    #[test]
    fn subscribers_see_every_step_once_and_in_order() {
        let publisher = ImagePublisher::new();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let note = |seen: &Arc<Mutex<Vec<_>>>| -> Subscriber {
            let seen = seen.clone();
            Box::new(move |before, after, delta| {
                let topics = delta.topics_created.len();
                seen.lock().push((before.last_offset().0, after.last_offset().0, topics));
            })
        };
        publisher.subscribe(note(&seen));
        let first = step(&publisher.current(), 0, "a");
        let second = step(&first.image, 1, "b");
        let third = step(&second.image, 2, "c");
        publisher.publish(first);
        // Two steps that come before the task wakes are one.
        publisher.offer(second);
        publisher.offer(third);
        let merged = publisher.0.pending.lock().take().unwrap();
        publisher.publish(merged);
        assert_eq!(*seen.lock(), [(-1, 0, 1), (0, 2, 2)]);
        let late = Arc::default();
        publisher.subscribe(note(&late));
        assert_eq!(*late.lock(), [(-1, 2, 3)]);
        assert_eq!(publisher.current().topic_count(), 3);
    }
}
