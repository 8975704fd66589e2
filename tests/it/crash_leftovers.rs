//! Directories of partitions whose topic is gone when the broker starts: a kill came between the
//! decision to delete and the deletion.

use std::fs;
use std::path::{Path, PathBuf};

use crate::start_process::{Launch, until};
use crate::start_wire::batch;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn partitions_of(topic: &str, data: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
    let is_of = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(topic))
    };
    entries.filter(is_of).collect()
}

/// Found by a kill in the middle of a deletion of eight partitions.
#[test]
fn partitions_of_a_deleted_topic_go_at_the_next_start() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("pharos-data");
    let launch = Launch::up(home.path())
        .with("log.segment.delete.delay.ms=0")
        .with("metadata.log.max.record.bytes.between.snapshots=100");
    let mut server = launch.start();
    let mut wire = server.connect();
    assert_eq!(wire.create_topic("gone", 2, &[]).unwrap(), 0);
    wire.produce("gone", 1, &batch(Default::default(), &[("k", "v")])).unwrap();
    let kept = home.path().join("kept");
    copy(&data.join("gone-1"), &kept);
    assert_eq!(wire.delete_topic("gone").unwrap(), 0);
    // A snapshot that knows nothing of the topic any more: the log behind it still does.
    let metadata = data.join("__cluster_metadata-0");
    until("a snapshot", || {
        let names = fs::read_dir(&metadata).unwrap().map(|entry| entry.unwrap().file_name());
        names.into_iter().any(|name| name.to_str().unwrap().ends_with(".checkpoint"))
    });
    server.kill();
    copy(&kept, &data.join("gone-1"));
    let server = launch.start();
    until("the partition to go", || partitions_of("gone", &data).is_empty());
    assert_eq!(server.complaints(), [""; 0]);
}

/// What was never deleted stays on disk, as in Kafka, under a name that says so.
#[test]
fn partitions_of_an_unknown_topic_are_set_aside() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("pharos-data");
    let launch = Launch::up(home.path());
    let mut server = launch.start();
    let mut wire = server.connect();
    assert_eq!(wire.create_topic("known", 1, &[]).unwrap(), 0);
    wire.produce("known", 0, &batch(Default::default(), &[("k", "v")])).unwrap();
    server.kill();
    let foreign = data.join("foreign-0");
    copy(&data.join("known-0"), &foreign);
    let name = "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAKg";
    fs::write(foreign.join("partition.metadata"), name).unwrap();
    let server = launch.start();
    let aside = partitions_of("foreign", &data);
    let [aside] = &aside[..] else { panic!("not one: {aside:?}") };
    assert!(aside.to_str().unwrap().ends_with("-stray"), "{aside:?}");
    assert!(aside.join("00000000000000000000.log").exists());
    let told = server.complaints();
    assert!(matches!(&told[..], [line] if line.contains("foreign-0")), "{told:?}");
    assert_eq!(server.connect().read_all("known", 0).unwrap().len(), 1);
}
