//! Record batches that a producer should not send: refused with Apache Kafka's error codes.

use std::time::SystemTime;

use bytes::Bytes;
use pharos_protocol::batch::{BatchBuilder, BatchOptions, NewRecord, TimestampType};
use pharos_protocol::compression::Codec;
use pharos_protocol::messages::{
    InitProducerIdRequest, InitProducerIdResponse, ProduceRequest, ProduceResponse,
};
use pharos_protocol::{Records, varint};

use crate::facts::{Asked, Fact, compare};
use crate::start_process::until;
use crate::start_wire::{Wire, produce};

/// Where the fields of a batch's header stand.
const LENGTH: usize = 8;
const MAGIC: usize = 16;
const CRC: usize = 17;
const ATTRIBUTES: usize = 21;
const LAST_OFFSET_DELTA: usize = 23;
const BASE_TIMESTAMP: usize = 27;
const MAX_TIMESTAMP: usize = 35;
const PRODUCER_ID: usize = 43;
const PRODUCER_EPOCH: usize = 51;
const BASE_SEQUENCE: usize = 53;
const COUNT: usize = 57;
const RECORDS: usize = 61;

/// Stricter than Kafka, where what it takes could not be read back as it was sent.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    ("log append time", "32", "the producer's clock is not the broker's"),
    ("offset delta*", "87", "Kafka would serve an offset twice, or out of order"),
    ("gzip bytes behind the stream", "2", "bytes that belong to no record are no records"),
    ("snappy flipped", "87", "Kafka does not look at the torn record's frame"),
    ("a partition twice", "0 0", "each entry takes effect"),
    ("a topic twice", "0 0", "each entry takes effect"),
    ("epoch -1", "87", "a producer id comes with an epoch"),
];

fn now_ms() -> i64 {
    i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap()
}

/// Two records, as `options` say.
fn two(options: BatchOptions) -> Vec<u8> {
    at(options, now_ms())
}

fn at(options: BatchOptions, timestamp: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(options);
    for value in [&b"one"[..], b"two"] {
        let record =
            NewRecord { timestamp, key: Some(b"k"), value: Some(value), ..NewRecord::default() };
        builder.push(&record).unwrap();
    }
    builder.build().unwrap().to_vec()
}

/// A batch with other bytes at a place, sealed again.
fn with(at: usize, bytes: &[u8]) -> Vec<u8> {
    edited(two(BatchOptions::default()), at, bytes)
}

fn edited(mut batch: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    sealed(batch)
}

