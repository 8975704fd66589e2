//! Asks the rules again and again, and remembers since when each alert is there.
//!
//! An alert is *pending* from the first time that its expression has an answer, and *firing* once it
//! had one for as long as the rule says; then it stays a while longer where the rule says so.

use std::collections::{BTreeMap, BTreeSet};

use crate::eval::{Moment, Sample, Worth, slope};
use crate::history::{History, LOOKBACK_MS, MAX_KEEP_MS, MAX_SERIES_OF_A_NAME};
use crate::labels::Labels;
use crate::page::samples;
use crate::rules::{AlertRule, Kind, Rule, Rules};
use crate::template::render;

/// The labels that Prometheus gives to what it scrapes.
#[derive(Debug, Clone)]
pub struct Target {
    /// `cluster`.
    pub cluster: String,
    /// `instance`.
    pub instance: String,
}

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It holds for long enough.
    Firing,
    /// It holds, not long enough yet.
    Pending,
}

/// An alert that is there now.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub state: State,
    /// Since when, in ms since 1970.
    pub since_ms: i64,
    /// How long it must hold before it fires, in ms.
    pub for_ms: i64,
    /// The labels that name the thing, with those that the rule adds.
    pub labels: Labels,
    /// What the expression is worth.
    pub value: f64,
    /// What the rule says of it: `summary`, `description`, `runbook_url`.
    pub annotations: BTreeMap<String, String>,
    /// The expression.
    pub expr: String,
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

/// The rules, what they read, and what is wrong now.
#[derive(Debug)]
pub struct Watch {
    rules: Vec<Rule>,
    target: Target,
    history: History,
    /// What is there by the number of its rule.
    active: Vec<BTreeMap<Labels, Active>>,
    /// Alerts that are never asked here.
    outside: Vec<Blind>,
    /// Rules that could not be asked the last time, by number.
    failed: BTreeMap<usize, String>,
    /// When the rules were asked last.
    last_ms: i64,
}

#[derive(Debug, Clone)]
struct Active {
    state: State,
    since_ms: i64,
    gone_ms: Option<i64>,
    value: f64,
    named: Labels,
}

impl Watch {
    /// Watches by `rules`. The alerts of `outside` are left out, each for its reason; the recorded
    /// names of `lines` are kept for so many ms, to be asked for by [`Watch::lines`].
    pub fn new(
        mut rules: Rules,
        target: Target,
        outside: &[(&str, &str)],
        lines: &[(&str, i64)],
    ) -> Self {
        let mut blind = Vec::new();
        rules.all.retain(|rule| match blind_for(rule, outside) {
            Some(why) => {
                blind.push(why);
                false
            }
            None => true,
        });
        let drawn: Vec<&str> = lines.iter().map(|(name, _)| *name).collect();
        rules.keep_needed(&drawn);
        let mut history = History::default();
        for (selector, keep_ms) in rules.all.iter().flat_map(Rule::selectors) {
            if let Some(name) = &selector.name {
                history.want(name, &selector.matchers.matchers, keep_ms);
            }
        }
        for (name, keep_ms) in lines {
            history.want(name, &[], *keep_ms);
        }
        let active = rules.all.iter().map(|_| BTreeMap::new()).collect();
        Self {
            rules: rules.all,
            target,
            history,
            active,
            outside: blind,
            failed: BTreeMap::new(),
            last_ms: 0,
        }
    }

    /// Takes the pages of this moment, each with its job, and asks the rules.
    pub fn step(&mut self, now_ms: i64, pages: &[(&str, &str)]) {
        if now_ms < self.last_ms {
            self.start_anew(now_ms);
        }
        self.history.begin();
        for (job, page) in pages {
            let own = [
                ("cluster", self.target.cluster.as_str()),
                ("instance", self.target.instance.as_str()),
                ("job", job),
            ];
            let own = Labels::default().with(own);
            self.history.add("up", own.clone(), now_ms, 1.0);
            let found: Vec<_> = samples(page, |name| self.history.wants(name)).collect();
            for line in found {
                let labels = own.with(line.labels());
                self.history.add(line.name, labels, now_ms, line.value);
            }
        }
        let recorded: BTreeSet<_> = self.rules.iter().filter_map(Rule::records).collect();
        self.history.end(now_ms, |name| !recorded.contains(name));
        self.ask(now_ms);
    }

    /// The clock was set back: what was seen by it has no order any more. Alerts stay, none since a
    /// time to come.
    fn start_anew(&mut self, now_ms: i64) {
        self.history.forget();
        for active in self.active.iter_mut().flat_map(BTreeMap::values_mut) {
            active.since_ms = active.since_ms.min(now_ms);
            active.gone_ms = active.gone_ms.map(|gone_ms| gone_ms.min(now_ms));
        }
    }

