//! Native families: counters, gauges and histograms with labels, beside the beans.
//!
//! Every family has a named limit of series. What comes beyond it folds into one series whose
//! label values are `(other)`, so that totals stay right; a series once folded stays so.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use metrics::{Counter, Gauge};
use parking_lot::{Mutex, RwLock};
use pharos_base::Clock;

use crate::instruments::{CounterCell, GaugeCell, HistogramCell, NativeHistogram, StartTime};
use crate::registry::Registered;

/// The label value of what is folded.
pub const OTHER: &str = "(other)";

/// A row of the native catalogue.
#[derive(Debug)]
pub struct FamilyRow {
    /// The family's name, with `_total` for counters.
    pub name: &'static str,
    /// What kind of numbers it holds.
    pub kind: FamilyKind,
    /// Label names in order.
    pub labels: &'static [&'static str],
    /// What the numbers count.
    pub unit: &'static str,
    /// Which node shows a series.
    pub owner: Owner,
    /// Series before folding.
    pub limit: usize,
    /// What it tells; its HELP line.
    pub meaning: &'static str,
}

/// The kind of a native family.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FamilyKind {
    /// Only grows.
    Counter,
    /// Any number.
    Gauge,
    /// Counts below the given bounds, in ascending order.
    Histogram(&'static [f64]),
}

/// Which node shows a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Each node.
    Node,
    /// The partition's leader.
    Leader,
    /// The group's coordinator.
    Coordinator,
    /// The active controller.
    ActiveController,
}

/// A native family of one registry.
#[derive(Clone)]
pub struct Family(Arc<FamilyInner>);

struct FamilyInner {
    row: &'static FamilyRow,
    clock: Clock,
    /// Histograms count by the exponential scale as well.
    exponential: bool,
    series: RwLock<Series>,
}

#[derive(Default)]
struct Series {
    /// The number of a series and how many handles show it.
    live: BTreeMap<Box<[Box<str>]>, (Cell, usize)>,
    /// Label sets that are folded; sticky, and itself bounded.
    folded: std::collections::HashSet<u64>,
    other: Option<Cell>,
}

/// Label sets remembered as folded; beyond it every new one is folded without being remembered.
const MAX_FOLDED: usize = 100_000;

/// The number behind a series.
#[derive(Clone)]
pub(crate) enum Cell {
    Counter(Arc<CounterCell>),
    Gauge(Arc<GaugeCell>),
    Callback(Arc<dyn Fn() -> f64 + Send + Sync>),
    Histogram(Arc<HistogramCell>),
    /// Gauges that were folded: their sum.
    Sum(Arc<Mutex<Vec<Weak<GaugeCell>>>>),
}

impl Family {
    /// The counter of these label values, 0 at first. Handles of the same labels move one number,
    /// and the series lives as long as any of them.
    pub fn counter(&self, labels: &[&str]) -> Registered<Counter> {
        let cell = self.place(labels, || self.new_counter());
        let handle = match &cell {
            Some(Cell::Counter(cell)) => Counter::from_arc(cell.clone()),
            _ => Counter::noop(),
        };
        self.registered(labels, cell, handle)
    }

    /// The gauge of these label values, 0 at first.
    pub fn gauge(&self, labels: &[&str]) -> Registered<Gauge> {
        let cell = self.place(labels, || Cell::Gauge(GaugeCell::new(0.0)));
        let handle = match &cell {
            Some(Cell::Gauge(cell)) => cell.handle(),
            Some(Cell::Sum(folded)) => {
                let cell = GaugeCell::new(0.0);
                let mut folded = folded.lock();
                // Only when the list would grow: each new one must not look at all others.
                if folded.len() == folded.capacity() {
                    folded.retain(|have| have.strong_count() > 0);
                }
                folded.push(Arc::downgrade(&cell));
                cell.handle()
            }
            _ => Gauge::noop(),
        };
        self.registered(labels, cell, handle)
    }

    /// A gauge that asks `read` on every scrape; folded ones are not asked.
    pub fn gauge_fn(
        &self,
        labels: &[&str],
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) -> Registered<()> {
        let cell = self.place(labels, || Cell::Callback(Arc::new(read)));
        self.registered(labels, cell, ())
    }

    /// The histogram of these label values, empty at first.
    pub fn histogram(&self, labels: &[&str]) -> Registered<NativeHistogram> {
        let bounds = match self.0.row.kind {
            FamilyKind::Histogram(bounds) => bounds,
            _ => &[],
        };
        let cell = self.place(labels, || self.new_histogram(bounds));
        let handle = match &cell {
            Some(Cell::Histogram(cell)) => NativeHistogram::new(cell.clone()),
            _ => NativeHistogram::noop(),
        };
        self.registered(labels, cell, handle)
    }

