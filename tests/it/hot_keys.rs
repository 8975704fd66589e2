//! Hot keys over the wire: a client produces keys of known shares, and the figures tell them.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use pharos_protocol::batch::{BatchBuilder, BatchOptions, NewRecord};
use pharos_protocol::compression::Codec;
use pharos_protocol::messages::describe_configs_request::DescribeConfigsResource;
use pharos_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use pharos_protocol::messages::{
    DescribeConfigsRequest, DescribeConfigsResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};

use crate::start_process::{HANG_GUARD, Launch, Server, until};
use crate::start_wire::Wire;

const BROKER: i8 = 4;

/// Shares that `/metrics` tells of a partition, by the names of keys.
fn shares(server: &Server, topic: &str, partition: i32) -> BTreeMap<String, f64> {
    let head = format!("pharos_hot_key_ratio{{topic=\"{topic}\",partition=\"{partition}\",key=\"");
    let page = server.page("/metrics");
    let series = page.lines().filter_map(|line| line.strip_prefix(&head)?.split_once("\"} "));
    series.map(|(key, share)| (key.to_owned(), share.parse().unwrap())).collect()
}

fn error(server: &Server, topic: &str, partition: i32) -> f64 {
    let labels = format!("topic=\"{topic}\",partition=\"{partition}\"");
    server.metric("pharos_hot_key_error_ratio", &labels)
}

