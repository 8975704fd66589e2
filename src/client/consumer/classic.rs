//! Membership by the classic protocol: JoinGroup, SyncGroup, Heartbeat, LeaveGroup.
//!
//! The member follows the coordinator: it joins when it is new or told to, assigns when it is the
//! leader, and keeps its heart beating while the generation lasts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use pharos_base::TopicPartition;
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use pharos_protocol::messages::leave_group_request::MemberIdentity;
use pharos_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use pharos_protocol::messages::{
    JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, SyncGroupRequest,
};

use super::assignor::{Assignor, Member};
use super::config::ConsumerConfig;
use super::coordinator::{Coordinator, Identity};
use super::embedded::{read_assignment, read_member, write_assignment, write_subscription};
use super::heart::{Heart, HeartShared};
use crate::error::{ClientError, Result, error_code};
use crate::wire::millis;

const PROTOCOL_TYPE: &str = "consumer";
/// Time beyond the rebalance time-out that an answer to JoinGroup may take.
const JOIN_GRACE: Duration = Duration::from_secs(5);

/// A member of a classic group.
pub(crate) struct ClassicMember {
    coordinator: Coordinator,
    config: Arc<ConsumerConfig>,
    identity: Identity,
    /// The generation in which the owned partitions were assigned.
    owned_generation: i32,
    /// True once the coordinator's latest assignment is in place.
    joined: bool,
    heart: Heart,
}

impl ClassicMember {
    pub fn new(coordinator: Coordinator, config: Arc<ConsumerConfig>) -> Self {
        let identity =
            Identity { instance_id: config.group_instance_id.clone(), ..Identity::outsider() };
        Self {
            coordinator,
            config,
            identity,
            owned_generation: -1,
            joined: false,
            heart: Heart::default(),
        }
    }

    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Wakes when the heartbeat has news.
    pub fn told(&self) -> Arc<HeartShared> {
        self.heart.shared.clone()
    }

    /// True when only what moves is given up in a rebalance (KIP-429).
    pub fn is_cooperative(&self) -> bool {
        self.config.assignors.iter().all(|a| *a == Assignor::CooperativeSticky)
    }

    /// Notes that the application is alive; true when a rebalance is due.
    pub fn poll(&mut self) -> Result<bool> {
        match self.heart.shared.poll() {
            None => {}
            Some(ErrorCode::RebalanceInProgress) => self.joined = false,
            Some(ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration) => self.lose(),
            Some(code) => return Err(ClientError::Broker { code, message: None }),
        }
        Ok(!self.joined)
    }

    /// Asks for a new round, for instance because the subscription has changed.
    pub fn rejoin(&mut self) {
        self.joined = false;
    }

    fn lose(&mut self) {
        self.joined = false;
        self.identity.generation = -1;
        self.identity.member_id.clear();
        self.owned_generation = -1;
    }

    /// One round: join, assign if leader, sync. Returns the new assignment.
    ///
    /// # Errors
    /// A retriable one when another round is needed; others end the membership.
    pub async fn round(
        &mut self,
        topics: &BTreeSet<String>,
        owned: &BTreeSet<TopicPartition>,
    ) -> Result<BTreeSet<TopicPartition>> {
        self.heart.stop();
        let outcome = self.join_and_sync(topics, owned).await;
        if let Err(error) = &outcome {
            self.coordinator.notice(error);
            match error.code() {
                Some(ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration) => {
                    self.lose();
                    return Err(again());
                }
                Some(ErrorCode::RebalanceInProgress) => return Err(again()),
                _ => {}
            }
        }
        let assigned = outcome?;
        self.joined = true;
        self.owned_generation = self.identity.generation;
        self.heart.start(&self.coordinator, &self.config, &self.identity);
        Ok(assigned)
    }

    async fn join_and_sync(
        &mut self,
        topics: &BTreeSet<String>,
        owned: &BTreeSet<TopicPartition>,
    ) -> Result<BTreeSet<TopicPartition>> {
        let joined = self.join(topics, owned).await?;
        self.identity.generation = joined.generation_id;
        self.identity.member_id.clone_from(&joined.member_id);
        let protocol = joined.protocol_name.clone().unwrap_or_default();
        let leads = joined.leader == joined.member_id && !joined.skip_assignment;
        let assignments = if leads { self.assign(&protocol, &joined).await? } else { Vec::new() };
        let request = SyncGroupRequest {
            group_id: self.coordinator.group_id().to_owned(),
            generation_id: self.identity.generation,
            member_id: self.identity.member_id.clone(),
            group_instance_id: self.identity.instance_id.clone(),
            protocol_type: Some(PROTOCOL_TYPE.to_owned()),
            protocol_name: Some(protocol),
            assignments,
        };
        let timeout = self.config.max_poll_interval + JOIN_GRACE;
        let response = self.coordinator.call_within(timeout, &request).await?;
        self.coordinator.check(response.error_code)?;
        Ok(read_assignment(&response.assignment).into_iter().collect())
    }

