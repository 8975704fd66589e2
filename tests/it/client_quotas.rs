//! Client quotas over the wire: what may be set and how it is told, as Apache Kafka answers, and
//! what becomes of those that use too much.

use bytes::Bytes;
use pharos_protocol::batch::BatchOptions;
use pharos_protocol::messages::*;
use pharos_protocol::messages::{
    alter_client_quotas_request as alter, describe_client_quotas_request as describe,
};

use crate::facts::{Asked, Fact, compare};
use crate::start_process::{Launch, until};
use crate::start_wire::{Wire, batch, fetch, produce};
use crate::truth::Inside;

const THROTTLING_QUOTA_EXCEEDED: i16 = 89;

/// Parts of an entity: `user=a client-id`, where no name is the default.
fn parts(text: &str) -> Vec<alter::EntityData> {
    let part = |word: &str| {
        let (kind, name) = match word.split_once('=') {
            Some((kind, name)) => (kind, Some(name.to_owned())),
            None => (word, None),
        };
        alter::EntityData { entity_type: kind.to_owned(), entity_name: name }
    };
    text.split(' ').filter(|word| !word.is_empty()).map(part).collect()
}

/// `producer_byte_rate=5 -request_percentage`: limits to set and to take away.
fn ops(text: &str) -> Vec<alter::OpData> {
    let op = |word: &str| match word.split_once('=') {
        Some((key, value)) => {
            alter::OpData { key: key.to_owned(), value: value.parse().unwrap(), remove: false }
        }
        None => {
            let key = word.strip_prefix('-').unwrap().to_owned();
            alter::OpData { key, value: 0.0, remove: true }
        }
    };
    text.split(' ').filter(|word| !word.is_empty()).map(op).collect()
}

/// `ENTITY : OPS` entries, parted by `;`.
fn alteration(text: &str, validate_only: bool) -> AlterClientQuotasRequest {
    let entry = |entry: &str| {
        let (entity, changes) = entry.split_once(" :").unwrap();
        alter::EntryData { entity: parts(entity), ops: ops(changes) }
    };
    let entries = text.split(';').map(entry).collect();
    AlterClientQuotasRequest { entries, validate_only }
}

/// `user=a client-id?`: a name, `?` for any, nothing for the default; `!7` is another match type.
fn filter(text: &str, strict: bool) -> DescribeClientQuotasRequest {
    let component = |word: &str| {
        let (kind, match_type, match_) = if let Some((kind, name)) = word.split_once('=') {
            (kind, 0, Some(name.to_owned()))
        } else if let Some(kind) = word.strip_suffix('?') {
            (kind, 2, None)
        } else if let Some((kind, rest)) = word.split_once('!') {
            let (code, name) = rest.split_once('~').unwrap_or((rest, ""));
            let name = rest.contains('~').then(|| name.to_owned());
            (kind, code.parse().unwrap(), name)
        } else {
            (word, 1, None)
        };
        describe::ComponentData { entity_type: kind.to_owned(), match_type, match_ }
    };
    let components = text.split(' ').filter(|word| !word.is_empty()).map(component).collect();
    DescribeClientQuotasRequest { components, strict }
}

fn told(code: i16, message: Option<&String>) -> String {
    match message {
        Some(message) => format!("{code} {message:?}"),
        None => code.to_string(),
    }
}

fn entity_text<'a>(parts: impl Iterator<Item = (&'a String, &'a Option<String>)>) -> String {
    let words = parts.map(|(kind, name)| match name {
        Some(name) => format!("{kind}={name}"),
        None => kind.clone(),
    });
    // Kafka's order is that of a hash map.
    let mut words: Vec<_> = words.collect();
    words.sort();
    format!("({})", words.join(" "))
}

fn altered(wire: &mut Wire, request: &AlterClientQuotasRequest, version: i16) -> String {
    let answer: AlterClientQuotasResponse = wire.call(request, version).unwrap();
    let mut entries: Vec<_> = answer
        .entries
        .iter()
        .map(|entry| {
            let entity = entry.entity.iter().map(|part| (&part.entity_type, &part.entity_name));
            let told = told(entry.error_code, entry.error_message.as_ref());
            format!("{} {told}", entity_text(entity))
        })
        .collect();
    entries.sort();
    entries.join("; ")
}

