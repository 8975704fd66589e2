//! The listener as a whole, over loopback sockets.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use pharos_base::Clock;
use pharos_metrics::catalog::{log, native as rows, network, sockets};
use pharos_metrics::{Format, Generation, PagesOptions, Registry, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;

use crate::*;

/// Pages of known text; renderings wait while the gate is closed.
#[derive(Default)]
struct Source {
    renderings: AtomicUsize,
    timed_out: AtomicUsize,
    closed: Mutex<bool>,
    opened: Condvar,
}

impl Source {
    fn set_closed(&self, closed: bool) {
        *self.closed.lock() = closed;
        self.opened.notify_all();
    }

    /// Waits while the gate is closed.
    fn pass(&self) {
        let mut closed = self.closed.lock();
        while *closed {
            self.opened.wait(&mut closed);
        }
    }
}

impl PageSource for Source {
    fn names(&self) -> Vec<String> {
        vec!["default".into(), "native".into()]
    }

    fn render(&self, page: Option<&str>, format: Format) -> Option<Bytes> {
        self.renderings.fetch_add(1, Ordering::SeqCst);
        self.pass();
        match page {
            None => Some(format!("main_{format:?} 1\nother 2\n").into()),
            Some("native") => Some("native_series 1\n".repeat(1000).into()),
            Some("default") => Some(vec![b'#'; 64 << 20].into()),
            Some(_) => None,
        }
    }

    fn timed_out(&self, _page: Option<&str>) {
        self.timed_out.fetch_add(1, Ordering::SeqCst);
    }
}

struct Room {
    server: AdminServer,
    source: Arc<Source>,
    readiness: Readiness,
    registry: Registry,
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn json(&self) -> serde_json::Value {
        assert!(self.head.contains("content-type: application/json"), "{}", self.head);
        serde_json::from_slice(&self.body).unwrap()
    }

    fn is_error(&self, status: u16) {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.json()["error_code"], status);
        assert!(self.json()["message"].is_string());
    }
}

impl Room {
    async fn open() -> Self {
        let registry = Registry::new(Clock::real());
        let protection = Protection::new(&registry, Hosts::default());
        Self::open_with(registry, &AdminAddress::any(0), protection).await
    }

    async fn open_with(registry: Registry, address: &AdminAddress, protection: Protection) -> Self {
        let mut server = AdminServer::bind(address, protection).await.unwrap();
        let source = Arc::new(Source::default());
        let readiness = Readiness::default();
        let echo = post(|body: Bytes| async move { body });
        let section = Section {
            path: "/echo",
            title: "says it <again>",
            router: Router::new().route("/echo", echo),
        };
        let admin = Admin {
            pages: source.clone(),
            registry: registry.clone(),
            readiness: readiness.clone(),
            sections: vec![section],
        };
        server.serve(admin, &Handle::current());
        Self { server, source, readiness, registry }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.server.port())).await.unwrap()
    }

    /// Sends `request` as it is and reads until the server closes.
    async fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = self.connect().await;
        // The server may answer and close before it has read everything.
        stream.write_all(request).await.ok();
        read_answer(&mut stream).await
    }

    async fn get(&self, path: &str, headers: &str) -> Answer {
        self.raw(request("GET", path, headers).as_bytes()).await
    }
}

fn request(method: &str, path: &str, headers: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n")
}

async fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let mut piece = vec![0; 1 << 16];
    // A reset after the answer is an end, too.
    while let Ok(count) = stream.read(&mut piece).await
        && count > 0
    {
        bytes.extend_from_slice(&piece[..count]);
    }
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
    let status = head[9..12].parse().unwrap();
    let mut body = bytes.split_off(end);
    if head.contains("transfer-encoding: chunked") {
        body = dechunk(&body);
    }
    Answer { status, head, body }
}

