//! Bytes that no client should send: only their connection closes, the reason is counted, the
//! process lives, answers others and stays small.

use std::io::{Read, Write};

use pharos_protocol::messages::*;
use pharos_protocol::{ApiKey, frame};

use crate::start_process::{Launch, Server, until};
use crate::start_wire::fetch;

/// What memory may grow by besides twice the bytes received: 64 KiB a connection, and what the
/// allocator and the beans of connections take.
const SLACK_BYTES: u64 = 32 << 20;

fn launch() -> (tempfile::TempDir, Server) {
    let home = tempfile::tempdir().unwrap();
    let server = Launch::up(home.path()).start();
    (home, server)
}

/// Sends bytes and reads until the broker closes; what came before that.
fn closes(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let mut stream = server.socket();
    // The broker may close before everything is sent.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let end = stream.read_to_end(&mut answer);
    assert!(
        end.is_ok() || end.unwrap_err().kind() == std::io::ErrorKind::ConnectionReset,
        "the connection stays open"
    );
    answer
}

#[test]
fn lengths_that_lie() {
    let (_home, mut server) = launch();
    let before = server.resident_bytes();
    for size in [i32::MAX, -1, i32::MIN, 0, 104_857_601] {
        for _ in 0..20 {
            assert_eq!(closes(&server, &size.to_be_bytes()), b"");
        }
    }
    let announced: Vec<_> = (0..200)
        .map(|_| {
            let mut stream = server.socket();
            stream.write_all(&100_000_000_i32.to_be_bytes()).unwrap();
            stream
        })
        .collect();
    server.is_unharmed();
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < SLACK_BYTES + 300 * (64 << 10), "{grown} bytes for 200 announcements");
    assert_eq!((server.closed("invalid_size"), server.closed("too_large")), (60.0, 40.0));
    drop(announced);
    until("those who left to be counted", || server.closed("truncated") == 200.0);
}

#[test]
fn headers_of_nothing_that_is_served() {
    let (_home, mut server) = launch();
    for (key, version) in [(999_i16, 0_i16), (-1, 0), (3, 32767), (3, -1), (0, 2), (4, 0), (7, 3)] {
        let mut body = Vec::new();
        body.extend_from_slice(&key.to_be_bytes());
        body.extend_from_slice(&version.to_be_bytes());
        body.extend_from_slice(&[0, 0, 0, 9, 0xff, 0xff, 0]);
        assert_eq!(closes(&server, &frame::wrap(&body).unwrap()), b"", "{key} {version}");
    }
    let mut stream = server.socket();
    stream.write_all(&[0, 0, 0, 11, 0, 18, 0x7f, 0xff, 0, 0, 0, 9, 0xff, 0xff, 0]).unwrap();
    let mut answer = [0; 10];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer[4..], [0, 0, 0, 9, 0, 35], "ApiVersions of an unknown version");
    assert_eq!(server.closed("invalid_request"), 7.0);
    server.is_unharmed();
}

#[test]
fn requests_cut_at_every_byte() {
    let (_home, mut server) = launch();
    let metadata = MetadataRequest {
        topics: Some(vec![metadata_request::MetadataRequestTopic {
            name: Some("absent".to_owned()),
            ..Default::default()
        }]),
        ..Default::default()
    };
    let fetch = fetch("absent", 0, 0, 1000);
    let whole = [
        frame::encode_request(ApiKey::Metadata, 12, 1, Some("it"), &metadata).unwrap(),
        frame::encode_request(ApiKey::Fetch, 12, 1, Some("it"), &fetch).unwrap(),
    ];
    for whole in whole.map(|whole| whole.into_bytes().unwrap()) {
        let body = &whole[4..];
        for end in 1..body.len() {
            // A body may end where a field of the next version would begin, never in a field.
            closes_or_answers(&server, &frame::wrap(&body[..end]).unwrap());
        }
    }
    server.is_unharmed();
}

/// Sends one frame and half closes: the broker answers or not, and then closes.
fn closes_or_answers(server: &Server, bytes: &[u8]) {
    let mut stream = server.socket();
    stream.write_all(bytes).unwrap();
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
}

#[test]
fn counts_and_tags_beyond_the_bytes() {
    let (_home, mut server) = launch();
    let before = server.resident_bytes();
    let header = |key: i16, version: i16| {
        let mut body = key.to_be_bytes().to_vec();
        body.extend_from_slice(&version.to_be_bytes());
        body.extend_from_slice(&[0, 0, 0, 1, 0xff, 0xff]);
        body
    };
    // DescribeGroups, whose array is never null.
    for count in [i32::MAX, -1, i32::MIN] {
        let mut body = header(15, 0);
        body.extend_from_slice(&count.to_be_bytes());
        assert_eq!(closes(&server, &frame::wrap(&body).unwrap()), b"", "{count} groups");
    }
    // Flexible: null, 2^31-1 and an unending varint as a count, after an empty header.
    for count in [&[0][..], &[0xff, 0xff, 0xff, 0xff, 0x07], &[0xff; 12]] {
        let mut body = header(15, 5);
        body.push(0);
        body.extend_from_slice(count);
        assert_eq!(closes(&server, &frame::wrap(&body).unwrap()), b"", "{count:?}");
    }
    // A header with a million empty tagged fields.
    let mut body = header(3, 12);
    body.extend_from_slice(&[0xc0, 0x84, 0x3d]);
    body.resize(body.len() + 2_000_000, 0);
    let _ = closes(&server, &frame::wrap(&body).unwrap());
    server.is_unharmed();
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < SLACK_BYTES, "{grown} bytes");
}

#[test]
fn those_who_neither_send_nor_read() {
    let (_home, mut server) = launch();
    let mut wire = server.connect();
    assert_eq!(wire.create_topic("much", 1, &[]).unwrap(), 0);
    let value = "x".repeat(900_000);
    let batch = crate::start_wire::batch(Default::default(), &[("k", &value)]);
    until("the partition", || wire.produce("much", 0, &batch).unwrap().0 == 0);
    for _ in 0..20 {
        assert_eq!(wire.produce("much", 0, &batch).unwrap().0, 0);
    }
    let before = server.resident_bytes();
    // 100 consumers ask for 20 MB twenty times and never read; 500 connections do nothing; 100 stop
    // inside a frame.
    let request = frame::encode_request(ApiKey::Fetch, 12, 1, None, &fetch("much", 0, 0, 20 << 20));
    let request = request.unwrap().into_bytes().unwrap();
    let mut held = Vec::new();
    for _ in 0..100 {
        let mut stream = server.socket();
        for _ in 0..20 {
            stream.write_all(&request).unwrap();
        }
        held.push(stream);
    }
    held.extend((0..500).map(|_| server.socket()));
    for _ in 0..100 {
        let mut stream = server.socket();
        stream.write_all(&request[..request.len() - 1]).unwrap();
        held.push(stream);
    }
    server.is_unharmed();
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < SLACK_BYTES + 700 * (64 << 10), "{grown} bytes");
    drop(held);
    server.is_unharmed();
}
