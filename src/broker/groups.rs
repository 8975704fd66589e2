//! Runs the group coordinator: the shards of `__consumer_offsets` that this broker leads, their
//! log, their deadlines and whoever waits for an answer.
//!
//! What groups decide is the coordinator's; this file loads logs, appends batches and keeps time.
//! A request takes effect before its caller reads the next one: the shard is locked, its records
//! are appended, and only answers that wait (joins, commits) are awaited afterwards.

use std::collections::HashMap;
use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use pharos_base::{Clock, Offset, PartitionId};
use pharos_coordinator::{
    Config, Context, Event, GroupMetrics, Now, Output, Record, Reply, Request, Response, Shard,
    Token, Topics, Write, partition_for,
};
use pharos_insight::{GroupSnapshot, Lag};
use pharos_metrics::Registry;
use pharos_protocol::ErrorCode;
use pharos_protocol::batch::{
    BatchBuilder, BatchOptions, ControlRecord, NewRecord, Origin, batches,
};
use pharos_protocol::compression::Codec;
use pharos_protocol::messages as m;
use pharos_protocol::messages::consumer_group_describe_response::DescribedGroup as ConsumerDescribedGroup;
use pharos_protocol::messages::delete_groups_response::DeletableGroupResult;
use pharos_protocol::messages::describe_groups_response::DescribedGroup;
use pharos_protocol::messages::offset_commit_request::OffsetCommitRequestTopic;
use pharos_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use pharos_protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;
use pharos_replication::{Partition, Purgatory, Replicas, Waited};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

use crate::beans::{EventSensors, ShardMetrics, ShardStage, Staged};
use crate::errors;
use crate::topic_metrics::{OneTopic, TopicMeter, TopicMetrics};
use crate::topics::OFFSETS_TOPIC;

/// Bytes of decompressed records of one batch that a load accepts.
const BATCH_BYTES: u64 = 1 << 30;

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

#[derive(Debug)]
struct Slot {
    partition: Arc<Partition>,
    codec: Codec,
    state: Mutex<State>,
    sensors: EventSensors,
    appends: Arc<OneTopic>,
    /// The next deadline may have moved.
    moved: Notify,
}

