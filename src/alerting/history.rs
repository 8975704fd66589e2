//! The figures of the last hours, as far as some rule asks for them.
//!
//! Equal values that follow each other in even steps are one [`Run`], so that what stands still costs
//! next to nothing. A series that a page no longer shows ends with a mark, as in Prometheus.

use std::collections::{HashMap, HashSet, VecDeque};

use promql_parser::label::Matcher;

use crate::labels::Labels;

/// Longest time that a figure is kept: the long window of an error budget, and a little more.
pub const MAX_KEEP_MS: i64 = (6 * 60 + 10) * 60 * 1000;
/// Most series of one name, those that ended lately included; with more, the rules that read the
/// name are blind.
pub const MAX_SERIES_OF_A_NAME: usize = 20_000;
/// How old a value may be and still be the current one.
pub(crate) const LOOKBACK_MS: i64 = 5 * 60 * 1000;

/// The bits of the value that ends a series, Prometheus' own.
const STALE: u64 = 0x7ff0_0000_0000_0002;

/// Samples by name.
#[derive(Debug, Default)]
pub(crate) struct History {
    names: HashMap<Box<str>, Named>,
    /// One set of labels for all names that have it.
    labels: HashSet<Labels>,
    round: u64,
}

/// The series of a name.
#[derive(Debug, Default)]
struct Named {
    /// What is asked of it: a series is kept when it satisfies all matchers of one of these.
    wanted: Vec<Vec<Matcher>>,
    keep_ms: i64,
    series: HashMap<Labels, Series>,
    /// More came at this moment than may be kept.
    over: bool,
}

/// A series.
#[derive(Debug, Default)]
pub(crate) struct Series {
    runs: VecDeque<Run>,
    round: u64,
}

/// Equal values in even steps.
#[derive(Debug, Clone, Copy)]
struct Run {
    first_ms: i64,
    last_ms: i64,
    count: u32,
    value: f64,
}

impl History {
    /// Keeps from now on the series of `name` that satisfy the matchers, for so long.
    pub(crate) fn want(&mut self, name: &str, matchers: &[Matcher], keep_ms: i64) {
        let named = self.names.entry(name.into()).or_default();
        named.keep_ms = named.keep_ms.max(keep_ms);
        if !named.wanted.iter().any(|have| have == matchers) {
            named.wanted.push(matchers.to_vec());
        }
    }

    pub(crate) fn wants(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// Whether more series came of a name than are kept.
    pub(crate) fn is_over(&self, name: &str) -> bool {
        self.names.get(name).is_some_and(|named| named.over)
    }

    /// Series that are kept now.
    pub(crate) fn series_count(&self) -> usize {
        self.names.values().map(|named| named.series.len()).sum()
    }

    /// Begins to take samples of one moment.
    pub(crate) fn begin(&mut self) {
        self.round += 1;
        self.names.values_mut().for_each(|named| named.over = false);
    }

    /// Forgets all samples.
    pub(crate) fn forget(&mut self) {
        self.names.values_mut().for_each(|named| named.series.clear());
        self.labels.clear();
    }

    /// Takes a sample, if anybody asks for it.
    pub(crate) fn add(&mut self, name: &str, labels: Labels, at_ms: i64, value: f64) {
        let Some(named) = self.names.get_mut(name) else { return };
        let fits = |matchers: &Vec<Matcher>| satisfies(matchers.iter(), &labels);
        if !named.wanted.iter().any(fits) {
            return;
        }
        if named.series.len() >= MAX_SERIES_OF_A_NAME && !named.series.contains_key(&labels) {
            named.over = true;
            return;
        }
        let labels = match self.labels.get(&labels) {
            Some(have) => have.clone(),
            None => {
                self.labels.insert(labels.clone());
                labels
            }
        };
        let series = named.series.entry(labels).or_default();
        series.round = self.round;
        series.push(at_ms, value, at_ms - named.keep_ms);
    }

    /// Ends the series that were not there at this moment, and forgets what is too old. Of the names
    /// that `these` wants alone.
    pub(crate) fn end(&mut self, at_ms: i64, these: impl Fn(&str) -> bool) {
        let round = self.round;
        for (_, named) in self.names.iter_mut().filter(|(name, _)| these(name)) {
            let keep_from = at_ms - named.keep_ms;
            named.series.retain(|_, series| {
                if series.round != round {
                    series.push(at_ms, f64::from_bits(STALE), keep_from);
                }
                series.runs.back().is_some_and(|last| last.last_ms > keep_from && !series.is_gone())
            });
        }
        self.labels.retain(Labels::is_shared);
    }

    /// The series of a name.
    pub(crate) fn series(&self, name: &str) -> impl Iterator<Item = (&Labels, &Series)> {
        self.names.get(name).into_iter().flat_map(|named| named.series.iter())
    }

    /// Takes the mark that ends a series.
    #[cfg(test)]
    pub(crate) fn add_stale(&mut self, name: &str, labels: Labels, at_ms: i64) {
        self.add(name, labels, at_ms, f64::from_bits(STALE));
    }
}

impl Series {
    fn push(&mut self, at_ms: i64, value: f64, keep_from_ms: i64) {
        match self.runs.back_mut() {
            Some(last) if last.value.to_bits() == STALE && value.to_bits() == STALE => {}
            Some(last) if last.goes_on(at_ms, value) => {
                last.last_ms = at_ms;
                last.count += 1;
            }
            _ => {
                let run = Run { first_ms: at_ms, last_ms: at_ms, count: 1, value };
                self.runs.push_back(run);
            }
        }
        while self.runs.front().is_some_and(|run| run.last_ms < keep_from_ms) {
            self.runs.pop_front();
        }
    }

