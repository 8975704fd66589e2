//! Fetched bytes that lie: an error that names the broker, or as many records as there are; never
//! more memory than the limit of one batch.

use allocation_counter::measure;
use bytes::Bytes;
use pharos_base::{Offset, TopicPartition};
use pharos_protocol::Records;
use pharos_protocol::batch::{BatchBuilder, BatchOptions, NewRecord};
use pharos_protocol::compression::{Codec, compress};
use pharos_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use pharos_protocol::messages::{FetchRequest, FetchResponse};

use super::{in_time, leader, properties};
use crate::consumer::{Consumer, ConsumerConfig, MAX_UNCOMPRESSED_BATCH_BYTES};
use crate::error::Result;

/// Where the fields of a batch's header stand.
const BASE_OFFSET: usize = 0;
const LENGTH: usize = 8;
const MAGIC: usize = 16;
const CRC: usize = 17;
const ATTRIBUTES: usize = 21;
const LAST_OFFSET_DELTA: usize = 23;
const COUNT: usize = 57;
const RECORDS: usize = 61;

/// Three records.
fn honest(codec: Codec) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions { codec, ..Default::default() });
    for value in [&b"one"[..], b"two", b"three"] {
        let record = NewRecord { value: Some(value), ..NewRecord::default() };
        builder.push(&record).unwrap();
    }
    builder.build().unwrap().to_vec()
}

fn with<const N: usize>(mut batch: Vec<u8>, at: usize, bytes: [u8; N]) -> Vec<u8> {
    batch[at..at + N].copy_from_slice(&bytes);
    batch
}

/// A header like that of [`honest`] over other bytes.
fn around(codec: Codec, count: i32, body: &[u8]) -> Vec<u8> {
    let mut batch = honest(Codec::None);
    batch.truncate(RECORDS);
    batch.extend_from_slice(body);
    let length = i32::try_from(batch.len() - 12).unwrap();
    let batch = with(batch, LENGTH, length.to_be_bytes());
    let batch = with(batch, ATTRIBUTES, i16::from(codec.id()).to_be_bytes());
    with(batch, COUNT, count.to_be_bytes())
}

/// Reads from a broker that answers every fetch with these bytes, until none came in a poll or
/// there is an error: records, position and error.
async fn read(bytes: Vec<u8>, check_crcs: bool) -> (usize, i64, Option<String>) {
    let bytes = Bytes::from(bytes);
    let broker = leader(|script| {
        script.on(move |request: FetchRequest| {
            let wanted = request.topics[0].partitions[0].fetch_offset;
            let data = PartitionData {
                records: Some(Records::Bytes(if wanted == 0 {
                    bytes.clone()
                } else {
                    Bytes::new()
                })),
                ..Default::default()
            };
            Some(FetchResponse {
                responses: vec![FetchableTopicResponse {
                    topic: "t".to_owned(),
                    partitions: vec![data],
                    ..Default::default()
                }],
                ..Default::default()
            })
        })
    })
    .await;
    let more = format!("check.crcs={check_crcs}");
    let config = ConsumerConfig::parse(&properties(&broker.address(), &more)).unwrap();
    let mut consumer = Consumer::new(config);
    let of = TopicPartition::new("t", 0);
    consumer.assign([of.clone()]);
    consumer.seek(&of, Offset(0));
    let mut count = 0;
    let error = loop {
        let polled: Result<Vec<_>> =
            in_time(consumer.poll(std::time::Duration::from_millis(200))).await;
        match polled {
            Ok(records) if records.is_empty() => break None,
            Ok(records) => count += records.len(),
            Err(error) => break Some(error.to_string()),
        }
    };
    if let Some(error) = &error {
        assert!(error.contains(&broker.address()), "{error}");
        assert!(error.contains("records of t-0 cannot be read"), "{error}");
    }
    (count, consumer.position(&of).unwrap().0, error)
}