fn dechunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n").unwrap();
        let size = std::str::from_utf8(&rest[..line]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        body.extend_from_slice(&rest[line + 2..line + 2 + size]);
        rest = &rest[line + 4 + size..];
        if size == 0 {
            return body;
        }
    }
}

#[tokio::test]
async fn pages_come_in_the_format_that_is_asked_for() {
    let room = Room::open().await;
    let plain = room.get("/metrics", "").await;
    assert_eq!(room.get("/metrics/", "").await.body, plain.body);
    assert_eq!((plain.status, plain.text()), (200, "main_Text 1\nother 2\n"));
    assert!(plain.head.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    let open = room.get("/metrics", "accept: application/openmetrics-text\r\n").await;
    assert_eq!(open.text(), "main_OpenMetrics 1\nother 2\n");
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8\r\n";
    assert!(open.head.contains(content_type));
    let family = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily";
    let accept = format!("accept: {family};encoding=delimited, */*;q=0.5\r\n");
    let protobuf = room.get("/metrics", &accept).await;
    assert_eq!(protobuf.text(), "main_Protobuf 1\nother 2\n");
    let content_type = "application/vnd.google.protobuf; proto=io.prometheus.client.metricfamily; \
                        encoding=delimited\r\n";
    assert!(protobuf.head.contains(content_type), "{}", protobuf.head);
    let some = room.get("/metrics?name%5B%5D=other&x=1&name[]=c%20d", "").await;
    assert_eq!(some.text(), "other 2\n");
    let head = room.raw(request("HEAD", "/metrics", "").as_bytes()).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert!(head.head.contains("content-length: 20\r\n"), "{}", head.head);
    room.get("/metrics/other", "").await.is_error(404);
    let many = "name[]=x&".repeat(1001);
    room.get(&format!("/metrics?{many}"), "").await.is_error(400);
}

#[tokio::test]
async fn odd_wishes_for_a_format_are_answered() {
    let room = Room::open().await;
    let long = "application/openmetrics-text;q=0.1;x=y,".repeat(256);
    let lines = "accept: image/png\r\n".repeat(20);
    for (accept, want) in [
        (format!("accept: {long}\r\n"), "main_OpenMetrics 1"),
        (format!("{lines}accept: application/openmetrics-text\r\n"), "main_OpenMetrics 1"),
        ("accept: text/plain;q=0\r\n".to_owned(), "main_Text 1"),
        ("accept: \r\n".to_owned(), "main_Text 1"),
        ("accept: ;;,,q=\r\n".to_owned(), "main_Text 1"),
    ] {
        let answer = room.get("/metrics", &accept).await;
        assert_eq!((answer.status, answer.text().lines().next()), (200, Some(want)), "{accept}");
    }
    let odd = b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\naccept: \xff\xfe\r\n\r\n";
    assert_eq!(room.raw(odd).await.text(), "main_Text 1\nother 2\n");
}

#[tokio::test]
async fn large_pages_are_compressed_when_asked() {
    let room = Room::open().await;
    let zipped = room.get("/metrics/native", "accept-encoding: deflate, gzip\r\n").await;
    assert!(zipped.head.contains("content-encoding: gzip\r\n"), "{}", zipped.head);
    let mut text = String::new();
    flate2::read::GzDecoder::new(&zipped.body[..]).read_to_string(&mut text).unwrap();
    assert_eq!(text, "native_series 1\n".repeat(1000));
    assert!(zipped.body.len() < 1000);
    let small = room.get("/metrics", "accept-encoding: gzip\r\n").await;
    assert_eq!(small.text(), "main_Text 1\nother 2\n");
    assert!(!room.get("/metrics/native", "").await.head.contains("content-encoding"));
}

#[tokio::test]
async fn scrapes_at_the_same_time_share_a_rendering() {
    let room = Room::open().await;
    room.source.set_closed(true);
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut stream = room.connect().await;
        stream.write_all(request("GET", "/metrics/native", "").as_bytes()).await.unwrap();
        streams.push(stream);
    }
    // One scrape of another page, answered behind the others' requests, shows that they wait.
    let waited = room.get("/health/live", "").await;
    assert_eq!(waited.status, 200);
    room.source.set_closed(false);
    for stream in &mut streams {
        assert_eq!(read_answer(stream).await.body.len(), 16_000);
    }
    let renderings = room.source.renderings.load(Ordering::SeqCst);
    assert!(renderings < 20, "{renderings}");
    room.get("/metrics/native", "").await;
    assert_eq!(room.source.renderings.load(Ordering::SeqCst), renderings + 1, "never stale");
}

