//! What a page is written with: the text forms, or protobuf.

use super::group::{Group, Sample};
use super::labels::Labels;
use crate::instruments::{HistogramCell, StartTime};
use crate::native::{FamilyKind, FamilyRow};
use crate::rules::Kind;

/// Head of a family that no rule made.
#[derive(Clone, Copy)]
pub(super) struct Head<'a> {
    /// With `_total` for counters.
    pub(super) name: &'a str,
    pub(super) help: &'a str,
    pub(super) kind: Kind,
}

/// Names and values of a sample's labels.
pub(super) struct Pairs<'a, V> {
    names: &'a [&'a str],
    values: &'a [V],
}

/// Writes families one after the other. A sample belongs to the family that was begun last.
pub(super) trait PageWriter {
    /// Whether nobody wants the family of that name, so that it need not be looked at.
    fn skips(&self, _name: &str) -> bool {
        false
    }

    /// Begins a family that rules made.
    fn begin_group(&mut self, group: &Group);

    /// A sample of such a family, with its labels as they are to be shown.
    fn group_sample(&mut self, group: &Group, sample: &Sample, labels: &Labels, number: f64);

    /// Begins any other family.
    fn begin(&mut self, head: Head<'_>);

    /// A sample of such a family; `started` is when a counter began.
    fn sample<V: AsRef<str>>(
        &mut self,
        labels: Pairs<'_, V>,
        number: f64,
        started: Option<StartTime>,
    );

    /// A histogram of such a family.
    fn histogram<V: AsRef<str>>(&mut self, labels: Pairs<'_, V>, cell: &HistogramCell);

    /// How long the page took when it was rendered last, where this is no rendering.
    fn last_seconds(&self) -> Option<f64> {
        None
    }

    /// Bytes so far.
    fn len(&self) -> usize;

    /// The page.
    fn finish(self) -> Vec<u8>;
}

impl<'a, V: AsRef<str>> Pairs<'a, V> {
    /// The labels of that family.
    pub(super) fn new(row: &'a FamilyRow, values: &'a [V]) -> Self {
        Self { names: row.labels, values }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.names.iter().copied().zip(self.values.iter().map(AsRef::as_ref))
    }
}

impl Pairs<'_, &str> {
    /// No labels.
    pub(super) const NONE: Self = Self { names: &[], values: &[] };
}

impl<'a> From<&'a FamilyRow> for Head<'a> {
    fn from(row: &'a FamilyRow) -> Self {
        let kind = match row.kind {
            FamilyKind::Counter => Kind::Counter,
            FamilyKind::Gauge => Kind::Gauge,
            FamilyKind::Histogram(_) => Kind::Histogram,
        };
        Self { name: row.name, help: row.meaning, kind }
    }
}
