//! A page that is read as it is made, sample by sample, and written nowhere.

use super::group::{Group, Sample};
use super::labels::{Labels, push_label};
use super::text::bound_text;
use super::writer::{Head, PageWriter, Pairs};
use crate::instruments::{HistogramCell, StartTime};

/// Shows samples by name, labels as text has them between the braces, and number.
pub(super) struct Reader<'a> {
    wanted: &'a dyn Fn(&str) -> bool,
    each: &'a mut dyn FnMut(&str, &str, f64),
    /// Name of the family that was begun last.
    name: String,
    labels: Vec<u8>,
    /// Size of the page when it was rendered last, and how long that took.
    last: (usize, Option<f64>),
}

impl<'a> Reader<'a> {
    /// Shows the samples of the names that are `wanted` to `each`, of a page of which this is what
    /// rendering it last brought: its size, and how long it took.
    pub(super) fn new(
        size: usize,
        seconds: Option<f64>,
        wanted: &'a dyn Fn(&str) -> bool,
        each: &'a mut dyn FnMut(&str, &str, f64),
    ) -> Self {
        Self { wanted, each, name: String::new(), labels: Vec::new(), last: (size, seconds) }
    }

    fn show<'b>(
        &mut self,
        name: &str,
        labels: impl Iterator<Item = (&'b str, &'b str)>,
        number: f64,
    ) {
        if !(self.wanted)(name) {
            return;
        }
        self.labels.clear();
        for (name, value) in labels {
            if !self.labels.is_empty() {
                self.labels.push(b',');
            }
            push_label(&mut self.labels, name, value);
        }
        // They are made of texts.
        if let Ok(labels) = std::str::from_utf8(&self.labels) {
            (self.each)(name, labels, number);
        }
    }
}

impl PageWriter for Reader<'_> {
    fn skips(&self, name: &str) -> bool {
        let parts = ["", "_bucket", "_sum", "_count"];
        !parts.iter().any(|part| (self.wanted)(&[name, part].concat()))
    }

    fn begin_group(&mut self, _: &Group) {}

    fn group_sample(&mut self, group: &Group, _: &Sample, labels: &Labels, number: f64) {
        (self.each)(group.sample_name(), labels.as_written(), number);
    }

    fn begin(&mut self, head: Head<'_>) {
        self.name.clear();
        self.name.push_str(head.name);
    }

    fn sample<V: AsRef<str>>(&mut self, labels: Pairs<'_, V>, number: f64, _: Option<StartTime>) {
        let name = std::mem::take(&mut self.name);
        self.show(&name, labels.iter(), number);
        self.name = name;
    }

    #[expect(clippy::cast_precision_loss, reason = "samples are doubles")]
    fn histogram<V: AsRef<str>>(&mut self, labels: Pairs<'_, V>, cell: &HistogramCell) {
        let seen = cell.read();
        let name = [&self.name, "_bucket"].concat();
        if (self.wanted)(&name) {
            for (upper, below) in seen.cumulative() {
                let le = bound_text(upper);
                let le = std::iter::once(("le", le.as_str()));
                self.show(&name, labels.iter().chain(le), below as f64);
            }
        }
        self.show(&[&self.name, "_sum"].concat(), labels.iter(), seen.sum);
        self.show(&[&self.name, "_count"].concat(), labels.iter(), seen.count() as f64);
    }

    fn len(&self) -> usize {
        self.last.0
    }

    fn last_seconds(&self) -> Option<f64> {
        self.last.1
    }

    fn finish(self) -> Vec<u8> {
        Vec::new()
    }
}
