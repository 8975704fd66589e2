//! Quotas by a clock that is moved by hand, and the truth of their beans.

use std::time::Duration;

use pharos_base::{Clock, ClockHand};
use pharos_metadata::image::{MetadataDelta, QuotaName};
use pharos_metadata::record::MetadataRecord;
use pharos_metrics::catalog::quotas as rows;
use pharos_metrics::truth::{Claim, by, to};
use pharos_metrics::{BeanRow, Value, truth};
use pharos_protocol::messages::ClientQuotaRecord;
use pharos_protocol::messages::client_quota_record::EntityData;

use super::*;

const WINDOWS: QuotaWindows = QuotaWindows {
    clients: SampleWindows { number: 11, length_ms: 1000 },
    controller: SampleWindows { number: 11, length_ms: 1000 },
};

struct Stage {
    registry: Registry,
    quotas: ClientQuotas,
    image: MetadataImage,
    hand: ClockHand,
}

impl Stage {
    fn new() -> Self {
        let (clock, hand) = Clock::simulated(1_700_000_000_000);
        let registry = Registry::new(clock);
        let quotas = ClientQuotas::new(&registry, WINDOWS);
        Self { registry, quotas, image: MetadataImage::empty(), hand }
    }

    /// `user=a client-id`: parts with names, or defaults.
    fn set(&mut self, entity: &str, key: &str, limit: Option<f64>) {
        let parts = entity.split(' ').map(|word| {
            let (kind, name) = word.split_once('=').map_or((word, None), |(k, n)| (k, Some(n)));
            EntityData { entity_type: kind.to_owned(), entity_name: name.map(str::to_owned) }
        });
        let record = ClientQuotaRecord {
            entity: parts.collect(),
            key: key.to_owned(),
            value: limit.unwrap_or_default(),
            remove: limit.is_none(),
        };
        let mut delta = MetadataDelta::default();
        self.image.apply(&MetadataRecord::ClientQuota(record), &mut delta).unwrap();
        self.quotas.follow(&self.image, &delta.quotas_changed);
    }

    fn advance(&self, seconds: u64) {
        self.hand.advance(Duration::from_secs(seconds));
    }

    fn has(&self, bean: &str) -> bool {
        self.registry.bean(bean).is_some()
    }
}

fn client(user: &str, client_id: &str) -> Client {
    Client { user: user.into(), client_id: client_id.into() }
}

#[test]
fn nothing_is_counted_without_limits() {
    let mut stage = Stage::new();
    let someone = client("u", "c");
    assert_eq!(stage.quotas.produce.record(&someone, 1e12), 0);
    assert!(stage.quotas.begin_request().is_none());
    assert_eq!(stage.quotas.fetch.most_at_once(&someone), f64::MAX);
    assert_eq!(stage.registry.len(), 4);
    // A limit of one kind says nothing of the others, and none of addresses is for clients.
    stage.set("client-id=c", "producer_byte_rate", Some(1.0));
    stage.set("ip", "connection_creation_rate", Some(1.0));
    assert!(stage.quotas.produce.is_enabled() && !stage.quotas.fetch.is_enabled());
}

#[test]
fn who_uses_too_much_waits_until_the_rate_is_right_again() {
    let mut stage = Stage::new();
    stage.set("client-id=c", "producer_byte_rate", Some(1000.0));
    let produce = |bytes: f64| stage.quotas.produce.record(&client("u", "c"), bytes);
    // Ten seconds are assumed to have passed: 2,500 a second, 1,500 too many.
    assert_eq!(produce(25_000.0), 15_000);
    stage.advance(5);
    assert_eq!(produce(0.0), 15_000);
    stage.advance(10);
    // What was used has left the windows.
    assert_eq!(produce(10_000.0), 0);
    assert_eq!(produce(1.0), 1);
    // Another client has an account of its own, without a limit.
    assert_eq!(stage.quotas.produce.record(&client("u", "d"), 1e12), 0);
}

#[test]
fn a_new_limit_holds_for_what_was_used_before() {
    let mut stage = Stage::new();
    let someone = client("u", "c");
    stage.set("client-id", "producer_byte_rate", Some(1e9));
    assert_eq!(stage.quotas.produce.record(&someone, 50_000.0), 0);
    stage.set("client-id=c", "producer_byte_rate", Some(1000.0));
    assert_eq!(stage.quotas.produce.record(&someone, 0.0), 40_000);
    stage.set("client-id=c", "producer_byte_rate", None);
    assert_eq!(stage.quotas.produce.record(&someone, 0.0), 0, "the default holds again");
    stage.set("client-id", "producer_byte_rate", Some(2500.0));
    assert_eq!(stage.quotas.produce.record(&someone, 0.0), 10_000);
}

