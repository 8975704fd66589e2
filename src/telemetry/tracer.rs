//! Traces of requests: which requests are traced, what runs within one, and the spans whose times
//! are known only afterwards.
//!
//! Whether a request is traced is decided once, when it begins, by its trace id alone; what is not
//! traced costs that decision and nothing else.

use std::borrow::Cow;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::trace::{
    SpanContext, SpanId as OtelSpanId, SpanKind, Status, TraceContextExt as _, TraceFlags,
    TraceId as OtelTraceId, TraceState,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{
    IdGenerator as _, RandomIdGenerator, Sampler, SamplingDecision, ShouldSample as _, SpanData,
    SpanEvents, SpanLinks,
};
use pharos_base::{SpanId, TraceContext, TraceId};

use crate::export::{Queue, SpanCounts};

/// Begins and ends traces. Cloning is cheap.
#[derive(Clone)]
pub struct Tracer(Arc<Inner>);

struct Inner {
    queue: Queue,
    sampler: Sampler,
    ids: RandomIdGenerator,
    scope: InstrumentationScope,
}

/// A request that is traced: the context of its first span, and how its instants are dated.
#[derive(Clone, Copy, Debug)]
pub struct Trace {
    root: TraceContext,
    anchor: (Instant, SystemTime),
}

/// A span that is made once its times are known.
#[derive(Debug)]
pub struct Ended {
    /// Its own id.
    pub id: SpanId,
    /// The span that it is part of; `None` for the first one of the trace.
    pub parent: Option<SpanId>,
    /// What it is called.
    pub name: Cow<'static, str>,
    /// When it began.
    pub began: Instant,
    /// How long it took.
    pub took: Duration,
    /// What is known of it.
    pub attributes: Vec<KeyValue>,
    /// Why it failed, if it did by a fault of this side.
    pub error: Option<Cow<'static, str>>,
}

impl Tracer {
    pub(crate) fn new(queue: Queue, ratio: f64, scope: InstrumentationScope) -> Self {
        let sampler = Sampler::TraceIdRatioBased(ratio);
        Self(Arc::new(Inner { queue, sampler, ids: RandomIdGenerator::default(), scope }))
    }

    /// A new trace, if this request is one of those that are traced.
    pub fn sample(&self) -> Option<Trace> {
        let Inner { sampler, ids, .. } = &*self.0;
        let trace_id = ids.new_trace_id();
        let kind = SpanKind::Server;
        let decided = sampler.should_sample(None, trace_id, "", &kind, &[], &[]).decision;
        if decided != SamplingDecision::RecordAndSample {
            return None;
        }
        let trace_id = TraceId(u128::from_be_bytes(trace_id.to_bytes()));
        let root = TraceContext { trace_id, span_id: new_span(), sampled: true };
        Some(Trace { root, anchor: anchor() })
    }

    /// Exports a span of `trace`.
    pub fn end(&self, trace: &Trace, span: Ended) {
        let Ended { id, parent, name, began, took, attributes, error } = span;
        let start_time = trace.date(began);
        self.0.queue.put(SpanData {
            span_context: span_context(&TraceContext { span_id: id, ..trace.root }),
            parent_span_id: parent.map_or(OtelSpanId::INVALID, otel_span_id),
            parent_span_is_remote: false,
            span_kind: if parent.is_none() { SpanKind::Server } else { SpanKind::Internal },
            name,
            start_time,
            end_time: start_time + took,
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: error.map_or(Status::Unset, |description| Status::Error { description }),
            instrumentation_scope: self.0.scope.clone(),
        });
    }

    /// What became of spans so far.
    pub fn counts(&self) -> Arc<SpanCounts> {
        self.0.queue.counts().clone()
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tracer({:?})", self.0.sampler)
    }
}

impl Trace {
    /// The first span.
    pub fn root(&self) -> TraceContext {
        self.root
    }

    /// An id for one more span.
    pub fn new_span(&self) -> SpanId {
        new_span()
    }

    /// Where spans and log lines belong to `span`.
    pub fn scope(&self, span: SpanId) -> Scope {
        Scope::new(TraceContext { span_id: span, ..self.root })
    }

    /// Instants are turned into dates by one pair of both, so that a clock that is set meanwhile
    /// changes no duration.
    fn date(&self, at: Instant) -> SystemTime {
        let (instant, date) = self.anchor;
        match at.checked_duration_since(instant) {
            Some(after) => date + after,
            None => date - instant.duration_since(at),
        }
    }
}

fn new_span() -> SpanId {
    SpanId(u64::from_be_bytes(RandomIdGenerator::default().new_span_id().to_bytes()))
}

fn otel_span_id(id: SpanId) -> OtelSpanId {
    OtelSpanId::from(id.0)
}

fn span_context(context: &TraceContext) -> SpanContext {
    let flags = if context.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let (trace_id, span_id) =
        (OtelTraceId::from(context.trace_id.0), otel_span_id(context.span_id));
    SpanContext::new(trace_id, span_id, flags, false, TraceState::default())
}

/// The same moment on both clocks, to a millisecond: a thread that lost its core between the two
/// looks once more.
fn anchor() -> (Instant, SystemTime) {
    let mut both = (Instant::now(), SystemTime::now());
    for _ in 0..3 {
        if both.0.elapsed() < Duration::from_millis(1) {
            break;
        }
        both = (Instant::now(), SystemTime::now());
    }
    both
}

/// What runs within a span: the spans that rooms make there are parts of it, and log lines carry
/// its ids.
#[derive(Clone, Debug)]
pub struct Scope(Context);

impl Scope {
    /// The scope of a span.
    pub fn new(context: TraceContext) -> Self {
        Self(Context::new().with_remote_span_context(span_context(&context)))
    }

    /// Runs `work` within the span.
    pub fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        let _attached = self.0.clone().attach();
        work()
    }

    /// Runs `work` within the span, each time that it is polled.
    pub fn follow<F: Future>(self, work: F) -> Within<F> {
        Within { scope: self, work: Box::pin(work) }
    }
}