/// `pharos keys hash`: exit code, what it printed, and its complaint.
fn hash(admin: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pharos"));
    command.args(["keys", "hash", "--admin", admin]).args(arguments);
    let output = command.env_clear().output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn name(server: &Server, arguments: &[&str]) -> String {
    let (code, printed, complaint) = hash(server.admin(), arguments);
    assert_eq!((code, complaint.as_str()), (Some(0), ""));
    let name = printed.trim_end().to_owned();
    assert!(name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
    name
}

/// Appends one batch of records with these keys.
fn produce(wire: &mut Wire, (topic, partition): (&str, i32), codec: Codec, keys: &[Option<&[u8]>]) {
    let mut builder = BatchBuilder::new(BatchOptions { codec, ..BatchOptions::default() });
    for key in keys {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis();
        let timestamp = i64::try_from(now).unwrap();
        let record = NewRecord { timestamp, key: *key, value: Some(b"value"), headers: &[] };
        builder.push(&record).unwrap();
    }
    let batch = builder.build().unwrap();
    assert_eq!(wire.produce(topic, partition, &batch).unwrap().0, 0);
}

fn alter(wire: &mut Wire, key: &str, operation: i8, value: Option<&str>) {
    let request = IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: BROKER,
            configs: vec![AlterableConfig {
                name: key.to_owned(),
                config_operation: operation,
                value: value.map(str::to_owned),
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let answer: IncrementalAlterConfigsResponse = wire.call(&request, 1).unwrap();
    assert_eq!(answer.responses[0].error_code, 0, "{:?}", answer.responses[0].error_message);
}

#[test]
fn every_key_above_one_percent_is_found_and_its_share_is_right() {
    let home = tempfile::tempdir().unwrap();
    let server = Launch::up(home.path()).with("metrics.hot.keys=*").start();
    let mut wire = server.connect();
    assert_eq!(wire.create_topic("orders", 3, &[]).unwrap(), 0);
    assert!(!server.page("/metrics").contains("pharos_hot_key_ratio{"));
    // Zipf's law: key n comes 8000 / n times. Those from the tenth on, none of which had more than
    // 1.4 %, are each many keys that come once; in an order without order.
    let stream = (1..=1000u32).flat_map(|n| (0..8000 / n).map(move |time| (n, time)));
    let mut stream: Vec<_> = stream
        .map(|(n, time)| if n < 10 { format!("customer-{n}") } else { format!("guest-{n}-{time}") })
        .collect();
    let mut dice = 7u64;
    for at in (1..stream.len()).rev() {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        stream.swap(at, (dice >> 33) as usize % (at + 1));
    }
    // Two codecs, one a partition; the third has keys that are no text, and records without one.
    let huge = [0xff; 10_000];
    for _ in 0..10 {
        let keys = [&[None; 10][..], &[Some(&huge[..]); 8], &[Some(&b""[..]); 2]].concat();
        produce(&mut wire, ("orders", 2), Codec::Gzip, &keys);
    }
    // More than may be looked at in a second: the longer it goes on, the surer it is.
    until("keys, told within two points", || {
        for (partition, codec) in [(0, Codec::None), (1, Codec::Lz4)] {
            for part in stream.chunks(500) {
                let keys: Vec<_> = part.iter().map(|key| Some(key.as_bytes())).collect();
                produce(&mut wire, ("orders", partition), codec, &keys);
            }
        }
        let told = |partition| {
            !shares(&server, "orders", partition).is_empty()
                && error(&server, "orders", partition) < 0.02
        };
        told(0) && told(1)
    });
    until("the last partition", || shares(&server, "orders", 2).len() == 2);
    for partition in [0, 1] {
        let (found, error) =
            (shares(&server, "orders", partition), error(&server, "orders", partition));
        assert!(error < 0.02, "{error}");
        assert_eq!(found.len(), 9, "{found:?}");
        for n in 1..10 {
            let share = f64::from(8000 / n) / stream.len() as f64;
            let told = found[&name(&server, &["orders", &format!("customer-{n}")])];
            assert!((told - share).abs() < 0.02, "{n}: {told} is {share}");
            assert!(told >= share - error && told - error <= share, "{n}: {told} ± {error}");
        }
    }
    let hexadecimal = "ff".repeat(huge.len());
    let expected = [
        (name(&server, &["orders", "--hex", &hexadecimal]), 0.4),
        (name(&server, &["orders", ""]), 0.1),
    ];
    assert_eq!(shares(&server, "orders", 2), BTreeMap::from(expected));
    assert_eq!(error(&server, "orders", 2), 0.0);
    // No key itself is on any page.
    for page in ["/metrics", "/beans", "/events"] {
        assert!(!server.page(page).contains("customer-"), "{page}");
    }
}

#[test]
fn names_outlive_a_restart_and_the_secret_is_never_told() {
    let home = tempfile::tempdir().unwrap();
    let launch = Launch::up(home.path());
    let server = launch.start();
    let mut wire = server.connect();
    assert_eq!(wire.create_topic("t", 1, &[]).unwrap(), 0);
    produce(&mut wire, ("t", 0), Codec::None, &[Some(&b"k"[..]); 100]);
    // Off: nobody names keys, and nobody looks at them.
    let (code, printed, complaint) = hash(server.admin(), &["t", "k"]);
    assert_eq!((code, printed.as_str()), (Some(1), ""));
    assert!(complaint.contains("metrics.hot.keys is empty"), "{complaint}");

    alter(&mut wire, "metrics.hot.keys", 0, Some("t"));
    until("the secret", || hash(server.admin(), &["t", "k"]).0 == Some(0));
    let before = name(&server, &["t", "k"]);
    until("the key", || {
        produce(&mut wire, ("t", 0), Codec::None, &[Some(&b"k"[..]); 100]);
        shares(&server, "t", 0).contains_key(&before)
    });
    let told = shares(&server, "t", 0);
    assert!(told.len() == 1 && (told[&before] - 1.0).abs() < 0.02, "{told:?}");

    // DescribeConfigs names the secret and has no value, by each of its doors.
    let node = DescribeConfigsResource {
        resource_type: BROKER,
        resource_name: "0".to_owned(),
        configuration_keys: None,
    };
    let all = DescribeConfigsResource { resource_name: String::new(), ..node.clone() };
    let request = DescribeConfigsRequest {
        resources: vec![node, all],
        include_synonyms: true,
        include_documentation: true,
    };
    let answer: DescribeConfigsResponse = wire.call(&request, 4).unwrap();
    let mut seen = 0;
    for result in &answer.results {
        for config in &result.configs {
            if config.name == "metrics.hot.keys.secret" {
                assert!(config.is_sensitive && config.value.is_none(), "{config:?}");
                assert!(config.synonyms.iter().all(|it| it.value.is_none()), "{config:?}");
                seen += 1;
            }
        }
    }
    assert!(seen >= 1, "{answer:?}");
    let page: serde_json::Value = serde_json::from_str(&server.page("/api/config")).unwrap();
    let settings = page["settings"].as_array().unwrap();
    let told = settings.iter().find(|it| it["name"] == "metrics.hot.keys.secret").unwrap();
    assert_eq!((&told["value"], &told["sensitive"]), (&serde_json::Value::Null, &true.into()));

    drop(server);
    let server = launch.start();
    assert_eq!(name(&server, &["t", "k"]), before);
    let mut wire = server.connect();
    // Whoever takes the secret away gets a new one, and new names; whoever chooses no topic, none.
    alter(&mut wire, "metrics.hot.keys.secret", 1, None);
    until("another name", || {
        let (code, printed, _) = hash(server.admin(), &["t", "k"]);
        code == Some(0) && printed.trim_end() != before
    });
    produce(&mut wire, ("t", 0), Codec::None, &[Some(&b"k"[..]); 100]);
    until("the key", || !shares(&server, "t", 0).is_empty());
    alter(&mut wire, "metrics.hot.keys", 1, None);
    until("no key", || shares(&server, "t", 0).is_empty());
    assert!(!server.page("/metrics").contains("pharos_hot_key_error_ratio{"));
}

/// What `POST path` with this body is answered.
fn post(server: &Server, path: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(server.admin()).unwrap();
    stream.set_read_timeout(Some(HANG_GUARD)).unwrap();
    let (admin, len) = (server.admin(), body.len());
    write!(stream, "POST {path} HTTP/1.0\r\nHost: {admin}\r\nContent-Length: {len}\r\n\r\n")
        .unwrap();
    // An answer may come before all is sent.
    let _ = stream.write_all(body);
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text);
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[test]
fn whoever_asks_for_names_wrongly_is_told_so() {
    let home = tempfile::tempdir().unwrap();
    let mut server = Launch::up(home.path()).with("metrics.hot.keys=t").start();
    assert_eq!(server.connect().create_topic("t", 1, &[]).unwrap(), 0);
    until("the secret", || post(&server, "/api/keys/hash?topic=t", b"k").0 == 200);
    assert_eq!(post(&server, "/api/keys/hash?topic=t", &[0xff; 64 * 1024]).0, 200);
    assert_eq!(post(&server, "/api/keys/hash?topic=t", &[0xff; 64 * 1024 + 1]).0, 413);
    assert_eq!(post(&server, "/api/keys/hash", b"k").0, 400);
    assert_eq!(post(&server, "/api/keys/hash?topic=absent", b"k").0, 404);
    assert_eq!(server.answer("GET", "/api/keys/hash?topic=t").0, 405);
    let (code, _, complaint) = hash(server.admin(), &["absent", "k"]);
    assert_eq!(code, Some(1));
    assert!(complaint.contains("no such topic"), "{complaint}");
    let (code, _, complaint) = hash("127.0.0.1:1", &["t", "k"]);
    assert_eq!(code, Some(1));
    assert!(complaint.contains("127.0.0.1:1"), "{complaint}");
    server.is_unharmed();
}
