//! Counts by buckets whose bounds grow by a fixed factor: what Prometheus calls a native histogram
//! (prometheus/client_model, `metrics.proto`).
//!
//! Each power of two is an octave of eight buckets, so that a bound is 9 % above the one before. An
//! octave is allocated with its first value, and their number is fixed: what lies beyond the last
//! counts in its last bucket.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use smallvec::SmallVec;

/// Prometheus' number of this scale: bounds are the powers of 2^(2^-3).
pub(crate) const SCHEMA: i32 = 3;
/// Values up to this one are not told from 0: a microsecond in seconds.
pub(crate) const ZERO_THRESHOLD: f64 = 1.0 / 1_048_576.0;

const PER_OCTAVE: usize = 8;
/// Buckets from 2^-20 up to 2^44.
const OCTAVES: usize = 64;
/// Key of the first bucket: the one above the threshold.
const FIRST_KEY: i32 = -159;
/// What a power of two is divided by: 2^(-1/8), 2^(-2/8) ... in ascending order from a half.
const FRACTIONS: [f64; PER_OCTAVE] = [
    0.5,
    0.545_253_866_332_628_8,
    0.594_603_557_501_360_5,
    0.648_419_777_325_504_8,
    std::f64::consts::FRAC_1_SQRT_2,
    0.771_105_412_703_970_4,
    0.840_896_415_253_714_5,
    0.917_004_043_204_671_1,
];
/// Runs of this many empty buckets are written out rather than skipped: it is shorter.
const SHORT_GAP: i32 = 2;

type Octave = OnceLock<Box<[AtomicU64; PER_OCTAVE]>>;

/// The counts of one series.
#[derive(Debug, Default)]
pub(crate) struct Exponential {
    zero: AtomicU64,
    octaves: OnceLock<Box<[Octave; OCTAVES]>>,
}

/// The counts at one moment, in the form in which they are written.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct ExponentialCounts {
    /// All values.
    pub(crate) count: u64,
    /// Values that are not told from 0.
    pub(crate) zero: u64,
    /// Runs of neighbouring buckets: how many are skipped before one (of the first run: the key of
    /// its first bucket), and how many there are.
    pub(crate) spans: SmallVec<[(i32, u32); 8]>,
    /// The buckets of all runs, each as the difference to the one before it.
    pub(crate) deltas: SmallVec<[i64; 32]>,
}

