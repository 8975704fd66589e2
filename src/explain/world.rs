//! Queries, read against the series that there can be.

use std::cell::RefCell;
use std::collections::BTreeMap;

use pharos_metrics::bound_text;
use pharos_metrics::truth::{Standing, TABLE, Table};
use promql_parser::label::Matcher;
use promql_parser::parser::token::{
    T_AVG, T_COUNT, T_COUNT_VALUES, T_GROUP, T_MAX, T_MIN, T_QUANTILE, T_STDDEV, T_STDVAR, T_SUM,
};
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, VectorSelector};

use crate::facts::{Comes, EVERYTHING, Facts, arithmetic, both, compared, either, joined, set};
use crate::known::{Known, Series, Source, is_from_elsewhere, is_of_prometheus};
use crate::labels::{Labels, Made};
use crate::query::{self, fits, fits_some};

/// Recording rules by the name that they record: each with the labels that it adds.
pub(crate) type Records<'a> = BTreeMap<&'a str, Vec<(&'a Expr, &'a [String])>>;

/// What queries are read against.
#[derive(Debug)]
pub(crate) struct World<'a> {
    known: &'a Known,
    made: Made<'a>,
    /// What proves them, and which beans are not shown.
    truth: Option<Table<'static>>,
    records: Records<'a>,
    /// Rules that read each other by a pattern would be walked through in every order without it.
    recorded: RefCell<Recorded<'a>>,
}

/// Facts of recording rules by name and place, each with the depth at which they were found.
type Recorded<'a> = BTreeMap<(&'a str, usize), (usize, Facts)>;

/// Deepest chain of recording rules.
const MAX_CHAIN: usize = 10;

impl<'a> World<'a> {
    pub(crate) fn new(known: &'a Known, records: Records<'a>) -> Self {
        // The table is compiled in, and its tests read it.
        let truth = Table::parse(TABLE).ok();
        Self { known, made: Made::of(known), truth, records, recorded: RefCell::default() }
    }

    pub(crate) fn facts(&self, expr: &Expr) -> Facts {
        self.of(expr, 0)
    }

    fn of(&self, expr: &Expr, depth: usize) -> Facts {
        match expr {
            Expr::NumberLiteral(number) => Facts::number(number.val),
            Expr::StringLiteral(_) | Expr::Extension(_) => Facts::constant(),
            Expr::Paren(it) => self.of(&it.expr, depth),
            Expr::Subquery(it) => self.of(&it.expr, depth),
            Expr::Unary(it) => {
                let inner = self.of(&it.expr, depth);
                Facts { low: -inner.high, high: -inner.low, counter: false, ..inner }
            }
            Expr::VectorSelector(it) => self.selector(it, depth),
            Expr::MatrixSelector(it) => self.selector(&it.vs, depth),
            Expr::Aggregate(it) => self.aggregate(it, depth),
            Expr::Call(it) => self.call(it, depth),
            Expr::Binary(it) => self.binary(it, depth),
        }
    }

    fn selector(&self, selector: &VectorSelector, depth: usize) -> Facts {
        let mut found = Found::default();
        for series in self.known.series().iter().filter(|it| query::names(selector, &it.name)) {
            match (misfit(selector, series, &self.made), self.not_shown(series)) {
                (Some(why), _) => found.misfit(why),
                // It says more than that others of the name do not fit.
                (None, Some(why)) => found.why_not = Some(why),
                (None, None) => found.take(
                    Facts::of_series(series.range(), series.counter),
                    Labels::scraped(series.labels.iter().map(|(name, _)| name)),
                ),
            }
        }
        for (name, exprs) in self.records.iter().filter(|(name, _)| query::names(selector, name)) {
            for (at, (expr, added)) in exprs.iter().enumerate() {
                if depth >= MAX_CHAIN {
                    return Facts { labels: Labels::anything(), ..Facts::constant() };
                }
                let mut facts = self.recorded((*name, at), expr, depth + 1);
                added.iter().for_each(|label| facts.labels.add(label));
                let lacks = query::matchers(selector).find(|matcher| {
                    !facts.labels.has(&matcher.name)
                        && !fits(matcher, "")
                        && !facts.labels.may_have(matcher, &self.made)
                });
                match (&facts.dead, lacks) {
                    (Some(why), _) => found.misfit(why.clone()),
                    (None, Some(matcher)) => found.misfit(lacking(selector, matcher)),
                    (None, None) => {
                        let labels = facts.labels.clone();
                        found.take(facts, labels);
                    }
                }
            }
        }
        let name = selector.name.as_deref().unwrap_or_default();
        let theirs = is_of_prometheus(name) || is_from_elsewhere(name);
        if theirs || name.contains(query::CHOSEN) {
            let (low, high) = if name == "up" { (0.0, 1.0) } else { EVERYTHING };
            let labels = Labels::anything();
            return Facts { low, high, labels, ..Facts::of_series(EVERYTHING, false) };
        }
        found.facts(selector)
    }

