//! The answers of a shard, and the same answers turned into errors.

use crate::wire::consumer_group_describe_response::DescribedGroup as ConsumerDescribedGroup;
use crate::wire::delete_groups_response::DeletableGroupResult;
use crate::wire::describe_groups_response::DescribedGroup;
use crate::wire::list_groups_response::ListedGroup;
use crate::wire::offset_fetch_response::OffsetFetchResponseGroup;
use crate::wire::{
    ConsumerGroupHeartbeatResponse, ErrorCode, HeartbeatResponse, JoinGroupResponse,
    LeaveGroupResponse, OffsetCommitResponse, OffsetDeleteResponse, SyncGroupResponse,
};

/// An answer; the variants match those of [`crate::Request`].
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    /// JoinGroup.
    JoinGroup(JoinGroupResponse),
    /// SyncGroup.
    SyncGroup(SyncGroupResponse),
    /// Heartbeat.
    Heartbeat(HeartbeatResponse),
    /// LeaveGroup.
    LeaveGroup(LeaveGroupResponse),
    /// OffsetCommit.
    OffsetCommit(OffsetCommitResponse),
    /// One group of OffsetFetch.
    OffsetFetch(OffsetFetchResponseGroup),
    /// OffsetDelete.
    OffsetDelete(OffsetDeleteResponse),
    /// ConsumerGroupHeartbeat.
    ConsumerGroupHeartbeat(ConsumerGroupHeartbeatResponse),
    /// One group of DescribeGroups.
    DescribeGroup(DescribedGroup),
    /// One group of ConsumerGroupDescribe.
    ConsumerGroupDescribe(ConsumerDescribedGroup),
    /// This shard's part of ListGroups.
    ListGroups(Vec<ListedGroup>),
    /// One group of DeleteGroups.
    DeleteGroup(DeletableGroupResult),
}

impl Response {
    /// The answer to the same request that says `error` instead; what the request named (topics,
    /// partitions, members) stays. For answers that wait for a commit which does not come.
    #[must_use]
    pub fn failed(self, error: ErrorCode) -> Self {
        let code = error.code();
        match self {
            Self::JoinGroup(was) => Self::JoinGroup(JoinGroupResponse {
                error_code: code,
                member_id: was.member_id,
                protocol_name: was.protocol_name.map(|_| String::new()),
                ..JoinGroupResponse::default()
            }),
            Self::SyncGroup(_) => {
                Self::SyncGroup(SyncGroupResponse { error_code: code, ..Default::default() })
            }
            Self::Heartbeat(_) => {
                Self::Heartbeat(HeartbeatResponse { error_code: code, ..Default::default() })
            }
            Self::LeaveGroup(_) => {
                Self::LeaveGroup(LeaveGroupResponse { error_code: code, ..Default::default() })
            }
            Self::OffsetCommit(mut was) => {
                for partition in was.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
                    partition.error_code = code;
                }
                Self::OffsetCommit(was)
            }
            Self::OffsetFetch(was) => Self::OffsetFetch(OffsetFetchResponseGroup {
                group_id: was.group_id,
                error_code: code,
                ..Default::default()
            }),
            Self::OffsetDelete(_) => {
                Self::OffsetDelete(OffsetDeleteResponse { error_code: code, ..Default::default() })
            }
            Self::ConsumerGroupHeartbeat(_) => {
                Self::ConsumerGroupHeartbeat(ConsumerGroupHeartbeatResponse {
                    error_code: code,
                    ..Default::default()
                })
            }
            Self::DescribeGroup(was) => Self::DescribeGroup(DescribedGroup {
                group_id: was.group_id,
                error_code: code,
                ..Default::default()
            }),
            Self::ConsumerGroupDescribe(was) => {
                Self::ConsumerGroupDescribe(ConsumerDescribedGroup {
                    group_id: was.group_id,
                    error_code: code,
                    ..Default::default()
                })
            }
            Self::ListGroups(_) => Self::ListGroups(Vec::new()),
            Self::DeleteGroup(was) => {
                Self::DeleteGroup(DeletableGroupResult { group_id: was.group_id, error_code: code })
            }
        }
    }
}