    async fn join(
        &mut self,
        topics: &BTreeSet<String>,
        owned: &BTreeSet<TopicPartition>,
    ) -> Result<JoinGroupResponse> {
        let metadata =
            write_subscription(topics, owned, self.owned_generation, self.config.rack.clone())?;
        let protocols = self.config.assignors.iter().map(|assignor| JoinGroupRequestProtocol {
            name: assignor.name().to_owned(),
            metadata: metadata.clone(),
        });
        let mut request = JoinGroupRequest {
            group_id: self.coordinator.group_id().to_owned(),
            session_timeout_ms: int(self.config.session_timeout),
            rebalance_timeout_ms: int(self.config.max_poll_interval),
            member_id: self.identity.member_id.clone(),
            group_instance_id: self.identity.instance_id.clone(),
            protocol_type: PROTOCOL_TYPE.to_owned(),
            protocols: protocols.collect(),
            reason: None,
        };
        let timeout = self.config.max_poll_interval + JOIN_GRACE;
        let mut response = self.coordinator.call_within(timeout, &request).await?;
        if error_code(response.error_code) == ErrorCode::MemberIdRequired {
            // KIP-394: the coordinator hands out the id first, so that no dead member is kept.
            self.identity.member_id.clone_from(&response.member_id);
            request.member_id.clone_from(&response.member_id);
            response = self.coordinator.call_within(timeout, &request).await?;
        }
        self.coordinator.check(response.error_code)?;
        Ok(response)
    }

    async fn assign(
        &self,
        protocol: &str,
        joined: &JoinGroupResponse,
    ) -> Result<Vec<SyncGroupRequestAssignment>> {
        let assignor = Assignor::by_name(protocol).ok_or_else(|| {
            ClientError::Usage(format!("the group chose the unknown assignor {protocol}"))
        })?;
        let members: Vec<Member> = joined
            .members
            .iter()
            .map(|member| {
                let instance_id = member.group_instance_id.clone();
                read_member(&member.member_id, instance_id, &member.metadata)
            })
            .collect();
        let wanted: BTreeSet<String> =
            members.iter().flat_map(|member| member.topics.iter().cloned()).collect();
        let names: Vec<String> = wanted.into_iter().collect();
        let metadata = self.coordinator.cluster().refresh(Some(&names), false).await?;
        let topics: BTreeMap<String, i32> = names
            .into_iter()
            .filter_map(|name| {
                let count = metadata.topics.get(&name)?.partitions.len();
                Some((name, i32::try_from(count).unwrap_or(i32::MAX)))
            })
            .collect();
        let shared = assignor.assign(&topics, &members);
        shared
            .into_iter()
            .map(|(member_id, topics)| {
                let assignment = write_assignment(topics.into_iter().collect())?;
                Ok(SyncGroupRequestAssignment { member_id, assignment })
            })
            .collect()
    }

    /// Leaves the group; static members stay until their session ends (KIP-345).
    pub async fn leave(&mut self) -> Result<()> {
        self.heart.stop();
        if self.identity.member_id.is_empty() || self.identity.instance_id.is_some() {
            return Ok(());
        }
        let member_id = std::mem::take(&mut self.identity.member_id);
        let group_id = self.coordinator.group_id().to_owned();
        let build = |version: i16| {
            let mut request = LeaveGroupRequest { group_id, ..Default::default() };
            if version >= 3 {
                request.members = vec![MemberIdentity { member_id, ..Default::default() }];
            } else {
                request.member_id = member_id;
            }
            Ok(request)
        };
        let (response, _) = self.coordinator.call_versioned(i16::MAX, build).await?;
        self.coordinator.check(response.error_code)
    }
}

/// Another round is needed.
fn again() -> ClientError {
    ClientError::Broker { code: ErrorCode::CoordinatorLoadInProgress, message: None }
}

fn int(duration: Duration) -> i32 {
    i32::try_from(millis(duration)).unwrap_or(i32::MAX)
}