    /// Why no node shows the bean of a series.
    fn not_shown(&self, series: &Series) -> Option<String> {
        let Source::Rule { row, attribute, .. } = &series.source else { return None };
        let table = self.truth.as_ref()?;
        match table.standing(row.template, "*").or_else(|| table.standing(row.template, attribute))
        {
            Some(Standing::Absent { why }) => Some(format!(
                "{} makes {}, and no such bean is shown: {why}",
                row.template, series.name
            )),
            _ => None,
        }
    }

    /// What a recording rule makes. What was found from nearer by looked further.
    fn recorded(&self, rule: (&'a str, usize), expr: &Expr, depth: usize) -> Facts {
        if let Some((from, facts)) = self.recorded.borrow().get(&rule)
            && *from <= depth
        {
            return facts.clone();
        }
        let facts = self.of(expr, depth);
        self.recorded.borrow_mut().insert(rule, (depth, facts.clone()));
        facts
    }

    fn aggregate(&self, it: &AggregateExpr, depth: usize) -> Facts {
        let inner = self.of(&it.expr, depth);
        let mut labels = match &it.modifier {
            None => Labels::default(),
            Some(LabelModifier::Include(list)) => inner.labels.only(&list.labels),
            Some(LabelModifier::Exclude(list)) => inner.labels.without(&list.labels),
        };
        let op = it.op.id();
        let picks = it.op.is_aggregator_with_param() && !matches!(op, T_COUNT_VALUES);
        if picks && op != T_QUANTILE {
            labels = inner.labels.clone();
        }
        if let (T_COUNT_VALUES, Some(Expr::StringLiteral(label))) = (op, it.param.as_deref()) {
            labels.add(&label.val);
        }
        let (low, high) = match op {
            T_COUNT | T_COUNT_VALUES => (1.0, f64::INFINITY),
            T_GROUP => (1.0, 1.0),
            T_SUM if inner.low >= 0.0 => (inner.low, f64::INFINITY),
            T_STDDEV | T_STDVAR => (0.0, f64::INFINITY),
            T_SUM => EVERYTHING,
            _ => (inner.low, inner.high),
        };
        let counter = inner.counter && matches!(op, T_SUM | T_MAX | T_MIN | T_AVG);
        Facts { labels, low, high, counter, ..inner }
    }

    fn call(&self, it: &Call, depth: usize) -> Facts {
        let args: Vec<_> = it.args.args.iter().map(|arg| self.of(arg, depth)).collect();
        let name = it.func.name;
        if matches!(name, "absent" | "absent_over_time") {
            let mut labels = Labels::default();
            if let Some(arg) = it.args.args.first() {
                let equal = query::selectors(arg).into_iter().flat_map(query::matchers);
                equal
                    .filter(|matcher| matcher.op.to_string() == "=" && !matcher.value.is_empty())
                    .for_each(|matcher| labels.add(&matcher.name));
            }
            let comes = Comes::Sometimes;
            return Facts { low: 1.0, high: 1.0, labels, comes, ..Facts::constant() };
        }
        // The one argument that holds series.
        let series = it
            .args
            .args
            .iter()
            .zip(&args)
            .find(|(arg, _)| matches!(arg.value_type(), ValueType::Vector | ValueType::Matrix));
        let Some((_, inner)) = series else {
            let low = if name == "time" { 0.0 } else { f64::NEG_INFINITY };
            return match (name, args.first()) {
                ("vector", Some(number)) => number.clone(),
                _ => Facts { low, ..Facts::constant() },
            };
        };
        let mut labels = inner.labels.clone();
        match name {
            "label_replace" | "label_join" => {
                if let Some(Expr::StringLiteral(label)) = it.args.args.get(1).map(AsRef::as_ref) {
                    labels.add(&label.val);
                }
            }
            "histogram_quantile" => labels = labels.without(&["le".to_owned()]),
            "scalar" => labels = Labels::default(),
            _ => {}
        }
        let (low, high) = match name {
            "rate" | "irate" | "increase" | "changes" | "resets" | "abs" | "timestamp"
            | "stddev_over_time" | "stdvar_over_time" => (0.0, f64::INFINITY),
            "count_over_time" => (1.0, f64::INFINITY),
            "present_over_time" => (1.0, 1.0),
            "max_over_time" | "min_over_time" | "avg_over_time" | "last_over_time"
            | "quantile_over_time" | "sort" | "sort_desc" | "label_replace" | "label_join" => {
                (inner.low, inner.high)
            }
            _ => EVERYTHING,
        };
        let counter =
            inner.counter && matches!(name, "label_replace" | "label_join" | "last_over_time");
        // Everything else than one vector keeps no label, and a scalar is always there.
        Facts { labels, low, high, counter, ..inner.clone() }
    }

    fn binary(&self, it: &BinaryExpr, depth: usize) -> Facts {
        let (left, right) = (self.of(&it.lhs, depth), self.of(&it.rhs, depth));
        let op = it.op.id();
        if it.op.is_set_operator() {
            return set(op, left, right);
        }
        let is_number = |expr: &Expr| expr.value_type() == ValueType::Scalar;
        let labels = match (is_number(&it.lhs), is_number(&it.rhs)) {
            (true, _) => right.labels.clone(),
            (false, true) => left.labels.clone(),
            _ => joined(it, &left, &right),
        };
        let dead = left.dead.clone().or_else(|| right.dead.clone());
        let constant = left.constant && right.constant;
        let comes = both(&left.comes, &right.comes, left.constant, right.constant);
        let counter = false;
        let bool = it.modifier.as_ref().is_some_and(|modifier| modifier.return_bool);
        if !it.op.is_comparison_operator() {
            let (low, high) = arithmetic(op, &left, &right);
            return Facts { dead, labels, low, high, counter, comes, constant };
        }
        if bool {
            return Facts { dead, labels, low: 0.0, high: 1.0, counter, comes, constant };
        }
        let comes = compared(op, &left, &right, comes);
        Facts { dead, labels, low: left.low, high: left.high, counter, comes, constant }
    }
}

/// The candidates of a selector, taken together.
#[derive(Default)]
struct Found {
    facts: Option<Facts>,
    why_not: Option<String>,
}

impl Found {
    fn misfit(&mut self, why: String) {
        self.why_not.get_or_insert(why);
    }

