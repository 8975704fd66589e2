//! `kafka.network:type=RequestMetrics`: what every request cost, by API.
//!
//! The histograms of all of Kafka's request names exist from the start, at 0; `RequestsPerSec`
//! comes with the first request of an API and version, `ErrorsPerSec` with the first answer that
//! holds that error. A consumer's fetch counts as `Fetch` and as `FetchConsumer`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use pharos_metrics::catalog::network as rows;
use pharos_metrics::{Histogram, Meter, Registered, Registry};
use pharos_net::Timestamps;
use pharos_protocol::ErrorCode;

use crate::context::ErrorCounts;

/// Kafka 4.3's request names: its API names, the two kinds of fetch, the verification form of
/// AddPartitionsToTxn and the old name of ListConfigResources.
const NAMES: [&str; 93] = [
    "AddOffsetsToTxn",
    "AddPartitionsToTxn",
    "AddPartitionsToTxnVerification",
    "AddRaftVoter",
    "AllocateProducerIds",
    "AlterClientQuotas",
    "AlterConfigs",
    "AlterPartition",
    "AlterPartitionReassignments",
    "AlterReplicaLogDirs",
    "AlterShareGroupOffsets",
    "AlterUserScramCredentials",
    "ApiVersions",
    "AssignReplicasToDirs",
    "BeginQuorumEpoch",
    "BrokerHeartbeat",
    "BrokerRegistration",
    "ConsumerGroupDescribe",
    "ConsumerGroupHeartbeat",
    "ControllerRegistration",
    "CreateAcls",
    "CreateDelegationToken",
    "CreatePartitions",
    "CreateTopics",
    "DeleteAcls",
    "DeleteGroups",
    "DeleteRecords",
    "DeleteShareGroupOffsets",
    "DeleteShareGroupState",
    "DeleteTopics",
    "DescribeAcls",
    "DescribeClientQuotas",
    "DescribeCluster",
    "DescribeConfigs",
    "DescribeDelegationToken",
    "DescribeGroups",
    "DescribeLogDirs",
    "DescribeProducers",
    "DescribeQuorum",
    "DescribeShareGroupOffsets",
    "DescribeTopicPartitions",
    "DescribeTransactions",
    "DescribeUserScramCredentials",
    "ElectLeaders",
    "EndQuorumEpoch",
    "EndTxn",
    "Envelope",
    "ExpireDelegationToken",
    "Fetch",
    "FetchConsumer",
    "FetchFollower",
    "FetchSnapshot",
    "FindCoordinator",
    "GetTelemetrySubscriptions",
    "Heartbeat",
    "IncrementalAlterConfigs",
    "InitProducerId",
    "InitializeShareGroupState",
    "JoinGroup",
    "LeaveGroup",
    "ListClientMetricsResources",
    "ListConfigResources",
    "ListGroups",
    "ListOffsets",
    "ListPartitionReassignments",
    "ListTransactions",
    "Metadata",
    "OffsetCommit",
    "OffsetDelete",
    "OffsetFetch",
    "OffsetForLeaderEpoch",
    "Produce",
    "PushTelemetry",
    "ReadShareGroupState",
    "ReadShareGroupStateSummary",
    "RemoveRaftVoter",
    "RenewDelegationToken",
    "SaslAuthenticate",
    "SaslHandshake",
    "ShareAcknowledge",
    "ShareFetch",
    "ShareGroupDescribe",
    "ShareGroupHeartbeat",
    "StreamsGroupDescribe",
    "StreamsGroupHeartbeat",
    "SyncGroup",
    "TxnOffsetCommit",
    "UnregisterBroker",
    "UpdateFeatures",
    "UpdateRaftVoter",
    "Vote",
    "WriteShareGroupState",
    "WriteTxnMarkers",
];

/// The counts of all requests.
#[derive(Debug)]
pub struct RequestMetrics {
    registry: Registry,
    by_name: HashMap<&'static str, NameMetrics>,
}

#[derive(Debug)]
struct NameMetrics {
    request_queue: Registered<Histogram>,
    local: Registered<Histogram>,
    remote: Registered<Histogram>,
    throttle: Registered<Histogram>,
    response_queue: Registered<Histogram>,
    response_send: Registered<Histogram>,
    total: Registered<Histogram>,
    request_bytes: Registered<Histogram>,
    requests: RwLock<HashMap<i16, Arc<Registered<Meter>>>>,
    errors: RwLock<HashMap<i16, Arc<Registered<Meter>>>>,
    // Message formats are not converted: these exist for whoever watches them and stay 0.
    _conversions: [Option<Registered<Histogram>>; 2],
}

