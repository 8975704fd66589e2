//! Telemetry through the front: requests in, answers, series and beans out.

use std::net::IpAddr;

use pharos_base::{Clock, TopicId};
use pharos_config::ClientMetricsConfig;
use pharos_metrics::catalog::{native, node};
use pharos_metrics::truth::by;
use pharos_metrics::{Registry, truth};
use pharos_protocol::ErrorCode;
use pharos_protocol::compression::{Codec, compress};
use pharos_protocol::messages::{
    GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse, PushTelemetryRequestRef,
};
use prost::Message;

use super::testing::{cumulative, delta, gauge, push_of};
use super::{ClientFacts, ClientTelemetry, MAX_INSTANCES};

const MAX_BYTES: i32 = 64 * 1024;
const INTERVAL_MS: i64 = 10_000;
const BEAN: &str = "kafka.server:type=client-metrics";

struct Rig {
    registry: Registry,
    telemetry: ClientTelemetry,
    now_ms: i64,
}

impl Rig {
    fn new() -> Self {
        let registry = Registry::new(Clock::simulated(0).0);
        let telemetry = ClientTelemetry::new(&registry, MAX_BYTES);
        let rig = Self { telemetry, registry, now_ms: 1_000_000 };
        rig.subscribe(&["org.apache.kafka.producer."]);
        rig
    }

    fn subscribe(&self, metrics: &[&str]) {
        self.telemetry.set_subscriptions([ClientMetricsConfig {
            interval_ms: 10_000,
            metrics: metrics.iter().map(|prefix| (*prefix).to_owned()).collect(),
            matches: vec![("client_id".to_owned(), "app.*".to_owned())],
        }]);
    }

    fn get(&self, id: TopicId) -> GetTelemetrySubscriptionsResponse {
        let request = GetTelemetrySubscriptionsRequest { client_instance_id: id };
        self.telemetry.get_subscriptions(self.now_ms, &facts(), &request)
    }

    fn push(&self, request: &PushTelemetryRequestRef<'_>) -> ErrorCode {
        let code = self.telemetry.push(self.now_ms, &facts(), request).error_code;
        ErrorCode::from_code(code).unwrap()
    }

    /// A client that has asked and may push.
    fn client(&self) -> (TopicId, i32) {
        let answer = self.get(TopicId::ZERO);
        (answer.client_instance_id, answer.subscription_id)
    }

    fn bean(&self, attribute: &str) -> String {
        format!("{:?}", self.registry.read(BEAN, attribute).unwrap())
    }

    /// The value of a pushed family's series for client `app` and group `g`.
    fn series(&self, name: &str, counts: bool) -> Option<f64> {
        let row = super::series::row(name.to_owned(), counts).unwrap();
        self.registry.family(row).read(&["app", "g"])
    }
}

fn facts() -> ClientFacts<'static> {
    ClientFacts {
        client_id: "app",
        software_name: "apache-kafka-java",
        software_version: "4.3.1",
        source_address: IpAddr::from([127, 0, 0, 1]),
        source_port: 4000,
    }
}

fn request((id, subscription_id): (TopicId, i32), metrics: &[u8]) -> PushTelemetryRequestRef<'_> {
    PushTelemetryRequestRef {
        client_instance_id: id,
        subscription_id,
        terminating: false,
        compression_type: 0,
        metrics,
    }
}

