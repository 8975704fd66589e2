//! What a coordinator is told by the configuration; refuses to read any key itself.
//!
//! Every field carries the name of the broker key that feeds it. Defaults are those of Apache
//! Kafka 4.3 (`GroupCoordinatorConfig`).

use std::collections::HashMap;
use std::sync::Arc;

/// Which conversions between classic and consumer groups are done while members are active
/// (`group.consumer.migration.policy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MigrationPolicy {
    /// Both ways.
    #[default]
    Bidirectional,
    /// Classic to consumer only.
    Upgrade,
    /// Consumer to classic only.
    Downgrade,
    /// None: only empty groups change their type.
    Disabled,
}

impl MigrationPolicy {
    /// Reads the value of the key, in any case; `None` when it names no policy.
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "bidirectional" => Some(Self::Bidirectional),
            "upgrade" => Some(Self::Upgrade),
            "downgrade" => Some(Self::Downgrade),
            "disabled" => Some(Self::Disabled),
            _ => None,
        }
    }

    pub(crate) fn allows_upgrade(self) -> bool {
        matches!(self, Self::Bidirectional | Self::Upgrade)
    }

    pub(crate) fn allows_downgrade(self) -> bool {
        matches!(self, Self::Bidirectional | Self::Downgrade)
    }
}

/// A server-side assignor of the consumer protocol (`group.consumer.assignors`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Assignor {
    /// Even shares, and members keep what they have.
    Uniform,
    /// Consecutive partitions of each topic, aligned between topics of one size.
    Range,
}

impl Assignor {
    /// The assignor of that name; `None` when there is none.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "uniform" => Some(Self::Uniform),
            "range" => Some(Self::Range),
            _ => None,
        }
    }

    /// The name that clients ask for.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }
}

/// What `kafka-configs --entity-type groups` sets for one group; `None` leaves the broker's value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupOverrides {
    /// `consumer.session.timeout.ms`
    pub consumer_session_timeout_ms: Option<i32>,
    /// `consumer.heartbeat.interval.ms`
    pub consumer_heartbeat_interval_ms: Option<i32>,
    /// `consumer.assignment.interval.ms`
    pub consumer_assignment_interval_ms: Option<i32>,
}

/// The settings of every shard of one node. Times are in milliseconds.
#[derive(Clone, Debug)]
pub struct Config {
    /// `group.min.session.timeout.ms`
    pub classic_min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`
    pub classic_max_session_timeout_ms: i32,
    /// `group.initial.rebalance.delay.ms`
    pub classic_initial_rebalance_delay_ms: i32,
    /// `group.max.size`
    pub classic_max_size: usize,
    /// How long a member that has no id yet may wait in JoinGroup
    /// (`CLASSIC_GROUP_NEW_MEMBER_JOIN_TIMEOUT_MS`, not configurable).
    pub classic_new_member_join_timeout_ms: i32,
    /// `group.consumer.session.timeout.ms`
    pub consumer_session_timeout_ms: i32,
    /// `group.consumer.heartbeat.interval.ms`
    pub consumer_heartbeat_interval_ms: i32,
    /// `group.consumer.assignment.interval.ms`
    pub consumer_assignment_interval_ms: i32,
    /// `group.consumer.regex.refresh.interval.ms`
    pub consumer_regex_refresh_interval_ms: i64,
    /// `group.consumer.max.size`
    pub consumer_max_size: usize,
    /// `group.consumer.assignors`; the first is used when no member asks for one.
    pub consumer_assignors: Vec<Assignor>,
    /// `group.consumer.migration.policy`
    pub consumer_migration_policy: MigrationPolicy,
    /// `offset.metadata.max.bytes`: UTF-16 units, as Java counts them.
    pub offset_metadata_max_size: usize,
    /// `offsets.retention.minutes`, in milliseconds.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`
    pub offsets_retention_check_interval_ms: i64,
    /// Settings of single groups, by group id.
    pub groups: HashMap<Arc<str>, GroupOverrides>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            classic_min_session_timeout_ms: 6_000,
            classic_max_session_timeout_ms: 1_800_000,
            classic_initial_rebalance_delay_ms: 3_000,
            classic_max_size: i32::MAX as usize,
            classic_new_member_join_timeout_ms: 5 * 60 * 1000,
            consumer_session_timeout_ms: 45_000,
            consumer_heartbeat_interval_ms: 5_000,
            consumer_assignment_interval_ms: 1_000,
            consumer_regex_refresh_interval_ms: 600_000,
            consumer_max_size: i32::MAX as usize,
            consumer_assignors: vec![Assignor::Uniform, Assignor::Range],
            consumer_migration_policy: MigrationPolicy::Bidirectional,
            offset_metadata_max_size: 4096,
            offsets_retention_ms: 7 * 24 * 60 * 60 * 1000,
            offsets_retention_check_interval_ms: 600_000,
            groups: HashMap::new(),
        }
    }
}

impl Config {
    fn overrides(&self, group: &str) -> GroupOverrides {
        self.groups.get(group).copied().unwrap_or_default()
    }

    pub(crate) fn session_timeout_ms(&self, group: &str) -> i32 {
        self.overrides(group)
            .consumer_session_timeout_ms
            .unwrap_or(self.consumer_session_timeout_ms)
    }

    pub(crate) fn heartbeat_interval_ms(&self, group: &str) -> i32 {
        self.overrides(group)
            .consumer_heartbeat_interval_ms
            .unwrap_or(self.consumer_heartbeat_interval_ms)
    }

    pub(crate) fn assignment_interval_ms(&self, group: &str) -> i32 {
        self.overrides(group)
            .consumer_assignment_interval_ms
            .unwrap_or(self.consumer_assignment_interval_ms)
    }

    pub(crate) fn default_assignor(&self) -> Assignor {
        self.consumer_assignors.first().copied().unwrap_or(Assignor::Uniform)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_in_any_case() {
        assert_eq!(MigrationPolicy::parse("BIDIRECTIONAL"), Some(MigrationPolicy::Bidirectional));
        assert_eq!(MigrationPolicy::parse("upgrade"), Some(MigrationPolicy::Upgrade));
        assert_eq!(MigrationPolicy::parse("sideways"), None);
    }

    #[test]
    fn a_group_may_override_the_broker() {
        let mut config = Config::default();
        let own = GroupOverrides {
            consumer_session_timeout_ms: Some(50_000),
            ..GroupOverrides::default()
        };
        config.groups.insert("g".into(), own);
        assert_eq!(config.session_timeout_ms("g"), 50_000);
        assert_eq!(config.session_timeout_ms("other"), 45_000);
        assert_eq!(config.heartbeat_interval_ms("g"), 5_000);
    }
}