/// What is known of a request once its answer has left.
#[derive(Debug)]
pub struct Finished<'a> {
    /// Name of the API.
    pub name: &'static str,
    /// A second name that it counts under.
    pub also_named: Option<&'static str>,
    /// Version of the request.
    pub version: i16,
    /// Size of the request in bytes.
    pub request_bytes: usize,
    /// How long the client was muted.
    pub throttle: Duration,
    /// When what happened.
    pub timestamps: &'a Timestamps,
    /// Errors in the answer; empty when there was none (acks=0).
    pub errors: &'a ErrorCounts,
}

impl RequestMetrics {
    /// Registers the histograms of all names.
    pub fn new(registry: &Registry) -> Self {
        let by_name = NAMES.into_iter().map(|name| (name, NameMetrics::new(registry, name)));
        Self { registry: registry.clone(), by_name: by_name.collect() }
    }

    /// Counts a request under its name or names.
    pub fn record(&self, finished: &Finished<'_>) {
        self.record_as(finished.name, finished);
        if let Some(name) = finished.also_named {
            self.record_as(name, finished);
        }
    }

    fn record_as(&self, name: &'static str, finished: &Finished<'_>) {
        let Some(metrics) = self.by_name.get(name) else { return };
        let times = finished.timestamps;
        metrics.request_queue.update(millis(times.handle_begin - times.received));
        metrics.local.update(millis(times.handle_end - times.handle_begin));
        metrics.remote.update(millis(times.reply_ready - times.handle_end));
        metrics.throttle.update(millis(finished.throttle));
        metrics.response_queue.update(millis(times.write_begin - times.reply_ready));
        metrics.response_send.update(millis(times.write_end - times.write_begin));
        metrics.total.update(millis(times.write_end - times.received));
        metrics.request_bytes.update(i64::try_from(finished.request_bytes).unwrap_or(i64::MAX));
        let version = finished.version;
        lazily(&metrics.requests, version, || {
            let tags = [("request", name), ("version", &version.to_string())];
            self.registry.meter(&rows::REQUEST_METRICS_REQUESTS_PER_SEC, &tags)
        })
        .mark(1);
        for (error, count) in finished.errors {
            lazily(&metrics.errors, *error, || {
                let error = ErrorCode::from_code(*error).unwrap_or(ErrorCode::UnknownServerError);
                let tags = [("request", name), ("error", error.name())];
                self.registry.meter(&rows::REQUEST_METRICS_ERRORS_PER_SEC, &tags)
            })
            .mark(u64::from(*count));
        }
    }
}

impl NameMetrics {
    fn new(registry: &Registry, name: &'static str) -> Self {
        let histogram = |row| registry.histogram(row, &[("request", name)]);
        let conversions = match name {
            "Produce" => [
                Some(&rows::REQUEST_METRICS_MESSAGE_CONVERSIONS_TIME_MS_BY_PRODUCE),
                Some(&rows::REQUEST_METRICS_TEMPORARY_MEMORY_BYTES_BY_PRODUCE),
            ],
            "Fetch" => [
                Some(&rows::REQUEST_METRICS_MESSAGE_CONVERSIONS_TIME_MS_BY_FETCH),
                Some(&rows::REQUEST_METRICS_TEMPORARY_MEMORY_BYTES_BY_FETCH),
            ],
            _ => [None, None],
        };
        Self {
            request_queue: histogram(&rows::REQUEST_METRICS_REQUEST_QUEUE_TIME_MS),
            local: histogram(&rows::REQUEST_METRICS_LOCAL_TIME_MS),
            remote: histogram(&rows::REQUEST_METRICS_REMOTE_TIME_MS),
            throttle: histogram(&rows::REQUEST_METRICS_THROTTLE_TIME_MS),
            response_queue: histogram(&rows::REQUEST_METRICS_RESPONSE_QUEUE_TIME_MS),
            response_send: histogram(&rows::REQUEST_METRICS_RESPONSE_SEND_TIME_MS),
            total: histogram(&rows::REQUEST_METRICS_TOTAL_TIME_MS),
            request_bytes: histogram(&rows::REQUEST_METRICS_REQUEST_BYTES),
            requests: RwLock::default(),
            errors: RwLock::default(),
            _conversions: conversions.map(|row| row.map(|row| registry.histogram(row, &[]))),
        }
    }
}

/// The meter of `key`, made with its first event. Keys are versions and error codes: bounded.
fn lazily<K: std::hash::Hash + Eq + Copy>(
    meters: &RwLock<HashMap<K, Arc<Registered<Meter>>>>,
    key: K,
    make: impl FnOnce() -> Registered<Meter>,
) -> Arc<Registered<Meter>> {
    if let Some(meter) = meters.read().get(&key) {
        return meter.clone();
    }
    meters.write().entry(key).or_insert_with(|| Arc::new(make())).clone()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
