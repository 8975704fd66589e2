//! Traces of requests: what a collector is told of a real broker's work, how many requests are
//! traced, and that no collector can harm the broker.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use pharos_protocol::batch::BatchOptions;
use pharos_protocol::messages::*;
use pharos_protocol::{ApiKey, frame};

use crate::client_quotas::limit;
use crate::collector::{Collector, Manner, Seen};
use crate::start_process::{Launch, Server, until};
use crate::start_wire::{Wire, batch, fetch, produce};

const SERVER: i32 = 2;
const INTERNAL: i32 = 1;

/// A broker that sends its spans to `endpoint`, and soon.
fn launch(home: &Path, endpoint: &str) -> Launch {
    Launch::up(home)
        .with(&format!("otel.exporter.otlp.endpoint={endpoint}"))
        .env("OTEL_BSP_SCHEDULE_DELAY", "20")
        .env("PHAROS_LOG", "info,openraft=error")
}

/// One member joins a group of the classic protocol.
fn join(wire: &mut Wire, group: &str) {
    let find = FindCoordinatorRequest { key: group.to_owned(), ..Default::default() };
    until("the coordinator", || {
        let answer: FindCoordinatorResponse = wire.call(&find, 2).unwrap();
        answer.error_code == 0
    });
    let mut join = JoinGroupRequest {
        group_id: group.to_owned(),
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 30_000,
        protocol_type: "consumer".to_owned(),
        protocols: vec![join_group_request::JoinGroupRequestProtocol {
            name: "range".to_owned(),
            metadata: bytes::Bytes::from_static(b"\0\0\0\0\0\0\0\0\0\0"),
        }],
        ..Default::default()
    };
    let mut joined = JoinGroupResponse::default();
    until("the group to be joined", || {
        joined = wire.call(&join, 5).unwrap();
        join.member_id.clone_from(&joined.member_id);
        joined.error_code == 0
    });
    let sync = SyncGroupRequest {
        group_id: group.to_owned(),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        assignments: vec![sync_group_request::SyncGroupRequestAssignment {
            member_id: joined.member_id,
            assignment: bytes::Bytes::from_static(b"all"),
        }],
        ..Default::default()
    };
    let synced: SyncGroupResponse = wire.call(&sync, 3).unwrap();
    assert_eq!(synced.error_code, 0);
}

/// Value of each series of a page whose name begins with `prefix`.
fn series(page: &str, prefix: &str) -> BTreeMap<String, f64> {
    let lines = page.lines().filter(|line| line.starts_with(prefix));
    lines
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
        .collect()
}

/// The value of the first label of a series.
fn label(series: &str) -> &str {
    series.split('"').nth(1).unwrap()
}

/// How many requests of each name have been answered.
fn answered(server: &Server) -> BTreeMap<String, f64> {
    let page = server.page("/metrics");
    let counts = series(&page, "pharos_request_duration_seconds_count");
    counts
        .into_iter()
        .filter(|(_, count)| *count > 0.0)
        .map(|(series, count)| (label(&series).to_owned(), count))
        .collect()
}

fn roots(spans: &[Seen]) -> Vec<&Seen> {
    spans.iter().filter(|span| span.parent.is_empty()).collect()
}

/// The whole requests of each name.
fn told(spans: &[Seen]) -> BTreeMap<String, Vec<&Seen>> {
    let mut told = BTreeMap::<_, Vec<_>>::new();
    for root in roots(spans) {
        let name = root.attribute("messaging.operation.name").to_owned();
        told.entry(name).or_default().push(root);
    }
    told
}

/// The parts of a span of that name.
fn parts<'a>(spans: &'a [Seen], of: &Seen, name: &str) -> Vec<&'a Seen> {
    let part = |span: &&Seen| span.trace == of.trace && span.parent == of.id && span.name == name;
    spans.iter().filter(part).collect()
}

/// The one part of a span of that name; it lies within the span, as exactly as two clocks agree.
fn part<'a>(spans: &'a [Seen], of: &Seen, name: &str) -> &'a Seen {
    let parts = parts(spans, of, name);
    let [part] = parts.as_slice() else { panic!("{} {name} in {of:?}", parts.len()) };
    let slack = 5_000_000;
    assert!(part.begin_ns + slack >= of.begin_ns && part.end_ns <= of.end_ns + slack, "{part:?}");
    assert_eq!(part.kind, INTERNAL, "{name}");
    part
}

