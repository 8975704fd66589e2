//! The server-side assignors: who shall read what.
//!
//! Pure functions of the members, their subscriptions, and what they had.

pub(crate) mod range;
pub(crate) mod uniform;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pharos_base::TopicId;

use super::member::Assignment;
use crate::config::Assignor;

/// A member as assignors see it.
#[derive(Clone, Debug)]
pub(crate) struct MemberSpec {
    pub id: Arc<str>,
    pub instance_id: Option<String>,
    /// Topics that it reads and that exist.
    pub topics: BTreeSet<TopicId>,
    /// Its target up to now.
    pub current: Assignment,
}

/// Number of partitions of every topic that any member reads.
pub(crate) type PartitionCounts = BTreeMap<TopicId, i32>;

/// The new targets, in the order of the members.
pub(crate) fn assign(
    assignor: Assignor,
    members: &[MemberSpec],
    counts: &PartitionCounts,
) -> Vec<Assignment> {
    match assignor {
        Assignor::Uniform => uniform::assign(members, counts),
        Assignor::Range => range::assign(members, counts),
    }
}