fn sealed(mut batch: Vec<u8>) -> Vec<u8> {
    let crc = crc32c::crc32c(&batch[ATTRIBUTES..]);
    batch[CRC..ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
    batch
}

/// A batch whose records are these bytes; `count` is what its header says.
fn holding(attributes: i16, count: i32, records: &[u8]) -> Vec<u8> {
    let mut batch = two(BatchOptions::default());
    batch.truncate(RECORDS);
    batch.extend_from_slice(records);
    let length = i32::try_from(batch.len() - LENGTH - 4).unwrap();
    batch[LENGTH..LENGTH + 4].copy_from_slice(&length.to_be_bytes());
    batch[ATTRIBUTES..ATTRIBUTES + 2].copy_from_slice(&attributes.to_be_bytes());
    batch[LAST_OFFSET_DELTA..LAST_OFFSET_DELTA + 4].copy_from_slice(&(count - 1).to_be_bytes());
    batch[COUNT..].iter_mut().zip(count.to_be_bytes()).for_each(|(to, from)| *to = from);
    sealed(batch)
}

/// A record's frame: attributes, timestamp delta, offset delta, key, value and headers follow its
/// length, which is `len` when that is given.
fn record(len: Option<i32>, fields: &[i32], tail: &[u8]) -> Vec<u8> {
    let mut body = vec![0];
    for field in fields {
        varint::write_i32(&mut body, *field);
    }
    body.extend_from_slice(tail);
    let mut frame = Vec::new();
    varint::write_i32(&mut frame, len.unwrap_or(i32::try_from(body.len()).unwrap()));
    frame.extend_from_slice(&body);
    frame
}

/// Key and value absent, no headers.
fn plain(offset_delta: i32) -> Vec<u8> {
    record(None, &[0, offset_delta, -1, -1, 0], &[])
}

/// The same old message in the formats before record batches.
fn old_message(magic: u8) -> Vec<u8> {
    let mut message = vec![magic, 0];
    if magic == 1 {
        message.extend_from_slice(&now_ms().to_be_bytes());
    }
    message.extend_from_slice(&[0xff; 4]);
    message.extend_from_slice(&[0, 0, 0, 1, b'v']);
    let mut set = vec![0; 8];
    set.extend_from_slice(&u32::try_from(message.len() + 4).unwrap().to_be_bytes());
    set.extend_from_slice(&[0; 4]);
    set.extend_from_slice(&message);
    set
}

fn headers() -> Vec<(&'static str, Vec<u8>)> {
    let short = |n: i16| n.to_be_bytes().to_vec();
    let word = |n: i32| n.to_be_bytes().to_vec();
    let long = |n: i64| n.to_be_bytes().to_vec();
    let length = i32::try_from(two(BatchOptions::default()).len() - LENGTH - 4).unwrap();
    let fields = [
        ("base offset 5", 0, long(5)),
        ("base offset -1", 0, long(-1)),
        ("length 0", LENGTH, word(0)),
        ("length -1", LENGTH, word(-1)),
        ("length 48", LENGTH, word(48)),
        ("length one less", LENGTH, word(length - 1)),
        ("length one more", LENGTH, word(length + 1)),
        ("length 2^31-1", LENGTH, word(i32::MAX)),
        ("leader epoch 5", 12, word(5)),
        ("magic 0", MAGIC, vec![0]),
        ("magic 1", MAGIC, vec![1]),
        ("magic 3", MAGIC, vec![3]),
        ("magic -1", MAGIC, vec![0xff]),
        ("codec 5", ATTRIBUTES, short(5)),
        ("codec 6", ATTRIBUTES, short(6)),
        ("codec 7", ATTRIBUTES, short(7)),
        ("log append time", ATTRIBUTES, short(0x08)),
        ("transactional without id", ATTRIBUTES, short(0x10)),
        ("control", ATTRIBUTES, short(0x20)),
        ("control and transactional", ATTRIBUTES, short(0x30)),
        ("delete horizon", ATTRIBUTES, short(0x40)),
        ("unknown attributes", ATTRIBUTES, short(0x7f80)),
        ("last offset delta 0", LAST_OFFSET_DELTA, word(0)),
        ("last offset delta 5", LAST_OFFSET_DELTA, word(5)),
        ("last offset delta -1", LAST_OFFSET_DELTA, word(-1)),
        ("base timestamp at the end", BASE_TIMESTAMP, long(i64::MAX)),
        ("base timestamp at the start", BASE_TIMESTAMP, long(i64::MIN)),
        ("base timestamp -1", BASE_TIMESTAMP, long(-1)),
        ("max timestamp 0", MAX_TIMESTAMP, long(0)),
        ("max timestamp -1", MAX_TIMESTAMP, long(-1)),
        ("max timestamp at the end", MAX_TIMESTAMP, long(i64::MAX)),
        ("producer without epoch and sequence", PRODUCER_ID, long(5)),
        ("producer -2", PRODUCER_ID, long(-2)),
        ("epoch without producer", PRODUCER_EPOCH, short(1)),
        ("sequence without producer", BASE_SEQUENCE, word(1)),
        ("count 0", COUNT, word(0)),
        ("count 1", COUNT, word(1)),
        ("count 3", COUNT, word(3)),
        ("count -1", COUNT, word(-1)),
        ("count 2^31-1", COUNT, word(i32::MAX)),
    ];
    fields.into_iter().map(|(name, at, bytes)| (name, with(at, &bytes))).collect()
}

fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let one = |frame: Vec<u8>| holding(0, 1, &frame);
    let pair = |first: i32, second: i32| holding(0, 2, &[plain(first), plain(second)].concat());
    let mut torn = two(BatchOptions::default());
    torn[CRC] ^= 1;
    vec![
        ("whole", two(BatchOptions::default())),
        ("wrong checksum", torn),
        ("no records", holding(0, 0, &[])),
        ("no records, one declared", holding(0, 1, &[])),
        ("null key and value", one(plain(0))),
        ("offset deltas 1 2", pair(1, 2)),
        ("offset deltas 0 0", pair(0, 0)),
        ("offset deltas 1 0", pair(1, 0)),
        ("offset deltas 0 5", pair(0, 5)),
        ("offset delta -1", one(plain(-1))),
        ("record length -1", one(record(Some(-1), &[0, 0, -1, -1, 0], &[]))),
        ("record length 0", one(record(Some(0), &[0, 0, -1, -1, 0], &[]))),
        ("record length one less", one(record(Some(5), &[0, 0, -1, -1, 0], &[]))),
        ("record length one more", one(record(Some(7), &[0, 0, -1, -1, 0], &[]))),
        ("record length 2^31-1", one(record(Some(i32::MAX), &[0, 0, -1, -1, 0], &[]))),
        ("key length -2", one(record(None, &[0, 0, -2, -1, 0], &[]))),
        ("key length 2^31-1", one(record(None, &[0, 0, i32::MAX, -1, 0], &[]))),
        ("value length beyond the record", one(record(None, &[0, 0, -1, 3, 0], &[]))),
        ("headers -1", one(record(None, &[0, 0, -1, -1, -1], &[]))),
        ("headers 2^31-1", one(record(None, &[0, 0, -1, -1, i32::MAX], &[]))),
        ("header without key", one(record(None, &[0, 0, -1, -1, 1, -1, -1], &[]))),
        ("header key beyond the record", one(record(None, &[0, 0, -1, -1, 1, 9], b"k"))),
        ("endless number", one([&[0xff; 11][..], &[0]].concat())),
        ("bytes in a record behind its headers", one(record(None, &[0, 0, -1, -1, 0], b"tail"))),
        ("bytes behind the records", holding(0, 1, &[plain(0), vec![0; 5]].concat())),
        ("bytes behind the batch", [two(BatchOptions::default()), vec![0; 5]].concat()),
        ("two batches", two(BatchOptions::default()).repeat(2)),
        ("ten bytes", vec![1; 10]),
        ("zeros", vec![0; 100]),
        ("half a header", two(BatchOptions::default())[..40].to_vec()),
        ("a header alone", two(BatchOptions::default())[..RECORDS].to_vec()),
        ("one byte missing", {
            let batch = two(BatchOptions::default());
            batch[..batch.len() - 1].to_vec()
        }),
        ("old message 0", old_message(0)),
        ("old message 1", old_message(1)),
        ("two hours ahead", at(BatchOptions::default(), now_ms() + 7_200_000)),
        ("of 1970", at(BatchOptions::default(), 0)),
        ("timestamp -1", at(BatchOptions::default(), -1)),
        ("timestamp -2", edited(at(BatchOptions::default(), 0), BASE_TIMESTAMP, &[0xff; 8])),
    ]
}

