//! Topics, configurations and client ids under names and numbers that make no sense.

use std::fs;

use pharos_protocol::messages::*;

use crate::facts::{Fact, ask, compare};
use crate::hostile_groups::names;
use crate::start_process::Launch;
use crate::start_wire::Wire;
use crate::tables::Tables;

fn create(topics: Vec<create_topics_request::CreatableTopic>) -> CreateTopicsRequest {
    CreateTopicsRequest { topics, timeout_ms: 10_000, ..Default::default() }
}

fn topic(name: &str, partitions: i32, replicas: i16) -> create_topics_request::CreatableTopic {
    create_topics_request::CreatableTopic {
        name: name.to_owned(),
        num_partitions: partitions,
        replication_factor: replicas,
        ..Default::default()
    }
}

fn assigned(brokers: &[(i32, &[i32])]) -> create_topics_request::CreatableTopic {
    let assignments = brokers.iter().map(|(partition, brokers)| {
        create_topics_request::CreatableReplicaAssignment {
            partition_index: *partition,
            broker_ids: brokers.to_vec(),
        }
    });
    create_topics_request::CreatableTopic {
        assignments: assignments.collect(),
        ..topic("assigned", -1, -1)
    }
}

fn set(name: &str, value: Option<&str>) -> create_topics_request::CreatableTopic {
    let config = create_topics_request::CreatableTopicConfig {
        name: name.to_owned(),
        value: value.map(str::to_owned),
    };
    create_topics_request::CreatableTopic { configs: vec![config], ..topic("set", 1, 1) }
}

fn alter(
    kind: i8,
    name: &str,
    key: &str,
    op: i8,
    value: Option<&str>,
) -> IncrementalAlterConfigsRequest {
    let config = incremental_alter_configs_request::AlterableConfig {
        name: key.to_owned(),
        config_operation: op,
        value: value.map(str::to_owned),
    };
    let resource = incremental_alter_configs_request::AlterConfigsResource {
        resource_type: kind,
        resource_name: name.to_owned(),
        configs: vec![config],
    };
    IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() }
}

/// Where this broker answers otherwise than Kafka.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    ("configs: changes of no kind", "35", "a kind that is not known may be of a later version"),
    ("configs: changes of an unknown kind", "35", "as above"),
    ("configs: changes of another broker", "102", "every broker takes changes for every other"),
    ("configs: a resource twice", "42", "a resource is refused once"),
];

#[test]
fn topics_are_refused_as_kafka_refuses_them() {
    compare("topics", DIFFERENCES, |asked| {
        let tables = Tables::load();
        let mut wire = asked.connect();
        let mut facts = Vec::new();
        assert_eq!(wire.create_topic("a.b", 1, &[]).unwrap(), 0);
        creations(&mut wire, &tables, &mut facts);
        others(&mut wire, &tables, &mut facts);
        configs(&mut wire, &tables, &mut facts);
        facts
    });
}

fn creations(wire: &mut Wire, tables: &Tables, facts: &mut Vec<Fact>) {
    let mut cases: Vec<(String, Vec<_>)> = names()
        .into_iter()
        .map(|(what, name)| (format!("a name {what}"), vec![topic(&name, 1, 1)]))
        .collect();
    let mut more = |what: &str, topics| cases.push((what.to_owned(), topics));
    more("a name of one dot", vec![topic(".", 1, 1)]);
    more("a name of 250 letters", vec![topic(&"n".repeat(250), 1, 1)]);
    more("a name that collides", vec![topic("a_b", 1, 1)]);
    more("a name that is taken", vec![topic("a.b", 1, 1)]);
    more("no topics", vec![]);
    more("a topic twice", vec![topic("twice", 1, 1), topic("twice", 1, 1)]);
    more("one good, one bad", vec![topic("good", 1, 1), topic("b/d", 1, 1)]);
    for partitions in [0, -2, i32::MIN, i32::MAX, 1_000_000] {
        more(&format!("{partitions} partitions"), vec![topic("count", partitions, 1)]);
    }
    for replicas in [0, -2, 2, i16::MAX] {
        more(&format!("{replicas} replicas"), vec![topic("count", 1, replicas)]);
    }
    more("assigned to nobody", vec![assigned(&[(0, &[])])]);
    more("assigned to an unknown broker", vec![assigned(&[(0, &[7])])]);
    more("assigned twice to one broker", vec![assigned(&[(0, &[1, 1])])]);
    more("assigned with a gap", vec![assigned(&[(0, &[1]), (2, &[1])])]);
    more("assigned twice", vec![assigned(&[(0, &[1]), (0, &[1])])]);
    more("assigned to a negative broker", vec![assigned(&[(0, &[-1])])]);
    more("assigned to a negative partition", vec![assigned(&[(-1, &[1])])]);
    let mut both = assigned(&[(0, &[1])]);
    both.num_partitions = 3;
    more("assigned and counted", vec![both]);
    for (key, value) in [
        ("retention.ms", Some("never")),
        ("retention.ms", Some("-2")),
        ("retention.ms", None),
        ("cleanup.policy", Some("")),
        ("cleanup.policy", Some("shred")),
        ("max.message.bytes", Some("99999999999999999999")),
        ("no.such.key", Some("1")),
        ("", Some("1")),
    ] {
        more(&format!("{key:?} set to {value:?}"), vec![set(key, value)]);
    }
    more("a value of 30 kB", vec![set("retention.ms", Some(&"1".repeat(30_000)))]);
    for (what, topics) in cases {
        facts.push((format!("create: {what}"), ask(wire, tables, &create(topics), 7)));
    }
}

