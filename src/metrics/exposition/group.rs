//! One family that rules make: its samples in order, told apart, each with its cached prefix.

use std::sync::Arc;

use super::text::{push_help, push_label_value};
use crate::rules::evaluate::{Made, Reason};
use crate::rules::{Generation, Kind, utf16};

const OBJECT_LABEL: &str = "_objectname";
/// Between names and values of stored labels; no label name holds it, and values are split by
/// count.
const SEPARATOR: char = '\u{0}';

/// A family.
#[derive(Debug, Default)]
pub(crate) struct Group {
    samples: Vec<Sample>,
    kind: Option<Kind>,
    header: Box<[u8]>,
    open_metrics_header: Box<[u8]>,
    drops: Drops,
}

/// A series.
#[derive(Debug)]
pub(crate) struct Sample {
    bean: u64,
    name: Arc<str>,
    token: u64,
    leaf: u32,
    slot: u32,
    kind: Kind,
    hidden: bool,
    /// Names and values, separated; in order of names in generation 1.x.
    labels: Box<str>,
    /// `name{labels} `.
    prefix: Box<[u8]>,
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
        token: u64,
        slot: u32,
        made: &Made,
        sorted: bool,
    ) -> Self {
        let mut labels: Vec<_> = made.labels.iter().collect();
        if sorted {
            labels.sort_by(|a, b| utf16(&a.0, &b.0));
        }
        let mut text = String::new();
        for (name, value) in labels {
            text.push_str(name);
            text.push(SEPARATOR);
            // A NUL inside a value would split it.
            text.extend(value.chars().map(|c| if c == SEPARATOR { '\u{FFFD}' } else { c }));
            text.push(SEPARATOR);
        }
        Self {
            bean,
            name,
            token,
            leaf,
            slot,
            kind: made.kind,
            hidden: false,
            labels: text.into_boxed_str(),
            prefix: Box::default(),
        }
    }

    fn labels(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        let mut parts = self.labels.split_terminator(SEPARATOR);
        std::iter::from_fn(move || Some((parts.next()?, parts.next()?)))
    }

    /// Where the number is.
    pub(crate) fn slot(&self) -> usize {
        self.slot as usize
    }

    /// What stands before the number.
    pub(crate) fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    fn order(&self, other: &Self) -> std::cmp::Ordering {
        self.name.cmp(&other.name).then(self.leaf.cmp(&other.leaf))
    }
}

impl Group {
    pub(crate) fn len(&self) -> usize {
        self.samples.len()
    }

    pub(crate) fn push(&mut self, sample: Sample) {
        self.samples.push(sample);
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(u64, u32, u64) -> bool) {
        self.samples.retain(|sample| keep(sample.bean, sample.leaf, sample.token));
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

    pub(crate) fn header(&self, open_metrics: bool) -> &[u8] {
        if open_metrics { &self.open_metrics_header } else { &self.header }
    }

    /// Samples to write, in order.
    pub(crate) fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(|sample| !sample.hidden)
    }

    pub(crate) fn rebuild(
        &mut self,
        family: &str,
        generation: Generation,
        help: Option<&str>,
        object_label: impl Fn(u64, u32) -> String,
    ) {
        self.drops = Drops::default();
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
        self.samples.sort_by(Sample::order);
        self.kind = self.samples.first().map(|sample| sample.kind);
        let mut seen = std::collections::HashSet::new();
        let mut duplicates = 0;
        for sample in &mut self.samples {
            if !seen.insert(sample.labels.clone()) {
                sample.hidden = true;
                sample.prefix = Box::default();
                duplicates += 1;
                continue;
            }
            let mut out = family.as_bytes().to_vec();
            let mut any = false;
            for (name, value) in sample.labels() {
                out.push(if any { b',' } else { b'{' });
                any = true;
                push_label(&mut out, name, value);
            }
            out.extend_from_slice(if any { b",} " } else { b" " });
            sample.prefix = out.into_boxed_slice();
        }
        self.drops.add(Reason::DuplicateSeries, duplicates);
    }