    fn take(&mut self, facts: Facts, labels: Labels) {
        self.facts = Some(match self.facts.take() {
            None => Facts { labels, ..facts },
            Some(have) => Facts {
                labels: have.labels.or(&labels),
                low: have.low.min(facts.low),
                high: have.high.max(facts.high),
                counter: have.counter && facts.counter,
                comes: either(&have.comes, &facts.comes),
                ..have
            },
        });
    }

    fn facts(self, selector: &VectorSelector) -> Facts {
        self.facts.unwrap_or_else(|| {
            let name = selector.name.as_deref().unwrap_or("that");
            let nobody = || format!("no rule, native family or recording rule makes {name}");
            let dead = Some(self.why_not.unwrap_or_else(nobody));
            let labels = Labels::anything();
            Facts { dead, labels, constant: false, ..Facts::constant() }
        })
    }
}

/// Why series never satisfy a selector of their name.
fn misfit(selector: &VectorSelector, series: &Series, made: &Made<'_>) -> Option<String> {
    query::matchers(selector).find_map(|matcher| {
        let have = series.labels.iter().find(|(name, _)| *name == matcher.name);
        match have {
            _ if fits(matcher, "") && have.is_none() => None,
            None if made.leaves_to_target(matcher, made.of_name(&series.name)) => None,
            None => Some(lacking(selector, matcher)),
            Some((_, Some(value))) if fits(matcher, value) => None,
            Some((_, None)) if fits_free(matcher, series) => None,
            Some(_) => {
                let name = selector.name.as_deref().unwrap_or("that");
                Some(format!("no series of {name} has {matcher}"))
            }
        }
    })
}

fn fits_free(matcher: &Matcher, series: &Series) -> bool {
    if matcher.name == "le"
        && let Some(bounds) = series.bounds()
    {
        let bounds = bounds.iter().copied().chain([f64::INFINITY]);
        return bounds.map(bound_text).any(|bound| fits(matcher, &bound));
    }
    fits_some(matcher)
}

fn lacking(selector: &VectorSelector, matcher: &Matcher) -> String {
    let name = selector.name.as_deref().unwrap_or("that");
    format!("no series of {name} has the label {}", matcher.name)
}
