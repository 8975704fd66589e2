//! ListOffsets, versions 1–11: the offset that belongs to a timestamp, or to a special one.
//!
//! - −1 latest, −2 earliest; −3 largest timestamp (v7); −4 earliest local (v8); −5 last tiered
//!   (v9); −6 earliest pending upload (v11). Nothing is tiered here, so −4 is −2, and −5 and −6
//!   have no answer but −1, as in a broker whose remote storage is off.
//! - v2: isolation; v4: leader epochs; v6: flexible.

use std::collections::HashSet;
use std::sync::Arc;

use pharos_base::{LeaderEpoch, Offset, PartitionId};
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use pharos_protocol::messages::{ListOffsetsRequestRef, ListOffsetsResponse};
use pharos_replication::{Isolation, Partition, PartitionError, Replicas};

use crate::context::{Answer, AnswerError, RequestContext};
use crate::errors;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const LARGEST_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// Least version that knows each special timestamp.
const SPECIAL: [(i64, i16); 6] = [
    (LATEST, 0),
    (EARLIEST, 0),
    (LARGEST_TIMESTAMP, 7),
    (EARLIEST_LOCAL, 8),
    (LATEST_TIERED, 9),
    (EARLIEST_PENDING_UPLOAD, 11),
];

/// Where something in a log is.
struct Located {
    timestamp: i64,
    offset: i64,
    leader_epoch: i32,
}

const NOTHING: Located = Located { timestamp: -1, offset: -1, leader_epoch: -1 };

/// Answers the request.
///
/// # Errors
/// When its body is malformed.
pub async fn answer(
    replicas: &Replicas,
    context: &RequestContext,
    body: &[u8],
) -> Result<Answer, AnswerError> {
    let request = ListOffsetsRequestRef::decode(body, context.version)?;
    Answer::ready(context, &handle(replicas, context.version, &request).await)
}

/// Looks every partition up, one after the other.
async fn handle(
    replicas: &Replicas,
    version: i16,
    request: &ListOffsetsRequestRef<'_>,
) -> ListOffsetsResponse {
    let isolation = if request.isolation_level == 0 {
        Isolation::ReadUncommitted
    } else {
        Isolation::ReadCommitted
    };
    let twice = named_twice(request);
    let mut told = HashSet::new();
    let mut topics = Vec::new();
    for topic in request.topics.iter() {
        let mut partitions = Vec::new();
        for asked in topic.partitions.iter() {
            let named = (topic.name, asked.partition_index);
            if twice.contains(&named) {
                let error = refused(asked.partition_index, ErrorCode::InvalidRequest);
                partitions.extend(told.insert(named).then_some(error));
                continue;
            }
            let epoch = LeaderEpoch(asked.current_leader_epoch);
            let timestamp = asked.timestamp;
            let found = match replicas.find(topic.name, PartitionId(asked.partition_index)) {
                Err(missing) => Err(errors::of_missing(&missing).code),
                // Times are looked up in index and log files.
                Ok(partition) if timestamp >= 0 || timestamp == LARGEST_TIMESTAMP => {
                    let disk = partition.log().home().pool().clone();
                    let job = move || look_up(&partition, version, timestamp, epoch, isolation);
                    disk.run(job).await.unwrap_or(Err(ErrorCode::KafkaStorageError))
                }
                Ok(partition) => look_up(&partition, version, timestamp, epoch, isolation),
            };
            let (error, located) = match found {
                Ok(located) => (ErrorCode::None, located),
                Err(error) => (error, NOTHING),
            };
            partitions.push(ListOffsetsPartitionResponse {
                partition_index: asked.partition_index,
                error_code: error.code(),
                timestamp: located.timestamp,
                offset: located.offset,
                leader_epoch: if version >= 4 { located.leader_epoch } else { -1 },
            });
        }
        topics.push(ListOffsetsTopicResponse { name: topic.name.to_owned(), partitions });
    }
    ListOffsetsResponse { topics, ..ListOffsetsResponse::default() }
}

/// The partitions that a request names more than once.
fn named_twice<'a>(request: &ListOffsetsRequestRef<'a>) -> HashSet<(&'a str, i32)> {
    let mut seen = HashSet::new();
    let all = request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(move |asked| (topic.name, asked.partition_index))
    });
    all.filter(|partition| !seen.insert(*partition)).collect()
}

fn refused(partition_index: i32, error: ErrorCode) -> ListOffsetsPartitionResponse {
    let Located { timestamp, offset, leader_epoch } = NOTHING;
    let error_code = error.code();
    ListOffsetsPartitionResponse { partition_index, error_code, timestamp, offset, leader_epoch }
}

fn look_up(
    partition: &Arc<Partition>,
    version: i16,
    timestamp: i64,
    epoch: LeaderEpoch,
    isolation: Isolation,
) -> Result<Located, ErrorCode> {
    let code = |error: PartitionError| errors::of_partition(&error).code;
    partition.check_leader(epoch).map_err(code)?;
    if timestamp < 0 {
        let known =
            SPECIAL.iter().any(|(special, since)| timestamp == *special && version >= *since);
        if !known {
            return Err(ErrorCode::UnsupportedVersion);
        }
    }
    let log = partition.log();
    let bound = match isolation {
        Isolation::ReadUncommitted => partition.high_watermark(),
        Isolation::ReadCommitted => partition.last_stable_offset(),
    };
    let epoch_of = |offset: Offset| log.epoch_at(offset).map_or(-1, |epoch| epoch.0);
    let storage = |error: pharos_storage::StorageError| code(error.into());
    match timestamp {
        LATEST => {
            let leader_epoch = partition.role().leader_epoch.0;
            Ok(Located { timestamp: -1, offset: bound.0, leader_epoch })
        }
        EARLIEST | EARLIEST_LOCAL => {
            let start = log.log_start_offset();
            Ok(Located { timestamp: -1, offset: start.0, leader_epoch: epoch_of(start) })
        }
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => Ok(NOTHING),
        LARGEST_TIMESTAMP => {
            let found = log.offset_of_max_timestamp().map_err(storage)?;
            Ok(found.filter(|found| found.offset < bound).map_or(NOTHING, located))
        }
        _ => {
            let found = log.offset_for_timestamp(timestamp).map_err(storage)?;
            Ok(found.filter(|found| found.offset < bound).map_or(NOTHING, located))
        }
    }
}

fn located(found: pharos_storage::OffsetAtTimestamp) -> Located {
    Located {
        timestamp: found.timestamp,
        offset: found.offset.0,
        leader_epoch: found.leader_epoch.0,
    }
}
