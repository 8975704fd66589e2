//! What is shown of files that Kafka wrote is what Kafka's tool shows of them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::testing::run;

/// What Kafka's tool printed of the files in a directory of a partition, in one text.
fn check(directory: &str, flags: &str) {
    let segments = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/segments"));
    let expected = fs::read_to_string(segments.join(format!("{directory}.dump.txt"))).unwrap();
    let files = expected.lines().filter_map(|line| line.strip_prefix("Dumping "));
    let mut shown = String::new();
    for file in files {
        let ran = run(&format!("dump-log {flags} --files {}", segments.join(file).display()), "");
        let text = ran.out.replace(&format!("{}/", segments.display()), "");
        let _ = write!(shown, "{text}");
    }
    for (number, (ours, theirs)) in shown.lines().zip(expected.lines()).enumerate() {
        assert_eq!(ours.trim_end(), theirs.trim_end(), "line {} of {directory}", number + 1);
    }
    assert_eq!(shown.lines().count(), expected.lines().count(), "{directory}");
}

#[test]
fn records_of_every_kind() {
    for directory in ["golden-0", "golden-append-time-0", "golden-compacted-0"] {
        check(directory, "--deep-iteration --print-data-log");
    }
}

#[test]
fn the_clusters_own_logs() {
    check("__consumer_offsets-0", "--deep-iteration --offsets-decoder");
    check("__transaction_state-1", "--deep-iteration --transaction-log-decoder");
    check("__transaction_state-2", "--deep-iteration --transaction-log-decoder");
    check("__cluster_metadata-0", "--deep-iteration --cluster-metadata-decoder");
}

#[test]
fn a_torn_end_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let segments = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/segments"));
    let mut bytes = fs::read(segments.join("golden-0/00000000000000000091.log")).unwrap();
    bytes.extend([0; 5]);
    let file = folder.path().join("00000000000000000091.log");
    fs::write(&file, bytes).unwrap();
    let ran = run(&format!("dump-log --files {}", file.display()), "");
    assert_eq!(ran.code, 0);
    assert!(ran.out.ends_with("Found 5 invalid bytes at the end of 00000000000000000091.log\n"));
}

#[test]
fn indexes_end_where_the_zeros_begin() {
    let folder = tempfile::tempdir().unwrap();
    let segments = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/segments"));
    let log = "golden-0/00000000000000000000.log";
    fs::copy(segments.join(log), folder.path().join("00000000000000000000.log")).unwrap();
    for (name, filled) in [("index", 80), ("timeindex", 120)] {
        let from = segments.join(log).with_extension(name);
        let mut bytes = fs::read(from).unwrap();
        bytes.resize(bytes.len() + filled, 0);
        let file = folder.path().join(format!("00000000000000000000.{name}"));
        fs::write(&file, &bytes).unwrap();
        let ran = run(&format!("dump-log --files {}", file.display()), "");
        assert_eq!((ran.code, ran.err.as_str(), ran.out.lines().count()), (0, "", 7), "{name}");
        bytes.push(0);
        fs::write(&file, &bytes).unwrap();
        let ran = run(&format!("dump-log --files {}", file.display()), "");
        assert!(ran.code == 1 && ran.err.contains(" is corrupt, found "), "{}", ran.err);
    }
}
