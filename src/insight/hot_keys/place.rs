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
/// A batch of so many records is large.
const LARGE: u64 = 4096;
/// Fewer records than one in so many of a stretch are few.
const FEW: u32 = 16;
/// Looks at one batch, at most.
const MAX_LOOKS_OF_BATCH: u64 = 4096;

/// Partitions that are written to at the same time share no cache line.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Place {
    /// How far the stream has come, with what is on its way. What is refused is taken back.
    position: AtomicU64,
    /// What ends before it is not looked at.
    next: AtomicU64,
    /// Records that are in the log, since the last tick.
    came: AtomicU64,
    course: Mutex<Course>,
}

#[derive(Debug, Default)]
struct Course {
    /// The stretch that goes on: where it began, how long it is (0 when there is none), what a look at
    /// it counts for (0 when there was none left), and which of its records is still to be looked at.
    from: u64,
    length: u32,
    weight: u32,
    look: Option<u32>,
    /// Whether a stretch began in this second.
    begun: bool,
    /// Records that are expected in this second, and one in how many of those is looked at.
    expected: u64,
    usual: u32,
    seed: u64,
    passed: Passed,
}

/// A record of a batch that is to be looked at, and how many it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) index: i32,
    pub(super) weight: u32,
}

pub(super) type Looks = SmallVec<[Look; 4]>;

/// How closely was looked at what came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Passed {
    /// Variance of what sampling makes of a key's count, at most.
    pub(super) variance: u64,
    /// Largest stride.
    pub(super) coarsest: u32,
    /// Records that had no chance, since no look was left.
    pub(super) unseen: u32,
}

/// What came, and how closely it was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) records: u64,
    pub(super) passed: Passed,
}

impl Place {
    pub(super) fn new() -> Self {
        let course = Course { usual: 1, ..Course::default() };
        Self {
            position: AtomicU64::new(0),
            next: AtomicU64::new(0),
            came: AtomicU64::new(0),
            course: Mutex::new(course),
        }
    }

    /// A partition begins, with dice of this seed.
    pub(super) fn begin(&self, seed: u64) {
        self.drain();
        let mut course = self.course.lock();
        (course.expected, course.usual, course.seed) = (0, 1, seed);
    }

    /// A batch of so many records comes. Which of them are to be looked at is added to `looks`, in
    /// order; what that passes is to be told to [`Self::count`].
    #[inline]
    pub(super) fn claim(&self, coming: u32, budget: &Budget, looks: &mut Looks) -> Passed {
        let next = self.next.load(Ordering::Acquire);
        let from = self.position.load(Ordering::Relaxed);
        let to = from.saturating_add(coming.into());
        // Nobody came between, so that it lies where there is nothing to do.
        let moved = to <= next
            && self
                .position
                .compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if moved { Passed::default() } else { self.stop(coming, budget, looks) }
    }

    /// A stretch ends in a batch, or a look is due, or others are at the place, too.
    fn stop(&self, coming: u32, budget: &Budget, looks: &mut Looks) -> Passed {
        let least = u32::try_from(u64::from(coming).div_ceil(MAX_LOOKS_OF_BATCH - 1));
        let mut course = self.course.lock();
        let from = self.position.fetch_add(coming.into(), Ordering::Relaxed);
        let mut batch = Batch {
            from,
            to: from.saturating_add(coming.into()),
            least: least.unwrap_or(MAX_STRIDE).clamp(1, MAX_STRIDE),
            before: self.came.load(Ordering::Relaxed),
            budget,
            passed: Passed::default(),
        };
        course.pass(&mut batch, looks);
        self.next.store(course.next(), Ordering::Release);
        batch.passed
    }

    /// So many records are in the log, and what they passed.
    #[inline]
    pub(super) fn count(&self, records: u64, passed: Passed) {
        self.came.fetch_add(records, Ordering::Relaxed);
        if passed != Passed::default() {
            self.course.lock().passed.add(passed);
        }
    }

    /// Takes back what was claimed and did not come. What was to be looked at next may have been
    /// decided by it, so that is decided anew.
    pub(super) fn take_back(&self, records: u64) {
        let mut course = self.course.lock();
        self.next.store(0, Ordering::Relaxed);
        let position = self.position.fetch_sub(records, Ordering::Relaxed).wrapping_sub(records);
        course.cut(position);
    }

