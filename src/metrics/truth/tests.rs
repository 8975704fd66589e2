//! The table against the catalogue, and the figures that instruments of one kind share.

use std::time::Duration;

use pharos_base::Clock;

use super::*;
use crate::catalog::{coordinator, log, network, node, requests, rows_of_beans, sockets};
use crate::row::{HISTOGRAM_ATTRIBUTES, METER_ATTRIBUTES, TIMER_ATTRIBUTES};

fn text() -> String {
    std::fs::read_to_string(Table::path(Path::new(env!("CARGO_MANIFEST_DIR")))).unwrap()
}

#[test]
fn every_attribute_of_the_catalogue_has_its_test() {
    let text = text();
    let table = Table::parse(&text).unwrap();
    let mut unproven = Vec::new();
    for row in rows_of_beans() {
        for attribute in row.attributes() {
            if table.proof(row, attribute.name).is_none() {
                unproven.push(format!("{} {}", row.template, attribute.name));
            }
        }
    }
    assert!(unproven.is_empty(), "{} without a test: {unproven:#?}", unproven.len());
}

#[test]
fn every_line_is_about_the_catalogue() {
    let text = text();
    let table = Table::parse(&text).unwrap();
    let kinds = [
        ("Meter", METER_ATTRIBUTES.map(|it| it.0).to_vec()),
        ("Histogram", HISTOGRAM_ATTRIBUTES.map(|it| it.0).to_vec()),
        ("Timer", TIMER_ATTRIBUTES.map(|it| it.0).to_vec()),
        ("Sensor", STATS.to_vec()),
    ];
    for line in table.lines() {
        let kind = kinds.iter().find(|(kind, _)| *kind == line.subject);
        let row = rows_of_beans().find(|row| row.template == line.subject);
        let known = match (kind, row) {
            (Some((_, figures)), _) => figures.contains(&line.attribute),
            (None, Some(row)) => {
                let any = matches!(line.standing, Standing::Absent { .. });
                (any && line.attribute == "*")
                    || row.attributes().iter().any(|it| it.name == line.attribute)
            }
            (None, None) => false,
        };
        assert!(known, "{line:?}");
    }
}

const STATS: [&str; 11] = [
    "Rate",
    "CountRate",
    "Ratio",
    "Total",
    "Count",
    "Avg",
    "Max",
    "Min",
    "Quantile",
    "HistogramMax",
    "HistogramQuantile",
];

#[test]
fn a_claim_that_holds_before_the_act_proves_nothing() {
    let registry = Registry::new(Clock::simulated(0).0);
    let tags = [("request", "Produce"), ("version", "9")];
    let row = &network::REQUEST_METRICS_REQUESTS_PER_SEC;
    let meter = registry.meter(row, &tags);
    let absent = by(row, &[("request", "Fetch"), ("version", "9")], "Count", 1.0);
    assert!(!absent.holds(None, None));
    assert!(by(row, &tags, "Count", 0.0).holds(Some(&Value::Long(3)), Some(&Value::Long(3))));
    assert!(!by(row, &tags, "Count", 2.0).holds(Some(&Value::Long(3)), Some(&Value::Long(4))));
    meter.mark(4);
    assert!(
        to(row, &tags, "Count", 4.0)
            .holds(None, registry.read(&fill(row, &tags), "Count").as_ref())
    );
}

#[test]
fn the_figures_of_a_meter() {
    let (clock, hand) = Clock::simulated(0);
    let registry = Registry::new(clock);
    let truth = crate::truth!(&registry);
    let tags = [("request", "Produce"), ("version", "9")];
    let row = &network::REQUEST_METRICS_REQUESTS_PER_SEC;
    let known = truth.claims([
        says(row, &tags, "EventType", "requests").of_kind(),
        says(row, &tags, "RateUnit", "SECONDS").of_kind(),
    ]);
    let meter = registry.meter(row, &tags);
    known.hold();
    let rates = truth.claims([
        by(row, &tags, "Count", 50.0).of_kind(),
        by(row, &tags, "MeanRate", 10.0).of_kind(),
        by(row, &tags, "OneMinuteRate", 10.0).of_kind(),
        by(row, &tags, "FiveMinuteRate", 10.0).of_kind(),
        by(row, &tags, "FifteenMinuteRate", 10.0).of_kind(),
    ]);
    meter.mark(50);
    hand.advance(Duration::from_secs(5));
    registry.tick();
    rates.hold();
    // A minute without events leaves e^-1, e^-(1/5) and e^-(1/15).
    let decayed = truth.claims(
        [
            to(row, &tags, "OneMinuteRate", 10.0 * f64::exp(-1.0)),
            to(row, &tags, "FiveMinuteRate", 10.0 * f64::exp(-0.2)),
            to(row, &tags, "FifteenMinuteRate", 10.0 * f64::exp(-1.0 / 15.0)),
        ]
        .map(Claim::of_kind),
    );
    for _ in 0..12 {
        hand.advance(Duration::from_secs(5));
        registry.tick();
    }
    decayed.hold();
}

