//! Which labels the series of a query may have.

use std::collections::{BTreeMap, BTreeSet};

use pharos_base::nearest;
use promql_parser::label::Matcher;

use crate::known::Known;
use crate::query::{fits_some, is_chosen};

/// Labels that Prometheus adds when it scrapes, or that people let it add.
const TARGET_LABELS: [&str; 22] = [
    "job",
    "instance",
    "cluster",
    "kafka_cluster",
    "env",
    "environment",
    "namespace",
    "pod",
    "node",
    "container",
    "endpoint",
    "service",
    "host",
    "hostname",
    "region",
    "zone",
    "datacenter",
    "dc",
    "team",
    "tenant",
    "app",
    "strimzi_io_cluster",
];

/// True for a label of targets, which no series has by itself.
pub(crate) fn is_of_target(label: &str) -> bool {
    TARGET_LABELS.contains(&label)
}

/// The labels of all series: what none of them has is the target's where a board chooses its value.
#[derive(Debug)]
pub(crate) struct Made<'a> {
    all: BTreeSet<&'a str>,
    by_name: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> Made<'a> {
    pub(crate) fn of(known: &'a Known) -> Self {
        let mut made = Self { all: BTreeSet::new(), by_name: BTreeMap::new() };
        for series in known.series() {
            let labels = || series.labels.iter().map(|(label, _)| label.as_str());
            made.all.extend(labels());
            made.by_name.entry(&series.name).or_default().extend(labels());
        }
        made
    }

    /// The labels that series of a name have, each some of them.
    pub(crate) fn of_name(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.by_name.get(name).into_iter().flatten().copied()
    }

    /// Whether what a matcher asks for, which series with the labels `have` lack, may be a label
    /// of the target: one of those that are common, or one that people added and let a board choose.
    /// What is much like a label of the series is that one, misspelt.
    pub(crate) fn leaves_to_target<'b>(
        &self,
        matcher: &Matcher,
        have: impl Iterator<Item = &'b str>,
    ) -> bool {
        let name = matcher.name.as_str();
        if is_of_target(name) {
            return fits_some(matcher);
        }
        is_chosen(matcher) && !self.all.contains(name) && nearest(name, have).is_none()
    }
}

/// A set of labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Labels {
    /// Whatever label: the series are not ours to know.
    pub(crate) any: bool,
    targets: bool,
    names: BTreeSet<String>,
    removed: BTreeSet<String>,
    /// Kept by name, and nobody's unless targets have them.
    perhaps: BTreeSet<String>,
}

impl Labels {
    /// Those of scraped series.
    pub(crate) fn scraped<'a>(names: impl Iterator<Item = &'a String>) -> Self {
        Self { targets: true, names: names.cloned().collect(), ..Self::default() }
    }

    pub(crate) fn anything() -> Self {
        Self { any: true, ..Self::default() }
    }

    pub(crate) fn has(&self, label: &str) -> bool {
        self.any
            || self.names.contains(label)
            || (self.targets && is_of_target(label) && !self.removed.contains(label))
    }

    /// Whether a matcher finds it if targets have a label that nothing else makes.
    pub(crate) fn may_have(&self, matcher: &Matcher, made: &Made<'_>) -> bool {
        self.keeps(&matcher.name)
            && made.leaves_to_target(matcher, self.names.iter().map(String::as_str))
    }

    /// Whether a label of the target would still be there.
    fn keeps(&self, label: &str) -> bool {
        self.perhaps.contains(label) || (self.targets && !self.removed.contains(label))
    }

    pub(crate) fn add(&mut self, label: &str) {
        self.names.insert(label.to_owned());
    }

    pub(crate) fn only(&self, labels: &[String]) -> Self {
        let (names, others): (BTreeSet<_>, BTreeSet<_>) =
            labels.iter().cloned().partition(|label| self.has(label));
        let perhaps = others.into_iter().filter(|label| self.keeps(label)).collect();
        Self { names, perhaps, ..Self::default() }
    }

    pub(crate) fn without(&self, labels: &[String]) -> Self {
        let mut left = self.clone();
        for label in labels {
            left.names.remove(label);
            left.perhaps.remove(label);
            left.removed.insert(label.clone());
        }
        left
    }

    pub(crate) fn or(&self, other: &Self) -> Self {
        Self {
            any: self.any || other.any,
            targets: self.targets || other.targets,
            names: self.names.union(&other.names).cloned().collect(),
            removed: match (self.targets, other.targets) {
                (true, true) => self.removed.intersection(&other.removed).cloned().collect(),
                (true, false) => self.removed.clone(),
                _ => other.removed.clone(),
            },
            perhaps: self.perhaps.union(&other.perhaps).cloned().collect(),
        }
    }
}
