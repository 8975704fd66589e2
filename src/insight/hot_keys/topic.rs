//! The keys of one topic: windows of the partitions that are watched, in bounded memory whatever the
//! topic's number of partitions, and how closely each is looked at.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use parking_lot::Mutex;

use super::budget::Budget;
use super::name::Namer;
use super::place::{GOLDEN, Place};
use super::window::{Seen, Window};

/// Partitions of a topic that are watched on a broker; of more, the busiest. So many windows take
/// 64 KiB.
pub(super) const MAX_PARTITIONS: usize = 24;
/// Busy partitions that are not watched and may take the place of one that is.
const RIVALS: usize = 8;
/// How many times busier than the least busy one that is watched a partition must be to take its
/// place.
const BUSIER: u64 = 2;
/// Minutes that a partition keeps its place after its window is empty: so long its keys are shown.
const EMPTY_MINUTES: u32 = 2;
/// Nobody's place.
const FREE: i32 = -1;

/// The keys of one topic. The data path takes its lock once for each batch that a key was looked at
/// of, or whose partition is not watched.
#[derive(Debug)]
pub(super) struct TopicKeys {
    name: Arc<str>,
    namer: Arc<Namer>,
    budget: Arc<Budget>,
    /// For dice; each place has its own.
    seed: u64,
    /// Whose each place is, for whoever is about to look.
    holders: [AtomicI32; MAX_PARTITIONS],
    places: [Place; MAX_PARTITIONS],
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    watched: [Option<Box<Watched>>; MAX_PARTITIONS],
    rivals: [Rival; RIVALS],
}

#[derive(Debug, Default)]
struct Watched {
    partition: i32,
    /// Minutes that its window has been empty.
    empty: u32,
    /// Records of this minute.
    minute: u64,
    window: Window,
}

/// A partition that is not watched, and at least how many records it had in this minute: a counter of
/// Misra and Gries.
#[derive(Clone, Copy, Debug, Default)]
struct Rival {
    partition: i32,
    records: u64,
}

impl TopicKeys {
    pub(super) fn new(name: Arc<str>, namer: Arc<Namer>, budget: Arc<Budget>, seed: u64) -> Self {
        let holders = std::array::from_fn(|_| AtomicI32::new(FREE));
        let places = std::array::from_fn(|_| Place::new());
        Self { name, namer, budget, seed, holders, places, inner: Mutex::default() }
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) fn namer(&self) -> &Namer {
        &self.namer
    }

    pub(super) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Seed of dice for a partition.
    pub(super) fn seed(&self, partition: i32) -> u64 {
        self.seed ^ u64::from(partition.unsigned_abs()).wrapping_mul(GOLDEN)
    }

    /// The place of a partition, a free one if it has none.
    pub(super) fn take_place(&self, partition: i32) -> Option<&Place> {
        let (mut is_full, first) = (true, first_place(partition));
        let order = (first..MAX_PARTITIONS).chain(0..first);
        for (holder, place) in
            order.filter_map(|at| Some((self.holders.get(at)?, self.places.get(at)?)))
        {
            match holder.load(Ordering::Acquire) {
                held if held == partition => return Some(place),
                FREE => is_full = false,
                _ => {}
            }
        }
        if is_full { None } else { self.begin(partition) }
    }

    /// Gives a place to a partition.
    fn hold(&self, at: usize, partition: i32) -> Option<&Place> {
        let (holder, place) = (self.holders.get(at)?, self.places.get(at)?);
        place.begin(self.seed(partition));
        holder.store(partition, Ordering::Release);
        Some(place)
    }

    fn leave(&self, at: usize) {
        if let Some(holder) = self.holders.get(at) {
            holder.store(FREE, Ordering::Relaxed);
        }
    }

    /// Gives a free place to a partition.
    fn begin(&self, partition: i32) -> Option<&Place> {
        let mut inner = self.inner.lock();
        let watched = &mut inner.watched;
        if let Some(at) = watched.iter().position(|held| is_of(held, partition)) {
            return self.places.get(at);
        }
        let first = first_place(partition);
        let is_free = |at: &usize| watched.get(*at).is_some_and(Option::is_none);
        let at = (first..MAX_PARTITIONS).chain(0..first).find(is_free)?;
        *watched.get_mut(at)? = Some(Box::new(Watched { partition, ..Watched::default() }));
        self.hold(at, partition)
    }

    /// Counts a batch of a partition that is not watched.
    pub(super) fn compete(&self, partition: i32, records: u64) {
        compete(&mut self.inner.lock().rivals, partition, records);
    }

