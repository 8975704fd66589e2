//! Arithmetic, comparisons that filter, and `and`, `or`, `unless`.

use std::collections::{HashMap, HashSet};

use promql_parser::parser::token::{
    T_ADD, T_DIV, T_EQLC, T_GTE, T_GTR, T_LAND, T_LOR, T_LSS, T_LTE, T_LUNLESS, T_MOD, T_MUL,
    T_NEQ, T_POW, T_SUB, TokenId,
};
use promql_parser::parser::{BinModifier, BinaryExpr, LabelModifier, VectorMatchCardinality};

use super::{EvalError, Moment, Sample, Worth, kept};
use crate::labels::Labels;

impl Moment<'_> {
    pub(super) fn binary(self, it: &BinaryExpr) -> Result<Worth, EvalError> {
        let op = it.op.id();
        let not_built = || EvalError::NotBuilt(it.op.to_string());
        if it.modifier.as_ref().is_some_and(|modifier| modifier.return_bool) {
            return Err(EvalError::NotBuilt("bool".to_owned()));
        }
        let (left, right) = (self.worth(&it.lhs)?, self.worth(&it.rhs)?);
        let (Worth::Vector(left), Worth::Vector(right)) = (&left, &right) else {
            return with_scalar(op, &left, &right).ok_or_else(not_built);
        };
        let modifier = it.modifier.as_ref();
        let samples = match op {
            T_LAND | T_LOR | T_LUNLESS => sets(op, left, right, modifier),
            _ if apply(op, 0.0, 0.0).is_none() => return Err(not_built()),
            _ => match modifier.map(|modifier| &modifier.card) {
                Some(VectorMatchCardinality::OneToMany(more)) => {
                    let flipped = |one, many| apply(op, many, one);
                    match_up(right, left, modifier, Some(&more.labels), flipped)?
                }
                Some(VectorMatchCardinality::ManyToOne(more)) => {
                    match_up(left, right, modifier, Some(&more.labels), |a, b| apply(op, a, b))?
                }
                _ => match_up(left, right, modifier, None, |a, b| apply(op, a, b))?,
            },
        };
        Ok(Worth::Vector(samples))
    }
}

/// What a number becomes: another one, or none when a comparison fails. `None` for an operation that
/// is not built.
fn apply(op: TokenId, a: f64, b: f64) -> Option<Option<f64>> {
    let found = match op {
        T_ADD => Some(a + b),
        T_SUB => Some(a - b),
        T_MUL => Some(a * b),
        T_DIV => Some(a / b),
        T_MOD => Some(a % b),
        T_POW => Some(a.powf(b)),
        T_EQLC => (a == b).then_some(a),
        T_NEQ => (a != b).then_some(a),
        T_GTR => (a > b).then_some(a),
        T_GTE => (a >= b).then_some(a),
        T_LSS => (a < b).then_some(a),
        T_LTE => (a <= b).then_some(a),
        _ => return None,
    };
    Some(found)
}

fn is_comparison(op: TokenId) -> bool {
    [T_EQLC, T_NEQ, T_GTR, T_GTE, T_LSS, T_LTE].contains(&op)
}

/// An operation of which one side at least is a number.
pub(super) fn with_scalar(op: TokenId, left: &Worth, right: &Worth) -> Option<Worth> {
    apply(op, 0.0, 0.0)?;
    let vector = |samples: &[Sample], of: &dyn Fn(f64) -> Option<f64>| {
        let each = samples.iter();
        let worth =
            each.filter_map(|it| Some(Sample { labels: it.labels.clone(), value: of(it.value)? }));
        Worth::Vector(worth.collect())
    };
    match (left, right) {
        // Comparing two numbers asks for `bool`, which is refused before.
        (Worth::Scalar(a), Worth::Scalar(b)) => apply(op, *a, *b)?.map(Worth::Scalar),
        (Worth::Vector(samples), Worth::Scalar(b)) => {
            Some(vector(samples, &|value| apply(op, value, *b).flatten()))
        }
        (Worth::Scalar(a), Worth::Vector(samples)) => Some(vector(samples, &|value| {
            let found = apply(op, *a, value).flatten();
            // A comparison keeps the value of the series.
            found.map(|found| if is_comparison(op) { value } else { found })
        })),
        (Worth::Vector(_), Worth::Vector(_)) => None,
    }
}

/// The text of the labels by which two sides are matched.
fn key<'a>(labels: &'a Labels, modifier: Option<&BinModifier>, buffer: &'a mut String) -> &'a str {
    match modifier.and_then(|modifier| modifier.matching.as_ref()) {
        None => labels.text(),
        matching => kept(labels, matching, buffer),
    }
}

fn sets(
    op: TokenId,
    left: &[Sample],
    right: &[Sample],
    modifier: Option<&BinModifier>,
) -> Vec<Sample> {
    let mut buffer = String::new();
    let mut keys = |samples: &[Sample]| -> HashSet<Box<str>> {
        let mut found: HashSet<Box<str>> = HashSet::new();
        for sample in samples {
            let key = key(&sample.labels, modifier, &mut buffer);
            if !found.contains(key) {
                found.insert(key.into());
            }
        }
        found
    };
    let there = keys(if op == T_LOR { left } else { right });
    let mut is_there = |it: &Sample| there.contains(key(&it.labels, modifier, &mut buffer));
    match op {
        T_LOR => {
            let more = right.iter().filter(|it| !is_there(it));
            left.iter().chain(more).cloned().collect()
        }
        op => left.iter().filter(|it| is_there(it) == (op == T_LAND)).cloned().collect(),
    }
}

/// Each of `many` with its partner of `one`. With `more`, several may have the same partner, and keep
/// their labels with those that are named of the partner.
fn match_up(
    many: &[Sample],
    one: &[Sample],
    modifier: Option<&BinModifier>,
    more: Option<&Vec<String>>,
    apply: impl Fn(f64, f64) -> Option<Option<f64>>,
) -> Result<Vec<Sample>, EvalError> {
    let mut buffer = String::new();
    let mut partners: HashMap<Box<str>, &Sample> = HashMap::with_capacity(one.len());
    for sample in one {
        let by = key(&sample.labels, modifier, &mut buffer);
        if partners.insert(by.into(), sample).is_some() {
            return Err(EvalError::SeveralMatches);
        }
    }
    let mut taken = HashSet::new();
    let mut found = Vec::new();
    for sample in many {
        let by = key(&sample.labels, modifier, &mut buffer);
        let Some(partner) = partners.get(by) else { continue };
        let Some(value) = apply(sample.value, partner.value).flatten() else { continue };
        let labels = match more {
            Some(more) => {
                let theirs = more.iter().map(|name| (name.as_str(), partner.labels.get(name)));
                sample.labels.with(theirs)
            }
            None => match modifier.and_then(|modifier| modifier.matching.as_ref()) {
                Some(LabelModifier::Include(_) | LabelModifier::Exclude(_)) => Labels::of_text(by),
                None => sample.labels.clone(),
            },
        };
        if !taken.insert(labels.clone()) {
            return Err(EvalError::SeveralMatches);
        }
        found.push(Sample { labels, value });
    }
    Ok(found)
}
