//! The exponentially decaying sample of Yammer's biased histograms: 1028 values, alpha 0.015.
//!
//! Only the few values that enter a full sample (about 15 a second, whatever the traffic) take the
//! writers' lock. The others are sent away by a [`Gate`], without working out their priority, and
//! change nothing that threads share but one number. Readers take no lock at all.

use std::cmp::Ordering as Order;
use std::collections::BinaryHeap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::AtomicF64;

/// Values kept.
pub(crate) const SIZE: usize = 1028;
const ALPHA_PER_SECOND: f64 = 0.015;

/// Allocates with the first value.
#[derive(Debug)]
pub(crate) struct Reservoir {
    gate: AtomicU64,
    sample: OnceLock<Box<Sample>>,
}

#[derive(Debug)]
struct Sample {
    started: Duration,
    /// Smallest priority of a full sample, in logarithms; below it a value is not taken.
    threshold: AtomicF64,
    filled: AtomicUsize,
    values: Box<[AtomicI64]>,
    ranks: Mutex<BinaryHeap<Rank>>,
}

#[derive(Debug)]
struct Rank {
    priority: f64,
    slot: usize,
}

impl Reservoir {
    /// Offers a value that was measured at `now`.
    #[inline]
    pub(crate) fn update(&self, value: i64, now: Duration, draw: Draw) {
        let gate = Gate::unpack(self.gate.load(Ordering::Relaxed));
        if !gate.refuses(draw.0, now) {
            self.offer(value, now, draw, gate);
        }
    }

    fn offer(&self, value: i64, now: Duration, draw: Draw, gate: Gate) {
        let sample = self.sample.get_or_init(|| Box::new(Sample::new(now)));
        let threshold = sample.threshold.get();
        if !gate.knows(now) && threshold > f64::NEG_INFINITY {
            let gate = Gate::new(now, sample.started, threshold);
            self.gate.store(gate.pack(), Ordering::Relaxed);
        }
        sample.update(value, now, draw, threshold);
    }

    /// The kept values, ascending, into `out`.
    pub(crate) fn values(&self, out: &mut Vec<i64>) {
        out.clear();
        let Some(sample) = self.sample.get() else { return };
        let filled = sample.filled.load(Ordering::Acquire);
        out.extend(sample.values.iter().take(filled).map(|slot| slot.load(Ordering::Relaxed)));
        out.sort_unstable();
    }
}

impl Default for Reservoir {
    fn default() -> Self {
        Self { gate: AtomicU64::new(Gate::OPEN.pack()), sample: OnceLock::new() }
    }
}

impl Sample {
    fn new(now: Duration) -> Self {
        Self {
            started: now,
            threshold: AtomicF64::new(f64::NEG_INFINITY),
            filled: AtomicUsize::new(0),
            values: (0..SIZE).map(|_| AtomicI64::new(0)).collect(),
            ranks: Mutex::new(BinaryHeap::new()),
        }
    }

    /// A value's priority is its weight e^(alpha * age of the sample) over a random number
    /// between 0 and 1; in logarithms nothing overflows and nothing needs rescaling.
    fn update(&self, value: i64, now: Duration, Draw(draw): Draw, threshold: f64) {
        let age = now.saturating_sub(self.started);
        let priority = ALPHA_PER_SECOND * age.as_secs_f64() - draw.ln();
        if priority <= threshold {
            return;
        }
        let mut ranks = self.ranks.lock();
        if ranks.len() < SIZE {
            let slot = ranks.len();
            self.store(slot, value);
            ranks.push(Rank { priority, slot });
            self.filled.store(slot + 1, Ordering::Release);
        } else if let Some(mut lowest) = ranks.peek_mut()
            && priority > lowest.priority
        {
            self.store(lowest.slot, value);
            lowest.priority = priority;
        }
        if ranks.len() == SIZE
            && let Some(lowest) = ranks.peek()
        {
            self.threshold.set(lowest.priority);
        }
    }

    fn store(&self, slot: usize, value: i64) {
        if let Some(cell) = self.values.get(slot) {
            cell.store(value, Ordering::Relaxed);
        }
    }
}

/// Which draws of one second cannot enter the sample. Its threshold may only have risen since, so
/// that some who pass are refused behind it, and nobody is refused who would be taken.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Gate {
    /// The second of the clock.
    second: u32,
    /// Draws from here on are too large.
    from: f32,
}

impl Gate {
    /// Refuses nobody.
    const OPEN: Self = Self { second: u32::MAX, from: f32::INFINITY };

    /// The gate of the second that runs, for the smallest priority of a full sample.
    #[expect(clippy::cast_possible_truncation, reason = "rounded up")]
    fn new(now: Duration, started: Duration, threshold: f64) -> Self {
        let second = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
        let ends = f64::from(second) + 1.0 - started.as_secs_f64();
        let from = (ALPHA_PER_SECOND * ends - threshold).exp() as f32;
        Self { second, from: from.next_up() }
    }

    fn knows(self, now: Duration) -> bool {
        u64::from(self.second) == now.as_secs()
    }

    fn refuses(self, draw: f64, now: Duration) -> bool {
        draw >= f64::from(self.from) && self.knows(now)
    }

