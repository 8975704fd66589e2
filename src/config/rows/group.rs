//! Rows of a group.

use super::reasons::{SHARE, STREAMS};
use crate::row::resource_rows;
use crate::value::Text;

resource_rows! {
    /// Least milliseconds between two assignments of the group.
    CONSUMER_ASSIGNMENT_INTERVAL_MS: i32 = key("consumer.assignment.interval.ms")
        .default("1000").at_least(0)
        .supplied_by(&[same("group.consumer.assignment.interval.ms")]);
    /// Milliseconds between a member's heartbeats.
    CONSUMER_HEARTBEAT_INTERVAL_MS: i32 = key("consumer.heartbeat.interval.ms")
        .default("5000").at_least(1)
        .supplied_by(&[same("group.consumer.heartbeat.interval.ms")]);
    /// Milliseconds without a heartbeat after which a member is dropped.
    CONSUMER_SESSION_TIMEOUT_MS: i32 = key("consumer.session.timeout.ms")
        .default("45000").at_least(1)
        .supplied_by(&[same("group.consumer.session.timeout.ms")]);
    /// Least milliseconds between two assignments of a share group.
    SHARE_ASSIGNMENT_INTERVAL_MS: i32 = key("share.assignment.interval.ms")
        .default("1000").at_least(0)
        .supplied_by(&[same("group.share.assignment.interval.ms")]).no_meaning(SHARE);
    /// Where a share group starts: `latest`, `earliest` or `by_duration:` and an ISO 8601 duration.
    SHARE_AUTO_OFFSET_RESET: Text = key("share.auto.offset.reset")
        .default("latest").offset_reset().no_meaning(SHARE);
    /// Times that a record is handed out before it counts as undeliverable.
    SHARE_DELIVERY_COUNT_LIMIT: i32 = key("share.delivery.count.limit")
        .default("5").at_least(2).supplied_by(&[same("group.share.delivery.count.limit")])
        .no_meaning(SHARE);
    /// Milliseconds between a share consumer's heartbeats.
    SHARE_HEARTBEAT_INTERVAL_MS: i32 = key("share.heartbeat.interval.ms")
        .default("5000").at_least(1).supplied_by(&[same("group.share.heartbeat.interval.ms")])
        .no_meaning(SHARE);
    /// Whether a share group sees records of open transactions.
    SHARE_ISOLATION_LEVEL: Text = key("share.isolation.level")
        .default("read_uncommitted").one_of(&["read_committed", "read_uncommitted"])
        .no_meaning(SHARE);
    /// Most locked records of one share partition.
    SHARE_PARTITION_MAX_RECORD_LOCKS: i32 = key("share.partition.max.record.locks")
        .default("2000").at_least(100)
        .supplied_by(&[same("group.share.partition.max.record.locks")]).no_meaning(SHARE);
    /// Milliseconds for which a delivered record stays locked.
    SHARE_RECORD_LOCK_DURATION_MS: i32 = key("share.record.lock.duration.ms")
        .default("30000").at_least(1000)
        .supplied_by(&[same("group.share.record.lock.duration.ms")]).no_meaning(SHARE);
    /// Whether a member may renew its lock of a record.
    SHARE_RENEW_ACKNOWLEDGE_ENABLE: bool = key("share.renew.acknowledge.enable")
        .default("true").no_meaning(SHARE);
    /// Milliseconds without a heartbeat after which a share consumer is dropped.
    SHARE_SESSION_TIMEOUT_MS: i32 = key("share.session.timeout.ms")
        .default("45000").at_least(1).supplied_by(&[same("group.share.session.timeout.ms")])
        .no_meaning(SHARE);
    /// Least milliseconds between two assignments of a streams group.
    STREAMS_ASSIGNMENT_INTERVAL_MS: i32 = key("streams.assignment.interval.ms")
        .default("1000").at_least(0)
        .supplied_by(&[same("group.streams.assignment.interval.ms")]).no_meaning(STREAMS);
    /// Milliseconds between a streams member's heartbeats.
    STREAMS_HEARTBEAT_INTERVAL_MS: i32 = key("streams.heartbeat.interval.ms")
        .default("5000").at_least(1)
        .supplied_by(&[same("group.streams.heartbeat.interval.ms")]).no_meaning(STREAMS);
    /// Milliseconds that an empty streams group waits for more members.
    STREAMS_INITIAL_REBALANCE_DELAY_MS: i32 = key("streams.initial.rebalance.delay.ms")
        .default("3000").at_least(0)
        .supplied_by(&[same("group.streams.initial.rebalance.delay.ms")]).no_meaning(STREAMS);
    /// Standby replicas of each task of a streams group.
    STREAMS_NUM_STANDBY_REPLICAS: i32 = key("streams.num.standby.replicas")
        .default("0").at_least(0).supplied_by(&[same("group.streams.num.standby.replicas")])
        .no_meaning(STREAMS);
    /// Milliseconds without a heartbeat after which a streams member is dropped.
    STREAMS_SESSION_TIMEOUT_MS: i32 = key("streams.session.timeout.ms")
        .default("45000").at_least(1).supplied_by(&[same("group.streams.session.timeout.ms")])
        .no_meaning(STREAMS);
}
