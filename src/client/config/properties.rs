//! A bag of properties: files, `key=value` pairs of the command line, typed reading.

use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;
use pharos_config::properties::{Property, decode, parse};

use super::rows::{self, Row};
use crate::error::{ClientError, Result};

/// Properties in the order in which they were given; a later value replaces an earlier one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    values: IndexMap<String, String>,
}

impl Properties {
    /// No property.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a file in Java's format.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        match std::fs::read(path) {
            Ok(bytes) => Ok(Self::parse(&decode(&bytes))),
            Err(source) => Err(ClientError::File {
                path: path.display().to_string(),
                source: Arc::new(source),
            }),
        }
    }

    /// Parses Java's format; a repeated key has its last value.
    pub fn parse(text: &str) -> Self {
        let mut properties = Self::new();
        for Property { key, value, .. } in parse(text) {
            properties.set(key, value);
        }
        properties
    }

    /// Adds one `key=value` of a command line.
    ///
    /// # Errors
    /// When there is no `=` or nothing before it.
    pub fn set_pair(&mut self, pair: &str) -> Result<()> {
        match pair.split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                self.set(key.trim(), value);
                Ok(())
            }
            _ => Err(ClientError::Usage(format!("\"{pair}\" is not of the form key=value"))),
        }
    }

    /// Sets a property, replacing an earlier value.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.values.insert(key.into(), value.into());
    }

    /// Sets a property unless it is there.
    pub fn set_default(&mut self, key: &str, value: impl Into<String>) {
        self.values.entry(key.to_owned()).or_insert_with(|| value.into());
    }

    /// The value as given.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// Takes all properties of `other`, which win.
    pub fn merge(&mut self, other: &Self) {
        for (key, value) in &other.values {
            self.set(key.as_str(), value.as_str());
        }
    }

    /// All properties in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Names that no row knows, in order.
    pub fn unknown(&self) -> Vec<&str> {
        self.values.keys().map(String::as_str).filter(|key| rows::find(key).is_none()).collect()
    }

    /// Checks every known property against its row.
    ///
    /// # Errors
    /// The first value that its row does not allow.
    pub fn check(&self) -> Result<()> {
        self.values.iter().try_for_each(|(key, value)| match rows::find(key) {
            Some(row) => row.check(value),
            None => Ok(()),
        })
    }

    /// The trimmed text of a row, or its default.
    pub(crate) fn text(&self, row: &'static Row) -> &str {
        self.get(row.name).map_or(row.default, str::trim)
    }

    /// The text of a row, lower-cased.
    pub(crate) fn word(&self, row: &'static Row) -> String {
        self.text(row).to_ascii_lowercase()
    }

    /// The whole number of a row.
    pub(crate) fn number(&self, row: &'static Row) -> Result<i64> {
        let text = self.text(row);
        text.parse().map_err(|_| row.refuse(text))
    }

    /// A row's duration or size, which cannot be negative.
    pub(crate) fn amount(&self, row: &'static Row) -> Result<u64> {
        let text = self.text(row);
        text.parse().map_err(|_| row.refuse(text))
    }

    /// The truth value of a row.
    pub(crate) fn flag(&self, row: &'static Row) -> Result<bool> {
        let text = self.text(row);
        match text.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(row.refuse(text)),
        }
    }

    /// A row's text when it is neither absent nor empty.
    pub(crate) fn some(&self, row: &'static Row) -> Option<String> {
        let text = self.text(row);
        (!text.is_empty()).then(|| text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_key_has_its_last_value() {
        let properties = Properties::parse("# comment\na=1\nb : 2\na=3");
        assert_eq!(properties.iter().collect::<Vec<_>>(), [("a", "3"), ("b", "2")]);
    }

    #[test]
    fn values_are_checked_by_their_rows() {
        for (pair, expected) in [
            ("acks=7", "invalid value 7 for configuration acks: expected one of all, -1, 0, 1"),
            (
                "linger.ms=x",
                "invalid value x for configuration linger.ms: expected a whole number of at least 0",
            ),
            (
                "security.protocol=SSL",
                "invalid value SSL for configuration security.protocol: expected PLAINTEXT, TLS and SASL are not built yet",
            ),
        ] {
            let mut properties = Properties::new();
            properties.set_pair(pair).unwrap();
            assert_eq!(properties.check().unwrap_err().to_string(), expected);
        }
        assert!(Properties::new().set_pair("novalue").is_err());
    }
}
