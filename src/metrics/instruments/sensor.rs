//! Kafka's own metrics: figures over a sliding window of two samples of 30 seconds
//! (`org.apache.kafka.common.metrics.Sensor` and its stats).

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pharos_base::Clock;

use super::{AtomicF64, BLIND};
use crate::row::Stat;

const WINDOW_MS: u64 = 30_000;
/// Windows that figures cover: the running one and the one before it.
const COVERED: u64 = 2;
const SLOTS: usize = 3;
/// The number of a slot that a writer is clearing.
const CLEARING: u64 = u64::MAX;
const EMPTY: u64 = u64::MAX - 1;
/// Times that a writer looks again while another clears the slot; then it writes anyway.
const MAX_SPINS: u32 = 1_000;

/// Records values; the bean's row says which figures show them.
#[derive(Debug, Clone)]
pub struct Sensor(Arc<Inner>);

/// What each value asks stands first.
#[derive(Debug)]
#[repr(C, align(64))]
struct Inner {
    total: AtomicF64,
    count: AtomicU64,
    born: Duration,
    quantiles: bool,
    clock: Clock,
    windows: [Window; SLOTS],
}

/// What came since a window opened is told by what the sensor had counted by then: so a value that
/// lies between the extremes moves nothing of its window but the bucket of its size, where one is
/// kept. A value that comes while another thread opens the window may be in its count and not in its
/// sum.
#[derive(Debug)]
struct Window {
    number: AtomicU64,
    total_before: AtomicF64,
    count_before: AtomicU64,
    max: AtomicF64,
    min: AtomicF64,
    buckets: OnceLock<Box<[AtomicU32]>>,
}

impl Sensor {
    /// A sensor that keeps what quantiles need only when asked to.
    pub fn new(clock: Clock, quantiles: bool) -> Self {
        let born = clock.coarse();
        let windows = std::array::from_fn(|_| Window {
            number: AtomicU64::new(EMPTY),
            total_before: AtomicF64::new(0.0),
            count_before: AtomicU64::new(0),
            max: AtomicF64::new(f64::NEG_INFINITY),
            min: AtomicF64::new(f64::INFINITY),
            buckets: OnceLock::new(),
        });
        Self(Arc::new(Inner {
            clock,
            born,
            total: AtomicF64::new(0.0),
            count: AtomicU64::new(0),
            windows,
            quantiles,
        }))
    }

    /// Records a value now.
    pub fn record(&self, value: f64) {
        if BLIND {
            return;
        }
        let inner = &*self.0;
        let number = inner.age_ms() / WINDOW_MS;
        let Some(window) = inner.slot(number) else { return };
        inner.open(window, number);
        inner.total.add(value);
        if value > window.max.get() {
            window.max.change(|old| old.max(value));
        }
        if value < window.min.get() {
            window.min.change(|old| old.min(value));
        }
        if inner.quantiles {
            let buckets = window.buckets.get_or_init(buckets::new);
            if let Some(bucket) = buckets.get(buckets::index(value)) {
                bucket.fetch_add(1, Ordering::Relaxed);
            }
        }
        inner.count.fetch_add(1, Ordering::Release);
    }

