//! A collector of OTLP spans in this process, well behaved or not.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use prost::Message as _;

use crate::start_process::HANG_GUARD;

/// How the collector answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Takes every span.
    Take,
    /// Takes the request in and throws all its spans away.
    Reject,
    /// 500.
    Fail,
    /// Closes the connection instead of answering.
    Reset,
    /// 200 with a page for people.
    Garbage,
    /// 200 and a body without end.
    Flood,
    /// Never answers.
    Hang,
}

/// A span as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub trace: String,
    pub id: String,
    /// Empty for the first of a trace.
    pub parent: String,
    pub name: String,
    pub kind: i32,
    pub begin_ns: u64,
    pub end_ns: u64,
    pub attributes: BTreeMap<String, String>,
    pub events: Vec<String>,
    /// 0 unset, 1 ok, 2 error.
    pub status: i32,
    pub resource: BTreeMap<String, String>,
}

impl Seen {
    pub fn took_ns(&self) -> u64 {
        self.end_ns - self.begin_ns
    }

    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// A running collector.
pub struct Collector {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    manner: Manner,
    requests: usize,
    heads: Vec<String>,
    spans: Vec<Seen>,
    stopped: bool,
}

impl Collector {
    /// Listens on a free port.
    pub fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, heads, spans) = (0, Vec::new(), Vec::new());
        let state = Mutex::new(State { manner, requests, heads, spans, stopped: false });
        let shared = Arc::new(Shared { state, changed: Condvar::new() });
        let accepting = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.state.lock().unwrap().stopped {
                    return;
                }
                let shared = accepting.clone();
                std::thread::spawn(move || shared.serve(stream.unwrap()));
            }
        });
        Self { address, shared }
    }

    /// What a broker is told.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers like this from now on.
    pub fn behave(&self, manner: Manner) {
        self.shared.state.lock().unwrap().manner = manner;
    }

    /// Requests that came, whatever became of them.
    pub fn requests(&self) -> usize {
        self.shared.state.lock().unwrap().requests
    }

    /// First line and headers of every request.
    pub fn heads(&self) -> Vec<String> {
        self.shared.state.lock().unwrap().heads.clone()
    }

    /// The spans that were taken so far.
    pub fn spans(&self) -> Vec<Seen> {
        self.shared.state.lock().unwrap().spans.clone()
    }

    /// Waits until the spans that were taken are what they should be, and returns them.
    pub fn until(&self, what: &str, met: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        let state = self.shared.state.lock().unwrap();
        let waited =
            self.shared.changed.wait_timeout_while(state, HANG_GUARD, |it| !met(&it.spans));
        let (state, waited) = waited.unwrap();
        let told: Vec<_> = state.spans.iter().map(|span| &span.name).collect();
        assert!(!waited.timed_out(), "waited too long for {what}, there are {told:?}");
        state.spans.clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if let Ok(mut state) = self.shared.state.lock() {
            state.stopped = true;
        }
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) {
        while let Some((head, body)) = read_request(&mut stream) {
            let manner = {
                let mut state = self.state.lock().unwrap();
                state.requests += 1;
                state.heads.push(head);
                if state.manner == Manner::Take {
                    let request = ExportTraceServiceRequest::decode(&*body).unwrap();
                    state.spans.extend(request.resource_spans.into_iter().flat_map(seen));
                }
                state.manner
            };
            self.changed.notify_all();
            if !answer(&mut stream, manner, &body) {
                return;
            }
        }
    }
}

/// Answers; whether the connection goes on.
fn answer(stream: &mut TcpStream, manner: Manner, body: &[u8]) -> bool {
    let ok = |body: &[u8]| {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    };
    let text = match manner {
        Manner::Take => ok(&ExportTraceServiceResponse::default().encode_to_vec()),
        Manner::Reject => {
            let request = ExportTraceServiceRequest::decode(body).unwrap();
            let spans = request.resource_spans.into_iter().flat_map(seen).count();
            let partial_success = Some(ExportTracePartialSuccess {
                rejected_spans: i64::try_from(spans).unwrap(),
                error_message: "not today".to_owned(),
            });
            ok(&ExportTraceServiceResponse { partial_success }.encode_to_vec())
        }
        Manner::Fail => b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n".to_vec(),
        Manner::Garbage => ok(b"<html><body>Welcome!</body></html>"),
        Manner::Reset => return false,
        Manner::Flood => {
            let head = b"HTTP/1.1 200 OK\r\ncontent-length: 9000000000\r\n\r\n";
            let mut more = stream.write_all(head);
            while more.is_ok() {
                more = stream.write_all(&[0; 65536]);
            }
            return false;
        }
        // The next request never comes: the client waits for this answer, or leaves.
        Manner::Hang => return true,
    };
    stream.write_all(&text).is_ok()
}

/// Head and body of a request; `None` when the connection ends.
fn read_request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 65536];
    loop {
        let head_end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = head_end {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let whole = end + 4 + length.unwrap().trim().parse::<usize>().unwrap();
            if bytes.len() >= whole {
                return Some((head, bytes[end + 4..whole].to_vec()));
            }
        }
        let read = stream.read(&mut chunk).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
    }
}

fn seen(spans: ResourceSpans) -> Vec<Seen> {
    let resource = told(&spans.resource.unwrap().attributes);
    let spans = spans.scope_spans.into_iter().flat_map(|scope| {
        assert_eq!(scope.scope.unwrap().name, "pharos");
        scope.spans
    });
    spans
        .map(|span| Seen {
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            name: span.name,
            kind: span.kind,
            begin_ns: span.start_time_unix_nano,
            end_ns: span.end_time_unix_nano,
            attributes: told(&span.attributes),
            events: span.events.into_iter().map(|event| event.name).collect(),
            status: span.status.map_or(0, |status| status.code),
            resource: resource.clone(),
        })
        .collect()
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn told(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &any_value::Value| match value {
        any_value::Value::StringValue(text) => text.clone(),
        any_value::Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let value = |it: &KeyValue| it.value.as_ref().and_then(|it| it.value.as_ref()).map(text);
    attributes.iter().map(|it| (it.key.clone(), value(it).unwrap_or_default())).collect()
}