#[derive(Debug)]
struct State {
    shard: Shard,
    stage: Staged,
    waiting: HashMap<Token, oneshot::Sender<Reply>>,
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
                self.run(&slot, |shard, now| {
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

    /// Takes over the shards of the partitions that this broker leads now, and gives up the others.
    pub fn follow_leadership(self: &Arc<Self>) {
        let count = self.shared.read().partition_count;
        for index in 0..count {
            let led = self
                .replicas
                .find(OFFSETS_TOPIC, PartitionId(index))
                .ok()
                .filter(|partition| partition.role().leads);
            let known = self.slots.read().contains_key(&index);
            match (led, known) {
                (Some(partition), false) => self.take(index, partition),
                (None, true) => self.give_up(index),
                _ => {}
            }
        }
    }

    fn take(self: &Arc<Self>, index: i32, partition: Arc<Partition>) {
        let shared = self.shared.read().clone();
        let shard = Shard::new(shared.config, shared.topics, self.metrics.tally());
        let stage = self.shards.stage(ShardStage::Loading);
        let state = Mutex::new(State { shard, stage, waiting: HashMap::new() });
        let codec = self.options.codec;
        let sensors = self.shards.sensors().clone();
        let appends = self.topic_metrics.topic(OFFSETS_TOPIC);
        let slot =
            Arc::new(Slot { partition, codec, state, sensors, appends, moved: Notify::new() });
        self.slots.write().insert(index, slot.clone());
        let groups = self.clone();
        self.runtime.spawn(async move {
            let loading = slot.clone();
            let (clock, began) = (groups.clock.clone(), Instant::now());
            let bytes = groups.options.load_bytes;
            let loaded = tokio::task::spawn_blocking(move || load(&loading, &clock, bytes)).await;
            let error = match loaded {
                Ok(Ok(())) => {
                    slot.sensors.loaded(began.elapsed());
                    return groups.keep_time(slot).await;
                }
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
            slot.state.lock().stage.enter(ShardStage::Failed);
            tracing::error!(partition = %slot.partition.id(), %error, "groups cannot be loaded");
        });
    }

    fn give_up(&self, index: i32) {
        let Some(slot) = self.slots.write().remove(&index) else { return };
        let mut state = slot.state.lock();
        let output = state.shard.unload();
        state.answer(output.replies);
        state.waiting.clear();
        slot.moved.notify_one();
    }

    /// Does what is due in a shard, for as long as it is here.
    async fn keep_time(self: Arc<Self>, slot: Arc<Slot>) {
        loop {
            let due = slot.state.lock().shard.next_deadline();
            let wait = due.map(|due| due.saturating_sub(Now::of(&self.clock).monotonic_ms));
            match wait {
                Some(wait) if wait <= 0 => {
                    self.run(&slot, |shard, now| shard.on_deadline(now));
                    continue;
                }
                Some(wait) => {
                    let wait = Duration::from_millis(wait.unsigned_abs());
                    let _ = tokio::time::timeout(wait, slot.moved.notified()).await;
                }
                None => slot.moved.notified().await,
            }
            let index = slot.partition.id().partition.0;
            let here = self.slots.read().get(&index).is_some_and(|at| Arc::ptr_eq(at, &slot));
            if !here {
                return;
            }
        }
    }

    /// Lets an event take effect: records are appended before this returns.
    fn run(&self, slot: &Slot, event: impl FnOnce(&mut Shard, Now) -> Output) {
        let arrived = Instant::now();
        let mut state = slot.state.lock();
        let began = Instant::now();
        state.run(slot, Now::of(&self.clock), event);
        drop(state);
        slot.sensors.event(arrived, began);
        slot.moved.notify_one();
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
        let begun = self.begin(&slot, context, request.clone());
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
        let (sender, receiver) = oneshot::channel();
        let arrived = Instant::now();
        let mut state = slot.state.lock();
        let began = Instant::now();
        if !state.stage.is_active() {
            return Err(ErrorCode::CoordinatorLoadInProgress);
        }
        state.waiting.insert(token, sender);
        let event = Event::Request { token, context, request };
        state.run(slot, Now::of(&self.clock), |shard, now| shard.handle(now, event));
        drop(state);
        slot.sensors.event(arrived, began);
        slot.moved.notify_one();
        Ok(receiver)
    }

    async fn answer(
        &self,
        slot: &Slot,
        request: &Request,
        receiver: oneshot::Receiver<Reply>,
    ) -> Response {
        let Ok(reply) = receiver.await else {
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
        let waited = wait.run(self.options.commit_limit).await;
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

impl State {
    fn run(&mut self, slot: &Slot, now: Now, event: impl FnOnce(&mut Shard, Now) -> Output) {
        self.shard.committed_up_to(slot.partition.high_watermark().0);
        let mut output = event(&mut self.shard, now);
        loop {
            self.answer(output.replies);
            let Some(write) = output.write else { break };
            let began = Instant::now();
            let appended = append(slot, &write, now.wall_ms);
            slot.sensors.flushed(began.elapsed());
            output = match appended {
                Ok(base) => {
                    let output = self.shard.appended(now, write, base);
                    self.shard.committed_up_to(slot.partition.high_watermark().0);
                    output
                }
                Err(error) => self.shard.failed(now, write, error),
            };
        }
    }

    fn answer(&mut self, replies: Vec<Reply>) {
        for reply in replies {
            if let Some(waiting) = self.waiting.remove(&reply.token) {
                // Whoever waited may have closed the connection; the effect stands.
                let _ = waiting.send(reply);
            }
        }
    }
}

/// Appends the records as one batch and returns the offset of the first.
fn append(slot: &Slot, write: &Write, timestamp: i64) -> Result<i64, ErrorCode> {
    let mut builder =
        BatchBuilder::new(BatchOptions { codec: slot.codec, ..BatchOptions::default() });
    for record in &write.records {
        let (key, value) = record.encode().map_err(|error| {
            tracing::error!(%error, "a record of a group cannot be written");
            ErrorCode::UnknownServerError
        })?;
        let record =
            NewRecord { timestamp, key: Some(&key), value: value.as_deref(), headers: &[] };
        builder.push(&record).map_err(|_| ErrorCode::RecordListTooLarge)?;
    }
    let batch = builder.build().map_err(|_| ErrorCode::RecordListTooLarge)?;
    slot.appends.mark(TopicMeter::TotalProduceRequests, 1);
    match slot.partition.append(&batch, Origin::Coordinator, true) {
        Ok(appended) => {
            slot.appends.mark(TopicMeter::BytesIn, appended.info.bytes);
            slot.appends.mark(TopicMeter::MessagesIn, appended.info.record_count);
            Ok(appended.info.first_offset.0)
        }
        Err(error) => Err(errors::of_partition(&error).code),
    }
}

/// Why a shard cannot be loaded.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error(transparent)]
    Partition(#[from] pharos_replication::PartitionError),
    #[error("cannot read the log: {0}")]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Batch(#[from] pharos_protocol::batch::BatchError),
    #[error("the record at offset {offset} cannot be read: {source}")]
    Record { offset: i64, source: pharos_coordinator::RecordError },
}

/// Replays the whole log into the shard, `read_bytes` at a time.
fn load(slot: &Slot, clock: &Clock, read_bytes: usize) -> Result<(), LoadError> {
    let log = slot.partition.log();
    let end = log.log_end_offset();
    let mut next = log.log_start_offset();
    let mut state = slot.state.lock();
    state.shard.committed_up_to(slot.partition.high_watermark().0);
    while next < end {
        let slice = log
            .read(next, read_bytes, end, true)
            .map_err(pharos_replication::PartitionError::from)?;
        if slice.is_empty() {
            break;
        }
        let bytes = slice.read_to_bytes()?;
        for batch in batches(&bytes) {
            let batch = batch?;
            replay(&mut state.shard, &batch)?;
            next = Offset(batch.header().next_offset());
        }
    }
    state.shard.loaded(Now::of(clock));
    state.stage.enter(ShardStage::Active);
    Ok(())
}

fn replay(
    shard: &mut Shard,
    batch: &pharos_protocol::batch::RecordBatch<'_>,
) -> Result<(), LoadError> {
    let header = *batch.header();
    let open = batch.open(BATCH_BYTES)?;
    let producer = header.is_transactional().then_some(header.producer_id);
    for record in open.records() {
        let record = record?;
        let offset = record.offset;
        if header.is_control() {
            let commits = match ControlRecord::read(record.key, record.value) {
                Ok(ControlRecord::Commit { .. }) => true,
                Ok(ControlRecord::Abort { .. }) => false,
                _ => continue,
            };
            shard.replay_end_transaction(offset, header.producer_id, commits);
            continue;
        }
        match Record::decode(record.key, record.value) {
            Ok(Some(decoded)) => shard.replay(offset, producer, decoded),
            // A kind of record that a later version wrote.
            Ok(None) => {
                tracing::warn!(offset, "a record of groups of an unknown kind is passed over")
            }
            Err(source) => return Err(LoadError::Record { offset, source }),
        }
    }
    Ok(())
}

fn is_consumer_protocol(request: &Request) -> bool {
    matches!(request, Request::ConsumerGroupHeartbeat(_) | Request::ConsumerGroupDescribe(_))
}

/// The answer to a request whose shard is not here.
fn refused(request: &Request, error: ErrorCode) -> Response {
    let answer = match request {
        Request::JoinGroup(request) => Response::JoinGroup(m::JoinGroupResponse {
            member_id: request.member_id.clone(),
            ..Default::default()
        }),
        Request::SyncGroup(_) => Response::SyncGroup(Default::default()),
        Request::Heartbeat(_) => Response::Heartbeat(Default::default()),
        Request::LeaveGroup(_) => Response::LeaveGroup(Default::default()),
        Request::OffsetCommit(request) => Response::OffsetCommit(m::OffsetCommitResponse {
            topics: request.topics.iter().map(uncommitted).collect(),
            ..Default::default()
        }),
        Request::OffsetFetch { group, .. } => Response::OffsetFetch(OffsetFetchResponseGroup {
            group_id: group.group_id.clone(),
            ..Default::default()
        }),
        Request::OffsetDelete(_) => Response::OffsetDelete(Default::default()),
        Request::ConsumerGroupHeartbeat(_) => Response::ConsumerGroupHeartbeat(Default::default()),
        Request::DescribeGroup(group) => Response::DescribeGroup(DescribedGroup {
            group_id: group.clone(),
            ..Default::default()
        }),
        Request::ConsumerGroupDescribe(group) => {
            Response::ConsumerGroupDescribe(ConsumerDescribedGroup {
                group_id: group.clone(),
                ..Default::default()
            })
        }
        Request::ListGroups { .. } => Response::ListGroups(Vec::new()),
        Request::DeleteGroup(group) => Response::DeleteGroup(DeletableGroupResult {
            group_id: group.clone(),
            ..Default::default()
        }),
    };
    answer.failed(error)
}

fn uncommitted(topic: &OffsetCommitRequestTopic) -> OffsetCommitResponseTopic {
    let partitions = topic.partitions.iter().map(|partition| OffsetCommitResponsePartition {
        partition_index: partition.partition_index,
        ..Default::default()
    });
    OffsetCommitResponseTopic {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: partitions.collect(),
    }
}
