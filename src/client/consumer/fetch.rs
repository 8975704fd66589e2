//! Fetching: requests to leaders, answers into buffers, buffers into records.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use pharos_base::{BrokerId, Offset, TopicId, TopicPartition};
use pharos_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use pharos_protocol::messages::fetch_response::PartitionData;
use pharos_protocol::messages::{FetchRequest, FetchResponse};
use pharos_protocol::{ErrorCode, Records};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::config::{ConsumerConfig, OffsetReset};
use super::positions::Positions;
use super::record::{ConsumerRecord, Fetched};
use crate::cluster::{Cluster, Target};
use crate::error::{ClientError, Result, error_code};
use crate::metadata::Metadata;

/// First version of Fetch that names topics by id instead of name.
const TOPIC_IDS_FROM: i16 = 13;
/// Answers that may wait to be looked at; more than brokers in flight never come.
const ANSWERS: usize = 1024;

type Wanted = Vec<(TopicPartition, Offset)>;

struct Answer {
    broker: BrokerId,
    wanted: Wanted,
    outcome: Result<FetchResponse>,
    by_id: bool,
}

/// Keeps one fetch per leader under way and what came back.
pub(crate) struct Fetcher {
    cluster: Cluster,
    config: Arc<ConsumerConfig>,
    busy: HashSet<BrokerId>,
    buffered: VecDeque<Fetched>,
    answers: mpsc::Receiver<Answer>,
    answered: mpsc::Sender<Answer>,
    tasks: tokio::task::JoinSet<()>,
    /// What was wrong behind records that had to be handed out first.
    failed: Option<ClientError>,
    /// Set when an answer says that the metadata is out of date.
    pub stale: bool,
}

impl Fetcher {
    pub fn new(cluster: Cluster, config: Arc<ConsumerConfig>) -> Self {
        let (answered, answers) = mpsc::channel(ANSWERS);
        Self {
            cluster,
            config,
            busy: HashSet::new(),
            buffered: VecDeque::new(),
            answers,
            answered,
            tasks: tokio::task::JoinSet::new(),
            failed: None,
            stale: false,
        }
    }

    /// Sends fetches to leaders without one under way, for partitions without buffered records.
    pub fn send(&mut self, positions: &Positions, now: Instant) {
        while self.tasks.try_join_next().is_some() {}
        let metadata = self.cluster.metadata();
        let buffered: HashSet<&TopicPartition> =
            self.buffered.iter().map(Fetched::partition).collect();
        let mut requests: HashMap<BrokerId, Wanted> = HashMap::new();
        for (partition, progress) in positions.iter() {
            let waiting = progress.paused || progress.not_before.is_some_and(|at| at > now);
            let Some(position) = progress.position.filter(|_| !waiting) else { continue };
            if buffered.contains(partition) {
                continue;
            }
            match metadata.leader(partition) {
                Some(leader) if !self.busy.contains(&leader) => {
                    requests.entry(leader).or_default().push((partition.clone(), position));
                }
                Some(_) => {}
                None => self.stale = true,
            }
        }
        for (broker, wanted) in requests {
            self.busy.insert(broker);
            self.tasks.spawn(fetch(
                self.cluster.clone(),
                self.config.clone(),
                broker,
                wanted,
                self.answered.clone(),
            ));
        }
    }

    /// Waits for an answer and takes it in. Safe to cancel.
    pub async fn wait(&mut self, positions: &mut Positions) -> Result<()> {
        let Some(answer) = self.answers.recv().await else { return Err(ClientError::Closed) };
        self.take(answer, positions)?;
        while let Ok(answer) = self.answers.try_recv() {
            self.take(answer, positions)?;
        }
        Ok(())
    }

