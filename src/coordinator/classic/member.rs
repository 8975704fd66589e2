//! A member of a classic group.

use std::sync::Arc;

use bytes::Bytes;

use crate::event::Token;
use crate::wire::group_metadata_value::MemberMetadata;
use crate::wire::join_group_request::JoinGroupRequestProtocol;

/// One member: what is stored of it, and which of its requests wait.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub id: Arc<str>,
    pub instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    /// Protocols by preference. After a load only the chosen one is known.
    pub protocols: Vec<JoinGroupRequestProtocol>,
    pub assignment: Bytes,
    /// The JoinGroup that waits for the rebalance.
    pub join: Option<Token>,
    /// The SyncGroup that waits for the leader.
    pub sync: Option<Token>,
    /// Joined under an id that it has not been told yet, so it cannot send heartbeats.
    pub is_new: bool,
}

impl Member {
    /// The member that a stored generation describes.
    pub(crate) fn load(stored: MemberMetadata, protocol: Option<&str>) -> Self {
        let rebalance_timeout_ms = match stored.rebalance_timeout {
            -1 => stored.session_timeout,
            timeout => timeout,
        };
        let chosen = JoinGroupRequestProtocol {
            name: protocol.unwrap_or_default().to_owned(),
            metadata: stored.subscription,
        };
        Self {
            id: stored.member_id.into(),
            instance_id: stored.group_instance_id,
            client_id: stored.client_id,
            client_host: stored.client_host,
            rebalance_timeout_ms,
            session_timeout_ms: stored.session_timeout,
            protocols: vec![chosen],
            assignment: stored.assignment,
            join: None,
            sync: None,
            is_new: false,
        }
    }

    /// What is stored of the member when `protocol` was chosen.
    pub(crate) fn store(&self, protocol: Option<&str>, assignment: Bytes) -> MemberMetadata {
        MemberMetadata {
            member_id: self.id.to_string(),
            group_instance_id: self.instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            rebalance_timeout: self.rebalance_timeout_ms,
            session_timeout: self.session_timeout_ms,
            subscription: self.metadata(protocol),
            assignment,
        }
    }

    /// The member's metadata for `protocol`; empty if it does not know it.
    pub(crate) fn metadata(&self, protocol: Option<&str>) -> Bytes {
        self.protocols
            .iter()
            .find(|known| Some(known.name.as_str()) == protocol)
            .map(|known| known.metadata.clone())
            .unwrap_or_default()
    }

    /// Whether the member would bring exactly these protocols again.
    pub(crate) fn matches(&self, protocols: &[JoinGroupRequestProtocol]) -> bool {
        self.protocols == protocols
    }

    /// Whether silence is excused: the member waits for us, not we for it. A new member may be
    /// given up while it waits, since it cannot be told apart from one that has gone.
    pub(crate) fn may_be_silent(&self) -> bool {
        !self.is_new && (self.join.is_some() || self.sync.is_some())
    }

    /// The first of its protocols that is among the candidates.
    pub(crate) fn vote(&self, candidate: impl Fn(&str) -> bool) -> Option<&str> {
        self.protocols.iter().map(|known| known.name.as_str()).find(|name| candidate(name))
    }
}
