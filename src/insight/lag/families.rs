//! The families that show groups.

use pharos_metrics::catalog::native as rows;
use pharos_metrics::{Family, Registry};

/// One handle per family, so that a registration looks nothing up.
#[derive(Debug)]
pub(super) struct Families {
    pub(super) current_offset: Family,
    pub(super) lag: Family,
    pub(super) lag_seconds: Family,
    pub(super) current_offset_sum: Family,
    pub(super) lag_sum: Family,
    pub(super) lag_seconds_max: Family,
    pub(super) drain_seconds: Family,
    pub(super) status: Family,
    pub(super) last_commit: Family,
    pub(super) expired_records: Family,
    pub(super) members: Family,
    pub(super) generation: Family,
    pub(super) state: Family,
    pub(super) info: Family,
    pub(super) rebalances: Family,
    pub(super) rebalance_seconds: Family,
}

impl Families {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            current_offset: registry.family(&rows::KAFKA_CONSUMERGROUP_CURRENT_OFFSET),
            lag: registry.family(&rows::KAFKA_CONSUMERGROUP_LAG),
            lag_seconds: registry.family(&rows::KAFKA_CONSUMERGROUP_LAG_SECONDS),
            current_offset_sum: registry.family(&rows::KAFKA_CONSUMERGROUP_CURRENT_OFFSET_SUM),
            lag_sum: registry.family(&rows::KAFKA_CONSUMERGROUP_LAG_SUM),
            lag_seconds_max: registry.family(&rows::KAFKA_CONSUMERGROUP_LAG_SECONDS_MAX),
            drain_seconds: registry.family(&rows::KAFKA_CONSUMERGROUP_DRAIN_SECONDS),
            status: registry.family(&rows::KAFKA_CONSUMERGROUP_STATUS),
            last_commit: registry.family(&rows::KAFKA_CONSUMERGROUP_LAST_COMMIT_TIMESTAMP_SECONDS),
            expired_records: registry.family(&rows::KAFKA_CONSUMERGROUP_EXPIRED_RECORDS_TOTAL),
            members: registry.family(&rows::KAFKA_CONSUMERGROUP_MEMBERS),
            generation: registry.family(&rows::KAFKA_CONSUMERGROUP_GENERATION),
            state: registry.family(&rows::KAFKA_CONSUMERGROUP_STATE),
            info: registry.family(&rows::KAFKA_CONSUMERGROUP_INFO),
            rebalances: registry.family(&rows::KAFKA_CONSUMERGROUP_REBALANCES_TOTAL),
            rebalance_seconds: registry.family(&rows::KAFKA_CONSUMERGROUP_REBALANCE_SECONDS_TOTAL),
        }
    }
}
