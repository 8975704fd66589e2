//! The thin executor under the accumulator: drains it, sends Produce requests, reports outcomes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use pharos_base::{BrokerId, TopicId, TopicPartition};
use pharos_protocol::batch::{BatchBuilder, BatchOptions, NewRecord};
use pharos_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use pharos_protocol::messages::produce_response::PartitionProduceResponse;
use pharos_protocol::messages::{InitProducerIdRequest, ProduceRequest, ProduceResponse};
use pharos_protocol::{ErrorCode, Records};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::accumulator::{Accumulator, Batch, Identity, Outcome, Waiting};
use super::config::ProducerConfig;
use super::turn::{Turn, Turns};
use crate::cluster::{Cluster, Target};
use crate::error::{ClientError, Result, error_code};
use crate::metadata::Metadata;
use crate::wire::{self, millis};

/// First version of Produce that names topics by id instead of name.
const TOPIC_IDS_FROM: i16 = 13;

type Batches = Vec<(TopicPartition, Batch)>;

pub(super) struct Sender {
    cluster: Cluster,
    config: Arc<ProducerConfig>,
    state: Mutex<State>,
    wake: Notify,
    emptied: Notify,
    refreshing: AtomicBool,
}

struct State {
    accumulator: Accumulator,
    in_flight: HashMap<BrokerId, usize>,
    turns: Turns,
    closed: bool,
}

impl Sender {
    pub fn new(cluster: Cluster, config: Arc<ProducerConfig>, accumulator: Accumulator) -> Self {
        let (in_flight, turns) = (HashMap::new(), Turns::default());
        let state = State { accumulator, in_flight, turns, closed: false };
        Self {
            cluster,
            config,
            state: Mutex::new(state),
            wake: Notify::new(),
            emptied: Notify::new(),
            refreshing: AtomicBool::new(false),
        }
    }