/// A future whose polls run within a span.
#[derive(Debug)]
pub struct Within<F> {
    scope: Scope,
    work: Pin<Box<F>>,
}

impl<F: Future> Future for Within<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<F::Output> {
        let Self { scope, work } = &mut *self;
        scope.run(|| work.as_mut().poll(cx))
    }
}

/// The span within which this thread works, when it belongs to a traced request.
pub fn current() -> Option<TraceContext> {
    Context::map_current(|context| {
        if !context.has_active_span() {
            return None;
        }
        let span = context.span();
        let ids = span.span_context();
        ids.is_sampled().then(|| TraceContext {
            trace_id: TraceId(u128::from_be_bytes(ids.trace_id().to_bytes())),
            span_id: SpanId(u64::from_be_bytes(ids.span_id().to_bytes())),
            sampled: true,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_scope_lasts_as_long_as_what_runs_in_it() {
        let context = TraceContext { trace_id: TraceId(1), span_id: SpanId(2), sampled: true };
        let scope = Scope::new(context);
        assert_eq!(current(), None);
        assert_eq!(scope.run(current), Some(context));
        let work = async {
            let before = current();
            tokio::task::yield_now().await;
            (before, current())
        };
        let (within, meanwhile) = tokio::join!(scope.follow(work), async { current() });
        assert_eq!(within, (Some(context), Some(context)));
        assert_eq!((meanwhile, current()), (None, None));
    }

    #[test]
    fn instants_are_dated_by_the_anchor() {
        let now = Instant::now() + Duration::from_secs(60);
        let date = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let root = TraceContext { trace_id: TraceId(1), span_id: SpanId(2), sampled: true };
        let trace = Trace { root, anchor: (now, date) };
        let second = Duration::from_secs(1);
        assert_eq!(trace.date(now - second), date - second);
        assert_eq!(trace.date(now + second), date + second);
    }
}
