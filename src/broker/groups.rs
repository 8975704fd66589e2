//! Runs the group coordinator: the shards of `__consumer_offsets` that this broker leads, and
//! whoever waits for an answer.
//!
//! What groups decide is the coordinator's. A request takes effect before its caller reads the next
//! one: the shard is locked, its records are appended (`slot`), and only answers that wait (joins,
//! commits) are awaited afterwards. Shards come and go with leadership (`leadership`, `load`).

mod leadership;
mod load;
mod refusal;
mod slot;
pub mod topics;

use std::collections::HashMap;
use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use pharos_base::{Clock, Offset, PartitionId};
use pharos_coordinator::{
    Config, Context, Event, GroupMetrics, Reply, Request, Response, Shard, Token, Topics,
    partition_for,
};
use pharos_insight::{GroupSnapshot, Lag};
use pharos_metrics::Registry;
use pharos_protocol::ErrorCode;
use pharos_protocol::compression::Codec;
use pharos_replication::{Purgatory, Replicas, Waited};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tracing::{Instrument as _, Span};

use self::refusal::refused;
use self::slot::Slot;
use crate::beans::ShardMetrics;
use crate::topic_metrics::TopicMetrics;

/// Bytes of a group's name that a span shows.
const MAX_TRACED_GROUP: usize = 200;

/// What a coordinator is told at start; the names in comments are broker keys.
#[derive(Clone, Copy, Debug)]
pub struct GroupsOptions {
    /// `offsets.commit.timeout.ms`
    pub commit_limit: Duration,
    /// `offsets.load.buffer.size`: bytes of a log that are read at once while a shard loads.
    pub load_bytes: usize,
    /// `offsets.topic.compression.codec`
    pub codec: Codec,
    /// Whether `group.coordinator.rebalance.protocols` has `consumer`.
    pub consumer_protocol: bool,
}

/// The group coordinator of a broker.
#[derive(Debug)]
pub struct Groups {
    clock: Clock,
    runtime: Handle,
    replicas: Arc<Replicas>,
    commits: Purgatory,
    options: GroupsOptions,
    slots: RwLock<HashMap<i32, Arc<Slot>>>,
    shared: RwLock<Shared>,
    metrics: GroupMetrics,
    topic_metrics: Arc<TopicMetrics>,
    lag: Arc<Lag>,
    shards: ShardMetrics,
    next_token: AtomicU64,
}

/// Where the coordinator shows what it does.
#[derive(Debug)]
pub struct Shown<'a> {
    /// Its beans.
    pub registry: &'a Registry,
    /// What it appends counts as produced.
    pub topic_metrics: Arc<TopicMetrics>,
    /// Learns which groups have moved.
    pub lag: Arc<Lag>,
}

/// What every shard is given.
#[derive(Clone, Debug)]
struct Shared {
    config: Arc<Config>,
    topics: Arc<Topics>,
    /// Partitions of `__consumer_offsets`; 0 while there is none.
    partition_count: i32,
}

impl Groups {
    /// A coordinator without shards, with its beans.
    pub fn new(
        shown: Shown<'_>,
        clock: Clock,
        runtime: Handle,
        replicas: Arc<Replicas>,
        config: Config,
        options: GroupsOptions,
    ) -> Arc<Self> {
        let Shown { registry, topic_metrics, lag } = shown;
        let metrics = GroupMetrics::new(registry);
        Arc::new(Self {
            clock,
            runtime,
            replicas,
            commits: Purgatory::default(),
            options,
            slots: RwLock::default(),
            shared: RwLock::new(Shared {
                config: Arc::new(config),
                topics: Arc::new(Topics::default()),
                partition_count: 0,
            }),
            shards: ShardMetrics::new(registry, &metrics),
            metrics,
            topic_metrics,
            lag,
            next_token: AtomicU64::new(0),
        })
    }

    /// The beans of the shards.
    pub fn shard_metrics(&self) -> &ShardMetrics {
        &self.shards
    }

    /// Partition of `__consumer_offsets` that a group belongs to; `None` while there is no such
    /// topic.
    pub fn partition_of(&self, group: &str) -> Option<PartitionId> {
        let count = self.shared.read().partition_count;
        (count > 0).then(|| PartitionId(partition_for(group, count)))
    }

    /// Whether every shard of this broker has been loaded.
    pub fn is_loaded(&self) -> bool {
        self.slots.read().values().all(|slot| slot.state.lock().stage.is_active())
    }

    /// Other topics from now on; `deleted` lost their offsets.
    pub fn set_topics(&self, topics: Arc<Topics>, partition_count: i32, deleted: &[Arc<str>]) {
        {
            let mut shared = self.shared.write();
            shared.topics = topics.clone();
            shared.partition_count = partition_count;
        }
        for slot in self.all() {
            slot.state.lock().shard.set_topics(topics.clone());
            if !deleted.is_empty() {
                slot.run(&self.clock, |shard, now| {
                    shard.handle(now, Event::TopicsDeleted(deleted.to_vec()))
                });
            }
        }
    }

