//! The keys of one topic: windows of the partitions that are watched, in bounded memory whatever the
//! topic's number of partitions, and how closely each is looked at.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use parking_lot::Mutex;

use super::name::Namer;
use super::window::{Sample, Window};

/// Partitions of a topic that are watched on a broker; of more, the busiest. So many windows take
/// 64 KiB.
pub(super) const MAX_PARTITIONS: usize = 25;
/// Busy partitions that are not watched and may take the place of one that is.
const RIVALS: usize = 8;
/// How many times busier than the least busy one that is watched a partition must be to take its
/// place.
const BUSIER: u64 = 2;
/// Minutes that a partition keeps its place after its window is empty: so long its keys are shown.
const EMPTY_MINUTES: u32 = 2;
/// Nobody's place.
const FREE: i32 = -1;

/// The keys of one topic. Cloning is by `Arc`; the data path takes its lock once a batch.
#[derive(Debug)]
pub(super) struct TopicKeys {
    name: Arc<str>,
    namer: Arc<Namer>,
    places: [Place; MAX_PARTITIONS],
    inner: Mutex<Inner>,
}

/// Who is watched in a place, for whoever is about to look.
#[derive(Debug)]
struct Place {
    partition: AtomicI32,
    stride: AtomicU32,
}

#[derive(Debug, Default)]
struct Inner {
    watched: [Option<Box<Watched>>; MAX_PARTITIONS],
    rivals: [Rival; RIVALS],
    /// Keys that a partition may look at in a second.
    quota: u32,
}

#[derive(Debug, Default)]
struct Watched {
    partition: i32,
    /// Keys looked at in this second, and after how many the next ones are looked at half as closely.
    looked_at: u32,
    patience: u32,
    /// Records of this second, and of this minute.
    second: u64,
    minute: u64,
    /// Minutes that its window has been empty.
    empty: u32,
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
    pub(super) fn new(name: Arc<str>, namer: Arc<Namer>, quota: u32) -> Self {
        let place = || Place { partition: AtomicI32::new(FREE), stride: AtomicU32::new(1) };
        let inner = Inner { quota, ..Inner::default() };
        let places = std::array::from_fn(|_| place());
        Self { name, namer, places, inner: Mutex::new(inner) }
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) fn namer(&self) -> &Namer {
        &self.namer
    }

    /// One record in how many is to be looked at; `None` when the partition is not watched and no
    /// place is free.
    pub(super) fn stride(&self, partition: i32) -> Option<u32> {
        let mut free = None;
        for place in &self.places {
            let held = place.partition.load(Ordering::Relaxed);
            if held == partition {
                return Some(place.stride.load(Ordering::Relaxed));
            }
            if held == FREE {
                free = Some(1);
            }
        }
        free
    }

    /// Counts a batch; without a sample nobody looked at its keys.
    pub(super) fn add(&self, partition: i32, records: u64, sample: Option<Sample<'_>>) {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        let quota = inner.quota;
        let Some((place, watched)) = self.place(inner, partition) else {
            compete(&mut inner.rivals, partition, records);
            return;
        };
        watched.second += records;
        watched.minute += records;
        let Some(sample) = sample else { return };
        watched.window.add(sample);
        let looked_at = u32::try_from(sample.names.len()).unwrap_or(u32::MAX);
        watched.looked_at = watched.looked_at.saturating_add(looked_at);
        if watched.looked_at > watched.patience {
            watched.patience = watched.patience.saturating_add(quota);
            place.stride.store(sample.stride.saturating_mul(2), Ordering::Relaxed);
        }
    }

