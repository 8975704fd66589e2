//! `kafka.network:type=RequestMetrics`: what every request cost, by API.
//!
//! The histograms of all of Kafka's request names exist from the start, at 0; `RequestsPerSec`
//! comes with the first request of an API and version, `ErrorsPerSec` with the first answer that
//! holds that error. A consumer's fetch counts as `Fetch` and as `FetchConsumer`, its errors as
//! `Fetch` alone. What a node's broker asks of its own controller counts as the request that it is.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use pharos_base::TraceContext;
use pharos_metrics::catalog::network as rows;
use pharos_metrics::{BLIND, Histograms, Meter, OTHER, Registered, Registry};
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

/// A consumer's fetch.
const FETCH_CONSUMER: &str = "FetchConsumer";
/// Versions that are told apart, from 0, beyond those of any API. ApiVersions may be asked in any
/// version: what lies above counts together.
const VERSIONS: usize = 32;
/// More than there are error codes, from -1. What is none counts as -1.
const ERRORS: usize = 256;

/// The counts of all requests.
#[derive(Debug)]
pub struct RequestMetrics {
    registry: Registry,
    /// By key of the API; empty for what Kafka 4 no longer has.
    by_api: Vec<Option<NameMetrics>>,
    fetch_consumer: NameMetrics,
    /// Of names that nothing here counts under.
    _others: Vec<NameMetrics>,
}

#[derive(Debug)]
struct NameMetrics {
    name: &'static str,
    /// Request queue, local, remote, throttle, response queue, response send, total, bytes.
    phases: Histograms,
    /// By version.
    requests: Meters,
    /// By error code.
    errors: Meters,
    /// Of Produce and Fetch: time and bytes. What is fetched is never converted, so that a fetch adds
    /// a 0 to both.
    conversions: Option<Histograms>,
    /// With buckets; of most names made with the first request.
    series: OnceLock<RequestSeries>,
    _beans: Vec<Registered<()>>,
}

/// What is known of a request once its answer has left.
#[derive(Debug)]
pub struct Finished<'a> {
    /// The API.
    pub api: ApiKey,
    /// Whether it is a fetch of a consumer.
    pub by_consumer: bool,
    /// Version of the request.
    pub version: i16,
    /// Size of the request's body in bytes, without its header.
    pub request_bytes: usize,
    /// How long what took.
    pub measured: &'a Measured<'a>,
    /// Errors in the answer; empty when there was none (acks=0).
    pub errors: &'a ErrorCounts,
    /// What checking the records took.
    pub conversion: Conversion,
}

/// The one name that says most of a request.
pub fn name_of(api: ApiKey, by_consumer: bool) -> &'static str {
    if by_consumer { FETCH_CONSUMER } else { api.name() }
}

impl Finished<'_> {
    /// See [`name_of`].
    pub fn name(&self) -> &'static str {
        name_of(self.api, self.by_consumer)
    }
}

impl RequestMetrics {
    /// Registers the histograms of all names.
    pub fn new(registry: &Registry) -> Self {
        let metrics = |name| NameMetrics::new(registry, name);
        let api = |api: ApiKey| NAMES.contains(&api.name()).then(|| metrics(api.name()));
        let is_other =
            |name: &&str| *name != FETCH_CONSUMER && ApiKey::all().all(|api| api.name() != *name);
        let metrics = Self {
            registry: registry.clone(),
            by_api: ApiKey::all().map(api).collect(),
            fetch_consumer: metrics(FETCH_CONSUMER),
            _others: NAMES.into_iter().filter(is_other).map(metrics).collect(),
        };
        for (api, by_consumer) in request_series::FROM_THE_START {
            if let Some(metrics) = metrics.one(api, by_consumer) {
                metrics.series(registry);
            }
        }
        metrics
    }

    /// Counts a request as it was on the wire, once and under one name.
    pub fn measure(&self, finished: &Finished<'_>, trace: Option<&TraceContext>) {
        if BLIND {
            return;
        }
        if let Some(metrics) = self.one(finished.api, finished.by_consumer) {
            metrics.series(&self.registry).record(finished.measured, trace);
        }
    }