    /// What came since the last time.
    pub(super) fn drain(&self) -> Taken {
        let mut course = self.course.lock();
        self.next.store(0, Ordering::Relaxed);
        course.cut(self.position.load(Ordering::Relaxed));
        course.begun = false;
        let records = self.came.swap(0, Ordering::Relaxed);
        Taken { records, passed: std::mem::take(&mut course.passed) }
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

impl Passed {
    pub(super) fn add(&mut self, other: Self) {
        self.variance = self.variance.saturating_add(other.variance);
        self.coarsest = self.coarsest.max(other.coarsest);
        self.unseen = self.unseen.saturating_add(other.unseen);
    }

    /// A stretch is over of which so many records came, of which one counted for `weight` if it was
    /// among them: that varies for any key by a quarter of the square of the weight at most, and by no
    /// more than the weight for each record. Of few records that nobody looked at it is less to say that
    /// they were not seen.
    fn stretch(&mut self, weight: u32, records: u64, looked_at: bool) {
        let few = !looked_at && records < u64::from(weight / FEW);
        if weight == 0 || few {
            let records = u32::try_from(records).unwrap_or(u32::MAX);
            self.unseen = self.unseen.saturating_add(records);
        } else if weight > 1 && records > 0 {
            let square = u64::from(weight) * u64::from(weight);
            let most = records.saturating_mul(weight.into()).min(square.div_ceil(4));
            self.variance = self.variance.saturating_add(most);
            self.coarsest = self.coarsest.max(weight);
        }
    }
}

/// A batch that passes.
struct Batch<'a> {
    from: u64,
    to: u64,
    /// How long a stretch must be, at least.
    least: u32,
    /// Records of this second before it.
    before: u64,
    budget: &'a Budget,
    passed: Passed,
}

impl Course {
    fn pass(&mut self, batch: &mut Batch<'_>, looks: &mut Looks) {
        if self.length == 0 {
            // Where the last one was cut.
            let from = self.reach(self.from, batch);
            self.open(from, batch);
        }
        loop {
            if let Some(at) = self.look_before(batch.to) {
                self.look = None;
                // One that is gone when the stretch begins anew beside it was not looked at.
                let index = at.checked_sub(batch.from).and_then(|index| i32::try_from(index).ok());
                match index.filter(|_| batch.budget.take(self.weight)) {
                    Some(index) => looks.push(Look { index, weight: self.weight }),
                    None => self.weight = 0,
                }
            }
            let ends = self.ends();
            if ends >= batch.to {
                break;
            }
            // One that others began is theirs, also if this batch is refused.
            let passed = if self.from < batch.from { &mut self.passed } else { &mut batch.passed };
            passed.stretch(self.weight, self.length.into(), true);
            let from = self.reach(ends, batch);
            self.open(from, batch);
        }
        // What a large claim decided ends with it: it may be a lie.
        let is_large = batch.to.saturating_sub(batch.from) >= LARGE || self.weight == 0;
        if is_large && self.from >= batch.from {
            let records = batch.to.saturating_sub(self.from);
            batch.passed.stretch(self.weight, records, self.look.is_none());
            self.stand(batch.to);
        }
    }

    /// Where a batch goes on with the stream. What lies between came past while a second ended.
    fn reach(&mut self, from: u64, batch: &Batch<'_>) -> u64 {
        self.passed.stretch(0, batch.from.saturating_sub(from), false);
        from.max(batch.from)
    }

    /// No stretch goes on; the next begins at `position`.
    fn stand(&mut self, position: u64) {
        (self.from, self.length, self.weight, self.look) = (position, 0, 0, None);
    }

    /// A stretch begins at `from`.
    fn open(&mut self, from: u64, batch: &mut Batch<'_>) {
        if !std::mem::replace(&mut self.begun, true) {
            batch.budget.begins();
        }
        let (before, coming) = (batch.before, batch.to.saturating_sub(batch.from));
        let expected = self.expected.saturating_add(self.expected / TOLERANCE);
        let mut stride = self.usual.max(batch.least);
        if before.saturating_add(coming) > expected {
            stride = stride.max(batch.budget.stride(Stream { coming, before }));
        }
        let stride = stride.min(MAX_STRIDE);
        self.from = from;
        if batch.budget.is_spent() {
            let rest = u32::try_from(batch.to.saturating_sub(from)).unwrap_or(MAX_STRIDE);
            (self.length, self.weight, self.look) = (rest.max(1), 0, None);
        } else {
            let look = below(self.seed, from, stride);
            (self.length, self.weight, self.look) = (stride, stride, Some(look));
        }
    }