fn compressed() -> Vec<(String, Vec<u8>)> {
    let mut cases = Vec::new();
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let whole = two(BatchOptions { codec, ..Default::default() });
        let id = i16::from(codec.id());
        let body = &whole[RECORDS..];
        let mut flipped = body.to_vec();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 0x10;
        let mut add = |name: &str, batch| cases.push((format!("{} {name}", codec.name()), batch));
        add("whole", whole.clone());
        add("of nothing", holding(id, 2, &[]));
        add("garbage", holding(id, 2, b"this is not compressed by anything"));
        add("zeros", holding(id, 2, &[0; 40]));
        add("half", holding(id, 2, &body[..body.len() / 2]));
        add("flipped", holding(id, 2, &flipped));
        add("count 1", holding(id, 1, body));
        add("count 3", holding(id, 3, body));
        add("bytes behind the stream", holding(id, 2, &[body, &[0; 7]].concat()));
        let mut zero = edited(whole, COUNT, &[0; 4]);
        zero = edited(zero, LAST_OFFSET_DELTA, &[0xff; 4]);
        add("count 0", zero);
    }
    // Snappy's own length field: 2^32-1.
    let lying = [
        &b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01"[..],
        &[0, 0, 0, 9],
        &[0xff, 0xff, 0xff, 0xff],
        &[0x0f, 0, 0, 0, 0],
    ];
    cases.push(("snappy block of 4 GiB".to_owned(), holding(2, 2, &lying.concat())));
    let lying = [&b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01"[..], &[0x7f, 0xff, 0xff, 0xff], &[0; 5]];
    cases.push(("snappy chunk of 2 GiB".to_owned(), holding(2, 2, &lying.concat())));
    cases
}

