//! One client that makes as many names as it can: what is remembered of them has a limit or an end,
//! memory stays bounded, and so do the pages.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use pharos_protocol::batch::BatchOptions;
use pharos_protocol::messages::*;
use pharos_protocol::{ApiKey, Message, frame};

use crate::start_process::{Launch, Server, until};
use crate::start_wire::{Wire, batch, fetch, produce};

/// Names of one kind in the long form.
const NAMES: usize = 100_000;
/// Connections that pour at the same time, and what each may hold.
const LINES: usize = 4;
const LINE_BYTES: u64 = 64 << 10;
/// What the allocator keeps of what was freed, and what pages take while they are made.
const SLACK_BYTES: u64 = 24 << 20;
const POLICY_VIOLATION: i16 = 44;

/// A kind of name, and how it gets to the broker.
struct Flood {
    what: &'static str,
    /// Frames to send; frame n is made by `frame`.
    frames: usize,
    frame: fn(usize) -> Vec<u8>,
    /// What the broker may remember of it all, beside twice the bytes that came: the named limit
    /// times what one takes.
    kept_bytes: u64,
    /// Series that may come to `/metrics`.
    series: usize,
}

fn framed<Q: Message>(client_id: &str, request: &Q, version: i16) -> Vec<u8> {
    let key = ApiKey::from_i16(Q::API_KEY.unwrap()).unwrap();
    let whole = frame::encode_request(key, version, 1, Some(client_id), request);
    whole.unwrap().into_bytes().unwrap().to_vec()
}

/// A thousand names that begin with `what`, for a request that takes many.
fn thousand(what: &str, n: usize) -> impl Iterator<Item = String> {
    (n * 1000..(n + 1) * 1000).map(move |n| format!("{what}-{n}"))
}

fn client_ids(n: usize) -> Vec<u8> {
    framed(
        &format!("client-{n}"),
        &MetadataRequest { topics: Some(vec![]), ..Default::default() },
        9,
    )
}

fn software(n: usize) -> Vec<u8> {
    let request = ApiVersionsRequest {
        client_software_name: format!("software-{n}"),
        client_software_version: format!("{n}"),
    };
    framed("it", &request, 3)
}

fn topics_asked(n: usize) -> Vec<u8> {
    let topics = thousand("absent", n).map(|name| metadata_request::MetadataRequestTopic {
        name: Some(name),
        ..Default::default()
    });
    let topics = Some(topics.collect());
    framed("it", &MetadataRequest { topics, ..Default::default() }, 9)
}

fn topics_produced(n: usize) -> Vec<u8> {
    framed("it", &produce(&format!("absent-{n}"), 0, &[], 1), 9)
}

fn topics_fetched(n: usize) -> Vec<u8> {
    let mut request = fetch("absent", 0, 0, 1);
    let one = request.topics.remove(0);
    request.topics = thousand("absent", n)
        .map(|topic| fetch_request::FetchTopic { topic, ..one.clone() })
        .collect();
    request.max_wait_ms = 0;
    request.session_epoch = -1;
    framed("it", &request, 12)
}

fn sessions(_: usize) -> Vec<u8> {
    let mut request = fetch("flood", 0, 0, 1);
    request.max_wait_ms = 0;
    request.session_epoch = 0;
    framed("it", &request, 12)
}

fn groups_asked(n: usize) -> Vec<u8> {
    let groups = thousand("absent", n).collect();
    framed("it", &DescribeGroupsRequest { groups, ..Default::default() }, 5)
}

fn members_asked(n: usize) -> Vec<u8> {
    let request = HeartbeatRequest {
        group_id: format!("absent-{n}"),
        member_id: format!("member-{n}"),
        ..Default::default()
    };
    framed("it", &request, 3)
}

fn coordinators(n: usize) -> Vec<u8> {
    let coordinator_keys = thousand("key", n).collect();
    framed("it", &FindCoordinatorRequest { coordinator_keys, ..Default::default() }, 4)
}

fn join(group: String) -> Vec<u8> {
    let protocol = join_group_request::JoinGroupRequestProtocol {
        name: "range".to_owned(),
        metadata: Bytes::from_static(b"m"),
    };
    let request = JoinGroupRequest {
        group_id: group,
        session_timeout_ms: 6_000,
        rebalance_timeout_ms: 6_000,
        protocol_type: "consumer".to_owned(),
        protocols: vec![protocol],
        ..Default::default()
    };
    framed("it", &request, 4)
}

fn groups_joined(n: usize) -> Vec<u8> {
    join(format!("joined-{n}"))
}

fn members_joined(_: usize) -> Vec<u8> {
    join("crowded".to_owned())
}

