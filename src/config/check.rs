//! What a value must fulfil beyond its type, and the words that say so.

use std::fmt;

use crate::row::{Kind, Row};
use crate::value::Value;

/// A condition on a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Check {
    /// None.
    Any,
    /// An integer in a range, or the one value beside it.
    Integers {
        /// Smallest value.
        least: i64,
        /// Largest value.
        most: i64,
        /// A value outside of the range that is allowed as well.
        also: Option<i64>,
    },
    /// A number in a range.
    Numbers {
        /// Smallest value.
        least: f64,
        /// Largest value.
        most: f64,
    },
    /// One of some words; of a list, each entry.
    OneOf {
        /// The words.
        values: &'static [&'static str],
        /// Whether capitals matter.
        ignore_case: bool,
    },
    /// A text or list with something in it.
    NonEmpty,
    /// `partition:broker` pairs or `*` (`ThrottledReplicaListValidator`).
    ThrottledReplicas,
    /// `latest`, `earliest` or `by_duration:` and an ISO 8601 duration
    /// (`ShareGroupAutoOffsetResetStrategy`).
    OffsetReset,
    /// `name=pattern` with a name that KIP-714 knows (`ClientMetricsConfigs`).
    ClientMatch,
    /// A list of topics' names, or `*` for all.
    Topics,
}

/// Longest name of a topic (`Topic.MAX_NAME_LENGTH`).
const MAX_TOPIC_NAME: usize = 249;

/// Names that a client metrics subscription may match on (KIP-714).
pub const CLIENT_MATCH_NAMES: &[&str] = &[
    "client_instance_id",
    "client_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];

impl Check {
    /// Whether `value` passes.
    pub fn passes(&self, value: &Value) -> bool {
        match (self, value) {
            (_, Value::Null) | (Self::Any, _) => true,
            (Self::Integers { least, most, also }, Value::Integer(value)) => {
                (*least..=*most).contains(value) || *also == Some(*value)
            }
            (Self::Numbers { least, most }, Value::Double(value)) => {
                (*least..=*most).contains(value)
            }
            (Self::OneOf { .. }, Value::Text(text)) => self.knows(text),
            (Self::OneOf { .. }, Value::List(list)) => list.iter().all(|entry| self.knows(entry)),
            (Self::NonEmpty, Value::Text(text)) => !text.is_empty(),
            (Self::NonEmpty, Value::List(list)) => list.iter().all(|entry| !entry.is_empty()),
            (Self::ThrottledReplicas, Value::List(list)) => throttled_replicas(list),
            (Self::OffsetReset, Value::Text(text)) => offset_reset(text),
            (Self::ClientMatch, Value::List(list)) => list.iter().all(|entry| client_match(entry)),
            (Self::Topics, Value::List(list)) => {
                list.iter().all(|entry| entry == "*" || topic_name(entry))
            }
            _ => false,
        }
    }

    fn knows(&self, word: &str) -> bool {
        let Self::OneOf { values, ignore_case } = self else { return false };
        values
            .iter()
            .any(|value| *value == word || (*ignore_case && value.eq_ignore_ascii_case(word)))
    }
}

/// Whether a topic may have this name (`Topic.validate`).
fn topic_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let length = 1..=MAX_TOPIC_NAME;
    length.contains(&name.len()) && !matches!(name, "." | "..") && name.bytes().all(allowed)
}

fn throttled_replicas(list: &[String]) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match list {
        [all] if all == "*" => true,
        list => list.iter().all(|entry| {
            entry.split_once(':').is_some_and(|(left, right)| number(left) && number(right))
        }),
    }
}

fn offset_reset(text: &str) -> bool {
    match text.strip_prefix("by_duration:") {
        Some(duration) => iso_duration(duration),
        None => matches!(text, "latest" | "earliest"),
    }
}

/// `PnDTnHnMn.nS` with at least one part, none of them negative.
fn iso_duration(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(['P', 'p']) else { return false };
    let (days, time) = match rest.split_once(['T', 't']) {
        Some((days, time)) if !time.is_empty() => (days, time),
        Some(_) => return false,
        None => (rest, ""),
    };
    parts(days, "D") && parts(time, "HMS") && !(days.is_empty() && time.is_empty())
}

/// Numbers, each followed by the next of `units` that it uses; only seconds may have a fraction.
fn parts(text: &str, units: &str) -> bool {
    let mut units = units.chars();
    let mut digits = String::new();
    for char in text.chars() {
        if char.is_ascii_digit() || char == '.' {
            digits.push(char);
            continue;
        }
        let unit = char.to_ascii_uppercase();
        let known = units.any(|next| next == unit);
        let number = match unit {
            'S' => digits.parse::<f64>().is_ok(),
            _ => digits.parse::<u32>().is_ok(),
        };
        if !known || !number {
            return false;
        }
        digits.clear();
    }
    digits.is_empty()
}