#[test]
fn limits_that_make_no_sense_stop_nobody_for_ever() {
    let mut stage = Stage::new();
    let someone = client("u", "c");
    for (limit, expected) in
        [(f64::NAN, 0), (f64::INFINITY, 0), (1e-300, i32::MAX as u32), (f64::MAX, 0)]
    {
        stage.set("client-id=c", "producer_byte_rate", Some(limit));
        assert_eq!(stage.quotas.produce.record(&someone, 1e9), expected, "{limit}");
    }
}

#[test]
fn a_fetch_is_capped_where_it_would_be_muted_for_sure() {
    let mut stage = Stage::new();
    stage.set("client-id=c", "consumer_byte_rate", Some(1000.0));
    assert_eq!(stage.quotas.fetch.most_at_once(&client("u", "c")), 10_000.0);
    assert_eq!(stage.quotas.fetch.most_at_once(&client("u", "d")), f64::MAX);
}

#[test]
fn the_time_of_threads_mutes_for_one_window_at_most() {
    let mut stage = Stage::new();
    stage.set("user", "request_percentage", Some(1e-9));
    let time = stage.quotas.begin_request().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let busy = async {
        while time.nanos() == 0 {
            std::hint::spin_loop();
        }
    };
    runtime.block_on(ThreadTime::count(Some(&time), busy));
    let spent = time.nanos();
    assert!(spent > 0);
    assert_eq!(time.nanos(), spent, "nobody works on it any more");
    assert_eq!(stage.quotas.request_ms(&client("u", "c"), Some(&time)), 1000);
}

#[test]
fn partitions_are_paid_in_advance_or_owed() {
    let mut stage = Stage::new();
    stage.set("client-id=c", "controller_mutation_rate", Some(10.0));
    let someone = client("u", "c");
    let quota = |strict| MutationQuota::new(&stage.quotas.mutation, &someone, strict);
    // 110 are in the bucket. Who is not in debt may take any number.
    let first = quota(true);
    assert!(first.for_controller().take(200).is_ok());
    assert_eq!(first.throttle_ms(), 0);
    let second = quota(true);
    let refused = second.for_controller().take(1).unwrap_err();
    assert_eq!(refused.code.name(), "THROTTLING_QUOTA_EXCEEDED");
    assert_eq!(second.throttle_ms(), 9000);
    stage.advance(2);
    assert_eq!(second.throttle_ms(), 7000, "time passes");
    let old = quota(false);
    assert!(old.for_controller().take(10).is_ok(), "old versions cannot be refused");
    assert_eq!(old.throttle_ms(), 8000);
    stage.advance(8);
    assert!(quota(true).for_controller().take(1).is_ok());
}

#[test]
fn who_is_quiet_for_an_hour_is_forgotten_with_the_bean() {
    let mut stage = Stage::new();
    stage.set("client-id", "producer_byte_rate", Some(1000.0));
    let bean = "kafka.server:type=Produce,client-id=c";
    stage.quotas.produce.record(&client("u", "c"), 1.0);
    stage.advance(3600);
    stage.quotas.expire();
    assert!(stage.has(bean));
    stage.advance(1);
    stage.quotas.expire();
    assert!(!stage.has(bean) && stage.has("kafka.server:type=Produce"));
    stage.quotas.produce.record(&client("u", "c"), 1.0);
    assert!(stage.has(bean));
}

#[test]
fn a_hundred_thousand_client_ids_take_no_more_than_ten_thousand() {
    let mut stage = Stage::new();
    stage.set("client-id", "producer_byte_rate", Some(1000.0));
    let produce =
        |name: usize| stage.quotas.produce.record(&client("u", &format!("c{name}")), 1500.0);
    for name in 0..100_000 {
        // Those that come last share an account, and use too much of it together.
        let muted = produce(name) > 0;
        assert_eq!(muted, name >= 10_006, "{name}");
    }
    assert_eq!(stage.registry.beans("kafka.server:type=Produce,").len(), 10_000);
    // When the first are at rest, others take their places.
    stage.advance(12);
    assert_eq!(produce(200_000), 0);
    assert!(stage.has("kafka.server:type=Produce,client-id=c200000"));
    assert_eq!(stage.registry.beans("kafka.server:type=Produce,").len(), 1);
}

