//! Which labels the series of a query may have.

use std::collections::BTreeSet;

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

/// A set of labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Labels {
    /// Whatever label: the series are not ours to know.
    pub(crate) any: bool,
    targets: bool,
    names: BTreeSet<String>,
    removed: BTreeSet<String>,
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

    pub(crate) fn add(&mut self, label: &str) {
        self.names.insert(label.to_owned());
    }

    pub(crate) fn only(&self, labels: &[String]) -> Self {
        let names = labels.iter().filter(|label| self.has(label)).cloned().collect();
        Self { names, ..Self::default() }
    }

    pub(crate) fn without(&self, labels: &[String]) -> Self {
        let mut left = self.clone();
        for label in labels {
            left.names.remove(label);
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
        }
    }
}