#[tokio::test]
async fn a_page_that_is_not_ready_in_time_is_refused_and_counted() {
    let room = Room::open().await;
    room.source.set_closed(true);
    let timeout = "x-prometheus-scrape-timeout-seconds: 0.05\r\n";
    room.get("/metrics", timeout).await.is_error(503);
    assert_eq!(room.source.timed_out.load(Ordering::SeqCst), 1);
    room.source.set_closed(false);
    assert_eq!(room.get("/metrics", "").await.status, 200);
}

#[tokio::test]
async fn scrapers_that_give_up_leave_no_more_renderings_than_allowed() {
    let room = Room::open().await;
    room.source.set_closed(true);
    let timeout = "x-prometheus-scrape-timeout-seconds: 0.05\r\n";
    let (first, later) = (["/metrics", "/metrics/native"], ["/metrics/other", "/metrics?name[]=x"]);
    for page in first {
        room.get(page, timeout).await.is_error(503);
    }
    // Their threads may begin later than that.
    while room.source.renderings.load(Ordering::SeqCst) < limits::MAX_RENDERINGS {
        tokio::task::yield_now().await;
    }
    for page in later {
        room.get(page, timeout).await.is_error(503);
    }
    assert_eq!(room.source.renderings.load(Ordering::SeqCst), limits::MAX_RENDERINGS);
    assert_eq!(room.source.timed_out.load(Ordering::SeqCst), 4);
    room.source.set_closed(false);
    assert_eq!(room.get("/metrics", "").await.status, 200);
}

#[tokio::test]
async fn the_nodes_own_pages_are_served() {
    let registry = Registry::new(Clock::real());
    let options = PagesOptions {
        rule_sets: Vec::new(),
        generation: Generation::V1,
        revision: "abc".to_owned(),
    };
    let pages = pharos_metrics::Pages::new(&registry, options).unwrap();
    let protection = Protection::new(&registry, Hosts::default());
    let mut server = AdminServer::bind(&AdminAddress::any(0), protection).await.unwrap();
    let admin = Admin {
        pages: Arc::new(pages),
        registry: registry.clone(),
        readiness: Readiness::default(),
        sections: Vec::new(),
    };
    server.serve(admin, &Handle::current());
    let room = Room { server, source: Arc::default(), readiness: Readiness::default(), registry };
    let main = room.get("/metrics", "accept: application/openmetrics-text\r\n").await;
    assert!(main.text().ends_with("# EOF\n"));
    let native = room.get("/metrics/native?name[]=pharos_build_info", "").await;
    assert!(native.text().contains("\npharos_build_info{version="), "{}", native.text());
    assert_eq!(native.text().lines().count(), 3);
    for name in ["default", "confluent"] {
        assert_eq!(room.get(&format!("/metrics/{name}"), "").await.status, 200, "{name}");
    }
    room.get("/metrics/nothing", "").await.is_error(404);

    // A bean that does not answer in time: the refusal is told by the next page.
    let gate = Arc::new(Source::default());
    gate.set_closed(true);
    let slow = gate.clone();
    let _bean = room.registry.gauge_fn(&log::LOG_CLEANER_DEAD_THREAD_COUNT, &[], move || {
        slow.pass();
        Value::Long(0)
    });
    room.get("/metrics", "x-prometheus-scrape-timeout-seconds: 0.05\r\n").await.is_error(503);
    gate.set_closed(false);
    let told = room.get("/metrics?name[]=pharos_scrape_timeouts_total", "").await;
    assert!(told.text().contains("pharos_scrape_timeouts_total{page=\"metrics\"} 1.0\n"));
}

