//! Hot keys: which keys take more than a hundredth of a partition's records, by a name that tells
//! nothing of the key.
//!
//! Off, it costs a look at a flag for each batch. On, keys are looked at while a batch is checked
//! anyway, all of them or some at random, a bounded number of a node in a second, shared out among its
//! partitions. What is shown of a key is the most that it may have had.

mod budget;
mod counters;
mod name;
mod place;
mod sampler;
mod shown;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
mod topic;
mod window;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use pharos_base::{Clock, PartitionId};
use pharos_metadata::image::{MetadataDelta, MetadataImage};
use pharos_metrics::catalog::native as rows;
use pharos_metrics::{Family, Gauge, Registered, Registry};
use pharos_replication::Replicas;

use self::budget::Budget;
use self::name::{KeyName, Namer};
pub use self::sampler::KeySampler;
use self::shown::Shown;
use self::topic::TopicKeys;

/// Every topic, in place of a name.
pub const EVERY_TOPIC: &str = "*";
/// How often [`HotKeys::tick`] is to be called.
pub const TICK: Duration = Duration::from_secs(1);
/// Topics whose keys are watched on a broker, the first that are written to: 64 KiB each at most.
pub const MAX_TOPICS: usize = 1000;
/// Time between two looks at which keys are hot.
const PUBLISH_EVERY: Duration = Duration::from_secs(5);
/// What is told together and leaves together.
const MINUTE: Duration = Duration::from_secs(60);

/// `pharos_hot_key_ratio` and `pharos_hot_key_error_ratio`.
#[derive(Debug)]
pub struct HotKeys {
    clock: Clock,
    replicas: Arc<Replicas>,
    ratio: Family,
    error: Family,
    on: AtomicBool,
    budget: Arc<Budget>,
    choice: RwLock<Choice>,
    topics: RwLock<HashMap<Arc<str>, Arc<TopicKeys>>>,
    series: Mutex<Series>,
}

/// Whose keys are watched, and the secret that names them.
#[derive(Debug, Default)]
struct Choice {
    topics: HashSet<String>,
    /// Never told.
    secret: Option<Secret>,
}

struct Secret {
    text: String,
    namer: Arc<Namer>,
}

#[derive(Debug, Default)]
struct Series {
    /// When the minute began, and when was looked last.
    minute: Duration,
    published: Duration,
    partitions: HashMap<(Arc<str>, i32), PartitionSeries>,
}

#[derive(Debug)]
struct PartitionSeries {
    error: Registered<Gauge>,
    keys: Vec<Shown<Registered<Gauge>>>,
}

impl HotKeys {
    /// Nothing is watched before [`Self::set`].
    pub fn new(registry: &Registry, replicas: Arc<Replicas>) -> Self {
        Self {
            clock: registry.clock().clone(),
            replicas,
            ratio: registry.family(&rows::PHAROS_HOT_KEY_RATIO),
            error: registry.family(&rows::PHAROS_HOT_KEY_ERROR_RATIO),
            on: AtomicBool::new(false),
            budget: Arc::default(),
            choice: RwLock::default(),
            topics: RwLock::default(),
            series: Mutex::default(),
        }
    }

    /// Watches these topics, [`EVERY_TOPIC`] among them for all; without a secret none. What is no
    /// longer watched, or has other names now, leaves at once.
    pub fn set(&self, topics: &[String], secret: Option<&str>) {
        let mut choice = self.choice.write();
        let same_secret = choice.secret.as_ref().map(|it| it.text.as_str()) == secret;
        if !same_secret {
            choice.secret = secret
                .map(|text| Secret { text: text.to_owned(), namer: Arc::new(Namer::new(text)) });
        }
        choice.topics = topics.iter().cloned().collect();
        let mut watched = self.topics.write();
        watched.retain(|name, _| same_secret && choice.has(name));
        self.on.store(choice.secret.is_some() && !topics.is_empty(), Ordering::Release);
        let kept: HashSet<Arc<str>> = watched.keys().cloned().collect();
        drop((watched, choice));
        self.series.lock().partitions.retain(|(topic, _), _| kept.contains(topic));
    }

    /// Whether topics are chosen and only the secret is missing.
    pub fn lacks_secret(&self) -> bool {
        let choice = self.choice.read();
        choice.secret.is_none() && !choice.topics.is_empty()
    }

    /// What a key of a topic is called; `None` without a secret.
    pub fn name(&self, topic: &str, key: &[u8]) -> Option<String> {
        let namer = self.choice.read().secret.as_ref()?.namer.clone();
        Some(name::shown(namer.name(topic, key)))
    }

    /// Who looks at batches of a topic; `None` when nobody does.
    pub fn topic(&self, topic: &str) -> Option<WatchedTopic> {
        if !self.on.load(Ordering::Acquire) {
            return None;
        }
        let known = self.topics.read().get(topic).cloned();
        Some(WatchedTopic(match known {
            Some(keys) => keys,
            None => self.begin(topic)?,
        }))
    }