    fn new_counter(&self) -> Cell {
        Cell::Counter(CounterCell::new(&self.0.clock))
    }

    fn new_histogram(&self, bounds: &'static [f64]) -> Cell {
        Cell::Histogram(HistogramCell::new(bounds, self.0.clock.clone(), self.0.exponential))
    }

    /// The family's row.
    pub fn row(&self) -> &'static FamilyRow {
        self.0.row
    }

    /// The number of one series now (the sum of a histogram's values); what tests ask.
    pub fn read(&self, labels: &[&str]) -> Option<f64> {
        let mut found = None;
        self.each(|have, cell| {
            if have.iter().map(AsRef::as_ref).eq(labels.iter().copied()) {
                found = Some(cell.number());
            }
        });
        found
    }

    /// Calls `each` for every series with its label values and its number (the sum of a histogram's
    /// values), in order of label values, `(other)` last.
    pub fn numbers(&self, mut each: impl FnMut(&[Box<str>], f64)) {
        self.each(|labels, cell| each(labels, cell.number()));
    }

    /// Label sets folded so far.
    pub(crate) fn folded(&self) -> usize {
        self.0.series.read().folded.len()
    }

    /// Calls `each` for every series in order of label values, `(other)` last.
    pub(crate) fn each(&self, mut each: impl FnMut(&[Box<str>], &Cell)) {
        let series = self.0.series.read();
        for (labels, (cell, _)) in &series.live {
            each(labels, cell);
        }
        if let Some(cell) = &series.other {
            let labels: Vec<Box<str>> = self.0.row.labels.iter().map(|_| OTHER.into()).collect();
            each(&labels, cell);
        }
    }

    /// The cell of these labels, new, existing or the folded one.
    fn place(&self, labels: &[&str], make: impl FnOnce() -> Cell) -> Option<Cell> {
        let row = self.0.row;
        debug_assert_eq!(labels.len(), row.labels.len(), "labels of {}", row.name);
        let key: Box<[Box<str>]> = labels.iter().map(|value| Box::from(*value)).collect();
        let hash = hash(labels);
        let mut series = self.0.series.write();
        let fold = series.folded.contains(&hash)
            || (series.live.len() >= row.limit && !series.live.contains_key(&key));
        if !fold {
            // Handles of the same labels move one number; a callback replaces what was there.
            let cell = make();
            return Some(match series.live.get_mut(&key) {
                Some((have, handles)) if have.shares(&cell) => {
                    *handles += 1;
                    have.clone()
                }
                _ => {
                    series.live.insert(key, (cell.clone(), 1));
                    cell
                }
            });
        }
        if series.folded.len() < MAX_FOLDED {
            series.folded.insert(hash);
        }
        if series.other.is_none() {
            series.other = Some(match row.kind {
                FamilyKind::Counter => self.new_counter(),
                FamilyKind::Gauge => Cell::Sum(Arc::default()),
                FamilyKind::Histogram(bounds) => self.new_histogram(bounds),
            });
        }
        series.other.clone()
    }

    fn registered<T>(&self, labels: &[&str], cell: Option<Cell>, handle: T) -> Registered<T> {
        let labels = labels.iter().map(|value| Box::from(*value)).collect();
        Registered::series(handle, SeriesGuard { family: Arc::downgrade(&self.0), labels, cell })
    }
}

/// Takes a series away when its handle drops.
pub(crate) struct SeriesGuard {
    family: Weak<FamilyInner>,
    labels: Box<[Box<str>]>,
    cell: Option<Cell>,
}

impl SeriesGuard {
    /// Removes the series with its last handle, unless a callback has taken its labels over.
    pub(crate) fn leave(&self) {
        let (Some(family), Some(cell)) = (self.family.upgrade(), &self.cell) else { return };
        let mut series = family.series.write();
        let Some((have, handles)) = series.live.get_mut(&self.labels) else { return };
        if have.same(cell) {
            *handles -= 1;
            if *handles == 0 {
                series.live.remove(&self.labels);
            }
        }
    }
}

impl std::fmt::Debug for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Family({})", self.0.row.name)
    }
}

