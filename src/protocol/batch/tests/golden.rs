//! Batches that Kafka 4.3.1 wrote.

use serde_json::{Value, json};

use super::*;
use crate::compression::Codec;
use crate::golden::{from_hex, to_hex};

fn hex_or_null(bytes: &Option<Vec<u8>>) -> Value {
    bytes.as_ref().map_or(Value::Null, |bytes| json!(to_hex(bytes)))
}

fn describe(batch: &RecordBatch<'_>) -> Value {
    let header = batch.header();
    let record = |record: Owned| {
        let headers: Vec<Value> =
            record.headers.iter().map(|(key, value)| json!([key, hex_or_null(value)])).collect();
        json!({
            "offset": record.offset,
            "timestamp": record.timestamp,
            "key": hex_or_null(&record.key),
            "value": hex_or_null(&record.value),
            "headers": headers,
        })
    };
    json!({
        "base_offset": header.base_offset,
        "last_offset": header.last_offset(),
        "size": batch.total_len(),
        "magic": MAGIC_V2,
        "compression": header.codec().unwrap().name(),
        "timestamp_type": format!("{:?}", header.timestamp_type()),
        "max_timestamp": header.max_timestamp,
        "partition_leader_epoch": header.partition_leader_epoch,
        "base_timestamp_field": header.base_timestamp,
        "count": header.count,
        "producer_id": header.producer_id,
        "producer_epoch": header.producer_epoch,
        "base_sequence": header.base_sequence,
        "last_sequence": header.last_sequence(),
        "transactional": header.is_transactional(),
        "control": header.is_control(),
        "delete_horizon_ms": header.delete_horizon_ms(),
        "records": records(batch).into_iter().map(record).collect::<Vec<_>>(),
    })
}

fn records(batch: &RecordBatch<'_>) -> Vec<Owned> {
    let open = batch.open(LIMIT).unwrap();
    open.records().map(|record| Owned::of(&record.unwrap())).collect()
}

/// The options that make a batch like this one.
fn options(batch: &RecordBatch<'_>) -> BatchOptions {
    let header = batch.header();
    BatchOptions {
        base_offset: header.base_offset,
        partition_leader_epoch: header.partition_leader_epoch,
        codec: header.codec().unwrap(),
        level: None,
        timestamp_type: header.timestamp_type(),
        log_append_time: header.max_timestamp,
        producer_id: header.producer_id,
        producer_epoch: header.producer_epoch,
        base_sequence: header.base_sequence,
        transactional: header.is_transactional(),
        control: header.is_control(),
        delete_horizon_ms: header.delete_horizon_ms(),
        last_offset_delta: Some(header.last_offset_delta),
        max_timestamp: Some(header.max_timestamp),
    }
}

/// The records with the timestamps that the producer gave them, whatever the batch says.
fn produced(batch: &RecordBatch<'_>) -> Vec<Owned> {
    let open = batch.open(LIMIT).unwrap();
    let header = BatchHeader { attributes: 0, ..*batch.header() };
    RecordIter::new(&header, open.body()).map(|record| Owned::of(&record.unwrap())).collect()
}

fn check_batch_of_kafka(name: &str, batch: &RecordBatch<'_>, expected: &Value) {
    assert_eq!(&describe(batch), expected, "{name}");
    batch.check_crc().unwrap();
    assert_eq!(batch.header().to_bytes().as_slice(), &batch.bytes()[..HEADER_LEN], "{name}");
    let rebuilt = build(options(batch), &produced(batch));
    if batch.header().codec() == Some(Codec::None) {
        assert_eq!(to_hex(&rebuilt), to_hex(batch.bytes()), "{name}");
    } else {
        // Encoders differ; what is in it does not.
        assert_eq!(records(&only(&rebuilt)), records(batch), "{name}");
    }
    let walk = batch.walk(LIMIT).unwrap();
    assert_eq!(walk.record_count, batch.header().count, "{name}");
    check_batch(batch, &CheckOptions::replication()).unwrap();
}

#[test]
fn batches_are_kafkas_byte_for_byte() {
    let text = include_str!("../../../../tests/golden/messages/batch-golden.tsv");
    let mut count = 0;
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let (name, magic) = (fields[0], fields[1]);
        let bytes = from_hex(fields[4]);
        if magic != "2" {
            let expected: i8 = magic.parse().unwrap();
            let error = batches(&bytes).next().unwrap().unwrap_err();
            assert!(matches!(error, BatchError::UnsupportedMagic(found) if found == expected));
            continue;
        }
        let expected: Vec<Value> = serde_json::from_str(fields[5]).unwrap();
        let found: Vec<RecordBatch<'_>> = batches(&bytes).map(Result::unwrap).collect();
        assert_eq!(found.len(), expected.len(), "{name}");
        for ((batch, expected), crc) in found.iter().zip(&expected).zip(fields[3].split(' ')) {
            assert_eq!(format!("{:08x}", batch.header().crc), crc, "{name}");
            check_batch_of_kafka(name, batch, expected);
            count += 1;
        }
    }
    assert_eq!(count, 33);
}
