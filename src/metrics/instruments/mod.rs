//! What code moves: meters, histograms, timers, gauges, sensors and texts. An update is a few
//! atomic operations and never waits for a reader.

mod bucketed;
mod cell;
mod exemplars;
mod exponential;
mod histogram;
mod meter;
mod reservoir;
mod sampled_rate;
mod sensor;
mod start_time;

pub use bucketed::NativeHistogram;
pub(crate) use bucketed::{Distribution, HistogramCell};
pub(crate) use cell::CounterCell;
pub use cell::{GaugeCell, Text};
pub(crate) use exemplars::Exemplar;
pub(crate) use exponential::{ExponentialCounts, SCHEMA, ZERO_THRESHOLD};
pub use histogram::{Histogram, Histograms, Snapshot, Timer};
pub(crate) use meter::WeakMeter;
pub use meter::{Meter, Rates};
pub use sampled_rate::{SampleWindows, SampledRate, TokenBucket};
pub use sensor::Sensor;
pub(crate) use start_time::StartTime;

use std::sync::atomic::{AtomicU64, Ordering};

/// True in a build whose instruments do not move. It exists to measure what those that do cost.
pub const BLIND: bool = cfg!(feature = "blind");

/// A double that threads change together.
#[derive(Debug)]
pub(crate) struct AtomicF64(AtomicU64);

impl AtomicF64 {
    pub(crate) fn new(value: f64) -> Self {
        Self(AtomicU64::new(value.to_bits()))
    }

    pub(crate) fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    pub(crate) fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    pub(crate) fn add(&self, value: f64) {
        self.change(|old| old + value);
    }

    /// Applies `next` until no other thread came between; stops early when nothing changes.
    pub(crate) fn change(&self, next: impl Fn(f64) -> f64) {
        let mut old = self.0.load(Ordering::Relaxed);
        loop {
            let new = next(f64::from_bits(old)).to_bits();
            if new == old {
                return;
            }
            match self.0.compare_exchange_weak(old, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(seen) => old = seen,
            }
        }
    }
}