    pub fn append(&self, to: &TopicPartition, waiting: Waiting) -> Result<()> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(ClientError::Closed);
        }
        let ready = state.accumulator.append(to, waiting, Instant::now());
        drop(state);
        if ready {
            self.wake.notify_one();
        }
        Ok(())
    }

    pub async fn flush(&self) {
        loop {
            let emptied = self.emptied.notified();
            {
                let mut state = self.state.lock();
                if state.closed || state.accumulator.is_empty() {
                    state.accumulator.set_flushing(false);
                    return;
                }
                state.accumulator.set_flushing(true);
            }
            self.wake.notify_one();
            emptied.await;
        }
    }

    pub fn abort(&self, error: &ClientError) {
        let mut state = self.state.lock();
        state.closed = true;
        state.accumulator.abort(error);
        drop(state);
        self.emptied.notify_waiters();
    }

    /// Runs until the task is aborted.
    pub async fn run(self: Arc<Self>) {
        let mut identified = !self.config.idempotence;
        loop {
            let woken = self.wake.notified();
            let pause = self.step(&mut identified).await;
            match pause {
                Some(deadline) => {
                    // A time-out is a wake-up like any other.
                    let _ = tokio::time::timeout_at(deadline, woken).await;
                }
                None => woken.await,
            }
        }
    }

    /// Sends what may leave; returns when to look again without an event.
    async fn step(self: &Arc<Self>, identified: &mut bool) -> Option<Instant> {
        if !*identified && !self.state.lock().accumulator.is_empty() {
            match self.identify().await {
                Ok(()) => *identified = true,
                Err(error) if error.is_retriable() => {
                    self.state.lock().accumulator.expire(Instant::now());
                    self.announce_if_empty();
                    return Some(Instant::now() + self.config.client.retry.after(1));
                }
                Err(error) => self.abort(&error),
            }
        }
        let now = Instant::now();
        let metadata = self.cluster.metadata();
        let (drained, deadline) = {
            let mut guard = self.state.lock();
            let State { accumulator, in_flight, .. } = &mut *guard;
            accumulator.expire(now);
            let limit = self.config.max_in_flight;
            let drained = accumulator.drain(
                now,
                self.config.idempotence,
                |partition| metadata.leader(partition),
                |broker| in_flight.get(&broker).is_none_or(|count| *count < limit),
            );
            for broker in drained.requests.keys() {
                *in_flight.entry(*broker).or_default() += 1;
            }
            (drained, accumulator.next_deadline())
        };
        self.announce_if_empty();
        let sent = !drained.requests.is_empty();
        for (broker, batches) in drained.requests {
            let turn = self.state.lock().turns.next(broker);
            tokio::spawn(self.clone().deliver(broker, batches, turn));
        }
        if drained.leaderless {
            self.refresh();
        }
        if sent {
            return Some(now);
        }
        // What is overdue waits for a leader or for an answer. Either wakes this task: to look again
        // at once would only keep a processor busy.
        let soonest = now + self.config.client.retry.after(1);
        deadline.map(|deadline| if deadline <= now { soonest } else { deadline })
    }

    async fn identify(&self) -> Result<()> {
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: i32::MAX,
            ..Default::default()
        };
        let response = self.cluster.call(Target::Any, &request).await?;
        ClientError::check(response.error_code, None)?;
        let identity =
            Identity { producer_id: response.producer_id, epoch: response.producer_epoch };
        self.state.lock().accumulator.set_identity(identity);
        Ok(())
    }

    /// Sends one request and reports each of its batches.
    async fn deliver(self: Arc<Self>, broker: BrokerId, mut batches: Batches, turn: Turn) {
        // The answer is read with the ids that the request was written with.
        let metadata = self.cluster.metadata();
        let answer = match encode_all(&mut batches, &self.config) {
            Ok(()) => self.produce(broker, &batches, &metadata, turn).await,
            Err(error) => Err(error),
        };
        let now = Instant::now();
        let mut stale = false;
        {
            let mut state = self.state.lock();
            for (partition, batch) in batches {
                let outcome = match &answer {
                    Ok(Some(response)) => outcome_of(response, &partition, &metadata),
                    Ok(None) => Outcome::Stored { base_offset: -1, append_time_ms: -1 },
                    Err(error) => Outcome::Failed(error.clone()),
                };
                stale |= state.accumulator.complete(&partition, batch, outcome, now);
            }
            if let Some(count) = state.in_flight.get_mut(&broker) {
                *count = count.saturating_sub(1);
            }
        }
        self.announce_if_empty();
        if stale {
            self.refresh();
        }
        self.wake.notify_one();
    }

    async fn produce(
        &self,
        broker: BrokerId,
        batches: &Batches,
        metadata: &Metadata,
        mut turn: Turn,
    ) -> Result<Option<ProduceResponse>> {
        let connection = self.cluster.connection(Target::Broker(broker)).await?;
        let known = batches.iter().all(|(partition, _)| topic_id(metadata, partition).is_some());
        let cap = if known { i16::MAX } else { TOPIC_IDS_FROM - 1 };
        let version = wire::version_of::<ProduceRequest>(&connection, cap)?;
        let by_id = version >= TOPIC_IDS_FROM;
        let request = self.request(batches, metadata, by_id);
        turn.come().await;
        let queued = move || drop(turn);
        let config = &self.config.client;
        if self.config.acks == 0 {
            wire::send_silent(&connection, config, &request, version, queued).await?;
            return Ok(None);
        }
        wire::call_then(&connection, config, &request, version, queued).await.map(Some)
    }

    fn request(&self, batches: &Batches, metadata: &Metadata, by_id: bool) -> ProduceRequest {
        let mut topics: Vec<TopicProduceData> = Vec::new();
        for (partition, batch) in batches {
            let records = batch.encoded.clone().map(Records::Bytes);
            let data = PartitionProduceData { index: partition.partition.0, records };
            let id = topic_id(metadata, partition).filter(|_| by_id).unwrap_or(TopicId::ZERO);
            let name = if by_id { String::new() } else { partition.topic.to_string() };
            match topics.iter_mut().find(|topic| topic.name == name && topic.topic_id == id) {
                Some(topic) => topic.partition_data.push(data),
                None => {
                    topics.push(TopicProduceData { name, topic_id: id, partition_data: vec![data] })
                }
            }
        }
        ProduceRequest {
            transactional_id: None,
            acks: self.config.acks,
            timeout_ms: i32::try_from(millis(self.config.client.request_timeout))
                .unwrap_or(i32::MAX),
            topic_data: topics,
        }
    }

    /// Asks for metadata in the background, one at a time.
    fn refresh(self: &Arc<Self>) {
        if self.refreshing.swap(true, Ordering::AcqRel) {
            return;
        }
        let sender = self.clone();
        tokio::spawn(async move {
            let topics = sender.state.lock().accumulator.topics();
            if let Err(error) = sender.cluster.refresh(Some(&topics), false).await {
                tracing::debug!("metadata could not be refreshed: {error}");
            }
            sender.refreshing.store(false, Ordering::Release);
            sender.wake.notify_one();
        });
    }

    fn announce_if_empty(&self) {
        if self.state.lock().accumulator.is_empty() {
            self.emptied.notify_waiters();
        }
    }
}