    /// Counts what was seen of a partition that is watched.
    pub(super) fn add(&self, partition: i32, seen: &[Seen]) {
        let mut inner = self.inner.lock();
        let watched = inner.watched.iter_mut().flatten().find(|it| it.partition == partition);
        if let Some(watched) = watched {
            watched.window.add(seen);
        }
    }

    /// A second is over: adds to `expected` how many records are expected of each partition in the
    /// next one, but for those that are silent.
    pub(super) fn tick(&self, expected: &mut Vec<u64>) {
        let mut inner = self.inner.lock();
        for (place, held) in self.places.iter().zip(&mut inner.watched) {
            let Some(watched) = held else { continue };
            let taken = place.drain();
            watched.minute += taken.records;
            watched.window.note(taken);
            expected.extend(Some(place.expect(taken.records)).filter(|records| *records > 0));
        }
    }

    /// Each partition may be looked at so many times in a second.
    pub(super) fn share(&self, share: f64) {
        self.places.iter().for_each(|place| place.share(share));
    }

    /// A minute is over. Who had no records for long is no longer watched, and a busier partition
    /// takes the place of the least busy one. Returns who lost its place.
    pub(super) fn turn(&self) -> Vec<i32> {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        let mut left = Vec::new();
        for (at, held) in inner.watched.iter_mut().enumerate() {
            let Some(watched) = held else { continue };
            watched.window.turn();
            watched.empty = if watched.window.records() == 0 { watched.empty + 1 } else { 0 };
            if watched.empty > EMPTY_MINUTES {
                left.push(watched.partition);
                self.leave(at);
                *held = None;
            }
        }
        let rivals = std::mem::take(&mut inner.rivals);
        let busiest = rivals.into_iter().max_by_key(|rival| rival.records);
        let held = inner.watched.iter_mut().enumerate();
        let least = held
            .filter_map(|(at, held)| Some((at, held.as_mut()?)))
            .min_by_key(|(_, held)| held.minute);
        if let (Some(rival), Some((at, watched))) = (busiest, least)
            && rival.records > watched.minute.saturating_mul(BUSIER)
            && rival.records > 0
        {
            left.push(watched.partition);
            self.hold(at, rival.partition);
            **watched = Watched { partition: rival.partition, ..Watched::default() };
        }
        inner.watched.iter_mut().flatten().for_each(|watched| watched.minute = 0);
        left
    }

    /// Forgets a partition.
    pub(super) fn forget(&self, partition: i32) {
        let mut inner = self.inner.lock();
        let held = inner.watched.iter_mut().enumerate();
        for (at, held) in held.filter(|(_, held)| is_of(held, partition)) {
            self.leave(at);
            *held = None;
        }
    }

    /// The partitions that are watched.
    pub(super) fn partitions(&self) -> Vec<i32> {
        self.inner.lock().watched.iter().flatten().map(|it| it.partition).collect()
    }

    /// Looks at the window of a partition.
    pub(super) fn look<R>(&self, partition: i32, look: impl FnOnce(&Window) -> R) -> Option<R> {
        let inner = self.inner.lock();
        let found = inner.watched.iter().flatten().find(|it| it.partition == partition)?;
        Some(look(&found.window))
    }
}

/// Where a partition is looked for first.
fn first_place(partition: i32) -> usize {
    usize::try_from(partition).unwrap_or(0) % MAX_PARTITIONS
}

fn is_of(held: &Option<Box<Watched>>, partition: i32) -> bool {
    held.as_ref().is_some_and(|it| it.partition == partition)
}

/// Misra and Gries with weights: what has more than a ninth of the records of all that are not watched
/// is among the rivals, with no more than it had.
fn compete(rivals: &mut [Rival; RIVALS], partition: i32, records: u64) {
    let mut records = records;
    if let Some(rival) = rivals.iter_mut().find(|it| it.partition == partition && it.records > 0) {
        rival.records += records;
        return;
    }
    let least = rivals.iter().map(|it| it.records).min().unwrap_or(0).min(records);
    records -= least;
    rivals.iter_mut().for_each(|rival| rival.records -= least);
    if records > 0
        && let Some(free) = rivals.iter_mut().find(|it| it.records == 0)
    {
        *free = Rival { partition, records };
    }
}

#[cfg(test)]
mod tests {
    use super::super::place::Looks;
    use super::*;

    fn topic() -> TopicKeys {
        TopicKeys::new("t".into(), Arc::new(Namer::new("secret")), Arc::default(), 7)
    }

