//! What can be said of a query without its numbers: whether it can have data, with which labels, in
//! which range, and whether its answer comes and goes.

use std::collections::BTreeMap;

use promql_parser::label::Matcher;
use promql_parser::parser::token::{
    T_ADD, T_AVG, T_COUNT, T_COUNT_VALUES, T_DIV, T_EQLC, T_GROUP, T_GTE, T_GTR, T_LAND, T_LOR,
    T_LSS, T_LTE, T_LUNLESS, T_MAX, T_MIN, T_MUL, T_NEQ, T_QUANTILE, T_STDDEV, T_STDVAR, T_SUB,
    T_SUM, TokenId,
};
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{
    AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, VectorMatchCardinality, VectorSelector,
};

use crate::known::{Known, Series, is_from_elsewhere, is_of_prometheus};
use crate::labels::{Labels, is_of_target};
use crate::query::{self, fits, fits_some};

/// What is known of a query's answer.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// Why it never has data.
    pub(crate) dead: Option<String>,
    pub(crate) labels: Labels,
    low: f64,
    high: f64,
    /// A counter as it is.
    counter: bool,
    pub(crate) comes: Comes,
    /// No series is read.
    pub(crate) constant: bool,
}

/// When the answer is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Comes {
    /// Whenever its series are; why it does not depend on their values.
    Always(&'static str),
    /// It depends.
    Sometimes,
    /// No values make it come; why.
    Never(String),
}

const UNCOMPARED: &str = "nothing is compared, so that the series itself fires it";

/// Recording rules by the name that they record: each with the labels that it adds.
pub(crate) type Records<'a> = BTreeMap<&'a str, Vec<(&'a Expr, &'a [String])>>;

/// What queries are read against.
#[derive(Debug)]
pub(crate) struct World<'a> {
    pub(crate) known: &'a Known,
    pub(crate) records: Records<'a>,
}

/// Deepest chain of recording rules.
const MAX_CHAIN: usize = 10;