    fn take(&mut self, answer: Answer, positions: &mut Positions) -> Result<()> {
        self.busy.remove(&answer.broker);
        let response = answer
            .outcome
            .and_then(|response| ClientError::check(response.error_code, None).map(|()| response));
        let response = match response {
            Ok(response) => response,
            Err(error) if error.is_retriable() => {
                self.stale = true;
                self.delay(answer.wanted.iter().map(|(partition, _)| partition), positions);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let metadata = self.cluster.metadata();
        let asked: HashMap<TopicPartition, Offset> = answer.wanted.into_iter().collect();
        for topic in response.responses {
            let name = match answer.by_id {
                true => name_of(&metadata, &asked, topic.topic_id),
                false => Some(topic.topic.into()),
            };
            let Some(name) = name else { continue };
            for data in topic.partitions {
                let partition = TopicPartition::new(name.clone(), data.partition_index);
                if let Some(offset) = asked.get(&partition) {
                    self.take_partition(partition, *offset, data, positions)?;
                }
            }
        }
        Ok(())
    }

    fn take_partition(
        &mut self,
        partition: TopicPartition,
        offset: Offset,
        data: PartitionData,
        positions: &mut Positions,
    ) -> Result<()> {
        let Some(progress) = positions.get_mut(&partition) else { return Ok(()) };
        if progress.position != Some(offset) {
            // Revoked and assigned again, or sought elsewhere meanwhile.
            return Ok(());
        }
        match error_code(data.error_code) {
            ErrorCode::None => {}
            ErrorCode::OffsetOutOfRange if self.config.offset_reset == OffsetReset::None => {
                return Err(ClientError::Usage(format!(
                    "offset {offset} of {partition} is out of range and auto.offset.reset is none"
                )));
            }
            ErrorCode::OffsetOutOfRange => {
                positions.reset(&partition);
                return Ok(());
            }
            code if code.retriable() || code == ErrorCode::FencedLeaderEpoch => {
                self.stale = true;
                self.delay(std::iter::once(&partition), positions);
                return Ok(());
            }
            code => return Err(ClientError::Broker { code, message: None }),
        }
        progress.high_watermark = Some(Offset(data.high_watermark));
        let Some(Records::Bytes(bytes)) = data.records.filter(|records| !is_empty(records)) else {
            return Ok(());
        };
        let aborted = self.config.read_committed.then(|| {
            let list = data.aborted_transactions.unwrap_or_default();
            list.into_iter().map(|aborted| (aborted.producer_id, aborted.first_offset)).collect()
        });
        let check = self.config.check_crcs;
        let fetched = Fetched::new(partition, bytes, offset, aborted, check);
        if fetched.is_stuck() {
            return Err(self.corrupt(
                fetched.partition(),
                &format!("the answer at offset {offset} holds no whole batch"),
            ));
        }
        self.buffered.push_back(fetched);
        Ok(())
    }

    fn delay<'a>(
        &self,
        partitions: impl Iterator<Item = &'a TopicPartition>,
        positions: &mut Positions,
    ) {
        let at = Instant::now() + self.config.client.retry.after(1);
        for partition in partitions {
            if let Some(progress) = positions.get_mut(partition) {
                progress.not_before = Some(at);
            }
        }
    }

    fn corrupt(&self, partition: &TopicPartition, reason: &dyn std::fmt::Display) -> ClientError {
        let reason = format!("records of {partition} cannot be read: {reason}");
        let broker = self.cluster.metadata().leader_address(partition);
        ClientError::Malformed { broker, api: "Fetch", reason }
    }

    /// Takes at most `limit` records out of the buffers and moves the positions behind them.
    ///
    /// # Errors
    /// When the next records cannot be read; those before them have been handed out.
    pub fn drain(
        &mut self,
        limit: usize,
        positions: &mut Positions,
    ) -> Result<Vec<ConsumerRecord>> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let mut records = Vec::new();
        while records.len() < limit {
            let Some(mut fetched) = self.buffered.pop_front() else { break };
            let current = positions.get(fetched.partition());
            let usable = current.is_some_and(|p| p.position == Some(fetched.position) && !p.paused);
            if !usable {
                continue;
            }
            let partition = fetched.partition().clone();
            let mut epoch = None;
            let done = loop {
                if records.len() == limit {
                    break false;
                }
                match fetched.next() {
                    Ok(Some(record)) => {
                        epoch = Some(record.leader_epoch);
                        records.push(record);
                    }
                    Ok(None) => break true,
                    Err(error) => {
                        self.failed = Some(self.corrupt(&partition, &error));
                        break true;
                    }
                }
            };
            positions.advance(&partition, fetched.position, epoch);
            if self.failed.is_some() {
                break;
            }
            if !done {
                self.buffered.push_front(fetched);
            }
        }
        // The positions are behind the records already: they go out before the error does.
        match self.failed.take_if(|_| records.is_empty()) {
            Some(error) => Err(error),
            None => Ok(records),
        }
    }
}

fn is_empty(records: &Records) -> bool {
    match records {
        Records::Bytes(bytes) => bytes.is_empty(),
        Records::External { .. } => true,
    }
}

