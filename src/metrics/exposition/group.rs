//! One family that rules make: its samples in order, told apart, each with its labels as written.
//!
//! A sample keeps one text, and nothing that its family or its bean knows as well: a node has many.

use std::sync::Arc;

use super::labels::Labels;
use super::protobuf::push_family_head;
use super::text::push_help;
use super::writer::Head;
use crate::instruments::StartTime;
use crate::rules::evaluate::{Made, Reason};
use crate::rules::{Generation, Kind};

const OBJECT_LABEL: &str = "_objectname";

/// A family.
#[derive(Debug)]
pub(crate) struct Group {
    /// Its number in the collector.
    id: u32,
    samples: Vec<Sample>,
    /// Labels with the object name in them, in the order of the samples; empty unless samples must
    /// be told apart by it.
    apart: Vec<Labels>,
    kind: Option<Kind>,
    /// What a sample's line begins with.
    sample_name: Box<str>,
    /// What stands behind the last label.
    close: &'static str,
    header: Box<[u8]>,
    open_metrics_header: Box<[u8]>,
    protobuf_header: Box<[u8]>,
    drops: Drops,
}

/// A series.
#[derive(Debug)]
pub(crate) struct Sample {
    bean: u64,
    name: Arc<str>,
    labels: Labels,
    leaf: u32,
    slot: u32,
    /// When its number began to count, if it does.
    started: Option<StartTime>,
    kind: Kind,
    hidden: bool,
}

/// Samples dropped, by reason.
#[derive(Debug, Default, Clone)]
pub(crate) struct Drops(Vec<(Reason, u64)>);

impl Drops {
    pub(crate) fn add(&mut self, reason: Reason, count: u64) {
        match self.0.iter_mut().find(|(have, _)| *have == reason) {
            Some((_, sum)) => *sum += count,
            None => self.0.push((reason, count)),
        }
    }

    pub(crate) fn remove(&mut self, reason: Reason, count: u64) {
        if let Some((_, sum)) = self.0.iter_mut().find(|(have, _)| *have == reason) {
            *sum = sum.saturating_sub(count);
        }
    }

    pub(crate) fn add_all(&mut self, other: &Self) {
        other.iter().for_each(|(reason, count)| self.add(reason, count));
    }

    pub(crate) fn take_away(&mut self, other: &Self) {
        other.iter().for_each(|(reason, count)| self.remove(reason, count));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Reason, u64)> {
        self.0.iter().copied().filter(|(_, count)| *count > 0)
    }
}

impl Sample {
    pub(crate) fn new(
        bean: u64,
        name: Arc<str>,
        leaf: u32,
        slot: u32,
        made: &Made,
        sorted: bool,
    ) -> Self {
        let labels = made.labels.iter().map(|(name, value)| (&**name, &**value));
        let labels = if sorted { Labels::sorted(labels) } else { Labels::in_order(labels) };
        let (kind, hidden) = (made.kind, false);
        Self { bean, name, labels, leaf, slot, started: None, kind, hidden }
    }

    /// The same, of a number that began to count then.
    pub(crate) fn since(self, started: Option<StartTime>) -> Self {
        Self { started, ..self }
    }

    /// When its number began to count; `None` for what does not, and when it is not known.
    pub(crate) fn started(&self) -> Option<StartTime> {
        self.started
    }

    /// Where the number is.
    pub(crate) fn slot(&self) -> usize {
        self.slot as usize
    }

    fn order(&self, other: &Self) -> std::cmp::Ordering {
        self.name.cmp(&other.name).then(self.leaf.cmp(&other.leaf))
    }
}

