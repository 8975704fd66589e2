//! A place of a topic in which a partition is watched: where in the stream of its records is looked
//! next.
//!
//! The stream is cut into stretches, and one record of each is looked at, at random, for all of it. How
//! long a stretch is is decided when it begins, before a key of it is seen, so that each key is counted
//! as often as it came, in the mean, whatever batches it came in. Most batches lie between two looks:
//! they move the position and go on.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use smallvec::SmallVec;

use super::budget::{self, Budget, MAX_STRIDE, Stream};

/// Half more than what is expected is as expected.
const TOLERANCE: u64 = 2;
/// Steps of SplitMix64.
pub(super) const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
/// Looks at one batch, at most.
const MAX_LOOKS_OF_BATCH: u64 = 4096;

/// Partitions that are written to at the same time share no cache line.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Place {
    /// Records that came, or are on their way. Those of a refused batch are taken back; else it only
    /// grows.
    position: AtomicU64,
    /// What ends before it is not looked at.
    next: AtomicU64,
    course: Mutex<Course>,
}

#[derive(Debug)]
struct Course {
    /// Where the second began.
    second: u64,
    /// The stretch that goes on: where it began, how long it is (0 when there is none), and which of
    /// its records is still to be looked at.
    from: u64,
    stride: u32,
    look: Option<u32>,
    /// Records that are expected in this second, and one in how many of those is looked at.
    expected: u64,
    usual: u32,
    seed: u64,
    variance: u64,
    coarsest: u32,
}

/// A record of a batch that is to be looked at, and how many it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) index: i32,
    pub(super) weight: u32,
}

pub(super) type Looks = SmallVec<[Look; 4]>;

/// What came, and how closely it was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) records: u64,
    /// Variance of what sampling makes of a key's count, at most.
    pub(super) variance: u64,
    /// Largest stride.
    pub(super) coarsest: u32,
}

impl Place {
    pub(super) fn new() -> Self {
        let course = Course {
            second: 0,
            from: 0,
            stride: 0,
            look: None,
            expected: 0,
            usual: 1,
            seed: 0,
            variance: 0,
            coarsest: 0,
        };
        Self { position: AtomicU64::new(0), next: AtomicU64::new(0), course: Mutex::new(course) }
    }

    /// A partition begins, with dice of this seed.
    pub(super) fn begin(&self, seed: u64) {
        self.drain();
        let mut course = self.course.lock();
        (course.expected, course.usual, course.seed) = (0, 1, seed);
    }

    /// A batch of so many records comes. Which of them are to be looked at is added to `looks`, in
    /// order.
    #[inline]
    pub(super) fn claim(&self, coming: u32, budget: &Budget, looks: &mut Looks) {
        let from = self.position.fetch_add(coming.into(), Ordering::Relaxed);
        let to = from.saturating_add(coming.into());
        if to > self.next.load(Ordering::Relaxed) {
            self.stop(from, to, budget, looks);
        }
    }

    /// A stretch ends in what comes from `from` to `to`, or a look is due.
    fn stop(&self, from: u64, to: u64, budget: &Budget, looks: &mut Looks) {
        let coming = to.saturating_sub(from);
        let least = u32::try_from(coming / MAX_LOOKS_OF_BATCH + 1).unwrap_or(MAX_STRIDE);
        let mut course = self.course.lock();
        if course.stride == 0 {
            course.open(from, to, least, budget);
        }
        loop {
            if let Some(at) = course.look_before(to) {
                // One that a batch beside this one has passed over is made up for.
                let least = looks.last().map_or(0, |last| last.index.saturating_add(1));
                let index = i32::try_from(at.saturating_sub(from)).unwrap_or(i32::MAX).max(least);
                looks.push(Look { index, weight: course.stride });
                course.look = None;
            }
            let ends = course.ends();
            if ends >= to {
                break;
            }
            course.close(ends);
            course.open(ends, to, least, budget);
        }
        self.next.store(course.next(), Ordering::Relaxed);
    }

    /// Takes back what was claimed and did not come. What was to be looked at next may have been
    /// decided by it, so that is decided anew.
    pub(super) fn take_back(&self, records: u64, budget: &Budget) {
        let mut course = self.course.lock();
        self.position.fetch_sub(records, Ordering::Relaxed);
        course.cut(self.position.load(Ordering::Relaxed));
        if course.look.take().is_some() {
            budget.give_back(course.stride);
        }
        course.stride = 0;
        self.next.store(0, Ordering::Relaxed);
    }

