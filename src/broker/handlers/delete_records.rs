//! DeleteRecords, versions 0–2: moves the first offset of partitions up; −1 means up to the high
//! watermark.

use pharos_base::{Offset, PartitionId};
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use pharos_protocol::messages::{DeleteRecordsRequestRef, DeleteRecordsResponse};
use pharos_replication::Replicas;

use crate::context::{Answer, AnswerError, RequestContext};
use crate::errors;
use crate::topics::is_internal;

/// Answers the request.
///
/// # Errors
/// When its body is malformed.
pub fn answer(
    replicas: &Replicas,
    context: &RequestContext,
    body: &[u8],
) -> Result<Answer, AnswerError> {
    let request = DeleteRecordsRequestRef::decode(body, context.version)?;
    Answer::ready(context, &handle(replicas, &request))
}

/// Deletes and tells the new first offsets.
fn handle(replicas: &Replicas, request: &DeleteRecordsRequestRef<'_>) -> DeleteRecordsResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            let id = PartitionId(asked.partition_index);
            let deleted = delete(replicas, topic.name, id, Offset(asked.offset));
            let (error, low_watermark) = match deleted {
                Ok(offset) => (ErrorCode::None, offset.0),
                Err(error) => (error, -1),
            };
            DeleteRecordsPartitionResult {
                partition_index: asked.partition_index,
                low_watermark,
                error_code: error.code(),
            }
        });
        DeleteRecordsTopicResult { name: topic.name.to_owned(), partitions: partitions.collect() }
    });
    DeleteRecordsResponse { topics: topics.collect(), ..DeleteRecordsResponse::default() }
}

fn delete(
    replicas: &Replicas,
    topic: &str,
    partition: PartitionId,
    offset: Offset,
) -> Result<Offset, ErrorCode> {
    // Kafka refuses it for its internal topics: the state in them would lose its beginning.
    if is_internal(topic) {
        return Err(ErrorCode::InvalidTopicException);
    }
    let partition =
        replicas.find(topic, partition).map_err(|missing| errors::of_missing(&missing).code)?;
    // Without deletion in its policy the log must keep its beginning (PolicyViolationException).
    if replicas.topic_settings(topic).is_some_and(|settings| !settings.deletes()) {
        return Err(ErrorCode::PolicyViolation);
    }
    partition.delete_records(offset).map_err(|error| errors::of_partition(&error).code)
}
