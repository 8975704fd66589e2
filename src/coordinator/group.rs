//! A group of either protocol, and what both have in common.

use crate::classic::ClassicGroup;
use crate::classic::group::Phase;
use crate::consumer::ConsumerGroup;
use crate::view::GroupState;
use crate::wire::ErrorCode;

/// A group that exists.
#[derive(Clone, Debug)]
pub(crate) enum Group {
    /// Of the classic protocol, or made by committing offsets alone.
    Classic(ClassicGroup),
    /// Of the consumer protocol (KIP-848).
    Consumer(ConsumerGroup),
}

impl Group {
    /// The state that clients and metrics see.
    pub(crate) fn state(&self) -> GroupState {
        match self {
            Self::Classic(group) => match group.phase {
                Phase::Empty => GroupState::ClassicEmpty,
                Phase::PreparingRebalance { .. } => GroupState::ClassicPreparingRebalance,
                Phase::CompletingRebalance => GroupState::ClassicCompletingRebalance,
                Phase::Stable => GroupState::ClassicStable,
            },
            Self::Consumer(group) => group.state(),
        }
    }

    /// `classic` or `consumer`.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Classic(_) => "classic",
            Self::Consumer(_) => "consumer",
        }
    }

    pub(crate) fn protocol_type(&self) -> &str {
        match self {
            Self::Classic(group) => group.protocol_type.as_deref().unwrap_or_default(),
            Self::Consumer(_) => crate::classic::group::CONSUMER_PROTOCOL_TYPE,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Classic(group) => group.phase == Phase::Empty,
            Self::Consumer(group) => group.members.is_empty(),
        }
    }

    /// Whether offsets of `topic` are in use by a member.
    pub(crate) fn is_subscribed(&self, topic: &str) -> bool {
        match self {
            Self::Classic(group) => group.is_subscribed(topic),
            Self::Consumer(group) => group.is_subscribed(topic),
        }
    }

    /// Whether offsets may be deleted at all.
    ///
    /// # Errors
    /// NON_EMPTY_GROUP when members of an unknown protocol might use any of them.
    pub(crate) fn validate_offset_delete(&self) -> Result<(), ErrorCode> {
        match self {
            Self::Classic(group)
                if group.phase != Phase::Empty && !group.uses_consumer_protocol() =>
            {
                Err(ErrorCode::NonEmptyGroup)
            }
            Self::Classic(_) | Self::Consumer(_) => Ok(()),
        }
    }
}