    /// 1.x: mixed types are none; duplicates make every sample carry its object name.
    fn rebuild_told_apart(&mut self, family: &str, object_label: impl Fn(u64, u32) -> String) {
        let first = self.samples.first().map(|sample| sample.kind);
        let mixed = self.samples.iter().any(|sample| Some(sample.kind) != first);
        self.kind = if mixed { Some(Kind::Unknown) } else { first };
        let name = if self.is_counter() { format!("{family}_total") } else { family.to_owned() };
        self.samples.sort_by(|a, b| by_labels(a.labels(), b.labels()).then_with(|| a.order(b)));
        let twice =
            self.samples.windows(2).any(|pair| matches!(pair, [a, b] if a.labels == b.labels));
        if !twice {
            for sample in &mut self.samples {
                sample.prefix = prefix(&name, sample.labels());
            }
            return;
        }
        let mut apart: Vec<(Vec<(String, String)>, Sample)> =
            Vec::with_capacity(self.samples.len());
        for mut sample in self.samples.drain(..) {
            let mut labels: Vec<(String, String)> =
                sample.labels().map(|(name, value)| (name.into(), value.into())).collect();
            if labels.iter().any(|(name, _)| name == OBJECT_LABEL) {
                self.drops.add(Reason::DuplicateLabel, 1);
                sample.hidden = true;
            }
            labels.push((OBJECT_LABEL.into(), object_label(sample.bean, sample.leaf)));
            labels.sort_by(|a, b| utf16(&a.0, &b.0));
            apart.push((labels, sample));
        }
        apart.sort_by(|(a, x), (b, y)| by_labels(pairs(a), pairs(b)).then_with(|| x.order(y)));
        let mut last: Option<Vec<(String, String)>> = None;
        for (labels, mut sample) in apart {
            if last.as_ref() == Some(&labels) && !sample.hidden {
                self.drops.add(Reason::DuplicateSeries, 1);
                sample.hidden = true;
            }
            sample.prefix =
                if sample.hidden { Box::default() } else { prefix(&name, pairs(&labels)) };
            self.samples.push(sample);
            last = Some(labels);
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
    }
}

pub(super) fn push_type(out: &mut Vec<u8>, name: &str, word: &str) {
    for part in ["# TYPE ", name, " ", word, "\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

pub(super) fn push_label(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    push_label_value(out, value);
    out.push(b'"');
}

fn prefix<'a>(name: &str, labels: impl Iterator<Item = (&'a str, &'a str)>) -> Box<[u8]> {
    let mut out = Vec::with_capacity(128);
    out.extend_from_slice(name.as_bytes());
    let mut any = false;
    for (name, value) in labels {
        out.push(if any { b',' } else { b'{' });
        any = true;
        push_label(&mut out, name, value);
    }
    out.extend_from_slice(if any { b"} " } else { b" " });
    out.into_boxed_slice()
}

fn pairs(labels: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> + Clone {
    labels.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

/// By the list of names, then by the list of values; a shorter list first.
fn by_labels<'a>(
    a: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    b: impl Iterator<Item = (&'a str, &'a str)> + Clone,
) -> std::cmp::Ordering {
    lists(a.clone().map(|l| l.0), b.clone().map(|l| l.0))
        .then_with(|| lists(a.map(|l| l.1), b.map(|l| l.1)))
}

fn lists<'a>(
    mut a: impl Iterator<Item = &'a str>,
    mut b: impl Iterator<Item = &'a str>,
) -> std::cmp::Ordering {
    loop {
        match (a.next(), b.next()) {
            (None, None) => return std::cmp::Ordering::Equal,
            (None, Some(_)) => return std::cmp::Ordering::Less,
            (Some(_), None) => return std::cmp::Ordering::Greater,
            (Some(x), Some(y)) => match utf16(x, y) {
                std::cmp::Ordering::Equal => {}
                other => return other,
            },
        }
    }
}
