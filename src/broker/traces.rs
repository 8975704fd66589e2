//! The traces of requests: one request is one trace, its phases are parts of it, and the spans that
//! rooms make while they work on it hang under the phase in which they are made.
//!
//! Names of attributes are OpenTelemetry's for messaging, networks and errors where it has one, and
//! begin with `kafka.` where it has none.

use std::borrow::Cow;
use std::fmt;
use std::time::Instant;

use pharos_base::{SpanId, TraceContext};
use pharos_net::{Connection, Request};
use pharos_protocol::{ApiKey, ErrorCode};
use pharos_telemetry::{Ended, KeyValue, Trace, Tracer, Within};

use crate::context::{About, ErrorCounts, RequestContext};
use crate::partition_results::is_fault_of_server;
use crate::request_series::Measured;
use crate::slow_requests::shortened;

/// The phases within which rooms work.
const LOCAL: &str = "local";
const REMOTE: &str = "remote";

/// A traced request on its way. Dropped before its answer has left, it is told as cut off.
pub struct TracedRequest {
    tracer: Tracer,
    trace: Trace,
    local: SpanId,
    remote: SpanId,
    received: Instant,
    api: ApiKey,
    attributes: Vec<KeyValue>,
    is_told: bool,
}

/// What is known of a request once its answer has left.
#[derive(Debug)]
pub struct Told<'a> {
    /// The name that it counts under.
    pub request: &'static str,
    /// Its times and sizes.
    pub measured: &'a Measured<'a>,
    /// Error codes in the answer.
    pub errors: &'a ErrorCounts,
    /// The partition that it was about.
    pub about: Option<&'a About>,
}

impl TracedRequest {
    /// The trace of a request that begins, if it is to be traced.
    pub fn begin(
        tracer: Option<&Tracer>,
        request: &Request,
        context: &RequestContext,
    ) -> Option<Box<Self>> {
        let tracer = tracer?;
        let trace = tracer.sample()?;
        Some(Box::new(Self {
            tracer: tracer.clone(),
            trace,
            local: trace.new_span(),
            remote: trace.new_span(),
            received: request.timestamps.received.into_std(),
            api: context.api,
            attributes: asked(context),
            is_told: false,
        }))
    }

    /// The span of the whole request.
    pub fn context(&self) -> TraceContext {
        self.trace.root()
    }

    /// Runs `work` as the part of the request that holds up those behind it.
    pub fn local<F: Future>(&self, work: F) -> Within<F> {
        self.trace.scope(self.local).follow(work)
    }

    /// Runs `work` as the part of the request that waits.
    pub fn remote<F: Future>(&self, work: F) -> Within<F> {
        self.trace.scope(self.remote).follow(work)
    }

    /// The answer has left. Phases that took no time are not told.
    pub fn answered(mut self, told: &Told<'_>) {
        self.is_told = true;
        let root = self.context().span_id;
        for (phase, began, took) in told.measured.timed_phases() {
            if took.is_zero() {
                continue;
            }
            let id = match phase {
                LOCAL => self.local,
                REMOTE => self.remote,
                _ => self.trace.new_span(),
            };
            let span = Ended {
                id,
                parent: Some(root),
                name: phase.into(),
                began,
                took,
                attributes: Vec::new(),
                error: None,
            };
            self.tracer.end(&self.trace, span);
        }
        let mut attributes = std::mem::take(&mut self.attributes);
        attributes.extend(answered(told));
        let took = told.measured.total;
        let error = fault(told.errors).map(|code| code.message().into());
        self.end(attributes, took, error);
    }

    fn end(
        &self,
        attributes: Vec<KeyValue>,
        took: std::time::Duration,
        error: Option<Cow<'static, str>>,
    ) {
        let span = Ended {
            id: self.context().span_id,
            parent: None,
            name: self.api.name().into(),
            began: self.received,
            took,
            attributes,
            error,
        };
        self.tracer.end(&self.trace, span);
    }
}

impl Drop for TracedRequest {
    fn drop(&mut self) {
        if self.is_told {
            return;
        }
        let mut attributes = std::mem::take(&mut self.attributes);
        attributes.push(KeyValue::new("error.type", "no_answer"));
        let error = "the connection ended before the answer had left".into();
        self.end(attributes, self.received.elapsed(), Some(error));
    }
}

impl fmt::Debug for TracedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TracedRequest({})", self.context().trace_id)
    }
}