fn described(wire: &mut Wire, request: &DescribeClientQuotasRequest, version: i16) -> String {
    let answer: DescribeClientQuotasResponse = wire.call(request, version).unwrap();
    let told = told(answer.error_code, answer.error_message.as_ref());
    let Some(entries) = answer.entries else { return format!("{told} null") };
    let mut entries: Vec<_> = entries
        .iter()
        .map(|entry| {
            let entity = entry.entity.iter().map(|part| (&part.entity_type, &part.entity_name));
            let mut values: Vec<_> = entry
                .values
                .iter()
                .map(|value| format!("{}={:?}", value.key, value.value))
                .collect();
            values.sort();
            format!("{} {}", entity_text(entity), values.join(" "))
        })
        .collect();
    entries.sort();
    format!("{told} [{}]", entries.join("; "))
}

/// What is altered, one after the other; `?` in front only tries.
const ALTERATIONS: &[&str] = &[
    "user=a : producer_byte_rate=1024",
    "user=a : producer_byte_rate=1024",
    "user=a : consumer_byte_rate=2048 request_percentage=12.5 controller_mutation_rate=0.5",
    "user=a client-id=c : producer_byte_rate=1",
    "client-id=c user=b : producer_byte_rate=2",
    "user client-id : consumer_byte_rate=3",
    "user : consumer_byte_rate=4",
    "client-id : consumer_byte_rate=5",
    "user=a client-id : consumer_byte_rate=6",
    "user client-id=c : consumer_byte_rate=7",
    "client-id=c : consumer_byte_rate=8",
    "ip=10.0.0.1 : connection_creation_rate=9",
    "ip : connection_creation_rate=10",
    "ip=::1 : connection_creation_rate=11",
    "ip=localhost : connection_creation_rate=12",
    "ip=no.such.host.invalid : connection_creation_rate=12",
    "? user=z : producer_byte_rate=1",
    "? user=z : producer_byte_rate=-1",
    "user=a : -producer_byte_rate",
    "user=a : -producer_byte_rate",
    "user=a : -nonsense",
    "user=nobody : -producer_byte_rate",
    "user=x :",
    " : producer_byte_rate=1",
    "user= : producer_byte_rate=1",
    "client-id= : producer_byte_rate=1",
    "ip= : connection_creation_rate=1",
    "group=g : producer_byte_rate=1",
    "user=a group=g : producer_byte_rate=1",
    "ip=10.0.0.1 user=a : connection_creation_rate=1",
    "ip=10.0.0.1 client-id=a : connection_creation_rate=1",
    "user=a user=b : producer_byte_rate=7",
    "user=a : nonsense=1",
    "user=a : connection_creation_rate=1",
    "ip=10.0.0.1 : producer_byte_rate=1",
    "user=a : producer_byte_rate=0",
    "user=a : producer_byte_rate=-0.5",
    "user=a : producer_byte_rate=1.5",
    "user=a : producer_byte_rate=1.0000001",
    "user=a : producer_byte_rate=9223372036854775807",
    "user=a : producer_byte_rate=1e19",
    "user=n : producer_byte_rate=NaN",
    "user=n : request_percentage=NaN",
    "user=n : request_percentage=inf",
    "user=n : producer_byte_rate=inf",
    "user=a : request_percentage=0.0000001",
    "user=a : request_percentage=1e300",
    "ip=10.0.0.2 : connection_creation_rate=2147483647",
    "ip=10.0.0.2 : connection_creation_rate=2147483648",
    "ip=10.0.0.2 : connection_creation_rate=0.5",
    "user=d : producer_byte_rate=1 producer_byte_rate=2",
    "user=d : producer_byte_rate=1 -producer_byte_rate",
    "user=e : producer_byte_rate=1;user=e : producer_byte_rate=2",
    "user=f : producer_byte_rate=1;user=g : nonsense=2;user=h : consumer_byte_rate=3",
    "user=f : consumer_byte_rate=1 nonsense=2",
    "user=a\u{e4}\u{f6} : producer_byte_rate=1",
    "user=<default> : producer_byte_rate=77",
];

const FILTERS: &[&str] = &[
    "",
    "user=a",
    "user",
    "user?",
    "client-id=c",
    "client-id",
    "client-id?",
    "user=a client-id=c",
    "user=a client-id?",
    "user? client-id?",
    "user client-id",
    "user? client-id",
    "user=a client-id",
    "ip=10.0.0.1",
    "ip",
    "ip?",
    "ip? user?",
    "ip? client-id=c",
    "user=nobody",
    "user=",
    "user=a user=b",
    "user=a user?",
    "group=g",
    "group=g user=a",
    "=x",
    "user!0",
    "user!1~x",
    "user!2~x",
    "user!3",
    "user!-1~x",
    "user=<default>",
];

