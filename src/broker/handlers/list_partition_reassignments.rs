//! ListPartitionReassignments, version 0: what the metadata says of replicas that move. Nothing
//! starts a reassignment yet, so this lists what a metadata log from elsewhere may hold.

use pharos_base::PartitionId;
use pharos_metadata::image::{MetadataImage, PartitionRegistration};
use pharos_protocol::messages::list_partition_reassignments_response::{
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use pharos_protocol::messages::{
    ListPartitionReassignmentsRequestRef, ListPartitionReassignmentsResponse,
};

use crate::context::{Answer, AnswerError, RequestContext};

/// Answers the request.
///
/// # Errors
/// When its body is malformed.
pub fn answer(
    image: &MetadataImage,
    context: &RequestContext,
    body: &[u8],
) -> Result<Answer, AnswerError> {
    let request = ListPartitionReassignmentsRequestRef::decode(body, context.version)?;
    Answer::ready(context, &handle(image, &request))
}

/// The reassignments that go on, of all topics or of those asked for.
fn handle(
    image: &MetadataImage,
    request: &ListPartitionReassignmentsRequestRef<'_>,
) -> ListPartitionReassignmentsResponse {
    let topics = match &request.topics {
        None => image
            .topics()
            .map(|topic| OngoingTopicReassignment {
                name: topic.name.to_string(),
                partitions: topic
                    .partitions()
                    .filter_map(|(id, partition)| ongoing(id, partition))
                    .collect(),
            })
            .filter(|topic| !topic.partitions.is_empty())
            .collect(),
        Some(topics) => topics
            .iter()
            .map(|topic| OngoingTopicReassignment {
                name: topic.name.to_owned(),
                partitions: topic
                    .partition_indexes
                    .iter()
                    .filter_map(|index| {
                        let id = PartitionId(index);
                        ongoing(id, image.partition(topic.name, id)?)
                    })
                    .collect(),
            })
            .filter(|topic| !topic.partitions.is_empty())
            .collect(),
    };
    ListPartitionReassignmentsResponse { topics, ..ListPartitionReassignmentsResponse::default() }
}

fn ongoing(
    id: PartitionId,
    partition: &PartitionRegistration,
) -> Option<OngoingPartitionReassignment> {
    partition.is_reassigning().then(|| OngoingPartitionReassignment {
        partition_index: id.0,
        replicas: partition.replicas.iter().map(|id| id.0).collect(),
        adding_replicas: partition.adding_replicas.iter().map(|id| id.0).collect(),
        removing_replicas: partition.removing_replicas.iter().map(|id| id.0).collect(),
    })
}