    /// The place of a partition, a free one if it has none.
    fn place<'a>(
        &'a self,
        inner: &'a mut Inner,
        partition: i32,
    ) -> Option<(&'a Place, &'a mut Watched)> {
        let quota = inner.quota;
        let has =
            |held: &Option<Box<Watched>>| held.as_ref().is_some_and(|it| it.partition == partition);
        let at = inner
            .watched
            .iter()
            .position(has)
            .or_else(|| inner.watched.iter().position(Option::is_none))?;
        let (place, held) = (self.places.get(at)?, inner.watched.get_mut(at)?);
        let watched = held.get_or_insert_with(|| {
            place.take(partition);
            Box::new(Watched { partition, patience: quota, ..Watched::default() })
        });
        Some((place, watched))
    }

    /// Looks at each partition as closely as `quota` keys a second allow, and says how many had
    /// records since the last time.
    pub(super) fn tick(&self, quota: u32) -> usize {
        let mut inner = self.inner.lock();
        inner.quota = quota;
        let mut active = 0;
        for (place, held) in self.places.iter().zip(&mut inner.watched) {
            let Some(watched) = held else { continue };
            active += usize::from(watched.second > 0);
            let wanted = watched.second.div_ceil(u64::from(quota.max(1)));
            let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
            // More closely only step by step: what pauses for a second goes on as before.
            let stride = place.stride.load(Ordering::Relaxed);
            place.stride.store(wanted.max(stride / 2).max(1), Ordering::Relaxed);
            (watched.second, watched.looked_at, watched.patience) = (0, 0, quota);
        }
        active
    }

    /// A minute is over. Who had no records for long is no longer watched, and a busier partition
    /// takes the place of the least busy one. Returns who lost its place.
    pub(super) fn turn(&self) -> Vec<i32> {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        let mut left = Vec::new();
        for (place, held) in self.places.iter().zip(&mut inner.watched) {
            let Some(watched) = held else { continue };
            watched.window.turn();
            watched.empty = if watched.window.records() == 0 { watched.empty + 1 } else { 0 };
            if watched.empty > EMPTY_MINUTES {
                left.push(watched.partition);
                place.leave();
                *held = None;
            }
        }
        let rivals = std::mem::take(&mut inner.rivals);
        let busiest = rivals.into_iter().max_by_key(|rival| rival.records);
        let held = self.places.iter().zip(&mut inner.watched);
        let least = held
            .filter_map(|(place, held)| Some((place, held.as_mut()?)))
            .min_by_key(|(_, held)| held.minute);
        if let (Some(rival), Some((place, watched))) = (busiest, least)
            && rival.records > watched.minute.saturating_mul(BUSIER)
            && rival.records > 0
        {
            left.push(watched.partition);
            place.take(rival.partition);
            let (partition, patience) = (rival.partition, inner.quota);
            **watched = Watched { partition, patience, ..Watched::default() };
        }
        inner.watched.iter_mut().flatten().for_each(|watched| watched.minute = 0);
        left
    }

    /// Forgets a partition.
    pub(super) fn forget(&self, partition: i32) {
        let mut inner = self.inner.lock();
        for (place, held) in self.places.iter().zip(&mut inner.watched) {
            if held.as_ref().is_some_and(|it| it.partition == partition) {
                place.leave();
                *held = None;
            }
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

impl Place {
    fn take(&self, partition: i32) {
        self.stride.store(1, Ordering::Relaxed);
        self.partition.store(partition, Ordering::Relaxed);
    }

    fn leave(&self) {
        self.partition.store(FREE, Ordering::Relaxed);
    }
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
    use super::*;

    fn topic() -> TopicKeys {
        TopicKeys::new("t".into(), Arc::new(Namer::new("secret")), 1000)
    }

    fn add(topic: &TopicKeys, partition: i32, names: &[u64]) {
        let stride = topic.stride(partition).unwrap_or(1);
        let sample = Sample { records: names.len() as u64, stride, names };
        topic.add(partition, names.len() as u64, Some(sample));
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
            topic.turn();
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
            topic.turn();
        }
        assert_eq!(busiest(&topic), 1);
        add(&topic, 5500, &[7]);
        assert!(topic.look(5500, Window::records).unwrap() > 5000);
    }

    #[test]
    fn who_is_silent_leaves() {
        let topic = topic();
        add(&topic, 3, &[1, 2]);
        assert_eq!(topic.look(3, Window::records), Some(2));
        for _ in 0..6 {
            assert_eq!(topic.turn(), Vec::<i32>::new());
        }
        assert_eq!(topic.look(3, Window::records), Some(0));
        assert_eq!(topic.turn(), [3]);
        assert_eq!(topic.partitions(), Vec::<i32>::new());
        add(&topic, 4, &[1]);
        topic.forget(4);
        assert_eq!((topic.partitions(), topic.look(4, |_| ())), (vec![], None));
    }

    #[test]
    fn the_busier_the_less_closely_and_back_step_by_step() {
        let topic = topic();
        for _ in 0..10 {
            add(&topic, 0, &[1; 500]);
        }
        // In the middle of a second already: 1000, then 1000 more, and so on.
        assert_eq!(topic.stride(0), Some(16));
        assert_eq!(topic.tick(1000), 1);
        assert_eq!(topic.stride(0), Some(8));
        for stride in [4, 2, 1, 1] {
            assert_eq!(topic.tick(1000), 0);
            assert_eq!(topic.stride(0), Some(stride));
        }
        topic.add(0, 5001, None);
        assert_eq!(topic.tick(1000), 1);
        assert_eq!(topic.stride(0), Some(6));
        assert_eq!(topic.stride(1), Some(1));
    }
}
