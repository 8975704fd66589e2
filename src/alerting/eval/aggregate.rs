//! `sum`, `min`, `max`, `avg` and `count`.

use std::collections::HashMap;

use promql_parser::parser::AggregateExpr;
use promql_parser::parser::token::{T_AVG, T_COUNT, T_MAX, T_MIN, T_SUM, TokenId};

use super::{EvalError, Moment, Sample, kept};
use crate::labels::Labels;

#[derive(Debug, Clone, Copy)]
struct Group {
    sum: f64,
    count: f64,
    best: f64,
}

impl Moment<'_> {
    pub(super) fn aggregate(self, it: &AggregateExpr) -> Result<Vec<Sample>, EvalError> {
        let op = it.op.id();
        if ![T_SUM, T_MIN, T_MAX, T_AVG, T_COUNT].contains(&op) || it.param.is_some() {
            return Err(EvalError::NotBuilt(it.op.to_string()));
        }
        let mut groups: HashMap<Labels, Group> = HashMap::new();
        for Sample { labels, value } in self.vector(&it.expr)? {
            let key = kept(&labels, it.modifier.as_ref(), false);
            let group = groups.entry(key).or_insert(Group { sum: 0.0, count: 0.0, best: value });
            group.sum += value;
            group.count += 1.0;
            group.best = better(op, group.best, value);
        }
        let worth = |group: Group| match op {
            T_SUM => group.sum,
            T_COUNT => group.count,
            T_AVG => group.sum / group.count,
            _ => group.best,
        };
        let samples = groups.into_iter();
        Ok(samples.map(|(labels, group)| Sample { labels, value: worth(group) }).collect())
    }
}

/// A number beats NaN.
fn better(op: TokenId, have: f64, value: f64) -> f64 {
    match op {
        T_MAX if have.is_nan() || value > have => value,
        T_MIN if have.is_nan() || value < have => value,
        _ => have,
    }
}
