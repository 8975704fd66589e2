//! DescribeQuorum (API 55): what the leader knows of the metadata log and its voters.

use pharos_protocol::ErrorCode;
use pharos_protocol::messages::describe_quorum_response::{
    Listener, Node, PartitionData, ReplicaState, TopicData,
};
use pharos_protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse};

use super::Controller;
use crate::decide::topic_name::CLUSTER_METADATA_TOPIC;

impl Controller {
    /// Answers a DescribeQuorum request. Only the leader knows; others answer
    /// NOT_LEADER_OR_FOLLOWER for the partition.
    pub fn describe_quorum(&self, request: &DescribeQuorumRequest) -> DescribeQuorumResponse {
        let mut response =
            DescribeQuorumResponse { error_message: None, ..DescribeQuorumResponse::default() };
        let topics = request.topics.iter();
        response.topics = topics
            .map(|topic| TopicData {
                topic_name: topic.topic_name.clone(),
                partitions: topic
                    .partitions
                    .iter()
                    .map(|it| self.describe_partition(&topic.topic_name, it.partition_index))
                    .collect(),
            })
            .collect();
        response.nodes = self.nodes();
        response
    }

    fn describe_partition(&self, topic: &str, partition_index: i32) -> PartitionData {
        let quorum = &self.0.quorum;
        let refused = |code: ErrorCode| PartitionData {
            partition_index,
            error_code: code.code(),
            error_message: None,
            ..PartitionData::default()
        };
        if topic != CLUSTER_METADATA_TOPIC || partition_index != 0 {
            return refused(ErrorCode::UnknownTopicOrPartition);
        }
        if quorum.leader() != Some(quorum.node_id()) {
            return refused(ErrorCode::NotLeaderOrFollower);
        }
        let now_ms = self.0.clock.now_ms();
        let end = quorum.log_figures().end_offset;
        let voters = quorum.voters().into_iter().map(|id| {
            let local = id == quorum.node_id();
            ReplicaState {
                replica_id: id.0,
                replica_directory_id: if local {
                    quorum.directory_id()
                } else {
                    Default::default()
                },
                log_end_offset: if local { end } else { -1 },
                last_fetch_timestamp: if local { now_ms } else { -1 },
                last_caught_up_timestamp: if local { now_ms } else { -1 },
            }
        });
        PartitionData {
            partition_index,
            error_code: ErrorCode::None.code(),
            error_message: None,
            leader_id: quorum.node_id().0,
            leader_epoch: i32::try_from(quorum.term()).unwrap_or(i32::MAX),
            high_watermark: quorum.view().next_offset,
            current_voters: voters.collect(),
            observers: Vec::new(),
        }
    }

    fn nodes(&self) -> Vec<Node> {
        let image = self.0.quorum.view().image.clone();
        let nodes = image.controllers().map(|controller| Node {
            node_id: controller.id.0,
            listeners: controller
                .endpoints
                .iter()
                .map(|endpoint| Listener {
                    name: endpoint.name.clone(),
                    host: endpoint.host.clone(),
                    port: endpoint.port,
                })
                .collect(),
        });
        nodes.collect()
    }
}
