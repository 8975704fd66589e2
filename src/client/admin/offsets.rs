//! Offsets of partitions by time: ListOffsets at the leaders.

use std::collections::{BTreeMap, HashMap};

use pharos_base::{BrokerId, Offset, TopicPartition};
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use pharos_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};

use tokio::time::{Instant, timeout_at};

use crate::cluster::{Cluster, Target};
use crate::error::{ClientError, Result};
use crate::metadata::Metadata;
use crate::wire::millis;

/// Which offset is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetSpec {
    /// Behind the last record.
    Latest,
    /// The first record.
    Earliest,
    /// The record with the greatest timestamp.
    MaxTimestamp,
    /// The first record on the leader's own disk.
    EarliestLocal,
    /// The last record in tiered storage.
    LatestTiered,
    /// The first record that waits for tiered storage.
    EarliestPendingUpload,
    /// The first record that is not older, in milliseconds since 1970.
    Timestamp(i64),
}

impl OffsetSpec {
    /// What stands for it on the wire.
    pub fn code(self) -> i64 {
        match self {
            Self::Latest => -1,
            Self::Earliest => -2,
            Self::MaxTimestamp => -3,
            Self::EarliestLocal => -4,
            Self::LatestTiered => -5,
            Self::EarliestPendingUpload => -6,
            Self::Timestamp(ms) => ms,
        }
    }
}

/// An offset that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedOffset {
    /// The offset; -1 when there is none.
    pub offset: Offset,
    /// Timestamp of its record; -1 where it has none.
    pub timestamp_ms: i64,
    /// Epoch of its leader; -1 when unknown.
    pub leader_epoch: i32,
}

/// Outcomes by partition.
pub type Listed = HashMap<TopicPartition, Result<ListedOffset>>;

/// Asks each leader once. Leaders whose turn has not come when the request time-out is over are
/// asked another time: metadata may name any number of brokers that do not answer.
pub(crate) async fn list_once(
    cluster: &Cluster,
    asked: &[(TopicPartition, OffsetSpec)],
    read_committed: bool,
) -> Listed {
    let mut result = Listed::new();
    let deadline = Instant::now() + cluster.config().request_timeout;
    list_until(deadline, cluster, asked, read_committed, &mut result).await;
    result
}

async fn list_until(
    deadline: Instant,
    cluster: &Cluster,
    asked: &[(TopicPartition, OffsetSpec)],
    read_committed: bool,
    result: &mut Listed,
) {
    let metadata = cluster.metadata();
    let mut requests: BTreeMap<BrokerId, Vec<&(TopicPartition, OffsetSpec)>> = BTreeMap::new();
    for entry in asked {
        match metadata.leader(&entry.0) {
            Some(leader) => requests.entry(leader).or_default().push(entry),
            None => {
                let code = ErrorCode::LeaderNotAvailable;
                result.insert(entry.0.clone(), Err(ClientError::Broker { code, message: None }));
            }
        }
    }
    for (leader, entries) in requests {
        let request = request(cluster, &entries, read_committed);
        let call = cluster.call(Target::Broker(leader), &request);
        let late = ClientError::Broker { code: ErrorCode::RequestTimedOut, message: None };
        match timeout_at(deadline, call).await.unwrap_or(Err(late)) {
            Ok(response) => read(&response, &entries, &metadata, result),
            Err(error) => {
                for (partition, _) in entries {
                    result.insert(partition.clone(), Err(error.clone()));
                }
            }
        }
    }
}

/// Asks with retries; what does not succeed in time keeps its last error.
pub(crate) async fn list(
    cluster: &Cluster,
    asked: &[(TopicPartition, OffsetSpec)],
    read_committed: bool,
) -> Listed {
    let mut topics: Vec<String> = asked.iter().map(|(p, _)| p.topic.to_string()).collect();
    topics.sort();
    topics.dedup();
    let deadline = cluster.deadline();
    let mut result = Listed::new();
    let mut failures = 0;
    loop {
        let open: Vec<_> = asked
            .iter()
            .filter(|(partition, _)| match result.get(partition) {
                None => true,
                Some(Err(error)) => error.is_retriable(),
                Some(Ok(_)) => false,
            })
            .cloned()
            .collect();
        if open.is_empty() {
            return result;
        }
        let pause = cluster.config().retry.after(failures);
        if Instant::now() + pause >= deadline {
            return result;
        }
        tokio::time::sleep(pause).await;
        let late = || Err(cluster.timeout("waiting for metadata", None));
        let refreshed = timeout_at(deadline, cluster.refresh(Some(&topics), false)).await;
        match refreshed.unwrap_or_else(|_| late()) {
            Ok(_) => list_until(deadline, cluster, &open, read_committed, &mut result).await,
            Err(error) => {
                result.extend(open.into_iter().map(|(of, _)| (of, Err(error.clone()))));
            }
        }
        failures += 1;
    }
}

fn request(
    cluster: &Cluster,
    entries: &[&(TopicPartition, OffsetSpec)],
    read_committed: bool,
) -> ListOffsetsRequest {
    let mut topics: Vec<ListOffsetsTopic> = Vec::new();
    for (partition, spec) in entries {
        let entry = ListOffsetsPartition {
            partition_index: partition.partition.0,
            current_leader_epoch: -1,
            timestamp: spec.code(),
        };
        match topics.iter_mut().find(|topic| topic.name == *partition.topic) {
            Some(topic) => topic.partitions.push(entry),
            None => topics.push(ListOffsetsTopic {
                name: partition.topic.to_string(),
                partitions: vec![entry],
            }),
        }
    }
    ListOffsetsRequest {
        replica_id: -1,
        isolation_level: i8::from(read_committed),
        topics,
        timeout_ms: i32::try_from(millis(cluster.config().request_timeout)).unwrap_or(i32::MAX),
    }
}

/// Takes in what was asked for, and nothing else.
fn read(
    response: &ListOffsetsResponse,
    asked: &[&(TopicPartition, OffsetSpec)],
    metadata: &Metadata,
    result: &mut Listed,
) {
    for (partition, _) in asked {
        let missing = ClientError::Malformed {
            broker: metadata.leader_address(partition),
            api: "ListOffsets",
            reason: format!("it has no answer for {partition}"),
        };
        result.insert(partition.clone(), Err(missing));
    }
    for topic in &response.topics {
        for answer in &topic.partitions {
            let partition = TopicPartition::new(topic.name.as_str(), answer.partition_index);
            let outcome = ClientError::check(answer.error_code, None).map(|()| ListedOffset {
                offset: Offset(answer.offset),
                timestamp_ms: answer.timestamp,
                leader_epoch: answer.leader_epoch,
            });
            if let Some(of) = result.get_mut(&partition) {
                *of = outcome;
            }
        }
    }
}
