//! Space-Saving (Metwally, Agrawal, El Abbadi 2005): a fixed number of counters that hold every key
//! with more than its part of a stream.
//!
//! With N counted and m counters, each count is at least what the key really had, and above it by
//! its `error` at most; no key without a counter had more than the least count, which is N/m at
//! most. That holds for weights as for ones.

use super::KeyName;

/// Counters of a partition: one more than a hundred, and to a multiple of [`LANES`], so that no key
/// above 1 % is missed.
pub(super) const COUNTERS: usize = 104;
/// Names that are compared at once.
const LANES: usize = 8;

/// A key and what was counted of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) name: KeyName,
    /// Most that it may have had.
    pub(super) count: u32,
    /// How much less it may have had.
    pub(super) error: u32,
}

/// The counters.
#[derive(Clone, Debug)]
pub(super) struct Counters {
    /// Counters in use, the first ones.
    len: usize,
    /// No counter is below it once all are in use.
    floor: u32,
    /// Every counter before this one is above the floor.
    cursor: usize,
    names: [KeyName; COUNTERS],
    counts: [u32; COUNTERS],
    errors: [u32; COUNTERS],
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            len: 0,
            floor: 0,
            cursor: 0,
            names: [0; COUNTERS],
            counts: [0; COUNTERS],
            errors: [0; COUNTERS],
        }
    }
}

impl Counters {
    /// Counts a key `weight` times.
    pub(super) fn add(&mut self, name: KeyName, weight: u32) {
        let known = self.position(name);
        let (at, base) = match known {
            Some(at) => (at, None),
            None if self.len < COUNTERS => {
                self.len += 1;
                (self.len - 1, Some(0))
            }
            None => {
                let at = self.least();
                (at, Some(self.counts.get(at).copied().unwrap_or(0)))
            }
        };
        let places = (self.names.get_mut(at), self.counts.get_mut(at), self.errors.get_mut(at));
        let (Some(held), Some(count), Some(error)) = places else { return };
        if let Some(base) = base {
            (*held, *count, *error) = (name, base, base);
        }
        *count = count.saturating_add(weight);
    }

    /// What was counted of a key, if it has a counter.
    pub(super) fn get(&self, name: KeyName) -> Option<Counted> {
        self.at(self.position(name)?)
    }

    /// Most that a key without a counter may have had.
    pub(super) fn bound(&self) -> u32 {
        if self.len < COUNTERS { 0 } else { self.counts.iter().copied().min().unwrap_or(0) }
    }

    /// All keys that have a counter.
    pub(super) fn iter(&self) -> impl Iterator<Item = Counted> {
        (0..self.len).filter_map(|at| self.at(at))
    }

    fn at(&self, at: usize) -> Option<Counted> {
        let (name, count) = (*self.names.get(at)?, *self.counts.get(at)?);
        Some(Counted { name, count, error: *self.errors.get(at)? })
    }

    fn position(&self, name: KeyName) -> Option<usize> {
        let (lanes, _) = self.names.as_chunks::<LANES>();
        // Without a branch in a lane, so that the names are compared side by side.
        let has = |lane: &[KeyName; LANES]| lane.iter().fold(false, |any, it| any | (*it == name));
        let lane = lanes.iter().position(has)?;
        let within = lanes.get(lane)?.iter().position(|it| *it == name)?;
        // What is not in use reads 0, and lies behind all that is.
        Some(lane * LANES + within).filter(|at| *at < self.len)
    }

    /// A counter that no other is below.
    fn least(&mut self) -> usize {
        if let Some(at) = self.at_floor() {
            return at;
        }
        self.floor = self.counts.iter().copied().min().unwrap_or(0);
        self.cursor = 0;
        self.at_floor().unwrap_or(0)
    }

    /// Counts only grow: what was passed over is above the floor for ever.
    fn at_floor(&mut self) -> Option<usize> {
        let rest = self.counts.get(self.cursor..)?;
        let at = self.cursor + rest.iter().position(|count| *count == self.floor)?;
        self.cursor = at;
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// Counts a stream, and holds everything that Space-Saving promises against the truth.
    fn check(stream: impl IntoIterator<Item = (KeyName, u32)>) -> Counters {
        let (mut counters, mut truth, mut all) = (Counters::default(), HashMap::new(), 0u64);
        for (name, weight) in stream {
            counters.add(name, weight);
            *truth.entry(name).or_insert(0u64) += u64::from(weight);
            all += u64::from(weight);
        }
        let bound = u64::from(counters.bound());
        assert!(bound * COUNTERS as u64 <= all, "{bound} of {all}");
        let listed: u64 = counters.iter().map(|it| u64::from(it.count)).sum();
        assert_eq!(listed, all);
        for (name, had) in &truth {
            let Some(it) = counters.get(*name) else {
                assert!(*had <= bound, "{name} had {had}, the bound is {bound}");
                continue;
            };
            assert!(u64::from(it.count) >= *had, "{it:?} had {had}");
            assert!(u64::from(it.count - it.error) <= *had, "{it:?} had {had}");
            assert!(u64::from(it.error) <= bound, "{it:?} had {had}");
        }
        counters
    }

    #[test]
    fn few_keys_are_counted_exactly() {
        let counters = check((0..COUNTERS as u64).flat_map(|key| [(key, 1), (key, 2)]));
        assert!(counters.iter().all(|it| (it.count, it.error) == (3, 0)));
        assert_eq!(Counters::default().get(0), None);
    }

    #[test]
    fn streams_that_mean_harm_keep_the_bounds() {
        // No key twice; all keys in turn; the hot key last; the hot key among ever new ones.
        check((0..10_000).map(|key| (key, 1)));
        check((0..10_000).map(|n| (n % (COUNTERS as u64 + 1), 1)));
        let late = check((0..10_000).map(|n| (if n > 9_800 { 7_000_000 } else { n }, 1)));
        assert!(late.get(7_000_000).is_some());
        let hidden = check((0..100_000).map(|n| (if n % 97 == 0 { u64::MAX } else { n }, 1)));
        let found = hidden.get(u64::MAX).unwrap();
        assert!(found.count >= 1031 && found.count - found.error <= 1031, "{found:?}");
    }

    proptest! {
        #[test]
        fn the_bounds_hold_for_any_stream(
            stream in prop::collection::vec((0..400u64, 1..50u32), 0..3000),
            hot in 0..400u64,
            every in 1..50usize,
        ) {
            check(stream.into_iter().enumerate().map(|(n, (key, weight))| {
                (if n % every == 0 { hot } else { key }, weight)
            }));
        }
    }
}
