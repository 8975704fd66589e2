//! What clients push of themselves (KIP-714) when they mean harm: bombs, lies, names without number.

use std::time::Instant;

use bytes::Bytes;
use pharos_protocol::ErrorCode;
use pharos_protocol::compression::{Codec, compress};
use pharos_protocol::messages::*;

use crate::start_process::{Launch, Server};
use crate::start_wire::Wire;

/// `telemetry.max.bytes`: of a push as it comes, and of what it decompresses to.
const MAX_BYTES: usize = 1 << 20;
/// What memory may grow by beside twice the bytes that came: the allocator, and series up to their
/// limits.
const SLACK_BYTES: u64 = 48 << 20;
/// Names and label sets that are shown of all that was pushed: 512 names, 2,000 label sets of one.
const MAX_SERIES: usize = 512 + 2_001;

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap());
    bytes
}

/// A field of bytes in protobuf.
fn field(tag: u64, bytes: &[u8]) -> Vec<u8> {
    [varint(tag << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

/// A counter that has grown by one.
fn counter(name: &[u8]) -> Vec<u8> {
    let point = [vec![4 << 3 | 1], 1_f64.to_le_bytes().to_vec()].concat();
    let sum = [field(1, &point), vec![2 << 3, 1, 3 << 3, 1]].concat();
    field(2, &[field(1, name), field(7, &sum)].concat())
}

/// The metrics of one client of a consumer group.
fn of_group(group: &[u8], metrics: &[u8]) -> Vec<u8> {
    let attribute = [field(1, b"group_id"), field(2, &field(1, group))].concat();
    field(1, &[field(1, &field(1, &attribute)), field(2, metrics)].concat())
}

/// Messages in each other, as deep as they fit.
fn deep() -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < MAX_BYTES / 16 {
        let inner = std::mem::take(&mut bytes);
        // Each layer is opened by two fields that nest in OpenTelemetry's own messages.
        bytes = if inner.len() % 2 == 0 { field(2, &inner) } else { field(1, &inner) };
        bytes.push(0x0a);
        bytes.push(0);
    }
    field(1, &bytes)
}

struct Pusher {
    server: Server,
    wire: Wire,
    sent: u64,
}

impl Pusher {
    /// Pushes as a client that was not there before; the error that was answered.
    fn push(&mut self, codec: i8, metrics: Vec<u8>) -> ErrorCode {
        self.sent += metrics.len() as u64;
        let known: GetTelemetrySubscriptionsResponse =
            self.wire.call(&GetTelemetrySubscriptionsRequest::default(), 0).unwrap();
        let push = PushTelemetryRequest {
            client_instance_id: known.client_instance_id,
            subscription_id: known.subscription_id,
            compression_type: codec,
            metrics: Bytes::from(metrics),
            ..Default::default()
        };
        let answer: PushTelemetryResponse = self.wire.call(&push, 0).unwrap();
        ErrorCode::from_code(answer.error_code).unwrap()
    }

    fn series(&self) -> usize {
        self.server.page("/metrics").lines().filter(|line| !line.starts_with('#')).count()
    }
}

fn packed(codec: Codec, bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    compress(codec, None, bytes, &mut packed).unwrap();
    packed
}

#[test]
fn bombs_and_lies_are_refused_in_bounded_memory() {
    let home = tempfile::tempdir().unwrap();
    let server = Launch::up(home.path()).start();
    let wire = server.connect();
    let mut pusher = Pusher { server, wire, sent: 0 };
    // The first request of an API brings its own series.
    assert_eq!(pusher.push(0, Vec::new()), ErrorCode::None);
    let (before, shown) = (pusher.server.reset_peak(), pusher.series());
    let zeros = vec![0; 64 << 20];
    let mut cases = Vec::new();
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let id = codec.id().cast_signed();
        // Snappy packs no better than one to twenty.
        let len = if codec == Codec::Snappy { 16 << 20 } else { zeros.len() };
        cases.push((format!("{codec} bomb"), id, packed(codec, &zeros[..len])));
        cases.push((format!("{codec} that is none"), id, b"these are no such bytes".to_vec()));
        let mut cut = packed(codec, &of_group(b"g", &counter(b"org.apache.kafka.cut")));
        cut.truncate(cut.len() / 2);
        cases.push((format!("{codec} cut"), id, cut));
    }
    cases.push(("snappy of 4 GiB".to_owned(), 2, [&[0xff; 4][..], &[0x0f, 0]].concat()));
    cases.push(("plain bytes beyond the limit".to_owned(), 0, vec![0x0a; MAX_BYTES + 1]));
    cases.push(("an unknown codec".to_owned(), 9, vec![0; 10]));
    cases.push(("a length of 2^63".to_owned(), 0, [vec![0x0a], varint(1 << 63)].concat()));
    cases.push(("a varint without end".to_owned(), 0, vec![0xff; 1000]));
    cases.push(("groups".to_owned(), 0, vec![0x0b; 1000]));
    cases.push(("a name that is no text".to_owned(), 0, of_group(b"g", &counter(&[0xff; 8]))));
    let mut wrong = Vec::new();
    for (what, codec, bytes) in cases {
        let error = pusher.push(codec, bytes);
        let expected = match what.as_str() {
            "an unknown codec" => ErrorCode::UnsupportedCompressionType,
            what if what.contains("bomb") || what.contains("limit") => ErrorCode::TelemetryTooLarge,
            _ => ErrorCode::InvalidRecord,
        };
        if error != expected {
            wrong.push(format!("{what}: {error:?}"));
        }
    }
    assert_eq!(pusher.push(0, deep()), ErrorCode::None, "what is not understood is passed over");
    let grown = pusher.server.peak_bytes().saturating_sub(before);
    assert!(grown < 2 * pusher.sent + SLACK_BYTES, "{grown} bytes for {}", pusher.sent);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let more = pusher.series().saturating_sub(shown);
    assert!(more <= 16, "{more} series of what was refused");
    pusher.server.is_unharmed();
}

#[test]
fn names_and_groups_without_number() {
    let home = tempfile::tempdir().unwrap();
    let server = Launch::up(home.path()).start();
    let wire = server.connect();
    let mut pusher = Pusher { server, wire, sent: 0 };
    let (before, shown, began) = (pusher.server.resident_bytes(), pusher.series(), Instant::now());
    for round in 0..10 {
        // 10^5 names of metrics, 10^5 names of groups.
        let names =
            (0..10_000).map(|n| counter(format!("org.apache.kafka.m{round}x{n}").as_bytes()));
        let names = of_group(b"g", &names.collect::<Vec<_>>().concat());
        assert_eq!(pusher.push(0, names), ErrorCode::None);
        let one = counter(b"org.apache.kafka.producer.one.total");
        let groups = (0..10_000).map(|n| of_group(format!("g{round}x{n}").as_bytes(), &one));
        let groups = packed(Codec::Zstd, &groups.collect::<Vec<_>>().concat());
        assert_eq!(pusher.push(4, groups), ErrorCode::None);
    }
    let odd = [&b"\"\\\n{}="[..], "\u{202e}\u{1f4a5}".as_bytes(), &[b'g'; 1000]];
    for group in odd {
        let bytes = of_group(group, &counter(b"org.apache.kafka.producer.one.total"));
        assert_eq!(pusher.push(0, bytes), ErrorCode::None);
    }
    println!("{} bytes in {:?}", pusher.sent, began.elapsed());
    let more = pusher.series().saturating_sub(shown);
    assert!(more <= MAX_SERIES + 16, "{more} series");
    let grown = pusher.server.resident_bytes().saturating_sub(before);
    assert!(grown < 2 * pusher.sent + SLACK_BYTES, "{grown} bytes for {}", pusher.sent);
    pusher.server.is_unharmed();
}
