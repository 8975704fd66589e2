//! Values and their text: parsing and printing as `org.apache.kafka.common.config.ConfigDef` does.

use std::sync::LazyLock;

use pharos_base::{Secret, java_double};

use crate::row::Kind;

/// A parsed value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// Of kind boolean.
    Boolean(bool),
    /// Of kind short, int or long.
    Integer(i64),
    /// Of kind double.
    Double(f64),
    /// Of kind string or class.
    Text(String),
    /// Of kind list.
    List(Vec<String>),
    /// Of kind password.
    Password(Secret),
}

impl Value {
    /// Reads `text` as a value of `kind`; `None` when it is none.
    pub fn parse(kind: Kind, text: &str) -> Option<Self> {
        let text = text.trim();
        Some(match kind {
            Kind::Boolean if text.eq_ignore_ascii_case("true") => Self::Boolean(true),
            Kind::Boolean if text.eq_ignore_ascii_case("false") => Self::Boolean(false),
            Kind::Boolean => return None,
            Kind::Short => Self::Integer(text.parse::<i16>().ok()?.into()),
            Kind::Int => Self::Integer(text.parse::<i32>().ok()?.into()),
            Kind::Long => Self::Integer(text.parse::<i64>().ok()?),
            Kind::Double => Self::Double(text.parse::<f64>().ok().filter(|v| !v.is_nan())?),
            Kind::String | Kind::Class => Self::Text(text.to_owned()),
            Kind::Password => Self::Password(Secret::new(text)),
            Kind::List if text.is_empty() => Self::List(Vec::new()),
            Kind::List => {
                Self::List(text.split(',').map(|entry| entry.trim().to_owned()).collect())
            }
        })
    }

    /// The text of the value as DescribeConfigs shows it; `None` for no value and for a secret.
    pub fn shown(&self) -> Option<String> {
        match self {
            Self::Null | Self::Password(_) => None,
            Self::Boolean(value) => Some(value.to_string()),
            Self::Integer(value) => Some(value.to_string()),
            Self::Double(value) => Some(java_double(*value)),
            Self::Text(value) => Some(value.clone()),
            Self::List(values) => Some(values.join(",")),
        }
    }
}

/// A text value.
#[derive(Debug)]
pub enum Text {}
/// The name of a Java class.
#[derive(Debug)]
pub enum Class {}
/// A list of texts.
#[derive(Debug)]
pub enum List {}
/// A secret.
#[derive(Debug)]
pub enum Password {}

/// The Rust side of a [`Kind`].
pub trait Typed {
    /// What reading a value gives.
    type Out<'a>;
    /// The kind of the row.
    const KIND: Kind;
    /// Whether there may be no value.
    const NULLABLE: bool = false;

    /// The value, or the type's zero for a value of another kind: a [`crate::Key`] fixes the kind
    /// of its row, so that this does not arise.
    fn read(value: &Value) -> Self::Out<'_>;
}

impl Typed for bool {
    type Out<'a> = bool;
    const KIND: Kind = Kind::Boolean;

    fn read(value: &Value) -> bool {
        matches!(value, Value::Boolean(true))
    }
}

fn integer<T: TryFrom<i64> + Default>(value: &Value) -> T {
    match value {
        Value::Integer(value) => T::try_from(*value).unwrap_or_default(),
        _ => T::default(),
    }
}

impl Typed for i16 {
    type Out<'a> = i16;
    const KIND: Kind = Kind::Short;

    fn read(value: &Value) -> i16 {
        integer(value)
    }
}

impl Typed for i32 {
    type Out<'a> = i32;
    const KIND: Kind = Kind::Int;

    fn read(value: &Value) -> i32 {
        integer(value)
    }
}

impl Typed for i64 {
    type Out<'a> = i64;
    const KIND: Kind = Kind::Long;

    fn read(value: &Value) -> i64 {
        integer(value)
    }
}

impl Typed for f64 {
    type Out<'a> = f64;
    const KIND: Kind = Kind::Double;

    fn read(value: &Value) -> f64 {
        match value {
            Value::Double(value) => *value,
            _ => 0.0,
        }
    }
}

fn text(value: &Value) -> &str {
    match value {
        Value::Text(value) => value,
        _ => "",
    }
}

impl Typed for Text {
    type Out<'a> = &'a str;
    const KIND: Kind = Kind::String;

    fn read(value: &Value) -> &str {
        text(value)
    }
}

impl Typed for Class {
    type Out<'a> = &'a str;
    const KIND: Kind = Kind::Class;

    fn read(value: &Value) -> &str {
        text(value)
    }
}

impl Typed for List {
    type Out<'a> = &'a [String];
    const KIND: Kind = Kind::List;

    fn read(value: &Value) -> &[String] {
        match value {
            Value::List(values) => values,
            _ => &[],
        }
    }
}

static NO_SECRET: LazyLock<Secret> = LazyLock::new(|| Secret::new(""));

impl Typed for Password {
    type Out<'a> = &'a Secret;
    const KIND: Kind = Kind::Password;

    fn read(value: &Value) -> &Secret {
        match value {
            Value::Password(secret) => secret,
            _ => &NO_SECRET,
        }
    }
}

impl<T: Typed> Typed for Option<T> {
    type Out<'a> = Option<T::Out<'a>>;
    const KIND: Kind = T::KIND;
    const NULLABLE: bool = true;

    fn read(value: &Value) -> Option<T::Out<'_>> {
        match value {
            Value::Null => None,
            value => Some(T::read(value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_kafka_reads_them() {
        let check = |kind, text: &str, expected: Option<&str>| {
            let shown = Value::parse(kind, text).and_then(|value| value.shown());
            assert_eq!(shown.as_deref(), expected, "{kind:?} {text:?}");
        };
        check(Kind::Boolean, " TRUE ", Some("true"));
        check(Kind::Boolean, "yes", None);
        check(Kind::Int, "+5", Some("5"));
        check(Kind::Int, "2147483648", None);
        check(Kind::Int, "1.0", None);
        check(Kind::Short, "32768", None);
        check(Kind::Long, "-9223372036854775808", Some("-9223372036854775808"));
        check(Kind::Double, "1e3", Some("1000.0"));
        check(Kind::Double, "NaN", None);
        check(Kind::List, "", Some(""));
        check(Kind::List, "a , b,c", Some("a,b,c"));
        check(Kind::String, " x ", Some("x"));
        check(Kind::Password, "secret", None);
    }

    #[test]
    fn a_secret_does_not_print() {
        let value = Value::parse(Kind::Password, "hunter2");
        assert!(!format!("{value:?}").contains("hunter2"));
    }
}