    /// What came since the last time.
    pub(super) fn drain(&self) -> Taken {
        let mut course = self.course.lock();
        let position = self.position.load(Ordering::Relaxed);
        course.cut(position);
        (course.stride, course.look) = (0, None);
        self.next.store(0, Ordering::Relaxed);
        // What was taken back after it was counted is made up for.
        let records = position.saturating_sub(course.second);
        course.second = course.second.max(position);
        let variance = std::mem::take(&mut course.variance);
        Taken { records, variance, coarsest: std::mem::take(&mut course.coarsest) }
    }

    /// Expects as many records as came in the second that is over, or half of what was expected: what
    /// pauses goes on as before. Returns how many.
    pub(super) fn expect(&self, came: u64) -> u64 {
        let mut course = self.course.lock();
        course.expected = came.max(course.expected / 2);
        course.expected
    }

    /// Looks at as many of the records that are expected as the share is.
    pub(super) fn share(&self, share: f64) {
        let mut course = self.course.lock();
        course.usual = budget::expected_stride(course.expected, share);
    }
}

impl Course {
    /// A stretch of `least` records or more begins at `from`, where a batch that ends at `to` has come.
    fn open(&mut self, from: u64, to: u64, least: u32, budget: &Budget) {
        let before = from.saturating_sub(self.second);
        let coming = to.saturating_sub(from);
        if self.coarsest == 0 {
            budget.begins();
        }
        let expected = self.expected.saturating_add(self.expected / TOLERANCE);
        let mut stride = self.usual;
        if before.saturating_add(coming) > expected {
            stride = stride.max(budget.stride(Stream { coming, before }));
        }
        stride = stride.max(least).min(MAX_STRIDE);
        let has_look = budget.take(stride);
        if !has_look {
            stride = MAX_STRIDE;
        }
        self.from = from;
        self.stride = stride;
        self.look = has_look.then(|| below(self.seed, from, stride));
        self.coarsest = self.coarsest.max(stride);
    }

    fn ends(&self) -> u64 {
        self.from.saturating_add(self.stride.into())
    }

    fn look_before(&self, to: u64) -> Option<u64> {
        let at = self.from.saturating_add(self.look?.into());
        (at < to).then_some(at)
    }

    /// Where the next batch has to stop.
    fn next(&self) -> u64 {
        self.look.map_or(self.ends(), |look| self.from.saturating_add(look.into()))
    }

    /// The stretch is over, at `end` at the latest: what one record that counts for `stride` ones
    /// varies by for any key at most, a quarter of its square, and no more than the stride for each
    /// record of a stretch that was cut.
    fn close(&mut self, end: u64) {
        if self.stride > 1 {
            let stride = u64::from(self.stride);
            let records = end.saturating_sub(self.from);
            let most = records.saturating_mul(stride).min((stride * stride).div_ceil(4));
            self.variance = self.variance.saturating_add(most);
        }
    }

    /// Closes the stretch where the stream is now.
    fn cut(&mut self, position: u64) {
        self.close(position.min(self.ends()));
    }
}

