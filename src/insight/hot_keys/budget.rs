//! How many keys a node looks at: never more than [`LOOKS_A_SECOND`], whatever comes and from the
//! first second on, shared out so that a quiet partition beside a busy one gets its part.
//!
//! What a partition brings is expected to be what it brought in the second before. Half of the looks
//! are for that, and what they allow to all alike is the [`Budget::share`]. Whoever brings more, or
//! comes anew, is looked at by what is left: the longer a stream goes on in a second, and the less is
//! left, the less closely, so that looks last as long as they can. What comes when none is left is told
//! to be unseen.
//! How closely is decided before a key is seen, so that each key is counted as often as it came, in
//! the mean.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Keys that a node looks at in a second, at most.
pub(super) const LOOKS_A_SECOND: u32 = 20_000;
/// Of those, the looks at what is expected.
const EXPECTED_LOOKS: u32 = LOOKS_A_SECOND / 2;
/// One part in so many of the looks that are left is for what has come in this second so far, and
/// again for the same to come.
const PART_OF_LEFT: u64 = 6;
/// Never looked at less closely than one record in so many.
pub(super) const MAX_STRIDE: u32 = 1 << 24;

/// The looks of one second.
#[derive(Debug, Default)]
pub(super) struct Budget {
    spent: AtomicU32,
    /// Records that they stand for: about as many as came to all partitions that are watched.
    stood_for: AtomicU64,
    /// Partitions that had records in this second, and that had some in the second before.
    partitions: AtomicU32,
    expected: AtomicU32,
}

/// What a partition has brought.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    /// Records that are about to come.
    pub(super) coming: u64,
    /// Records of this second before them.
    pub(super) before: u64,
}

impl Budget {
    /// One record in how many may be looked at of what was not expected.
    pub(super) fn stride(&self, stream: Stream) -> u32 {
        let left = LOOKS_A_SECOND.saturating_sub(self.spent.load(Ordering::Relaxed));
        let partitions = self.partitions.load(Ordering::Relaxed);
        let partitions = partitions.max(self.expected.load(Ordering::Relaxed)).max(1);
        // As one of the whole stream of the node; or as one of many partitions, each of which may be
        // looked at alike, if that is closer.
        let all = self.stood_for.load(Ordering::Relaxed).saturating_add(stream.coming);
        let own = stream.before.saturating_add(stream.coming);
        let own = own.saturating_mul(u64::from(partitions));
        let stride = all.min(own).saturating_mul(PART_OF_LEFT).checked_div(u64::from(left));
        let stride = stride.and_then(|stride| u32::try_from(stride).ok());
        stride.map_or(MAX_STRIDE, |stride| stride.clamp(1, MAX_STRIDE))
    }

    /// Takes a look that stands for `stride` records, if there is one left.
    pub(super) fn take(&self, stride: u32) -> bool {
        let more = |spent: u32| spent.checked_add(1).filter(|spent| *spent <= LOOKS_A_SECOND);
        let taken = self.spent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok();
        if taken {
            self.stood_for.fetch_add(stride.into(), Ordering::Relaxed);
        }
        taken
    }

    /// Whether no look is left.
    pub(super) fn is_spent(&self) -> bool {
        self.spent.load(Ordering::Relaxed) >= LOOKS_A_SECOND
    }

    /// Gives back what was taken by [`Self::take`] and not needed.
    pub(super) fn give_back(&self, stride: u32) {
        let less = |spent: u32| Some(spent.saturating_sub(1));
        let fewer = |all: u64| Some(all.saturating_sub(stride.into()));
        let order = Ordering::Relaxed;
        // Both always succeed. What a tick took meanwhile cannot be given back.
        let _ = self.spent.fetch_update(order, order, less);
        let _ = self.stood_for.fetch_update(order, order, fewer);
    }

    /// A partition has its first records of this second.
    pub(super) fn begins(&self) {
        self.partitions.fetch_add(1, Ordering::Relaxed);
    }