fn suite(asked: &mut Asked) -> Vec<Fact> {
    let mut wire = asked.connect();
    let mut facts = Vec::new();
    for text in ALTERATIONS {
        let (only, entries) = text.strip_prefix('?').map_or((false, *text), |rest| (true, rest));
        for version in 0..=1 {
            let answer = altered(&mut wire, &alteration(entries, only), version);
            facts.push((format!("alter v{version} {text}"), answer));
        }
    }
    for text in FILTERS {
        for strict in [false, true] {
            for version in 0..=1 {
                let answer = described(&mut wire, &filter(text, strict), version);
                let strict = if strict { " strictly" } else { "" };
                facts.push((format!("describe v{version}{strict} {text}"), answer));
            }
        }
    }
    facts
}

#[test]
fn quotas_are_set_and_told_as_kafka_does() {
    compare("quotas", &[], suite);
}

/// Sets limits, as `client-id=it : producer_byte_rate=1000`.
pub fn limit(wire: &mut Wire, text: &str) {
    let answer = altered(wire, &alteration(text, false), 1);
    assert!(answer.ends_with(" 0"), "{text}: {answer}");
}

fn queued(inside: &Inside, kind: &str) -> f64 {
    let bean = format!("kafka.server:type={kind}");
    inside.registry.read(&bean, "queue-size").and_then(|value| value.as_f64()).unwrap()
}

/// Whether an answer waits to be read.
fn has_answer(wire: &mut Wire) -> bool {
    let stream = wire.stream();
    stream.set_nonblocking(true).unwrap();
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false).unwrap();
    matches!(peeked, Ok(1))
}

/// A muted connection: what is sent on it is not answered while its mute is counted, then it is.
fn stays_muted(inside: &Inside, wire: &mut Wire, kind: &str) {
    wire.send(&ApiVersionsRequest::default(), 0).unwrap();
    let mut other = Wire::connect(inside.port).unwrap();
    let _: ApiVersionsResponse = other.call(&ApiVersionsRequest::default(), 0).unwrap();
    let answered = has_answer(wire);
    if queued(inside, kind) > 0.0 {
        assert!(!answered, "a muted connection was answered");
    }
    until("the end of the mute", || queued(inside, kind) == 0.0);
    let _: ApiVersionsResponse = wire.receive(0).unwrap();
}

/// What fills a batch to more than so many bytes.
fn large(bytes: usize) -> Bytes {
    batch(BatchOptions::default(), &[("k", &"v".repeat(bytes))])
}

#[test]
fn a_producer_over_its_quota_is_answered_and_muted() {
    let mut inside = Inside::start(&["quota.window.num=3"]);
    inside.create("t", &[]);
    let mut wire = Wire::connect(inside.port).unwrap();
    // Two seconds are assumed: 2,000 bytes pass at once, and 4,000 take two seconds more.
    limit(&mut inside.wire, "client-id=it : producer_byte_rate=1000");
    let request = produce("t", 0, &large(4000), 1);
    let answer: ProduceResponse = wire.call(&request, 9).unwrap();
    let partition = &answer.responses[0].partition_responses[0];
    assert_eq!(
        (partition.error_code, partition.base_offset),
        (0, 0),
        "it was appended all the same"
    );
    assert!(answer.throttle_time_ms > 0, "{answer:?}");
    stays_muted(&inside, &mut wire, "Produce");
    let bean = "kafka.server:type=Produce,client-id=it";
    let throttled = inside.registry.read(bean, "throttle-time").and_then(|value| value.as_f64());
    assert_eq!(throttled, Some(f64::from(answer.throttle_time_ms)));
    let histogram = "kafka.network:type=RequestMetrics,name=ThrottleTimeMs,request=Produce";
    let max = inside.registry.read(histogram, "Max").and_then(|value| value.as_f64());
    assert_eq!(max, throttled);
}

