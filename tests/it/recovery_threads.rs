//! `num.recovery.threads.per.data.dir`, changed while the broker runs: so many threads close the logs
//! when it stops, and open them when it starts again.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use pharos_protocol::messages::*;

use crate::gated_disk::{Act, Gate, GatedFs};
use crate::start_process::until;
use crate::start_wire::batch;
use crate::truth::Inside;

const KEY: &str = "num.recovery.threads.per.data.dir";
/// Twice the default: at most that is allowed at a time.
const THREADS: usize = 4;
/// More than threads that wait by mistake.
const PARTITIONS: i32 = 10;

/// Opening and syncing a segment.
fn is_segment(act: Act, path: &Path) -> bool {
    let of_topic = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    matches!(act, Act::Open | Act::Sync)
        && of_topic.is_some_and(|name| name.starts_with("t-"))
        && path.extension().is_some_and(|extension| extension == "log")
}

fn set_threads(inside: &mut Inside) {
    let request = IncrementalAlterConfigsRequest {
        resources: vec![incremental_alter_configs_request::AlterConfigsResource {
            resource_type: 4,
            configs: vec![incremental_alter_configs_request::AlterableConfig {
                name: KEY.to_owned(),
                value: Some(THREADS.to_string()),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let answer: IncrementalAlterConfigsResponse = inside.wire.call(&request, 1).unwrap();
    assert_eq!(answer.responses[0].error_code, 0, "{answer:?}");
}

/// Whether a snapshot of the metadata holds the setting: a start reads nothing else before it opens
/// the logs.
fn is_in_snapshot(home: &Path) -> bool {
    let metadata = home.join("data/__cluster_metadata-0");
    let files = fs::read_dir(metadata).unwrap().map(|entry| entry.unwrap().path());
    let mut snapshots =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "checkpoint"));
    snapshots.any(|path| {
        let bytes = fs::read(path).unwrap_or_default();
        bytes.windows(KEY.len()).any(|part| part == KEY.as_bytes())
    })
}

#[test]
fn as_many_threads_as_set_meanwhile_close_and_open_logs() {
    let gate = Arc::new(Gate::default());
    let home = Arc::new(tempfile::tempdir().unwrap());
    let start = || {
        let disk = GatedFs { gate: gate.clone(), is_behind: is_segment };
        let settings = ["metadata.log.max.record.bytes.between.snapshots=100"];
        Inside::start_in(home.clone(), Arc::new(disk), 2, &settings)
    };
    let mut inside = start();
    assert_eq!(inside.wire.create_topic("t", PARTITIONS, &[]).unwrap(), 0);
    let one = batch(Default::default(), &[("key", "value")]);
    for partition in 0..PARTITIONS {
        assert_eq!(inside.wire.produce("t", partition, &one).unwrap(), (0, 0, None));
    }
    set_threads(&mut inside);
    until("a snapshot", || is_in_snapshot(home.path()));

    std::thread::scope(|scope| {
        let closed = gate.close();
        let stopping = scope.spawn(move || drop(inside));
        gate.until_waiting(THREADS);
        assert_eq!(gate.waiting(), THREADS);
        drop(closed);
        stopping.join().unwrap();

        let closed = gate.close();
        let starting = scope.spawn(start);
        gate.until_waiting(THREADS);
        assert_eq!(gate.waiting(), THREADS);
        drop(closed);
        let mut inside = starting.join().unwrap();
        assert_eq!(inside.wire.read_all("t", PARTITIONS - 1).unwrap().len(), 1);
    });
}
