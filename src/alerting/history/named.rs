//! The series of one name.
//!
//! Looks show series in the same order again and again, so a series is found where the one before it
//! left off; only where the order differs an index is made, for that look alone.

use std::collections::HashMap;

use promql_parser::label::Matcher;

use super::budget::{LeftOut, Use};
use super::series::{Past, Series};
use super::{Looks, satisfies};
use crate::labels::Labels;

#[derive(Debug, Default)]
pub(super) struct Named {
    /// What is asked of it: a series is kept when it satisfies all matchers of one of these.
    wanted: Vec<Vec<Matcher>>,
    pub(super) keep_ms: i64,
    pub(super) of: Use,
    /// In the order in which they came.
    series: Vec<(Labels, Series)>,
    /// Where the next one is expected.
    next: usize,
    /// Where each is, when they came in another order.
    places: Option<HashMap<Labels, usize>>,
    /// Series that found no room in this look.
    pub(super) refused: usize,
    pub(super) left_out: Option<LeftOut>,
}

impl Named {
    /// What a series takes beside its past.
    pub(super) const SERIES_BYTES: usize = size_of::<(Labels, Series)>();

    pub(super) fn want(&mut self, matchers: &[Matcher], keep_ms: i64, of: Use) {
        self.keep_ms = self.keep_ms.max(keep_ms);
        self.of = self.of.min(of);
        if !self.wanted.iter().any(|have| have == matchers) {
            self.wanted.push(matchers.to_vec());
        }
    }

    pub(super) fn len(&self) -> usize {
        self.series.len()
    }

    pub(super) fn begin(&mut self) {
        (self.next, self.places, self.refused) = (0, None, 0);
    }

    pub(super) fn forget(&mut self) {
        self.series = Vec::new();
        self.begin();
    }

    /// Takes a sample of a series that is there, or that nobody asks for; false for a new one.
    pub(super) fn goes_on(&mut self, labels: &str, look: u32, value: f64, keep_from: u32) -> bool {
        let expected = self.series.get(self.next).is_some_and(|(have, _)| have.text() == labels);
        let at = match expected {
            true => Some(self.next),
            false if !self.asks_for(labels) => return true,
            false => self.find(labels),
        };
        let Some(at) = at else { return false };
        self.next = self.next.max(at + 1);
        if let Some((_, series)) = self.series.get_mut(at) {
            series.push(look, value, keep_from);
        }
        true
    }

    /// Where a series is; one that came early changes places with the one that was expected.
    fn find(&mut self, labels: &str) -> Option<usize> {
        let index = || {
            let each = self.series.iter().enumerate();
            each.map(|(at, (labels, _))| (labels.clone(), at)).collect::<HashMap<_, _>>()
        };
        let places = self.places.get_or_insert_with(index);
        let at = *places.get(labels)?;
        let next = self.next;
        if at <= next {
            return Some(at);
        }
        self.series.swap(at, next);
        for at in [at, next] {
            if let Some((labels, _)) = self.series.get(at) {
                places.insert(labels.clone(), at);
            }
        }
        Some(next)
    }

    fn asks_for(&self, labels: &str) -> bool {
        self.wanted.iter().any(|matchers| satisfies(matchers.iter(), labels))
    }

    /// A new series.
    pub(super) fn insert(&mut self, labels: Labels, look: u32, value: f64) {
        self.series.push((labels, Series::new(look, value)));
        let at = self.series.len() - 1;
        self.series.swap(at, self.next.min(at));
        if let Some(places) = &mut self.places {
            for at in [at, self.next] {
                if let Some((labels, _)) = self.series.get(at) {
                    places.insert(labels.clone(), at);
                }
            }
        }
        self.next += 1;
    }

    /// Ends the series that did not come, and forgets what is too old. Whether any is gone.
    pub(super) fn end(&mut self, look: u32, keep_from: u32) -> bool {
        self.places = None;
        let before = self.series.len();
        self.series.retain_mut(|(_, series)| series.end(look, keep_from));
        if self.series.capacity() > self.series.len() / 8 * 9 + 8 {
            self.series.shrink_to_fit();
        }
        self.series.len() < before
    }

    pub(super) fn bytes(&self) -> usize {
        let pasts = self.series.iter().map(|(_, series)| series.past_bytes());
        self.series.capacity() * Self::SERIES_BYTES + pasts.sum::<usize>()
    }

    pub(super) fn series<'a>(
        &'a self,
        looks: &'a Looks,
    ) -> impl Iterator<Item = (&'a Labels, Past<'a>)> {
        self.series.iter().map(|(labels, series)| (labels, Past::new(series, looks)))
    }
}