    /// Asks the rules of what is remembered.
    pub(crate) fn ask(&mut self, now_ms: i64) {
        self.failed.clear();
        self.last_ms = now_ms;
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
                        let labels = labels.with(rule.labels.iter().map(|(n, v)| (&**n, &**v)));
                        self.history.add(name, labels, now_ms, value);
                    }
                }
                Kind::Alert(alert) => {
                    if let Some(active) = self.active.get_mut(at) {
                        follow(active, alert, rule, found, now_ms);
                    }
                }
            }
        }
        let recorded: BTreeSet<_> = self.rules.iter().filter_map(Rule::records).collect();
        self.history.end(now_ms, |name| recorded.contains(name));
    }

    /// What is wrong now: what fires before what may, what is critical before what warns, what is
    /// old before what is new.
    pub fn alerts(&self) -> Vec<Alert> {
        let mut found: Vec<Alert> = Vec::new();
        for (rule, active) in self.rules.iter().zip(&self.active) {
            let Kind::Alert(alert) = &rule.kind else { continue };
            found.extend(active.iter().map(|(labels, active)| told(alert, rule, labels, active)));
        }
        found.sort_by(|a, b| {
            let rank =
                |it: &Alert| (it.state, severity_rank(it.labels.get("severity")), it.since_ms);
            rank(a).cmp(&rank(b)).then_with(|| a.name.cmp(&b.name)).then(a.labels.cmp(&b.labels))
        });
        found
    }

    /// The alerts that cannot be seen from here now, each with the reason.
    pub fn blind(&self) -> Vec<Blind> {
        let mut found = self.outside.clone();
        let mut lost: BTreeMap<&str, String> = BTreeMap::new();
        for (at, rule) in self.rules.iter().enumerate() {
            let why = self.failed.get(&at).cloned().or_else(|| {
                let reads = rule.reads();
                let over = reads.iter().find(|name| self.history.is_over(name));
                let through = reads.iter().find_map(|name| lost.get(name.as_str()).cloned());
                over.map(|name| format!("{name} has more than {MAX_SERIES_OF_A_NAME} series"))
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

    /// The series of a recorded name since a time.
    pub fn lines(&self, name: &str, from_ms: i64) -> Vec<Line> {
        let series = self.history.series(name);
        let mut lines: Vec<_> = series
            .map(|(labels, series)| Line {
                labels: labels.clone(),
                points: series.between(from_ms, i64::MAX).collect(),
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
        series.filter_map(move |(labels, series)| Some((labels, series.at(at_ms)?)))
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
        let slope = |series| slope(series, self.last_ms - over_ms, self.last_ms);
        series.filter_map(|(labels, series)| Some((labels.clone(), slope(series)?))).collect()
    }

    #[cfg(test)]
    pub(crate) fn history_mut(&mut self) -> &mut History {
        &mut self.history
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
            let hours = (longest - LOOKBACK_MS) as u64 / 3_600_000;
            format!("it looks back {hours} hours, more than is remembered here")
        }
        None => return None,
    };
    Some(Blind { name: alert.name.clone(), why })
}

/// Takes over what an alert's expression is worth now.
fn follow(
    active: &mut BTreeMap<Labels, Active>,
    alert: &AlertRule,
    rule: &Rule,
    found: Vec<Sample>,
    now_ms: i64,
) {
    let mut there = BTreeSet::new();
    for Sample { labels: named, value } in found {
        let own = rule.labels.iter().map(|(name, text)| (&**name, render(text, &named, value)));
        let labels = named.with(own.chain([("alertname", alert.name.clone())]));
        let fresh = Active { state: State::Pending, since_ms: now_ms, gone_ms: None, value, named };
        let have = active.entry(labels.clone()).or_insert(fresh.clone());
        (have.value, have.gone_ms, have.named) = (value, None, fresh.named);
        if now_ms - have.since_ms >= alert.for_ms {
            have.state = State::Firing;
        }
        there.insert(labels);
    }
    active.retain(|labels, have| {
        if there.contains(labels) {
            return true;
        }
        let gone_ms = *have.gone_ms.get_or_insert(now_ms);
        have.state == State::Firing && now_ms - gone_ms < alert.keep_firing_ms
    });
}

fn told(alert: &AlertRule, rule: &Rule, labels: &Labels, active: &Active) -> Alert {
    let say = |(name, text): (&String, &String)| {
        (name.clone(), render(text, &active.named, active.value))
    };
    Alert {
        name: alert.name.clone(),
        state: active.state,
        since_ms: active.since_ms,
        for_ms: alert.for_ms,
        labels: labels.clone(),
        value: active.value,
        annotations: alert.annotations.iter().map(say).collect(),
        expr: rule.text.clone(),
    }
}

fn severity_rank(severity: &str) -> u8 {
    match severity {
        "critical" => 0,
        "warning" => 1,
        _ => 2,
    }
}