impl Cell {
    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Counter(a), Self::Counter(b)) => Arc::ptr_eq(a, b),
            (Self::Gauge(a), Self::Gauge(b)) => Arc::ptr_eq(a, b),
            (Self::Callback(a), Self::Callback(b)) => Arc::ptr_eq(a, b),
            (Self::Histogram(a), Self::Histogram(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// True when handles of both may move the same number.
    fn shares(&self, other: &Self) -> bool {
        matches!(
            (self, other),
            (Self::Counter(_), Self::Counter(_))
                | (Self::Gauge(_), Self::Gauge(_))
                | (Self::Histogram(_), Self::Histogram(_))
        )
    }

    /// The number of a series that has one.
    #[expect(clippy::cast_precision_loss, reason = "samples are doubles")]
    pub(crate) fn number(&self) -> f64 {
        match self {
            Self::Counter(cell) => cell.get() as f64,
            Self::Gauge(cell) => cell.get(),
            Self::Callback(read) => read(),
            Self::Sum(cells) => {
                cells.lock().iter().filter_map(Weak::upgrade).map(|c| c.get()).sum::<f64>() + 0.0
            }
            Self::Histogram(cell) => cell.sum(),
        }
    }

    /// Since when it counts; nothing of what does not count, and of callbacks, which do not tell.
    pub(crate) fn started(&self) -> Option<StartTime> {
        match self {
            Self::Counter(cell) => cell.started(),
            Self::Histogram(cell) => cell.started(),
            Self::Gauge(_) | Self::Callback(_) | Self::Sum(_) => None,
        }
    }
}

fn hash(labels: &[&str]) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    labels.hash(&mut hasher);
    hasher.finish()
}

/// The families of a registry, by name.
pub(crate) struct Families {
    clock: Clock,
    exponential: bool,
    by_name: RwLock<BTreeMap<&'static str, Family>>,
}

impl Families {
    /// No family; `exponential` lets histograms count by that scale as well.
    pub(crate) fn new(clock: Clock, exponential: bool) -> Self {
        Self { clock, exponential, by_name: RwLock::default() }
    }

    pub(crate) fn family(&self, row: &'static FamilyRow) -> Family {
        if let Some(have) = self.by_name.read().get(row.name) {
            return have.clone();
        }
        let mut by_name = self.by_name.write();
        let make = || {
            let (clock, exponential) = (self.clock.clone(), self.exponential);
            Family(Arc::new(FamilyInner { row, clock, exponential, series: RwLock::default() }))
        };
        by_name.entry(row.name).or_insert_with(make).clone()
    }

    /// All families in order of their names.
    pub(crate) fn all(&self) -> Vec<Family> {
        self.by_name.read().values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Registry;
    use pharos_base::Clock;

    static ROW: FamilyRow = FamilyRow {
        name: "t_total",
        kind: FamilyKind::Counter,
        labels: &["topic"],
        unit: "records",
        owner: Owner::Node,
        limit: 2,
        meaning: "t",
    };

    #[test]
    fn handles_of_the_same_labels_move_one_number() {
        let registry = Registry::new(Clock::simulated(0).0);
        let family = registry.family(&ROW);
        let (one, two) = (family.counter(&["a"]), family.counter(&["a"]));
        one.increment(1);
        two.increment(2);
        assert_eq!(family.read(&["a"]), Some(3.0));
        drop(one);
        assert_eq!(family.read(&["a"]), Some(3.0));
        drop(two);
        assert_eq!(family.read(&["a"]), None);
    }

    #[test]
    fn what_is_beyond_the_limit_folds_and_stays_folded() {
        let registry = Registry::new(Clock::simulated(0).0);
        let family = registry.family(&ROW);
        let (a, b) = (family.counter(&["a"]), family.counter(&["b"]));
        let c = family.counter(&["c"]);
        a.increment(1);
        b.increment(2);
        c.increment(4);
        assert_eq!(family.read(&["a"]), Some(1.0));
        assert_eq!(family.read(&["c"]), None);
        drop(a);
        assert_eq!(family.read(&["a"]), None);
        let again = family.counter(&["c"]);
        again.increment(8);
        assert_eq!(family.read(&[OTHER]), Some(12.0));
        assert_eq!(family.folded(), 1);
    }

    #[test]
    fn folded_gauges_are_a_sum_of_those_that_live() {
        static GAUGES: FamilyRow =
            FamilyRow { name: "t", kind: FamilyKind::Gauge, limit: 0, ..ROW };
        let registry = Registry::new(Clock::simulated(0).0);
        let family = registry.family(&GAUGES);
        for round in 0..3 {
            let gauges: Vec<_> = (0..10).map(|n| family.gauge(&[&n.to_string()])).collect();
            gauges.iter().for_each(|gauge| gauge.set(1.0));
            assert_eq!(family.read(&[OTHER]), Some(10.0), "{round}");
        }
    }
}
