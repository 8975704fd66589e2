//! The one table of the APIs that this node serves: what dispatch accepts and what ApiVersions
//! tells are both read from here, so they cannot drift apart.
//!
//! A row stands here only when its handler implements every version of its range. As in Apache
//! Kafka, a request for anything else closes the connection; only ApiVersions answers (with error
//! 35 and the body of version 0).

use std::ops::RangeInclusive;

use pharos_protocol::ApiKey;

/// One API as it is served.
#[derive(Clone, Debug)]
pub struct ServedApi {
    /// Which one.
    pub key: ApiKey,
    /// The versions that the handler implements.
    pub versions: RangeInclusive<i16>,
    /// Lowest version that ApiVersions tells; lower than `versions` only for Produce, since
    /// librdkafka before 2.11.1 drops compression when it is not told version 0 (KAFKA-18659).
    pub advertised_min: i16,
}

/// Whom a listener is for: clients reach the broker, brokers and administrators the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A listener of the broker.
    Broker,
    /// One of `controller.listener.names`.
    Controller,
}

impl Endpoint {
    /// Whether `api` is served there. Kafka's controllers serve Fetch too, of the metadata log,
    /// which this node's handler does not read.
    pub fn serves(self, api: ApiKey) -> bool {
        match self {
            Self::Broker => api.spec().broker,
            Self::Controller => api.spec().controller && api != ApiKey::Fetch,
        }
    }
}

const fn api(key: ApiKey, min: i16, max: i16) -> ServedApi {
    ServedApi { key, versions: min..=max, advertised_min: min }
}

/// Every API served, in the order of its key.
pub static SERVED: &[ServedApi] = &[
    ServedApi { key: ApiKey::Produce, versions: 3..=13, advertised_min: 0 },
    api(ApiKey::Fetch, 4, 18),
    api(ApiKey::ListOffsets, 1, 11),
    api(ApiKey::Metadata, 0, 13),
    api(ApiKey::OffsetCommit, 2, 10),
    api(ApiKey::OffsetFetch, 1, 10),
    api(ApiKey::FindCoordinator, 0, 6),
    api(ApiKey::JoinGroup, 0, 9),
    api(ApiKey::Heartbeat, 0, 4),
    api(ApiKey::LeaveGroup, 0, 5),
    api(ApiKey::SyncGroup, 0, 5),
    api(ApiKey::DescribeGroups, 0, 6),
    api(ApiKey::ListGroups, 0, 5),
    api(ApiKey::ApiVersions, 0, 4),
    api(ApiKey::CreateTopics, 2, 7),
    api(ApiKey::DeleteTopics, 1, 6),
    api(ApiKey::DeleteRecords, 0, 2),
    api(ApiKey::InitProducerId, 0, 5),
    api(ApiKey::OffsetForLeaderEpoch, 2, 4),
    api(ApiKey::DescribeAcls, 1, 3),
    api(ApiKey::DescribeConfigs, 1, 4),
    api(ApiKey::AlterConfigs, 0, 2),
    api(ApiKey::DescribeLogDirs, 1, 5),
    api(ApiKey::CreatePartitions, 0, 3),
    api(ApiKey::DeleteGroups, 0, 2),
    api(ApiKey::ElectLeaders, 0, 2),
    api(ApiKey::IncrementalAlterConfigs, 0, 1),
    api(ApiKey::ListPartitionReassignments, 0, 0),
    api(ApiKey::OffsetDelete, 0, 0),
    api(ApiKey::DescribeClientQuotas, 0, 1),
    api(ApiKey::AlterClientQuotas, 0, 1),
    api(ApiKey::DescribeQuorum, 0, 2),
    api(ApiKey::UpdateFeatures, 0, 2),
    api(ApiKey::DescribeCluster, 0, 2),
    api(ApiKey::DescribeProducers, 0, 0),
    api(ApiKey::UnregisterBroker, 0, 0),
    api(ApiKey::DescribeTransactions, 0, 0),
    api(ApiKey::ListTransactions, 0, 2),
    api(ApiKey::ConsumerGroupHeartbeat, 0, 1),
    api(ApiKey::ConsumerGroupDescribe, 0, 1),
    api(ApiKey::GetTelemetrySubscriptions, 0, 0),
    api(ApiKey::PushTelemetry, 0, 0),
    api(ApiKey::ListConfigResources, 0, 1),
    api(ApiKey::DescribeTopicPartitions, 0, 0),
];

/// What is served at `endpoint`.
pub fn served_at(endpoint: Endpoint) -> impl Iterator<Item = &'static ServedApi> {
    SERVED.iter().filter(move |row| endpoint.serves(row.key))
}

/// The row of `key`; `None` when it is not served at `endpoint`.
pub fn served(key: ApiKey, endpoint: Endpoint) -> Option<&'static ServedApi> {
    served_at(endpoint).find(|row| row.key == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controller_serves_what_it_decides_and_no_data() {
        let names: Vec<_> = served_at(Endpoint::Controller).map(|row| row.key.name()).collect();
        let expected = [
            "ApiVersions",
            "CreateTopics",
            "DeleteTopics",
            "DescribeAcls",
            "DescribeConfigs",
            "AlterConfigs",
            "CreatePartitions",
            "ElectLeaders",
            "IncrementalAlterConfigs",
            "ListPartitionReassignments",
            "AlterClientQuotas",
            "DescribeQuorum",
            "UpdateFeatures",
            "DescribeCluster",
            "UnregisterBroker",
        ];
        assert_eq!(names, expected);
        assert!(served(ApiKey::Produce, Endpoint::Controller).is_none());
        assert_eq!(served_at(Endpoint::Broker).count(), SERVED.len());
    }

    #[test]
    fn rows_are_sorted_and_unique() {
        for pair in SERVED.windows(2) {
            assert!(pair[0].key.as_i16() < pair[1].key.as_i16(), "{:?}", pair[1].key);
        }
    }
}