/// Its events are nanoseconds, so that its rates are shares of time.
#[test]
fn the_figures_of_a_meter_of_idle_time() {
    let (clock, hand) = Clock::simulated(0);
    let registry = Registry::new(clock);
    let truth = crate::truth!(&registry);
    let row = &requests::KAFKA_REQUEST_HANDLER_POOL_REQUEST_HANDLER_AVG_IDLE_PERCENT;
    let claims = truth.claims([
        says(row, &[], "EventType", "percent"),
        says(row, &[], "RateUnit", "NANOSECONDS"),
        to(row, &[], "MeanRate", 0.6),
        to(row, &[], "OneMinuteRate", 0.6),
        to(row, &[], "FiveMinuteRate", 0.6),
        to(row, &[], "FifteenMinuteRate", 0.6),
    ]);
    let meter = registry.meter(row, &[]);
    meter.mark(3_000_000_000);
    hand.advance(Duration::from_secs(5));
    registry.tick();
    claims.hold();
}

#[test]
fn the_figures_of_a_histogram() {
    let registry = Registry::new(Clock::simulated(0).0);
    let truth = crate::truth!(&registry);
    let (row, tags) = (&network::REQUEST_METRICS_TOTAL_TIME_MS, [("request", "Produce")]);
    let histogram = registry.histogram(row, &tags);
    let wanted =
        [100.0, 1.0, 100.0, 50.5, 50.5, 29.011_491_975_882_016, 75.75, 95.95, 98.98, 99.99, 100.0];
    let claims = HISTOGRAM_ATTRIBUTES.iter().zip(wanted);
    let claims =
        truth.claims(claims.map(|((name, _), value)| to(row, &tags, name, value).of_kind()));
    for value in 1..=100 {
        histogram.update(value);
    }
    claims.hold();
}

#[test]
fn the_figures_of_a_timer() {
    let (clock, hand) = Clock::simulated(0);
    let registry = Registry::new(clock);
    let truth = crate::truth!(&registry);
    let row = &log::LOG_FLUSH_STATS_LOG_FLUSH_RATE_AND_TIME_MS;
    let claim = |name: &'static str, value| to(row, &[], name, value).of_kind();
    let known = truth.claims([
        says(row, &[], "LatencyUnit", "MILLISECONDS").of_kind(),
        says(row, &[], "EventType", "calls").of_kind(),
        says(row, &[], "RateUnit", "SECONDS").of_kind(),
    ]);
    let timer = registry.timer(row, &[]);
    known.hold();
    let claims = truth.claims([
        claim("Count", 2.0),
        claim("MeanRate", 0.4),
        claim("OneMinuteRate", 0.4),
        claim("FiveMinuteRate", 0.4),
        claim("FifteenMinuteRate", 0.4),
        claim("Min", 1.5),
        claim("Max", 2.5),
        claim("Mean", 2.0),
        claim("StdDev", f64::sqrt(0.5)),
        claim("50thPercentile", 2.0),
        claim("75thPercentile", 2.5),
        claim("95thPercentile", 2.5),
        claim("98thPercentile", 2.5),
        claim("99thPercentile", 2.5),
        claim("999thPercentile", 2.5),
    ]);
    timer.update(Duration::from_micros(1500));
    timer.update(Duration::from_micros(2500));
    hand.advance(Duration::from_secs(5));
    registry.tick();
    claims.hold();
}

#[test]
fn the_figures_of_a_sensor() {
    let (clock, hand) = Clock::simulated(0);
    let registry = Registry::new(clock);
    let truth = crate::truth!(&registry);
    let row = &sockets::SOCKET_SERVER_METRICS_BY_LISTENER_NETWORK_PROCESSOR;
    let tags = [("listener", "PLAINTEXT"), ("networkProcessor", "0")];
    let bean = registry.attributes(row, &tags);
    let claims = truth.claims([
        to(row, &tags, "incoming-byte-rate", 30.0 / 35.0).of_kind(),
        to(row, &tags, "response-rate", 2.0 / 35.0).of_kind(),
        to(row, &tags, "incoming-byte-total", 30.0).of_kind(),
        to(row, &tags, "response-total", 2.0).of_kind(),
        to(row, &tags, "io-wait-ratio", 7.0 / 35.0).of_kind(),
        to(row, &tags, "request-size-avg", 15.0).of_kind(),
        to(row, &tags, "request-size-max", 20.0).of_kind(),
    ]);
    bean.sensor("select").record(7e9);
    for value in [10.0, 20.0] {
        bean.sensor("bytes-received").record(value);
        bean.sensor("bytes-sent").record(value);
    }
    // Five seconds of the running window, and one full one that Kafka assumes.
    hand.advance(Duration::from_secs(5));
    claims.hold();

    let row = &node::FORWARDING_MANAGER;
    let forwarding = registry.attributes(row, &[]);
    let quantiles = truth.claims([
        to(row, &[], "QueueTimeMs.p99", 50.0).of_kind(),
        to(row, &[], "QueueTimeMs.p999", 50.0).of_kind(),
    ]);
    for value in 1..=50 {
        forwarding.sensor("queue-time").record(f64::from(value));
    }
    quantiles.hold();

    let row = &coordinator::GROUP_COORDINATOR_METRICS;
    let groups = registry.attributes(row, &[]);
    assert_eq!(registry.read(row.template, "event-queue-time-ms-max"), Some(Value::Double(0.0)));
    let histogram = truth.claims([
        to(row, &[], "event-queue-time-ms-max", 50.0).of_kind(),
        to(row, &[], "event-queue-time-ms-p50", 25.0).of_kind(),
        to(row, &[], "event-queue-time-ms-p95", 48.0).of_kind(),
        to(row, &[], "event-queue-time-ms-p99", 50.0).of_kind(),
        to(row, &[], "event-queue-time-ms-p999", 50.0).of_kind(),
    ]);
    for value in 1..=50 {
        groups.sensor("event-queue-time").record(f64::from(value));
    }
    histogram.hold();
}