    /// What counts under [`name_of`].
    fn one(&self, api: ApiKey, by_consumer: bool) -> Option<&NameMetrics> {
        if by_consumer { Some(&self.fetch_consumer) } else { self.of_api(api) }
    }

    fn of_api(&self, api: ApiKey) -> Option<&NameMetrics> {
        self.by_api.get(usize::try_from(api.as_i16()).ok()?)?.as_ref()
    }

    /// Counts a request under its name or names.
    pub fn record(&self, finished: &Finished<'_>) {
        if BLIND {
            return;
        }
        let Some(metrics) = self.of_api(finished.api) else { return };
        let now = self.registry.clock().coarse();
        metrics.record(finished, now, &self.registry);
        metrics.record_errors(finished.errors, &self.registry);
        if finished.by_consumer {
            self.fetch_consumer.record(finished, now, &self.registry);
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
        let Some(metrics) = self.of_api(api) else { return };
        let took = millis(began.elapsed());
        let size = encode_to_bytes(request, version).map_or(0, |body| body.len());
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        metrics.phases.update(&[0, took, 0, 0, 0, 0, took, size]);
        metrics.record_version(version, &self.registry);
        metrics.record_errors(errors, &self.registry);
    }
}

impl NameMetrics {
    fn record(&self, finished: &Finished<'_>, now: Duration, registry: &Registry) {
        let request_bytes = i64::try_from(finished.request_bytes).unwrap_or(i64::MAX);
        let measured = finished.measured;
        let [request_queue, local, remote, throttle, response_queue, response_send] =
            measured.took.map(millis);
        let total = millis(measured.total);
        self.phases.update_at(
            &[
                request_queue,
                local,
                remote,
                throttle,
                response_queue,
                response_send,
                total,
                request_bytes,
            ],
            now,
        );
        if let Some(conversions) = &self.conversions {
            let Conversion { took, temporary_bytes, .. } = finished.conversion;
            let bytes = i64::try_from(temporary_bytes).unwrap_or(i64::MAX);
            conversions.update_at(&[millis(took), bytes], now);
        }
        self.record_version(finished.version, registry);
    }

    fn record_version(&self, version: i16, registry: &Registry) {
        let version = usize::try_from(version).ok().filter(|version| *version < VERSIONS);
        self.requests.mark(version.unwrap_or(VERSIONS), 1, || {
            let version = version.map_or(OTHER.to_owned(), |version| version.to_string());
            let tags = [("request", self.name), ("version", &version)];
            registry.meter(&rows::REQUEST_METRICS_REQUESTS_PER_SEC, &tags)
        });
    }

    fn record_errors(&self, errors: &ErrorCounts, registry: &Registry) {
        for (error, count) in errors {
            let error = ErrorCode::from_code(*error).unwrap_or(ErrorCode::UnknownServerError);
            let index = usize::try_from(i32::from(error.code()) + 1).unwrap_or(0);
            self.errors.mark(index, u64::from(*count), || {
                let tags = [("request", self.name), ("error", error.name())];
                registry.meter(&rows::REQUEST_METRICS_ERRORS_PER_SEC, &tags)
            });
        }
    }

    fn series(&self, registry: &Registry) -> &RequestSeries {
        self.series.get_or_init(|| RequestSeries::new(registry, self.name))
    }

