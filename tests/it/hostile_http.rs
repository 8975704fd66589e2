//! The HTTP listener under requests that no scraper sends: refused with a JSON body, or read as
//! what they are, and the broker lives.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::start_process::{HANG_GUARD, Launch};

/// Sends bytes and reads all that is answered.
fn answer(address: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(HANG_GUARD)).unwrap();
    let _ = stream.write_all(bytes);
    // Who closes its end before it was answered is answered no more.
    if !bytes.windows(4).any(|window| window == b"\r\n\r\n") {
        let _ = stream.shutdown(std::net::Shutdown::Write);
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn request(line: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n{body}").into_bytes()
}

#[test]
fn requests_that_no_scraper_sends() {
    let home = tempfile::tempdir().unwrap();
    let mut server = Launch::up(home.path()).start();
    let address = server.admin().to_owned();
    let before = server.resident_bytes();
    let long = format!("X-Long: {}\r\n", "a".repeat(100_000));
    let accept = format!("Accept: {}\r\n", "application/openmetrics-text;q=0.1,".repeat(300));
    let deep = "[".repeat(10_000);
    let deep_header = format!("Content-Length: {}\r\n", deep.len());
    let cases = [
        ("traversal", request("GET /metrics/../../etc/passwd", "", ""), 404),
        ("coded traversal", request("GET /metrics/%2e%2e%2f%2e%2e%2fetc/passwd", "", ""), 404),
        ("an unknown page", request("GET /metrics/nothing", "", ""), 404),
        ("a page of 5,000 letters", request(&format!("GET /{}", "p".repeat(5000)), "", ""), 404),
        ("a header of 100 kB", request("GET /metrics", &long, ""), 431),
        ("an Accept of 10 kB", request("GET /metrics", &accept, ""), 200),
        ("no format at all", request("GET /metrics", "Accept: */*;q=0\r\n", ""), 200),
        ("odd words for formats", request("GET /metrics", "Accept: ;;,q=,\u{ff}/*\r\n", ""), 200),
        ("a thousand headers", request("GET /metrics", &"A: b\r\n".repeat(1000), ""), 431),
        ("a body of 100 MB", request("POST /metrics", "Content-Length: 100000000\r\n", ""), 413),
        ("a negative body", request("GET /metrics", "Content-Length: -1\r\n", ""), 400),
        ("two lengths", request("GET /", "Content-Length: 1\r\nContent-Length: 2\r\n", "x"), 400),
        ("deep JSON", request("POST /beans", &deep_header, &deep), 405),
        ("an unknown method", request("BREW /metrics", "", ""), 405),
        ("DELETE", request("DELETE /metrics", "", ""), 405),
        ("OPTIONS", request("OPTIONS /metrics", "", ""), 405),
        ("HEAD", request("HEAD /metrics", "", ""), 200),
        ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), 400),
        ("a Kafka request", vec![0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff], 400),
        ("NUL in the path", b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), 400),
        ("a split header", request("GET /x%0d%0aSet-Cookie:a", "", ""), 404),
        ("invalid UTF-8", b"GET /metrics/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), 400),
    ];
    let mut wrong = Vec::new();
    for (what, bytes, status) in cases {
        let answer = answer(&address, &bytes);
        let line = answer.lines().next().unwrap_or_default();
        if !line.starts_with(&format!("HTTP/1.1 {status} "))
            && !line.starts_with(&format!("HTTP/1.0 {status} "))
        {
            wrong.push(format!("{what}: {line:?}, not {status}"));
        }
        assert!(!answer.contains("Set-Cookie:a\r\n") || what != "a split header", "{answer}");
        assert!(!answer.contains("root:"), "{what}: {answer}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes");
    server.is_unharmed();
    assert!(server.page("/metrics").contains("\nprocess_open_fds "));
}

/// More peers than places, all silent: those who speak are served once the deadline or the peer
/// has freed a place.
#[test]
fn peers_that_say_nothing() {
    let home = tempfile::tempdir().unwrap();
    let mut server = Launch::up(home.path()).start();
    let address = server.admin().to_owned();
    let mut held: Vec<_> = (0..255).map(|_| TcpStream::connect(&address).unwrap()).collect();
    for stream in &mut held {
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHo").unwrap();
    }
    assert!(server.page("/metrics").contains("process_open_fds"));
    held.extend((0..100).map(|_| TcpStream::connect(&address).unwrap()));
    drop(held);
    assert!(server.page("/metrics").contains("process_open_fds"));
    server.is_unharmed();
}
