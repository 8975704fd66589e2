//! Fetches and offset look-ups at the limits of their numbers.

use pharos_protocol::messages::*;

use crate::facts::{Fact, ask, compare};
use crate::start_process::{Launch, until};
use crate::start_wire::{Wire, batch, fetch};
use crate::tables::Tables;

fn ready(wire: &mut Wire) {
    assert_eq!(wire.create_topic("read", 1, &[]).unwrap(), 0);
    let records = batch(Default::default(), &[("k", "v"), ("k", "w")]);
    until("the partition", || wire.produce("read", 0, &records).unwrap().0 == 0);
}

/// At most this long; nothing that is asked here has to wait.
fn now(mut request: FetchRequest) -> FetchRequest {
    request.max_wait_ms = 0;
    request
}

#[test]
fn fetches_are_refused_as_kafka_refuses_them() {
    compare("fetch", &[], |asked| {
        let tables = Tables::load();
        let mut wire = asked.connect();
        ready(&mut wire);
        let mut facts = Vec::new();
        let mut fact = |what: String, wire: &mut Wire, request: &FetchRequest, version| {
            let answer = ask(wire, &tables, request, version);
            if answer == "closed" {
                *wire = asked.connect();
            }
            facts.push((what, answer));
        };
        for offset in [0, 2, 3, -1, -2, i64::MIN, i64::MAX] {
            let request = now(fetch("read", 0, offset, 1000));
            fact(format!("offset {offset}"), &mut wire, &request, 12);
        }
        for bytes in [0, 1, -1, i32::MIN, i32::MAX] {
            let request = now(fetch("read", 0, 0, bytes));
            fact(format!("{bytes} bytes"), &mut wire, &request, 12);
        }
        for (topic, partition) in
            [("read", 1), ("read", -1), ("read", i32::MAX), ("absent", 0), ("..", 0), ("", 0)]
        {
            let request = now(fetch(topic, partition, 0, 1000));
            fact(format!("partition {partition} of {topic:?}"), &mut wire, &request, 12);
        }
        for epoch in [-2, 0, 1, i32::MAX] {
            let mut request = now(fetch("read", 0, 0, 1000));
            request.topics[0].partitions[0].current_leader_epoch = epoch;
            fact(format!("leader epoch {epoch}"), &mut wire, &request, 12);
        }
        for epoch in [-2, 0, 1, i32::MAX] {
            let mut request = now(fetch("read", 0, 0, 1000));
            request.topics[0].partitions[0].last_fetched_epoch = epoch;
            fact(format!("last fetched epoch {epoch}"), &mut wire, &request, 12);
        }
        for (id, epoch) in [(0, 1), (7, 0), (7, 1), (7, -1), (-7, 1), (0, -2), (7, i32::MAX)] {
            let mut request = now(fetch("read", 0, 0, 1000));
            (request.session_id, request.session_epoch) = (id, epoch);
            fact(format!("session {id} at epoch {epoch}"), &mut wire, &request, 12);
        }
        for level in [1, 2, -1] {
            let mut request = now(fetch("read", 0, 0, 1000));
            request.isolation_level = level;
            fact(format!("isolation level {level}"), &mut wire, &request, 12);
        }
        let mut twice = now(fetch("read", 0, 0, 1000));
        let again = twice.topics[0].partitions[0];
        twice.topics[0].partitions.push(again);
        fact("a partition twice".to_owned(), &mut wire, &twice, 12);
        let again = twice.topics[0].clone();
        twice.topics.push(again);
        fact("a topic twice".to_owned(), &mut wire, &twice, 12);
        let mut request = now(fetch("read", 0, 0, 1000));
        request.topics[0].topic_id = Default::default();
        fact("a topic without id".to_owned(), &mut wire, &request, 13);
        let mut request = now(fetch("read", 0, 0, 1000));
        request.min_bytes = -1;
        request.max_wait_ms = -1;
        fact("negative waits".to_owned(), &mut wire, &request, 12);
        facts.extend(sessions(&mut wire, &tables));
        facts.extend(look_ups(&mut wire, &tables));
        facts
    });
}

