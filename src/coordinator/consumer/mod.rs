//! The consumer group protocol (KIP-848), a file per family.
//!
//! A consumer group is nothing but what its records say: every transition looks at the group and
//! returns records; replaying them is the only change. The rules are those of
//! `GroupMetadataManager`, `ConsumerGroup` and `CurrentAssignmentBuilder` in apache/kafka.

pub(crate) mod assignor;
pub(crate) mod classic_members;
pub(crate) mod group;
pub(crate) mod heartbeat;
pub(crate) mod leave;
pub(crate) mod member;
pub(crate) mod reconcile;
pub(crate) mod records;
pub(crate) mod subscription;
pub(crate) mod target;
pub(crate) mod validate;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use group::ConsumerGroup;

use crate::wire::ErrorCode;

/// Why a request was refused: the code, and words that help whoever reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub error: ErrorCode,
    pub message: String,
}

impl Refusal {
    pub(crate) fn new(error: ErrorCode, message: impl Into<String>) -> Self {
        Self { error, message: message.into() }
    }
}
