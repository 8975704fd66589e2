//! The room as a whole, over loopback sockets.

mod closing;
mod truth;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use pharos_base::{Clock, DiskPool};
use pharos_metrics::Registry;
use pharos_metrics::catalog::native;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

use crate::*;

/// Answers by the first byte of a request, and remembers what was sent and closed.
#[derive(Default)]
struct Script {
    sent: Mutex<Vec<Completed<u8>>>,
    closed: Mutex<Vec<&'static str>>,
    changed: Notify,
    opened: AtomicUsize,
    handled: AtomicUsize,
    gates: Mutex<Vec<oneshot::Sender<()>>>,
    waits_dropped: Arc<AtomicUsize>,
    files: Mutex<Vec<ReplyChunk>>,
}

struct CountDrop(Arc<AtomicUsize>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Handler for Script {
    type Tag = u8;

    async fn handle(&self, request: Request) -> Outcome<u8> {
        let frame = request.frame;
        let tag = frame[0];
        self.handled.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
        match tag {
            b'e' => Outcome::Reply(Reply::bytes(frame, tag)),
            b's' => Outcome::Silent { tag, throttle: Duration::ZERO },
            b'p' => panic!("asked to"),
            b'x' => Outcome::Close(CloseReason::InvalidRequest("x".into())),
            b'r' => Outcome::Close(CloseReason::Refused("r".into())),
            b't' => {
                let throttle = Duration::from_secs(3);
                Outcome::Reply(Reply { throttle, ..Reply::bytes(frame, tag) })
            }
            b'f' => Outcome::Reply(Reply::chunks(self.files.lock().clone(), tag)),
            b'b' => {
                let (sender, gate) = oneshot::channel();
                self.gates.lock().push(sender);
                gate.await.ok();
                Outcome::Reply(Reply::bytes(frame, tag))
            }
            b'w' => {
                let (sender, gate) = oneshot::channel();
                self.gates.lock().push(sender);
                let guard = CountDrop(self.waits_dropped.clone());
                Outcome::Later(Box::pin(async move {
                    let _guard = guard;
                    gate.await.ok();
                    Reply::bytes(frame, tag)
                }))
            }
            _ => Outcome::Reply(Reply::bytes(vec![tag; 1 << 20], tag)),
        }
    }

    fn sent(&self, done: Completed<u8>) {
        self.sent.lock().push(done);
        self.changed.notify_waiters();
    }

    fn opened(&self, _connection: &Arc<Connection>) {
        self.opened.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    fn closed(&self, _connection: &Arc<Connection>, reason: &CloseReason) {
        self.closed.lock().push(reason.label());
        self.changed.notify_waiters();
    }
}

impl Script {
    async fn until(&self, condition: impl Fn(&Self) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if condition(self) {
                return;
            }
            changed.await;
        }
    }

    async fn until_closed(&self, reasons: &[&str]) {
        self.until(|it| it.closed.lock().len() >= reasons.len()).await;
        assert_eq!(*self.closed.lock(), reasons);
    }
}

struct Room {
    registry: Registry,
    server: SocketServer,
    script: Arc<Script>,
    port: u16,
}

impl Room {
    async fn open(limits: Limits, quotas: QuotaLimits, budget: usize) -> Self {
        let registry = Registry::new(Clock::real());
        let server = SocketServer::new(limits, quotas, Budget::new(budget), &registry);
        let config = ListenerConfig::plaintext("PLAINTEXT", "", 0);
        let bound = server.bind(config).await.unwrap();
        let port = bound.port();
        let script = Arc::new(Script::default());
        server.serve(bound, script.clone(), &Handle::current());
        Self { registry, server, script, port }
    }

    async fn default() -> Self {
        Self::open(Limits::default(), QuotaLimits::default(), usize::MAX).await
    }

    fn read(&self, bean: &str, attribute: &str) -> f64 {
        let value = self.registry.read(bean, attribute);
        value.and_then(|value| value.as_f64()).unwrap_or_else(|| panic!("{bean} {attribute}"))
    }

    /// An attribute of all processors.
    fn processors(&self, attribute: &str) -> Vec<f64> {
        let bean = "kafka.server:type=socket-server-metrics,listener=PLAINTEXT,networkProcessor=";
        (0..3).map(|id| self.read(&format!("{bean}{id}"), attribute)).collect()
    }

    /// The reasons for which connections of the listener were closed, and how many of each.
    fn closed(&self) -> Vec<(&'static str, f64)> {
        let family = self.registry.family(&native::PHAROS_CONNECTIONS_CLOSED_TOTAL);
        let count = |reason| family.read(&["PLAINTEXT", reason]).unwrap();
        let mut counts: Vec<_> =
            CloseReason::LABELS.iter().map(|reason| (*reason, count(reason))).collect();
        counts.retain(|(_, count)| *count > 0.0);
        counts.sort_by_key(|(reason, _)| *reason);
        counts
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.unwrap()
    }
}

fn frame(body: &[u8]) -> Vec<u8> {
    [&i32::try_from(body.len()).unwrap().to_be_bytes()[..], body].concat()
}

async fn send(stream: &mut TcpStream, body: &[u8]) {
    stream.write_all(&frame(body)).await.unwrap();
}

async fn receive(stream: &mut TcpStream) -> Vec<u8> {
    let mut body = vec![0; usize::try_from(stream.read_i32().await.unwrap()).unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    body
}

async fn at_end(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // A reset is an end, too.
    stream.read_to_end(&mut rest).await.ok();
    assert!(rest.is_empty(), "{} bytes", rest.len());
}

#[tokio::test]
async fn requests_are_answered_in_order() {
    let room = Room::default().await;
    let mut client = room.connect().await;
    for body in [&b"wone"[..], b"etwo", b"s", b"wthree", b"efour"] {
        send(&mut client, body).await;
    }
    room.script.until(|it| it.handled.load(Ordering::SeqCst) == 5).await;
    let gates: Vec<_> = room.script.gates.lock().drain(..).collect();
    // The later wait ends first; its reply still leaves in its turn.
    for gate in gates.into_iter().rev() {
        gate.send(()).unwrap();
    }
    for expected in [&b"wone"[..], b"etwo", b"wthree", b"efour"] {
        assert_eq!(receive(&mut client).await, expected);
    }
    room.script.until(|it| it.sent.lock().len() == 5).await;
    for done in &*room.script.sent.lock() {
        let it = &done.timestamps;
        let stations = [
            it.first_byte,
            it.received,
            it.handle_begin,
            it.handle_end,
            it.reply_ready,
            it.write_begin,
            it.write_end,
        ];
        assert!(stations.is_sorted(), "{it:?}");
    }
}

#[tokio::test]
async fn hostile_sizes_close_only_their_connection() {
    let room = Room::default().await;
    let mut good = room.connect().await;
    let cases = [
        (i32::MAX, "too_large"),
        (104_857_601, "too_large"),
        (-1, "invalid_size"),
        (i32::MIN, "invalid_size"),
        (0, "invalid_size"),
    ];
    let mut reasons = Vec::new();
    for (size, label) in cases {
        let mut bad = room.connect().await;
        bad.write_all(&size.to_be_bytes()).await.unwrap();
        at_end(&mut bad).await;
        reasons.push(label);
        room.script.until_closed(&reasons).await;
    }
    send(&mut good, b"estill here").await;
    assert_eq!(receive(&mut good).await, b"estill here");
    assert_eq!(room.closed(), [("invalid_size", 3.0), ("too_large", 2.0)]);
    assert_eq!(room.processors("connection-close-total").iter().sum::<f64>(), 5.0);
    assert_eq!(room.processors("connection-count").iter().sum::<f64>(), 1.0);
}

#[tokio::test]
async fn truncated_requests_and_closed_peers_are_told_apart() {
    let room = Room::default().await;
    let mut client = room.connect().await;
    client.write_all(&frame(b"ehello")[..7]).await.unwrap();
    drop(client);
    room.script.until_closed(&["truncated"]).await;
    drop(room.connect().await);
    room.script.until_closed(&["truncated", "peer_closed"]).await;
    let mut client = room.connect().await;
    send(&mut client, b"x").await;
    at_end(&mut client).await;
    room.script.until_closed(&["truncated", "peer_closed", "invalid_request"]).await;
    let family = room.registry.family(&native::PHAROS_CONNECTIONS_CLOSED_TOTAL);
    let count = |reason| family.read(&["PLAINTEXT", reason]);
    let counts = ["truncated", "peer_closed", "invalid_request", "idle"].map(count);
    assert_eq!(counts, [Some(1.0), Some(1.0), Some(1.0), Some(0.0)]);
}

#[tokio::test]
async fn silent_requests_before_a_close_take_effect() {
    let room = Room::default().await;
    let mut client = room.connect().await;
    for _ in 0..100 {
        send(&mut client, b"s").await;
    }
    drop(client);
    room.script.until_closed(&["peer_closed"]).await;
    assert_eq!(room.script.sent.lock().len(), 100);
}

#[tokio::test]
async fn a_closed_connection_cancels_its_waits() {
    let room = Room::default().await;
    let mut client = room.connect().await;
    send(&mut client, b"w").await;
    send(&mut client, b"w").await;
    room.script.until(|it| it.handled.load(Ordering::SeqCst) == 2).await;
    drop(client);
    room.script.until_closed(&["peer_closed"]).await;
    assert_eq!(room.script.waits_dropped.load(Ordering::SeqCst), 2);
    assert!(room.script.sent.lock().is_empty());
}

#[tokio::test]
async fn files_arrive_whole() {
    for disk in [None, Some(Arc::new(DiskPool::new(1, 10)))] {
        check_files(&Room::default().await, disk).await;
    }
}

async fn check_files(room: &Room, disk: Option<Arc<DiskPool>>) {
    let mut file = tempfile::tempfile().unwrap();
    let content: Vec<u8> =
        (0..5_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    file.write_all(&content).unwrap();
    // What is on disk and not in memory is read by the pool, where the file system can tell.
    file.sync_all().unwrap();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    let file = Arc::new(file);
    let piece =
        |offset, len| ReplyChunk::File { file: file.clone(), offset, len, disk: disk.clone() };
    *room.script.files.lock() = vec![
        ReplyChunk::Bytes(Bytes::from_static(b"head")),
        piece(3, 4_000_000),
        ReplyChunk::Bytes(Bytes::from_static(b"middle")),
        piece(0, 0),
        piece(4_999_999, 1),
        ReplyChunk::Bytes(Bytes::new()),
        ReplyChunk::Bytes(Bytes::from_static(b"tail")),
    ];
    let expected =
        [b"head", &content[3..4_000_003], b"middle", &content[4_999_999..], b"tail"].concat();
    let mut client = room.connect().await;
    for body in [&b"f"[..], b"eafter", b"f"] {
        send(&mut client, body).await;
    }
    assert!(receive(&mut client).await == expected);
    assert_eq!(receive(&mut client).await, b"eafter");
    assert!(receive(&mut client).await == expected);
    *room.script.files.lock() = vec![piece(4_999_000, 1001)];
    send(&mut client, b"f").await;
    room.script.until_closed(&["file_error"]).await;
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_not_read() {
    let room = Room::default().await;
    let mut client = room.connect().await;
    let (mut reading, mut writing) = client.split();
    // 64 replies of 1 MiB fit in no socket buffer.
    let requests = frame(b"M").repeat(64);
    writing.write_all(&requests).await.unwrap();
    let budget = room.server.budget().clone();
    room.script.until(|it| it.handled.load(Ordering::SeqCst) >= 16).await;
    let most = Limits::default().connection_bytes + (2 << 20);
    let mut body = vec![0; 1 << 20];
    for _ in 0..64 {
        assert!(budget.used() <= most, "{}", budget.used());
        assert_eq!(reading.read_i32().await.unwrap(), 1 << 20);
        reading.read_exact(&mut body).await.unwrap();
    }
    room.script.until(|it| it.sent.lock().len() == 64).await;
    assert_eq!(budget.used(), 0);
}

#[tokio::test]
async fn at_most_sixteen_requests_are_in_flight() {
    let room = Room::default().await;
    let mut client = room.connect().await;
    client.write_all(&frame(b"w").repeat(17)).await.unwrap();
    let mut other = room.connect().await;
    room.script.until(|it| it.gates.lock().len() == 16).await;
    // A round trip on another connection: the seventeenth had its chance.
    send(&mut other, b"e").await;
    receive(&mut other).await;
    assert_eq!(room.script.gates.lock().len(), 16);
    room.script.gates.lock().remove(0).send(()).unwrap();
    receive(&mut client).await;
    room.script.until(|it| it.gates.lock().len() == 16).await;
}

#[tokio::test]
async fn a_peer_that_leaves_is_noticed_while_nothing_is_read() {
    let room = Room::default().await;
    let mut client = room.connect().await;
    client.write_all(&frame(b"w").repeat(16)).await.unwrap();
    room.script.until(|it| it.gates.lock().len() == 16).await;
    drop(client);
    room.script.until_closed(&["peer_closed"]).await;
    assert_eq!(room.script.waits_dropped.load(Ordering::SeqCst), 16);
}

#[tokio::test]
async fn a_peer_that_resets_is_noticed_while_nothing_is_read() {
    let room = Room::default().await;
    let mut client = room.connect().await;
    client.write_all(&frame(b"w").repeat(16)).await.unwrap();
    room.script.until(|it| it.gates.lock().len() == 16).await;
    closing::reset(client);
    room.script.until_closed(&["read_error"]).await;
    assert_eq!(room.script.waits_dropped.load(Ordering::SeqCst), 16);
}

#[tokio::test]
async fn a_panic_ends_only_its_connection() {
    let room = Room::default().await;
    let mut good = room.connect().await;
    let mut bad = room.connect().await;
    send(&mut bad, b"p").await;
    at_end(&mut bad).await;
    send(&mut good, b"e").await;
    assert_eq!(receive(&mut good).await, b"e");
    assert_eq!(room.closed(), [("panicked", 1.0)]);
    assert_eq!(room.server.connections().len(), 1);
}

#[tokio::test]
async fn announced_sizes_cost_nothing() {
    let room = Room::default().await;
    let mut clients = Vec::new();
    for _ in 0..500 {
        let mut client = room.connect().await;
        client.write_all(&104_857_600_i32.to_be_bytes()).await.unwrap();
        clients.push(client);
    }
    let mut good = room.connect().await;
    send(&mut good, b"e").await;
    assert_eq!(receive(&mut good).await, b"e");
    assert_eq!(room.server.budget().used(), 0);
    assert_eq!(room.server.connections().len(), 501);
}

#[tokio::test]
async fn a_full_budget_stops_reading_until_something_is_answered() {
    let room = Room::open(Limits::default(), QuotaLimits::default(), 100_000).await;
    let [mut holder, mut waiter] = [room.connect().await, room.connect().await];
    send(&mut holder, &[b'w'; 150_000]).await;
    room.script.until(|it| it.handled.load(Ordering::SeqCst) == 1).await;
    send(&mut waiter, b"e").await;
    let mut byte = [0];
    let nothing = tokio::select! {
        biased;
        _ = waiter.read(&mut byte) => false,
        () = async { for _ in 0..100 { tokio::task::yield_now().await } } => true,
    };
    assert!(nothing);
    room.script.gates.lock().remove(0).send(()).unwrap();
    assert_eq!(receive(&mut holder).await.len(), 150_000);
    assert_eq!(receive(&mut waiter).await, b"e");
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_closed() {
    let limits = Limits { max_idle: Duration::from_secs(5), ..Limits::default() };
    let room = Room::open(limits, QuotaLimits::default(), usize::MAX).await;
    let mut client = room.connect().await;
    let start = tokio::time::Instant::now();
    at_end(&mut client).await;
    room.script.until_closed(&["idle"]).await;
    let waited = start.elapsed();
    assert!((Duration::from_secs(5)..Duration::from_secs(6)).contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_trickles_in_is_cut_off() {
    let room = Room::default().await;
    let mut client = room.connect().await;
    client.write_all(&1000_i32.to_be_bytes()).await.unwrap();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    let (mut reading, mut writing) = client.split();
    let mut byte = [0];
    loop {
        tokio::select! {
            end = reading.read(&mut byte) => {
                assert!(matches!(end, Ok(0) | Err(_)));
                break;
            }
            _ = ticks.tick() => {
                writing.write_all(b"z").await.ok();
            }
        }
    }
    room.script.until_closed(&["slow_request"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_throttled_connection_is_not_read_for_that_long() {
    let room = Room::default().await;
    let mut client = room.connect().await;
    let start = tokio::time::Instant::now();
    send(&mut client, b"t").await;
    send(&mut client, b"e").await;
    receive(&mut client).await;
    assert!(start.elapsed() < Duration::from_secs(3));
    receive(&mut client).await;
    assert!(start.elapsed() >= Duration::from_secs(3));
    let sent = room.script.sent.lock();
    assert_eq!(sent[0].throttle, Duration::from_secs(3));
}

#[tokio::test]
async fn stopping_answers_what_is_in_flight() {
    let room = Room::default().await;
    let [mut busy, mut idle] = [room.connect().await, room.connect().await];
    send(&mut busy, b"wlast").await;
    room.script.until(|it| it.handled.load(Ordering::SeqCst) == 1).await;
    let server = room.server.clone();
    let stop = tokio::spawn(async move { server.stop(Duration::from_secs(3600)).await });
    at_end(&mut idle).await;
    assert!(TcpStream::connect(("127.0.0.1", room.port)).await.is_err());
    room.script.gates.lock().remove(0).send(()).unwrap();
    assert_eq!(receive(&mut busy).await, b"wlast");
    at_end(&mut busy).await;
    assert_eq!(stop.await.unwrap(), 0);
    assert_eq!(*room.script.closed.lock(), ["stopped", "stopped"]);
}

#[tokio::test(start_paused = true)]
async fn stopping_has_a_deadline() {
    let room = Room::default().await;
    let mut client = room.connect().await;
    send(&mut client, b"w").await;
    room.script.until(|it| it.handled.load(Ordering::SeqCst) == 1).await;
    assert_eq!(room.server.stop(Duration::from_secs(1)).await, 1);
    at_end(&mut client).await;
    assert_eq!(room.script.waits_dropped.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn connection_limits_hold() {
    let quotas = QuotaLimits {
        max_connections: 3,
        max_connections_per_ip: 2,
        per_ip_overrides: [("::1".parse().unwrap(), 100)].into(),
        ..QuotaLimits::default()
    };
    let room = Room::open(Limits::default(), quotas, usize::MAX).await;
    let mut first = room.connect().await;
    let mut second = room.connect().await;
    for client in [&mut first, &mut second] {
        send(client, b"e").await;
        receive(client).await;
    }
    at_end(&mut room.connect().await).await;
    // On the same port, but another address: the third, and one too many.
    let Ok(mut third) = TcpStream::connect(("::1", room.port)).await else { return };
    send(&mut third, b"e").await;
    receive(&mut third).await;
    let mut fourth = TcpStream::connect(("::1", room.port)).await.unwrap();
    send(&mut fourth, b"elate").await;
    assert_eq!(room.server.connections().len(), 3);
    drop(first);
    assert_eq!(receive(&mut fourth).await, b"elate");
}

#[tokio::test]
async fn a_thousand_idle_connections_cost_little_and_all_answer() {
    let room = Room::default().await;
    let mut clients = Vec::new();
    for _ in 0..1000 {
        clients.push(room.connect().await);
    }
    for client in &mut clients {
        send(client, b"e").await;
    }
    for client in &mut clients {
        assert_eq!(receive(client).await, b"e");
    }
    let open = room.processors("connection-count");
    assert_eq!(open.iter().sum::<f64>(), 1000.0);
    assert!(open.iter().all(|count| (333.0..=334.0).contains(count)), "{open:?}");
    for (attribute, expected) in [
        ("connection-creation-total", 1000.0),
        ("response-total", 1000.0),
        ("request-total", 1000.0),
        ("incoming-byte-total", 5000.0),
        ("outgoing-byte-total", 5000.0),
        ("network-io-total", 2000.0),
        ("connection-close-total", 0.0),
    ] {
        assert_eq!(room.processors(attribute).iter().sum::<f64>(), expected, "{attribute}");
    }
    assert_eq!(room.server.budget().used(), 0);
}

#[tokio::test]
async fn a_connection_can_be_closed_from_outside() {
    let room = Room::default().await;
    let mut client = room.connect().await;
    send(&mut client, b"e").await;
    receive(&mut client).await;
    let connections = room.server.connections();
    assert!(connections[0].peer().is_ipv4(), "canonical address on a dual-stack socket");
    connections[0].close();
    at_end(&mut client).await;
    room.script.until_closed(&["asked"]).await;
}

#[tokio::test]
async fn ports_in_use_and_unknown_hosts_are_named() {
    let room = Room::default().await;
    let server = room.server.clone();
    let config = ListenerConfig::plaintext("TWO", "", room.port);
    let error = server.bind(config).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("listener TWO: cannot bind [::]:{}", room.port)), "{error}");
    let config = ListenerConfig::plaintext("THREE", "no-such-host.invalid", 0);
    let error = server.bind(config).await.unwrap_err().to_string();
    assert!(error.contains("cannot resolve host \"no-such-host.invalid\""), "{error}");
    let bound = server.bind(ListenerConfig::plaintext("L", "localhost", 0)).await.unwrap();
    assert!(bound.addresses().iter().all(|address| address.port() == bound.port()));
}

#[tokio::test]
async fn queues_show_what_waits() {
    let room = Room::default().await;
    let mut client = room.connect().await;
    // A wait, two replies behind it, and two requests behind one that is being handled.
    client.write_all(&[frame(b"w"), frame(b"e"), frame(b"e")].concat()).await.unwrap();
    client.write_all(&[frame(b"b"), frame(b"s"), frame(b"s")].concat()).await.unwrap();
    let requests = "kafka.network:type=RequestChannel,name=RequestQueueSize";
    let replies = "kafka.network:type=RequestChannel,name=ResponseQueueSize";
    let of_processor = "kafka.network:type=RequestChannel,name=ResponseQueueSize,processor=0";
    let until = async |bean: &str, expected: f64| {
        while room.read(bean, "Value") != expected {
            tokio::task::yield_now().await;
        }
    };
    until(requests, 2.0).await;
    until(replies, 2.0).await;
    until(of_processor, 2.0).await;
    room.script.gates.lock().remove(0).send(()).unwrap();
    for _ in 0..3 {
        receive(&mut client).await;
    }
    until(replies, 0.0).await;
    until(requests, 2.0).await;
    room.script.gates.lock().remove(0).send(()).unwrap();
    receive(&mut client).await;
    until(requests, 0.0).await;
    until(of_processor, 0.0).await;
}

#[tokio::test]
async fn connections_count_under_their_client_software() {
    let room = Room::default().await;
    let mut client = room.connect().await;
    send(&mut client, b"e").await;
    receive(&mut client).await;
    let bean = |name: &str, version: &str| {
        format!(
            "kafka.server:type=socket-server-metrics,clientSoftwareName={name},\
             clientSoftwareVersion={version},listener=PLAINTEXT,networkProcessor=0"
        )
    };
    let count = |name, version| room.read(&bean(name, version), "connections");
    assert_eq!(count("unknown", "unknown"), 1.0);
    room.server.connections()[0].set_client_software("pharos", "1");
    assert_eq!((count("unknown", "unknown"), count("pharos", "1")), (0.0, 1.0));
    drop(client);
    room.script.until_closed(&["peer_closed"]).await;
    while count("pharos", "1") != 0.0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn blocked_time_and_rates_of_accepting_are_shown() {
    let quotas = QuotaLimits { max_connections: 1, ..QuotaLimits::default() };
    let room = Room::open(Limits::default(), quotas, usize::MAX).await;
    let first = room.connect().await;
    let mut second = room.connect().await;
    send(&mut second, b"e").await;
    room.script.until(|it| it.opened.load(Ordering::SeqCst) == 1).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    drop(first);
    receive(&mut second).await;
    let bean = "kafka.network:type=Acceptor,name=AcceptorBlockedPercent,listener=PLAINTEXT";
    let blocked = room.read(bean, "Count");
    assert!((1.9e9..3e9).contains(&blocked), "{blocked}");
    let rate =
        room.read("kafka.server:type=socket-server-metrics", "broker-connection-accept-rate");
    let of_listener = "kafka.server:type=socket-server-metrics,listener=PLAINTEXT";
    let of_listener = room.read(of_listener, "connection-accept-rate");
    assert!(rate > 0.0 && (rate - of_listener).abs() < 0.001, "{rate} {of_listener}");
}

/// Keeps the compiler from growing what every idle connection pays for.
#[test]
fn a_driver_is_small() {
    assert!(size_of::<crate::driver::Driver<[u64; 16]>>() < 1024);
}
