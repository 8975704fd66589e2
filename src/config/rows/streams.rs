//! Rows of streams groups: without meaning while there are none.

use super::reasons::STREAMS;
use crate::row::broker_rows;

broker_rows! {
    /// Least milliseconds between two assignments of a streams group.
    GROUP_STREAMS_ASSIGNMENT_INTERVAL_MS: i32 = key("group.streams.assignment.interval.ms")
        .default("1000").at_least(0).cluster_wide().no_meaning(STREAMS);
    /// Milliseconds between a streams member's heartbeats.
    GROUP_STREAMS_HEARTBEAT_INTERVAL_MS: i32 = key("group.streams.heartbeat.interval.ms")
        .default("5000").at_least(1).no_meaning(STREAMS);
    /// Milliseconds that an empty streams group waits for more members.
    GROUP_STREAMS_INITIAL_REBALANCE_DELAY_MS: i32 = key("group.streams.initial.rebalance.delay.ms")
        .default("3000").at_least(0).no_meaning(STREAMS);
    /// Largest assignment interval that a streams group may set.
    GROUP_STREAMS_MAX_ASSIGNMENT_INTERVAL_MS: i32 = key("group.streams.max.assignment.interval.ms")
        .default("15000").at_least(0).no_meaning(STREAMS);
    /// Largest heartbeat interval that a streams group may set.
    GROUP_STREAMS_MAX_HEARTBEAT_INTERVAL_MS: i32 = key("group.streams.max.heartbeat.interval.ms")
        .default("15000").at_least(1).no_meaning(STREAMS);
    /// Largest session time-out that a streams group may set.
    GROUP_STREAMS_MAX_SESSION_TIMEOUT_MS: i32 = key("group.streams.max.session.timeout.ms")
        .default("60000").at_least(1).no_meaning(STREAMS);
    /// Most members of one streams group.
    GROUP_STREAMS_MAX_SIZE: i32 = key("group.streams.max.size")
        .default("2147483647").at_least(1).no_meaning(STREAMS);
    /// Most standby replicas that a streams group may set.
    GROUP_STREAMS_MAX_STANDBY_REPLICAS: i32 = key("group.streams.max.standby.replicas")
        .default("2").at_least(0).no_meaning(STREAMS);
    /// Smallest assignment interval that a streams group may set.
    GROUP_STREAMS_MIN_ASSIGNMENT_INTERVAL_MS: i32 = key("group.streams.min.assignment.interval.ms")
        .default("0").at_least(0).no_meaning(STREAMS);
    /// Smallest heartbeat interval that a streams group may set.
    GROUP_STREAMS_MIN_HEARTBEAT_INTERVAL_MS: i32 = key("group.streams.min.heartbeat.interval.ms")
        .default("5000").at_least(1).no_meaning(STREAMS);
    /// Smallest session time-out that a streams group may set.
    GROUP_STREAMS_MIN_SESSION_TIMEOUT_MS: i32 = key("group.streams.min.session.timeout.ms")
        .default("45000").at_least(1).no_meaning(STREAMS);
    /// Standby replicas of each task of a streams group.
    GROUP_STREAMS_NUM_STANDBY_REPLICAS: i32 = key("group.streams.num.standby.replicas")
        .default("0").at_least(0).no_meaning(STREAMS);
    /// Milliseconds without a heartbeat after which a streams member is dropped.
    GROUP_STREAMS_SESSION_TIMEOUT_MS: i32 = key("group.streams.session.timeout.ms")
        .default("45000").at_least(1).no_meaning(STREAMS);
}