fn topic_id(metadata: &Metadata, partition: &TopicPartition) -> Option<TopicId> {
    let id = metadata.topics.get(&*partition.topic)?.id;
    (id != TopicId::ZERO).then_some(id)
}

fn encode_all(batches: &mut Batches, config: &ProducerConfig) -> Result<()> {
    for (_, batch) in batches.iter_mut() {
        if batch.encoded.is_none() {
            batch.encoded = Some(encode(batch, config)?);
        }
    }
    Ok(())
}

fn encode(batch: &Batch, config: &ProducerConfig) -> Result<Bytes> {
    let mut options =
        BatchOptions { codec: config.codec, level: config.level, ..BatchOptions::default() };
    if let Some((identity, sequence)) = batch.sequence {
        options.producer_id = identity.producer_id;
        options.producer_epoch = identity.epoch;
        options.base_sequence = sequence;
    }
    let unwritable = |error: pharos_protocol::batch::BuildError| ClientError::Unwritable {
        api: "Produce",
        reason: error.to_string(),
    };
    let mut builder = BatchBuilder::new(options);
    for waiting in &batch.waiting {
        let record = &waiting.record;
        let headers: Vec<(&str, Option<&[u8]>)> =
            record.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
        let new = NewRecord {
            timestamp: waiting.timestamp_ms,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
        };
        builder.push(&new).map_err(unwritable)?;
    }
    builder.build().map_err(unwritable)
}

fn outcome_of(
    response: &ProduceResponse,
    partition: &TopicPartition,
    metadata: &Metadata,
) -> Outcome {
    let id = topic_id(metadata, partition);
    let answer = response
        .responses
        .iter()
        .filter(|topic| *topic.name == *partition.topic || Some(topic.topic_id) == id)
        .flat_map(|topic| &topic.partition_responses)
        .find(|answer| answer.index == partition.partition.0);
    let Some(answer) = answer else {
        return Outcome::Failed(ClientError::Malformed {
            broker: metadata.leader_address(partition),
            api: "Produce",
            reason: format!("it has no answer for {partition}"),
        });
    };
    match ClientError::from_code(answer.error_code, error_text(answer).as_deref()) {
        Some(error) => Outcome::Failed(error),
        None => Outcome::Stored {
            base_offset: answer.base_offset,
            append_time_ms: answer.log_append_time_ms,
        },
    }
}

/// The most precise words that the broker sent.
fn error_text(answer: &PartitionProduceResponse) -> Option<String> {
    let of_record = answer
        .record_errors
        .iter()
        .find_map(|record| record.batch_index_error_message.clone())
        .filter(|_| error_code(answer.error_code) == ErrorCode::InvalidRecord);
    of_record.or_else(|| answer.error_message.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Properties;
    use crate::producer::tests::{limits, metadata, waiting};
    use crate::testing::Script;
    use pharos_protocol::messages::MetadataRequest;

    #[tokio::test]
    async fn what_is_overdue_is_not_looked_at_again_and_again() {
        let broker =
            Script::new().on(|_: MetadataRequest| Some(metadata(1))).start().await.unwrap();
        let mut properties = Properties::new();
        properties.set("bootstrap.servers", broker.address());
        properties.set("acks", "1");
        let config = Arc::new(ProducerConfig::parse(&properties).unwrap());
        let cluster = Cluster::new(config.client.clone());
        cluster.refresh(Some(&["t".to_owned()]), false).await.unwrap();
        let mut accumulator = Accumulator::new(limits());
        accumulator.set_flushing(true);
        let sender = Arc::new(Sender::new(cluster, config.clone(), accumulator));
        for topic in ["t", "without a leader"] {
            let began = Instant::now() - limits().linger;
            let partition = TopicPartition::new(topic, 0);
            sender.state.lock().accumulator.append(&partition, waiting("a").0, began);
        }
        // The leader of one has as many requests as it may have.
        sender.state.lock().in_flight.insert(BrokerId(1), config.max_in_flight);
        let before = Instant::now();
        let again = sender.step(&mut true).await.unwrap();
        assert!(again > before, "{:?}", before - again);
        assert!(sender.refreshing.load(Ordering::Acquire), "a leader is looked for");
    }
}