#[test]
fn a_producer_that_wants_no_answer_is_muted_too() {
    let mut inside = Inside::start(&["quota.window.num=3"]);
    inside.create("t", &[]);
    let mut wire = Wire::connect(inside.port).unwrap();
    limit(&mut inside.wire, "user=ANONYMOUS : producer_byte_rate=1000");
    wire.send(&produce("t", 0, &large(4000), 0), 9).unwrap();
    let muted = "kafka.server:type=Produce,user=ANONYMOUS";
    until("the mute", || {
        let time = inside.registry.read(muted, "throttle-time").and_then(|value| value.as_f64());
        time.is_some_and(|time| time > 0.0)
    });
    stays_muted(&inside, &mut wire, "Produce");
    assert_eq!(wire.offsets("t", 0).unwrap(), (0, 1));
}

#[test]
fn a_consumer_over_its_quota_gets_nothing_and_then_everything() {
    let mut inside = Inside::start(&["quota.window.num=3"]);
    inside.create("t", &[]);
    let sent = large(4000);
    assert_eq!(inside.wire.produce("t", 0, &sent).unwrap().0, 0);
    limit(&mut inside.wire, "client-id : consumer_byte_rate=1000");
    let mut wire = Wire::connect(inside.port).unwrap();
    let request = fetch("t", 0, 0, 1 << 20);
    let records = |answer: &FetchResponse| {
        let partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
        let sizes = partitions.map(|it| it.records.as_ref().map_or(0, |records| records.len()));
        sizes.sum::<usize>()
    };
    // The first batch is answered however large it is: more is used than the quota has, and since
    // nothing was sent nothing is owed afterwards.
    let answer: FetchResponse = wire.call(&request, 12).unwrap();
    assert_eq!((answer.error_code, answer.responses.len()), (0, 0), "{answer:?}");
    assert!(answer.throttle_time_ms > 0);
    stays_muted(&inside, &mut wire, "Fetch");
    limit(&mut inside.wire, "client-id=it : consumer_byte_rate=1000000");
    let answer: FetchResponse = wire.call(&request, 12).unwrap();
    assert_eq!((answer.throttle_time_ms, records(&answer)), (0, sent.len()));
    // Its size in front, and the frame around the records.
    let bean = "kafka.server:type=Fetch,client-id=it";
    let rate = inside.registry.read(bean, "byte-rate").and_then(|value| value.as_f64()).unwrap();
    assert!(rate > 0.0);
}

#[test]
fn a_session_is_told_later_what_a_mute_kept_from_it() {
    let mut inside = Inside::start(&["quota.window.num=3"]);
    inside.create("t", &[]);
    let mut wire = Wire::connect(inside.port).unwrap();
    let mut request = fetch("t", 0, 0, 1 << 20);
    request.max_wait_ms = 0;
    request.session_epoch = 0;
    let opened: FetchResponse = wire.call(&request, 12).unwrap();
    assert_ne!(opened.session_id, 0);
    assert_eq!(inside.wire.produce("t", 0, &large(4000)).unwrap().0, 0);
    limit(&mut inside.wire, "client-id : consumer_byte_rate=1000");
    let mut next = FetchRequest { topics: Vec::new(), ..request };
    (next.session_id, next.session_epoch) = (opened.session_id, 1);
    let muted: FetchResponse = wire.call(&next, 12).unwrap();
    assert!(muted.throttle_time_ms > 0 && muted.responses.is_empty(), "{muted:?}");
    assert_eq!((muted.error_code, muted.session_id), (0, opened.session_id));
    limit(&mut inside.wire, "client-id : consumer_byte_rate=1000000");
    next.session_epoch = 2;
    let told: FetchResponse = wire.call(&next, 12).unwrap();
    assert_eq!(told.responses[0].partitions[0].high_watermark, 1);
}

