//! Asks the rules again and again, and answers what is wrong now and what was seen.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::alert::{Active, Alert};
use crate::eval::{Moment, Sample, Worth, slope};
use crate::history::{History, LOOKBACK_MS, MAX_KEEP_MS, Use};
use crate::labels::{self, Labels};
use crate::page;
use crate::rules::{Kind, Rule, Rules};

/// The labels that Prometheus gives to what it scrapes.
#[derive(Debug, Clone)]
pub struct Target {
    /// `cluster`.
    pub cluster: String,
    /// `instance`.
    pub instance: String,
}

/// An alert that cannot be seen from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blind {
    /// Its name.
    pub name: String,
    /// Why.
    pub why: String,
}

/// Times and values of a recorded series.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its labels.
    pub labels: Labels,
    /// Ms since 1970 and value, oldest first.
    pub points: Vec<(i64, f64)>,
}

/// A name whose series are kept to be asked for.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    /// The name.
    pub name: &'static str,
    /// For how many ms; 0 keeps the last look alone.
    pub keep_ms: i64,
    /// What for.
    pub of: Use,
}

/// How a [`Watch`] watches.
#[derive(Debug)]
pub struct WatchOptions<'a> {
    /// The labels of what it is shown.
    pub target: Target,
    /// Alerts that are left out, each with the reason.
    pub outside: &'a [(&'a str, &'a str)],
    /// Names that are there to be asked for.
    pub kept: &'a [Kept],
    /// Bytes that the past may take.
    pub budget_bytes: usize,
    /// The longest pause between two looks, in ms.
    pub pause_ms: i64,
}

/// What the past takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// Bytes.
    pub bytes: usize,
    /// Bytes that it may take.
    pub budget_bytes: usize,
    /// Names that are left out so that it does not take more, and what they are for.
    pub left_out: Vec<(String, Use)>,
}

/// The rules, what they read, and what is wrong now.
#[derive(Debug)]
pub struct Watch {
    rules: Vec<Rule>,
    target: Target,
    history: History,
    /// What is there by the number of its rule.
    active: Vec<Active>,
    /// Alerts that are never asked here.
    outside: Vec<Blind>,
    /// Rules that could not be asked the last time, by number.
    failed: BTreeMap<usize, String>,
    /// When the rules were asked last.
    last_ms: i64,
    /// The longest pause between two looks.
    pause_ms: i64,
}

impl Watch {
    /// Watches by `rules`.
    pub fn new(mut rules: Rules, options: WatchOptions<'_>) -> Self {
        let WatchOptions { target, outside, kept, budget_bytes, pause_ms } = options;
        let mut blind = Vec::new();
        rules.all.retain(|rule| match blind_for(rule, outside) {
            Some(why) => {
                blind.push(why);
                false
            }
            None => true,
        });
        let uses = rules.keep_needed(kept.iter().map(|it| (it.name, it.of)));
        let mut history = History::new(budget_bytes);
        for (selector, keep_ms) in rules.all.iter().flat_map(Rule::selectors) {
            if let Some(name) = &selector.name {
                let of = uses.get(name).copied().unwrap_or_default();
                history.want(name, &selector.matchers.matchers, keep_ms, of);
            }
        }
        for Kept { name, keep_ms, of } in kept {
            history.want(name, &[], *keep_ms, *of);
        }
        let active = rules.all.iter().map(|_| Active::default()).collect();
        Self {
            rules: rules.all,
            target,
            history,
            active,
            outside: blind,
            failed: BTreeMap::new(),
            last_ms: 0,
            pause_ms,
        }
    }

    /// Begins to take the samples of this moment.
    pub fn begin(&mut self, now_ms: i64) {
        if now_ms < self.last_ms {
            self.start_anew(now_ms);
        }
        self.last_ms = now_ms;
        self.history.begin(now_ms);
    }

    /// The names whose samples are asked for.
    pub fn names(&self) -> HashSet<String> {
        self.history.names().map(str::to_owned).collect()
    }