fn client_match(entry: &str) -> bool {
    entry.split_once('=').is_some_and(|(name, pattern)| {
        CLIENT_MATCH_NAMES.contains(&name.trim()) && regex::Regex::new(pattern.trim()).is_ok()
    })
}

/// Says what a row expects: the end of every message about a value that is none.
pub struct Expected<'a>(pub &'a Row);

impl fmt::Display for Expected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(row) = self;
        let article = match row.kind {
            Kind::Boolean => return f.write_str("expected true or false"),
            Kind::Int => "a 32-bit integer",
            Kind::Short => "a 16-bit integer",
            Kind::Long => "a 64-bit integer",
            Kind::Double => "a number",
            Kind::String => "a text",
            Kind::Class => "a class name",
            Kind::Password => "a password",
            Kind::List => "a list separated by commas",
        };
        match row.check {
            Check::Any => write!(f, "expected {article}"),
            Check::Integers { least, most, also } => {
                write!(f, "expected {article} ")?;
                match most {
                    i64::MAX => write!(f, "of at least {least}")?,
                    most => write!(f, "from {least} to {most}")?,
                }
                also.map_or(Ok(()), |also| write!(f, " or {also}"))
            }
            Check::Numbers { least, most } => {
                write!(f, "expected {article} from {least} to {most}")
            }
            Check::OneOf { values, .. } if row.kind == Kind::List => {
                write!(f, "expected a list of {}", values.join(", "))
            }
            Check::OneOf { values, .. } => write!(f, "expected one of {}", values.join(", ")),
            Check::NonEmpty if row.kind == Kind::List => {
                write!(f, "expected {article} without empty entries")
            }
            Check::NonEmpty => write!(f, "expected {article} that is not empty"),
            Check::ThrottledReplicas => f.write_str("expected * or a list of partition:broker"),
            Check::OffsetReset => {
                f.write_str("expected latest, earliest or by_duration:PnDTnHnMn.nS")
            }
            Check::Topics => f.write_str("expected * or a list of topics"),
            Check::ClientMatch => write!(
                f,
                "expected a list of name=pattern, name being one of {}",
                CLIENT_MATCH_NAMES.join(", ")
            ),
        }
    }
}

/// Says in Kafka's words why an altered value is refused: clients and tests know these texts
/// (`ConfigDef.parseType`, `ConfigDef.Range`, `ConfigDef.ValidString`).
pub struct Fault<'a> {
    /// The row.
    pub row: &'a Row,
    /// What the text reads as; `None` when it is of another type.
    pub value: Option<&'a Value>,
}

impl fmt::Display for Fault<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { row, value } = self;
        let kind = match row.kind {
            Kind::Boolean => return f.write_str("Expected value to be either true or false"),
            Kind::Int => "INT",
            Kind::Short => "SHORT",
            Kind::Long => "LONG",
            Kind::Double => "DOUBLE",
            _ => "",
        };
        match (row.check, value) {
            (_, None) if !kind.is_empty() => write!(f, "Not a number of type {kind}"),
            (Check::Integers { least, also: None, .. }, Some(Value::Integer(value)))
                if *value < least =>
            {
                write!(f, "Value must be at least {least}")
            }
            (Check::Integers { most, also: None, .. }, Some(_)) => {
                write!(f, "Value must be no more than {most}")
            }
            (Check::Numbers { least, .. }, Some(Value::Double(value))) if *value < least => {
                write!(f, "Value must be at least {least}")
            }
            (Check::Numbers { most, .. }, Some(_)) => {
                write!(f, "Value must be no more than {most}")
            }
            (Check::OneOf { values, ignore_case: false }, _) => {
                write!(f, "String must be one of: {}", values.join(", "))
            }
            (Check::OneOf { values, ignore_case: true }, _) => {
                write!(f, "String must be one of (case insensitive): {}", values.join(", "))
            }
            (Check::NonEmpty, Some(Value::Text(_))) => f.write_str("String must be non-empty"),
            _ => Expected(row).fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offset_resets_are_words_or_durations() {
        for good in ["latest", "earliest", "by_duration:PT1H", "by_duration:P1DT2H3M4.5S"] {
            assert!(offset_reset(good), "{good}");
        }
        for bad in
            ["", "newest", "by_duration:", "by_duration:P", "by_duration:PT", "by_duration:1h"]
        {
            assert!(!offset_reset(bad), "{bad}");
        }
        for bad in ["by_duration:-PT1H", "by_duration:PT1M1H", "by_duration:PT1.5H"] {
            assert!(!offset_reset(bad), "{bad}");
        }
    }

    #[test]
    fn clients_match_by_known_names_and_sound_patterns() {
        for (entry, sound) in [
            ("client_id=abc.*", true),
            ("client_software_name=apache-kafka-java", true),
            ("client_id", false),
            ("unknown=x", false),
            ("client_id=(", false),
        ] {
            assert_eq!(client_match(entry), sound, "{entry}");
        }
    }
}
