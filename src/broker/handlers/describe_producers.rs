//! DescribeProducers, version 0: the producers that a partition remembers.

use pharos_base::PartitionId;
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use pharos_protocol::messages::{DescribeProducersRequestRef, DescribeProducersResponse};
use pharos_replication::Replicas;

use crate::context::{Answer, AnswerError, RequestContext};
use crate::errors;

/// Answers the request.
///
/// # Errors
/// When its body is malformed.
pub fn answer(
    replicas: &Replicas,
    context: &RequestContext,
    body: &[u8],
) -> Result<Answer, AnswerError> {
    let request = DescribeProducersRequestRef::decode(body, context.version)?;
    Answer::ready(context, &handle(replicas, &request))
}

/// Lists the producers of every partition asked for.
fn handle(
    replicas: &Replicas,
    request: &DescribeProducersRequestRef<'_>,
) -> DescribeProducersResponse {
    let topics = request.topics.iter().map(|topic| TopicResponse {
        name: topic.name.to_owned(),
        partitions: topic
            .partition_indexes
            .iter()
            .map(|index| {
                let producers = producers(replicas, topic.name, PartitionId(index));
                let (error, active_producers) = match producers {
                    Ok(producers) => (ErrorCode::None, producers),
                    Err(error) => (error, Vec::new()),
                };
                PartitionResponse {
                    partition_index: index,
                    error_code: error.code(),
                    active_producers,
                    ..PartitionResponse::default()
                }
            })
            .collect(),
    });
    DescribeProducersResponse { topics: topics.collect(), ..DescribeProducersResponse::default() }
}

fn producers(
    replicas: &Replicas,
    topic: &str,
    index: PartitionId,
) -> Result<Vec<ProducerState>, ErrorCode> {
    let partition =
        replicas.find(topic, index).map_err(|missing| errors::of_missing(&missing).code)?;
    partition
        .check_leader(pharos_base::LeaderEpoch::UNKNOWN)
        .map_err(|error| errors::of_partition(&error).code)?;
    let states = partition.log().producer_states().into_iter().map(|state| ProducerState {
        producer_id: state.producer_id,
        producer_epoch: i32::from(state.epoch),
        last_sequence: state.last_sequence(),
        last_timestamp: state.last_timestamp,
        coordinator_epoch: state.coordinator_epoch,
        current_txn_start_offset: state.txn_first_offset.unwrap_or(-1),
    });
    Ok(states.collect())
}