/// What became of a produce: the codes. A connection that ended, or on
/// which nothing came, is replaced.
fn appended(asked: &Asked, wire: &mut Wire, request: &ProduceRequest, version: i16) -> String {
    let answer = match wire.call::<ProduceResponse>(request, version) {
        Ok(answer) => answer,
        Err(error) => {
            *wire = asked.connect();
            let late = error.kind() == std::io::ErrorKind::WouldBlock;
            return if late { "no answer" } else { "closed" }.to_owned();
        }
    };
    let told = answer.responses.iter().flat_map(|topic| &topic.partition_responses);
    told.map(|it| it.error_code.to_string()).collect::<Vec<_>>().join(" ")
}

fn ready(asked: &Asked) -> Wire {
    asked.wait_for_groups();
    let mut wire = asked.connect();
    assert_eq!(wire.create_topic("batches", 1, &[]).unwrap(), 0);
    let whole = two(BatchOptions::default());
    until("the partition", || wire.produce("batches", 0, &whole).unwrap().0 == 0);
    wire
}

#[test]
fn batches_are_refused_as_kafka_refuses_them() {
    compare("batches", DIFFERENCES, |asked| {
        let mut wire = ready(asked);
        let named = headers().into_iter().chain(bodies());
        let cases = named.map(|(name, batch)| (name.to_owned(), batch)).chain(compressed());
        let mut facts: Vec<Fact> = cases
            .map(|(name, batch)| {
                let request = produce("batches", 0, &batch, 1);
                (name, appended(asked, &mut wire, &request, 9))
            })
            .collect();
        let zstd = two(BatchOptions { codec: Codec::Zstd, ..Default::default() });
        facts.push((
            "zstd before version 7".to_owned(),
            appended(asked, &mut wire, &produce("batches", 0, &zstd, 1), 6),
        ));
        facts.extend(requests(asked, &mut wire));
        facts.extend(sequences(asked, &mut wire));
        facts
    });
}

/// Requests whose batches are in order and that are not.
fn requests(asked: &Asked, wire: &mut Wire) -> Vec<Fact> {
    let batch = two(BatchOptions::default());
    let of = |topic: &str, partition, acks| produce(topic, partition, &batch, acks);
    let mut cases = vec![
        ("acks 2", of("batches", 0, 2)),
        ("acks -2", of("batches", 0, -2)),
        ("acks -1", of("batches", 0, -1)),
        ("partition 1", of("batches", 1, 1)),
        ("partition -1", of("batches", -1, 1)),
        ("partition 2^31-1", of("batches", i32::MAX, 1)),
        ("no such topic", of("absent", 0, 1)),
        ("topic ..", of("..", 0, 1)),
        ("topic of slashes", of("../../etc/passwd", 0, 1)),
        ("topic without name", of("", 0, 1)),
        ("the offsets topic", of("__consumer_offsets", 0, 1)),
        ("too large", produce("batches", 0, &large(1_100_000), 1)),
    ];
    let mut negative = of("batches", 0, -1);
    negative.timeout_ms = -5;
    cases.push(("negative timeout", negative));
    let mut twice = of("batches", 0, 1);
    let again = twice.topic_data[0].partition_data[0].clone();
    twice.topic_data[0].partition_data.push(again);
    cases.push(("a partition twice", twice));
    let mut twice = of("batches", 0, 1);
    let again = twice.topic_data[0].clone();
    twice.topic_data.push(again);
    cases.push(("a topic twice", twice));
    for (name, records) in [("null records", None), ("empty records", Some(Bytes::new()))] {
        let mut request = of("batches", 0, 1);
        request.topic_data[0].partition_data[0].records = records.map(Records::Bytes);
        cases.push((name, request));
    }
    let answers = cases.into_iter();
    answers.map(|(name, request)| (name.to_owned(), appended(asked, wire, &request, 9))).collect()
}