#[tokio::test]
async fn health_follows_the_conditions() {
    let room = Room::open().await;
    assert_eq!(room.get("/health/live", "").await.json()["status"], "live");
    assert_eq!(room.get("/health/ready", "").await.json()["status"], "ready");
    let unfenced = room.readiness.condition("unfenced", "waits for the controller");
    let waiting = room.get("/health/ready", "").await;
    assert_eq!(waiting.status, 503);
    let reason = &waiting.json()["reasons"][0];
    assert_eq!(reason["condition"], "unfenced");
    assert_eq!(reason["reason"], "waits for the controller");
    assert_eq!(room.get("/-/ready", "").await.status, 503);
    assert_eq!(room.get("/-/healthy", "").await.text(), "Pharos is Healthy.\n");
    unfenced.met();
    assert_eq!(room.get("/health/ready", "").await.status, 200);
    assert_eq!(room.get("/-/ready", "").await.text(), "Pharos is Ready.\n");
}

#[tokio::test]
async fn beans_are_json_however_many_there_are() {
    let room = Room::open().await;
    assert_eq!(room.get("/beans", "").await.json(), serde_json::json!({ "beans": {} }));
    let mut handles = Vec::new();
    for number in 0..1000 {
        let request = format!("R{number}\"\\");
        let tags = [("request", request.as_str()), ("version", "0")];
        let meter = room.registry.meter(&network::REQUEST_METRICS_REQUESTS_PER_SEC, &tags);
        meter.mark(3);
        handles.push(meter);
    }
    let row = &sockets::SOCKET_SERVER_METRICS_BY_LISTENER;
    let _listener = room.registry.attributes(row, &[("listener", "PLAINTEXT")]);
    let all = room.get("/beans", "").await.json();
    assert_eq!(all["beans"].as_object().unwrap().len(), 1001);
    let some = room.get("/beans?name=kafka.server:", "").await.json();
    let some = some["beans"].as_object().unwrap();
    assert_eq!(some.len(), 1);
    let bean = &some["kafka.server:type=socket-server-metrics,listener=PLAINTEXT"];
    assert_eq!(bean["connection-accept-throttle-time"]["value"], "NaN");
    assert_eq!(bean["connection-accept-rate"]["value"], 0.0);
    let meter = all["beans"].as_object().unwrap().values().next().unwrap();
    let count = &meter["Count"];
    assert_eq!(
        (&count["type"], &count["value"], &count["unit"]),
        (&"long".into(), &3.into(), &"requests".into())
    );
    assert!(count["meaning"].is_string());
}

#[tokio::test]
async fn the_list_names_what_is_served() {
    let room = Room::open().await;
    let list = room.get("/", "").await;
    assert!(list.head.contains("content-type: text/html"));
    for link in ["/metrics", "/metrics/native", "/beans", "/health/ready", "/echo"] {
        assert!(list.text().contains(&format!("<a href=\"{link}\">")), "{link}");
    }
    assert!(list.text().contains("says it &lt;again>"));
}