#[test]
fn a_client_asks_and_is_told_what_to_push() {
    let rig = Rig::new();
    let answer = rig.get(TopicId::ZERO);
    assert_ne!(answer.client_instance_id, TopicId::ZERO);
    assert_eq!(answer.error_code, 0);
    assert_eq!(answer.accepted_compression_types, [4, 3, 1, 2]);
    assert_eq!((answer.push_interval_ms, answer.telemetry_max_bytes), (10_000, MAX_BYTES));
    assert!(answer.delta_temporality);
    assert_eq!(answer.requested_metrics, ["org.apache.kafka.producer."]);
    assert_eq!(rig.bean("instance-count"), "Double(1.0)");
    let instances = rig.registry.family(&native::PHAROS_CLIENT_INSTANCES);
    assert_eq!(instances.read(&["apache-kafka-java", "4.3.1"]), Some(1.0));
    // Again at once is too early; other subscriptions make it good.
    let again = rig.get(answer.client_instance_id);
    assert_eq!(again.error_code, ErrorCode::ThrottlingQuotaExceeded.code());
    rig.subscribe(&["*"]);
    let renewed = rig.get(answer.client_instance_id);
    assert_eq!((renewed.error_code, renewed.requested_metrics.len()), (0, 1));
    assert_ne!(renewed.subscription_id, answer.subscription_id);
    assert_eq!(rig.bean("instance-count"), "Double(1.0)");
}

#[test]
fn errors_come_in_kafkas_order() {
    let mut rig = Rig::new();
    let client = rig.client();
    let too_large = vec![0; 64 * 1024 + 1];
    let push = request(client, &[]);
    let cases = [
        (
            PushTelemetryRequestRef { client_instance_id: TopicId::ZERO, ..push },
            ErrorCode::InvalidRequest,
        ),
        (
            PushTelemetryRequestRef { subscription_id: client.1 + 1, ..push },
            ErrorCode::UnknownSubscriptionId,
        ),
        (
            PushTelemetryRequestRef { compression_type: 5, ..push },
            ErrorCode::UnsupportedCompressionType,
        ),
        (
            PushTelemetryRequestRef { compression_type: -1, ..push },
            ErrorCode::UnsupportedCompressionType,
        ),
        (PushTelemetryRequestRef { metrics: &too_large, ..push }, ErrorCode::TelemetryTooLarge),
        (PushTelemetryRequestRef { metrics: &[0xff], ..push }, ErrorCode::InvalidRecord),
        (
            PushTelemetryRequestRef { metrics: &[1], compression_type: 4, ..push },
            ErrorCode::InvalidRecord,
        ),
        (push, ErrorCode::None),
    ];
    for (request, expected) in cases {
        assert_eq!(rig.push(&request), expected, "{request:?}");
        rig.now_ms += INTERVAL_MS;
    }
    assert_eq!(rig.push(&push), ErrorCode::None);
    assert_eq!(rig.push(&push), ErrorCode::ThrottlingQuotaExceeded);
    let last = PushTelemetryRequestRef { terminating: true, ..push };
    assert_eq!(rig.push(&last), ErrorCode::None);
    rig.now_ms += INTERVAL_MS;
    assert_eq!(rig.push(&push), ErrorCode::InvalidRequest);
    let expected = [
        ("ok", 3.0),
        ("invalid_request", 2.0),
        ("throttled", 1.0),
        ("unknown_subscription", 1.0),
        ("unsupported_compression", 2.0),
        ("too_large", 1.0),
        ("invalid_record", 2.0),
    ];
    let pushes = rig.registry.family(&native::PHAROS_TELEMETRY_PUSHES_TOTAL);
    for (outcome, count) in expected {
        assert_eq!(pushes.read(&[outcome]), Some(count), "{outcome}");
    }
    assert_eq!(rig.bean("unknown-subscription-request-count"), "Double(1.0)");
}

#[test]
fn instances_and_unknown_subscriptions_are_counted() {
    let rig = Rig::new();
    let truth = truth!(&rig.registry);
    let asked = truth.claims([by(&node::CLIENT_METRICS, &[], "instance-count", 1.0)]);
    let (id, subscription) = rig.client();
    asked.hold();
    let attribute = "unknown-subscription-request-count";
    let refused = truth.claims([by(&node::CLIENT_METRICS, &[], attribute, 1.0)]);
    rig.push(&request((id, subscription + 1), &[]));
    refused.hold();
}

#[test]
fn a_client_with_an_unknown_subscription_may_ask_at_once() {
    let rig = Rig::new();
    let (id, subscription) = rig.client();
    assert_eq!(rig.push(&request((id, subscription + 1), &[])), ErrorCode::UnknownSubscriptionId);
    assert_eq!(rig.get(id).error_code, 0);
}

