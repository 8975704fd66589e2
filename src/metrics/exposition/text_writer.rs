//! Pages in the two text forms.

use std::fmt::Write as _;

use super::group::{Group, Sample, push_type};
use super::labels::{Labels, push_label};
use super::text::{bound_text, push_help};
use super::writer::{Head, PageWriter, Pairs};
use crate::instruments::{Exemplar, HistogramCell, StartTime};
use crate::rules::Kind;
use crate::value::push_sample;

/// Writes Prometheus' text, or OpenMetrics.
pub(super) struct TextWriter {
    out: Vec<u8>,
    /// OpenMetrics.
    open: bool,
    /// Name of the family that was begun last.
    name: String,
    /// The bounds of the last histogram, and each as the value of `le`.
    bounds: (&'static [f64], Vec<String>),
}

impl TextWriter {
    pub(super) fn new(capacity: usize, open: bool) -> Self {
        let out = Vec::with_capacity(capacity);
        Self { out, open, name: String::new(), bounds: (&[], Vec::new()) }
    }

    fn line<'a>(
        &mut self,
        suffix: &str,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        number: f64,
    ) {
        self.out.extend_from_slice(self.name.as_bytes());
        self.out.extend_from_slice(suffix.as_bytes());
        let mut before = b'{';
        for (name, value) in labels {
            self.out.push(before);
            push_label(&mut self.out, name, value);
            before = b',';
        }
        if before == b',' {
            self.out.push(b'}');
        }
        self.out.push(b' ');
        push_sample(&mut self.out, number);
    }

    fn exemplar(&mut self, exemplar: &Exemplar) {
        let Exemplar { trace_id, span_id, value, at_ms } = exemplar;
        // Writing to a string does not fail.
        let mut text = String::new();
        let _ = write!(text, " # {{trace_id=\"{trace_id}\",span_id=\"{span_id}\"}} ");
        self.out.extend_from_slice(text.as_bytes());
        push_sample(&mut self.out, *value);
        let time = format!(" {}.{:03}", at_ms.div_euclid(1000), at_ms.rem_euclid(1000));
        self.out.extend_from_slice(time.as_bytes());
    }
}

impl PageWriter for TextWriter {
    fn begin_group(&mut self, group: &Group) {
        self.out.extend_from_slice(group.header(self.open));
    }

    fn group_sample(&mut self, group: &Group, _: &Sample, labels: &Labels, number: f64) {
        group.push_prefix(&mut self.out, labels, self.open);
        push_sample(&mut self.out, number);
        self.out.push(b'\n');
    }

    fn begin(&mut self, head: Head<'_>) {
        self.name.clear();
        self.name.push_str(head.name);
        let word = match head.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Summary => "summary",
            Kind::Unknown | Kind::Missing if self.open => "unknown",
            Kind::Unknown | Kind::Missing => "untyped",
        };
        if self.open {
            // A counter's head carries no `_total`.
            let base = head.name.strip_suffix("_total").unwrap_or(head.name);
            push_type(&mut self.out, base, word);
            push_help(&mut self.out, base, head.help, true);
        } else {
            push_help(&mut self.out, head.name, head.help, false);
            push_type(&mut self.out, head.name, word);
        }
    }

    fn sample<V: AsRef<str>>(&mut self, labels: Pairs<'_, V>, number: f64, _: Option<StartTime>) {
        self.line("", labels.iter(), number);
        self.out.push(b'\n');
    }

    #[expect(clippy::cast_precision_loss, reason = "samples are doubles")]
    fn histogram<V: AsRef<str>>(&mut self, labels: Pairs<'_, V>, cell: &HistogramCell) {
        let seen = cell.read();
        let (have, mut texts) = std::mem::take(&mut self.bounds);
        if have != seen.bounds || texts.is_empty() {
            texts = seen.bounds.iter().chain(&[f64::INFINITY]).map(|it| bound_text(*it)).collect();
        }
        for (at, ((_, below), le)) in seen.cumulative().zip(&texts).enumerate() {
            let le = std::iter::once(("le", le.as_str()));
            self.line("_bucket", labels.iter().chain(le), below as f64);
            if self.open
                && let Some(exemplar) = cell.exemplar(at)
            {
                self.exemplar(&exemplar);
            }
            self.out.push(b'\n');
        }
        self.bounds = (seen.bounds, texts);
        self.line("_sum", labels.iter(), seen.sum);
        self.out.push(b'\n');
        self.line("_count", labels.iter(), seen.count() as f64);
        self.out.push(b'\n');
    }

    fn len(&self) -> usize {
        self.out.len()
    }

    fn finish(mut self) -> Vec<u8> {
        if self.open {
            self.out.extend_from_slice(b"# EOF\n");
        }
        self.out
    }
}
