//! Every rule of `check_batch`, each broken by itself.

use allocation_counter::measure;

use super::*;
use crate::compression::Codec;

/// Makes length and checksum fit the bytes again.
pub(super) fn seal(bytes: &mut [u8]) {
    let length = (bytes.len() - LOG_OVERHEAD) as i32;
    bytes[LENGTH_RANGE].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c::crc32c(&bytes[CRC_RANGE.end..]);
    bytes[CRC_RANGE].copy_from_slice(&crc.to_be_bytes());
}

/// A lawful batch of three records with a changed header.
fn with_header(change: impl FnOnce(&mut BatchHeader)) -> Vec<u8> {
    let mut bytes = simple(BatchOptions::default(), 3).to_vec();
    let mut header = *only(&bytes).header();
    change(&mut header);
    bytes[..HEADER_LEN].copy_from_slice(&header.to_bytes());
    seal(&mut bytes);
    bytes
}

/// A batch that declares `count` records around any body.
fn with_body(count: i32, body: &[u8]) -> Vec<u8> {
    let mut bytes = with_header(|header| {
        header.count = count;
        header.last_offset_delta = count - 1;
    });
    bytes.truncate(HEADER_LEN);
    bytes.extend_from_slice(body);
    seal(&mut bytes);
    bytes
}

fn check(bytes: &[u8], options: &CheckOptions) -> Result<Option<Walk>, BatchError> {
    check_batch(&RecordBatch::split(bytes)?.0, options)
}

/// What a client's batch is answered with, as the name of the variant.
fn verdict(bytes: &[u8]) -> String {
    match check(bytes, &CheckOptions::client()) {
        Ok(_) => "lawful".into(),
        Err(error) => {
            let text = format!("{error:?}");
            text.split([' ', '(']).next().unwrap().to_owned()
        }
    }
}

#[test]
fn each_broken_header_has_its_own_error() {
    assert_eq!(verdict(&with_header(|_| {})), "lawful");
    type Change = fn(&mut BatchHeader);
    let cases: [(Change, &str); 19] = [
        (|h| h.base_offset = 5, "BaseOffset"),
        (|h| h.partition_leader_epoch = 77, "lawful"),
        (|h| h.attributes |= 0x05, "UnknownCodec"),
        (|h| h.attributes |= 0x07, "UnknownCodec"),
        (|h| h.attributes |= 0x08, "LogAppendTimeFromClient"),
        (|h| h.attributes |= 0x20, "ControlFromClient"),
        (|h| h.attributes |= 0x7f00, "lawful"),
        (|h| h.count = 0, "InvalidCount"),
        (|h| h.count = -1, "InvalidCount"),
        (|h| h.count = i32::MIN, "InvalidCount"),
        (|h| h.count = 2, "CountMismatch"),
        (|h| h.last_offset_delta = i32::MAX, "CountMismatch"),
        (
            |h| {
                h.count = i32::MAX;
                h.last_offset_delta = i32::MAX - 1;
            },
            "MissingRecords",
        ),
        (
            |h| {
                h.count = 2;
                h.last_offset_delta = 1;
            },
            "TrailingBytes",
        ),
        (|h| h.base_timestamp = i64::MAX, "Timestamp"),
        (|h| h.base_timestamp = i64::MIN, "Timestamp"),
        (|h| h.base_timestamp = -50, "Timestamp"),
        (|h| h.producer_id = 4, "ProducerState"),
        (|h| h.max_timestamp = i64::MIN, "lawful"),
    ];
    for (index, (change, expected)) in cases.into_iter().enumerate() {
        assert_eq!(verdict(&with_header(change)), expected, "case {index}");
    }
}