/// What a request tells of itself.
fn asked(context: &RequestContext) -> Vec<KeyValue> {
    let RequestContext { connection, api, version, .. } = context;
    let peer = connection.peer();
    let mut attributes = Vec::with_capacity(20);
    attributes.extend([
        KeyValue::new("messaging.system", "kafka"),
        KeyValue::new("network.peer.address", peer.ip().to_string()),
        KeyValue::new("network.peer.port", i64::from(peer.port())),
        KeyValue::new("kafka.listener", connection.listener().clone()),
        KeyValue::new("kafka.api.key", i64::from(api.as_i16())),
        KeyValue::new("kafka.api.version", i64::from(*version)),
        KeyValue::new("kafka.correlation_id", i64::from(context.correlation_id)),
    ]);
    if !context.client_id.is_empty() {
        attributes.push(KeyValue::new("messaging.client.id", shortened(&context.client_id)));
    }
    if let Some(kind) = operation(*api) {
        attributes.push(KeyValue::new("messaging.operation.type", kind));
    }
    attributes.extend(software(connection));
    attributes
}

/// What OpenTelemetry calls the kind of operation.
fn operation(api: ApiKey) -> Option<&'static str> {
    match api {
        ApiKey::Produce => Some("send"),
        ApiKey::Fetch => Some("receive"),
        ApiKey::OffsetCommit => Some("settle"),
        _ => None,
    }
}

/// The client's software, once it has told it.
fn software(connection: &Connection) -> impl Iterator<Item = KeyValue> + use<> {
    let told = connection.client_software();
    told.into_iter().flat_map(|(name, version)| {
        [
            KeyValue::new("kafka.client.software.name", shortened(&name)),
            KeyValue::new("kafka.client.software.version", shortened(&version)),
        ]
    })
}

/// What its answer adds.
fn answered(told: &Told<'_>) -> Vec<KeyValue> {
    let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let mut attributes = vec![
        KeyValue::new("messaging.operation.name", told.request),
        KeyValue::new("kafka.request.size", bytes(told.measured.request_bytes)),
        KeyValue::new("kafka.response.size", bytes(told.measured.response_bytes)),
    ];
    if let Some(about) = told.about {
        attributes.extend([
            KeyValue::new("messaging.destination.name", shortened(&about.topic)),
            KeyValue::new("messaging.destination.partition.id", about.partition.to_string()),
            KeyValue::new("kafka.partitions", bytes(about.more as u64 + 1)),
        ]);
    }
    let mut codes = told.errors.iter().map(|(code, _)| *code).filter(|code| *code != 0);
    if let Some(code) = codes.next() {
        let name = ErrorCode::from_code(code).map_or("UNKNOWN", |code| code.name());
        attributes.extend([
            KeyValue::new("error.type", name),
            KeyValue::new("kafka.error_code", i64::from(code)),
        ]);
    }
    attributes
}

/// The first error that this node is to blame for.
fn fault(errors: &ErrorCounts) -> Option<ErrorCode> {
    let codes = errors.iter().filter_map(|(code, _)| ErrorCode::from_code(*code));
    codes.into_iter().find(|code| is_fault_of_server(*code))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pharos_net::Timestamps;
    use tokio::time::Instant;

    use super::*;

    fn errors(codes: &[ErrorCode]) -> ErrorCounts {
        codes.iter().map(|code| (code.code(), 1)).collect()
    }

    #[test]
    fn only_what_the_broker_is_to_blame_for_is_a_failure() {
        use ErrorCode::{KafkaStorageError, None as Fine, TopicAuthorizationFailed};
        assert_eq!(fault(&errors(&[])), None);
        assert_eq!(fault(&errors(&[Fine, TopicAuthorizationFailed])), None);
        let mixed = errors(&[Fine, TopicAuthorizationFailed, KafkaStorageError]);
        assert_eq!(fault(&mixed), Some(KafkaStorageError));
    }

    #[test]
    fn an_answer_tells_its_first_error_and_what_it_was_about() {
        let now = Instant::now();
        let timestamps = Timestamps {
            first_byte: now,
            received: now,
            handle_begin: now,
            handle_end: now,
            reply_ready: now,
            write_begin: now,
            write_end: now,
        };
        let measured = Measured::new(&timestamps, Duration::ZERO, 5, 7);
        let about = About { topic: "t".repeat(400).into(), partition: 4, more: 2 };
        let told = Told {
            request: "Produce",
            measured: &measured,
            errors: &errors(&[
                ErrorCode::None,
                ErrorCode::CorruptMessage,
                ErrorCode::InvalidRecord,
            ]),
            about: Some(&about),
        };
        let attributes: Vec<_> =
            answered(&told).iter().map(|it| format!("{}={}", it.key, it.value)).collect();
        let topic = format!("messaging.destination.name={}…", "t".repeat(200));
        let expected = [
            "messaging.operation.name=Produce",
            "kafka.request.size=5",
            "kafka.response.size=7",
            &topic,
            "messaging.destination.partition.id=4",
            "kafka.partitions=3",
            "error.type=CORRUPT_MESSAGE",
            "kafka.error_code=2",
        ];
        assert_eq!(attributes, expected);
    }
}
