//! Evaluates an expression at one moment, as Prometheus does. What no shipped rule needs is refused by
//! name ([`EvalError`]), never answered wrongly.

mod aggregate;
mod binary;
mod functions;
mod range;

use promql_parser::parser::token::T_SUB;
use promql_parser::parser::{AtModifier, Expr, LabelModifier, Offset, VectorSelector};

use crate::history::{History, Past, satisfies};
use crate::labels::Labels;

/// A value of one series.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    pub(crate) labels: Labels,
    pub(crate) value: f64,
}

/// What an expression is worth.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Worth {
    Scalar(f64),
    Vector(Vec<Sample>),
}

/// Why an expression has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EvalError {
    #[error("{0} is not built")]
    NotBuilt(String),
    #[error("several series match on both sides")]
    SeveralMatches,
    #[error("a {0} is wanted")]
    Wanted(&'static str),
}

/// A moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment<'a> {
    pub(crate) history: &'a History,
    pub(crate) now_ms: i64,
}

impl Moment<'_> {
    /// The series that an expression has now.
    pub(crate) fn vector(self, expr: &Expr) -> Result<Vec<Sample>, EvalError> {
        match self.worth(expr)? {
            Worth::Vector(samples) => Ok(samples),
            Worth::Scalar(_) => Err(EvalError::Wanted("vector")),
        }
    }

    fn scalar(self, expr: &Expr) -> Result<f64, EvalError> {
        match self.worth(expr)? {
            Worth::Scalar(value) => Ok(value),
            Worth::Vector(_) => Err(EvalError::Wanted("scalar")),
        }
    }

    /// What the expression is worth now.
    pub(crate) fn worth(self, expr: &Expr) -> Result<Worth, EvalError> {
        match expr {
            Expr::NumberLiteral(number) => Ok(Worth::Scalar(number.val)),
            Expr::Paren(inner) => self.worth(&inner.expr),
            Expr::VectorSelector(selector) => self.select(selector).map(Worth::Vector),
            Expr::Aggregate(it) => self.aggregate(it).map(Worth::Vector),
            Expr::Call(it) => self.call(it),
            Expr::Binary(it) => self.binary(it),
            Expr::Unary(it) => {
                let zero = Worth::Scalar(0.0);
                let inner = self.worth(&it.expr)?;
                Ok(binary::with_scalar(T_SUB, &zero, &inner).unwrap_or(inner))
            }
            Expr::MatrixSelector(_) => Err(EvalError::Wanted("vector")),
            Expr::Subquery(_) => Err(EvalError::NotBuilt("a subquery".to_owned())),
            Expr::StringLiteral(_) => Err(EvalError::NotBuilt("a text".to_owned())),
            Expr::Extension(_) => Err(EvalError::NotBuilt("an extension".to_owned())),
        }
    }

    fn select(self, selector: &VectorSelector) -> Result<Vec<Sample>, EvalError> {
        let at_ms = self.now_ms - offset_ms(selector)?;
        let matchers = || selector.matchers.matchers.iter();
        let series = self.history.series(name_of(selector)?);
        let fitting = series.filter(|(labels, _)| satisfies(matchers(), labels.text()));
        let samples = fitting.filter_map(|(labels, past)| {
            Some(Sample { labels: labels.clone(), value: past.at(at_ms)? })
        });
        Ok(samples.collect())
    }
}

/// How fast a series grew per second from one moment to another, as `deriv` tells.
pub(crate) fn slope(past: Past<'_>, from_ms: i64, to_ms: i64) -> Option<f64> {
    let samples = past.between(from_ms, to_ms).collect();
    let window = range::Window { from_ms, to_ms, samples };
    Some(range::regression(&window, from_ms)?.0)
}

/// The name that a selector asks for.
pub(crate) fn name_of(selector: &VectorSelector) -> Result<&str, EvalError> {
    let plain = selector.matchers.or_matchers.is_empty();
    let name = selector.name.as_deref().filter(|_| plain);
    name.ok_or_else(|| EvalError::NotBuilt("a selector without a plain name".to_owned()))
}

/// How far back a selector looks.
pub(crate) fn offset_ms(selector: &VectorSelector) -> Result<i64, EvalError> {
    let none: &Option<AtModifier> = &selector.at;
    match (&selector.offset, none) {
        (_, Some(_)) => Err(EvalError::NotBuilt("@".to_owned())),
        (None, None) => Ok(0),
        (Some(Offset::Pos(back)), None) => Ok(millis(*back)),
        (Some(Offset::Neg(_)), None) => Err(EvalError::NotBuilt("a negative offset".to_owned())),
    }
}

/// A duration in ms.
pub(crate) fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The text of what is left of labels by a modifier, made in `buffer`; without a modifier of nothing.
fn kept<'a>(
    labels: &'a Labels,
    modifier: Option<&LabelModifier>,
    buffer: &'a mut String,
) -> &'a str {
    let named = |these: &[String], name: &str| these.iter().any(|it| it == name);
    match modifier {
        Some(LabelModifier::Include(these)) => {
            labels.write_only(|name| named(&these.labels, name), buffer);
        }
        Some(LabelModifier::Exclude(these)) => {
            labels.write_only(|name| !named(&these.labels, name), buffer);
        }
        None => buffer.clear(),
    }
    buffer
}
