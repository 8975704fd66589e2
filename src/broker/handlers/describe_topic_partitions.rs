//! DescribeTopicPartitions, version 0 (KIP-966): topics and partitions in pages.
//!
//! An empty list of topics means all. A page ends after so many partitions; the cursor of the
//! answer says where the next one begins. Eligible leader replicas are not kept here: both lists
//! are empty, as in a cluster without that feature.

use std::collections::BTreeSet;

use pharos_base::{BrokerId, PartitionId};
use pharos_metadata::image::{PartitionRegistration, TopicImage};
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use pharos_protocol::messages::{
    DescribeTopicPartitionsRequestRef, DescribeTopicPartitionsResponse,
};

use crate::authorizer::{self, TOPIC_OPERATIONS};
use crate::context::{Answer, AnswerError, RequestContext};
use crate::topics::{is_internal, is_valid_name};
use crate::view::View;

/// Where a page begins.
struct Start<'a> {
    topic: &'a str,
    partition: i32,
}

/// Answers the request; `limit` is `max.request.partition.size.limit`.
///
/// # Errors
/// When its body is malformed.
pub fn answer(
    view: View<'_>,
    limit: i32,
    context: &RequestContext,
    body: &[u8],
) -> Result<Answer, AnswerError> {
    let request = DescribeTopicPartitionsRequestRef::decode(body, context.version)?;
    match handle(view, &request, limit) {
        Ok(response) => Answer::ready(context, &response),
        // The response has no place for an error of the whole request.
        Err(error) => Ok(Answer::Close(error.name())),
    }
}

/// The answer, or the error for the whole request.
fn handle(
    view: View<'_>,
    request: &DescribeTopicPartitionsRequestRef<'_>,
    limit: i32,
) -> Result<DescribeTopicPartitionsResponse, ErrorCode> {
    let start = match &request.cursor {
        Some(cursor) if cursor.partition_index < 0 => return Err(ErrorCode::InvalidRequest),
        Some(cursor) => Start { topic: cursor.topic_name, partition: cursor.partition_index },
        None => Start { topic: "", partition: 0 },
    };
    let limit = limit.min(request.response_partition_limit).max(1) as usize;
    let mut page = Page { view, left: limit, response: DescribeTopicPartitionsResponse::default() };
    if request.topics.is_empty() {
        for topic in view.image.topics_from(start.topic) {
            if !page.add(topic, &start) {
                break;
            }
        }
    } else {
        let names: BTreeSet<&str> = request.topics.iter().map(|topic| topic.name).collect();
        for name in names.range(start.topic..) {
            let done = match view.image.topic(name) {
                Some(topic) => !page.add(topic, &start),
                None => {
                    page.add_missing(name);
                    false
                }
            };
            if done {
                break;
            }
        }
    }
    Ok(page.response)
}

struct Page<'a> {
    view: View<'a>,
    left: usize,
    response: DescribeTopicPartitionsResponse,
}

impl Page<'_> {
    fn add_missing(&mut self, name: &str) {
        let error = if is_valid_name(name) {
            ErrorCode::UnknownTopicOrPartition
        } else {
            ErrorCode::InvalidTopicException
        };
        self.response.topics.push(DescribeTopicPartitionsResponseTopic {
            error_code: error.code(),
            name: Some(name.to_owned()),
            ..DescribeTopicPartitionsResponseTopic::default()
        });
    }

    /// Adds what fits of `topic`; false when the page is full.
    fn add(&mut self, topic: &TopicImage, start: &Start<'_>) -> bool {
        let from = if *topic.name == *start.topic { start.partition } else { 0 };
        if self.left == 0 {
            self.response.next_cursor =
                Some(Cursor { topic_name: topic.name.to_string(), partition_index: from });
            return false;
        }
        let mut partitions = topic.partitions_from(PartitionId(from));
        let described: Vec<_> = partitions
            .by_ref()
            .take(self.left)
            .map(|(id, partition)| self.describe(id, partition))
            .collect();
        self.left -= described.len();
        let next = partitions.next();
        self.response.topics.push(DescribeTopicPartitionsResponseTopic {
            error_code: ErrorCode::None.code(),
            name: Some(topic.name.to_string()),
            topic_id: topic.id,
            is_internal: is_internal(&topic.name),
            partitions: described,
            topic_authorized_operations: authorizer::operations(true, TOPIC_OPERATIONS),
        });
        if let Some((id, _)) = next {
            self.response.next_cursor =
                Some(Cursor { topic_name: topic.name.to_string(), partition_index: id.0 });
        }
        next.is_none()
    }

    fn describe(
        &self,
        id: PartitionId,
        partition: &PartitionRegistration,
    ) -> DescribeTopicPartitionsResponsePartition {
        let alive =
            |id: &BrokerId| self.view.image.broker(*id).is_some_and(|broker| !broker.fenced);
        let error =
            if alive(&partition.leader) { ErrorCode::None } else { ErrorCode::LeaderNotAvailable };
        DescribeTopicPartitionsResponsePartition {
            error_code: error.code(),
            partition_index: id.0,
            leader_id: partition.leader.0,
            leader_epoch: partition.leader_epoch.0,
            replica_nodes: partition.replicas.iter().map(|id| id.0).collect(),
            isr_nodes: partition.isr.iter().map(|id| id.0).collect(),
            eligible_leader_replicas: Some(Vec::new()),
            last_known_elr: Some(Vec::new()),
            offline_replicas: partition
                .replicas
                .iter()
                .filter(|id| !alive(id))
                .map(|id| id.0)
                .collect(),
        }
    }
}