    /// A figure as of now.
    #[expect(clippy::cast_precision_loss, reason = "figures are doubles")]
    pub fn figure(&self, stat: Stat) -> f64 {
        let inner = &*self.0;
        match stat {
            Stat::Total => return inner.total.get(),
            Stat::Count => return inner.count.load(Ordering::Relaxed) as f64,
            _ => {}
        }
        let now_ms = inner.age_ms();
        let number = now_ms / WINDOW_MS;
        let live = || {
            (number.saturating_sub(COVERED - 1)..=number).filter_map(|n| {
                inner.slot(n).filter(|w| w.number.load(Ordering::Acquire) == n).map(|w| (n, w))
            })
        };
        let oldest = live().next();
        let count = oldest.map_or(0, |(_, window)| {
            let count = inner.count.load(Ordering::Acquire);
            count.saturating_sub(window.count_before.load(Ordering::Relaxed))
        });
        let sum = oldest.map_or(0.0, |(_, window)| inner.total.get() - window.total_before.get());
        let seconds = || {
            let oldest = oldest.map_or(now_ms, |(n, _)| n * WINDOW_MS);
            let elapsed = now_ms.saturating_sub(oldest);
            // `Rate.windowSize`: at least one full window besides the running one.
            let missing = (COVERED - 1).saturating_sub(elapsed / WINDOW_MS) * WINDOW_MS;
            (elapsed + missing).max(1) as f64 / 1000.0
        };
        match stat {
            Stat::Rate => sum / seconds(),
            Stat::Ratio => sum / 1e9 / seconds(),
            Stat::CountRate => count as f64 / seconds(),
            Stat::Total | Stat::Count => f64::NAN,
            Stat::HistogramMax | Stat::HistogramQuantile(_) if count == 0 => 0.0,
            _ if count == 0 => f64::NAN,
            Stat::Avg => sum / count as f64,
            Stat::Max | Stat::HistogramMax => {
                live().map(|(_, w)| w.max.get()).fold(f64::NEG_INFINITY, f64::max)
            }
            Stat::Min => live().map(|(_, w)| w.min.get()).fold(f64::INFINITY, f64::min),
            Stat::Quantile(share) | Stat::HistogramQuantile(share) => {
                buckets::quantile(share, live().filter_map(|(_, w)| w.buckets.get()))
            }
        }
    }
}

impl Inner {
    fn age_ms(&self) -> u64 {
        let age = self.clock.coarse().saturating_sub(self.born);
        u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
    }

    fn slot(&self, number: u64) -> Option<&Window> {
        self.windows.get(usize::try_from(number % SLOTS as u64).unwrap_or(0))
    }

    /// Makes this slot the window of that number; the first writer of a new window clears it.
    fn open(&self, window: &Window, number: u64) {
        for _ in 0..MAX_SPINS {
            let seen = window.number.load(Ordering::Acquire);
            if seen == number {
                return;
            }
            if seen == CLEARING {
                std::hint::spin_loop();
                continue;
            }
            let claim =
                window.number.compare_exchange(seen, CLEARING, Ordering::AcqRel, Ordering::Relaxed);
            if claim.is_ok() {
                window.count_before.store(self.count.load(Ordering::Acquire), Ordering::Relaxed);
                window.total_before.set(self.total.get());
                window.max.set(f64::NEG_INFINITY);
                window.min.set(f64::INFINITY);
                for bucket in window.buckets.get().into_iter().flatten() {
                    bucket.store(0, Ordering::Relaxed);
                }
                window.number.store(number, Ordering::Release);
                return;
            }
        }
    }
}

/// Counts by size: exact to 63, then 32 steps per power of two.
mod buckets {
    use super::{AtomicU32, Ordering};

    const STEPS: u32 = 32;
    const EXACT: u64 = 64;
    const LEN: usize = 64 + 27 * 32;