#[test]
fn a_bomb_is_refused_at_the_limit() {
    let mut rig = Rig::new();
    let client = rig.client();
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let mut bomb = Vec::new();
        compress(codec, None, &vec![0; 1 << 20], &mut bomb).unwrap();
        let push = PushTelemetryRequestRef {
            compression_type: codec.id().cast_signed(),
            ..request(client, &bomb)
        };
        assert_eq!(rig.push(&push), ErrorCode::TelemetryTooLarge, "{codec}");
        rig.now_ms += INTERVAL_MS;
    }
}

#[test]
fn pushes_become_series_that_leave_with_their_clients() {
    let mut rig = Rig::new();
    let (one, two) = (rig.client(), rig.client());
    let push = |rig: &Rig, client, rate, total, sent| {
        let metrics = vec![
            gauge("org.apache.kafka.producer.x.rate", rate),
            delta("org.apache.kafka.producer.x.total", total),
            cumulative("org.apache.kafka.producer.x.sent", sent),
            gauge("com.example.other", 1.0),
            gauge("org.apache.kafka.producer.nothing", f64::NAN),
        ];
        let plain = push_of("g", metrics).encode_to_vec();
        let mut bytes = Vec::new();
        compress(Codec::Zstd, None, &plain, &mut bytes).unwrap();
        let request = PushTelemetryRequestRef { compression_type: 4, ..request(client, &bytes) };
        assert_eq!(rig.push(&request), ErrorCode::None);
    };
    let seen = |rig: &Rig| {
        [
            rig.series("org_apache_kafka_producer_x_rate", false),
            rig.series("org_apache_kafka_producer_x_total", true),
            rig.series("org_apache_kafka_producer_x_sent_total", true),
        ]
    };
    push(&rig, one, 5.0, 10.0, 100.0);
    push(&rig, two, 3.0, 0.5, 50.0);
    assert_eq!(seen(&rig), [Some(5.0), Some(10.0), Some(150.0)]);
    rig.now_ms += 2 * INTERVAL_MS;
    // Halves add up, sums go on from where they were, or from nothing.
    push(&rig, two, 2.0, 0.5, 60.0);
    assert_eq!(seen(&rig), [Some(5.0), Some(11.0), Some(160.0)]);
    rig.now_ms += INTERVAL_MS;
    rig.telemetry.expire(rig.now_ms);
    // The first one's gauge is gone, what it counted is not.
    assert_eq!(seen(&rig), [Some(2.0), Some(11.0), Some(160.0)]);
    rig.now_ms += 2 * INTERVAL_MS;
    rig.telemetry.expire(rig.now_ms);
    assert_eq!(seen(&rig), [None, None, None]);
    // Instances are remembered for a minute at least.
    assert_eq!(rig.bean("instance-count"), "Double(2.0)");
    rig.now_ms += 60_000;
    rig.telemetry.expire(rig.now_ms);
    assert_eq!(rig.bean("instance-count"), "Double(0.0)");
    let instances = rig.registry.family(&native::PHAROS_CLIENT_INSTANCES);
    assert_eq!(instances.read(&["apache-kafka-java", "4.3.1"]), None);
}

#[test]
fn the_number_of_instances_is_bounded() {
    let rig = Rig::new();
    for _ in 0..MAX_INSTANCES + 10 {
        rig.client();
    }
    assert_eq!(rig.bean("instance-count"), format!("Double({MAX_INSTANCES}.0)"));
}

#[test]
fn long_names_are_folded() {
    let rig = Rig::new();
    let client = rig.client();
    let group = "g".repeat(10_000);
    let metrics = vec![delta("org.apache.kafka.producer.long.total", 2.0)];
    let push = push_of(&group, metrics).encode_to_vec();
    assert_eq!(rig.push(&request(client, &push)), ErrorCode::None);
    let row = super::series::row("org_apache_kafka_producer_long_total".to_owned(), true).unwrap();
    assert_eq!(rig.registry.family(row).read(&["app", "(other)"]), Some(2.0));
}