impl Exponential {
    /// Counts a value. What is no number, and what is negative, counts as 0.
    pub(crate) fn record(&self, value: f64) {
        let Some(place) = place(value) else {
            self.zero.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let octaves = self.octaves.get_or_init(|| Box::new(std::array::from_fn(|_| Octave::new())));
        let Some(octave) = octaves.get(place / PER_OCTAVE) else { return };
        let octave = octave.get_or_init(Box::default);
        if let Some(count) = octave.get(place % PER_OCTAVE) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What has been counted.
    pub(crate) fn counts(&self) -> ExponentialCounts {
        let zero = self.zero.load(Ordering::Relaxed);
        let mut counts = ExponentialCounts { count: zero, zero, ..ExponentialCounts::default() };
        let mut before = 0;
        let mut next_key = 0;
        let octaves = self.octaves.get().into_iter().flat_map(|octaves| octaves.iter());
        for (octave, first) in octaves.zip((FIRST_KEY..).step_by(PER_OCTAVE)) {
            let octave = octave.get().into_iter().flat_map(|octave| octave.iter());
            for (key, count) in (first..).zip(octave) {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    counts.push(key - next_key, count, &mut before);
                    next_key = key + 1;
                }
            }
        }
        counts
    }
}

impl ExponentialCounts {
    /// Appends a bucket that lies `gap` buckets behind the last one.
    fn push(&mut self, gap: i32, count: u64, before: &mut i64) {
        let close = (0..=SHORT_GAP).contains(&gap);
        match self.spans.last_mut() {
            Some((_, length)) if close => {
                *length += 1 + gap.unsigned_abs();
                for _ in 0..gap {
                    self.deltas.push(-std::mem::take(before));
                }
            }
            _ => self.spans.push((gap, 1)),
        }
        self.count += count;
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.deltas.push(count - *before);
        *before = count;
    }
}

/// The place of a value's bucket, counted from the first; `None` for the zero bucket.
fn place(value: f64) -> Option<usize> {
    let above = value > ZERO_THRESHOLD;
    if !above {
        return None;
    }
    let bits = value.to_bits();
    // In [0.5, 1): the value divided by the next power of two.
    let fraction = f64::from_bits((bits & ((1 << 52) - 1)) | (1022 << 52));
    let octave = usize::try_from(bits >> 52).unwrap_or(0).saturating_sub(1022 - 19);
    let within = FRACTIONS.partition_point(|bound| *bound < fraction);
    // A power of two is the upper bound of the octave below.
    let place = (octave * PER_OCTAVE + within).saturating_sub(1);
    Some(place.min(OCTAVES * PER_OCTAVE - 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Upper bound of the bucket of that key.
    fn bound(key: i32) -> f64 {
        2_f64.powf(f64::from(key) / 8.0)
    }

    /// Keys and counts of the buckets that are not empty.
    fn buckets(counts: &ExponentialCounts) -> Vec<(i32, i64)> {
        let mut out = Vec::new();
        let mut deltas = counts.deltas.iter();
        let (mut key, mut count) = (0, 0);
        for (offset, length) in &counts.spans {
            key += offset;
            for _ in 0..*length {
                count += deltas.next().unwrap();
                out.push((key, count));
                key += 1;
            }
        }
        assert_eq!(deltas.next(), None);
        out.retain(|(_, count)| *count > 0);
        out
    }

    fn counted(values: &[f64]) -> ExponentialCounts {
        let histogram = Exponential::default();
        values.iter().for_each(|value| histogram.record(*value));
        histogram.counts()
    }

    #[test]
    fn bounds_belong_to_the_bucket_below() {
        for (value, key) in [(1.0, 0), (1.000_001, 1), (2.0, 8), (0.5, -8), (1024.0, 80)] {
            assert_eq!(buckets(&counted(&[value])), [(key, 1)], "{value}");
        }
        let first = ZERO_THRESHOLD * 1.000_001;
        assert_eq!(buckets(&counted(&[first])), [(FIRST_KEY, 1)]);
        let zeros = counted(&[0.0, -1.0, f64::NAN, ZERO_THRESHOLD, f64::MIN_POSITIVE]);
        assert_eq!((zeros.zero, zeros.count, zeros.spans.len()), (5, 5, 0));
        let last = FIRST_KEY + 511;
        assert_eq!(bound(last), 2_f64.powi(44));
        assert_eq!(buckets(&counted(&[2_f64.powi(44), 1e300, f64::INFINITY])), [(last, 3)]);
    }

    #[test]
    fn short_gaps_are_written_out_and_long_ones_skipped() {
        let at = |key: i32| bound(key) * 0.999;
        let counts = counted(&[at(3), at(3), at(6), at(10)]);
        assert_eq!(counts.spans[..], [(3, 4), (3, 1)]);
        assert_eq!(counts.deltas[..], [2, -2, 0, 1, 0]);
        assert_eq!(counts.count, 4);
    }

    proptest! {
        /// A value lies within the bounds of its bucket, and nothing is lost.
        #[test]
        fn values_are_found_in_their_buckets(
            values in prop::collection::vec(prop_oneof![1e-6..100.0, 1.0..1e9], 1..40),
        ) {
            for value in &values {
                let found = buckets(&counted(&[*value]));
                let [(key, 1)] = found[..] else { panic!("{found:?}") };
                prop_assert!(*value <= bound(key) * (1.0 + 1e-12));
                prop_assert!(*value >= bound(key - 1) * (1.0 - 1e-12));
            }
            let counts = counted(&values);
            let sum: i64 = buckets(&counts).iter().map(|(_, count)| count).sum();
            prop_assert_eq!(sum, i64::try_from(values.len()).unwrap());
            prop_assert_eq!(counts.count, values.len() as u64);
        }
    }
}
