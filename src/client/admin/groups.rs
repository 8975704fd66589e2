//! Groups: list, describe under either protocol, offsets, delete.

use std::collections::HashMap;

use pharos_base::{BrokerId, TopicPartition};
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::consumer_group_describe_response::{
    Assignment, DescribedGroup as ModernGroup,
};
use pharos_protocol::messages::describe_groups_response::DescribedGroup as ClassicGroup;
use pharos_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use pharos_protocol::messages::{
    ConsumerGroupDescribeRequest, DeleteGroupsRequest, DescribeGroupsRequest, ListGroupsRequest,
    OffsetDeleteRequest,
};

use super::Admin;
use crate::cluster::Target;
use crate::consumer::coordinator::by_topic;
use crate::consumer::{Committed, Coordinator, Identity, read_assignment};
use crate::error::{ClientError, Result, error_code};

/// A group as listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupListing {
    /// Its id.
    pub group_id: String,
    /// `consumer`, `connect`, ...; empty for a group that only holds offsets.
    pub protocol_type: String,
    /// `Stable`, `Empty`, ...; empty from old brokers.
    pub state: String,
    /// `classic`, `consumer`, ...; empty from old brokers.
    pub group_type: String,
}

/// A member of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupMember {
    /// Member id.
    pub member_id: String,
    /// Name of a static member.
    pub instance_id: Option<String>,
    /// `client.id`.
    pub client_id: String,
    /// Where it connects from, as `/address`.
    pub host: String,
    /// What it reads.
    pub assignment: Vec<TopicPartition>,
    /// What it is to read; None under the classic protocol.
    pub target: Option<Vec<TopicPartition>>,
    /// Its epoch; None under the classic protocol.
    pub epoch: Option<i32>,
    /// True for one that still speaks the classic protocol in a group of the other.
    pub upgraded: Option<bool>,
}

/// A group as described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDescription {
    /// Its id.
    pub group_id: String,
    /// `Classic` or `Consumer`.
    pub group_type: &'static str,
    /// `Stable`, `Empty`, `Dead`, ...
    pub state: String,
    /// The assignor; empty when there is none.
    pub assignor: String,
    /// Its members.
    pub members: Vec<GroupMember>,
    /// The broker that coordinates it.
    pub coordinator: BrokerId,
    /// Group epoch; None under the classic protocol.
    pub epoch: Option<i32>,
    /// Epoch of the target assignment; None under the classic protocol.
    pub target_epoch: Option<i32>,
    /// True for a simple consumer group or one of consumers.
    pub of_consumers: bool,
}

/// What became of a deletion of offsets.
pub struct GroupOffsetsDeletion {
    /// Why nothing was deleted.
    pub group_error: Option<ClientError>,
    /// Outcomes by partition.
    pub partitions: HashMap<TopicPartition, ErrorCode>,
}

impl Admin {
    /// Groups of all brokers, filtered by state and type where lists are given.
    ///
    /// # Errors
    /// When a broker does not answer in time.
    pub async fn list_groups(
        &self,
        states: &[String],
        types: &[String],
    ) -> Result<Vec<GroupListing>> {
        let deadline = self.cluster.deadline();
        let mut groups = Vec::new();
        for node in self.cluster.nodes().await? {
            let target = Target::Broker(node.id);
            let ask = || self.list_groups_at(target, states, types);
            groups.extend(self.cluster.retry_until(deadline, "listing groups", ask).await?);
        }
        Ok(groups)
    }

    async fn list_groups_at(
        &self,
        target: Target,
        states: &[String],
        types: &[String],
    ) -> Result<Vec<GroupListing>> {
        let build = |version: i16| {
            let mut request = ListGroupsRequest::default();
            if version >= 4 {
                request.states_filter = states.to_vec();
            }
            if version >= 5 {
                request.types_filter = types.to_vec();
            }
            Ok(request)
        };
        let (response, _) = self.cluster.call_versioned(target, i16::MAX, build).await?;
        ClientError::check(response.error_code, None)?;
        let groups = response.groups.into_iter().map(|group| GroupListing {
            group_id: group.group_id,
            protocol_type: group.protocol_type,
            state: group.group_state,
            group_type: group.group_type,
        });
        Ok(groups.collect())
    }

