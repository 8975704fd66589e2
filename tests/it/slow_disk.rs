//! A disk that stands still holds up whoever needs it, and nobody else.

use std::path::Path;
use std::sync::Arc;

use pharos_protocol::Records;
use pharos_protocol::batch::BatchOptions;
use pharos_protocol::messages::*;

use crate::gated_disk::{Act, Gate, GatedFs};
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