#[test]
fn a_collector_is_told_what_a_request_went_through() {
    let collector = Collector::start(Manner::Take);
    let home = tempfile::tempdir().unwrap();
    let server = launch(home.path(), &collector.endpoint())
        .with("logging.format=json")
        .with("group.initial.rebalance.delay.ms=0")
        .with("offsets.topic.num.partitions=1")
        .env("OTEL_SERVICE_NAME", "lighthouse")
        .env("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=blue")
        .start();
    let mut wire = server.connect();
    assert_eq!(wire.create_topic("t", 1, &[("flush.messages", "1")]).unwrap(), 0);
    let records = batch(BatchOptions::default(), &[("a", "1"), ("b", "2")]);
    assert_eq!(wire.produce("t", 0, &records).unwrap().0, 0);
    assert_ne!(wire.produce("absent", 0, &records).unwrap().0, 0);
    let _: FetchResponse = wire.call(&fetch("t", 0, 0, 1 << 20), 11).unwrap();
    join(&mut wire, "readers");
    let port = wire.stream().local_addr().unwrap().port();

    // Each request that is counted is one trace.
    until("the last answer to be counted", || answered(&server).contains_key("SyncGroup"));
    let counts = answered(&server);
    let spans = collector.until("the roots of all traces", |spans| {
        let told = told(spans);
        counts.iter().all(|(name, count)| told.get(name).map_or(0, Vec::len) as f64 >= *count)
    });
    let told = told(&spans);
    let found: BTreeMap<_, _> =
        told.iter().map(|(name, roots)| (name.clone(), roots.len() as f64)).collect();
    assert_eq!(found, counts);
    check_phases(&spans);
    check_times(&server.page("/metrics"), &told, &spans);
    check_produce(&spans, &told["Produce"], port);
    check_topics(&spans, told["CreateTopics"][0]);
    check_group(&spans, &told["JoinGroup"], &server.log());
    let fetched = told["FetchConsumer"][0];
    assert_eq!((fetched.name.as_str(), fetched.attribute("kafka.partitions")), ("Fetch", "1"));
    part(&spans, part(&spans, fetched, "local"), "log.read");
    for span in &spans {
        assert_eq!(span.resource["service.name"], "lighthouse");
        assert!(span.resource["service.instance.id"].starts_with("node-"), "{span:?}");
    }
    assert!(collector.heads().iter().all(|head| head.contains("x-tenant: blue")));

    let traces: BTreeSet<_> = spans.iter().map(|span| span.trace.as_str()).collect();
    check_slow(&server, &traces);
    check_exemplars(&server, &traces);
    until("every span to be counted", || {
        server.metric("pharos_spans_exported_total", "") == collector.spans().len() as f64
    });
    assert_eq!(server.metric("pharos_spans_dropped_total", ""), 0.0);
}

/// The phases follow each other and are the whole; one that took no time is not told.
fn check_phases(spans: &[Seen]) {
    for root in roots(spans) {
        assert_eq!((root.kind, root.attribute("messaging.system")), (SERVER, "kafka"));
        let phases = ["request_queue", "local", "remote", "response_queue", "response_send"];
        let mut at = root.begin_ns;
        for phase in phases.into_iter().flat_map(|phase| parts(spans, root, phase)) {
            assert_eq!(phase.begin_ns, at, "{phase:?} of {root:?}");
            assert!(phase.took_ns() > 0, "{phase:?}");
            at = phase.end_ns;
        }
        assert_eq!(at, root.end_ns, "{root:?}");
    }
    // Whatever is part of something is part of something that was told.
    let ids: BTreeSet<_> = spans.iter().map(|span| (&span.trace, &span.id)).collect();
    for span in spans.iter().filter(|span| !span.parent.is_empty()) {
        assert!(ids.contains(&(&span.trace, &span.parent)), "{span:?}");
    }
}

