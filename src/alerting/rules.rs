//! Prometheus' rule files: what is recorded, and what alerts.

use std::collections::{BTreeMap, BTreeSet};

use promql_parser::parser::{Expr, VectorSelector};
use promql_parser::util::parse_duration;
use serde::Deserialize;

use crate::eval::{millis, name_of, offset_ms};
use crate::history::Use;

/// Why a rule file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {message}")]
pub struct RuleError {
    /// The file.
    pub file: String,
    /// What is wrong with it.
    pub message: String,
}

/// Rules in an order in which what is read is recorded before.
#[derive(Debug, Default)]
pub struct Rules {
    pub(crate) all: Vec<Rule>,
}

#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) kind: Kind,
    /// The expression as it stands in the file.
    pub(crate) text: String,
    pub(crate) expr: Expr,
    pub(crate) labels: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Record { name: String },
    Alert(AlertRule),
}

#[derive(Debug)]
pub(crate) struct AlertRule {
    pub(crate) name: String,
    pub(crate) for_ms: i64,
    pub(crate) keep_firing_ms: i64,
    pub(crate) annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct File {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Written>,
}

#[derive(Deserialize)]
struct Written {
    alert: Option<String>,
    record: Option<String>,
    expr: String,
    #[serde(rename = "for")]
    hold: Option<String>,
    keep_firing_for: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl Rules {
    /// Reads files, each with its text, in the order of their rules' needs.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse<'a>(
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, RuleError> {
        let mut all = Vec::new();
        for (file, text) in files {
            let fail = |message: String| RuleError { file: file.to_owned(), message };
            let read: File = serde_yaml::from_str(text).map_err(|it| fail(it.to_string()))?;
            for written in read.groups.into_iter().flat_map(|group| group.rules) {
                all.push(written.rule().map_err(fail)?);
            }
        }
        Ok(Self { all: in_order(all) })
    }

    /// Takes away what neither an alert nor anybody of `also` needs, by itself or through others.
    /// Gives the names that are needed, each with the most that it is needed for.
    pub(crate) fn keep_needed<'a>(
        &mut self,
        also: impl Iterator<Item = (&'a str, Use)>,
    ) -> BTreeMap<String, Use> {
        let mut needed: BTreeMap<String, Use> = BTreeMap::new();
        let need = |name: String, of: Use, needed: &mut BTreeMap<String, Use>| {
            let have = needed.entry(name).or_insert(of);
            *have = of.min(*have);
        };
        also.for_each(|(name, of)| need(name.to_owned(), of, &mut needed));
        // Readers stand behind what they read.
        for rule in self.all.iter().rev() {
            let of = rule.records().map_or(Some(Use::Rules), |name| needed.get(name).copied());
            let Some(of) = of else { continue };
            rule.reads().into_iter().for_each(|name| need(name, of, &mut needed));
        }
        self.all.retain(|rule| rule.records().is_none_or(|name| needed.contains_key(name)));
        needed
    }
}

impl Rule {
    pub(crate) fn is_alert(&self) -> bool {
        matches!(self.kind, Kind::Alert(_))
    }

    /// The name that it records.
    pub(crate) fn records(&self) -> Option<&str> {
        match &self.kind {
            Kind::Record { name } => Some(name),
            Kind::Alert(_) => None,
        }
    }

    /// The names that it reads.
    pub(crate) fn reads(&self) -> BTreeSet<String> {
        self.selectors().into_iter().filter_map(|(it, _)| it.name.clone()).collect()
    }

    /// What it selects, and how far back it looks for each, in ms; 0 for the moment alone.
    pub(crate) fn selectors(&self) -> Vec<(&VectorSelector, i64)> {
        let mut found = Vec::new();
        walk(&self.expr, &mut found);
        let back = |(selector, range_ms): (_, i64)| {
            let offset = offset_ms(selector).unwrap_or(0);
            (selector, range_ms.saturating_add(offset))
        };
        found.into_iter().map(back).collect()
    }

    /// For each selector over how long it asks, and how far back, in ms.
    pub(crate) fn times(&self) -> Vec<(i64, i64)> {
        let mut found = Vec::new();
        walk(&self.expr, &mut found);
        let times = found.into_iter();
        times.map(|(selector, range_ms)| (range_ms, offset_ms(selector).unwrap_or(0))).collect()
    }
}

fn walk<'a>(expr: &'a Expr, found: &mut Vec<(&'a VectorSelector, i64)>) {
    match expr {
        Expr::Aggregate(it) => walk(&it.expr, found),
        Expr::Unary(it) => walk(&it.expr, found),
        Expr::Binary(it) => {
            walk(&it.lhs, found);
            walk(&it.rhs, found);
        }
        Expr::Paren(it) => walk(&it.expr, found),
        Expr::Subquery(it) => walk(&it.expr, found),
        Expr::VectorSelector(it) => found.push((it, 0)),
        Expr::MatrixSelector(it) => found.push((&it.vs, millis(it.range))),
        Expr::Call(it) => it.args.args.iter().for_each(|argument| walk(argument, found)),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}

impl Written {
    fn rule(self) -> Result<Rule, String> {
        let Self { alert, record, expr, hold, keep_firing_for, labels, annotations } = self;
        let duration = |text: Option<String>| match text {
            Some(text) => parse_duration(&text).map(millis),
            None => Ok(0),
        };
        let kind = match (alert, record) {
            (Some(name), None) => Kind::Alert(AlertRule {
                name,
                for_ms: duration(hold)?,
                keep_firing_ms: duration(keep_firing_for)?,
                annotations,
            }),
            (None, Some(name)) => Kind::Record { name },
            _ => return Err("a rule either alerts or records".to_owned()),
        };
        let parsed = promql_parser::parser::parse(&expr)?;
        let rule = Rule { kind, text: expr.trim().to_owned(), expr: parsed, labels };
        for (selector, _) in rule.selectors() {
            name_of(selector).map_err(|error| error.to_string())?;
        }
        Ok(rule)
    }
}

/// Recording rules first, each behind those that it reads; rules that read each other in a circle
/// keep their order.
fn in_order(all: Vec<Rule>) -> Vec<Rule> {
    let (alerts, mut records): (Vec<_>, Vec<_>) = all.into_iter().partition(Rule::is_alert);
    let mut ordered = Vec::with_capacity(records.len());
    while !records.is_empty() {
        let open: BTreeSet<String> =
            records.iter().filter_map(|rule| rule.records().map(str::to_owned)).collect();
        let (ready, waiting): (Vec<_>, Vec<_>) =
            records.into_iter().partition(|rule| rule.reads().is_disjoint(&open));
        if ready.is_empty() {
            ordered.extend(waiting);
            break;
        }
        ordered.extend(ready);
        records = waiting;
    }
    ordered.extend(alerts);
    ordered
}
