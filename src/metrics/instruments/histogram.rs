//! Histograms and timers with Yammer's percentiles.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use pharos_base::Clock;

use super::reservoir::{Draw, Draws, Reservoir};
use super::{AtomicF64, BLIND, Meter};

/// Spread of whole numbers: extremes, mean and deviation since start, percentiles of a sample
/// that favours the last five minutes (`com.yammer.metrics.core.Histogram`, biased).
#[derive(Debug, Clone)]
pub struct Histogram {
    set: Arc<Set>,
    column: usize,
}

/// Histograms each of which gets a value of every event: they share a count, and the draws by which
/// their samples choose.
#[derive(Debug, Clone)]
pub struct Histograms(Arc<Set>);

#[derive(Debug)]
struct Set {
    count: AtomicU64,
    draws: Draws,
    columns: Box<[Column]>,
    clock: Clock,
}

/// One cache line.
#[derive(Debug)]
#[repr(C, align(64))]
struct Column {
    min: AtomicI64,
    max: AtomicI64,
    /// The first value: sums are of distances to it, so that squares do not swallow them.
    origin: AtomicI64,
    sum: AtomicF64,
    squares: AtomicF64,
    reservoir: Reservoir,
}

/// A histogram at one moment; all 0 before the first value.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Snapshot {
    /// Number of values.
    pub count: u64,
    /// Smallest value since start.
    pub min: f64,
    /// Largest value since start.
    pub max: f64,
    /// Mean since start.
    pub mean: f64,
    /// Standard deviation since start.
    pub std_dev: f64,
    /// 50th, 75th, 95th, 98th, 99th and 99.9th percentile.
    pub percentiles: [f64; 6],
}

const QUANTILES: [f64; 6] = [0.5, 0.75, 0.95, 0.98, 0.99, 0.999];
const NO_ORIGIN: i64 = i64::MIN;

impl Histograms {
    /// So many, without values; their samples are allocated with the first ones.
    pub fn new(clock: Clock, count: usize) -> Self {
        let columns = (0..count).map(|_| Column::new()).collect();
        Self(Arc::new(Set { count: AtomicU64::new(0), draws: Draws::default(), columns, clock }))
    }

    /// Adds an event: a value for each, in their order.
    pub fn update(&self, values: &[i64]) {
        if !BLIND {
            self.0.update(values, self.0.clock.coarse());
        }
    }

    /// Adds an event at `now` of the registry's clock ([`Clock::coarse`] will do).
    pub fn update_at(&self, values: &[i64], now: Duration) {
        if !BLIND {
            self.0.update(values, now);
        }
    }

    /// One of them, to be read.
    pub(crate) fn column(&self, column: usize) -> Histogram {
        Histogram { set: self.0.clone(), column }
    }
}

impl Set {
    fn update(&self, values: &[i64], now: Duration) {
        let draw = self.draws.next();
        for (column, value) in self.columns.iter().zip(values) {
            column.update(*value, now, draw);
        }
        self.count.fetch_add(1, Ordering::Release);
    }
}

impl Column {
    fn new() -> Self {
        Self {
            min: AtomicI64::new(i64::MAX),
            max: AtomicI64::new(i64::MIN),
            origin: AtomicI64::new(NO_ORIGIN),
            sum: AtomicF64::new(0.0),
            squares: AtomicF64::new(0.0),
            reservoir: Reservoir::default(),
        }
    }

    fn update(&self, value: i64, now: Duration, draw: Draw) {
        let origin = match self.origin.load(Ordering::Relaxed) {
            NO_ORIGIN => self
                .origin
                .compare_exchange(NO_ORIGIN, value, Ordering::Relaxed, Ordering::Relaxed)
                .map_or_else(|seen| seen, |_| value),
            seen => seen,
        };
        if value != origin {
            #[expect(clippy::cast_precision_loss, reason = "a mean needs no more than 53 bits")]
            let distance = value.saturating_sub(origin) as f64;
            self.sum.add(distance);
            self.squares.add(distance * distance);
        }
        // Hardly any value is a new extreme, and to look costs less than to change.
        if value < self.min.load(Ordering::Relaxed) {
            self.min.fetch_min(value, Ordering::Relaxed);
        }
        if value > self.max.load(Ordering::Relaxed) {
            self.max.fetch_max(value, Ordering::Relaxed);
        }
        self.reservoir.update(value, now, draw);
    }
}

impl Histogram {
    /// A histogram without values; its sample is allocated with the first one.
    pub fn new(clock: Clock) -> Self {
        Histograms::new(clock, 1).column(0)
    }

    /// Adds a value. Nothing that is one of several is ever handed out to be updated alone.
    pub fn update(&self, value: i64) {
        if !BLIND {
            self.set.update(&[value], self.set.clock.coarse());
        }
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.set.count.load(Ordering::Acquire)
    }