#[test]
fn tags_are_those_of_the_limit_that_holds_and_users_are_encoded() {
    let mut stage = Stage::new();
    stage.set("client-id=c", "producer_byte_rate", Some(1.0));
    stage.set("user=a@b", "producer_byte_rate", Some(1.0));
    stage.set("user=x client-id", "producer_byte_rate", Some(1.0));
    for (who, bean) in [
        (client("a@b", "c"), "user=a%40b"),
        (client("x", "d"), "user=x,client-id=d"),
        (client("y", "e"), "client-id=e"),
    ] {
        stage.quotas.produce.record(&who, 1.0);
        let bean = format!("kafka.server:type=Produce,{bean}");
        assert!(stage.has(&bean), "{bean}: {:?}", stage.registry.beans("kafka.server"));
    }
    let entity = QuotaEntity { user: Some(QuotaName::Default), ..QuotaEntity::default() };
    assert!(stage.image.quota(&entity).is_none());
}

/// Rows of one kind by what they are tagged with: client id, user, both.
type Rows = [&'static BeanRow; 3];

const PRODUCE: Rows =
    [&rows::PRODUCE_BY_CLIENT_ID, &rows::PRODUCE_BY_USER, &rows::PRODUCE_BY_USER_CLIENT_ID];
const FETCH: Rows =
    [&rows::FETCH_BY_CLIENT_ID, &rows::FETCH_BY_USER, &rows::FETCH_BY_USER_CLIENT_ID];
const REQUEST: Rows =
    [&rows::REQUEST_BY_CLIENT_ID, &rows::REQUEST_BY_USER, &rows::REQUEST_BY_USER_CLIENT_ID];
const MUTATION: Rows = [
    &rows::CONTROLLER_MUTATION_BY_CLIENT_ID,
    &rows::CONTROLLER_MUTATION_BY_USER,
    &rows::CONTROLLER_MUTATION_BY_USER_CLIENT_ID,
];

#[test]
fn what_clients_use_and_how_long_they_are_muted() {
    let mut stage = Stage::new();
    let registry = stage.registry.clone();
    let truth = truth!(&registry);
    for key in [
        "producer_byte_rate",
        "consumer_byte_rate",
        "request_percentage",
        "controller_mutation_rate",
    ] {
        for entity in ["client-id=c", "user=u", "user=b client-id=c"] {
            stage.set(entity, key, Some(10.0));
        }
    }
    let who = [
        (client("a", "c"), vec![("client-id", "c")]),
        (client("u", "d"), vec![("user", "u")]),
        (client("b", "c"), vec![("user", "b"), ("client-id", "c")]),
    ];
    for (at, (client, tags)) in who.iter().enumerate() {
        let used = |kind: Rows, attribute, value| to(kind[at], tags, attribute, value);
        let muted = |kind: Rows| to(kind[at], tags, "throttle-time", 300.0);
        let claims: Vec<Claim> = vec![
            used(PRODUCE, "byte-rate", 2200.0),
            used(FETCH, "byte-rate", 330.0),
            used(REQUEST, "request-time", 4.4),
            // 110 were in the bucket; Kafka shows the rate over half a minute.
            used(MUTATION, "tokens", 50.0),
            used(MUTATION, "mutation-rate", 2.0),
            muted(PRODUCE),
            muted(FETCH),
            muted(REQUEST),
            muted(MUTATION),
            by(&rows::PRODUCE, &[], "queue-size", 1.0),
            by(&rows::FETCH, &[], "queue-size", 1.0),
            by(&rows::REQUEST, &[], "queue-size", 1.0),
            by(&rows::CONTROLLER_MUTATION, &[], "queue-size", 1.0),
        ];
        let claims = truth.claims(claims);
        let quotas = &stage.quotas;
        quotas.produce.record(client, 22_000.0);
        quotas.fetch.record(client, 3300.0);
        quotas.request.record(client, 44.0);
        quotas.mutation.record(client, 60.0);
        for kind in [&quotas.produce, &quotas.fetch, &quotas.request, &*quotas.mutation] {
            kind.throttle(client, 300);
        }
        claims.hold();
    }
    // The mutes end by themselves.
    stage.advance(1);
    let queued = registry.read("kafka.server:type=Produce", "queue-size");
    assert_eq!(queued, Some(Value::Double(0.0)));
}

#[test]
fn time_that_no_quota_covers_is_shown() {
    let mut stage = Stage::new();
    let registry = stage.registry.clone();
    let truth = truth!(&registry);
    stage.set("user", "request_percentage", Some(10.0));
    let time = ThreadTime::of_nanos(300_000_000);
    // 30 percent of a second, over half a minute.
    let claims = truth.claims([to(&rows::REQUEST, &[], "exempt-request-time", 1.0)]);
    stage.quotas.exempt(Some(&time));
    claims.hold();
}
