//! `kafka.network:type=RequestMetrics`: what every request cost, by API.
//!
//! The histograms of all of Kafka's request names exist from the start, at 0; `RequestsPerSec`
//! comes with the first request of an API and version, `ErrorsPerSec` with the first answer that
//! holds that error. A consumer's fetch counts as `Fetch` and as `FetchConsumer`, its errors as
//! `Fetch` alone. What a node's broker asks of its own controller counts as the request that it is.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use pharos_base::TraceContext;
use pharos_metrics::catalog::network as rows;
use pharos_metrics::{BLIND, Histogram, Meter, Registered, Registry};
use pharos_net::Timestamps;
use pharos_protocol::{ApiKey, ErrorCode, Message, encode_to_bytes};
use pharos_storage::Conversion;

use crate::context::ErrorCounts;
use crate::request_series::{self, Measured, RequestSeries};

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
    /// Of Produce and Fetch: time and bytes. What is fetched is never converted, so that a fetch adds
    /// a 0 to both.
    conversions: [Option<Registered<Histogram>>; 2],
    /// With buckets; of most names made with the first request.
    series: OnceLock<RequestSeries>,
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
    /// Size of the request's body in bytes, without its header.
    pub request_bytes: usize,
    /// How long the client was muted.
    pub throttle: Duration,
    /// When what happened.
    pub timestamps: &'a Timestamps,
    /// Errors in the answer; empty when there was none (acks=0).
    pub errors: &'a ErrorCounts,
    /// What checking the records took.
    pub conversion: Conversion,
}

impl RequestMetrics {
    /// Registers the histograms of all names.
    pub fn new(registry: &Registry) -> Self {
        let by_name = NAMES.into_iter().map(|name| (name, NameMetrics::new(registry, name)));
        let metrics = Self { registry: registry.clone(), by_name: by_name.collect() };
        for name in request_series::FROM_THE_START {
            metrics.series(name);
        }
        metrics
    }

    /// Counts a request as it was on the wire, once and under one name.
    pub fn measure(
        &self,
        finished: &Finished<'_>,
        measured: &Measured<'_>,
        trace: Option<&TraceContext>,
    ) {
        if BLIND {
            return;
        }
        if let Some(series) = self.series(finished.also_named.unwrap_or(finished.name)) {
            series.record(measured, trace);
        }
    }

    fn series(&self, name: &'static str) -> Option<&RequestSeries> {
        let metrics = self.by_name.get(name)?;
        Some(metrics.series.get_or_init(|| RequestSeries::new(&self.registry, name)))
    }

    /// Counts a request under its name or names.
    pub fn record(&self, finished: &Finished<'_>) {
        if BLIND {
            return;
        }
        self.record_as(finished.name, finished);
        self.record_errors(finished.name, finished.errors);
        if let Some(name) = finished.also_named {
            self.record_as(name, finished);
        }
    }

    /// Counts a request that never was on the wire: from this node's broker to its controller.
    pub fn record_in_process<M: Message>(
        &self,
        api: ApiKey,
        version: i16,
        request: &M,
        began: Instant,
        errors: &ErrorCounts,
    ) {
        let name = api.name();
        let Some(metrics) = self.by_name.get(name) else { return };
        let took = millis(began.elapsed());
        let size = encode_to_bytes(request, version).map_or(0, |body| body.len());
        metrics.no_waits();
        metrics.local.update(took);
        metrics.total.update(took);
        metrics.request_bytes.update(i64::try_from(size).unwrap_or(i64::MAX));
        self.record_version(metrics, name, version);
        self.record_errors(name, errors);
    }

    fn record_as(&self, name: &'static str, finished: &Finished<'_>) {
        let Some(metrics) = self.by_name.get(name) else { return };
        let times = finished.timestamps;
        let request_bytes = i64::try_from(finished.request_bytes).unwrap_or(i64::MAX);
        let now = self.registry.clock().monotonic();
        for (histogram, value) in [
            (&metrics.request_queue, millis(times.handle_begin - times.received)),
            (&metrics.local, millis(times.handle_end - times.handle_begin)),
            (&metrics.remote, millis(times.reply_ready - times.handle_end)),
            (&metrics.throttle, millis(finished.throttle)),
            (&metrics.response_queue, millis(times.write_begin - times.reply_ready)),
            (&metrics.response_send, millis(times.write_end - times.write_begin)),
            (&metrics.total, millis(times.write_end - times.received)),
            (&metrics.request_bytes, request_bytes),
        ] {
            histogram.update_at(value, now);
        }
        let Conversion { took, temporary_bytes, .. } = finished.conversion;
        let bytes = i64::try_from(temporary_bytes).unwrap_or(i64::MAX);
        for (histogram, value) in metrics.conversions.iter().zip([millis(took), bytes]) {
            if let Some(histogram) = histogram {
                histogram.update_at(value, now);
            }
        }
        self.record_version(metrics, name, finished.version);
    }

    fn record_version(&self, metrics: &NameMetrics, name: &'static str, version: i16) {
        lazily(&metrics.requests, version, || {
            let tags = [("request", name), ("version", &version.to_string())];
            self.registry.meter(&rows::REQUEST_METRICS_REQUESTS_PER_SEC, &tags)
        })
        .mark(1);
    }

    fn record_errors(&self, name: &'static str, errors: &ErrorCounts) {
        let Some(metrics) = self.by_name.get(name) else { return };
        for (error, count) in errors {
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
            conversions: conversions.map(|row| row.map(|row| registry.histogram(row, &[]))),
            series: OnceLock::new(),
        }
    }

    /// A request that waited for nothing.
    fn no_waits(&self) {
        let phases = [&self.request_queue, &self.remote, &self.throttle, &self.response_queue];
        for phase in phases.into_iter().chain([&self.response_send]) {
            phase.update(0);
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

/// The nearest whole number, as Kafka rounds (`RequestChannel.updateRequestMetrics`).
fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros().saturating_add(500) / 1000).unwrap_or(i64::MAX)
}