impl Group {
    pub(crate) fn new(id: u32) -> Self {
        Self {
            id,
            samples: Vec::new(),
            apart: Vec::new(),
            kind: None,
            sample_name: Box::default(),
            close: "} ",
            header: Box::default(),
            open_metrics_header: Box::default(),
            protobuf_header: Box::default(),
            drops: Drops::default(),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    pub(crate) fn len(&self) -> usize {
        self.samples.len()
    }

    pub(crate) fn push(&mut self, sample: Sample) {
        self.samples.push(sample);
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(u64, u32, u32) -> bool) {
        self.samples.retain(|sample| keep(sample.bean, sample.leaf, sample.slot));
    }

    /// Bean and attribute of the sample that gives HELP: the first by object name.
    pub(crate) fn first(&self) -> Option<(u64, u32)> {
        let first = self.samples.iter().min_by(|a, b| a.order(b))?;
        Some((first.bean, first.leaf))
    }

    pub(crate) fn drops(&self) -> &Drops {
        &self.drops
    }

    /// True for a family whose values must not be negative.
    pub(crate) fn is_counter(&self) -> bool {
        self.kind == Some(Kind::Counter)
    }

    /// The type that it has where types bind: what a rule file calls a histogram or a summary is a
    /// number like any other.
    pub(super) fn plain_kind(&self) -> Kind {
        match self.kind {
            Some(Kind::Counter) => Kind::Counter,
            Some(Kind::Gauge) => Kind::Gauge,
            _ => Kind::Unknown,
        }
    }

    /// What stands before the samples in protobuf.
    pub(super) fn protobuf_header(&self) -> &[u8] {
        &self.protobuf_header
    }

    pub(crate) fn header(&self, open_metrics: bool) -> &[u8] {
        if open_metrics { &self.open_metrics_header } else { &self.header }
    }

    /// What a sample's line begins with.
    pub(super) fn sample_name(&self) -> &str {
        &self.sample_name
    }

    /// Samples to write, in order, with their labels.
    pub(crate) fn samples(&self) -> impl Iterator<Item = (&Sample, &Labels)> {
        self.samples
            .iter()
            .enumerate()
            .filter(|(_, sample)| !sample.hidden)
            .map(|(at, sample)| (sample, self.apart.get(at).unwrap_or(&sample.labels)))
    }

    /// Appends what stands before a sample's number. 0.x leaves its last comma out in OpenMetrics.
    pub(crate) fn push_prefix(&self, out: &mut Vec<u8>, labels: &Labels, open_metrics: bool) {
        out.extend_from_slice(self.sample_name.as_bytes());
        if labels.is_empty() {
            out.push(b' ');
            return;
        }
        out.push(b'{');
        out.extend_from_slice(labels.as_written().as_bytes());
        out.extend_from_slice(if open_metrics { "} " } else { self.close }.as_bytes());
    }

    pub(crate) fn rebuild(
        &mut self,
        family: &str,
        generation: Generation,
        help: Option<&str>,
        object_label: impl Fn(u64, u32) -> String,
    ) {
        self.drops = Drops::default();
        self.apart = Vec::new();
        for sample in &mut self.samples {
            sample.hidden = false;
        }
        match generation {
            Generation::V0 => self.rebuild_first_wins(family),
            Generation::V1 => self.rebuild_told_apart(family, object_label),
        }
        self.samples.shrink_to_fit();
        self.write_headers(family, generation, help);
    }

    /// 0.x: the type of the first sample; of equal label lists, as written, the first stays.
    fn rebuild_first_wins(&mut self, family: &str) {
        self.close = ",} ";
        self.sample_name = family.into();
        self.samples.sort_by(Sample::order);
        self.kind = self.samples.first().map(|sample| sample.kind);
        let mut seen = std::collections::HashSet::new();
        let mut duplicates = 0;
        for sample in &mut self.samples {
            if !seen.insert(&sample.labels) {
                sample.hidden = true;
                duplicates += 1;
            }
        }
        self.drops.add(Reason::DuplicateSeries, duplicates);
    }

    /// 1.x: mixed types are none; duplicates make every sample carry its object name.
    fn rebuild_told_apart(&mut self, family: &str, object_label: impl Fn(u64, u32) -> String) {
        let first = self.samples.first().map(|sample| sample.kind);
        let mixed = self.samples.iter().any(|sample| Some(sample.kind) != first);
        self.kind = if mixed { Some(Kind::Unknown) } else { first };
        let suffix = if self.is_counter() { "_total" } else { "" };
        self.sample_name = [family, suffix].concat().into_boxed_str();
        self.samples.sort_by_cached_key(|sample| sample.labels.sort_key());
        let mut twice = false;
        for same in self.samples.chunk_by_mut(|a, b| a.labels == b.labels) {
            twice |= same.len() > 1;
            same.sort_by(Sample::order);
        }
        if !twice {
            return;
        }
        let mut apart: Vec<(Labels, Sample)> = Vec::with_capacity(self.samples.len());
        for mut sample in self.samples.drain(..) {
            if sample.labels.holds(OBJECT_LABEL) {
                self.drops.add(Reason::DuplicateLabel, 1);
                sample.hidden = true;
            }
            let object = object_label(sample.bean, sample.leaf);
            apart.push((sample.labels.with(OBJECT_LABEL, &object), sample));
        }
        apart.sort_by_cached_key(|(labels, _)| labels.sort_key());
        for same in apart.chunk_by_mut(|(a, _), (b, _)| a == b) {
            same.sort_by(|(_, a), (_, b)| a.order(b));
        }
        for (labels, mut sample) in apart {
            if self.apart.last() == Some(&labels) && !sample.hidden {
                self.drops.add(Reason::DuplicateSeries, 1);
                sample.hidden = true;
            }
            self.samples.push(sample);
            self.apart.push(labels);
        }
    }

    fn write_headers(&mut self, family: &str, generation: Generation, help: Option<&str>) {
        let kind = self.kind.unwrap_or(Kind::Unknown);
        let base = match (kind, generation) {
            (Kind::Counter, Generation::V0) => family.strip_suffix("_total").unwrap_or(family),
            _ => family,
        };
        let full = if kind == Kind::Counter { format!("{base}_total") } else { base.to_owned() };
        let (word, open_word) = match kind {
            Kind::Unknown | Kind::Missing => ("untyped", "unknown"),
            Kind::Gauge => ("gauge", "gauge"),
            Kind::Counter => ("counter", "counter"),
            Kind::Histogram => ("histogram", "histogram"),
            Kind::Summary => ("summary", "summary"),
        };
        let mut header = Vec::new();
        let mut open = Vec::new();
        push_type(&mut open, base, open_word);
        if let Some(help) = help {
            push_help(&mut header, &full, help, false);
            push_help(&mut open, base, help, true);
        }
        push_type(&mut header, &full, word);
        self.header = header.into_boxed_slice();
        self.open_metrics_header = open.into_boxed_slice();
        let mut protobuf = Vec::new();
        let (name, help) = (&*self.sample_name, help.unwrap_or_default());
        push_family_head(&mut protobuf, Head { name, help, kind: self.plain_kind() });
        self.protobuf_header = protobuf.into_boxed_slice();
    }
}

pub(super) fn push_type(out: &mut Vec<u8>, name: &str, word: &str) {
    for part in ["# TYPE ", name, " ", word, "\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}
