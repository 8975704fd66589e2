//! Peers that hold connections and do not use them as they should: limits, order, memory.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use pharos_protocol::frame;
use pharos_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};

use crate::start_process::{HANG_GUARD, Launch, Server, until};
use crate::start_wire::Wire;

fn launch(settings: &[&str]) -> (tempfile::TempDir, Server) {
    let home = tempfile::tempdir().unwrap();
    let launch = settings.iter().fold(Launch::up(home.path()), |launch, pair| launch.with(pair));
    let server = launch.start();
    (home, server)
}

fn answers(wire: &mut Wire) -> bool {
    wire.call::<ApiVersionsResponse>(&ApiVersionsRequest::default(), 0).is_ok()
}

#[test]
fn more_connections_than_an_address_may_have() {
    let (_home, mut server) = launch(&["max.connections.per.ip=10"]);
    let mut held: Vec<_> = (0..10).map(|_| server.connect()).collect();
    assert!(held.iter_mut().all(answers));
    for _ in 0..20 {
        let mut stream = server.socket();
        let end = stream.read(&mut [0]);
        assert!(matches!(end, Ok(0) | Err(_)), "one more than max.connections.per.ip");
    }
    until("the refusals to be counted", || server.closed("address_limit") == 20.0);
    held.truncate(9);
    until("the place to be free", || {
        Wire::connect(server.port()).is_ok_and(|mut it| answers(&mut it))
    });
    drop(held);
    until("all to have left", || server.closed("peer_closed") >= 11.0);
    server.is_unharmed();
}

#[test]
fn more_connections_than_the_broker_may_have() {
    let (_home, mut server) = launch(&["max.connections=50"]);
    let mut held: Vec<_> = (0..50).map(|_| server.connect()).collect();
    assert!(held.iter_mut().all(answers));
    let mut late = server.connect();
    late.send(&ApiVersionsRequest::default(), 0).unwrap();
    // Whoever has a place is served while the newcomer waits for one.
    assert!(held.iter_mut().all(answers));
    late.stream().set_nonblocking(true).unwrap();
    let nothing = late.stream().read(&mut [0]);
    assert_eq!(nothing.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    late.stream().set_nonblocking(false).unwrap();
    held.pop();
    let answer: ApiVersionsResponse = late.receive(0).unwrap();
    assert_eq!(answer.error_code, 0);
    drop((held, late));
    server.is_unharmed();
}

#[test]
fn thousands_that_are_idle() {
    let (_home, mut server) = launch(&["connections.max.idle.ms=2000"]);
    let before = server.resident_bytes();
    let held: Vec<_> = (0..2000).map(|_| server.socket()).collect();
    assert!(answers(&mut server.connect()));
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < (16 << 20) + 2000 * (16 << 10), "{grown} bytes for 2000 connections");
    for mut stream in held {
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "idle connections are closed");
    }
    until("the idle to be counted", || server.closed("idle") >= 2000.0);
    server.is_unharmed();
}

#[test]
fn peers_that_come_and_go() {
    let (_home, mut server) = launch(&[]);
    let before = server.resident_bytes();
    for _ in 0..1000 {
        drop(server.socket());
    }
    until("the gone to be counted", || server.closed("peer_closed") >= 1000.0);
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes after 1000 connections");
    server.is_unharmed();
}

/// Far more requests at once than may be in flight: all are answered, in order.
#[test]
fn requests_far_ahead_of_their_answers() {
    let (_home, mut server) = launch(&[]);
    let mut wire = server.connect();
    let mut bytes = Vec::new();
    for correlation in 0..1000 {
        let request = ApiVersionsRequest::default();
        let key = pharos_protocol::ApiKey::ApiVersions;
        let whole = frame::encode_request(key, 0, correlation, None, &request).unwrap();
        bytes.extend_from_slice(&whole.into_bytes().unwrap());
    }
    let mut writer = wire.stream().try_clone().unwrap();
    let sending = std::thread::spawn(move || writer.write_all(&bytes).unwrap());
    for correlation in 0..1000_i32 {
        assert_eq!(wire.receive_frame().unwrap()[..4], correlation.to_be_bytes());
    }
    sending.join().unwrap();
    server.is_unharmed();
}

/// A peer that has closed its end still gets what it asked for.
#[test]
fn half_open_peers_are_answered_and_closed() {
    let (_home, mut server) = launch(&[]);
    let mut wire = server.connect();
    for _ in 0..5 {
        wire.send(&ApiVersionsRequest::default(), 0).unwrap();
    }
    wire.stream().shutdown(Shutdown::Write).unwrap();
    for _ in 0..5 {
        let answer: ApiVersionsResponse = wire.receive(0).unwrap();
        assert_eq!(answer.error_code, 0);
    }
    assert_eq!(wire.stream().read(&mut [0]).unwrap(), 0);
    server.is_unharmed();
}

