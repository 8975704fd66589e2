//! Our tools against our broker write what Kafka's tools write against Kafka's, column for column.

use crate::cli_play::check;

#[test]
fn topics() {
    check("topics.txt");
}

#[test]
fn console() {
    check("console.txt");
}

#[test]
fn formatters() {
    check("formatters.txt");
}

#[test]
fn groups() {
    check("groups.txt");
}

#[test]
fn configs() {
    check("configs.txt");
}

#[test]
fn quotas() {
    check("quotas.txt");
}

#[test]
fn records() {
    check("records.txt");
}

#[test]
fn cluster() {
    check("cluster.txt");
}

#[test]
fn perf() {
    check("perf.txt");
}

#[test]
fn storage() {
    check("storage.txt");
}

#[test]
fn dump() {
    check("dump.txt");
}