fn groups_committed(n: usize) -> Vec<u8> {
    let partition = offset_commit_request::OffsetCommitRequestPartition {
        committed_offset: 1,
        ..Default::default()
    };
    let request = OffsetCommitRequest {
        group_id: format!("committed-{n}"),
        generation_id_or_member_epoch: -1,
        topics: vec![offset_commit_request::OffsetCommitRequestTopic {
            name: "flood".to_owned(),
            partitions: vec![partition],
            ..Default::default()
        }],
        ..Default::default()
    };
    framed("it", &request, 8)
}

fn producer_ids(_: usize) -> Vec<u8> {
    framed(
        "it",
        &InitProducerIdRequest { producer_id: -1, producer_epoch: -1, ..Default::default() },
        4,
    )
}

/// A thousand batches of as many producers for one partition.
fn producers(n: usize) -> Vec<u8> {
    let mut request = produce("flood", 0, &[], 1);
    let one = request.topic_data[0].partition_data.remove(0);
    for id in n * 1000..(n + 1) * 1000 {
        let options = BatchOptions {
            producer_id: i64::try_from(id).unwrap(),
            producer_epoch: 0,
            base_sequence: 0,
            ..Default::default()
        };
        request.topic_data[0].partition_data.push(produce_request::PartitionProduceData {
            records: Some(pharos_protocol::Records::Bytes(batch(options, &[("k", "v")]))),
            ..one.clone()
        });
    }
    framed("it", &request, 9)
}

fn instances(_: usize) -> Vec<u8> {
    framed("it", &GetTelemetrySubscriptionsRequest::default(), 0)
}

fn transactions(n: usize) -> Vec<u8> {
    let transactional_ids = thousand("transaction", n).collect();
    framed("it", &DescribeTransactionsRequest { transactional_ids }, 0)
}

const KIB: u64 = 1 << 10;
/// Groups that are shown by themselves, and the most series of one.
const SHOWN_GROUPS: usize = 10_000;
const GROUP_SERIES: usize = 40;
/// Series that come with the first request of an API and the first client of a kind.
const FIRST_SERIES: usize = 400;

/// Names of one kind: more than any limit; as many as in the table of hostile inputs in the long
/// form.
fn names() -> usize {
    if std::env::var_os("PHAROS_FULL").is_some() { NAMES } else { NAMES / 5 }
}

fn floods() -> Vec<Flood> {
    let each = |bytes: u64| names() as u64 * bytes;
    let many = |what, frame| Flood { what, frames: names(), frame, kept_bytes: 0, series: 0 };
    let packed = |what, frame| Flood { frames: names() / 1000, ..many(what, frame) };
    let groups = |flood: Flood, bytes| Flood {
        kept_bytes: each(bytes) + SHOWN_GROUPS as u64 * 8 * KIB,
        series: SHOWN_GROUPS * GROUP_SERIES,
        ..flood
    };
    vec![
        many("client ids", client_ids),
        // A thousand names are told apart.
        Flood { kept_bytes: 1_000 * 8 * KIB, series: 1_000, ..many("client software", software) },
        packed("topics that are asked for", topics_asked),
        many("topics that are produced to", topics_produced),
        // Of each connection 16 requests are answered at a time, of a thousand topics each.
        Flood { kept_bytes: 64_000 * KIB, ..packed("topics that are fetched", topics_fetched) },
        Flood { frames: 10_000, kept_bytes: 1_000 * KIB, ..many("fetch sessions", sessions) },
        packed("groups that are asked for", groups_asked),
        many("members that are asked for", members_asked),
        packed("coordinators", coordinators),
        packed("transactions", transactions),
        many("producer ids", producer_ids),
        Flood { kept_bytes: 16_384 * KIB, ..many("telemetry instances", instances) },
        Flood { kept_bytes: 10_000 * KIB, ..many("members of one group", members_joined) },
        // They expire as in Kafka: groups with their last member, offsets and producers with time.
        groups(many("groups that are joined", groups_joined), 4 * KIB),
        Flood { kept_bytes: each(KIB), ..packed("producers of a partition", producers) },
        groups(many("groups that commit", groups_committed), 6 * KIB),
    ]
}

/// Sends all frames over a few connections, and reads as many answers; the bytes that were sent.
fn pour(server: &Server, flood: &Flood) -> u64 {
    let sent = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for line in 0..LINES {
            let mut wire = server.connect();
            let mut writer = wire.stream().try_clone().unwrap();
            let own = (line..flood.frames).step_by(LINES);
            let answers = own.len();
            let sent = &sent;
            scope.spawn(move || {
                let mut bytes = Vec::new();
                for n in own {
                    bytes.extend((flood.frame)(n));
                    if bytes.len() >= 64 << 10 {
                        writer.write_all(&bytes).unwrap();
                        sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                        bytes.clear();
                    }
                }
                writer.write_all(&bytes).unwrap();
                sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            });
            scope.spawn(move || {
                for n in 0..answers {
                    if let Err(error) = wire.receive_frame() {
                        panic!("{}: answer {n}: {error}", flood.what);
                    }
                }
            });
        }
    });
    sent.into_inner()
}