fn large(len: usize) -> Bytes {
    let value = vec![b'x'; len];
    let mut builder = BatchBuilder::new(BatchOptions::default());
    let record = NewRecord { timestamp: now_ms(), value: Some(&value), ..NewRecord::default() };
    builder.push(&record).unwrap();
    builder.build().unwrap()
}

/// One idempotent producer that loses count.
fn sequences(asked: &Asked, wire: &mut Wire) -> Vec<Fact> {
    let request = InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: 1000,
        ..Default::default()
    };
    let mut id = -1;
    until("a producer id", || {
        let producer: InitProducerIdResponse = wire.call(&request, 4).unwrap();
        id = producer.producer_id;
        producer.error_code == 0
    });
    let cases = [
        ("sequence 0", id, 0, 0),
        ("sequence 0 again", id, 0, 0),
        ("sequence 7 after 1", id, 0, 7),
        ("sequence 1 after 1", id, 0, 1),
        ("sequence 2", id, 0, 2),
        ("epoch 1 with sequence 5", id, 1, 5),
        ("epoch 1 with sequence 0", id, 1, 0),
        ("epoch 0 again", id, 0, 4),
        ("unknown producer with sequence 3", id + 1_000_000, 0, 3),
        ("a sequence that overflows", id + 2_000_000, 0, i32::MAX),
        ("after the overflow", id + 2_000_000, 0, 1),
        ("epoch -1", id + 3_000_000, -1, 0),
        ("sequence -5", id + 3_000_000, 0, -5),
    ];
    let answers = cases.into_iter().map(|(name, producer_id, producer_epoch, base_sequence)| {
        let options =
            BatchOptions { producer_id, producer_epoch, base_sequence, ..Default::default() };
        let request = produce("batches", 0, &two(options), 1);
        (name.to_owned(), appended(asked, wire, &request, 9))
    });
    answers.collect()
}

/// Zeros that compress well: refused or taken, but never held whole in memory.
#[test]
fn bombs_cost_no_memory() {
    let home = tempfile::tempdir().unwrap();
    let mut server = crate::start_process::Launch::up(home.path()).start();
    let mut wire = server.connect();
    let large = [("max.message.bytes", "20000000")];
    assert_eq!(wire.create_topic("bombs", 1, &large).unwrap(), 0);
    let whole = two(BatchOptions::default());
    until("the partition", || wire.produce("bombs", 0, &whole).unwrap().0 == 0);
    let value = vec![0; 64 << 20];
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let options = BatchOptions {
            codec,
            timestamp_type: TimestampType::CreateTime,
            ..BatchOptions::default()
        };
        let mut builder = BatchBuilder::new(options);
        let record = NewRecord { timestamp: now_ms(), value: Some(&value), ..NewRecord::default() };
        builder.push(&record).unwrap();
        let bomb = builder.build().unwrap();
        let before = server.reset_peak();
        let (code, _, _) = wire.produce("bombs", 0, &bomb).unwrap();
        let allowed = 2 * bomb.len() as u64 + (24 << 20);
        let grown = server.peak_bytes().saturating_sub(before);
        assert!(grown < allowed, "{codec:?}: {} bytes became {grown}", bomb.len());
        assert!([0, 10].contains(&code), "{codec:?}: {code}");
    }
    server.is_unharmed();
}