    /// All figures. `scratch` is reused, so that a reader of many histograms allocates once.
    #[expect(clippy::cast_precision_loss, reason = "figures are doubles")]
    pub fn snapshot(&self, scratch: &mut Vec<i64>) -> Snapshot {
        let count = self.count();
        let Some(inner) = self.set.columns.get(self.column).filter(|_| count > 0) else {
            return Snapshot::default();
        };
        let n = count as f64;
        let sum = inner.sum.get();
        let variance =
            if count > 1 { (inner.squares.get() - sum * sum / n) / (n - 1.0) } else { 0.0 };
        inner.reservoir.values(scratch);
        Snapshot {
            count,
            min: inner.min.load(Ordering::Relaxed) as f64,
            max: inner.max.load(Ordering::Relaxed) as f64,
            mean: inner.origin.load(Ordering::Relaxed) as f64 + sum / n,
            std_dev: variance.max(0.0).sqrt(),
            percentiles: QUANTILES.map(|quantile| percentile(scratch, quantile)),
        }
    }
}

/// Between the two neighbours, as `com.yammer.metrics.stats.Snapshot.getValue` does.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positions inside a sample of 1028"
)]
fn percentile(sorted: &[i64], quantile: f64) -> f64 {
    let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else { return 0.0 };
    let position = quantile * (sorted.len() as f64 + 1.0);
    if position < 1.0 {
        return *first as f64;
    }
    if position >= sorted.len() as f64 {
        return *last as f64;
    }
    let index = position as usize;
    let lower = sorted.get(index - 1).copied().unwrap_or(*first) as f64;
    let upper = sorted.get(index).copied().unwrap_or(*last) as f64;
    lower + (position - position.floor()) * (upper - lower)
}

/// Counts calls, their rate and their durations (`com.yammer.metrics.core.Timer`).
#[derive(Debug, Clone)]
pub struct Timer {
    meter: Meter,
    nanos: Histogram,
}

impl Timer {
    /// A timer without calls.
    pub fn new(clock: Clock) -> Self {
        Self { meter: Meter::new(clock.clone()), nanos: Histogram::new(clock) }
    }

    /// Adds one call.
    pub fn update(&self, duration: Duration) {
        self.nanos.update(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX));
        self.meter.mark(1);
    }

    /// The calls.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// The durations in milliseconds.
    pub fn snapshot_ms(&self, scratch: &mut Vec<i64>) -> Snapshot {
        let nanos = self.nanos.snapshot(scratch);
        Snapshot {
            count: nanos.count,
            min: nanos.min / 1e6,
            max: nanos.max / 1e6,
            mean: nanos.mean / 1e6,
            std_dev: nanos.std_dev / 1e6,
            percentiles: nanos.percentiles.map(|value| value / 1e6),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_follow_yammer() {
        let (clock, _) = Clock::simulated(0);
        let histogram = Histogram::new(clock);
        let mut scratch = Vec::new();
        assert_eq!(histogram.snapshot(&mut scratch), Snapshot::default());
        for value in 1..=100 {
            histogram.update(value);
        }
        let seen = histogram.snapshot(&mut scratch);
        assert_eq!((seen.count, seen.min, seen.max, seen.mean), (100, 1.0, 100.0, 50.5));
        assert!((seen.std_dev - 29.011_491_975_882_016).abs() < 1e-9);
        for (have, want) in seen.percentiles.iter().zip([50.5, 75.75, 95.95, 98.98, 99.99, 100.0]) {
            assert!((have - want).abs() < 1e-9, "{have} {want}");
        }
    }

    #[test]
    fn those_that_are_updated_together_are_read_alone() {
        let (clock, _) = Clock::simulated(0);
        let histograms = Histograms::new(clock, 2);
        for value in 1..=10_000 {
            histograms.update(&[7, value]);
        }
        let [seven, all] = [0, 1].map(|at| histograms.column(at).snapshot(&mut Vec::new()));
        let same = Snapshot {
            count: 10_000,
            min: 7.0,
            max: 7.0,
            mean: 7.0,
            std_dev: 0.0,
            percentiles: [7.0; 6],
        };
        assert_eq!(seven, same);
        assert_eq!((all.count, all.min, all.max, all.mean), (10_000, 1.0, 10_000.0, 5000.5));
        assert!((all.percentiles[0] - 5000.0).abs() < 500.0, "{all:?}");
    }

    #[test]
    fn a_column_is_a_line() {
        assert_eq!(size_of::<Column>(), 64);
    }

    #[test]
    fn timers_read_in_milliseconds() {
        let (clock, _) = Clock::simulated(0);
        let timer = Timer::new(clock);
        timer.update(Duration::from_micros(1500));
        let seen = timer.snapshot_ms(&mut Vec::new());
        assert_eq!((seen.count, seen.max, seen.mean, timer.meter().count()), (1, 1.5, 1.5, 1));
    }
}
