//! ElectLeaders, versions 0–2: the controller decides.
//!
//! - v1: preferred or unclean; before, preferred alone.

use pharos_metadata::{Controller, ControllerError};
use pharos_protocol::messages::elect_leaders_request::TopicPartitions;
use pharos_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use pharos_protocol::messages::{ElectLeadersRequest, ElectLeadersResponse};
use pharos_protocol::{ErrorCode, Message};

use crate::context::{Answer, AnswerError, RequestContext};
use crate::forward::{code_of, settled};

/// Answers the request.
///
/// # Errors
/// When its body is malformed.
pub async fn answer(
    controller: &Controller,
    context: &RequestContext,
    body: &[u8],
) -> Result<Answer, AnswerError> {
    let request = ElectLeadersRequest::decode(body, context.version)?;
    let asked = request.topic_partitions.clone();
    let decided = settled(controller, controller.elect_leaders(request)).await;
    let response = decided.unwrap_or_else(|error| undecided(&error, asked, context.version));
    Answer::ready(context, &response)
}

/// The error of the whole request stands at each partition too: version 0 has no other place.
fn undecided(
    error: &ControllerError,
    asked: Option<Vec<TopicPartitions>>,
    version: i16,
) -> ElectLeadersResponse {
    let results = asked.unwrap_or_default().into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|partition_id| PartitionResult {
            partition_id,
            error_code: code_of(error),
            error_message: Some(error.to_string()),
        });
        ReplicaElectionResult { topic: topic.topic, partition_result: partitions.collect() }
    });
    ElectLeadersResponse {
        error_code: if version > 0 { code_of(error) } else { ErrorCode::None.code() },
        replica_election_results: results.collect(),
        ..Default::default()
    }
}
