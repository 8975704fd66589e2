//! Figures of what a single node has but never needs: quotas without a limit, fetchers without a
//! leader elsewhere, moves between directories. The zeros are true: nothing is muted, behind,
//! failed or moving.

use pharos_metrics::catalog::{quotas, replicas as rows};
use pharos_metrics::{Attributes, BeanRow, Gauge, Registered, Registry};

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

const QUOTAS: [&BeanRow; 4] =
    [&quotas::PRODUCE, &quotas::FETCH, &quotas::CONTROLLER_MUTATION, &quotas::REQUEST];

/// The beans of rooms at rest.
#[derive(Debug)]
pub struct AtRest {
    _gauges: Vec<Registered<Gauge>>,
    _attributes: Vec<Registered<Attributes>>,
}

impl AtRest {
    /// Registers the beans.
    pub fn new(registry: &Registry) -> Self {
        Self {
            _gauges: FETCHERS.iter().map(|row| registry.gauge(row, &[])).collect(),
            _attributes: QUOTAS.iter().map(|row| registry.attributes(row, &[])).collect(),
        }
    }
}