    /// Begins to take the samples of one page, which that job scrapes.
    pub fn page<'a>(&'a mut self, job: &'a str) -> Taking<'a> {
        let mut taking = Taking { watch: self, job, labels: String::new() };
        taking.sample("up", "", 1.0);
        taking
    }

    /// Asks the rules, once the pages of this moment are taken.
    pub fn ask(&mut self) {
        let recorded: BTreeSet<_> = self.rules.iter().filter_map(Rule::records).collect();
        self.history.end(|name| !recorded.contains(name));
        self.ask_rules();
        let recorded: BTreeSet<_> = self.rules.iter().filter_map(Rule::records).collect();
        self.history.end(|name| recorded.contains(name));
        self.history.settle();
    }

    /// The clock was set back: what was seen by it has no order any more. Alerts stay, none since a
    /// time to come.
    fn start_anew(&mut self, now_ms: i64) {
        self.history.forget();
        self.active.iter_mut().for_each(|active| active.start_anew(now_ms));
    }

    /// Asks the rules of what is remembered.
    pub(crate) fn ask_rules(&mut self) {
        let now_ms = self.last_ms;
        self.failed.clear();
        for (at, rule) in self.rules.iter().enumerate() {
            let moment = Moment { history: &self.history, now_ms };
            let found = match moment.worth(&rule.expr) {
                Ok(Worth::Vector(found)) => found,
                Ok(Worth::Scalar(value)) => vec![Sample { labels: Labels::default(), value }],
                Err(error) => {
                    self.failed.insert(at, error.to_string());
                    continue;
                }
            };
            match &rule.kind {
                Kind::Record { name } => {
                    for Sample { labels, value } in found {
                        let labels = match rule.labels.is_empty() {
                            true => labels,
                            false => labels.with(rule.labels.iter().map(|(n, v)| (&**n, &**v))),
                        };
                        self.history.add(name, labels.text(), value);
                    }
                }
                Kind::Alert(alert) => {
                    if let Some(active) = self.active.get_mut(at) {
                        active.follow(alert, rule, found, now_ms);
                    }
                }
            }
        }
    }

    /// What is wrong now, the worst first.
    pub fn alerts(&self) -> Vec<Alert> {
        let mut found: Vec<Alert> = Vec::new();
        for (rule, active) in self.rules.iter().zip(&self.active) {
            if let Kind::Alert(alert) = &rule.kind {
                found.extend(active.told(alert, rule));
            }
        }
        found.sort_by(Alert::order);
        found
    }

    /// The alerts that cannot be seen from here now, each with the reason.
    pub fn blind(&self) -> Vec<Blind> {
        let mut found = self.outside.clone();
        let mut lost: BTreeMap<&str, String> = BTreeMap::new();
        for (at, rule) in self.rules.iter().enumerate() {
            let why = self.failed.get(&at).cloned().or_else(|| {
                let reads = rule.reads();
                let lacks = reads.iter().find(|name| self.history.lacks(name));
                let through = reads.iter().find_map(|name| lost.get(name.as_str()).cloned());
                lacks
                    .map(|name| format!("there is no room to remember all series of {name}"))
                    .or_else(|| too_rare(rule, self.pause_ms))
                    .or(through)
            });
            let Some(why) = why else { continue };
            match &rule.kind {
                Kind::Record { name } => drop(lost.insert(name, why)),
                Kind::Alert(alert) => found.push(Blind { name: alert.name.clone(), why }),
            }
        }
        found
    }

    /// How many alert rules are asked.
    pub fn rule_count(&self) -> usize {
        self.rules.iter().filter(|rule| rule.is_alert()).count()
    }

    /// Series that are remembered.
    pub fn series_count(&self) -> usize {
        self.history.series_count()
    }

    /// What the past takes, as of the last look.
    pub fn memory(&self) -> Memory {
        let (bytes, budget_bytes) = self.history.taken_of();
        let left_out = self.history.left_out().map(|(name, of)| (name.to_owned(), of));
        let mut left_out: Vec<_> = left_out.collect();
        left_out.sort();
        Memory { bytes, budget_bytes, left_out }
    }