/// A number below `limit`, at random: the one of this place in the stream (SplitMix64).
fn below(seed: u64, at: u64, limit: u32) -> u32 {
    if limit <= 1 {
        return 0;
    }
    let mixed = seed.wrapping_add(at.wrapping_mul(GOLDEN));
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let product = u128::from(mixed ^ (mixed >> 31)) * u128::from(limit);
    u32::try_from(product >> 64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::budget::LOOKS_A_SECOND;
    use super::*;

    /// A place in which one record in so many is looked at, of as many as come.
    fn place(seed: u64, stride: u32) -> Place {
        let place = Place::new();
        place.begin(seed);
        place.expect(1 << 40);
        place.course.lock().usual = stride;
        place
    }

    fn claim(place: &Place, records: u32, budget: &Budget) -> Vec<(i32, u32)> {
        let mut looks = Looks::new();
        place.claim(records, budget, &mut looks);
        looks.into_iter().map(|look| (look.index, look.weight)).collect()
    }

    #[test]
    fn one_record_of_each_stretch_is_looked_at_whatever_batches_it_comes_in() {
        for batches in [[1; 600].to_vec(), vec![600], [7, 1, 92].repeat(6), [30; 20].to_vec()] {
            let (place, budget, mut before) = (place(3, 20), Budget::default(), 0);
            let mut found = Vec::new();
            for records in batches {
                let looks = claim(&place, records, &budget);
                assert!(looks.iter().all(|(index, weight)| {
                    *weight == 20 && (0..records as i32).contains(index)
                }));
                found.extend(looks.into_iter().map(|(index, _)| before + index));
                before += records as i32;
            }
            let stretches: Vec<_> = found.iter().map(|at| at / 20).collect();
            assert_eq!(stretches, (0..30).collect::<Vec<_>>());
            assert_eq!(place.drain(), Taken { records: 600, variance: 3000, coarsest: 20 });
        }
    }

    #[test]
    fn each_record_of_a_stretch_has_the_same_chance_and_a_second_may_end_within() {
        let mut hits = [0u32; 10];
        for seed in 0..10_000u64 {
            let (place, budget) = (place(seed.wrapping_mul(GOLDEN), 10), Budget::default());
            claim(&place, 1, &budget);
            place.drain();
            // A stretch begins with the second; of its last three records none comes.
            for hits in hits.iter_mut().take(7) {
                *hits += claim(&place, 1, &budget).len() as u32;
            }
            assert_eq!(place.drain(), Taken { records: 7, variance: 25, coarsest: 10 });
        }
        // 1,000 each, with a deviation of 30.
        assert!(hits[..7].iter().all(|hits| hits.abs_diff(1000) < 150), "{hits:?}");
    }

    #[test]
    fn what_is_taken_back_never_came() {
        let (place, budget) = (place(5, 1000), Budget::default());
        claim(&place, 100, &budget);
        assert_eq!(budget.spent(), 1);
        claim(&place, 50, &budget);
        place.take_back(50, &budget);
        let spent = budget.spent();
        // The next batch begins a stretch of its own.
        claim(&place, 1, &budget);
        assert_eq!(budget.spent(), spent + 1);
        assert_eq!(place.drain().records, 101);
        // Also when the second was over before it was taken back.
        claim(&place, 70, &budget);
        assert_eq!(place.drain().records, 70);
        place.take_back(70, &budget);
        claim(&place, 100, &budget);
        assert_eq!(place.drain().records, 30);
    }

    #[test]
    fn threads_share_a_place_and_no_record_is_lost() {
        let (place, budget) = (place(9, 500), Budget::default());
        let looks: usize = std::thread::scope(|scope| {
            let claims = || {
                let each = (0..20_000).map(|at| (at % 7 + 1, claim(&place, at % 7 + 1, &budget)));
                each.map(|(records, looks)| {
                    assert!(looks.is_sorted_by(|a, b| a.0 < b.0));
                    assert!(looks.iter().all(|(index, _)| *index < records as i32));
                    looks.len()
                })
                .sum::<usize>()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(claims)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        let records = place.drain().records;
        assert_eq!(records, 4 * (0..20_000).map(|at| at % 7 + 1).sum::<u64>());
        assert!(looks as u64 * 500 <= records + 500 && looks as u64 * 500 > records * 9 / 10);
    }

    proptest! {
        /// Whatever is claimed and taken back: no panic, few looks, each once and in its batch.
        #[test]
        fn any_claims_are_answered(
            claims in prop::collection::vec((0..i32::MAX as u32, any::<bool>(), any::<bool>()), 0..40),
        ) {
            let (place, budget) = (Place::new(), Budget::default());
            for (records, back, tick) in claims {
                let records = records >> (records % 32);
                let looks = claim(&place, records, &budget);
                prop_assert!(looks.len() <= 4096 && looks.is_sorted_by(|a, b| a.0 < b.0));
                prop_assert!(looks.iter().all(|(index, _)| i64::from(*index) < i64::from(records)));
                if back {
                    place.take_back(records.into(), &budget);
                }
                if tick {
                    place.drain();
                    budget.tick();
                }
                prop_assert!(budget.spent() <= LOOKS_A_SECOND);
            }
        }
    }
}
