//! Batches that Kafka wrote, batches that nobody should write, and random ones.

mod checks;
mod golden;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

pub(super) const LIMIT: u64 = 1 << 20;

/// A record with everything owned, to build and compare with.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Owned {
    offset: i64,
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Owned {
    fn of(record: &Record<'_>) -> Self {
        let own =
            |header: Header<'_>| (header.key_text().into_owned(), header.value.map(<[u8]>::to_vec));
        assert_eq!(record.headers.len(), record.headers.iter().count());
        Self {
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record.headers.iter().map(own).collect(),
        }
    }
}

pub(super) fn build(options: BatchOptions, records: &[Owned]) -> Bytes {
    let mut builder = BatchBuilder::new(options);
    for record in records {
        let headers: Vec<(&str, Option<&[u8]>)> =
            record.headers.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
        let new = NewRecord {
            timestamp: record.timestamp,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
        };
        let before = builder.total_len();
        builder.push_at(record.offset, &new).unwrap();
        assert!(builder.total_len() - before <= BatchBuilder::upper_bound(&new));
    }
    assert_eq!(builder.len(), records.len() as i32);
    builder.build().unwrap()
}

/// `count` records of one key and value each.
pub(super) fn simple(options: BatchOptions, count: i64) -> Bytes {
    let record = |index| Owned {
        offset: options.base_offset + index,
        timestamp: 1000 + index,
        key: Some(b"key".to_vec()),
        value: Some(b"value".to_vec()),
        headers: vec![("h".into(), Some(b"x".to_vec()))],
    };
    build(options, &(0..count).map(record).collect::<Vec<_>>())
}

pub(super) fn only(bytes: &[u8]) -> RecordBatch<'_> {
    let (batch, rest) = RecordBatch::split(bytes).unwrap();
    assert!(rest.is_empty());
    batch
}

fn owned_record() -> impl Strategy<Value = (i64, Owned)> {
    let bytes = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..80));
    let header = (".{0,8}", bytes());
    let headers = proptest::collection::vec(header, 0..4);
    (0i64..5, 0i64..i64::MAX / 2, bytes(), bytes(), headers).prop_map(
        |(gap, timestamp, key, value, headers)| {
            (gap, Owned { offset: 0, timestamp, key, value, headers })
        },
    )
}

fn any_batch() -> impl Strategy<Value = (BatchOptions, Vec<Owned>)> {
    let codec = proptest::sample::select(compression::Codec::ALL.to_vec());
    let flags = (any::<bool>(), any::<bool>(), -1i64..5, any::<i16>(), any::<i32>());
    (0..i64::MAX / 2, codec, flags, proptest::collection::vec(owned_record(), 0..40)).prop_map(
        |(base_offset, codec, (transactional, control, producer_id, epoch, sequence), records)| {
            let options = BatchOptions {
                base_offset,
                codec,
                transactional,
                control,
                producer_id,
                producer_epoch: epoch,
                base_sequence: sequence,
                ..BatchOptions::default()
            };
            let mut next = base_offset;
            let place = |(gap, mut record): (i64, Owned)| {
                record.offset = next + gap;
                next = record.offset + 1;
                record
            };
            (options, records.into_iter().map(place).collect())
        },
    )
}

