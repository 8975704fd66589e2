//! The figures of the last hours, as far as some rule asks for them, within a budget.
//!
//! A value is written down when it changes, so that what stands still costs next to nothing. A series
//! that a look no longer shows ends with a mark, as in Prometheus. When the budget is nearly used up,
//! whole names are left out: charts first, then what lists show, then what rules read; of each the
//! largest first.

mod budget;
mod named;
mod series;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet, VecDeque};

use promql_parser::label::Matcher;

pub use self::budget::Use;
use self::budget::{LeftOut, Room};
use self::named::Named;
pub(crate) use self::series::Past;
use crate::labels::{Labels, pairs};

/// Longest time that a figure is kept: the long window of an error budget, and a little more.
pub const MAX_KEEP_MS: i64 = (6 * 60 + 10) * 60 * 1000;
/// How old a value may be and still be the current one.
pub(crate) const LOOKBACK_MS: i64 = 5 * 60 * 1000;
/// What a set of labels costs beside its text: its place among all, with the room between them...
const PLACE_BYTES: usize = size_of::<Labels>() + 1;
/// ... and its counts, with what the allocator keeps of each piece.
const COUNTS_BYTES: usize = 32;

/// Samples by name.
#[derive(Debug)]
pub(crate) struct History {
    names: HashMap<Box<str>, Named>,
    /// One set of labels for all names that have it.
    labels: HashSet<Labels>,
    looks: Looks,
    keep_ms: i64,
    room: Room,
}

/// When the figures were looked at. A look has a number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    first: u32,
    times_ms: VecDeque<i64>,
}

impl Looks {
    /// The number of the last look.
    fn last(&self) -> u32 {
        let count = u32::try_from(self.times_ms.len()).unwrap_or(u32::MAX);
        self.first.saturating_add(count.saturating_sub(1))
    }

    fn last_ms(&self) -> Option<i64> {
        self.times_ms.back().copied()
    }

    fn time_ms(&self, look: u32) -> Option<i64> {
        self.times_ms.get(look.checked_sub(self.first)? as usize).copied()
    }

    /// The first look that is not before a time.
    fn first_from(&self, at_ms: i64) -> u32 {
        let before = self.times_ms.partition_point(|time| *time < at_ms);
        self.first.saturating_add(u32::try_from(before).unwrap_or(u32::MAX))
    }

    /// The last look that is not after a time.
    fn until(&self, at_ms: i64) -> Option<u32> {
        let after = self.times_ms.partition_point(|time| *time <= at_ms);
        Some(self.first + u32::try_from(after.checked_sub(1)?).ok()?)
    }

    /// Forgets those before the last one that is not after a time.
    fn forget_before(&mut self, at_ms: i64) {
        while self.times_ms.get(1).is_some_and(|second| *second <= at_ms) {
            self.times_ms.pop_front();
            self.first += 1;
        }
    }
}

impl History {
    /// Nothing yet, and room for so many bytes.
    pub(crate) fn new(budget_bytes: usize) -> Self {
        Self {
            names: HashMap::new(),
            labels: HashSet::new(),
            looks: Looks::default(),
            keep_ms: 0,
            room: Room::new(budget_bytes),
        }
    }

    /// Keeps from now on the series of `name` that satisfy the matchers, for so long.
    pub(crate) fn want(&mut self, name: &str, matchers: &[Matcher], keep_ms: i64, of: Use) {
        let named = self.names.entry(name.into()).or_default();
        named.want(matchers, keep_ms, of);
        self.keep_ms = self.keep_ms.max(keep_ms);
    }

