//! Why a configuration is refused, always in one line: key, value, what was expected; and what is
//! only worth a warning.

use std::fmt;
use std::path::PathBuf;

use pharos_base::HIDDEN;
use thiserror::Error;

use crate::check::Expected;
use crate::row::Row;

/// Longest part of a value that a message repeats, in characters.
const SHOWN_VALUE_CHARS: usize = 120;

/// A configuration that stops the start.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A value that its key cannot have.
    #[error("{origin}: {key}={value}: {expected}")]
    Value {
        /// The key.
        key: String,
        /// The value, shortened, on one line, hidden if it is a secret.
        value: Shown,
        /// What was expected instead.
        expected: String,
        /// Where the value was given.
        origin: Origin,
    },
    /// A line or flag that is no `key=value`.
    #[error("{origin}: {text:?}: expected key=value")]
    Syntax {
        /// The text.
        text: String,
        /// Where it stands.
        origin: Origin,
    },
    /// A file that cannot be read.
    #[error("cannot read configuration file {}: {source}", path.display())]
    File {
        /// Path as it was given.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file beyond the size limit.
    #[error("configuration file {} is too large: expected at most {limit_bytes} bytes", path.display())]
    FileSize {
        /// Path as it was given.
        path: PathBuf,
        /// The limit.
        limit_bytes: u64,
    },
}

impl ConfigError {
    /// `value` does not suit `row`.
    pub(crate) fn row(row: &Row, value: &str, origin: &Origin) -> Self {
        Self::Value {
            key: row.name.to_owned(),
            value: Shown::of(row, value),
            expected: Expected(row).to_string(),
            origin: origin.clone(),
        }
    }

    /// The same of the key that the value was given under.
    pub(crate) fn under(self, name: &str) -> Self {
        match self {
            Self::Value { value, expected, origin, .. } => {
                Self::Value { key: Shown::text(name).to_string(), value, expected, origin }
            }
            other => other,
        }
    }

    /// `value` of `key` breaks a rule that `expected` words.
    pub(crate) fn rule(
        key: &str,
        value: impl fmt::Display,
        expected: impl Into<String>,
        origin: &Origin,
    ) -> Self {
        Self::Value {
            key: key.to_owned(),
            value: Shown::text(&value.to_string()),
            expected: expected.into(),
            origin: origin.clone(),
        }
    }
}

/// A value made fit for a message: on one line, of bounded length, without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown(String);

impl Shown {
    /// The value of a row.
    pub fn of(row: &Row, value: &str) -> Self {
        if row.sensitive() { Self(HIDDEN.to_owned()) } else { Self::text(value) }
    }

    /// A text that is no secret.
    pub fn text(value: &str) -> Self {
        let mut text: String = value
            .chars()
            .take(SHOWN_VALUE_CHARS)
            .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
            .collect();
        if value.chars().nth(SHOWN_VALUE_CHARS).is_some() {
            text.push_str("...");
        }
        Self(text)
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In a file.
    File {
        /// Path as it was given.
        name: String,
        /// Line, from 1.
        line: usize,
    },
    /// By an environment variable.
    Environment(String),
    /// By `--override`.
    Flag,
    /// By `pharos up`, where it differs from Kafka's default.
    Up,
    /// Nowhere: the default.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name, line } => write!(f, "{name} line {line}"),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag => f.write_str("--override"),
            Self::Up => f.write_str("default of pharos up"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// Something that does not stop the start and that the operator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A key that has no row.
    UnknownKey {
        /// The key.
        key: String,
        /// The known key that it was most likely meant to be.
        nearest: Option<&'static str>,
        /// Where it was given.
        origin: Origin,
    },
    /// More keys without a row than are named.
    MoreUnknownKeys(usize),
    /// A value for one listener that does not act.
    PerListener {
        /// The key, listener prefix included.
        key: String,
        /// Why not.
        why: &'static str,
        /// Where it was given.
        origin: Origin,
    },
    /// More replicas than there are brokers to hold them.
    Replicas {
        /// The key.
        key: &'static str,
        /// Its value.
        replicas: i32,
        /// The brokers.
        brokers: i32,
    },
    /// All keys that were given and change nothing, grouped by reason.
    NoMeaning(Vec<(&'static str, Vec<String>)>),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey { key, nearest, origin } => {
                write!(f, "{origin}: unknown key {} is ignored", Shown::text(key))?;
                nearest.map_or(Ok(()), |nearest| write!(f, ", did you mean {nearest}?"))
            }
            Self::MoreUnknownKeys(count) => write!(f, "{count} more unknown keys are ignored"),
            Self::PerListener { key, why, origin } => {
                write!(f, "{origin}: {} is ignored: {why}", Shown::text(key))
            }
            Self::Replicas { key, replicas, brokers } => {
                write!(
                    f,
                    "{key}={replicas} is above the number of brokers, {brokers}: its topic cannot be \
                     made, and what needs it waits for ever"
                )
            }
            Self::NoMeaning(groups) => {
                f.write_str("accepted without effect:")?;
                for (index, (why, keys)) in groups.iter().enumerate() {
                    let start = if index == 0 { " " } else { "; " };
                    write!(f, "{start}{} ({why})", keys.join(", "))?;
                }
                Ok(())
            }
        }
    }
}