proptest! {
    #[test]
    fn batches_come_back((options, records) in any_batch()) {
        let bytes = build(options, &records);
        let batch = only(&bytes);
        batch.check_crc().unwrap();
        let header = batch.header().to_bytes();
        prop_assert_eq!(&header[..], &bytes[..HEADER_LEN]);
        prop_assert_eq!(batch.header().codec(), Some(options.codec));
        prop_assert_eq!(batch.header().is_transactional(), options.transactional);
        prop_assert_eq!(batch.header().is_control(), options.control);
        let open = batch.open(LIMIT).unwrap();
        let found: Vec<Owned> = open.records().map(|record| Owned::of(&record.unwrap())).collect();
        prop_assert_eq!(&found, &records);
        let walk = batch.walk(LIMIT).unwrap();
        prop_assert_eq!(walk.record_count as usize, records.len());
        prop_assert_eq!(walk.uncompressed_bytes as usize, open.body().len());
        let newest = records.iter().map(|record| record.timestamp).max().unwrap_or(-1);
        prop_assert_eq!(walk.max_timestamp, newest);
        let first = records.iter().find(|record| record.timestamp == newest);
        let delta = first.map_or(-1, |record| record.offset - options.base_offset);
        prop_assert_eq!(i64::from(walk.offset_delta_of_max_timestamp), delta);
        let keyless = records.iter().filter(|record| record.key.is_none()).count();
        prop_assert_eq!(walk.keyless_count as usize, keyless);
        let last = records.last().map_or(options.base_offset, |record| record.offset);
        prop_assert_eq!(batch.header().last_offset(), last);
        let mut copy = BatchBuilder::new(options);
        for record in open.records() {
            let record = record.unwrap();
            copy.copy_at(record.offset, &record).unwrap();
        }
        prop_assert_eq!(copy.build().unwrap(), &bytes);
        let dense = (options.base_offset..).zip(&records).all(|(at, record)| at == record.offset);
        prop_assert_eq!(walk.dense, dense);
    }

    #[test]
    fn damaged_batches_are_refused_or_read(
        (options, records) in any_batch(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = build(options, &records).to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            // The length stays, so that the damage is behind it.
            if !LENGTH_RANGE.contains(&at) && at != 16 {
                bytes[at] = byte;
            }
        }
        checks::seal(&mut bytes);
        let batch = only(&bytes);
        let walked = batch.walk(LIMIT);
        let _ = check_batch(&batch, &CheckOptions::client());
        if let Ok(open) = batch.open(LIMIT) {
            let records: Result<Vec<_>, _> = open.records().collect();
            match (walked, records) {
                (Ok(walk), Ok(records)) => {
                    prop_assert_eq!(walk.record_count as usize, records.len());
                }
                (Err(_), Err(_)) => {}
                (Ok(_), Err(error)) => prop_assert!(false, "only the reader says {error}"),
                (Err(error), Ok(_)) => prop_assert!(false, "only the walk says {error}"),
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_batch(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for batch in batches(&bytes).flatten() {
            let _ = check_batch(&batch, &CheckOptions::client());
        }
    }
}

#[test]
fn a_place_in_the_log_lies_outside_the_checksum() {
    let bytes = simple(BatchOptions::default(), 3);
    let mut header = *only(&bytes).header();
    header.assign(900, 7);
    let moved = [&header.to_bytes()[..], &bytes[HEADER_LEN..]].concat();
    let batch = only(&moved);
    batch.check_crc().unwrap();
    assert_eq!((batch.header().last_offset(), batch.header().next_offset()), (902, 903));
    assert_eq!(batch.header().partition_leader_epoch, 7);
}

#[test]
fn log_append_time_holds_for_all_records() {
    let bytes = simple(BatchOptions::default(), 3);
    let mut header = *only(&bytes).header();
    header.set_log_append_time(5555, &bytes[HEADER_LEN..]);
    let stamped = [&header.to_bytes()[..], &bytes[HEADER_LEN..]].concat();
    let batch = only(&stamped);
    batch.check_crc().unwrap();
    assert_eq!(batch.header().timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!(batch.header().max_timestamp, 5555);
    let open = batch.open(LIMIT).unwrap();
    assert!(open.records().all(|record| record.unwrap().timestamp == 5555));
}

#[test]
fn sequences_wrap_to_zero() {
    assert_eq!(sequence_plus(0, 5), 5);
    assert_eq!(sequence_plus(i32::MAX, 1), 0);
    assert_eq!(sequence_plus(i32::MAX - 1, 2), 0);
    assert_eq!(sequence_plus(i32::MAX, i32::MAX), i32::MAX - 1);
    assert_eq!(only(&simple(BatchOptions::default(), 2)).header().last_sequence(), -1);
}

#[test]
fn offsets_of_a_builder_rise() {
    let options = BatchOptions { base_offset: 10, ..BatchOptions::default() };
    let mut builder = BatchBuilder::new(options);
    assert!(builder.is_empty());
    let record = NewRecord { value: Some(b"v"), ..NewRecord::default() };
    builder.push_at(12, &record).unwrap();
    builder.push(&record).unwrap();
    for offset in [13, 9, 10 + (1 << 31)] {
        assert!(matches!(builder.push_at(offset, &record), Err(BuildError::OffsetOrder { .. })));
    }
    let bytes = builder.build().unwrap();
    assert_eq!(only(&bytes).header().last_offset_delta, 3);
}

#[test]
fn several_batches_lie_one_after_the_other() {
    let options = BatchOptions::default();
    let one = simple(options, 2);
    let two = simple(BatchOptions { codec: compression::Codec::Zstd, ..options }, 5);
    let both = [&one[..], &two[..]].concat();
    let counts: Vec<i32> = batches(&both).map(|batch| batch.unwrap().header().count).collect();
    assert_eq!(counts, [2, 5]);
    for len in 0..both.len() {
        let mut found = batches(&both[..len]);
        let whole = found.by_ref().take_while(Result::is_ok).count();
        assert_eq!(whole, usize::from(len >= one.len()), "cut to {len}");
        assert!(found.next().is_none(), "nothing follows an error");
    }
}