#[test]
fn each_broken_frame_has_its_own_error() {
    // Length 7: attributes, three deltas and lengths, two nulls, no headers.
    let lawful: &[u8] = &[12, 0, 0, 0, 1, 1, 0];
    assert_eq!(verdict(&with_body(1, lawful)), "lawful");
    let cases: [(&[u8], RecordFault); 11] = [
        (&[14, 0, 0, 0, 1, 1, 0], RecordFault::Length),
        (&[10, 0, 0, 0, 1, 1, 0], RecordFault::Length),
        (&[1, 0, 0, 0, 1, 1, 0], RecordFault::NegativeLength),
        (&[12, 0, 0, 0, 1, 1], RecordFault::Truncated),
        (&[12, 0, 0, 0, 1, 1, 1], RecordFault::HeaderCount),
        (&[12, 0, 0, 0, 100, 1, 0], RecordFault::Length),
        (&[12, 0, 0, 0, 1, 100, 0], RecordFault::Length),
        (
            &[20, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0],
            RecordFault::LongNumber,
        ),
        (&[12, 0, 0, 0, 1, 1, 2], RecordFault::Length),
        (&[16, 0, 0, 0, 1, 1, 2, 1, 0], RecordFault::NegativeLength),
        (&[0xff, 0xff, 0xff, 0xff, 0xff, 0x01], RecordFault::LongNumber),
    ];
    for (body, expected) in cases {
        match check(&with_body(1, body), &CheckOptions::client()) {
            Err(BatchError::MalformedRecord { index: 0, reason }) => {
                assert_eq!(reason, expected, "{body:?}");
            }
            other => panic!("{body:?}: {other:?}"),
        }
        for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let mut packed = Vec::new();
            compression::compress(codec, None, body, &mut packed).unwrap();
            let mut bytes = with_body(1, &packed);
            bytes[22] = codec.id();
            seal(&mut bytes);
            let error = check(&bytes, &CheckOptions::client()).unwrap_err();
            let is_same =
                matches!(error, BatchError::MalformedRecord { reason, .. } if reason == expected);
            assert!(is_same, "{codec} {body:?}: {error}");
        }
    }
}

#[test]
fn offset_deltas_are_dense() {
    for deltas in [[0u8, 0], [2, 2], [0, 4], [2, 0], [1, 2]] {
        let [a, b] = deltas;
        let body = [12, 0, 0, a, 1, 1, 0, 12, 0, 0, b, 1, 1, 0];
        assert_eq!(verdict(&with_body(2, &body)), "OffsetDelta", "{deltas:?}");
    }
    assert_eq!(verdict(&with_body(2, &[12, 0, 0, 0, 1, 1, 0, 12, 0, 0, 2, 1, 1, 0])), "lawful");
}

#[test]
fn compacted_topics_need_keys() {
    let bytes = with_body(2, &[14, 0, 0, 0, 2, 9, 1, 0, 12, 0, 0, 2, 1, 1, 0]);
    assert_eq!(verdict(&bytes), "lawful");
    let options = CheckOptions { compacted: true, ..CheckOptions::client() };
    assert!(matches!(check(&bytes, &options), Err(BatchError::MissingKey { index: 1 })));
}

#[test]
fn timestamps_lie_in_bounds() {
    // Records at 1000, 1001 and 1002.
    let bytes = with_header(|_| {});
    let at = |now, before, after| {
        let bounds = TimestampBounds::around(now, before, after);
        let options = CheckOptions { timestamps: Some(bounds), ..CheckOptions::client() };
        match check(&bytes, &options) {
            Ok(_) => None,
            Err(BatchError::Timestamp { index, .. }) => Some(index),
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(at(1001, 1, 1), None);
    assert_eq!(at(1001, 0, 1), Some(0));
    assert_eq!(at(1001, 1, 0), Some(2));
    assert_eq!(at(0, i64::MAX, i64::MAX), None);
    // No timestamp is lawful whatever the bounds; a LogAppendTime topic does not look.
    let none = with_header(|header| header.base_timestamp = -1);
    let bounds = TimestampBounds { min: -1, max: 5 };
    let options = CheckOptions { timestamps: Some(bounds), ..CheckOptions::client() };
    assert!(check(&none, &options).is_ok());
    let any = with_header(|header| header.base_timestamp = i64::MIN);
    assert!(check(&any, &CheckOptions { timestamps: None, ..CheckOptions::client() }).is_ok());
}

#[test]
fn sizes_checksums_and_magics_are_checked_first() {
    let bytes = with_header(|_| {});
    let options = CheckOptions { max_batch_bytes: bytes.len() - 1, ..CheckOptions::client() };
    assert!(matches!(check(&bytes, &options), Err(BatchError::TooLarge { .. })));
    let options = CheckOptions { max_batch_bytes: bytes.len(), ..options };
    assert!(check(&bytes, &options).is_ok());
    for at in CRC_RANGE.start..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        assert_eq!(verdict(&flipped), "WrongCrc", "bit flipped at {at}");
    }
    for magic in [0u8, 1, 3, 0x7f, 0xff] {
        let mut other = bytes.clone();
        other[16] = magic;
        assert_eq!(verdict(&other), "UnsupportedMagic");
    }
    for length in [48i32, 0, -1, i32::MIN] {
        let mut short = bytes.clone();
        short[LENGTH_RANGE].copy_from_slice(&length.to_be_bytes());
        assert_eq!(verdict(&short), "InvalidLength");
    }
    for length in [bytes.len() as i32 - 11, i32::MAX] {
        let mut long = bytes.clone();
        long[LENGTH_RANGE].copy_from_slice(&length.to_be_bytes());
        assert_eq!(verdict(&long), "Truncated");
    }
}

#[test]
fn what_the_leader_sent_is_not_walked() {
    let gaps = with_body(2, &[12, 0, 0, 0, 1, 1, 0, 12, 0, 0, 40, 1, 1, 0]);
    assert!(check(&gaps, &CheckOptions::replication()).unwrap().is_none());
    let control = with_header(|header| header.attributes |= 0x20);
    assert!(check(&control, &CheckOptions::replication()).is_ok());
    let options = CheckOptions { origin: Origin::Coordinator, ..CheckOptions::client() };
    assert!(check(&control, &options).unwrap().is_some());
    let mut damaged = gaps;
    *damaged.last_mut().unwrap() ^= 1;
    assert!(matches!(
        check(&damaged, &CheckOptions::replication()),
        Err(BatchError::WrongCrc { .. })
    ));
}

#[test]
fn bombs_stop_at_the_limit() {
    let value = vec![0u8; 2 << 20];
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let mut builder = BatchBuilder::new(BatchOptions { codec, ..BatchOptions::default() });
        let record = NewRecord { value: Some(&value), ..NewRecord::default() };
        builder.push(&record).unwrap();
        let bytes = builder.build().unwrap();
        let options = CheckOptions { max_uncompressed_bytes: LIMIT, ..CheckOptions::client() };
        let error = check(&bytes, &options).unwrap_err();
        assert!(matches!(error, BatchError::OutputLimit { limit: LIMIT }), "{codec}: {error}");
        let walk = check(&bytes, &CheckOptions::client()).unwrap().unwrap();
        assert!(walk.uncompressed_bytes > 2 << 20);
    }
}