fn others(wire: &mut Wire, tables: &Tables, facts: &mut Vec<Fact>) {
    let mut fact = |what: &str, answer: String| facts.push((what.to_owned(), answer));
    let named = |names: &[&str]| DeleteTopicsRequest {
        topic_names: names.iter().map(|name| (*name).to_owned()).collect(),
        timeout_ms: 10_000,
        ..Default::default()
    };
    fact("delete: none", ask(wire, tables, &named(&[]), 5));
    fact(
        "delete: absent, odd and twice",
        ask(wire, tables, &named(&["absent", "..", "", "a.b", "a.b"]), 5),
    );
    let by = |name: Option<&str>, topic_id| delete_topics_request::DeleteTopicState {
        name: name.map(str::to_owned),
        topic_id,
    };
    let none = Default::default();
    let topics = vec![by(None, none), by(Some("absent"), none)];
    let request = DeleteTopicsRequest { topics, timeout_ms: 10_000, ..Default::default() };
    fact("delete: neither name nor id", ask(wire, tables, &request, 6));
    let grow = |name: &str, count| CreatePartitionsRequest {
        topics: vec![create_partitions_request::CreatePartitionsTopic {
            name: name.to_owned(),
            count,
            assignments: None,
        }],
        timeout_ms: 10_000,
        ..Default::default()
    };
    for count in [-1, 0, 1, i32::MAX] {
        let what = format!("partitions: grow to {count}");
        fact(&what, ask(wire, tables, &grow("a.b", count), 3));
    }
    fact("partitions: of an absent topic", ask(wire, tables, &grow("absent", 3), 3));
    fact("partitions: of a path", ask(wire, tables, &grow("../x", 3), 3));
    let mut twice = grow("a.b", 3);
    twice.topics.push(twice.topics[0].clone());
    fact("partitions: of a topic twice", ask(wire, tables, &twice, 3));
    let cut = |partition_index, offset| DeleteRecordsRequest {
        topics: vec![delete_records_request::DeleteRecordsTopic {
            name: "a.b".to_owned(),
            partitions: vec![delete_records_request::DeleteRecordsPartition {
                partition_index,
                offset,
            }],
        }],
        timeout_ms: 10_000,
    };
    for (partition, offset) in [(0, 5), (0, -2), (0, i64::MIN), (0, i64::MAX), (9, 0), (-1, 0)] {
        let what = format!("records: delete up to {offset} of {partition}");
        fact(&what, ask(wire, tables, &cut(partition, offset), 2));
    }
    for (what, name) in names() {
        let one = metadata_request::MetadataRequestTopic { name: Some(name), ..Default::default() };
        let request =
            MetadataRequest { topics: Some(vec![one.clone(), one]), ..Default::default() };
        fact(&format!("metadata: a name {what}, twice"), ask(wire, tables, &request, 12));
    }
}

