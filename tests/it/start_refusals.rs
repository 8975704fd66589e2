//! Starts that are refused: one line that names what is wrong and what was expected, exit code 1,
//! nothing formatted over.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use crate::start_process::Launch;

/// A start in `home` with these overrides is refused by one line that has all of `expected` in it.
fn refused(home: &Path, overrides: &[&str], expected: &[&str]) {
    let launch = overrides.iter().fold(Launch::up(home), |launch, pair| launch.with(pair));
    let (code, text) = launch.env("PHAROS_LOG", "error").refused();
    assert_eq!(code, Some(1), "{overrides:?}: {text}");
    assert_eq!(text.lines().count(), 1, "{overrides:?}: {text}");
    for word in expected {
        assert!(text.contains(word), "{overrides:?}: {word} is not in {text}");
    }
    assert!(!text.to_lowercase().contains("panic"), "{text}");
}

#[test]
fn faulty_configuration() {
    let home = tempfile::tempdir().unwrap();
    let cases: [(&str, &[&str]); 14] = [
        ("listeners=PLAINTEXT:://broker:29092", &["listeners", "expected NAME://host:port"]),
        ("listeners=broker:9092", &["listeners", "expected NAME://host:port"]),
        ("listeners=", &["listeners", "expected"]),
        (
            "listeners=PLAINTEXT://127.0.0.1:9092,OTHER://127.0.0.1:9092",
            &["OTHER://127.0.0.1:9092", "expected a port other than"],
        ),
        (
            "listeners=PLAINTEXT://127.0.0.1:9092,PLAINTEXT://127.0.0.1:9093",
            &["listeners", "expected a different name for each listener"],
        ),
        ("advertised.listeners=PLAINTEXT:://broker:29092", &["advertised.listeners", "expected"]),
        ("log.segment.bytes=ten", &["log.segment.bytes=ten", "expected a 32-bit integer"]),
        ("log.segment.bytes=-5", &["log.segment.bytes=-5", "at least 1048576"]),
        ("log.segment.bytes=", &["log.segment.bytes=:", "expected a 32-bit integer"]),
        ("log.cleaner.enable=perhaps", &["log.cleaner.enable=perhaps", "expected"]),
        ("compression.type=brotli", &["compression.type=brotli", "expected"]),
        ("authorizer.class.name=x", &["authorizer.class.name=x", "expected no value"]),
        ("sasl.enabled.mechanisms=PLAIN", &["sasl.enabled.mechanisms=PLAIN", "expected"]),
        ("nonsense", &["nonsense", "expected key=value"]),
    ];
    for (pair, expected) in cases {
        refused(home.path(), &[pair], expected);
    }
    assert!(!home.path().join("pharos-data").exists(), "something was formatted");
}

#[test]
fn rule_files_that_would_hide_a_page() {
    let home = tempfile::tempdir().unwrap();
    for (rules, why) in [
        ("default=a.yml", "metrics.rules: default=a.yml: /metrics/default is built in"),
        ("a=a.yml,native=b.yml", "metrics.rules: native=b.yml: /metrics/native is built in"),
        ("a/b=a.yml", "metrics.rules: a/b=a.yml: a page has a name of"),
        ("a=a.yml,a=b.yml", "metrics.rules: a=b.yml: a.yml is on /metrics/a already"),
        ("a.yml,b.yml", "metrics.rules: b.yml: a.yml is on /metrics already"),
    ] {
        refused(home.path(), &[&format!("metrics.rules={rules}")], &[why]);
    }
}

#[test]
fn ports_and_directories_of_others() {
    let home = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let listeners = format!("listeners=PLAINTEXT://{address}");
    refused(home.path(), &[&listeners], &[&address, "in use"]);
    let admin = format!("admin.listeners=HTTP://{address}");
    refused(home.path(), &[&admin], &[&address, "in use"]);

    refused(home.path(), &["log.dir=/proc/nowhere"], &["/proc/nowhere", "No such file"]);
    fs::write(home.path().join("file"), "x").unwrap();
    refused(home.path(), &["log.dir=file"], &["file", "not a directory"]);

    let mut server = Launch::up(home.path()).start();
    refused(home.path(), &[], &["pharos-data", "in use"]);
    server.kill();
    refused(home.path(), &["node.id=7"], &["pharos-data", "node 0", "7"]);
    let other = Launch::up(home.path()).env("CLUSTER_ID", "MkU3OEVBNTcwNTJENDM2Qk");
    let (code, text) = other.env("PHAROS_LOG", "error").refused();
    assert_eq!((code, text.lines().count()), (Some(1), 1), "{text}");
    assert!(text.contains("belongs to cluster"), "{text}");
}

#[test]
fn directories_that_are_not_ours() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("pharos-data");
    fs::create_dir_all(dir.join("orders-0")).unwrap();
    refused(home.path(), &[], &["pharos-data", "not formatted", "orders-0"]);
    fs::create_dir(dir.join("__cluster_metadata-0")).unwrap();
    fs::write(dir.join("__cluster_metadata-0/quorum-state"), "{}").unwrap();
    let properties = "version=1\ncluster.id=MkU3OEVBNTcwNTJENDM2Qk\nnode.id=0\n";
    fs::write(dir.join("meta.properties"), properties).unwrap();
    refused(home.path(), &[], &["pharos-data", "Apache Kafka"]);
    assert_eq!(fs::read_to_string(dir.join("meta.properties")).unwrap(), properties);
}

#[test]
fn unknown_keys_only_warn() {
    let home = tempfile::tempdir().unwrap();
    let server = Launch::up(home.path()).with("log.segmnt.bytes=5000000").start();
    let log = server.log();
    assert!(log.contains("unknown key log.segmnt.bytes"), "{log}");
    assert!(log.contains("did you mean log.segment.bytes"), "{log}");
}