    fn begin(&self, topic: &str) -> Option<Arc<TopicKeys>> {
        let choice = self.choice.read();
        let namer = choice.secret.as_ref().filter(|_| choice.has(topic))?.namer.clone();
        if self.topics.read().len() >= MAX_TOPICS {
            return None;
        }
        let mut topics = self.topics.write();
        let name: Arc<str> = topic.into();
        let (budget, seed) = (self.budget.clone(), rand::random());
        let make = || Arc::new(TopicKeys::new(name.clone(), namer, budget, seed));
        Some(topics.entry(name.clone()).or_insert_with(make).clone())
    }

    /// Follows a step of the metadata, which the replicas have followed: what is not led here leaves.
    pub fn follow(&self, image: &MetadataImage, delta: &MetadataDelta) {
        if self.topics.read().is_empty() {
            return;
        }
        for name in delta.topics_deleted.values() {
            self.forget_topic(name);
        }
        for (id, index) in &delta.partitions_changed {
            let Some(topic) = image.topic_by_id(*id) else { continue };
            if !self.leads(&topic.name, index.0) {
                self.forget(&topic.name, index.0);
            }
        }
    }

    /// Shares the looks of the next second out, and shows what is hot when it is time. To be called
    /// every [`TICK`].
    pub fn tick(&self) {
        let topics: Vec<_> = self.topics.read().values().cloned().collect();
        let mut expected = Vec::new();
        self.budget.tick();
        topics.iter().for_each(|topic| topic.tick(&mut expected));
        let share = self.budget.share(expected);
        topics.iter().for_each(|topic| topic.share(share));
        let now = self.clock.monotonic();
        let (minutes, publishes) = self.is_due(now);
        for _ in 0..minutes {
            self.turn(&topics);
        }
        if publishes {
            topics.iter().for_each(|topic| self.publish(topic, now));
            self.series.lock().published = now;
        }
    }

    /// Minutes that are over, as many as matter, and whether it is time to look.
    fn is_due(&self, now: Duration) -> (usize, bool) {
        let mut series = self.series.lock();
        let mut minutes = 0;
        while now.saturating_sub(series.minute) >= MINUTE {
            series.minute += MINUTE;
            minutes += 1;
            if minutes > window::CLOSED {
                series.minute = now;
            }
        }
        (minutes, now.saturating_sub(series.published) >= PUBLISH_EVERY)
    }

    fn turn(&self, topics: &[Arc<TopicKeys>]) {
        for topic in topics {
            for partition in topic.turn() {
                self.forget(topic.name(), partition);
            }
            if topic.partitions().is_empty() {
                self.topics.write().remove(topic.name());
            }
        }
    }

    fn publish(&self, topic: &TopicKeys, now: Duration) {
        for partition in topic.partitions() {
            // What went offline, or was deleted while a batch was on its way.
            if !self.leads(topic.name(), partition) {
                self.forget(topic.name(), partition);
                continue;
            }
            let mut series = self.series.lock();
            // Nobody holds the topics and waits for the series.
            if !self.topics.read().contains_key(topic.name()) {
                return;
            }
            let shown = series
                .partitions
                .entry((topic.name().clone(), partition))
                .or_insert_with(|| self.show(topic.name(), partition));
            let index = partition.to_string();
            let hot = topic.look(partition, window::Window::hot).unwrap_or_default();
            shown::settle(&mut shown.keys, &hot, now, |name| {
                self.ratio.gauge(&[topic.name(), &index, &name::shown(name)])
            });
            topic.look(partition, |window| shown.tell(window));
        }
    }

    fn show(&self, topic: &str, partition: i32) -> PartitionSeries {
        let error = self.error.gauge(&[topic, &partition.to_string()]);
        PartitionSeries { error, keys: Vec::new() }
    }

    fn leads(&self, topic: &str, partition: i32) -> bool {
        let found = self.replicas.find(topic, PartitionId(partition));
        found.is_ok_and(|partition| partition.role().leads)
    }

    fn forget(&self, topic: &Arc<str>, partition: i32) {
        if let Some(keys) = self.topics.read().get(topic) {
            keys.forget(partition);
        }
        self.series.lock().partitions.remove(&(topic.clone(), partition));
    }

    fn forget_topic(&self, topic: &Arc<str>) {
        self.topics.write().remove(topic);
        self.series.lock().partitions.retain(|(of, _), _| of != topic);
    }
}

/// Looks at batches of one topic.
#[derive(Clone, Debug)]
pub struct WatchedTopic(Arc<TopicKeys>);

impl WatchedTopic {
    /// Looks at one batch for a partition.
    pub fn sampler(&self, partition: i32) -> KeySampler<'_> {
        KeySampler::new(&self.0, partition)
    }
}

impl Choice {
    fn has(&self, topic: &str) -> bool {
        self.topics.contains(topic) || self.topics.contains(EVERY_TOPIC)
    }
}

impl PartitionSeries {
    /// Sets every figure to what the window has.
    #[expect(clippy::cast_precision_loss, reason = "samples are doubles")]
    fn tell(&self, window: &window::Window) {
        let records = window.records().max(1) as f64;
        let mut error = 0;
        for key in &self.keys {
            let estimate = window.estimate(key.name);
            key.series.set((estimate.count as f64 / records).min(1.0));
            error = error.max(estimate.error);
        }
        self.error.set(((error as f64 + window.noise()) / records).min(1.0));
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}