impl World<'_> {
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
            match misfit(selector, series) {
                Some(why) => found.misfit(why),
                None => found.take(
                    Facts::of_series(series.range(), series.counter),
                    Labels::scraped(series.labels.iter().map(|(name, _)| name)),
                ),
            }
        }
        for (_, exprs) in self.records.iter().filter(|(name, _)| query::names(selector, name)) {
            for (expr, added) in exprs {
                if depth >= MAX_CHAIN {
                    return Facts { labels: Labels::anything(), ..Facts::constant() };
                }
                let mut facts = self.of(expr, depth + 1);
                added.iter().for_each(|label| facts.labels.add(label));
                let lacks = query::matchers(selector)
                    .find(|matcher| !facts.labels.has(&matcher.name) && !fits(matcher, ""));
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

const EVERYTHING: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

impl Facts {
    fn constant() -> Self {
        Self {
            dead: None,
            labels: Labels::default(),
            low: f64::NEG_INFINITY,
            high: f64::INFINITY,
            counter: false,
            comes: Comes::Always(UNCOMPARED),
            constant: true,
        }
    }

    fn number(number: f64) -> Self {
        if number.is_nan() {
            return Self::constant();
        }
        Self { low: number, high: number, ..Self::constant() }
    }

    fn of_series((low, high): (f64, f64), counter: bool) -> Self {
        Self { low, high, counter, constant: false, ..Self::constant() }
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
fn misfit(selector: &VectorSelector, series: &Series) -> Option<String> {
    query::matchers(selector).find_map(|matcher| {
        let have = series.labels.iter().find(|(name, _)| *name == matcher.name);
        match have {
            _ if fits(matcher, "") && have.is_none() => None,
            None if is_of_target(&matcher.name) && fits_some(matcher) => None,
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
        let bounds = bounds.iter().map(|bound| format!("{bound:?}"));
        return bounds.chain(["+Inf".to_owned()]).any(|bound| fits(matcher, &bound));
    }
    fits_some(matcher)
}

fn lacking(selector: &VectorSelector, matcher: &Matcher) -> String {
    let name = selector.name.as_deref().unwrap_or("that");
    format!("no series of {name} has the label {}", matcher.name)
}

/// Labels of two vectors that are matched with each other.
fn joined(it: &BinaryExpr, left: &Facts, right: &Facts) -> Labels {
    let Some(modifier) = &it.modifier else { return left.labels.clone() };
    let more = |of: &Labels, from: &Labels, list: &[String]| {
        let mut labels = of.clone();
        list.iter().filter(|label| from.has(label)).for_each(|label| labels.add(label));
        labels
    };
    match (&modifier.card, &modifier.matching) {
        (VectorMatchCardinality::ManyToOne(list), _) => {
            more(&left.labels, &right.labels, &list.labels)
        }
        (VectorMatchCardinality::OneToMany(list), _) => {
            more(&right.labels, &left.labels, &list.labels)
        }
        (_, Some(LabelModifier::Include(list))) => left.labels.only(&list.labels),
        (_, Some(LabelModifier::Exclude(list))) => left.labels.without(&list.labels),
        (_, None) => left.labels.clone(),
    }
}

fn set(op: TokenId, left: Facts, right: Facts) -> Facts {
    match op {
        T_LOR => {
            // A number in place of what never comes hides that it never comes.
            let hidden = left.dead.is_some() && right.constant;
            let dead = match (&left.dead, &right.dead) {
                (Some(why), Some(_)) => Some(why.clone()),
                (Some(why), None) if hidden => Some(why.clone()),
                _ => None,
            };
            Facts {
                dead,
                labels: left.labels.or(&right.labels),
                low: left.low.min(right.low),
                high: left.high.max(right.high),
                counter: left.counter && right.counter,
                comes: either(&left.comes, &right.comes),
                constant: left.constant && right.constant,
            }
        }
        T_LAND => {
            let dead = left.dead.clone().or(right.dead);
            let comes = both(&left.comes, &right.comes, false, false);
            Facts { dead, comes, ..left }
        }
        T_LUNLESS => {
            let comes = match &left.comes {
                never @ Comes::Never(_) => never.clone(),
                _ => Comes::Sometimes,
            };
            Facts { comes, ..left }
        }
        _ => left,
    }
}

/// When both have to be there. A number is there always.
fn both(left: &Comes, right: &Comes, left_number: bool, right_number: bool) -> Comes {
    match (left, right) {
        (Comes::Never(why), _) | (_, Comes::Never(why)) => Comes::Never(why.clone()),
        (Comes::Sometimes, _) | (_, Comes::Sometimes) => Comes::Sometimes,
        (left, _) if !left_number || right_number => left.clone(),
        (_, right) => right.clone(),
    }
}

/// When one of them is enough.
fn either(left: &Comes, right: &Comes) -> Comes {
    match (left, right) {
        (always @ Comes::Always(_), _) | (_, always @ Comes::Always(_)) => always.clone(),
        (never @ Comes::Never(_), Comes::Never(_)) => never.clone(),
        _ => Comes::Sometimes,
    }
}

fn arithmetic(op: TokenId, left: &Facts, right: &Facts) -> (f64, f64) {
    let positive = left.low >= 0.0 && right.low >= 0.0;
    let (low, high) = match op {
        T_ADD => (left.low + right.low, left.high + right.high),
        T_SUB => (left.low - right.high, left.high - right.low),
        T_MUL if positive => (left.low * right.low, left.high * right.high),
        T_DIV if positive && right.low == right.high && right.low > 0.0 => {
            (left.low / right.low, left.high / right.low)
        }
        T_DIV if positive => (0.0, f64::INFINITY),
        _ => EVERYTHING,
    };
    let low = if low.is_nan() { f64::NEG_INFINITY } else { low };
    (low, if high.is_nan() { f64::INFINITY } else { high })
}

/// What a comparison lets through, of values that are there as `comes` says.
#[expect(clippy::float_cmp, reason = "bounds are compared as the query compares them")]
fn compared(op: TokenId, left: &Facts, right: &Facts, comes: Comes) -> Comes {
    if matches!(comes, Comes::Never(_)) {
        return comes;
    }
    let (a, b, c, d) = (left.low, left.high, right.low, right.high);
    let fixed = a == b && c == d;
    let (never, always) = match op {
        T_GTR => (b <= c, a > d),
        T_GTE => (b < c, a >= d),
        T_LSS => (a >= d, b < c),
        T_LTE => (a > d, b <= c),
        T_EQLC => (b < c || a > d, fixed && a == c),
        T_NEQ => (fixed && a == c, b < c || a > d),
        _ => (false, false),
    };
    if never && (a.is_finite() || b.is_finite()) && (c.is_finite() || d.is_finite()) {
        let span = |low: f64, high: f64| match (low == high, low.is_finite(), high.is_finite()) {
            (true, ..) => format!("{low}"),
            (_, true, false) => format!("at least {low}"),
            (_, false, true) => format!("at most {high}"),
            _ => format!("from {low} to {high}"),
        };
        let mut why =
            format!("what is compared is {}, and the other side is {}", span(a, b), span(c, d));
        if a == 1.0 && b == f64::INFINITY {
            why.push_str(": a count of nothing is nothing, which absent() finds");
        }
        return Comes::Never(why);
    }
    let stuck = left.counter && right.constant && matches!(op, T_GTR | T_GTE | T_NEQ);
    match comes {
        Comes::Sometimes => Comes::Sometimes,
        _ if stuck => Comes::Always("a counter stays above a number once it is there"),
        Comes::Always(_) if always => Comes::Always("every value that there can be satisfies it"),
        _ => Comes::Sometimes,
    }
}
