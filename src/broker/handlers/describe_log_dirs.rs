//! DescribeLogDirs, versions 1–5: log directories, the partitions in them and the room they have.
//!
//! - v3: an error for the whole answer; v4: total and usable bytes; v5: cordoned directories.

use std::collections::BTreeMap;

use pharos_protocol::ErrorCode;
use pharos_protocol::messages as m;
use pharos_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use pharos_replication::Replicas;

use crate::context::{Answer, AnswerError, RequestContext};

/// Answers the request.
///
/// # Errors
/// When its body is malformed.
pub fn answer(
    replicas: &Replicas,
    context: &RequestContext,
    body: &[u8],
) -> Result<Answer, AnswerError> {
    let request = m::DescribeLogDirsRequestRef::decode(body, context.version)?;
    Answer::ready(context, &handle(replicas, &request))
}

/// Describes every directory; of partitions those asked for, all when none are named.
fn handle(
    replicas: &Replicas,
    request: &m::DescribeLogDirsRequestRef<'_>,
) -> m::DescribeLogDirsResponse {
    let wanted: Option<BTreeMap<&str, Vec<i32>>> = request.topics.as_ref().map(|topics| {
        topics.iter().map(|topic| (topic.topic, topic.partitions.iter().collect())).collect()
    });
    let is_wanted = |topic: &str, partition: i32| match &wanted {
        None => true,
        Some(topics) => topics.get(topic).is_some_and(|list| list.contains(&partition)),
    };
    let manager = replicas.logs();
    let mut logs = manager.logs();
    logs.sort_by(|a, b| a.partition().cmp(b.partition()));
    let results = manager.dirs().into_iter().map(|dir| {
        let log_dir = dir.home.path().display().to_string();
        if dir.home.is_offline() {
            return DescribeLogDirsResult {
                error_code: ErrorCode::KafkaStorageError.code(),
                log_dir,
                ..Default::default()
            };
        }
        let mut topics: BTreeMap<String, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
        let here = logs.iter().filter(|log| std::sync::Arc::ptr_eq(log.home(), &dir.home));
        for log in here {
            let id = log.partition();
            if !is_wanted(&id.topic, id.partition.0) {
                continue;
            }
            topics.entry(id.topic.to_string()).or_default().push(DescribeLogDirsPartition {
                partition_index: id.partition.0,
                partition_size: i64::try_from(log.size_bytes()).unwrap_or(i64::MAX),
                offset_lag: log.log_end_offset().since(log.high_watermark()).max(0),
                is_future_key: false,
            });
        }
        let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        DescribeLogDirsResult {
            error_code: ErrorCode::None.code(),
            log_dir,
            topics: topics
                .into_iter()
                .map(|(name, partitions)| DescribeLogDirsTopic { name, partitions })
                .collect(),
            total_bytes: dir.space.map_or(-1, |space| bytes(space.total)),
            usable_bytes: dir.space.map_or(-1, |space| bytes(space.usable)),
            is_cordoned: dir.is_cordoned,
        }
    });
    m::DescribeLogDirsResponse { results: results.collect(), ..Default::default() }
}
