//! What can be said of a query's answer without its numbers: whether it can have data, with which
//! labels, in which range, whether it comes and goes; and how that follows from its parts.

use promql_parser::parser::token::{
    T_ADD, T_DIV, T_EQLC, T_GTE, T_GTR, T_LAND, T_LOR, T_LSS, T_LTE, T_LUNLESS, T_MUL, T_NEQ,
    T_SUB, TokenId,
};
use promql_parser::parser::{BinaryExpr, LabelModifier, VectorMatchCardinality};

use crate::labels::Labels;

/// What is known of a query's answer.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// Why it never has data.
    pub(crate) dead: Option<String>,
    pub(crate) labels: Labels,
    /// The smallest value that it can have.
    pub(crate) low: f64,
    /// The largest.
    pub(crate) high: f64,
    /// A counter as it is.
    pub(crate) counter: bool,
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

/// A range that says nothing.
pub(crate) const EVERYTHING: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

impl Facts {
    /// What does not come from series, and may be anything.
    pub(crate) fn constant() -> Self {
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

    pub(crate) fn number(number: f64) -> Self {
        if number.is_nan() {
            return Self::constant();
        }
        Self { low: number, high: number, ..Self::constant() }
    }

    /// What comes from series with values in that range.
    pub(crate) fn of_series((low, high): (f64, f64), counter: bool) -> Self {
        Self { low, high, counter, constant: false, ..Self::constant() }
    }
}

/// Labels of two vectors that are matched with each other.
pub(crate) fn joined(it: &BinaryExpr, left: &Facts, right: &Facts) -> Labels {
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

/// `and`, `or` and `unless`.
pub(crate) fn set(op: TokenId, left: Facts, right: Facts) -> Facts {
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
pub(crate) fn both(left: &Comes, right: &Comes, left_number: bool, right_number: bool) -> Comes {
    match (left, right) {
        (Comes::Never(why), _) | (_, Comes::Never(why)) => Comes::Never(why.clone()),
        (Comes::Sometimes, _) | (_, Comes::Sometimes) => Comes::Sometimes,
        (left, _) if !left_number || right_number => left.clone(),
        (_, right) => right.clone(),
    }
}

/// When one of them is enough.
pub(crate) fn either(left: &Comes, right: &Comes) -> Comes {
    match (left, right) {
        (always @ Comes::Always(_), _) | (_, always @ Comes::Always(_)) => always.clone(),
        (never @ Comes::Never(_), Comes::Never(_)) => never.clone(),
        _ => Comes::Sometimes,
    }
}

/// The range of a sum, a difference, a product or a quotient.
pub(crate) fn arithmetic(op: TokenId, left: &Facts, right: &Facts) -> (f64, f64) {
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
pub(crate) fn compared(op: TokenId, left: &Facts, right: &Facts, comes: Comes) -> Comes {
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
