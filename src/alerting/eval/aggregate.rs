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
        // In the order in which they come: the next look finds what is recorded where it was.
        let mut groups: Vec<(Labels, Group)> = Vec::new();
        let mut places: HashMap<Labels, usize> = HashMap::new();
        let mut buffer = String::new();
        for Sample { labels, value } in self.vector(&it.expr)? {
            let key = kept(&labels, it.modifier.as_ref(), &mut buffer);
            let at = places.get(key).copied().unwrap_or_else(|| {
                let key = self.history.labels(key);
                groups.push((key.clone(), Group { sum: 0.0, count: 0.0, best: value }));
                places.insert(key, groups.len() - 1);
                groups.len() - 1
            });
            let Some((_, group)) = groups.get_mut(at) else { continue };
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