/// The series once no more come: those of groups follow their answers.
fn settled_series(server: &Server) -> usize {
    let mut before = series(server);
    loop {
        let now = series(server);
        if now <= before {
            return now;
        }
        before = now;
    }
}

fn series(server: &Server) -> usize {
    server.page("/metrics").lines().filter(|line| !line.starts_with('#')).count()
}

#[test]
fn names_without_number_are_bounded() {
    let home = tempfile::tempdir().unwrap();
    // What the console remembers has a limit of its own, and comes when it comes.
    let launch = Launch::up(home.path()).with("auto.create.topics.enable=false");
    let launch = launch.with("admin.console.memory.bytes=1048576");
    // Each thread that makes a page would keep what it freed, some 20 MB, and how many do is chance.
    let mut server = launch.env("MALLOC_ARENA_MAX", "1").start();
    let mut wire = server.connect();
    assert_eq!(wire.create_topic("flood", 1, &[]).unwrap(), 0);
    let records = batch(Default::default(), &[("k", "v")]);
    until("the partition", || wire.produce("flood", 0, &records).unwrap().0 == 0);
    until("the groups", || {
        let _: FindCoordinatorResponse = answer(&mut wire, coordinators(0), 4);
        let joined: JoinGroupResponse = answer(&mut wire, groups_joined(0), 4);
        joined.error_code == 79
    });
    let mut wrong = Vec::new();
    for flood in floods() {
        // In this order: what pages take is there before and after.
        let shown = settled_series(&server);
        let memory = server.resident_bytes();
        let began = std::time::Instant::now();
        let bytes = pour(&server, &flood);
        let answered: ApiVersionsResponse = wire.call(&ApiVersionsRequest::default(), 0).unwrap();
        assert_eq!(answered.error_code, 0, "{}", flood.what);
        let more = settled_series(&server).saturating_sub(shown);
        let grown = server.resident_bytes().saturating_sub(memory);
        let allowed = 2 * bytes + LINES as u64 * LINE_BYTES + SLACK_BYTES + flood.kept_bytes;
        println!(
            "{}: {bytes} bytes in, {grown} more in memory of {allowed}, {more} series, {:?}",
            flood.what,
            began.elapsed()
        );
        if grown > allowed || more > flood.series + FIRST_SERIES {
            wrong.push(format!("{}: {grown} bytes of {allowed}, {more} series", flood.what));
        }
    }
    server.is_unharmed();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn answer<R: Message>(wire: &mut Wire, frame: Vec<u8>, version: i16) -> R {
    wire.stream().write_all(&frame).unwrap();
    wire.receive(version).unwrap()
}

/// Kafka's own limits: 10,000 partitions, and 10,000 records of metadata, in one request, which is
/// refused whole.
#[test]
fn topics_and_partitions_in_one_request() {
    let home = tempfile::tempdir().unwrap();
    let mut server = Launch::up(home.path()).start();
    let before = server.resident_bytes();
    let mut wire = server.connect();
    let topic = |name: String, partitions: i32| create_topics_request::CreatableTopic {
        name,
        num_partitions: partitions,
        replication_factor: 1,
        ..Default::default()
    };
    let names = (0..NAMES).map(|n| topic(format!("topic-{n}"), 1)).collect();
    let half = (0..5_001).map(|n| topic(format!("topic-{n}"), 1)).collect();
    let wide = |partitions| vec![topic("a".to_owned(), 1), topic("wide".to_owned(), partitions)];
    let partitions = "Excessively large number of partitions per request.";
    let records = "Unable to perform excessively large batch operation";
    let cases: [(&str, Vec<_>, &str); 4] = [
        ("100,000 topics", names, partitions),
        ("5,001 topics", half, records),
        ("a topic of 100,000 partitions", wide(100_000), partitions),
        ("a topic of 2^31-1 partitions", wide(i32::MAX), partitions),
    ];
    for (what, topics, expected) in cases {
        let asked = topics.len();
        let request = CreateTopicsRequest { topics, timeout_ms: 10_000, ..Default::default() };
        let answer: CreateTopicsResponse = wire.call(&request, 7).unwrap();
        assert_eq!(answer.topics.len(), asked, "{what}");
        for topic in answer.topics {
            let told = topic.error_message.unwrap_or_default();
            assert_eq!(topic.error_code, POLICY_VIOLATION, "{what}: {}: {told}", topic.name);
            assert!(told.starts_with(expected), "{what}: {told}");
        }
    }
    let all: MetadataResponse =
        wire.call(&MetadataRequest { topics: None, ..Default::default() }, 9).unwrap();
    assert_eq!(all.topics.len(), 0);
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 96 << 20, "{grown} bytes");
    server.is_unharmed();
}
