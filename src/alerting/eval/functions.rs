//! The functions that the rules call.

use std::collections::HashMap;

use promql_parser::label::MatchOp;
use promql_parser::parser::{Call, Expr, MatrixSelector};

use super::range::{Window, changes, extrapolated, highest, regression};
use super::{EvalError, Moment, Sample, Worth, millis, name_of, offset_ms};
use crate::history::satisfies;
use crate::labels::Labels;
use crate::page::parse;

impl Moment<'_> {
    #[expect(clippy::cast_precision_loss, reason = "times are below 2^53 ms")]
    pub(super) fn call(self, it: &Call) -> Result<Worth, EvalError> {
        let arguments: Vec<&Expr> = it.args.args.iter().map(AsRef::as_ref).collect();
        match (it.func.name, arguments.as_slice()) {
            ("time", []) => Ok(Worth::Scalar(self.now_ms as f64 / 1000.0)),
            ("vector", [value]) => {
                let value = self.scalar(value)?;
                Ok(Worth::Vector(vec![Sample { labels: Labels::default(), value }]))
            }
            ("absent", [of]) => self.absent(of),
            ("histogram_quantile", [share, of]) => {
                let (share, samples) = (self.scalar(share)?, self.vector(of)?);
                Ok(Worth::Vector(quantiles(share, &samples)))
            }
            ("rate", [of]) => self.over(of, |window| extrapolated(window, true, true)),
            ("increase", [of]) => self.over(of, |window| extrapolated(window, true, false)),
            ("delta", [of]) => self.over(of, |window| extrapolated(window, false, false)),
            ("changes", [of]) => self.over(of, changes),
            ("max_over_time", [of]) => self.over(of, highest),
            ("deriv", [of]) => {
                let from_first = |window: &Window| Some(regression(window, window.first()?.0)?.0);
                self.over(of, from_first)
            }
            ("predict_linear", [of, ahead]) => {
                let ahead = self.scalar(ahead)?;
                self.over(of, |window| {
                    let (slope, now) = regression(window, self.now_ms)?;
                    Some(slope * ahead + now)
                })
            }
            (name, _) => Err(EvalError::NotBuilt(format!("{name}()"))),
        }
    }

    fn absent(self, of: &Expr) -> Result<Worth, EvalError> {
        if !self.vector(of)?.is_empty() {
            return Ok(Worth::Vector(Vec::new()));
        }
        let Expr::VectorSelector(selector) = of else {
            return Err(EvalError::NotBuilt("absent() of more than a selector".to_owned()));
        };
        let told = selector.matchers.matchers.iter().filter(|it| it.op == MatchOp::Equal);
        let told = told.filter(|it| it.name != "__name__");
        let labels = Labels::new(told.map(|it| (it.name.as_str(), it.value.as_str())));
        Ok(Worth::Vector(vec![Sample { labels, value: 1.0 }]))
    }

    /// A function of the samples of a time.
    fn over(self, of: &Expr, worth: impl Fn(&Window) -> Option<f64>) -> Result<Worth, EvalError> {
        let MatrixSelector { vs, range } = match of {
            Expr::MatrixSelector(it) => it,
            Expr::Paren(inner) => return self.over(&inner.expr, worth),
            _ => return Err(EvalError::Wanted("range")),
        };
        let to_ms = self.now_ms - offset_ms(vs)?;
        let from_ms = to_ms - millis(*range);
        let mut found = Vec::new();
        let mut window = Window { from_ms, to_ms, samples: Vec::new() };
        for (labels, past) in self.history.series(name_of(vs)?) {
            if !satisfies(vs.matchers.matchers.iter(), labels.text()) {
                continue;
            }
            window.samples.clear();
            window.samples.extend(past.between(from_ms, to_ms));
            if let Some(value) = worth(&window) {
                found.push(Sample { labels: labels.clone(), value });
            }
        }
        Ok(Worth::Vector(found))
    }
}

/// Quantiles of histograms with buckets, each in its own labels without `le`.
fn quantiles(share: f64, samples: &[Sample]) -> Vec<Sample> {
    let mut histograms: HashMap<Labels, Vec<(f64, f64)>> = HashMap::new();
    for Sample { labels, value } in samples {
        let Some(bound) = parse(labels.get("le")) else { continue };
        let key = labels.only(|name| name != "le");
        histograms.entry(key).or_default().push((bound, *value));
    }
    let found = histograms.into_iter().map(|(labels, mut buckets)| {
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        Sample { labels, value: quantile(share, &buckets) }
    });
    found.collect()
}

/// By straight lines within buckets; what lies in the last one is told by its lower bound.
fn quantile(share: f64, buckets: &[(f64, f64)]) -> f64 {
    let Some((last, total)) = buckets.last() else { return f64::NAN };
    if !last.is_infinite() || *total <= 0.0 || buckets.len() < 2 {
        return f64::NAN;
    }
    let rank = share * total;
    let at = buckets.iter().position(|(_, count)| *count >= rank).unwrap_or(buckets.len() - 1);
    let below = at.checked_sub(1).and_then(|at| buckets.get(at)).copied();
    let (Some(&(bound, count)), (low, before)) = (buckets.get(at), below.unwrap_or((0.0, 0.0)))
    else {
        return f64::NAN;
    };
    match bound.is_infinite() {
        true => low,
        false => low + (bound - low) * (rank - before) / (count - before),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_in_their_buckets() {
        let buckets = [(0.1, 50.0), (0.5, 90.0), (1.0, 100.0), (f64::INFINITY, 100.0)];
        assert!((quantile(0.5, &buckets) - 0.1).abs() < 1e-9);
        assert!((quantile(0.7, &buckets) - 0.3).abs() < 1e-9);
        assert!((quantile(0.95, &buckets) - 0.75).abs() < 1e-9);
        assert!((quantile(1.0, &[(0.1, 1.0), (f64::INFINITY, 2.0)]) - 0.1).abs() < 1e-9);
        assert!(quantile(0.5, &[(0.1, 0.0), (f64::INFINITY, 0.0)]).is_nan());
        assert!(quantile(0.5, &[]).is_nan());
    }
}
