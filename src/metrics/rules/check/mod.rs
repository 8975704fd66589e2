//! `pharos rules check`: what is wrong with a rule file, measured against the beans that there can
//! be, without serving anything.

mod beans;
mod patterns;
mod series;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use super::config::{Generation, RuleError, RuleSet};
use super::http_server::HttpServer;
use super::lines::readable;
use super::survey::{self, Example, Trace};
use super::{EvalError, Lineage};

/// A class of defects; its name is stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// A key that means nothing.
    UnknownKey,
    /// A selection that selects nothing.
    EmptySelection,
    /// A pattern in the form of an object name, which no bean's text has.
    ObjectNameForm,
    /// A pattern that would match were the properties in another order.
    PropertyOrder,
    /// A rule that matches no bean.
    DeadRule,
    /// A rule that never decides: earlier ones do.
    ShadowedRule,
    /// A rule that decides and makes no sample.
    NoSample,
    /// A template that refers to a group which its pattern does not have.
    BadReference,
    /// A label that no scrape can carry.
    BadLabel,
    /// Attributes of one bean that share a series, since the pattern leaves open how their names go on.
    AttributePrefix,
    /// Beans that share a series.
    SeriesCollision,
    /// A capture that the greedy start of the pattern cuts short.
    GreedyCapture,
    /// Counters that share a family with what is none.
    MixedTypes,
    /// A counter of what falls too.
    CounterOfGauge,
    /// A pattern that takes too many steps.
    CostlyPattern,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::UnknownKey,
        Self::EmptySelection,
        Self::ObjectNameForm,
        Self::PropertyOrder,
        Self::DeadRule,
        Self::ShadowedRule,
        Self::NoSample,
        Self::BadReference,
        Self::BadLabel,
        Self::AttributePrefix,
        Self::SeriesCollision,
        Self::GreedyCapture,
        Self::MixedTypes,
        Self::CounterOfGauge,
        Self::CostlyPattern,
    ];

    /// The name to search for.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnknownKey => "unknown-key",
            Self::EmptySelection => "empty-selection",
            Self::ObjectNameForm => "object-name-form",
            Self::PropertyOrder => "property-order",
            Self::DeadRule => "dead-rule",
            Self::ShadowedRule => "shadowed-rule",
            Self::NoSample => "no-sample",
            Self::BadReference => "bad-reference",
            Self::BadLabel => "bad-label",
            Self::AttributePrefix => "attribute-prefix",
            Self::SeriesCollision => "series-collision",
            Self::GreedyCapture => "greedy-capture",
            Self::MixedTypes => "mixed-types",
            Self::CounterOfGauge => "counter-of-gauge",
            Self::CostlyPattern => "costly-pattern",
        }
    }
}

/// A defect: where it is and why it is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its class.
    pub class: Class,
    /// The file.
    pub file: String,
    /// The rule, counted from 1; 0 for what stands outside rules.
    pub rule: usize,
    /// Its line, where it can be told.
    pub line: Option<usize>,
    /// One sentence.
    pub why: String,
}

impl fmt::Display for Finding {
    /// `FILE:LINE: CLASS: rule N: WHY`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}: ", self.class.name())?;
        if self.rule > 0 {
            write!(f, "rule {}: ", self.rule)?;
        }
        f.write_str(&readable(&self.why))
    }
}

/// What there is to say of a rule file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// What is wrong, in order of rules.
    pub findings: Vec<Finding>,
    /// Templates that each rule decides for, with how many of their attributes.
    pub matches: Vec<Vec<(String, usize)>>,
    /// Sample names that differ between the exporters, in order of rules.
    pub renamed: Vec<Renamed>,
    /// What it makes.
    pub lineage: Vec<Lineage>,
    /// What is ignored and does no harm.
    pub notes: Vec<String>,
    /// Who may read its pages, as the file says: what a start would ask for.
    pub http_server: Option<HttpServer>,
}

/// A name that the exporters write differently.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Renamed {
    /// The first rule that makes it, counted from 1.
    pub rule: usize,
    /// The name in 0.x.
    pub old: String,
    /// The name in 1.x.
    pub new: String,
}

/// What the checks look at.
struct Survey<'a> {
    file: &'a str,
    rules: &'a RuleSet,
    examples: &'a [Example],
    traces: &'a [Trace],
}