#[tokio::test]
async fn batches_that_lie_are_an_error_that_names_the_broker() {
    let plain = || honest(Codec::None);
    let snappy = [&b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01"[..], &[0xff; 4], b"x"].concat();
    let bare_snappy = [0xff, 0xff, 0xff, 0xff, 0x0f, 0];
    // A frame of one block that claims 4 MiB.
    let lz4 = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x70, 0x73, 0xff, 0xff, 0x3f, 0x00, 1];
    // A frame of a window and a content of 2^63 bytes.
    let zstd = [&[0x28, 0xb5, 0x2f, 0xfd, 0xe0][..], &[0xff; 8], &[1, 0, 0]].concat();
    let cases: Vec<(&str, usize, Vec<u8>)> = vec![
        ("length 2^31-1", 0, with(plain(), LENGTH, i32::MAX.to_be_bytes())),
        ("negative length", 0, with(plain(), LENGTH, (-1_i32).to_be_bytes())),
        ("length below a header", 0, with(plain(), LENGTH, 10_i32.to_be_bytes())),
        ("magic 0", 0, with(plain(), MAGIC, [0])),
        ("magic 1", 0, with(plain(), MAGIC, [1])),
        ("magic 3", 0, with(plain(), MAGIC, [3])),
        ("count 2^31-1", 3, with(plain(), COUNT, i32::MAX.to_be_bytes())),
        ("count -1", 0, with(plain(), COUNT, (-1_i32).to_be_bytes())),
        ("count 1", 1, with(plain(), COUNT, 1_i32.to_be_bytes())),
        ("codec 7", 0, with(plain(), ATTRIBUTES, 7_i16.to_be_bytes())),
        ("a codec that it is not", 0, with(plain(), ATTRIBUTES, 4_i16.to_be_bytes())),
        ("record length 2^31-1", 0, around(Codec::None, 1, &[0xfe, 0xff, 0xff, 0xff, 0x0f])),
        (
            "10^9 headers",
            0,
            around(Codec::None, 1, &[22, 0, 0, 0, 1, 1, 0x80, 0xa8, 0xd6, 0xb9, 7, 0]),
        ),
        ("snappy of 4 GiB", 0, around(Codec::Snappy, 1, &snappy)),
        ("bare snappy of 4 GiB", 0, around(Codec::Snappy, 1, &bare_snappy)),
        ("lz4 of 4 MiB", 0, around(Codec::Lz4, 1, &lz4)),
        ("zstd of 2^63 bytes", 0, around(Codec::Zstd, 1, &zstd)),
    ];
    let mut wrong = Vec::new();
    for (what, expected, bytes) in cases {
        let (count, _, error) = read(bytes, false).await;
        if (count, error.is_some()) != (expected, true) {
            wrong.push(format!("{what}: {count} records, {error:?}"));
        }
    }
    let (_, _, error) = read(with(plain(), CRC, [0; 4]), true).await;
    assert!(error.is_some_and(|error| error.contains("CRC")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Offsets at their limits are what they are; positions saturate.
#[tokio::test]
async fn offsets_at_their_limits() {
    let plain = || honest(Codec::None);
    let max = with(plain(), BASE_OFFSET, i64::MAX.to_be_bytes());
    assert_eq!(read(max, false).await, (3, i64::MAX, None));
    let gap = with(plain(), LAST_OFFSET_DELTA, i32::MAX.to_be_bytes());
    assert_eq!(read(gap, false).await, (3, 1 << 31, None));
    let back = with(plain(), LAST_OFFSET_DELTA, i32::MIN.to_be_bytes());
    assert_eq!(read(back, false).await, (3, 3, None));
}

/// What `read` finds, and the most bytes that were allocated meanwhile, by the broker too.
fn measured(bytes: Vec<u8>) -> ((usize, i64, Option<String>), u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut found = None;
    let used = measure(|| found = Some(runtime.block_on(read(bytes, false))));
    (found.unwrap(), used.bytes_max)
}

#[test]
fn a_bomb_ends_at_the_limit_of_a_batch() {
    let mut member = Vec::new();
    compress(Codec::Gzip, None, &vec![0; 1 << 20], &mut member).unwrap();
    // Any number of members are one stream: 300 MiB in 300 kB.
    let bomb = around(Codec::Gzip, 1, &member.repeat(300));
    let ((count, _, error), bytes) = measured(bomb);
    assert!(
        count == 0 && error.as_ref().is_some_and(|error| error.contains("decompress to more than")),
        "{count}: {error:?}"
    );
    assert!(bytes < 2 * MAX_UNCOMPRESSED_BATCH_BYTES, "{bytes}");
}

/// A million records of seven bytes are not a million records in memory.
#[test]
fn many_small_records_are_read_as_they_are_asked_for() {
    let frames = [12, 0, 0, 0, 1, 1, 0].repeat(1_000_000);
    let ((count, ..), bytes) = measured(around(Codec::None, 1_000_000, &frames));
    assert_eq!(count, 1, "all of them have offset 0");
    assert!(bytes < 10 * frames.len() as u64, "{bytes}");
}