/// The histograms say the same, to the microsecond.
fn check_times(page: &str, told: &BTreeMap<String, Vec<&Seen>>, spans: &[Seen]) {
    let total = |spans: &[&Seen]| spans.iter().map(|it| it.took_ns() as f64 / 1e9).sum::<f64>();
    for (name, roots) in told {
        let of = |family: &str, labels: &str| {
            page.lines()
                .find_map(|line| line.strip_prefix(&format!("{family}_sum{{{labels}}} ")))
                .unwrap_or_else(|| panic!("{family} {labels}"))
                .parse::<f64>()
                .unwrap()
        };
        let whole = of("pharos_request_duration_seconds", &format!("request=\"{name}\""));
        assert!((total(roots) - whole).abs() < 1e-6, "{name}: {whole} s, spans {}", total(roots));
        for phase in ["request_queue", "local", "remote", "response_queue", "response_send"] {
            let labels = format!("request=\"{name}\",phase=\"{phase}\"");
            let shown = of("pharos_request_phase_duration_seconds", &labels);
            let parts: Vec<_> = roots.iter().flat_map(|root| parts(spans, root, phase)).collect();
            assert!((total(&parts) - shown).abs() < 1e-6, "{labels}: {shown}, {}", total(&parts));
        }
    }
}

fn check_produce(spans: &[Seen], produced: &[&Seen], port: u16) {
    let [good, bad] = produced else { panic!("{produced:?}") };
    let expected = [
        ("messaging.operation.type", "send"),
        ("messaging.operation.name", "Produce"),
        ("messaging.client.id", "it"),
        ("messaging.destination.name", "t"),
        ("messaging.destination.partition.id", "0"),
        ("network.peer.address", "127.0.0.1"),
        ("network.peer.port", &port.to_string()),
        ("kafka.listener", "PLAINTEXT"),
        ("kafka.api.key", "0"),
        ("kafka.api.version", "9"),
        ("kafka.correlation_id", "2"),
        ("kafka.partitions", "1"),
        ("error.type", ""),
    ];
    for (name, value) in expected {
        assert_eq!(good.attribute(name), value, "{name}");
    }
    assert_eq!(good.name, "Produce");
    assert_eq!(part(spans, part(spans, good, "local"), "log.append").attribute("log"), "t-0");
    part(spans, part(spans, good, "remote"), "log.flush");
    assert_eq!(bad.attribute("error.type"), "UNKNOWN_TOPIC_OR_PARTITION");
    assert_eq!(bad.attribute("kafka.error_code"), "3");
    // The client's mistake is no failure of the broker.
    assert_eq!((good.status, bad.status), (0, 0));
    assert_eq!(parts(spans, part(spans, bad, "local"), "log.append").len(), 0);
}

/// The controller decides, the quorum commits, the broker follows.
fn check_topics(spans: &[Seen], created: &Seen) {
    let local = part(spans, created, "local");
    let asked = part(spans, local, "controller.request");
    let decided = part(spans, asked, "controller.decide");
    let committed = part(spans, asked, "controller.commit");
    assert!(decided.end_ns <= committed.begin_ns);
    part(spans, local, "metadata.apply");
}

