//! Decoding of fetched bytes, and a consumer against a scripted broker.

use pharos_base::PartitionId;
use pharos_protocol::batch::{BatchBuilder, BatchOptions, NewRecord};
use pharos_protocol::compression::Codec;

use super::record::Fetched;
use super::*;

pub(super) fn batch(base_offset: i64, options: BatchOptions, values: &[&str]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions { base_offset, ..options });
    for value in values {
        let record = NewRecord { value: Some(value.as_bytes()), ..NewRecord::default() };
        builder.push(&record).unwrap();
    }
    builder.build().unwrap().to_vec()
}

fn marker(base_offset: i64, producer_id: i64, commit: bool) -> Vec<u8> {
    let options = BatchOptions {
        base_offset,
        producer_id,
        producer_epoch: 0,
        transactional: true,
        control: true,
        ..BatchOptions::default()
    };
    let mut builder = BatchBuilder::new(options);
    let key = [0, 0, 0, u8::from(commit)];
    let record = NewRecord { key: Some(&key), value: Some(&[0; 6]), ..NewRecord::default() };
    builder.push(&record).unwrap();
    builder.build().unwrap().to_vec()
}

fn read(bytes: Vec<u8>, from: i64, aborted: Option<Vec<(i64, i64)>>) -> (Vec<String>, i64) {
    let partition = TopicPartition::new("t", PartitionId(0));
    let mut fetched = Fetched::new(partition, bytes.into(), Offset(from), aborted, true);
    let mut values = Vec::new();
    while let Some(record) = fetched.next().unwrap() {
        let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
        values.push(format!("{}:{value}", record.offset));
    }
    (values, fetched.position.0)
}

#[test]
fn batches_of_every_codec_are_read_from_the_position_on() {
    for codec in Codec::ALL {
        let options = BatchOptions { codec, ..BatchOptions::default() };
        let mut bytes = batch(10, options, &["a", "b", "c"]);
        bytes.extend(batch(13, options, &["d"]));
        let cut = bytes.len() - 5;
        assert_eq!(read(bytes.clone(), 11, None).0, ["11:b", "12:c", "13:d"]);
        // Brokers may cut the last batch off.
        assert_eq!(
            read(bytes[..cut].to_vec(), 10, None),
            (vec!["10:a".into(), "11:b".into(), "12:c".into()], 13)
        );
    }
}

#[test]
fn aborted_transactions_are_skipped() {
    let of = |producer_id| BatchOptions {
        producer_id,
        producer_epoch: 0,
        base_sequence: 0,
        transactional: true,
        ..BatchOptions::default()
    };
    let mut bytes = batch(0, of(1), &["a"]);
    bytes.extend(batch(1, of(2), &["b"]));
    bytes.extend(marker(2, 1, false));
    bytes.extend(marker(3, 2, true));
    bytes.extend(batch(4, of(1), &["c"]));
    bytes.extend(marker(5, 1, true));
    assert_eq!(read(bytes.clone(), 0, Some(vec![(1, 0)])), (vec!["1:b".into(), "4:c".into()], 6));
    assert_eq!(read(bytes, 0, None).0, ["0:a", "1:b", "4:c"]);
}

#[test]
fn corrupt_bytes_are_an_error() {
    let mut bytes = batch(0, BatchOptions::default(), &["abc"]);
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    let partition = TopicPartition::new("t", PartitionId(0));
    let mut fetched = Fetched::new(partition, bytes.into(), Offset(0), None, true);
    assert!(fetched.next().is_err());
}

#[test]
fn a_long_backoff_makes_the_wait_longer() {
    let seconds = Duration::from_secs;
    for (complete, commit, retry, expected) in [
        (true, seconds(5), seconds(0), seconds(1)),
        (false, seconds(5), Duration::from_millis(100), Duration::from_millis(100)),
        (true, seconds(5), seconds(7), seconds(7)),
    ] {
        assert_eq!(tick(complete, commit, retry), expected);
    }
}

/// What that takes of memory is measured where brokers are hostile.
#[test]
fn a_batch_of_many_records_is_read_one_by_one() {
    let values: Vec<String> = (0..5000).map(|number| number.to_string()).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    for codec in [Codec::None, Codec::Zstd] {
        let bytes = batch(0, BatchOptions { codec, ..BatchOptions::default() }, &values);
        let (read, position) = read(bytes, 10, None);
        assert_eq!((read.len(), position), (4990, 5000));
        assert_eq!((read[0].as_str(), read[4989].as_str()), ("10:10", "4999:4999"));
    }
}
