//! Examples of what a histogram counted: of each bucket the latest value that belongs to a trace
//! which somebody can look at.

use std::sync::OnceLock;

use parking_lot::Mutex;
use pharos_base::{SpanId, TraceContext, TraceId};

/// One traced value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Exemplar {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    pub(crate) value: f64,
    /// When it was counted, in milliseconds since 1970.
    pub(crate) at_ms: i64,
}

/// One place for each bucket, allocated with the first exemplar.
#[derive(Debug, Default)]
pub(crate) struct Exemplars(OnceLock<Box<[Mutex<Option<Exemplar>>]>>);

impl Exemplar {
    pub(crate) fn new(trace: &TraceContext, value: f64, at_ms: i64) -> Self {
        Self { trace_id: trace.trace_id, span_id: trace.span_id, value, at_ms }
    }
}

impl Exemplars {
    /// Keeps it as the latest of bucket `at` of `buckets`. Never waits: when another thread is at
    /// that place, its exemplar is as good.
    pub(crate) fn keep(&self, at: usize, buckets: usize, exemplar: Exemplar) {
        let places = self.0.get_or_init(|| (0..buckets).map(|_| Mutex::default()).collect());
        if let Some(mut place) = places.get(at).and_then(Mutex::try_lock) {
            *place = Some(exemplar);
        }
    }

    /// The latest of bucket `at`.
    pub(crate) fn latest(&self, at: usize) -> Option<Exemplar> {
        *self.0.get()?.get(at)?.lock()
    }
}
