//! The answers that no shard gives: to requests whose shard is not here, not loaded yet, or whose
//! protocol is switched off.

use pharos_coordinator::{Request, Response};
use pharos_protocol::ErrorCode;
use pharos_protocol::messages as m;
use pharos_protocol::messages::consumer_group_describe_response::DescribedGroup as ConsumerDescribedGroup;
use pharos_protocol::messages::delete_groups_response::DeletableGroupResult;
use pharos_protocol::messages::describe_groups_response::DescribedGroup;
use pharos_protocol::messages::offset_commit_request::OffsetCommitRequestTopic;
use pharos_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use pharos_protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;

/// `error` in the shape that answers `request`.
pub fn refused(request: &Request, error: ErrorCode) -> Response {
    let answer = match request {
        Request::JoinGroup(request) => Response::JoinGroup(m::JoinGroupResponse {
            member_id: request.member_id.clone(),
            ..Default::default()
        }),
        Request::SyncGroup(_) => Response::SyncGroup(Default::default()),
        Request::Heartbeat(_) => Response::Heartbeat(Default::default()),
        Request::LeaveGroup(_) => Response::LeaveGroup(Default::default()),
        Request::OffsetCommit(request) => Response::OffsetCommit(m::OffsetCommitResponse {
            topics: request.topics.iter().map(uncommitted).collect(),
            ..Default::default()
        }),
        Request::OffsetFetch { group, .. } => Response::OffsetFetch(OffsetFetchResponseGroup {
            group_id: group.group_id.clone(),
            ..Default::default()
        }),
        Request::OffsetDelete(_) => Response::OffsetDelete(Default::default()),
        Request::ConsumerGroupHeartbeat(_) => Response::ConsumerGroupHeartbeat(Default::default()),
        Request::DescribeGroup(group) => Response::DescribeGroup(DescribedGroup {
            group_id: group.clone(),
            ..Default::default()
        }),
        Request::ConsumerGroupDescribe(group) => {
            Response::ConsumerGroupDescribe(ConsumerDescribedGroup {
                group_id: group.clone(),
                ..Default::default()
            })
        }
        Request::ListGroups { .. } => Response::ListGroups(Vec::new()),
        Request::DeleteGroup(group) => Response::DeleteGroup(DeletableGroupResult {
            group_id: group.clone(),
            ..Default::default()
        }),
    };
    answer.failed(error)
}

fn uncommitted(topic: &OffsetCommitRequestTopic) -> OffsetCommitResponseTopic {
    let partitions = topic.partitions.iter().map(|partition| OffsetCommitResponsePartition {
        partition_index: partition.partition_index,
        ..Default::default()
    });
    OffsetCommitResponseTopic {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: partitions.collect(),
    }
}