    /// Counts a batch of which each record was looked at.
    fn add(topic: &TopicKeys, partition: i32, names: &[u64]) {
        let seen: Vec<_> = names.iter().map(|name| Seen { name: *name, weight: 1 }).collect();
        match topic.take_place(partition) {
            Some(place) => {
                let passed = place.claim(names.len() as u32, topic.budget(), &mut Looks::new());
                place.count(names.len() as u64, passed);
                topic.add(partition, &seen);
            }
            None => topic.compete(partition, names.len() as u64),
        }
    }

    /// So many records come; how many each look at them stands for.
    fn claim(topic: &TopicKeys, partition: i32, records: u32) -> Vec<u32> {
        let mut looks = Looks::new();
        topic.take_place(partition).unwrap().claim(records, topic.budget(), &mut looks);
        looks.into_iter().map(|look| look.weight).collect()
    }

    /// What is expected of each partition in the next second.
    fn tick(topic: &TopicKeys) -> Vec<u64> {
        let mut expected = Vec::new();
        topic.tick(&mut expected);
        expected
    }

    fn turn(topic: &TopicKeys) -> Vec<i32> {
        tick(topic);
        topic.turn()
    }

    #[test]
    fn a_topic_takes_64_kib_at_most() {
        let heads = size_of::<TopicKeys>() + 2 * size_of::<usize>();
        let bytes = heads + MAX_PARTITIONS * size_of::<Watched>();
        assert!(bytes <= 64 * 1024, "{bytes} bytes");
        // Not by far, or more partitions would fit.
        assert!(bytes + 2 * size_of::<Watched>() > 64 * 1024, "{bytes} bytes");
    }

    #[test]
    fn of_ten_thousand_partitions_the_busiest_are_watched() {
        let topic = topic();
        for minute in 0..30 {
            for partition in 0..10_000 {
                let busy = partition % 1000 == 500;
                add(&topic, partition, &vec![7; if busy { 30 } else { 1 }]);
            }
            turn(&topic);
            let watched = topic.partitions();
            assert_eq!(watched.len(), MAX_PARTITIONS, "{minute}");
        }
        // The ten that are thirty times as busy as the others: no single one has a ninth of what is
        // not watched, so they are not sought out, ...
        let busiest = |topic: &TopicKeys| {
            topic.partitions().into_iter().filter(|it| it % 1000 == 500).count()
        };
        assert_eq!(busiest(&topic), 0);
        // ... until one matters.
        for _ in 0..2 {
            for partition in 0..10_000 {
                add(&topic, partition, &vec![7; if partition == 5500 { 5000 } else { 1 }]);
            }
            turn(&topic);
        }
        assert_eq!(busiest(&topic), 1);
        add(&topic, 5500, &[7]);
        tick(&topic);
        assert!(topic.look(5500, Window::records).unwrap() > 5000);
    }

    #[test]
    fn who_is_silent_leaves() {
        let topic = topic();
        add(&topic, 3, &[1, 2]);
        tick(&topic);
        assert_eq!(topic.look(3, Window::records), Some(2));
        for _ in 0..6 {
            assert_eq!(turn(&topic), Vec::<i32>::new());
        }
        assert_eq!(topic.look(3, Window::records), Some(0));
        assert_eq!(turn(&topic), [3]);
        assert_eq!(topic.partitions(), Vec::<i32>::new());
        add(&topic, 4, &[1]);
        topic.forget(4);
        assert_eq!((topic.partitions(), topic.look(4, |_| ())), (vec![], None));
    }

    #[test]
    fn what_came_is_looked_at_as_closely_as_was_agreed() {
        let topic = topic();
        add(&topic, 0, &[1; 500]);
        add(&topic, 1, &[1; 40]);
        assert_eq!(tick(&topic), [500, 40]);
        topic.share(50.0);
        // Half more is as expected; what is beyond costs more of what is left, and never less than that.
        assert_eq!(claim(&topic, 1, 60), [1; 60]);
        assert_eq!(claim(&topic, 0, 750).iter().max(), Some(&10));
        assert!(claim(&topic, 0, 1 << 20).into_iter().skip(1).all(|weight| weight > 300));
    }

    #[test]
    fn who_pauses_is_expected_again_and_fades_step_by_step() {
        let topic = topic();
        add(&topic, 0, &[1; 500]);
        add(&topic, 1, &[1; 40]);
        assert_eq!(tick(&topic), [500, 40]);
        for expected in
            [vec![250, 20], vec![125, 10], vec![62, 5], vec![31, 2], vec![15, 1], vec![7]]
        {
            assert_eq!(tick(&topic), expected);
        }
        add(&topic, 0, &[1; 100]);
        assert_eq!(tick(&topic), [100]);
    }
}