    /// Nothing but its end is remembered.
    fn is_gone(&self) -> bool {
        self.runs.iter().all(|run| run.value.to_bits() == STALE)
    }

    /// The value at a moment, if the series was there.
    pub(crate) fn at(&self, at_ms: i64) -> Option<f64> {
        let after = self.runs.partition_point(|run| run.first_ms <= at_ms);
        let run = self.runs.get(after.checked_sub(1)?)?;
        let newest = run.newest_until(at_ms);
        let fresh = newest > at_ms - LOOKBACK_MS && run.value.to_bits() != STALE;
        fresh.then_some(run.value)
    }

    /// Times and values from one moment to another, both taken in.
    pub(crate) fn between(&self, from_ms: i64, to_ms: i64) -> impl Iterator<Item = (i64, f64)> {
        let begin = self.runs.partition_point(|run| run.last_ms < from_ms);
        let runs = self.runs.range(begin..);
        runs.take_while(move |run| run.first_ms <= to_ms)
            .filter(|run| run.value.to_bits() != STALE)
            .flat_map(|run| (0..run.count).map(|at| (run.time(at), run.value)))
            .filter(move |(time, _)| (from_ms..=to_ms).contains(time))
    }
}

impl Run {
    fn goes_on(&self, at_ms: i64, value: f64) -> bool {
        if self.value.to_bits() != value.to_bits() {
            return false;
        }
        let (gap, step) = (at_ms - self.last_ms, self.step_ms());
        self.count == 1 || (gap - step).abs() <= step / 4
    }

    fn step_ms(&self) -> i64 {
        (self.last_ms - self.first_ms) / i64::from(self.count.saturating_sub(1).max(1))
    }

    fn time(&self, at: u32) -> i64 {
        match at + 1 >= self.count {
            true => self.last_ms,
            false => self.first_ms + self.step_ms() * i64::from(at),
        }
    }

    /// The time of its newest sample that is not after `at_ms`.
    fn newest_until(&self, at_ms: i64) -> i64 {
        if at_ms >= self.last_ms || self.count == 1 {
            return self.last_ms.min(at_ms.max(self.first_ms));
        }
        let step = self.step_ms().max(1);
        self.first_ms + (at_ms - self.first_ms) / step * step
    }
}

/// Whether labels satisfy matchers; those of the name are not asked.
pub(crate) fn satisfies<'a>(
    mut matchers: impl Iterator<Item = &'a Matcher>,
    labels: &Labels,
) -> bool {
    matchers.all(|it| it.name == "__name__" || it.is_match(labels.get(&it.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> History {
        let mut history = History::default();
        history.want("a", &[], 60_000);
        history
    }

    fn times(history: &History, from: i64, to: i64) -> Vec<(i64, f64)> {
        history.series("a").flat_map(|(_, series)| series.between(from, to)).collect()
    }

    #[test]
    fn what_stands_still_is_one_run_and_reads_as_it_was() {
        let mut history = history();
        for at in 0..10 {
            history.begin();
            history.add("a", Labels::default(), at * 1000, if at < 8 { 1.0 } else { 2.0 });
            history.end(at * 1000, |_| true);
        }
        let (_, series) = history.series("a").next().unwrap();
        assert_eq!(series.runs.len(), 2);
        assert_eq!(times(&history, 6000, 8500), [(6000, 1.0), (7000, 1.0), (8000, 2.0)]);
        assert_eq!(series.at(7999), Some(1.0));
        assert_eq!(series.at(8000), Some(2.0));
        assert_eq!(series.at(9000 + LOOKBACK_MS), None);
    }

    #[test]
    fn a_series_that_is_not_shown_ends_and_is_forgotten() {
        let mut history = history();
        history.begin();
        history.add("a", Labels::default(), 0, 1.0);
        history.add("unasked", Labels::default(), 0, 1.0);
        history.end(0, |_| true);
        assert_eq!(history.series_count(), 1);
        history.begin();
        history.end(1000, |_| true);
        assert_eq!(history.series("a").next().unwrap().1.at(1000), None);
        assert_eq!(history.series("a").next().unwrap().1.at(999), Some(1.0));
        history.begin();
        history.end(61_000, |_| true);
        assert_eq!(history.series_count(), 0);
        assert!(history.labels.is_empty());
    }

    #[test]
    fn too_many_series_are_told() {
        let mut history = history();
        history.begin();
        for at in 0..=MAX_SERIES_OF_A_NAME {
            let labels = Labels::new(vec![("n".into(), at.to_string().into())]);
            history.add("a", labels, 0, 1.0);
        }
        history.end(0, |_| true);
        assert!(history.is_over("a"));
        assert_eq!(history.series_count(), MAX_SERIES_OF_A_NAME);
        history.begin();
        history.add("a", Labels::new(vec![("n".into(), "1".into())]), 1000, 1.0);
        history.end(1000, |_| true);
        assert!(!history.is_over("a"));
        // Those that ended hold places until they are forgotten.
        history.begin();
        history.add("a", Labels::default(), 2000, 1.0);
        history.end(2000, |_| true);
        assert!(history.is_over("a"));
    }
}