fn configs(wire: &mut Wire, tables: &Tables, facts: &mut Vec<Fact>) {
    let cases = [
        ("of no kind", alter(0, "x", "k", 0, Some("v"))),
        ("of an unknown kind", alter(99, "x", "k", 0, Some("v"))),
        ("of an absent topic", alter(2, "absent", "retention.ms", 0, Some("1"))),
        ("of a topic of a path", alter(2, "../x", "retention.ms", 0, Some("1"))),
        ("of an unknown key", alter(2, "good", "no.such.key", 0, Some("1"))),
        ("of a wrong type", alter(2, "good", "retention.ms", 0, Some("soon"))),
        ("out of range", alter(2, "good", "segment.bytes", 0, Some("1"))),
        ("to null", alter(2, "good", "retention.ms", 0, None)),
        ("by an unknown operation", alter(2, "good", "retention.ms", 9, Some("1"))),
        ("that append to a number", alter(2, "good", "retention.ms", 2, Some("1"))),
        ("that subtract from a list", alter(2, "good", "cleanup.policy", 3, Some("delete"))),
        ("of another broker", alter(4, "77", "log.cleaner.threads", 0, Some("2"))),
        ("of a broker that is no number", alter(4, "one", "log.cleaner.threads", 0, Some("2"))),
        ("that only a restart changes", alter(4, "1", "node.id", 0, Some("2"))),
        ("of a group without name", alter(32, "", "consumer.session.timeout.ms", 0, Some("50000"))),
        ("of a group out of range", alter(32, "g", "consumer.session.timeout.ms", 0, Some("1"))),
        ("of client metrics, wrong", alter(16, "m", "interval.ms", 0, Some("1"))),
        ("of client metrics without name", alter(16, "", "interval.ms", 0, Some("1000"))),
    ];
    for (what, request) in cases {
        facts.push((format!("configs: changes {what}"), ask(wire, tables, &request, 1)));
    }
    let mut twice = alter(2, "good", "retention.ms", 0, Some("1"));
    twice.resources.push(twice.resources[0].clone());
    facts.push(("configs: a resource twice".to_owned(), ask(wire, tables, &twice, 1)));
    let mut twice = alter(2, "good", "retention.ms", 0, Some("1"));
    let again = twice.resources[0].configs[0].clone();
    twice.resources[0].configs.push(again);
    facts.push(("configs: a key twice".to_owned(), ask(wire, tables, &twice, 1)));
    for (kind, name) in
        [(2, "absent"), (2, ".."), (4, "77"), (4, "one"), (99, "x"), (8, ""), (32, ""), (16, "")]
    {
        let resource = describe_configs_request::DescribeConfigsResource {
            resource_type: kind,
            resource_name: name.to_owned(),
            configuration_keys: None,
        };
        let request = DescribeConfigsRequest { resources: vec![resource], ..Default::default() };
        let what = format!("configs: description of {kind} {name:?}");
        facts.push((what, ask(wire, tables, &request, 4)));
    }
}

/// No name reaches a path, a log line or a label as it came.
#[test]
fn names_stay_names() {
    let home = tempfile::tempdir().unwrap();
    let mut server = Launch::up(home.path()).start();
    let tables = Tables::load();
    let mut wire = server.connect();
    for (_, name) in names() {
        wire.create_topic(&name, 1, &[]).unwrap();
        let mut request = tables.frame(18, 3, 1, &[]);
        let client = name.as_bytes();
        request.splice(
            8..12,
            [&u16::try_from(client.len()).unwrap().to_be_bytes()[..], client].concat(),
        );
        let software = &[2, b'"', 2, b'\n', 0];
        request.extend_from_slice(software);
        let frame = pharos_protocol::frame::wrap(&request).unwrap();
        let mut socket = server.connect();
        std::io::Write::write_all(socket.stream(), &frame).unwrap();
        // Kafka's rule for software names refuses these; the connection lives or is closed.
        let _ = socket.receive_frame();
    }
    // Invalid UTF-8 where a client id and a topic should be.
    let mut request = tables.frame(3, 1, 1, &[0, 0, 0, 1, 0, 2, 0xc3, 0x28]);
    request.splice(8..12, [0, 2, 0xff, 0xfe]);
    let mut socket = server.connect();
    std::io::Write::write_all(socket.stream(), &pharos_protocol::frame::wrap(&request).unwrap())
        .unwrap();
    assert!(socket.receive_frame().is_err(), "a name that is no text is no name");
    server.is_unharmed();
    let page = server.page("/metrics");
    for line in page.lines() {
        assert!(!line.contains('\0') && !line.contains('\r'), "{line:?}");
        assert!(line.len() < 2000, "{} bytes: {}", line.len(), &line[..200]);
    }
    let made: Vec<_> =
        fs::read_dir(home.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    for name in made {
        let name = name.into_string().unwrap();
        assert!(["pharos-data", "ready.json", "stderr.log"].contains(&name.as_str()), "{name}");
    }
}
