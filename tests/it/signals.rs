//! Signals that come while the node still starts.

use std::fs;
use std::path::Path;

use crate::start_process::{Launch, Starting, until};

/// A node whose start is under way: its data directory is there.
fn starting(home: &Path, launch: &Launch) -> Starting {
    let process = launch.spawn();
    until("the data directory", || home.join("pharos-data").exists());
    process
}

#[test]
fn rules_are_read_anew_once_the_node_is_up() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("own.yml");
    fs::write(&file, "rules: []\n").unwrap();
    let launch = Launch::up(home.path()).with(&format!("metrics.rules=own={}", file.display()));
    let process = starting(home.path(), &launch);
    process.process().hang_up();
    let server = process.wait();
    until("the event", || server.page("/events").contains("the rules of own are read anew"));
}

#[test]
fn a_start_is_broken_off() {
    let home = tempfile::tempdir().unwrap();
    let launch = Launch::up(home.path());
    let process = starting(home.path(), &launch);
    assert_eq!(process.end(), Some(0));
    // What it left is no hindrance.
    assert_eq!(launch.start().end(), Some(0));
}