impl Survey<'_> {
    fn finding(&self, class: Class, rule: usize, why: String) -> Finding {
        let line = rule.checked_sub(1).and_then(|at| self.rules.written.lines.get(at)).copied();
        Finding { class, file: self.file.to_owned(), rule, line, why }
    }

    /// `BEAN ATTRIBUTE` of a trace.
    fn place(&self, trace: &Trace) -> String {
        let Some(example) = self.examples.get(trace.example) else { return String::new() };
        let attribute = example.leaves.get(trace.leaf).map_or("", |leaf| leaf.name.as_str());
        format!("{} {attribute}", example.name)
    }
}

/// Reads a rule file and looks for what is wrong with it, over the catalogue's beans and those of a
/// dump.
///
/// # Errors
/// When the file or the dump is refused.
pub fn check(
    text: &str,
    file: &str,
    generation: Generation,
    dump: Option<&str>,
) -> Result<Checked, EvalError> {
    let rules = RuleSet::parse(text, file, generation)?;
    let mut examples = survey::examples();
    if let Some(dump) = dump {
        examples.extend(survey::examples_of_dump(dump)?);
    }
    let traces = rules.survey(&examples);
    let seen = Survey { file, rules: &rules, examples: &examples, traces: &traces };
    let mut findings = beans::keys(&seen, " and ignored");
    findings.extend(beans::selections(&seen));
    findings.extend(patterns::idle(&seen));
    findings.extend(patterns::costly(&seen, " and is given up"));
    findings.extend(patterns::cut_captures(&seen));
    findings.extend(beans::drops(&seen));
    findings.extend(series::collisions(&seen));
    findings.extend(series::types(&seen));
    findings.sort_by(|a, b| (a.rule, a.class, &a.why).cmp(&(b.rule, b.class, &b.why)));
    let unknown = |warning: &&String| !warning.ends_with("is unknown and ignored");
    Ok(Checked {
        findings,
        matches: beans::matches(&seen),
        renamed: renamed(&seen),
        lineage: survey::lineage(&examples, &traces, generation),
        notes: rules.warnings().iter().filter(unknown).cloned().collect(),
        http_server: rules.http_server().cloned(),
    })
}

impl RuleSet {
    /// [`RuleSet::parse`] for a file that is to replace one which works: what a start takes, a key
    /// that is ignored and a pattern that is given up, is refused too, and the error says so.
    ///
    /// # Errors
    /// As [`RuleSet::parse`], and for doubts.
    pub fn parse_strictly(
        text: &str,
        file: &str,
        generation: Generation,
    ) -> Result<Self, RuleError> {
        let rules = Self::parse(text, file, generation)?;
        let seen = Survey { file, rules: &rules, examples: &[], traces: &[] };
        let keys = beans::keys(&seen, ": a start ignores it, a reload refuses the file");
        let costly = || patterns::costly(&seen, " (a start takes it, a reload refuses the file)");
        let doubt = keys.into_iter().next().or_else(|| costly().into_iter().next());
        match doubt {
            None => Ok(rules),
            Some(Finding { line, rule, why, .. }) => {
                let line = line.map_or_else(String::new, |line| format!("line {line}: "));
                let rule = if rule > 0 { format!("rule {rule}: ") } else { String::new() };
                let why = readable(&why);
                Err(RuleError { file: file.to_owned(), message: format!("{line}{rule}{why}") })
            }
        }
    }
}

/// The names that the two generations write differently, each once.
fn renamed(seen: &Survey<'_>) -> Vec<Renamed> {
    let names = |generation| -> BTreeMap<_, _> {
        let lineage = survey::lineage(seen.examples, seen.traces, generation);
        let key = |it: &Lineage| (it.template.clone(), it.attribute.clone(), it.rule);
        lineage.into_iter().map(|it| (key(&it), it.name)).collect()
    };
    let (old, new) = (names(Generation::V0), names(Generation::V1));
    let mut first: BTreeMap<(String, String), usize> = BTreeMap::new();
    for (key, old) in old {
        let Some(new) = new.get(&key).filter(|new| **new != old) else { continue };
        let rule = first.entry((old, new.clone())).or_insert(key.2);
        *rule = key.2.min(*rule);
    }
    let mut all: Vec<_> =
        first.into_iter().map(|((old, new), rule)| Renamed { rule, old, new }).collect();
    all.sort();
    all
}