    /// The names that are kept.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let kept = self.names.iter().filter(|(_, named)| named.left_out.is_none());
        kept.map(|(name, _)| &**name)
    }

    /// Whether a name is left out, or lacks series that came when there was no room.
    pub(crate) fn lacks(&self, name: &str) -> bool {
        self.names.get(name).is_some_and(|named| named.left_out.is_some() || named.refused > 0)
    }

    /// The names that are left out for want of room, with what they are for.
    pub(crate) fn left_out(&self) -> impl Iterator<Item = (&str, Use)> {
        let left_out = self.names.iter().filter(|(_, named)| named.left_out.is_some());
        left_out.map(|(name, named)| (&**name, named.of))
    }

    /// Series that are kept now.
    pub(crate) fn series_count(&self) -> usize {
        self.names.values().map(Named::len).sum()
    }

    /// Bytes that are taken, and bytes that there are.
    pub(crate) fn taken_of(&self) -> (usize, usize) {
        (self.room.taken, self.room.budget)
    }

    /// Begins to take samples of one moment, which is not before the last.
    pub(crate) fn begin(&mut self, at_ms: i64) {
        if self.looks.last_ms() != Some(at_ms) {
            self.looks.times_ms.push_back(at_ms);
        }
        self.looks.forget_before(at_ms - self.keep_ms);
        self.names.values_mut().for_each(Named::begin);
    }

    /// Forgets all samples.
    pub(crate) fn forget(&mut self) {
        self.names.values_mut().for_each(Named::forget);
        self.labels.clear();
        self.looks.times_ms.clear();
        self.room.count(0);
    }

    /// Takes a sample of this moment, if anybody asks for it. `labels` is the text of labels.
    pub(crate) fn add(&mut self, name: &str, labels: &str, value: f64) {
        let Some(named) = self.names.get_mut(name).filter(|it| it.left_out.is_none()) else {
            return;
        };
        let look = self.looks.last();
        let keep_from = self.looks.last_ms().and_then(|now| self.looks.until(now - named.keep_ms));
        let keep_from = keep_from.unwrap_or(self.looks.first);
        if named.goes_on(labels, look, value, keep_from) {
            return;
        }
        let known = self.labels.get(labels).cloned();
        let text_bytes =
            if known.is_some() { 0 } else { labels.len() + 2 * PLACE_BYTES + COUNTS_BYTES };
        if !self.room.take(text_bytes + Named::SERIES_BYTES) {
            named.refused += 1;
            return;
        }
        let labels = known.unwrap_or_else(|| {
            let new = Labels::of_text(labels);
            self.labels.insert(new.clone());
            new
        });
        named.insert(labels, look, value);
    }

    /// Ends the series that were not there at this moment, and forgets what is too old. Of the names
    /// that `these` wants alone.
    pub(crate) fn end(&mut self, these: impl Fn(&str) -> bool) {
        let look = self.looks.last();
        let mut any_gone = false;
        for (_, named) in self.names.iter_mut().filter(|(name, _)| these(name)) {
            let keep_from =
                self.looks.last_ms().and_then(|at| self.looks.until(at - named.keep_ms));
            any_gone |= named.end(look, keep_from.unwrap_or(self.looks.first));
        }
        if any_gone {
            self.labels.retain(Labels::is_shared);
            self.labels.shrink_to(self.labels.len() * 2);
        }
    }

    /// Counts what is remembered, and leaves names out or takes one in again as there is room.
    pub(crate) fn settle(&mut self) {
        let now_ms = self.looks.last_ms().unwrap_or(0);
        let mut bytes = self.bytes();
        // Who was turned away has no place in the next look, either.
        let mut refused = self.names.values().any(|named| named.refused > 0);
        while self.room.is_short(bytes) || std::mem::take(&mut refused) {
            let kept = self.names.iter().filter(|(_, named)| named.len() > 0);
            // To lose what is small helps nobody.
            let rank = |named: &Named| (self.room.is_much(named.bytes()), named.of, named.bytes());
            let largest = kept.max_by_key(|(_, named)| rank(named));
            let Some(name) = largest.map(|(name, _)| name.clone()) else { break };
            self.names.entry(name.clone()).and_modify(Named::forget);
            self.labels.retain(Labels::is_shared);
            self.labels.shrink_to_fit();
            let left = self.bytes();
            let took = LeftOut { bytes: bytes.saturating_sub(left), since_ms: now_ms };
            self.names.entry(name).and_modify(|named| named.left_out = Some(took));
            bytes = left;
        }
        let fits = |it: &LeftOut| self.room.has(bytes + it.bytes) || it.is_old(now_ms);
        let out = self.names.values_mut().filter(|named| named.left_out.as_ref().is_some_and(fits));
        if let Some(named) = out.min_by_key(|named| named.of) {
            named.left_out = None;
        }
        self.room.count(bytes);
    }

    fn bytes(&self) -> usize {
        let texts: usize = self.labels.iter().map(|it| it.text().len()).sum();
        let labels =
            texts + self.labels.capacity() * PLACE_BYTES + self.labels.len() * COUNTS_BYTES;
        let times = self.looks.times_ms.capacity() * size_of::<i64>();
        labels + times + self.names.values().map(Named::bytes).sum::<usize>()
    }

    /// The labels of a text, shared if they are known.
    pub(crate) fn labels(&self, text: &str) -> Labels {
        self.labels.get(text).cloned().unwrap_or_else(|| Labels::of_text(text))
    }

    /// The series of a name.
    pub(crate) fn series(&self, name: &str) -> impl Iterator<Item = (&Labels, Past<'_>)> {
        let named = self.names.get(name).into_iter();
        named.flat_map(|named| named.series(&self.looks))
    }
}

/// Whether the text of labels satisfies matchers; those of the name are not asked.
pub(crate) fn satisfies<'a>(mut matchers: impl Iterator<Item = &'a Matcher>, labels: &str) -> bool {
    let value = |name: &str| pairs(labels).find(|(have, _)| *have == name).map_or("", |it| it.1);
    matchers.all(|it| it.name == "__name__" || it.is_match(value(&it.name)))
}
