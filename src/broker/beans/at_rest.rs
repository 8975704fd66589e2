//! Figures of what a single node has but never needs: fetchers without a leader elsewhere, moves
//! between directories. The zeros are true: nothing is behind, failed or moving.

use pharos_metrics::catalog::replicas as rows;
use pharos_metrics::{BeanRow, Gauge, Registered, Registry};

const FETCHERS: [&BeanRow; 8] = [
    &rows::REPLICA_FETCHER_MANAGER_MAX_LAG,
    &rows::REPLICA_FETCHER_MANAGER_MIN_FETCH_RATE,
    &rows::REPLICA_FETCHER_MANAGER_FAILED_PARTITIONS_COUNT,
    &rows::REPLICA_FETCHER_MANAGER_DEAD_THREAD_COUNT,
    &rows::REPLICA_ALTER_LOG_DIRS_MANAGER_MAX_LAG,
    &rows::REPLICA_ALTER_LOG_DIRS_MANAGER_MIN_FETCH_RATE,
    &rows::REPLICA_ALTER_LOG_DIRS_MANAGER_FAILED_PARTITIONS_COUNT,
    &rows::REPLICA_ALTER_LOG_DIRS_MANAGER_DEAD_THREAD_COUNT,
];

/// The beans of rooms at rest.
#[derive(Debug)]
pub struct AtRest {
    _gauges: Vec<Registered<Gauge>>,
}

impl AtRest {
    /// Registers the beans.
    pub fn new(registry: &Registry) -> Self {
        Self { _gauges: FETCHERS.iter().map(|row| registry.gauge(row, &[])).collect() }
    }
}