    /// Both in one number, so that no thread reads one of an old pair and one of a new one.
    fn pack(self) -> u64 {
        u64::from(self.second) << 32 | u64::from(self.from.to_bits())
    }

    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    fn unpack(packed: u64) -> Self {
        Self { second: (packed >> 32) as u32, from: f32::from_bits(packed as u32) }
    }
}

/// Numbers by which it is decided what a sample keeps.
#[derive(Debug, Default)]
pub(crate) struct Draws(AtomicU64);

/// One of them: in (0, 1].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draw(f64);

impl Draws {
    /// The next one. Two threads may draw the same: each value has the same chance all the same.
    pub(crate) fn next(&self) -> Draw {
        let next = self.0.load(Ordering::Relaxed);
        self.0.store(next.wrapping_add(1), Ordering::Relaxed);
        Draw(uniform(next))
    }
}

/// The n-th number of a fixed random sequence, in (0, 1] (splitmix64).
#[expect(clippy::cast_precision_loss, reason = "53 bits are what is wanted")]
fn uniform(n: u64) -> f64 {
    let mut z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    ((z >> 11) + 1) as f64 / (1_u64 << 53) as f64
}

/// The heap keeps the smallest priority on top.
impl Ord for Rank {
    fn cmp(&self, other: &Self) -> Order {
        other.priority.total_cmp(&self.priority)
    }
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Order> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Rank {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Order::Equal
    }
}

impl Eq for Rank {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn everything_is_kept_up_to_its_size() {
        let (reservoir, draws) = (Reservoir::default(), Draws::default());
        for value in (0..1028).rev() {
            reservoir.update(value, Duration::ZERO, draws.next());
        }
        let mut out = Vec::new();
        reservoir.values(&mut out);
        assert_eq!(out, (0..1028).collect::<Vec<_>>());
    }

    #[test]
    fn newer_values_push_out_older_ones() {
        let (reservoir, draws) = (Reservoir::default(), Draws::default());
        for _ in 0..10_000 {
            reservoir.update(1, Duration::ZERO, draws.next());
        }
        for _ in 0..10_000 {
            reservoir.update(2, Duration::from_secs(600), draws.next());
        }
        let mut out = Vec::new();
        reservoir.values(&mut out);
        assert_eq!(out.len(), SIZE);
        // e^9 times the weight: nearly all are new.
        assert!(out.iter().filter(|value| **value == 2).count() > 1000);
    }

    proptest! {
        /// Whoever is refused at the gate would be refused behind it.
        #[test]
        fn the_gate_refuses_nobody_who_would_be_taken(
            second in 0..10_000_000_u32,
            before in 0.0..1.0_f64,
            part in 0.0..1.0_f64,
            above in -9.0..9.0_f64,
            near in 0.999_999..1.000_001_f64,
        ) {
            let begins = Duration::from_secs(second.into());
            let started = begins.mul_f64(before);
            let now = begins + Duration::from_secs_f64(part * 0.999);
            let age = now - started;
            let threshold = ALPHA_PER_SECOND * age.as_secs_f64() + above;
            let gate = Gate::new(begins, started, threshold);
            prop_assert_eq!(Gate::unpack(gate.pack()), gate);
            prop_assert!(gate.knows(now) && !gate.knows(begins + Duration::from_secs(1)));
            let taken = (ALPHA_PER_SECOND * age.as_secs_f64() - threshold).exp();
            for draw in [taken * near, taken * 0.999, f64::from(gate.from) * near] {
                let priority = ALPHA_PER_SECOND * age.as_secs_f64() - draw.ln();
                prop_assert!(!gate.refuses(draw, now) || priority <= threshold, "{draw}");
            }
            prop_assert!(gate.refuses(taken * 1.1, now), "it is of use");
        }
    }

    #[test]
    fn what_the_gate_sends_away_would_not_have_been_kept() {
        let (reservoir, draws) = (Reservoir::default(), Draws::default());
        let mut all = Vec::new();
        for value in 0..1_000_000_i64 {
            // 20,000 in a tenth of a second, for five seconds.
            let now = Duration::from_millis(value as u64 / 20_000 * 100);
            let Draw(draw) = draws.next();
            reservoir.update(value, now, Draw(draw));
            all.push((ALPHA_PER_SECOND * now.as_secs_f64() - draw.ln(), value));
        }
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut kept: Vec<_> = all.iter().take(SIZE).map(|(_, value)| *value).collect();
        kept.sort_unstable();
        let mut out = Vec::new();
        reservoir.values(&mut out);
        assert_eq!(out, kept);
        let gate = Gate::unpack(reservoir.gate.load(Ordering::Relaxed));
        assert!(gate.second == 4 && gate.from < 0.01, "{gate:?}");
    }

    #[test]
    fn equal_weights_are_sampled_evenly() {
        let (reservoir, draws) = (Reservoir::default(), Draws::default());
        for value in 0..100_000 {
            reservoir.update(value, Duration::ZERO, draws.next());
        }
        let mut out = Vec::new();
        reservoir.values(&mut out);
        let mean = out.iter().sum::<i64>() as f64 / out.len() as f64;
        assert!((mean - 50_000.0).abs() < 3_000.0, "{mean}");
    }
}
