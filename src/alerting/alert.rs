//! The alerts of one rule: *pending* from the first time that its expression has an answer, *firing*
//! once it had one for as long as the rule says, and then a while longer where the rule says so.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::eval::Sample;
use crate::labels::Labels;
use crate::rules::{AlertRule, Rule};
use crate::template::render;

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

/// The alerts of one rule that are there, by their labels.
#[derive(Debug, Clone, Default)]
pub(crate) struct Active(BTreeMap<Labels, One>);

#[derive(Debug, Clone)]
struct One {
    state: State,
    since_ms: i64,
    gone_ms: Option<i64>,
    value: f64,
    named: Labels,
}

impl Active {
    /// Takes over what the rule's expression is worth now.
    pub(crate) fn follow(
        &mut self,
        alert: &AlertRule,
        rule: &Rule,
        found: Vec<Sample>,
        now_ms: i64,
    ) {
        let mut there = BTreeSet::new();
        for Sample { labels: named, value } in found {
            let own = rule.labels.iter().map(|(name, text)| (&**name, render(text, &named, value)));
            let labels = named.with(own.chain([("alertname", alert.name.clone())]));
            let fresh =
                One { state: State::Pending, since_ms: now_ms, gone_ms: None, value, named };
            let have = self.0.entry(labels.clone()).or_insert(fresh.clone());
            (have.value, have.gone_ms, have.named) = (value, None, fresh.named);
            if now_ms - have.since_ms >= alert.for_ms {
                have.state = State::Firing;
            }
            there.insert(labels);
        }
        self.0.retain(|labels, have| {
            if there.contains(labels) {
                return true;
            }
            let gone_ms = *have.gone_ms.get_or_insert(now_ms);
            have.state == State::Firing && now_ms - gone_ms < alert.keep_firing_ms
        });
    }

    /// The clock was set back: none is since a time to come.
    pub(crate) fn start_anew(&mut self, now_ms: i64) {
        for one in self.0.values_mut() {
            one.since_ms = one.since_ms.min(now_ms);
            one.gone_ms = one.gone_ms.map(|gone_ms| gone_ms.min(now_ms));
        }
    }

    /// The alerts, in words.
    pub(crate) fn told(&self, alert: &AlertRule, rule: &Rule) -> impl Iterator<Item = Alert> {
        self.0.iter().map(move |(labels, one)| told(alert, rule, labels, one))
    }
}

impl Alert {
    /// What fires before what may, what is critical before what warns, what is old before what is new.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        let rank = |it: &Self| (it.state, severity_rank(it.labels.get("severity")), it.since_ms);
        let by_rank = rank(self).cmp(&rank(other));
        by_rank.then_with(|| self.name.cmp(&other.name)).then(self.labels.cmp(&other.labels))
    }
}

fn told(alert: &AlertRule, rule: &Rule, labels: &Labels, active: &One) -> Alert {
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
