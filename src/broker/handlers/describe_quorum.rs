//! DescribeQuorum, versions 0–2: the voters and observers of the metadata log, as the active
//! controller knows them.
//!
//! - v1: when each replica last fetched and was last caught up.
//! - v2: directories of the replicas, endpoints of the controllers, texts of errors.

use pharos_base::TopicId;
use pharos_metadata::Controller;
use pharos_protocol::Message;
use pharos_protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse};

use crate::context::{Answer, AnswerError, RequestContext};

/// Answers the request.
///
/// # Errors
/// When its body is malformed.
pub fn answer(
    controller: &Controller,
    context: &RequestContext,
    body: &[u8],
) -> Result<Answer, AnswerError> {
    let request = DescribeQuorumRequest::decode(body, context.version)?;
    Answer::ready(context, &handle(controller, context.version, &request))
}

/// The answer in the shape of `version`.
fn handle(
    controller: &Controller,
    version: i16,
    request: &DescribeQuorumRequest,
) -> DescribeQuorumResponse {
    fit(controller.describe_quorum(request), version)
}

/// Drops what older versions have no field for.
fn fit(mut response: DescribeQuorumResponse, version: i16) -> DescribeQuorumResponse {
    if version >= 2 {
        return response;
    }
    response.nodes.clear();
    for partition in response.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        for replica in partition.current_voters.iter_mut().chain(&mut partition.observers) {
            replica.replica_directory_id = TopicId::ZERO;
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use pharos_protocol::messages::describe_quorum_response::{
        Listener, Node, PartitionData, ReplicaState, TopicData,
    };
    use pharos_protocol::{Message, encode_to_bytes};

    use super::*;

    #[test]
    fn fits_every_version() {
        let voter = ReplicaState { replica_directory_id: TopicId::random(), ..Default::default() };
        let listener = Listener { name: "C".into(), host: "h".into(), port: 9 };
        let response = DescribeQuorumResponse {
            nodes: vec![Node { node_id: 0, listeners: vec![listener] }],
            topics: vec![TopicData {
                partitions: vec![PartitionData {
                    current_voters: vec![voter],
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        for version in 0..=DescribeQuorumResponse::MAX_VERSION {
            encode_to_bytes(&fit(response.clone(), version), version).unwrap();
        }
    }
}