    /// The series of a recorded name since a time.
    pub fn lines(&self, name: &str, from_ms: i64) -> Vec<Line> {
        let series = self.history.series(name);
        let mut lines: Vec<_> = series
            .map(|(labels, past)| Line {
                labels: labels.clone(),
                points: past.between(from_ms, i64::MAX).collect(),
            })
            .filter(|line| !line.points.is_empty())
            .collect();
        lines.sort_by(|a, b| a.labels.cmp(&b.labels));
        lines
    }

    /// The values that a name has as of the last look.
    pub fn last(&self, name: &str) -> impl Iterator<Item = (&Labels, f64)> {
        let at_ms = self.last_ms;
        let series = self.history.series(name);
        series.filter_map(move |(labels, past)| Some((labels, past.at(at_ms)?)))
    }

    /// How fast those series of a name that are wanted grow per second, by a straight line through
    /// their last `over_ms`.
    pub fn slopes(
        &self,
        name: &str,
        over_ms: i64,
        wanted: impl Fn(&Labels) -> bool,
    ) -> Vec<(Labels, f64)> {
        let series = self.history.series(name).filter(|(labels, _)| wanted(labels));
        let slope = |past| slope(past, self.last_ms - over_ms, self.last_ms);
        series.filter_map(|(labels, past)| Some((labels.clone(), slope(past)?))).collect()
    }

    #[cfg(test)]
    pub(crate) fn history_mut(&mut self) -> &mut History {
        &mut self.history
    }

    /// Ends what was recorded before, and is no more.
    #[cfg(test)]
    pub(crate) fn end_recorded(&mut self) {
        let recorded: BTreeSet<_> = self.rules.iter().filter_map(Rule::records).collect();
        self.history.end(|name| recorded.contains(name));
    }
}

/// Takes the samples of one page, with the labels that Prometheus gives to what it scrapes.
#[derive(Debug)]
pub struct Taking<'a> {
    watch: &'a mut Watch,
    job: &'a str,
    labels: String,
}

impl Taking<'_> {
    /// Takes a sample with its labels as text shows them between the braces.
    pub fn sample(&mut self, name: &str, written: &str, value: f64) {
        let Watch { history, target, .. } = &mut *self.watch;
        let own = [
            ("cluster", target.cluster.as_str()),
            ("instance", target.instance.as_str()),
            ("job", self.job),
        ];
        let told: Vec<(&str, Cow<'_, str>)> = page::labels(written).collect();
        let mut pairs: Vec<_> = told.iter().map(|(name, value)| (*name, &**value)).collect();
        pairs.extend(own);
        labels::write(&mut pairs, &mut self.labels);
        history.add(name, &self.labels, value);
    }
}

/// Why an alert can never be asked here.
fn blind_for(rule: &Rule, outside: &[(&str, &str)]) -> Option<Blind> {
    let Kind::Alert(alert) = &rule.kind else { return None };
    let told = outside.iter().find(|(name, _)| *name == alert.name);
    let longest = rule.selectors().into_iter().map(|(_, back)| back).max().unwrap_or(0);
    let why = match told {
        Some((_, why)) => (*why).to_owned(),
        None if longest > MAX_KEEP_MS => {
            let hours = longest as u64 / 3_600_000;
            format!("it looks back {hours} hours, more than is remembered here")
        }
        None => return None,
    };
    Some(Blind { name: alert.name.clone(), why })
}

/// Why a rule finds nothing where looks are so far apart.
fn too_rare(rule: &Rule, pause_ms: i64) -> Option<String> {
    let too_short = |(range_ms, offset_ms): &(i64, i64)| {
        *range_ms > 0 && *range_ms < 2 * pause_ms || *offset_ms > 0 && pause_ms > LOOKBACK_MS
    };
    let (range_ms, _) = rule.times().into_iter().find(too_short)?;
    Some(match range_ms {
        0 => format!("it looks back, and the broker looks only each {} s", pause_ms / 1000),
        _ => format!(
            "it asks what happened within {} s, and the broker looks only each {} s",
            range_ms / 1000,
            pause_ms / 1000
        ),
    })
}
