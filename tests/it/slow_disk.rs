//! A disk that stands still holds up whoever needs it, and nobody else.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use pharos_protocol::Records;
use pharos_protocol::batch::BatchOptions;
use pharos_protocol::messages::*;
use pharos_storage::fs::RealFs;

use crate::gated_disk::{Act, Gate, GatedFs};
use crate::start_process::{answer_at, until};
use crate::start_wire::{Wire, batch, fetch};
use crate::truth::Inside;

/// Batches of the log: more than a broker keeps the places of in memory.
const BATCHES: i64 = 200;
/// The part of the log's file that only the disk has.
const COLD_BYTES: u64 = 4096;

/// The first bytes of the log.
fn is_cold(act: Act, path: &Path) -> bool {
    path.ends_with("t-0/00000000000000000000.log")
        && matches!(act, Act::Read(position) if position < COLD_BYTES)
}

fn records_of(answer: &FetchResponse) -> usize {
    let data = &answer.responses[0].partitions[0];
    assert_eq!(data.error_code, 0);
    data.records.as_ref().and_then(Records::as_bytes).map_or(0, |bytes| bytes.len())
}

fn first_since(timestamp: i64) -> ListOffsetsRequest {
    let one = list_offsets_request::ListOffsetsPartition { timestamp, ..Default::default() };
    let topic =
        list_offsets_request::ListOffsetsTopic { name: "t".to_owned(), partitions: vec![one] };
    ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() }
}

#[test]
fn what_a_disk_holds_up_delays_no_produce_and_no_fetch_of_the_tail() {
    let gate = Arc::new(Gate::default());
    let disk = GatedFs { gate: gate.clone(), is_behind: is_cold };
    let mut inside = Inside::start_on(Arc::new(disk), 1, &[]);
    inside.create("t", &[]);
    let one = batch(BatchOptions::default(), &[("key", "value")]);
    for offset in 0..BATCHES {
        assert_eq!(inside.wire.produce("t", 0, &one).unwrap(), (0, offset, None));
    }
    let closed = gate.close();
    let mut cold = Wire::connect(inside.port).unwrap();
    cold.send(&fetch("t", 0, 0, 1 << 20), 12).unwrap();
    gate.until_waiting(1);
    let mut dated = Wire::connect(inside.port).unwrap();
    dated.send(&first_since(1), 7).unwrap();
    gate.until_waiting(2);

    // The only thread that serves connections goes on, also with the same log.
    assert_eq!(inside.wire.produce("t", 0, &one).unwrap(), (0, BATCHES, None));
    let tail: FetchResponse = inside.wire.call(&fetch("t", 0, BATCHES, 1 << 20), 12).unwrap();
    assert_eq!(records_of(&tail), one.len());
    assert_eq!(gate.waiting(), 2);

    drop(closed);
    let whole: FetchResponse = cold.receive(12).unwrap();
    assert_eq!(records_of(&whole), one.len() * usize::try_from(BATCHES).unwrap());
    let found: ListOffsetsResponse = dated.receive(7).unwrap();
    let found = &found.topics[0].partitions[0];
    assert_eq!((found.error_code, found.offset), (0, 0));
}

/// A start that has to look through a log that the disk does not give.
#[test]
fn a_start_tells_what_it_waits_for() {
    let home = Arc::new(tempfile::tempdir().unwrap());
    let mut inside = Inside::start_in(home.clone(), Arc::new(RealFs), 2, &[]);
    inside.create("t", &[]);
    let one = batch(BatchOptions::default(), &[("key", "value")]);
    assert_eq!(inside.wire.produce("t", 0, &one).unwrap().0, 0);
    drop(inside);
    std::fs::remove_file(home.path().join("data/.kafka_cleanshutdown")).unwrap();

    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let admin = format!("admin.listeners=HTTP://{free}");
    let gate = Arc::new(Gate::default());
    let disk = GatedFs { gate: gate.clone(), is_behind: is_cold };
    let closed = gate.close();
    let starting = std::thread::spawn(move || Inside::start_in(home, Arc::new(disk), 2, &[&admin]));
    gate.until_waiting(1);
    let ready = || answer_at(&free, "GET", "/health/ready");
    let (status, body) = ready();
    assert_eq!(status, 503, "{body}");
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let left =
        serde_json::json!({ "condition": "recovery", "reason": "logs are being opened, 1 left" });
    assert_eq!(body["reasons"][0], left);
    assert_eq!(answer_at(&free, "GET", "/health/live").0, 200);
    assert_eq!(answer_at(&free, "GET", "/metrics").0, 200);

    drop(closed);
    let _inside = starting.join().unwrap();
    until("the node to be ready", || ready().0 == 200);
    assert_eq!(answer_at(&free, "GET", "/events").0, 200);
}