#[test]
fn compressed_batches_cut_at_every_byte_are_refused() {
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let whole = simple(BatchOptions { codec, ..BatchOptions::default() }, 50);
        assert_eq!(verdict(&whole), "lawful");
        for len in HEADER_LEN..whole.len() {
            let mut bytes = whole[..len].to_vec();
            seal(&mut bytes);
            let found = verdict(&bytes);
            // lz4 and zstd end with a mark that may be missing when all the data is there.
            let may_pass = len + 8 >= whole.len();
            assert!(found != "lawful" || may_pass, "{codec} cut to {len} of {}", whole.len());
        }
    }
}

#[test]
fn a_batch_is_checked_without_allocation() {
    let bytes = simple(BatchOptions::default(), 200);
    let used = measure(|| {
        let walk = check(&bytes, &CheckOptions::client()).unwrap().unwrap();
        assert_eq!(walk.record_count, 200);
        let batch = only(&bytes);
        assert_eq!(batch.open(LIMIT).unwrap().records().count(), 200);
    });
    assert_eq!(used.count_total, 0);
}

/// Wants every third key from the second on.
#[derive(Default)]
struct Thirds {
    begun: Vec<i32>,
    next: i32,
    keys: Vec<Option<Vec<u8>>>,
}

impl KeySink for Thirds {
    fn begin(&mut self, records: i32) {
        self.begun.push(records);
        self.next = 1;
    }

    fn next(&self) -> i32 {
        self.next
    }

    fn key(&mut self, key: Option<&[u8]>) {
        self.keys.push(key.map(<[u8]>::to_vec));
        self.next += 3;
    }
}

#[test]
fn keys_that_are_wanted_are_shown_whole_and_no_others() {
    // The last ones do not lie whole in what is decoded at once.
    let most = MAX_WATCHED_KEY_BYTES;
    let lengths = [0, 1, 5, 3, 3, 2, 7, 60_000, 9, 1, most, 4, 4, most + 1, 0, 0, 10_000, 65_000];
    let records: Vec<_> = (0..)
        .zip(lengths)
        .map(|(offset, len)| Owned {
            offset,
            timestamp: 0,
            key: (offset != 4).then(|| vec![offset as u8; len]),
            value: Some(vec![7; 3000]),
            headers: Vec::new(),
        })
        .collect();
    let wanted = records.iter().skip(1).step_by(3).map(|record| record.key.clone());
    let wanted: Vec<_> =
        wanted.map(|key| key.filter(|key| key.len() <= MAX_WATCHED_KEY_BYTES)).collect();
    assert_eq!(wanted.iter().filter(|key| key.is_none()).count(), 2);
    for codec in Codec::ALL {
        let bytes = build(BatchOptions { codec, ..BatchOptions::default() }, &records);
        let mut sink = Thirds::default();
        let batch = only(&bytes);
        let walk = check_watched_batch(&batch, &CheckOptions::client(), &mut sink).unwrap();
        assert_eq!(walk, check_batch(&batch, &CheckOptions::client()).unwrap());
        assert_eq!(sink.begun, [records.len() as i32]);
        assert_eq!(sink.keys, wanted, "{codec}");
    }
}
