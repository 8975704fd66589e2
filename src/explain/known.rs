//! Every series that there can be: what rule files make of beans, native families, and what a page
//! tells of itself.

use pharos_metrics::catalog::{rows_of_beans, rows_of_families};
use pharos_metrics::rules::{BUILT_IN, Lineage};
use pharos_metrics::{BeanRow, FamilyKind, FamilyRow, Generation, RuleError, RuleSet};

/// The exporter's families about itself.
const OWN: [(&str, &str); 3] = [
    ("jmx_scrape_cached_beans", "Beans whose rule is cached, as jmx_exporter tells."),
    ("jmx_scrape_duration_seconds", "Time that reading the beans took."),
    ("jmx_scrape_error", "1 when a sample would have ended jmx_exporter's scrape."),
];

/// Families that every Prometheus has of its targets and alerts.
const OF_PROMETHEUS: [&str; 8] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
    "scrape_timeout_seconds",
    "ALERTS",
    "ALERTS_FOR_STATE",
];

/// Where names of other programs begin, and those that clients push.
const ELSEWHERE: [&str; 14] = [
    "node_",
    "container_",
    "kube_",
    "kubelet_",
    "machine_",
    "go_",
    "prometheus_",
    "alertmanager_",
    "grafana_",
    "probe_",
    "promhttp_",
    "net_conntrack_",
    "org_apache_kafka_",
    "scrape_",
];

/// Series of one name and one set of label names.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The name of the samples.
    pub name: String,
    /// Label names; a value where it is always the same.
    pub labels: Vec<(String, Option<String>)>,
    /// Whether it only grows.
    pub counter: bool,
    /// Where it comes from.
    pub source: Source,
}

/// Where a series comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A rule, applied to an attribute of a bean.
    Rule {
        /// The rule file.
        file: String,
        /// Number of the rule, from 1, and its line where it can be told.
        rule: (usize, Option<usize>),
        /// The catalogue's row of the bean.
        row: &'static BeanRow,
        /// The attribute.
        attribute: String,
    },
    /// A native family.
    Native(&'static FamilyRow),
    /// The page about itself, as jmx_exporter does; what it tells.
    Own(&'static str),
    /// A recording rule of Prometheus.
    Record {
        /// The rule file.
        file: String,
        /// Its line, where it can be told.
        line: Option<usize>,
        /// The names that it reads.
        reads: Vec<String>,
    },
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Rule { file, rule, row, attribute },
                Self::Rule { file: file2, rule: rule2, row: row2, attribute: attribute2 },
            ) => {
                file == file2
                    && rule == rule2
                    && std::ptr::eq(*row, *row2)
                    && attribute == attribute2
            }
            (Self::Native(one), Self::Native(two)) => std::ptr::eq(*one, *two),
            (Self::Own(one), Self::Own(two)) => one == two,
            (Self::Record { file, line, .. }, Self::Record { file: file2, line: line2, .. }) => {
                (file, line) == (file2, line2)
            }
            _ => false,
        }
    }
}

/// All series that there can be.
#[derive(Debug, Clone, Default)]
pub struct Known {
    series: Vec<Series>,
}

impl Known {
    /// Native families and what pages tell of themselves.
    pub fn native() -> Self {
        let mut known = Self::default();
        for row in rows_of_families() {
            known.add_family(row);
        }
        for (name, meaning) in OWN {
            let name = name.to_owned();
            let source = Source::Own(meaning);
            known.series.push(Series { name, labels: Vec::new(), counter: false, source });
        }
        known
    }

    /// With the rule sets that are compiled in.
    ///
    /// # Errors
    /// When one of them is broken.
    pub fn built_in(generation: Generation) -> Result<Self, RuleError> {
        let mut known = Self::native();
        for (file, text) in BUILT_IN {
            known.add_rules(text, file, generation)?;
        }
        Ok(known)
    }

    /// Adds what a rule file makes of the catalogue's beans.
    ///
    /// # Errors
    /// When the file is refused.
    pub fn add_rules(
        &mut self,
        text: &str,
        file: &str,
        generation: Generation,
    ) -> Result<(), RuleError> {
        let rules = RuleSet::parse(text, file, generation)?;
        for lineage in rules.lineage() {
            let Lineage { template, attribute, rule, name, labels, counter } = lineage;
            let Some(row) = rows_of_beans().find(|row| row.template == template) else { continue };
            let rule = (rule, rules.line_of(rule));
            let source = Source::Rule { file: file.to_owned(), rule, row, attribute };
            self.series.push(Series { name, labels, counter, source });
        }
        Ok(())
    }

    fn add_family(&mut self, row: &'static FamilyRow) {
        let labels: Vec<_> = row.labels.iter().map(|label| ((*label).to_owned(), None)).collect();
        let mut add = |suffix: &str, more: Option<&str>, counter| {
            let more = more.map(|label| (label.to_owned(), None));
            let labels = labels.iter().cloned().chain(more).collect();
            let name = format!("{}{suffix}", row.name);
            self.series.push(Series { name, labels, counter, source: Source::Native(row) });
        };
        match row.kind {
            FamilyKind::Histogram(_) => {
                add("_bucket", Some("le"), true);
                add("_sum", None, true);
                add("_count", None, true);
            }
            kind => add("", None, kind == FamilyKind::Counter),
        }
    }

    /// All of them.
    pub fn series(&self) -> &[Series] {
        &self.series
    }
}

impl Series {
    /// The bounds of a histogram's buckets.
    pub(crate) fn bounds(&self) -> Option<&'static [f64]> {
        match self.source {
            Source::Native(row) if self.name.ends_with("_bucket") => match row.kind {
                FamilyKind::Histogram(bounds) => Some(bounds),
                _ => None,
            },
            _ => None,
        }
    }

    /// Smallest and largest value that it can have.
    pub(crate) fn range(&self) -> (f64, f64) {
        match self.source {
            Source::Native(row) if row.unit == "0/1" => (0.0, 1.0),
            _ if self.counter => (0.0, f64::INFINITY),
            _ => (f64::NEG_INFINITY, f64::INFINITY),
        }
    }
}

/// True for a name of Prometheus itself.
pub(crate) fn is_of_prometheus(name: &str) -> bool {
    OF_PROMETHEUS.contains(&name)
}

/// True for a name that other programs use.
pub(crate) fn is_from_elsewhere(name: &str) -> bool {
    ELSEWHERE.iter().any(|prefix| name.starts_with(prefix))
}