    /// Another second begins.
    pub(super) fn tick(&self) {
        self.spent.store(0, Ordering::Relaxed);
        self.stood_for.store(0, Ordering::Relaxed);
        self.partitions.store(0, Ordering::Relaxed);
    }

    /// Looks of each partition in the second that begins, if each brings as many records as are
    /// `expected` of it: all of those that bring fewer, and of the others alike.
    pub(super) fn share(&self, mut expected: Vec<u64>) -> f64 {
        let mut rest = u32::try_from(expected.len()).unwrap_or(u32::MAX);
        self.expected.store(rest, Ordering::Relaxed);
        expected.sort_unstable();
        let mut looks = f64::from(EXPECTED_LOOKS);
        for records in expected {
            let records = as_double(records);
            if records >= looks / f64::from(rest) {
                break;
            }
            looks -= records;
            rest -= 1;
        }
        looks / f64::from(rest.max(1))
    }

    #[cfg(test)]
    pub(super) fn spent(&self) -> u32 {
        self.spent.load(Ordering::Relaxed)
    }
}

/// One record in how many is looked at, so that of these the share is.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
pub(super) fn expected_stride(records: u64, share: f64) -> u32 {
    (as_double(records) / share).ceil().clamp(1.0, f64::from(MAX_STRIDE)) as u32
}

#[expect(clippy::cast_precision_loss, reason = "records of a second")]
fn as_double(records: u64) -> f64 {
    records as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(expected: &[u64]) -> f64 {
        Budget::default().share(expected.to_vec())
    }

    #[test]
    fn what_quiet_partitions_do_not_need_is_for_the_busy_ones() {
        assert_eq!(share(&[]), 10_000.0);
        assert_eq!(share(&[1_000_000]), 10_000.0);
        assert_eq!(share(&[1_000_000; 16]), 625.0);
        assert_eq!(share(&[5_000_000, 100, 1_000_000, 100]), 4900.0);
        assert_eq!(share(&[20, 2_000]), 7980.0);
        assert_eq!(share(&[30; 1000]), 10.0);
        assert_eq!(share(&[5; 40_000]), 0.25);
        assert_eq!(expected_stride(5, 0.25), 20);
        assert_eq!(expected_stride(30, 10.0), 3);
        assert_eq!(expected_stride(3, 10.0), 1);
        assert_eq!(expected_stride(u64::MAX, 0.25), MAX_STRIDE);
    }

    fn take(budget: &Budget, looks: u32) {
        (0..looks).for_each(|_| assert!(budget.take(1)));
    }

    #[test]
    fn no_look_is_taken_twice_and_none_that_is_not_there() {
        let budget = Budget::default();
        take(&budget, LOOKS_A_SECOND);
        assert!(!budget.take(1));
        assert_eq!(budget.stride(Stream { coming: 1, before: 0 }), MAX_STRIDE);
        budget.give_back(1);
        assert_eq!(budget.spent(), LOOKS_A_SECOND - 1);
        assert!(budget.take(10) && !budget.take(10));
        budget.tick();
        // Of a look of the second before.
        budget.give_back(10);
        assert_eq!(budget.spent(), 0);
        assert_eq!(budget.stride(Stream { coming: 1, before: 0 }), 1);
    }

    #[test]
    fn threads_together_take_no_more_than_there_is() {
        let budget = Budget::default();
        let taken: u32 = std::thread::scope(|scope| {
            let takes = || (0..15_000).filter(|_| budget.take(1)).count() as u32;
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(takes)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!((taken, budget.spent()), (LOOKS_A_SECOND, LOOKS_A_SECOND));
    }

    #[test]
    fn claims_of_any_size_are_answered() {
        let budget = Budget::default();
        assert!(budget.take(MAX_STRIDE));
        for coming in [0, 1, u64::MAX] {
            for before in [0, 1, u64::MAX] {
                let stride = budget.stride(Stream { coming, before });
                assert!((1..=MAX_STRIDE).contains(&stride), "{coming} {before} {stride}");
            }
        }
    }
}
