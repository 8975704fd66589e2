//! Pages in protobuf: messages of `io.prometheus.client.MetricFamily`
//! (prometheus/client_model, `metrics.proto`), each behind its length.
//!
//! A family has the name of its samples in Prometheus' text, so that the series are the same.

use std::borrow::Cow;

use bytes::Bytes;

use super::group::{Group, Sample};
use super::labels::Labels;
use super::text::shown;
use super::wire::{
    self, close, open, open_bare, push_double, push_head, push_sint, push_sints, push_text,
    push_uint, text_len,
};
use super::writer::{Head, PageWriter, Pairs};
use crate::instruments::{
    Distribution, Exemplar, ExponentialCounts, HistogramCell, SCHEMA, StartTime, ZERO_THRESHOLD,
};
use crate::rules::Kind;

/// MetricType, and the field of Metric that holds a number of it.
const COUNTER: (u64, u32) = (0, 3);
const GAUGE: (u64, u32) = (1, 2);
const UNTYPED: (u64, u32) = (3, 5);
const HISTOGRAM: (u64, u32) = (4, 7);

/// Writes protobuf.
pub(super) struct ProtobufWriter {
    out: Vec<u8>,
    /// Where the family begins that is not ended yet.
    family: Option<usize>,
    kind: Kind,
}

impl ProtobufWriter {
    pub(super) fn new(capacity: usize) -> Self {
        Self { out: Vec::with_capacity(capacity), family: None, kind: Kind::Unknown }
    }

    fn end_family(&mut self) {
        if let Some(start) = self.family.take() {
            close(&mut self.out, start);
        }
    }

    fn begin_family(&mut self) {
        self.end_family();
        self.family = Some(open_bare(&mut self.out));
    }

    /// Opens a metric of the family.
    fn metric(&mut self) -> usize {
        open(&mut self.out, 4)
    }

    /// The number, which ends the metric.
    fn number(&mut self, metric: usize, number: f64, started: Option<StartTime>) {
        let (_, field) = type_of(self.kind);
        let value = open(&mut self.out, field);
        push_double(&mut self.out, 1, number);
        if self.kind == Kind::Counter {
            push_started(&mut self.out, 3, started);
        }
        close(&mut self.out, value);
        close(&mut self.out, metric);
    }

    fn buckets(&mut self, cell: &HistogramCell, seen: &Distribution) {
        for (at, (bound, below)) in seen.cumulative().enumerate() {
            let bucket = open(&mut self.out, 3);
            push_uint(&mut self.out, 1, below);
            push_double(&mut self.out, 2, bound);
            if let Some(exemplar) = cell.exemplar(at) {
                push_exemplar(&mut self.out, &exemplar);
            }
            close(&mut self.out, bucket);
        }
    }
}

impl PageWriter for ProtobufWriter {
    fn begin_group(&mut self, group: &Group) {
        self.begin_family();
        self.out.extend_from_slice(group.protobuf_header());
        self.kind = group.plain_kind();
    }

    fn group_sample(&mut self, _: &Group, sample: &Sample, labels: &Labels, number: f64) {
        let metric = self.metric();
        for (name, value) in labels.values() {
            push_label(&mut self.out, name, &value);
        }
        self.number(metric, number, sample.started());
    }

    fn begin(&mut self, head: Head<'_>) {
        self.begin_family();
        push_family_head(&mut self.out, head);
        self.kind = head.kind;
    }

    fn sample<V: AsRef<str>>(
        &mut self,
        labels: Pairs<'_, V>,
        number: f64,
        started: Option<StartTime>,
    ) {
        let metric = self.metric();
        push_labels(&mut self.out, labels);
        self.number(metric, number, started);
    }

    fn histogram<V: AsRef<str>>(&mut self, labels: Pairs<'_, V>, cell: &HistogramCell) {
        let seen = cell.read();
        let metric = self.metric();
        push_labels(&mut self.out, labels);
        let histogram = open(&mut self.out, HISTOGRAM.1);
        push_uint(&mut self.out, 1, seen.count());
        push_double(&mut self.out, 2, seen.sum);
        self.buckets(cell, &seen);
        if let Some(exponential) = &seen.exponential {
            push_exponential(&mut self.out, exponential);
        }
        push_started(&mut self.out, 15, cell.started());
        close(&mut self.out, histogram);
        close(&mut self.out, metric);
    }

    fn len(&self) -> usize {
        self.out.len()
    }

    fn finish(mut self) -> Vec<u8> {
        self.end_family();
        self.out
    }
}

fn type_of(kind: Kind) -> (u64, u32) {
    match kind {
        Kind::Counter => COUNTER,
        Kind::Gauge => GAUGE,
        Kind::Histogram => HISTOGRAM,
        Kind::Summary | Kind::Unknown | Kind::Missing => UNTYPED,
    }
}

/// Appends what stands before the metrics of a family.
pub(super) fn push_family_head(out: &mut Vec<u8>, head: Head<'_>) {
    push_text(out, 1, head.name);
    if !head.help.is_empty() {
        push_text(out, 2, &without_nul(head.help));
    }
    push_uint(out, 3, type_of(head.kind).0);
}

/// A page with those families alone that have a sample whose name is `wanted`. A histogram is one
/// message: it stays whole.
pub fn only_families(page: &[u8], wanted: impl Fn(&str) -> bool) -> Bytes {
    wire::keep(page, |head| {
        let name = str::from_utf8(head.name).unwrap_or_default();
        let parts = ["_bucket", "_sum", "_count"];
        wanted(name)
            || head.kind == HISTOGRAM.0 && parts.iter().any(|part| wanted(&[name, part].concat()))
    })
}

fn push_labels<V: AsRef<str>>(out: &mut Vec<u8>, labels: Pairs<'_, V>) {
    for (name, value) in labels.iter() {
        push_label(out, name, &without_nul(&shown(value)));
    }
}

fn push_label(out: &mut Vec<u8>, name: &str, value: &str) {
    push_head(out, 1, text_len(name) + text_len(value));
    push_text(out, 1, name);
    push_text(out, 2, value);
}

/// As text shows it.
fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{FFFD}").into() } else { text.into() }
}

fn push_started(out: &mut Vec<u8>, field: u32, started: Option<StartTime>) {
    if let Some(started) = started {
        let time = open(out, field);
        push_uint(out, 1, u64::from(started.seconds()));
        close(out, time);
    }
}

fn push_exemplar(out: &mut Vec<u8>, exemplar: &Exemplar) {
    let start = open(out, 3);
    push_label(out, "trace_id", &exemplar.trace_id.to_string());
    push_label(out, "span_id", &exemplar.span_id.to_string());
    push_double(out, 2, exemplar.value);
    let time = open(out, 3);
    push_uint(out, 1, exemplar.at_ms.div_euclid(1000).cast_unsigned());
    push_uint(out, 2, (exemplar.at_ms.rem_euclid(1000) * 1_000_000).cast_unsigned());
    close(out, time);
    close(out, start);
}

fn push_exponential(out: &mut Vec<u8>, counts: &ExponentialCounts) {
    push_sint(out, 5, i64::from(SCHEMA));
    push_double(out, 6, ZERO_THRESHOLD);
    push_uint(out, 7, counts.zero);
    for (offset, length) in &counts.spans {
        let span = open(out, 12);
        push_sint(out, 1, i64::from(*offset));
        push_uint(out, 2, u64::from(*length));
        close(out, span);
    }
    if !counts.deltas.is_empty() {
        push_sints(out, 13, &counts.deltas);
    }
}