    fn new(registry: &Registry, name: &'static str) -> Self {
        let phases = [
            &rows::REQUEST_METRICS_REQUEST_QUEUE_TIME_MS,
            &rows::REQUEST_METRICS_LOCAL_TIME_MS,
            &rows::REQUEST_METRICS_REMOTE_TIME_MS,
            &rows::REQUEST_METRICS_THROTTLE_TIME_MS,
            &rows::REQUEST_METRICS_RESPONSE_QUEUE_TIME_MS,
            &rows::REQUEST_METRICS_RESPONSE_SEND_TIME_MS,
            &rows::REQUEST_METRICS_TOTAL_TIME_MS,
            &rows::REQUEST_METRICS_REQUEST_BYTES,
        ];
        let conversions = match name {
            "Produce" => Some([
                &rows::REQUEST_METRICS_MESSAGE_CONVERSIONS_TIME_MS_BY_PRODUCE,
                &rows::REQUEST_METRICS_TEMPORARY_MEMORY_BYTES_BY_PRODUCE,
            ]),
            "Fetch" => Some([
                &rows::REQUEST_METRICS_MESSAGE_CONVERSIONS_TIME_MS_BY_FETCH,
                &rows::REQUEST_METRICS_TEMPORARY_MEMORY_BYTES_BY_FETCH,
            ]),
            _ => None,
        };
        let (phases, beans) = registry.histograms(phases, &[("request", name)]);
        let mut beans = Vec::from(beans);
        let conversions = conversions.map(|rows| {
            let (histograms, conversions) = registry.histograms(rows, &[]);
            beans.extend(conversions);
            histograms
        });
        Self {
            name,
            phases,
            requests: Meters::new(VERSIONS + 1),
            errors: Meters::new(ERRORS),
            conversions,
            series: OnceLock::new(),
            _beans: beans,
        }
    }
}

/// So many meters, each made with its first event.
#[derive(Debug)]
struct Meters {
    count: usize,
    all: OnceLock<Box<[OnceLock<Registered<Meter>>]>>,
}

impl Meters {
    fn new(count: usize) -> Self {
        Self { count, all: OnceLock::new() }
    }

    /// Counts so many events of the one at `index`.
    fn mark(&self, index: usize, events: u64, make: impl FnOnce() -> Registered<Meter>) {
        let all = self.all.get_or_init(|| (0..self.count).map(|_| OnceLock::new()).collect());
        if let Some(meter) = all.get(index) {
            meter.get_or_init(make).mark(events);
        }
    }
}

/// The nearest whole number, as Kafka rounds (`RequestChannel.updateRequestMetrics`).
fn millis(duration: Duration) -> i64 {
    let rest = i64::from((duration.subsec_micros() + 500) / 1000);
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX).saturating_mul(1000).saturating_add(rest)
}

#[cfg(test)]
mod tests {
    use pharos_base::Clock;
    use pharos_metrics::Value;

    use super::*;

    #[test]
    fn versions_and_errors_that_no_kafka_has_count_together() {
        let registry = Registry::new(Clock::simulated(0).0);
        let metrics = RequestMetrics::new(&registry);
        let now = Instant::now();
        let request = pharos_protocol::messages::ApiVersionsRequest::default();
        for version in [0, 4, 4, 31, 32, i16::MAX, i16::MIN, -1] {
            let errors = vec![(35, 1), (-1, 1), (200, 1), (i16::MIN, 2), (-2, 3)];
            let metrics = metrics.of_api(ApiKey::ApiVersions).unwrap();
            metrics.record_version(version, &registry);
            metrics.record_errors(&errors, &registry);
        }
        metrics.record_in_process(ApiKey::ApiVersions, 0, &request, now, &ErrorCounts::new());
        let count = |name: &str, tag: &str| {
            let name = format!("type=RequestMetrics,name={name},request=ApiVersions,{tag}");
            let name = format!("kafka.network:{name}");
            registry.read(&name, "Count")
        };
        let versions = ["version=0", "version=4", "version=31", "version=\"(other)\""];
        let expected = [2, 2, 1, 4].map(|count| Some(Value::Long(count)));
        assert_eq!(versions.map(|tag| count("RequestsPerSec", tag)), expected);
        let errors = ["error=UNSUPPORTED_VERSION", "error=UNKNOWN_SERVER_ERROR"];
        let expected = [8, 8 * 7].map(|count| Some(Value::Long(count)));
        assert_eq!(errors.map(|tag| count("ErrorsPerSec", tag)), expected);
    }
}
