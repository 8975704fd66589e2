//! Histograms of native families: counts by fixed bounds, and what else a page may show of the same
//! values: traced examples, and counts by an exponential scale.
//!
//! The facade's handle knows no traces, so the handle is ours.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::IntoF64;
use pharos_base::{Clock, TraceContext};
use smallvec::SmallVec;

use super::exemplars::{Exemplar, Exemplars};
use super::exponential::{Exponential, ExponentialCounts};
use super::{AtomicF64, BLIND, StartTime};

/// The handle that moves a histogram of a native family.
#[derive(Clone, Debug)]
pub struct NativeHistogram(Option<Arc<HistogramCell>>);

impl NativeHistogram {
    pub(crate) fn new(cell: Arc<HistogramCell>) -> Self {
        Self(Some(cell))
    }

    /// A handle that moves nothing.
    pub fn noop() -> Self {
        Self(None)
    }

    /// Counts a value.
    pub fn record(&self, value: impl IntoF64) {
        self.record_traced(value, None);
    }

    /// Counts a value that was measured in `trace`. Of a trace that is exported, its bucket shows the
    /// value as an exemplar until a newer one comes.
    pub fn record_traced(&self, value: impl IntoF64, trace: Option<&TraceContext>) {
        if !BLIND && let Some(cell) = &self.0 {
            cell.record(value.into_f64(), trace);
        }
    }
}

/// Counts by bucket and their sum. What each value asks stands first.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct HistogramCell {
    bounds: &'static [f64],
    /// One more than bounds: the last holds what lies beyond.
    counts: Box<[AtomicU64]>,
    sum: AtomicF64,
    exponential: Option<Exponential>,
    exemplars: Exemplars,
    started: Option<StartTime>,
    clock: Clock,
}

/// What a histogram has counted, at one moment.
#[derive(Debug)]
pub(crate) struct Distribution {
    pub(crate) bounds: &'static [f64],
    /// Values by bucket, one more than bounds.
    pub(crate) counts: SmallVec<[u64; 20]>,
    pub(crate) sum: f64,
    /// The same values by the exponential scale, when they are counted by it.
    pub(crate) exponential: Option<ExponentialCounts>,
}

impl HistogramCell {
    /// A histogram without values; `exponential` lets it count by that scale as well.
    pub(crate) fn new(bounds: &'static [f64], clock: Clock, exponential: bool) -> Arc<Self> {
        Arc::new(Self {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicF64::new(0.0),
            started: StartTime::now(&clock),
            exemplars: Exemplars::default(),
            exponential: exponential.then(Exponential::default),
            clock,
        })
    }

    fn record(&self, value: f64, trace: Option<&TraceContext>) {
        // Most phases of most requests are shorter than any bound.
        let at = match self.bounds.first() {
            Some(first) if value <= *first => 0,
            _ => self.bounds.partition_point(|bound| *bound < value),
        };
        if let Some(exponential) = &self.exponential {
            exponential.record(value);
        }
        if let Some(count) = self.counts.get(at) {
            // Who sees this one sees the exponential one: `read` relies on it.
            count.fetch_add(1, Ordering::Release);
        }
        self.sum.add(value);
        if let Some(trace) = trace.filter(|trace| trace.sampled && trace.is_valid()) {
            let exemplar = Exemplar::new(trace, value, self.clock.now_ms());
            self.exemplars.keep(at, self.counts.len(), exemplar);
        }
    }

    /// What has been counted. Both scales tell of equally many values, or a reader refuses the page:
    /// one that is being counted right now, and is in the exponential scale alone, is shown in the
    /// last bucket.
    pub(crate) fn read(&self) -> Distribution {
        let mut counts: SmallVec<[u64; 20]> =
            self.counts.iter().map(|count| count.load(Ordering::Acquire)).collect();
        let exponential = self.exponential.as_ref().map(Exponential::counts);
        if let (Some(exponential), Some(last)) = (&exponential, counts.len().checked_sub(1)) {
            let seen: u64 = counts.iter().sum();
            if let Some(last) = counts.get_mut(last) {
                *last += exponential.count.saturating_sub(seen);
            }
        }
        Distribution { bounds: self.bounds, counts, sum: self.sum(), exponential }
    }

    pub(crate) fn sum(&self) -> f64 {
        self.sum.get()
    }

    /// Since when it counts.
    pub(crate) fn started(&self) -> Option<StartTime> {
        self.started
    }

    /// The latest traced value of the bucket `at`.
    pub(crate) fn exemplar(&self, at: usize) -> Option<Exemplar> {
        self.exemplars.latest(at)
    }
}

impl Distribution {
    /// All values.
    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Upper bounds, the last infinite, and how many values do not lie above each.
    pub(crate) fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = self.bounds.iter().copied().chain(std::iter::once(f64::INFINITY));
        bounds.zip(self.counts.iter().scan(0, |below, count| {
            *below += count;
            Some(*below)
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pharos_base::{SpanId, TraceId};

    use super::*;

    const BOUNDS: &[f64] = &[1.0, 10.0];

    fn context(trace: u128, sampled: bool) -> TraceContext {
        TraceContext { trace_id: TraceId(trace), span_id: SpanId(7), sampled }
    }

    #[test]
    fn a_bucket_keeps_its_latest_exemplar() {
        let (clock, hand) = Clock::simulated(5_000);
        let cell = HistogramCell::new(BOUNDS, clock, false);
        let histogram = NativeHistogram::new(cell.clone());
        histogram.record_traced(0.5, Some(&context(1, true)));
        hand.advance(Duration::from_millis(1));
        histogram.record_traced(0.75, Some(&context(2, true)));
        histogram.record_traced(100.0, Some(&context(3, true)));
        let kept = |at| cell.exemplar(at).map(|it| (it.trace_id.0, it.value, it.at_ms));
        let expected = [Some((2, 0.75, 5_001)), None, Some((3, 100.0, 5_001))];
        assert_eq!([kept(0), kept(1), kept(2)], expected);
        assert_eq!(cell.read().counts[..], [2, 0, 1]);
    }

    #[test]
    fn who_is_not_traced_allocates_nothing() {
        let histogram = NativeHistogram::new(HistogramCell::new(BOUNDS, Clock::real(), false));
        let used = allocation_counter::measure(|| {
            histogram.record(1.0);
            histogram.record_traced(1.0, None);
            histogram.record_traced(1.0, Some(&context(1, false)));
            histogram.record_traced(1.0, Some(&context(0, true)));
        });
        assert_eq!(used.count_total, 0);
        let used = allocation_counter::measure(|| {
            for value in [0.5, 5.0, 50.0, 0.5] {
                histogram.record_traced(value, Some(&context(1, true)));
            }
        });
        assert_eq!(used.count_total, 1, "one place for each bucket, at once");
    }

    /// While values are counted, every reading of both scales tells of equally many.
    #[test]
    fn both_scales_agree_at_any_moment() {
        let cell = HistogramCell::new(BOUNDS, Clock::real(), true);
        let histogram = NativeHistogram::new(cell.clone());
        std::thread::scope(|scope| {
            scope.spawn(|| (0..100_000).for_each(|n| histogram.record(f64::from(n % 20))));
            let mut before = 0;
            while before < 100_000 {
                let seen = cell.read();
                assert_eq!(seen.count(), seen.exponential.as_ref().unwrap().count);
                assert!(seen.count() >= before);
                before = seen.count();
            }
        });
        assert_eq!(cell.read().counts[..], [10_000, 45_000, 45_000]);
    }
}