#[test]
fn partitions_beyond_the_quota_are_refused_or_muted_by_version() {
    let mut inside = Inside::start(&["controller.quota.window.num=2"]);
    limit(&mut inside.wire, "client-id=it : controller_mutation_rate=0.01");
    let create = |name: &str| CreateTopicsRequest {
        topics: vec![create_topics_request::CreatableTopic {
            name: name.to_owned(),
            num_partitions: 5,
            replication_factor: 1,
            ..Default::default()
        }],
        ..Default::default()
    };
    let port = inside.port;
    let other = || Wire::connect(port).unwrap();
    // Who is not in debt may take any number, and what is owed takes minutes.
    let made: CreateTopicsResponse = other().call(&create("a"), 7).unwrap();
    assert_eq!((made.topics[0].error_code, made.throttle_time_ms), (0, 0));
    let mut muted = other();
    let refused: CreateTopicsResponse = muted.call(&create("b"), 7).unwrap();
    assert_eq!(refused.topics[0].error_code, THROTTLING_QUOTA_EXCEEDED);
    assert!(refused.throttle_time_ms > 60_000, "{refused:?}");
    muted.send(&ApiVersionsRequest::default(), 0).unwrap();
    let old: CreateTopicsResponse = other().call(&create("c"), 5).unwrap();
    assert_eq!(old.topics[0].error_code, 0, "old versions are not refused");
    assert!(old.throttle_time_ms > 60_000);
    let delete = DeleteTopicsRequest {
        topics: vec![delete_topics_request::DeleteTopicState {
            name: Some("a".to_owned()),
            ..Default::default()
        }],
        ..Default::default()
    };
    let refused: DeleteTopicsResponse = other().call(&delete, 6).unwrap();
    assert_eq!(refused.responses[0].error_code, THROTTLING_QUOTA_EXCEEDED);
    let grow = CreatePartitionsRequest {
        topics: vec![create_partitions_request::CreatePartitionsTopic {
            name: "a".to_owned(),
            count: 6,
            assignments: None,
        }],
        ..Default::default()
    };
    let refused: CreatePartitionsResponse = other().call(&grow, 3).unwrap();
    assert_eq!(refused.results[0].error_code, THROTTLING_QUOTA_EXCEEDED);
    // A broker mutes on behalf of its controller, so that it counts as muted for its time.
    assert!(queued(&inside, "Request") >= 4.0 && queued(&inside, "ControllerMutation") == 0.0);
    assert!(!has_answer(&mut muted), "a muted connection was answered");
}

#[test]
fn the_time_of_threads_is_limited_too() {
    let mut inside = Inside::start(&[]);
    limit(&mut inside.wire, "client-id=it : request_percentage=0.000001");
    let mut wire = Wire::connect(inside.port).unwrap();
    let answer: MetadataResponse = wire.call(&MetadataRequest::default(), 12).unwrap();
    assert_eq!(answer.throttle_time_ms, 1000, "one window at most");
    stays_muted(&inside, &mut wire, "Request");
}

#[test]
fn quotas_outlive_the_node() {
    let home = tempfile::tempdir().unwrap();
    let launch = Launch::up(home.path()).with("node.id=1");
    let server = launch.start();
    let mut wire = server.connect();
    limit(&mut wire, "client-id=it : producer_byte_rate=1");
    limit(&mut wire, "user : request_percentage=7");
    let before = described(&mut wire, &filter("", false), 1);
    drop((wire, server));
    let server = launch.start();
    let mut wire = server.connect();
    assert_eq!(described(&mut wire, &filter("", false), 1), before);
    assert_eq!(wire.create_topic("t", 1, &[]).unwrap(), 0);
    let answer: ProduceResponse = wire.call(&produce("t", 0, &large(4000), 1), 9).unwrap();
    assert!(answer.throttle_time_ms > 0);
}

#[test]
fn an_address_that_connects_too_often_is_sent_away() {
    let mut inside = Inside::start(&["quota.window.num=2"]);
    // One second is assumed to have passed: one connection may come.
    limit(&mut inside.wire, "ip=127.0.0.1 : connection_creation_rate=1");
    let served = |wire: &mut Wire| {
        let answer: std::io::Result<ApiVersionsResponse> =
            wire.call(&ApiVersionsRequest::default(), 0);
        answer.is_ok()
    };
    let mut refused = 0;
    until("a connection that is sent away", || {
        let mut wire = Wire::connect(inside.port).unwrap();
        refused += u32::from(!served(&mut wire));
        refused > 0
    });
    let bean = "kafka.server:type=socket-server-metrics,listener=PLAINTEXT";
    let throttled = inside.registry.read(bean, "ip-connection-accept-throttle-time");
    assert!(throttled.and_then(|value| value.as_f64()).unwrap() > 0.0);
    let bean = "kafka.server:type=socket-server-metrics,ip=127.0.0.1";
    assert!(inside.registry.bean(bean).is_some());
    // The connection that was there before is served, and takes the limit away.
    limit(&mut inside.wire, "ip=127.0.0.1 : -connection_creation_rate");
    for _ in 0..20 {
        assert!(served(&mut Wire::connect(inside.port).unwrap()));
    }
}