    /// Describes one group: as one of the consumer protocol, and when it is none, as a classic one.
    ///
    /// # Errors
    /// GROUP_ID_NOT_FOUND when there is none; others when it is refused or nobody answers in time.
    pub async fn describe_group(&self, group_id: &str) -> Result<GroupDescription> {
        let coordinator = Coordinator::new(self.cluster.clone(), group_id);
        let ask = || async {
            match self.describe_modern(&coordinator).await {
                Err(error) if is_not_modern(&error) => self.describe_classic(&coordinator).await,
                outcome => outcome,
            }
        };
        self.cluster.retry(&format!("describing group {group_id}"), ask).await
    }

    async fn describe_modern(&self, coordinator: &Coordinator) -> Result<GroupDescription> {
        let id = coordinator.find().await?;
        let request = ConsumerGroupDescribeRequest {
            group_ids: vec![coordinator.group_id().to_owned()],
            include_authorized_operations: false,
        };
        let response = coordinator.call(&request).await?;
        let group = response.groups.into_iter().next().ok_or_else(not_found)?;
        let outcome = ClientError::check(group.error_code, group.error_message.as_deref());
        if let Err(error) = &outcome {
            coordinator.notice(error);
        }
        outcome.map(|()| modern(group, id))
    }

    async fn describe_classic(&self, coordinator: &Coordinator) -> Result<GroupDescription> {
        let id = coordinator.find().await?;
        let request = DescribeGroupsRequest {
            groups: vec![coordinator.group_id().to_owned()],
            include_authorized_operations: false,
        };
        let response = coordinator.call(&request).await?;
        let group = response.groups.into_iter().next().ok_or_else(not_found)?;
        let message = group.error_message.as_deref();
        let outcome = ClientError::check(group.error_code, message);
        if let Err(error) = &outcome {
            coordinator.notice(error);
        }
        outcome.map(|()| classic(group, id))
    }

    /// Committed offsets of a group.
    ///
    /// # Errors
    /// When it is refused or nobody answers in time.
    pub async fn group_offsets(
        &self,
        group_id: &str,
        partitions: Option<&[TopicPartition]>,
    ) -> Result<HashMap<TopicPartition, Committed>> {
        let coordinator = Coordinator::new(self.cluster.clone(), group_id);
        let outsider = Identity::outsider();
        let ask = || coordinator.committed(&outsider, partitions, false);
        self.cluster.retry(&format!("reading offsets of group {group_id}"), ask).await
    }

    /// Sets offsets of a group without active members; outcomes by partition.
    ///
    /// # Errors
    /// When nobody answers in time.
    pub async fn alter_group_offsets(
        &self,
        group_id: &str,
        offsets: &HashMap<TopicPartition, Committed>,
    ) -> Result<HashMap<TopicPartition, ErrorCode>> {
        let coordinator = Coordinator::new(self.cluster.clone(), group_id);
        let outsider = Identity::outsider();
        let ask = || async {
            let outcomes = coordinator.commit(&outsider, offsets).await?;
            match outcomes.values().find(|code| code.retriable()) {
                Some(code) => Err(ClientError::Broker { code: *code, message: None }),
                None => Ok(outcomes),
            }
        };
        self.cluster.retry(&format!("setting offsets of group {group_id}"), ask).await
    }