#[tokio::test]
async fn hostile_requests_get_a_json_answer() {
    let room = Room::open().await;
    for path in
        ["/../../etc/passwd", "/metrics/../../etc/passwd", "/metrics/%2e%2e%2f", "/no", "//"]
    {
        room.get(path, "").await.is_error(404);
    }
    let long = format!("x: {}\r\n", "y".repeat(100_000));
    room.get("/metrics", &long).await.is_error(431);
    room.get(&format!("/{}", "z".repeat(40_000)), "").await.is_error(431);
    for method in ["POST", "DELETE", "OPTIONS", "BREW", "TRACE"] {
        let answer = room.raw(request(method, "/metrics", "").as_bytes()).await;
        answer.is_error(405);
        assert!(answer.head.contains("allow: get,head\r\n"), "{}", answer.head);
    }
    let huge = request("POST", "/echo", "content-length: 104857600\r\n");
    room.raw(huge.as_bytes()).await.is_error(413);
    let chunked = request("POST", "/echo", "transfer-encoding: chunked\r\n");
    let flood =
        [chunked.as_bytes(), b"200000\r\n", &vec![b'x'; 0x20_0000], b"\r\n0\r\n\r\n"].concat();
    room.raw(&flood).await.is_error(413);
    let small = request("POST", "/echo", "content-length: 5\r\n") + "hello";
    assert_eq!(room.raw(small.as_bytes()).await.text(), "hello");
    // What is no HTTP at all is refused before any route.
    assert_eq!(room.raw(b"GET / HTTP/1.1\r\nbad\rheader: x\r\n\r\n").await.status, 400);
    assert_eq!(room.get("/health/live", "").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn slow_peers_are_cut_off() {
    let room = Room::open().await;
    let mut head = room.connect().await;
    head.write_all(b"GET /metrics HTTP/1.1\r\nhost:").await.unwrap();
    let mut rest = Vec::new();
    head.read_to_end(&mut rest).await.ok();
    let answer = String::from_utf8(rest).unwrap();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");

    let mut body = room.connect().await;
    let request = request("POST", "/echo", "content-length: 100\r\n") + "slow";
    body.write_all(request.as_bytes()).await.unwrap();
    read_answer(&mut body).await.is_error(408);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_cut_off() {
    let room = Room::open().await;
    let mut stream = room.connect().await;
    stream.write_all(request("GET", "/metrics/default", "").as_bytes()).await.unwrap();
    // Nobody reads the 64 MiB, so that only the deadline for writing ends the connection.
    while room.source.renderings.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    room.server.stop(Duration::from_secs(3600)).await;
    let mut received = Vec::new();
    stream.read_to_end(&mut received).await.ok();
    assert!(received.len() < 64 << 20);
}

/// Pages of 64 MiB, of which four may be held: who asks for a fifth costs the reader of the first.
#[tokio::test]
async fn who_does_not_read_keeps_no_more_than_its_share() {
    let room = Room::open().await;
    let mut readers = Vec::new();
    for _ in 0..5 {
        let mut stream = room.connect().await;
        stream.write_all(request("GET", "/metrics/default", "").as_bytes()).await.unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
        readers.push(stream);
    }
    let mut read = Vec::new();
    for stream in &mut readers {
        let (mut count, mut piece) = (0, vec![0; 1 << 16]);
        while let Ok(more) = stream.read(&mut piece).await
            && more > 0
        {
            count += more;
        }
        read.push(count > 64 << 20);
    }
    assert_eq!(read, [false, true, true, true, true]);
    let refused = room.registry.family(&rows::PHAROS_ADMIN_REFUSED_TOTAL);
    assert_eq!(refused.read(&["slow_reader"]), Some(1.0));
}

#[tokio::test]
async fn stopping_closes_the_port_and_idle_connections() {
    let room = Room::open().await;
    let mut idle = room.connect().await;
    idle.write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut head = [0; 12];
    idle.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    room.server.stop(Duration::from_secs(3600)).await;
    idle.read_to_end(&mut Vec::new()).await.ok();
    assert!(TcpStream::connect(("127.0.0.1", room.server.port())).await.is_err());
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let room = Room::open().await;
    let port = room.server.port();
    let protection = Protection::new(&room.registry, Hosts::default());
    let error = AdminServer::bind(&AdminAddress::any(port), protection).await.err().unwrap();
    let error = error.to_string();
    let expected = format!("admin.listeners: HTTP://:{port}: cannot bind [::]:{port}: ");
    assert!(error.starts_with(&expected), "{error}");
}
