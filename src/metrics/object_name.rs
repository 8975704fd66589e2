//! JMX object names: a domain and properties in the order of registration.

use std::fmt;
use std::sync::Arc;

/// Longest object name, in bytes. A client's name may have 32 KiB, twice that when it is quoted, and
/// a bean may be named by two of them.
const MAX_LEN: usize = 160 * 1024;

/// `domain:key=value,key=value`. Values are verbatim, so a quoted one keeps its quotes. Clones
/// share the text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectName {
    text: Arc<str>,
    domain_len: u32,
}

/// Why a text is no object name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("object name {text:?} {reason}")]
pub struct ObjectNameError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl ObjectName {
    /// Reads an object name that is no pattern.
    ///
    /// # Errors
    /// When the domain or the properties are missing, or a property has no `=`, no key or an
    /// unclosed quote.
    pub fn parse(text: &str) -> Result<Self, ObjectNameError> {
        let fail = |reason| ObjectNameError { text: text.chars().take(200).collect(), reason };
        if text.len() > MAX_LEN {
            return Err(fail("is too long"));
        }
        let (domain, list) = text.split_once(':').ok_or_else(|| fail("has no domain"))?;
        for property in split_properties(list).map_err(fail)? {
            let (key, _) = property.split_once('=').ok_or_else(|| fail("lacks a '='"))?;
            if key.is_empty() {
                return Err(fail("has an empty key"));
            }
        }
        Ok(Self { text: text.into(), domain_len: u32::try_from(domain.len()).unwrap_or(0) })
    }

    /// The part before the colon.
    pub fn domain(&self) -> &str {
        self.text.get(..self.domain_len as usize).unwrap_or_default()
    }

    /// Keys and values in order of registration.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        let list = self.text.get(self.domain_len as usize + 1..).unwrap_or_default();
        Properties(list).map(|property| property.split_once('=').unwrap_or((property, "")))
    }

    /// The value of a property.
    pub fn property(&self, key: &str) -> Option<&str> {
        self.properties().find(|(have, _)| *have == key).map(|(_, value)| value)
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The whole name, shared.
    pub(crate) fn shared(&self) -> Arc<str> {
        self.text.clone()
    }

    /// Equality as JMX sees it: the order of properties does not count.
    pub fn same(&self, other: &Self) -> bool {
        self.domain() == other.domain()
            && self.properties().count() == other.properties().count()
            && self.properties().all(|(key, value)| other.property(key) == Some(value))
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The properties of a list, split at the commas outside quotes.
#[derive(Clone)]
struct Properties<'a>(&'a str);

impl<'a> Iterator for Properties<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.0.is_empty() {
            return None;
        }
        let end = end_of_property(self.0).0;
        let property = self.0.get(..end).unwrap_or_default();
        self.0 = self.0.get(end + 1..).unwrap_or_default();
        Some(property)
    }
}

/// Where the first property ends, and whether a quote was open there.
fn end_of_property(list: &str) -> (usize, bool) {
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in list.bytes().enumerate() {
        if escaped {
            escaped = false;
            continue;
        }
        match byte {
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => return (at, false),
            _ => {}
        }
    }
    (list.len(), quoted)
}

/// Splits at the commas outside quotes.
pub(crate) fn split_properties(list: &str) -> Result<Vec<&str>, &'static str> {
    let mut parts = Vec::new();
    let mut rest = list;
    loop {
        let (end, open) = end_of_property(rest);
        if open {
            return Err("has an unclosed quote");
        }
        parts.push(rest.get(..end).unwrap_or_default());
        match rest.get(end + 1..) {
            Some(more) => rest = more,
            None => return Ok(parts),
        }
    }
}

/// Appends a tag's value as Kafka registers it: quoted like `ObjectName.quote` when it holds
/// anything outside `[\w-%. \t]` (`Sanitizer.jmxSanitize` in apache/kafka), else as it is.
pub fn push_tag_value(out: &mut String, value: &str) {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '%' | '.' | ' ' | '\t');
    if value.chars().all(plain) {
        out.push_str(value);
        return;
    }
    out.push('"');
    for c in value.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '"' | '\\' | '*' | '?' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_keep_their_order_and_quotes() {
        let name = ObjectName::parse("kafka.log:type=LogManager,dir=\"/a,b\\\"=c\",z=1").unwrap();
        assert_eq!(name.domain(), "kafka.log");
        let list: Vec<_> = name.properties().collect();
        assert_eq!(list, [("type", "LogManager"), ("dir", "\"/a,b\\\"=c\""), ("z", "1")]);
        assert_eq!(name.property("z"), Some("1"));
    }

    #[test]
    fn order_does_not_count_for_identity() {
        let a = ObjectName::parse("d:a=1,b=2").unwrap();
        let b = ObjectName::parse("d:b=2,a=1").unwrap();
        assert!(a.same(&b) && a != b);
        assert!(!a.same(&ObjectName::parse("d:a=1,b=3").unwrap()));
    }

    #[test]
    fn what_is_no_object_name_is_refused() {
        for text in ["", "a", "a:", "a:b", "a:=c", "a:b=\"c", "a:b=c,"] {
            assert!(ObjectName::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn tags_are_quoted_as_kafka_quotes_them() {
        for (value, want) in [
            ("orders.v1-x", "orders.v1-x"),
            ("/data", "\"/data\""),
            ("a*b\"c\\d\ne?", "\"a\\*b\\\"c\\\\d\\ne\\?\""),
            ("", ""),
        ] {
            let mut out = String::new();
            push_tag_value(&mut out, value);
            assert_eq!(out, want);
        }
    }
}