    /// Deletes offsets of a group.
    ///
    /// # Errors
    /// When nobody answers in time.
    pub async fn delete_group_offsets(
        &self,
        group_id: &str,
        partitions: &[TopicPartition],
    ) -> Result<GroupOffsetsDeletion> {
        let coordinator = Coordinator::new(self.cluster.clone(), group_id);
        let entry = |partition_index: i32| OffsetDeleteRequestPartition { partition_index };
        let topics = by_topic(partitions).into_iter().map(|(name, list)| {
            OffsetDeleteRequestTopic { name, partitions: list.into_iter().map(entry).collect() }
        });
        let request =
            OffsetDeleteRequest { group_id: group_id.to_owned(), topics: topics.collect() };
        let ask = || async {
            let response = coordinator.call(&request).await?;
            match ClientError::from_code(response.error_code, None) {
                Some(error) if error.is_retriable() => {
                    coordinator.notice(&error);
                    Err(error)
                }
                group_error => Ok((group_error, response)),
            }
        };
        let what = format!("deleting offsets of group {group_id}");
        let (group_error, response) = self.cluster.retry(&what, ask).await?;
        let outcomes = response.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|partition| {
                let name = TopicPartition::new(topic.name.as_str(), partition.partition_index);
                (name, error_code(partition.error_code))
            })
        });
        Ok(GroupOffsetsDeletion { group_error, partitions: outcomes.collect() })
    }

    /// Deletes a group.
    ///
    /// # Errors
    /// When it is refused or nobody answers in time.
    pub async fn delete_group(&self, group_id: &str) -> Result<()> {
        let coordinator = Coordinator::new(self.cluster.clone(), group_id);
        let request = DeleteGroupsRequest { groups_names: vec![group_id.to_owned()] };
        let ask = || async {
            let response = coordinator.call(&request).await?;
            let result = response.results.first();
            coordinator.check(result.map_or(0, |result| result.error_code))
        };
        self.cluster.retry(&format!("deleting group {group_id}"), ask).await
    }
}

fn not_found() -> ClientError {
    ClientError::Broker { code: ErrorCode::GroupIdNotFound, message: None }
}

/// Answers to ConsumerGroupDescribe that mean: ask by the classic way.
fn is_not_modern(error: &ClientError) -> bool {
    matches!(error, ClientError::Unsupported { .. })
        || matches!(error.code(), Some(ErrorCode::GroupIdNotFound | ErrorCode::UnsupportedVersion))
}

fn modern(group: ModernGroup, coordinator: BrokerId) -> GroupDescription {
    let members = group.members.into_iter().map(|member| GroupMember {
        assignment: partitions(&member.assignment),
        target: Some(partitions(&member.target_assignment)),
        epoch: Some(member.member_epoch),
        upgraded: match member.member_type {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
        member_id: member.member_id,
        instance_id: member.instance_id,
        client_id: member.client_id,
        host: member.client_host,
    });
    GroupDescription {
        members: members.collect(),
        group_id: group.group_id,
        group_type: "Consumer",
        state: group.group_state,
        assignor: group.assignor_name,
        coordinator,
        epoch: Some(group.group_epoch),
        target_epoch: Some(group.assignment_epoch),
        of_consumers: true,
    }
}

fn partitions(assignment: &Assignment) -> Vec<TopicPartition> {
    let of_topic =
        |topic: &pharos_protocol::messages::consumer_group_describe_response::TopicPartitions| {
            let name: std::sync::Arc<str> = topic.topic_name.as_str().into();
            topic
                .partitions
                .iter()
                .map(move |p| TopicPartition::new(name.clone(), *p))
                .collect::<Vec<_>>()
        };
    assignment.topic_partitions.iter().flat_map(of_topic).collect()
}

fn classic(group: ClassicGroup, coordinator: BrokerId) -> GroupDescription {
    let of_consumers = group.protocol_type.is_empty() || group.protocol_type == "consumer";
    let members = group.members.into_iter().map(|member| GroupMember {
        assignment: if of_consumers {
            read_assignment(&member.member_assignment)
        } else {
            Vec::new()
        },
        member_id: member.member_id,
        instance_id: member.group_instance_id,
        client_id: member.client_id,
        host: member.client_host,
        ..GroupMember::default()
    });
    GroupDescription {
        members: members.collect(),
        group_id: group.group_id,
        group_type: "Classic",
        state: group.group_state,
        assignor: group.protocol_data,
        coordinator,
        epoch: None,
        target_epoch: None,
        of_consumers,
    }
}
