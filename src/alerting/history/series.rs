//! The values of one series, each from the look on that showed it first.

use std::collections::VecDeque;

use super::{LOOKBACK_MS, Looks};

/// The bits of the value that ends a series, Prometheus' own.
pub(super) const STALE: u64 = 0x7ff0_0000_0000_0002;
/// The bits of the value of looks that did not ask for the series, so that they say nothing of it.
const HOLE: u64 = 0x7ff0_0000_0000_0003;
/// Values that a past grows by, so that what it will not need is not held.
const GROWS_BY: usize = 8;
/// What the allocator and the list itself take for a past.
const PAST_BYTES: usize = size_of::<VecDeque<Value>>() + 16;

/// A series.
#[derive(Debug)]
pub(super) struct Series {
    last: f64,
    /// The look that showed this value first.
    since: u32,
    /// The last look that showed the series.
    seen: u32,
    /// What was before.
    #[expect(
        clippy::box_collection,
        reason = "most series have no past, and need 8 bytes to say so"
    )]
    older: Option<Box<VecDeque<Value>>>,
}

#[derive(Debug, Clone, Copy)]
struct Value {
    since: u32,
    value: f64,
}

impl Series {
    pub(super) fn new(look: u32, value: f64) -> Self {
        Self { last: value, since: look, seen: look, older: None }
    }

    /// Takes the value of a look; of several the first counts.
    pub(super) fn push(&mut self, look: u32, value: f64, keep_from: u32) {
        if self.seen == look {
            return;
        }
        if self.last.to_bits() != STALE && self.seen + 1 < look {
            self.change(self.seen + 1, f64::from_bits(HOLE), keep_from);
        }
        if self.last.to_bits() != value.to_bits() {
            self.change(look, value, keep_from);
        }
        self.seen = look;
    }

    fn change(&mut self, look: u32, value: f64, keep_from: u32) {
        let before = Value { since: self.since, value: self.last };
        (self.since, self.last) = (look, value);
        if look <= keep_from {
            self.older = None;
            return;
        }
        let older = self.older.get_or_insert_default();
        // What is not needed any more makes room.
        while older.get(1).is_some_and(|second| second.since <= keep_from) {
            older.pop_front();
        }
        if older.len() == older.capacity() {
            older.reserve_exact(GROWS_BY);
        }
        older.push_back(before);
    }

    /// Ends the series if that look did not show it, and forgets what was over before `keep_from`.
    /// False when nothing but its end is left.
    pub(super) fn end(&mut self, look: u32, keep_from: u32) -> bool {
        if self.seen != look {
            self.push(look, f64::from_bits(STALE), keep_from);
        }
        if self.since <= keep_from {
            self.older = None;
        }
        self.last.to_bits() != STALE || self.older.is_some()
    }

    pub(super) fn past_bytes(&self) -> usize {
        let of = |older: &VecDeque<Value>| older.capacity() * size_of::<Value>() + PAST_BYTES;
        self.older.as_ref().map_or(0, |older| of(older))
    }
}

/// A series with the times of its looks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Past<'a> {
    series: &'a Series,
    looks: &'a Looks,
}

impl<'a> Past<'a> {
    pub(super) fn new(series: &'a Series, looks: &'a Looks) -> Self {
        Self { series, looks }
    }

    /// The value at a moment, if the series was there.
    pub(crate) fn at(&self, at_ms: i64) -> Option<f64> {
        let Series { last, since, seen, older } = self.series;
        let look = self.looks.until(at_ms)?;
        let (value, newest) = if look >= *since {
            (*last, look.min(*seen))
        } else {
            let older = older.as_ref()?;
            let at = older.partition_point(|it| it.since <= look).checked_sub(1)?;
            let Value { since, value } = *older.get(at)?;
            match value.to_bits() {
                HOLE => (older.get(at.checked_sub(1)?)?.value, since - 1),
                _ => (value, look),
            }
        };
        let fresh = self.looks.time_ms(newest)? > at_ms - LOOKBACK_MS;
        (fresh && value.to_bits() != STALE).then_some(value)
    }

    /// Times and values from one moment to another, both taken in.
    pub(crate) fn between(&self, from_ms: i64, to_ms: i64) -> impl Iterator<Item = (i64, f64)> {
        let looks = self.looks;
        let first = looks.first_from(from_ms);
        let end = looks.until(to_ms).map_or(0, |look| look + 1);
        let runs = self.runs().filter(|(_, _, value)| ![STALE, HOLE].contains(&value.to_bits()));
        runs.flat_map(move |(since, until, value)| {
            let shown = since.max(first)..until.min(end);
            shown.filter_map(move |look| Some((looks.time_ms(look)?, value)))
        })
    }

    /// Each value with the look that showed it first, and the one that did no more.
    fn runs(&self) -> impl Iterator<Item = (u32, u32, f64)> {
        let Series { last, since, seen, older } = self.series;
        let older = older.iter().flat_map(|older| older.iter());
        let next = older.clone().skip(1).map(|it| it.since).chain([*since]);
        let before = older.zip(next).map(|(it, until)| (it.since, until, it.value));
        before.chain([(*since, *seen + 1, *last)])
    }
}