fn check_group(spans: &[Seen], joined: &[&Seen], log: &str) {
    let through = |root: &&&Seen| !parts(spans, root, "remote").is_empty();
    let last = joined.iter().rfind(through).unwrap();
    let event = part(spans, part(spans, last, "local"), "group.event");
    assert_eq!(event.attribute("messaging.consumer.group.name"), "readers");
    part(spans, part(spans, last, "remote"), "group.rebalance");
    // The line that is logged on the way carries the ids, and is an event of the span.
    let line = log.lines().find(|line| line.contains("preparing a rebalance")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    let of = |name: &str| line[name].as_str().unwrap();
    let span = spans.iter().find(|span| span.id == of("span_id")).unwrap();
    assert_eq!((span.name.as_str(), span.trace.as_str()), ("group.event", of("trace_id")));
    assert!(joined.iter().any(|root| root.trace == span.trace));
    assert!(span.events.iter().any(|event| event == "preparing a rebalance"), "{span:?}");
    let outside = log.lines().find(|line| line.contains("this node is the active controller"));
    assert!(!outside.unwrap().contains("trace_id"));
}

/// The slowest requests name their traces.
fn check_slow(server: &Server, traces: &BTreeSet<&str>) {
    let slow: serde_json::Value = serde_json::from_str(&server.page("/api/slow")).unwrap();
    let slow = slow["requests"].as_array().unwrap();
    assert!(!slow.is_empty());
    for request in slow {
        assert!(traces.contains(request["trace_id"].as_str().unwrap()), "{request}");
    }
}

/// An exemplar of a page names a trace that the collector has.
fn check_exemplars(server: &Server, traces: &BTreeSet<&str>) {
    let mut stream = TcpStream::connect(server.admin()).unwrap();
    let accept = "Accept: application/openmetrics-text; version=1.0.0";
    write!(stream, "GET /metrics HTTP/1.0\r\nHost: localhost\r\n{accept}\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    for family in ["pharos_request_duration_seconds", "pharos_request_phase_duration_seconds"] {
        let buckets = page.lines().filter(|line| line.starts_with(&format!("{family}_bucket")));
        let examples: Vec<_> =
            buckets.filter_map(|line| line.split_once("trace_id=\"")?.1.get(..32)).collect();
        assert!(!examples.is_empty(), "{family} has no exemplar");
        for example in examples {
            assert!(traces.contains(example), "{family}: {example}");
        }
    }
}

/// Asks `count` times, and ends the broker: what it had left to send is sent.
fn ask_and_end(server: Server, count: usize) {
    let mut wire = server.connect();
    for _ in 0..count {
        let answer: ApiVersionsResponse = wire.call(&ApiVersionsRequest::default(), 0).unwrap();
        assert_eq!(answer.error_code, 0);
    }
    drop(wire);
    assert_eq!(server.end(), Some(0));
}

#[test]
fn as_many_requests_are_traced_as_asked_for() {
    const ASKED: usize = 600;
    for (ratio, least, most) in [(0.0, 0, 0), (0.5, 220, 380), (1.0, ASKED, ASKED)] {
        let collector = Collector::start(Manner::Take);
        let home = tempfile::tempdir().unwrap();
        let server = launch(home.path(), &collector.endpoint())
            .with("otel.bsp.max.queue.size=100000")
            .env("OTEL_TRACES_SAMPLER_ARG", &ratio.to_string())
            .start();
        ask_and_end(server, ASKED);
        let spans = collector.spans();
        let roots = roots(&spans);
        // 80 are six and a half standard deviations of a fair coin.
        assert!((least..=most).contains(&roots.len()), "{ratio}: {}", roots.len());
        // Who looks at the trace id alone comes to the same decision.
        for root in roots {
            let low = u64::from_str_radix(&root.trace[16..], 16).unwrap() >> 1;
            assert!((low as f64) < ratio * 2f64.powi(63), "{ratio}: {}", root.trace);
        }
        if ratio == 0.0 {
            assert_eq!(collector.requests(), 0);
        }
    }
}

#[test]
fn without_an_endpoint_nothing_is_traced() {
    let home = tempfile::tempdir().unwrap();
    let server = Launch::up(home.path()).start();
    let mut wire = server.connect();
    assert_eq!(wire.create_topic("t", 1, &[]).unwrap(), 0);
    until("the request to be told", || server.page("/api/slow").contains("CreateTopics"));
    assert!(server.page("/api/slow").contains("\"trace_id\":null"));
    assert!(!server.page("/metrics").contains("pharos_spans_"));
}

/// Asks until something is seen to have happened.
fn ask_until(server: &Server, what: &str, mut met: impl FnMut() -> bool) {
    let mut wire = server.connect();
    until(what, || {
        let answer: ApiVersionsResponse = wire.call(&ApiVersionsRequest::default(), 0).unwrap();
        assert_eq!(answer.error_code, 0);
        met()
    });
}

fn lines_of(server: &Server, part: &str) -> usize {
    server.log().lines().filter(|line| line.contains(part)).count()
}

#[test]
fn no_collector_harms_the_broker() {
    let bad = [Manner::Fail, Manner::Reset, Manner::Garbage, Manner::Flood, Manner::Hang];
    for manner in bad {
        let collector = Collector::start(manner);
        let home = tempfile::tempdir().unwrap();
        let mut server = launch(home.path(), &collector.endpoint())
            .with("otel.exporter.otlp.timeout=300")
            .with("otel.bsp.max.queue.size=20")
            .start();
        // Two batches at least get lost, and that is told once.
        ask_until(&server, "lost batches", || {
            collector.requests() >= 2 && dropped(&server, "export_failed") > 20.0
        });
        if manner == Manner::Hang {
            ask_until(&server, "a full queue", || dropped(&server, "queue_full") > 0.0);
        }
        assert_eq!(lines_of(&server, "spans are not exported"), 1, "{manner:?}");
        assert_eq!(server.metric("pharos_spans_exported_total", ""), 0.0, "{manner:?}");
        // Once the collector is well again, so is the export.
        collector.behave(Manner::Take);
        ask_until(&server, "spans", || !collector.spans().is_empty());
        until("the line", || lines_of(&server, "spans are exported again") == 1);
        assert!(server.is_alive());
    }
}

#[test]
fn what_the_collector_throws_away_is_counted() {
    let collector = Collector::start(Manner::Reject);
    let home = tempfile::tempdir().unwrap();
    let server = launch(home.path(), &collector.endpoint()).start();
    ask_until(&server, "rejected spans", || dropped(&server, "rejected") > 0.0);
    assert_eq!(server.metric("pharos_spans_exported_total", ""), 0.0);
    assert_eq!(dropped(&server, "export_failed"), 0.0);
}

fn dropped(server: &Server, reason: &str) -> f64 {
    server.metric("pharos_spans_dropped_total", &format!("reason=\"{reason}\""))
}

#[test]
fn a_collector_that_is_not_there_does_not_hold_up_the_end() {
    let home = tempfile::tempdir().unwrap();
    // No test is given a port as low as this.
    let server = launch(home.path(), "http://127.0.0.1:1").start();
    ask_until(&server, "lost spans", || dropped(&server, "export_failed") > 0.0);
    let line = server.log();
    let line = line.lines().find(|line| line.contains("spans are not exported")).unwrap();
    assert!(line.contains(" WARN ") && line.contains("refused"), "{line}");
    assert_eq!(server.end(), Some(0));
}

#[test]
fn a_mute_is_a_part_of_the_request_that_earned_it() {
    let collector = Collector::start(Manner::Take);
    let home = tempfile::tempdir().unwrap();
    let server = launch(home.path(), &collector.endpoint()).with("quota.window.num=3").start();
    let mut wire = server.connect();
    assert_eq!(wire.create_topic("t", 1, &[]).unwrap(), 0);
    limit(&mut wire, "client-id=it : producer_byte_rate=1000");
    let large = batch(BatchOptions::default(), &[("k", &"v".repeat(4000))]);
    let answer: ProduceResponse = wire.call(&produce("t", 0, &large, 1), 9).unwrap();
    assert!(answer.throttle_time_ms > 0);
    let produced = |span: &Seen| span.name == "Produce";
    let spans = collector.until("the produce", |spans| spans.iter().any(produced));
    let root = spans.iter().find(|span| produced(span)).unwrap();
    let parts = parts(&spans, root, "throttle");
    let [throttle] = parts.as_slice() else { panic!("{parts:?}") };
    assert_eq!(throttle.took_ns() / 1_000_000, u64::try_from(answer.throttle_time_ms).unwrap());
    // The client is muted while its answer is on the way, and after.
    let queue = part(&spans, root, "response_queue");
    assert_eq!(throttle.begin_ns, queue.begin_ns);
    assert!(root.end_ns < throttle.end_ns);
}

#[test]
fn names_from_outside_are_cut() {
    let collector = Collector::start(Manner::Take);
    let home = tempfile::tempdir().unwrap();
    let server = launch(home.path(), &collector.endpoint()).start();
    let (mut wire, name) = (server.connect(), "ü\n".repeat(9000));
    let request = ApiVersionsRequest::default();
    let whole = frame::encode_request(ApiKey::ApiVersions, 0, 7, Some(&name), &request).unwrap();
    wire.stream().write_all(&whole.into_bytes().unwrap()).unwrap();
    let _: ApiVersionsResponse = wire.receive(0).unwrap();
    let spans = collector.until("the request", |spans| !roots(spans).is_empty());
    assert_eq!(roots(&spans)[0].attribute("messaging.client.id"), format!("{}…", &name[..300]));
}

#[test]
fn a_request_that_is_cut_off_is_told_as_such() {
    let collector = Collector::start(Manner::Take);
    let home = tempfile::tempdir().unwrap();
    let server = launch(home.path(), &collector.endpoint()).start();
    let mut wire = server.connect();
    assert_eq!(wire.create_topic("t", 1, &[]).unwrap(), 0);
    // Waits for records that never come.
    let request = FetchRequest { max_wait_ms: 1_000_000, ..fetch("t", 0, 0, 1 << 20) };
    wire.send(&request, 11).unwrap();
    until("the fetch to wait", || {
        server.metric("kafka_server_delayedoperationpurgatory_numdelayedoperations", "Fetch") > 0.0
    });
    drop(wire);
    let cut = |span: &Seen| span.name == "Fetch";
    let spans = collector.until("the fetch", |spans| spans.iter().any(cut));
    let fetch = spans.into_iter().find(cut).unwrap();
    assert_eq!((fetch.attribute("error.type"), fetch.status), ("no_answer", 2));
    assert_eq!(fetch.parent, "");
}