    fn ends(&self) -> u64 {
        self.from.saturating_add(self.length.into())
    }

    fn look_before(&self, to: u64) -> Option<u64> {
        let at = self.from.saturating_add(self.look?.into());
        (at < to).then_some(at)
    }

    /// Where the next batch has to stop.
    fn next(&self) -> u64 {
        self.look.map_or(self.ends(), |look| self.from.saturating_add(look.into()))
    }

    /// Ends the stretch where the stream is now.
    fn cut(&mut self, position: u64) {
        let records = position.min(self.ends()).saturating_sub(self.from);
        self.passed.stretch(self.weight, records, self.look.is_none());
        self.stand(position);
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

    fn claim(place: &Place, records: u32, budget: &Budget) -> (Vec<(i32, u32)>, Passed) {
        let mut looks = Looks::new();
        let passed = place.claim(records, budget, &mut looks);
        (looks.into_iter().map(|look| (look.index, look.weight)).collect(), passed)
    }

    /// A batch that comes into the log: the indices that are looked at.
    fn produce(place: &Place, records: u32, budget: &Budget) -> Vec<(i32, u32)> {
        let (looks, passed) = claim(place, records, budget);
        place.count(records.into(), passed);
        looks
    }

    fn taken(records: u64, variance: u64, coarsest: u32) -> Taken {
        Taken { records, passed: Passed { variance, coarsest, unseen: 0 } }
    }

    #[test]
    fn one_record_of_each_stretch_is_looked_at_whatever_batches_it_comes_in() {
        for batches in [[1; 600].to_vec(), vec![600], [7, 1, 92].repeat(6), [30; 20].to_vec()] {
            let (place, budget, mut before) = (place(3, 20), Budget::default(), 0);
            let mut found = Vec::new();
            for records in batches {
                let looks = produce(&place, records, &budget);
                assert!(looks.iter().all(|(index, weight)| {
                    *weight == 20 && (0..records as i32).contains(index)
                }));
                found.extend(looks.into_iter().map(|(index, _)| before + index));
                before += records as i32;
            }
            let stretches: Vec<_> = found.iter().map(|at| at / 20).collect();
            assert_eq!(stretches, (0..30).collect::<Vec<_>>());
            assert_eq!((place.drain(), budget.spent()), (taken(600, 3000, 20), 30));
        }
    }

    #[test]
    fn each_record_of_a_stretch_has_the_same_chance_and_a_second_may_end_within() {
        let mut hits = [0u32; 10];
        for seed in 0..10_000u64 {
            let (place, budget) = (place(seed.wrapping_mul(GOLDEN), 10), Budget::default());
            produce(&place, 1, &budget);
            place.drain();
            // A stretch begins with the second; of its last three records none comes.
            for hits in hits.iter_mut().take(7) {
                *hits += produce(&place, 1, &budget).len() as u32;
            }
            assert_eq!(place.drain(), taken(7, 25, 10));
        }
        // 1,000 each, with a deviation of 30.
        assert!(hits[..7].iter().all(|hits| hits.abs_diff(1000) < 150), "{hits:?}");
    }

    #[test]
    fn what_is_refused_leaves_nothing() {
        let (place, budget) = (place(5, 1000), Budget::default());
        produce(&place, 100, &budget);
        let as_before = |passed: Passed| {
            passed.coarsest <= 1000 && passed.variance <= 1_000_000 && passed.unseen <= 300
        };
        // Liars, whose claims end thousands of stretches, some of them with a tick in between.
        for (claimed, came) in
            [(50, None), (i32::MAX, None), (70, Some(300)), (i32::MAX, Some(100))]
        {
            let (looks, _) = claim(&place, claimed as u32, &budget);
            looks.iter().for_each(|(_, weight)| budget.give_back(*weight));
            if let Some(came) = came {
                let Taken { records, passed } = place.drain();
                assert!(records == came && as_before(passed), "{claimed}: {records} {passed:?}");
            }
            place.take_back(claimed as u64);
            assert!(
                produce(&place, 100, &budget).len() <= 1,
                "the stretches are as long as before"
            );
        }
        let Taken { records, passed } = place.drain();
        assert!(records == 100 && as_before(passed), "{passed:?}");
        assert!(budget.spent() <= 5);
        // Two at once, with good ones between them, and when no look is left.
        for spent in [false, true] {
            if spent {
                (budget.spent()..LOOKS_A_SECOND).for_each(|_| assert!(budget.take(1)));
            }
            for _ in 0..2 {
                let (looks, _) = claim(&place, i32::MAX as u32, &budget);
                looks.iter().for_each(|(_, weight)| budget.give_back(*weight));
                assert!(produce(&place, 10, &budget).iter().all(|(_, weight)| *weight <= 1000));
            }
            place.take_back(i32::MAX as u64);
            place.take_back(i32::MAX as u64);
            let Taken { records, passed } = place.drain();
            assert!(records == 20 && as_before(passed), "{spent}: {passed:?}");
        }
        budget.tick();
        produce(&place, 1000, &budget);
        assert_eq!(place.drain(), taken(1000, 250_000, 1000));
    }

    #[test]
    fn looks_are_paid_when_they_are_made() {
        // Each brings five records, one in twelve of which is looked at.
        let budget = Budget::default();
        let mut looks = 0;
        for seed in 0..24_000u64 {
            let place = place(seed.wrapping_mul(GOLDEN), 12);
            looks += (0..5).map(|_| produce(&place, 1, &budget).len() as u32).sum::<u32>();
            assert_eq!(place.drain().passed.unseen, 0);
        }
        assert_eq!(budget.spent(), looks);
        // 10,000 with a deviation of 76.
        assert!(looks.abs_diff(10_000) < 400, "{looks}");
    }

    #[test]
    fn what_comes_when_no_look_is_left_is_told_to_be_unseen_and_no_more() {
        let (place, budget) = (place(5, 10), Budget::default());
        produce(&place, 1000, &budget);
        (0..LOOKS_A_SECOND - budget.spent()).for_each(|_| assert!(budget.take(1)));
        for _ in 0..300 {
            assert_eq!(produce(&place, 1, &budget), []);
        }
        let Taken { records, passed } = place.drain();
        assert_eq!((records, passed.coarsest), (1300, 10));
        assert!((290..=300).contains(&passed.unseen), "{passed:?}");
        // With looks again it goes on as before.
        budget.tick();
        assert_eq!(produce(&place, 1000, &budget).len(), 100);
        assert_eq!(place.drain(), taken(1000, 2500, 10));
    }

    #[test]
    fn threads_share_a_place_and_every_record_has_its_look() {
        for (stride, rounds) in [(1, 1000), (3, 3000), (500, 20_000)] {
            let (place, budget) = (place(9, stride), Budget::default());
            let looks: u64 = std::thread::scope(|scope| {
                let claims = || {
                    let each =
                        (0..rounds).map(|at| (at % 7 + 1, produce(&place, at % 7 + 1, &budget)));
                    each.map(|(records, looks)| {
                        assert!(looks.is_sorted_by(|a, b| a.0 < b.0));
                        assert!(looks.iter().all(|(index, _)| *index < records as i32));
                        looks.len() as u64
                    })
                    .sum::<u64>()
                };
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(claims)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum()
            });
            let Taken { records, passed } = place.drain();
            assert_eq!(records, 4 * (0..rounds).map(|at| u64::from(at % 7 + 1)).sum::<u64>());
            assert_eq!(passed.unseen, 0);
            let stride = u64::from(stride);
            assert!((records / stride..=records.div_ceil(stride)).contains(&looks), "{looks}");
        }
    }

    proptest! {
        /// Whatever is claimed, taken back and expected: no panic, few looks, each once and in its batch.
        #[test]
        fn any_claims_are_answered(
            claims in prop::collection::vec(
                (0..i32::MAX as u32, any::<bool>(), any::<bool>(), 0.01..1e6f64),
                0..40,
            ),
        ) {
            let (place, budget) = (Place::new(), Budget::default());
            for (records, back, tick, share) in claims {
                let records = records >> (records % 32);
                let (looks, passed) = claim(&place, records, &budget);
                prop_assert!(looks.len() <= 4096 && looks.is_sorted_by(|a, b| a.0 < b.0));
                prop_assert!(looks.iter().all(|(index, _)| i64::from(*index) < i64::from(records)));
                if back {
                    place.take_back(records.into());
                } else {
                    place.count(records.into(), passed);
                }
                if tick {
                    place.expect(place.drain().records);
                    place.share(share);
                    budget.tick();
                }
                prop_assert!(budget.spent() <= LOOKS_A_SECOND);
            }
        }
    }
}