/// One session, then wrong continuations of it.
fn sessions(wire: &mut Wire, tables: &Tables) -> Vec<Fact> {
    let mut first = now(fetch("read", 0, 0, 1000));
    first.session_epoch = 0;
    let answer: FetchResponse = wire.call(&first, 12).unwrap();
    assert!(answer.session_id != 0);
    let next = |epoch, topics: &[&str], forgotten: &[(&str, Vec<i32>)]| {
        let mut request = now(fetch("read", 0, 0, 1000));
        (request.session_id, request.session_epoch) = (answer.session_id, epoch);
        let one = request.topics.remove(0);
        request.topics = topics
            .iter()
            .map(|topic| fetch_request::FetchTopic { topic: (*topic).to_owned(), ..one.clone() })
            .collect();
        request.forgotten_topics_data = forgotten
            .iter()
            .map(|(topic, partitions)| fetch_request::ForgottenTopic {
                topic: (*topic).to_owned(),
                partitions: partitions.clone(),
                ..Default::default()
            })
            .collect();
        request
    };
    let many: Vec<_> = (0..5000).collect();
    let cases = [
        ("skips an epoch", next(2, &["read"], &[])),
        ("goes on", next(1, &["read"], &[])),
        ("repeats an epoch", next(1, &["read"], &[])),
        ("forgets what it never had", next(2, &[], &[("absent", many), ("read", vec![9])])),
        ("forgets all", next(3, &[], &[("read", vec![0, 0, 0])])),
        ("asks for nothing", next(4, &[], &[])),
        ("ends", next(-1, &["read"], &[])),
        ("goes on after its end", next(5, &["read"], &[])),
    ];
    let answers = cases.into_iter();
    answers
        .map(|(what, request)| (format!("a session {what}"), ask(wire, tables, &request, 12)))
        .collect()
}

fn look_ups(wire: &mut Wire, tables: &Tables) -> Vec<Fact> {
    let mut facts = Vec::new();
    for timestamp in [-1, -2, -3, -4, -5, -6, i64::MIN, i64::MAX] {
        let request = list("read", 0, timestamp);
        facts.push((format!("offset of time {timestamp}"), ask(wire, tables, &request, 11)));
    }
    for (topic, partition) in [("read", 7), ("read", -1), ("absent", 0), ("../x", 0), ("", 0)] {
        let request = list(topic, partition, -1);
        let what = format!("offset of partition {partition} of {topic:?}");
        facts.push((what, ask(wire, tables, &request, 7)));
    }
    let mut twice = list("read", 0, -1);
    let again = twice.topics[0].partitions[0];
    twice.topics[0].partitions.push(again);
    facts.push(("offset of a partition twice".to_owned(), ask(wire, tables, &twice, 7)));
    for (partition, current, leader) in
        [(0, -1, 0), (0, 7, 0), (0, -1, i32::MAX), (0, -1, -5), (9, -1, 0)]
    {
        let one = offset_for_leader_epoch_request::OffsetForLeaderPartition {
            partition,
            current_leader_epoch: current,
            leader_epoch: leader,
        };
        let request = OffsetForLeaderEpochRequest {
            replica_id: -1,
            topics: vec![offset_for_leader_epoch_request::OffsetForLeaderTopic {
                topic: "read".to_owned(),
                partitions: vec![one],
            }],
        };
        let what = format!("end of epoch {leader} of {partition} at {current}");
        facts.push((what, ask(wire, tables, &request, 4)));
    }
    facts
}

fn list(topic: &str, partition: i32, timestamp: i64) -> ListOffsetsRequest {
    let one = list_offsets_request::ListOffsetsPartition {
        partition_index: partition,
        timestamp,
        ..Default::default()
    };
    ListOffsetsRequest {
        replica_id: -1,
        topics: vec![list_offsets_request::ListOffsetsTopic {
            name: topic.to_owned(),
            partitions: vec![one],
        }],
        ..Default::default()
    }
}

/// 100,000 partitions in one request, and as many sessions as a client likes.
#[test]
fn many_partitions_and_sessions_cost_little() {
    let home = tempfile::tempdir().unwrap();
    let mut server = Launch::up(home.path()).start();
    let mut wire = server.connect();
    ready(&mut wire);
    let mut request = now(fetch("read", 0, 0, 1000));
    let one = request.topics[0].partitions[0];
    request.topics[0].partitions =
        (0..100_000).map(|partition| fetch_request::FetchPartition { partition, ..one }).collect();
    let before = server.reset_peak();
    let answer: FetchResponse = wire.call(&request, 12).unwrap();
    let partitions = &answer.responses[0].partitions;
    assert_eq!(partitions.len(), 100_000);
    assert_eq!((partitions[0].error_code, partitions[99_999].error_code), (0, 3));
    let grown = server.peak_bytes().saturating_sub(before);
    assert!(grown < 128 << 20, "{grown} bytes for 100,000 partitions");
    let before = server.reset_peak();
    for _ in 0..3000 {
        let mut first = now(fetch("read", 0, 2, 1000));
        first.session_epoch = 0;
        wire.call::<FetchResponse>(&first, 12).unwrap();
    }
    let sessions = server.metric("kafka_server_fetchsessioncache_numincrementalfetchsessions", "");
    assert_eq!(sessions, 1000.0, "max.incremental.fetch.session.cache.slots");
    let grown = server.peak_bytes().saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes for sessions");
    server.is_unharmed();
}
