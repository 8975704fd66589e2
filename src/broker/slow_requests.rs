//! The slowest requests of the last hour, each with what it was about and where its time went.
//!
//! What a client asked to wait for does not count: a fetch waits for records, a join for other
//! members. Most requests cost two loads here; only one that is among the slowest takes the lock.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::extract::State;
use axum::response::Json;
use axum::routing::get;
use parking_lot::Mutex;
use pharos_admin::Section;
use pharos_base::{Clock, TraceId};
use pharos_protocol::ErrorCode;
use serde_json::{Map, Value, json};

use crate::context::{About, ErrorCounts};

/// Requests that are told.
const MAX_TOLD: usize = 200;
/// How long a request is remembered.
const HOUR: Duration = Duration::from_secs(60 * 60);
/// The slowest are kept for each of these spans, so that old ones can leave.
const SPAN: Duration = Duration::from_secs(5 * 60);
/// Longest client id that is kept, in characters.
const MAX_CLIENT: usize = 200;

/// A request whose answer has left.
#[derive(Clone, Debug)]
pub struct SlowRequest {
    /// Name of the API, `FetchConsumer` for a consumer's fetch.
    pub request: &'static str,
    /// Version of the API.
    pub version: i16,
    /// What the client calls itself.
    pub client_id: Arc<str>,
    /// Where the client is.
    pub host: IpAddr,
    /// Last byte read until last byte written.
    pub total: Duration,
    /// The phases of that time.
    pub phases: [(&'static str, Duration); 6],
    /// Size on the wire.
    pub request_bytes: u64,
    /// Size of the answer on the wire.
    pub response_bytes: u64,
    /// Error codes in the answer.
    pub errors: ErrorCounts,
    /// The partition that it was about.
    pub about: Option<About>,
    /// Its trace, if it was traced.
    pub trace_id: Option<TraceId>,
}

/// The slowest requests of a node.
#[derive(Debug)]
pub struct SlowRequests {
    clock: Clock,
    /// What a request must cost to be among the slowest of this span, in ns.
    bar: AtomicU64,
    /// When this span ends by the coarse clock, in ms.
    until: AtomicU64,
    spans: Mutex<VecDeque<Span>>,
}

#[derive(Debug)]
struct Span {
    until: Duration,
    slowest: BinaryHeap<Reverse<Ranked>>,
}

#[derive(Debug)]
struct Ranked {
    cost_ns: u64,
    time_ms: i64,
    request: SlowRequest,
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.cost_ns.cmp(&other.cost_ns).then(self.time_ms.cmp(&other.time_ms))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}

impl SlowRequests {
    /// None yet.
    pub fn new(clock: Clock) -> Self {
        let (bar, until) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { clock, bar, until, spans: Mutex::default() }
    }

    /// Takes a request in that cost so much, if it is among the slowest.
    pub fn record(&self, cost: Duration, make: impl FnOnce() -> SlowRequest) {
        let cost_ns = u64::try_from(cost.as_nanos()).unwrap_or(u64::MAX);
        let now = self.clock.coarse();
        if cost_ns <= self.bar.load(Relaxed) && millis(now) < self.until.load(Relaxed) {
            return;
        }
        let time_ms = self.clock.now_ms();
        let ranked = Reverse(Ranked { cost_ns, time_ms, request: make().shortened() });
        let mut spans = self.spans.lock();
        if spans.back().is_none_or(|span| now >= span.until) {
            let until = now + SPAN;
            spans.push_back(Span { until, slowest: BinaryHeap::new() });
            spans.retain(|span| span.until + HOUR > now);
            self.until.store(millis(until), Relaxed);
        }
        let Some(span) = spans.back_mut() else { return };
        span.slowest.push(ranked);
        if span.slowest.len() > MAX_TOLD {
            span.slowest.pop();
        }
        let full = span.slowest.len() == MAX_TOLD;
        let bar = span.slowest.peek().filter(|_| full).map_or(0, |Reverse(least)| least.cost_ns);
        self.bar.store(bar, Relaxed);
    }

    /// The slowest of the last hour, the slowest first.
    fn told(&self) -> Vec<Value> {
        let since_ms = self.clock.now_ms().saturating_sub(HOUR.as_millis() as i64);
        let spans = self.spans.lock();
        let all = spans.iter().flat_map(|span| &span.slowest);
        let mut found: Vec<&Ranked> =
            all.map(|Reverse(ranked)| ranked).filter(|it| it.time_ms >= since_ms).collect();
        found.sort_by(|a, b| b.cmp(a));
        found.into_iter().take(MAX_TOLD).map(Ranked::to_json).collect()
    }
}

impl SlowRequest {
    fn shortened(mut self) -> Self {
        self.client_id = shortened(&self.client_id);
        self
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What a client calls itself, as far as it is kept.
pub fn shortened(name: &Arc<str>) -> Arc<str> {
    if name.chars().nth(MAX_CLIENT).is_none() {
        return name.clone();
    }
    let kept: String = name.chars().take(MAX_CLIENT).collect();
    format!("{kept}…").into()
}

impl Ranked {
    fn to_json(&self) -> Value {
        let it = &self.request;
        let millis = |took: Duration| took.as_secs_f64() * 1000.0;
        let phases: Map<_, _> = it
            .phases
            .iter()
            .map(|(phase, took)| ((*phase).to_owned(), millis(*took).into()))
            .collect();
        let errors = it.errors.iter().filter(|(code, _)| *code != 0).map(|(code, count)| {
            let name = ErrorCode::from_code(*code).map_or("UNKNOWN", |code| code.name());
            json!({ "error": name, "count": count })
        });
        let about = it.about.as_ref().map(|about| {
            json!({ "topic": about.topic, "partition": about.partition, "more": about.more })
        });
        json!({
            "time_ms": self.time_ms,
            "request": it.request,
            "version": it.version,
            "client_id": it.client_id,
            "host": it.host.to_string(),
            "cost_ms": self.cost_ns as f64 / 1e6,
            "total_ms": millis(it.total),
            "phases_ms": phases,
            "request_bytes": it.request_bytes,
            "response_bytes": it.response_bytes,
            "errors": errors.collect::<Vec<_>>(),
            "about": about,
            "trace_id": it.trace_id.map(|id| id.to_string()),
        })
    }
}

/// `/api/slow`.
pub fn section(slow: Arc<SlowRequests>) -> Section {
    let router = axum::Router::new().route("/api/slow", get(page)).with_state(slow);
    Section { path: "/api/slow", title: "the slowest requests of the hour, as JSON", router }
}

async fn page(State(slow): State<Arc<SlowRequests>>) -> Json<Value> {
    Json(json!({ "requests": slow.told() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(client_id: &str) -> SlowRequest {
        SlowRequest {
            request: "Produce",
            version: 9,
            client_id: client_id.into(),
            host: [127, 0, 0, 1].into(),
            total: Duration::from_millis(7),
            phases: [("local", Duration::from_millis(1)); 6],
            request_bytes: 10,
            response_bytes: 20,
            errors: vec![(0, 3), (6, 1)],
            about: Some(About { topic: "t".into(), partition: 4, more: 2 }),
            trace_id: Some(TraceId(0xabc)),
        }
    }

    fn costs(slow: &SlowRequests) -> Vec<f64> {
        slow.told().iter().map(|it| it["cost_ms"].as_f64().unwrap()).collect()
    }

    #[test]
    fn the_slowest_of_the_hour_are_kept_and_no_more() {
        let (clock, hand) = Clock::simulated(0);
        let slow = SlowRequests::new(clock);
        for cost in 0..300 {
            slow.record(Duration::from_millis(cost), || request("c"));
        }
        let kept: Vec<_> = (100..300).rev().map(f64::from).collect();
        assert_eq!(costs(&slow), kept);
        // One that is faster is not even made.
        slow.record(Duration::from_millis(100), || panic!("it is not among the slowest"));
        // The next span begins with any.
        hand.advance(Duration::from_secs(301));
        slow.record(Duration::from_millis(5), || request("c"));
        slow.record(Duration::from_millis(500), || request("c"));
        assert_eq!(costs(&slow)[..2], [500.0, 299.0]);
        assert_eq!(costs(&slow).len(), MAX_TOLD);
        hand.advance(Duration::from_secs(3500));
        assert_eq!(costs(&slow), [500.0, 5.0]);
        hand.advance(Duration::from_secs(200));
        assert_eq!(costs(&slow), [0.0; 0]);
    }

    #[test]
    fn a_request_is_told_with_all_that_is_known() {
        let slow = SlowRequests::new(Clock::simulated(5).0);
        slow.record(Duration::from_millis(6), || request(&"ü".repeat(9000)));
        let told = slow.told();
        assert_eq!(told[0]["errors"], json!([{ "error": "NOT_LEADER_OR_FOLLOWER", "count": 1 }]));
        assert_eq!(told[0]["about"], json!({ "topic": "t", "partition": 4, "more": 2 }));
        assert_eq!(told[0]["trace_id"], "00000000000000000000000000000abc");
        assert_eq!((&told[0]["total_ms"], &told[0]["time_ms"]), (&json!(7.0), &json!(5)));
        assert_eq!(told[0]["client_id"].as_str().unwrap().chars().count(), MAX_CLIENT + 1);
    }
}