/// The name of a topic id, among those that were asked for.
fn name_of(
    metadata: &Metadata,
    asked: &HashMap<TopicPartition, Offset>,
    id: TopicId,
) -> Option<Arc<str>> {
    let known = |topic: &str| metadata.topics.get(topic).is_some_and(|known| known.id == id);
    asked.keys().map(|partition| &partition.topic).find(|topic| known(topic)).cloned()
}

async fn fetch(
    cluster: Cluster,
    config: Arc<ConsumerConfig>,
    broker: BrokerId,
    wanted: Wanted,
    answered: mpsc::Sender<Answer>,
) {
    let metadata = cluster.metadata();
    let id_of = |partition: &TopicPartition| metadata.topics.get(&*partition.topic).map(|t| t.id);
    let all_known =
        wanted.iter().all(|(partition, _)| id_of(partition).is_some_and(|id| id != TopicId::ZERO));
    let cap = if all_known { i16::MAX } else { TOPIC_IDS_FROM - 1 };
    let mut by_id = false;
    let build = |version: i16| {
        by_id = version >= TOPIC_IDS_FROM;
        Ok(request(&config, &wanted, &metadata, version))
    };
    let outcome = cluster.call_versioned(Target::Broker(broker), cap, build).await;
    let outcome = outcome.map(|(response, _)| response);
    // The consumer may be gone.
    let _ = answered.send(Answer { broker, wanted, outcome, by_id }).await;
}

fn request(
    config: &ConsumerConfig,
    wanted: &Wanted,
    metadata: &Metadata,
    version: i16,
) -> FetchRequest {
    let mut topics: Vec<FetchTopic> = Vec::new();
    for (partition, offset) in wanted {
        let entry = FetchPartition {
            partition: partition.partition.0,
            fetch_offset: offset.0,
            current_leader_epoch: metadata.partition(partition).map_or(-1, |p| p.leader_epoch.0),
            partition_max_bytes: config.max_partition_fetch_bytes,
            ..Default::default()
        };
        match topics.iter_mut().find(|topic| topic.topic == *partition.topic) {
            Some(topic) => topic.partitions.push(entry),
            None => topics.push(FetchTopic {
                topic: partition.topic.to_string(),
                topic_id: metadata
                    .topics
                    .get(&*partition.topic)
                    .map_or(TopicId::ZERO, |topic| topic.id),
                partitions: vec![entry],
            }),
        }
    }
    FetchRequest {
        max_wait_ms: config.fetch_max_wait_ms,
        min_bytes: config.fetch_min_bytes,
        max_bytes: config.fetch_max_bytes,
        isolation_level: i8::from(config.read_committed),
        rack_id: if version >= 11 {
            config.rack.clone().unwrap_or_default()
        } else {
            String::new()
        },
        topics,
        ..Default::default()
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        self.tasks.abort_all();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use pharos_protocol::batch::BatchOptions;

    use super::*;
    use crate::config::Properties;
    use crate::consumer::tests::batch;

    #[test]
    fn records_before_corrupt_ones_are_handed_out() {
        let properties = Properties::parse("bootstrap.servers=localhost:1");
        let config = Arc::new(ConsumerConfig::parse(&properties).unwrap());
        let mut fetcher = Fetcher::new(Cluster::new(config.client.clone()), config);
        let (good, bad) = (TopicPartition::new("t", 0), TopicPartition::new("t", 1));
        let mut positions = Positions::default();
        positions.assign(&BTreeSet::from([good.clone(), bad.clone()]));
        let mut corrupt = batch(1, BatchOptions::default(), &["b"]);
        *corrupt.last_mut().unwrap() ^= 1;
        let whole = batch(0, BatchOptions::default(), &["a"]);
        let half = [whole.as_slice(), &corrupt].concat();
        for (partition, bytes) in [(&good, whole), (&bad, half)] {
            positions.seek(partition, Offset(0));
            let bytes = bytes.into();
            fetcher.buffered.push_back(Fetched::new(
                partition.clone(),
                bytes,
                Offset(0),
                None,
                true,
            ));
        }
        assert_eq!(fetcher.drain(500, &mut positions).unwrap().len(), 2);
        for partition in [&good, &bad] {
            assert_eq!(positions.get(partition).unwrap().position, Some(Offset(1)));
        }
        let error = fetcher.drain(500, &mut positions).unwrap_err().to_string();
        let expected =
            "broker ? sent a Fetch response that cannot be read: records of t-1 cannot be";
        assert!(error.starts_with(expected), "{error}");
        assert!(fetcher.drain(500, &mut positions).unwrap().is_empty());
    }
}