    pub(super) fn new() -> Box<[AtomicU32]> {
        (0..LEN).map(|_| AtomicU32::new(0)).collect()
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
    pub(super) fn index(value: f64) -> usize {
        let whole = value.clamp(0.0, f64::from(u32::MAX)) as u64;
        if whole < EXACT {
            return whole as usize;
        }
        let power = 63 - whole.leading_zeros();
        let step = (whole >> (power - 5)) as u32 - STEPS;
        ((power - 6) * STEPS + step) as usize + EXACT as usize
    }

    /// The middle of a bucket, which is the number itself where buckets are exact.
    #[expect(clippy::cast_precision_loss, reason = "below 2^33")]
    fn middle(index: usize) -> f64 {
        let Some(above) = index.checked_sub(EXACT as usize) else { return index as f64 };
        let (power, step) = (above as u64 / u64::from(STEPS) + 6, above as u64 % u64::from(STEPS));
        let width = 1 << (power - 5);
        ((u64::from(STEPS) + step) * width + width / 2) as f64
    }

    pub(super) fn quantile<'a>(
        share: f64,
        windows: impl Iterator<Item = &'a Box<[AtomicU32]>>,
    ) -> f64 {
        let mut counts = vec![0_u64; LEN];
        for window in windows {
            for (sum, bucket) in counts.iter_mut().zip(window.iter()) {
                *sum += u64::from(bucket.load(Ordering::Relaxed));
            }
        }
        let all: u64 = counts.iter().sum();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank among the counted"
        )]
        let rank = ((share * all as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return middle(index);
            }
        }
        f64::NAN
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn buckets_lie_close_to_their_values() {
            for value in (0..100_000_u64).chain([1 << 20, (1 << 32) - 1]) {
                let away = (middle(index(value as f64)) - value as f64).abs();
                assert!(away <= value as f64 / 64.0, "{value}: {away}");
            }
            assert!(index(f64::MAX) < LEN && index(f64::NAN) == 0 && index(-1.0) == 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_cover_two_windows() {
        let (clock, hand) = Clock::simulated(0);
        let sensor = Sensor::new(clock, false);
        assert_eq!(sensor.figure(Stat::Rate), 0.0);
        assert!(sensor.figure(Stat::Rate).is_sign_positive(), "Kafka shows no -0.0");
        assert!(sensor.figure(Stat::Ratio).is_sign_positive(), "Kafka shows no -0.0");
        assert!(sensor.figure(Stat::Avg).is_nan() && sensor.figure(Stat::Max).is_nan());
        sensor.record(10.0);
        sensor.record(20.0);
        hand.advance(Duration::from_secs(5));
        // Five seconds of the running window and one full one that Kafka assumes.
        assert_eq!(sensor.figure(Stat::Rate), 30.0 / 35.0);
        assert_eq!(sensor.figure(Stat::CountRate), 2.0 / 35.0);
        assert_eq!((sensor.figure(Stat::Avg), sensor.figure(Stat::Max)), (15.0, 20.0));
        assert_eq!(sensor.figure(Stat::Min), 10.0);
        hand.advance(Duration::from_secs(30));
        sensor.record(60.0);
        assert_eq!(sensor.figure(Stat::Rate), 90.0 / 35.0);
        hand.advance(Duration::from_secs(30));
        assert_eq!((sensor.figure(Stat::Avg), sensor.figure(Stat::Max)), (60.0, 60.0));
        hand.advance(Duration::from_secs(60));
        assert_eq!(sensor.figure(Stat::Rate), 0.0);
        assert!(sensor.figure(Stat::Max).is_nan());
        assert_eq!((sensor.figure(Stat::Total), sensor.figure(Stat::Count)), (90.0, 3.0));
    }

    #[test]
    fn quantiles_are_exact_for_small_values() {
        let (clock, _) = Clock::simulated(0);
        let sensor = Sensor::new(clock, true);
        for value in 1..=50 {
            sensor.record(f64::from(value));
        }
        assert_eq!(sensor.figure(Stat::Quantile(0.5)), 25.0);
        assert_eq!(sensor.figure(Stat::Quantile(0.999)), 50.0);
    }

    #[test]
    fn a_histogram_without_values_reads_zero() {
        let (clock, hand) = Clock::simulated(0);
        let sensor = Sensor::new(clock, true);
        let figures =
            || [Stat::HistogramMax, Stat::HistogramQuantile(0.5)].map(|stat| sensor.figure(stat));
        assert_eq!(figures(), [0.0, 0.0]);
        sensor.record(7.0);
        assert_eq!(figures(), [7.0, 7.0]);
        hand.advance(Duration::from_secs(90));
        assert_eq!(figures(), [0.0, 0.0]);
    }
}