    /// Other settings from now on.
    pub fn set_config(&self, config: Config) {
        let config = Arc::new(config);
        self.shared.write().config = config.clone();
        for slot in self.all() {
            slot.state.lock().shard.set_config(config.clone());
        }
    }

    fn all(&self) -> Vec<Arc<Slot>> {
        self.slots.read().values().cloned().collect()
    }

    fn slot_of(&self, group: &str) -> Result<Arc<Slot>, ErrorCode> {
        let index = self.partition_of(group).ok_or(ErrorCode::NotCoordinator)?;
        self.slots.read().get(&index.0).cloned().ok_or(ErrorCode::NotCoordinator)
    }

    /// Lets a request about `group` take effect. The future is the answer; it waits for nothing
    /// but other members and the log's commit. A group that is not here, or still loading, answers
    /// with the error that says so.
    pub fn request(
        self: &Arc<Self>,
        group: &str,
        context: Context,
        request: Request,
    ) -> Pin<Box<dyn Future<Output = Response> + Send>> {
        let version = context.api_version;
        if !self.options.consumer_protocol && is_consumer_protocol(&request) {
            return Box::pin(ready(refused(&request, ErrorCode::UnsupportedVersion).fit(version)));
        }
        let slot = match self.slot_of(group) {
            Ok(slot) => slot,
            Err(error) => return Box::pin(ready(refused(&request, error).fit(version))),
        };
        let name = group.get(..group.floor_char_boundary(MAX_TRACED_GROUP)).unwrap_or(group);
        let begun = tracing::debug_span!("group.event", messaging.consumer.group.name = name)
            .in_scope(|| self.begin(&slot, context, request.clone()));
        self.lag.touch(group);
        match begun {
            Ok(receiver) => {
                let groups = self.clone();
                Box::pin(async move { groups.answer(&slot, &request, receiver).await.fit(version) })
            }
            Err(error) => Box::pin(ready(refused(&request, error).fit(version))),
        }
    }

    fn begin(
        &self,
        slot: &Slot,
        context: Context,
        request: Request,
    ) -> Result<oneshot::Receiver<Reply>, ErrorCode> {
        let token = Token(self.next_token.fetch_add(1, Ordering::Relaxed));
        slot.begin(&self.clock, token, context, request)
    }

    async fn answer(
        &self,
        slot: &Slot,
        request: &Request,
        receiver: oneshot::Receiver<Reply>,
    ) -> Response {
        let span = match request {
            Request::JoinGroup(_) | Request::SyncGroup(_) => {
                tracing::debug_span!("group.rebalance")
            }
            _ => Span::none(),
        };
        let Ok(reply) = receiver.instrument(span).await else {
            // The shard moved away between the event and its answer.
            return refused(request, ErrorCode::NotCoordinator);
        };
        let Some(after) = reply.after else { return reply.response };
        let partition = &slot.partition;
        let began = Instant::now();
        if partition.high_watermark() > Offset(after) {
            slot.sensors.committed(began.elapsed());
            return reply.response;
        }
        let wait = self.commits.begin(1);
        partition.produces.watch(&wait, after + 1);
        partition.produces.reached(partition.high_watermark().0);
        let span = tracing::debug_span!("group.commit", log = %partition.id());
        let waited = wait.run(self.options.commit_limit).instrument(span).await;
        slot.sensors.committed(began.elapsed());
        match waited {
            Waited::Completed if partition.high_watermark() > Offset(after) => reply.response,
            Waited::Completed => reply.response.failed(ErrorCode::NotCoordinator),
            Waited::TimedOut => reply.response.failed(ErrorCode::CoordinatorNotAvailable),
        }
    }

    /// Lets a request take effect on every shard that is loaded, and collects the answers. The
    /// error tells that some shard is still loading.
    pub async fn request_all(
        self: &Arc<Self>,
        context: &Context,
        request: &Request,
    ) -> (Vec<Response>, ErrorCode) {
        let mut answers = Vec::new();
        let mut error = ErrorCode::None;
        for slot in self.all() {
            match self.begin(&slot, context.clone(), request.clone()) {
                Ok(receiver) => answers.push(self.answer(&slot, request, receiver).await),
                Err(loading) => error = loading,
            }
        }
        (answers, error)
    }

    /// The group `id` with its committed offsets, if it is here.
    pub fn snapshot(&self, id: &str) -> Option<GroupSnapshot> {
        let slot = self.slot_of(id).ok()?;
        let state = slot.state.lock();
        state.stage.is_active().then(|| GroupSnapshot::of(&state.shard, id)).flatten()
    }

    /// Looks at every loaded shard, for what is shown of groups.
    pub fn look(&self, mut at: impl FnMut(&Shard)) {
        for slot in self.all() {
            let state = slot.state.lock();
            if state.stage.is_active() {
                at(&state.shard);
            }
        }
    }
}

fn is_consumer_protocol(request: &Request) -> bool {
    matches!(request, Request::ConsumerGroupHeartbeat(_) | Request::ConsumerGroupDescribe(_))
}