/// The quorum's listener has the same door.
#[test]
fn the_controllers_listener_is_no_softer() {
    let listeners = "listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0";
    let (_home, mut server) = launch(&[listeners]);
    let address = server.listener("CONTROLLER").to_owned();
    let connect = || {
        let stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(HANG_GUARD)).unwrap();
        stream
    };
    let header = |key: i16, version: i16| {
        let mut body = key.to_be_bytes().to_vec();
        body.extend_from_slice(&version.to_be_bytes());
        body.extend_from_slice(&[0, 0, 0, 1, 0xff, 0xff]);
        frame::wrap(&body).unwrap().to_vec()
    };
    let cases = [
        i32::MAX.to_be_bytes().to_vec(),
        (-1_i32).to_be_bytes().to_vec(),
        0_i32.to_be_bytes().to_vec(),
        header(999, 0),
        header(52, 32_767),
        header(0, 3),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
    ];
    let count = cases.len();
    for bytes in cases {
        let mut stream = connect();
        let _ = stream.write_all(&bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert_eq!(answer, b"", "{bytes:x?}");
    }
    let held: Vec<_> = (0..200)
        .map(|_| {
            let mut stream = connect();
            stream.write_all(&100_000_000_i32.to_be_bytes()).unwrap();
            stream
        })
        .collect();
    let on_it = || {
        let page = server.page("/metrics");
        let of = page.lines().filter(|line| {
            line.starts_with("pharos_connections_closed_total")
                && line.contains("listener=\"CONTROLLER\"")
        });
        of.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum::<f64>()
    };
    assert_eq!(on_it(), count as f64);
    assert!(server.resident_bytes() < 512 << 20);
    drop(held);
    server.is_unharmed();
}

/// Connections that are held at once, and that come and go.
const MANY: usize = 10_000;
const COMERS: usize = 5_000;
/// What one connection may cost.
const CONNECTION_BYTES: u64 = 64 << 10;
/// What the allocator keeps of connections that have left.
const SLACK_BYTES: u64 = 32 << 20;
/// Files that a process has open beside its connections.
const OTHER_FILES: u64 = 500;

/// Raises the soft limit of open files, which children inherit. False, with a line that says why,
/// when the hard limit is too low.
fn files_for(connections: usize) -> bool {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let wanted = connections as u64 + OTHER_FILES;
    let limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_some_and(|maximum| maximum < wanted) {
        println!("skipped: {wanted} open files are needed, the hard limit is {:?}", limit.maximum);
        return false;
    }
    if limit.current.is_some_and(|current| current < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit }).unwrap();
    }
    true
}

/// Sources apart, so that ports do not run out: the whole of 127.0.0.0/8 is this machine.
fn socket_from(server: &Server, n: usize) -> TcpStream {
    use rustix::net::{AddressFamily, SocketType, bind, connect, ipproto, socket};
    use std::net::{Ipv4Addr, SocketAddrV4};
    let stream = socket(AddressFamily::INET, SocketType::STREAM, Some(ipproto::TCP)).unwrap();
    let source = Ipv4Addr::new(127, 0, 1, u8::try_from(n % 200).unwrap() + 1);
    bind(&stream, &SocketAddrV4::new(source, 0)).unwrap();
    connect(&stream, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, server.port())).unwrap();
    TcpStream::from(stream)
}

/// Connections of the listener.
fn open(server: &Server) -> f64 {
    let count = "kafka_server_socket_server_metrics_connection_count";
    server.metric(count, "listener=\"PLAINTEXT\"")
}

#[test]
fn ten_thousand_idle_connections() {
    if !files_for(MANY) {
        return;
    }
    let (_home, mut server) = launch(&[]);
    let mut first = server.connect();
    assert!(answers(&mut first));
    let before = server.resident_bytes();
    let held: Vec<_> = (0..MANY).map(|n| socket_from(&server, n)).collect();
    until("all to be accepted", || open(&server) >= MANY as f64);
    // Whoever works is served meanwhile, newcomers too.
    assert!(answers(&mut first) && answers(&mut server.connect()));
    let each = server.resident_bytes().saturating_sub(before) / MANY as u64;
    println!("{each} bytes for an idle connection");
    assert!(each <= CONNECTION_BYTES, "{each} bytes for each connection");
    drop(held);
    until("all to have left", || server.closed("peer_closed") >= MANY as f64);
    assert!(answers(&mut first));
    server.is_unharmed();
}

#[test]
fn connections_that_come_and_go_as_fast_as_they_can() {
    let (_home, mut server) = launch(&[]);
    let mut steady = server.connect();
    assert!(answers(&mut steady));
    let before = server.resident_bytes();
    let began = std::time::Instant::now();
    std::thread::scope(|scope| {
        for line in 0..4 {
            let server = &server;
            scope.spawn(move || {
                for n in 0..COMERS / 4 {
                    let stream = socket_from(server, line * 50 + n % 50);
                    // A reset leaves nothing behind on this side.
                    rustix::net::sockopt::set_socket_linger(
                        &stream,
                        Some(std::time::Duration::ZERO),
                    )
                    .unwrap();
                }
            });
        }
        // Whoever was there is served all along.
        for _ in 0..100 {
            assert!(answers(&mut steady));
        }
    });
    let rate = COMERS as f64 / began.elapsed().as_secs_f64();
    println!("{rate:.0} connections a second");
    until("all to have left", || open(&server) == 1.0);
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < SLACK_BYTES, "{grown} bytes are left of {COMERS} connections");
    assert!(answers(&mut steady));
    server.is_unharmed();
}
