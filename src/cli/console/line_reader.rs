//! Lines become records: headers, key and value by separators
//! (org.apache.kafka.tools.LineMessageReader).

use std::sync::Arc;

use anyhow::{Result, bail};
use bytes::Bytes;
use pharos_client::{ProducerRecord, Properties};

/// Reads one line after the other.
#[derive(Debug)]
pub struct LineReader {
    topic: Arc<str>,
    parse_key: bool,
    parse_headers: bool,
    ignore_error: bool,
    key_separator: String,
    headers_delimiter: String,
    headers_separator: String,
    headers_key_separator: String,
    null_marker: Option<String>,
    line_number: u64,
}

impl LineReader {
    /// A reader with these properties.
    ///
    /// # Errors
    /// When two separators or the null marker are the same.
    pub fn parse(topic: &str, properties: &Properties) -> Result<Self> {
        let flag = |name| {
            properties.get(name).is_some_and(|text| text.trim().eq_ignore_ascii_case("true"))
        };
        let text = |name, default: &str| properties.get(name).unwrap_or(default).to_owned();
        let reader = Self {
            topic: topic.into(),
            parse_key: flag("parse.key"),
            parse_headers: flag("parse.headers"),
            ignore_error: flag("ignore.error"),
            key_separator: text("key.separator", "\t"),
            headers_delimiter: text("headers.delimiter", "\t"),
            headers_separator: text("headers.separator", ","),
            headers_key_separator: text("headers.key.separator", ":"),
            null_marker: properties.get("null.marker").map(str::to_owned),
            line_number: 0,
        };
        reader.check()?;
        Ok(reader)
    }

    fn check(&self) -> Result<()> {
        let pairs = [
            (
                "headers.delimiter",
                &self.headers_delimiter,
                "headers.separator",
                &self.headers_separator,
            ),
            (
                "headers.delimiter",
                &self.headers_delimiter,
                "headers.key.separator",
                &self.headers_key_separator,
            ),
            (
                "headers.separator",
                &self.headers_separator,
                "headers.key.separator",
                &self.headers_key_separator,
            ),
        ];
        for (first, a, second, b) in pairs {
            if a == b {
                bail!("{first} and {second} may not be equal");
            }
        }
        if let Some(marker) = &self.null_marker {
            let separators = [
                ("key.separator", &self.key_separator),
                ("headers.delimiter", &self.headers_delimiter),
                ("headers.separator", &self.headers_separator),
                ("headers.key.separator", &self.headers_key_separator),
            ];
            if let Some((name, _)) = separators.iter().find(|(_, text)| *text == marker) {
                bail!("null.marker and {name} may not be equal");
            }
        }
        Ok(())
    }

    /// The record of a line.
    ///
    /// # Errors
    /// When a separator is missing and ignore.error is not set.
    pub fn read(&mut self, line: &str) -> Result<ProducerRecord> {
        self.line_number += 1;
        let (headers, rest) = self.split(
            self.parse_headers,
            line,
            line,
            &self.headers_delimiter,
            "headers delimiter",
        )?;
        let (key, value) =
            self.split(self.parse_key, line, rest, &self.key_separator, "key separator")?;
        Ok(ProducerRecord {
            topic: self.topic.clone(),
            key: key.and_then(|key| self.unless_null(key)),
            value: self.unless_null(value),
            headers: match headers.filter(|headers| !self.is_null(headers)) {
                Some(headers) => self.headers(headers)?,
                None => Vec::new(),
            },
            ..ProducerRecord::default()
        })
    }

    fn split<'a>(
        &self,
        enabled: bool,
        line: &str,
        rest: &'a str,
        separator: &str,
        name: &str,
    ) -> Result<(Option<&'a str>, &'a str)> {
        if !enabled {
            return Ok((None, rest));
        }
        match rest.split_once(separator) {
            Some((part, rest)) => Ok((Some(part), rest)),
            None if self.ignore_error => Ok((None, rest)),
            None => bail!("No {name} found on line number {}: '{line}'", self.line_number),
        }
    }

    fn is_null(&self, text: &str) -> bool {
        self.null_marker.as_deref() == Some(text)
    }

    fn unless_null(&self, text: &str) -> Option<Bytes> {
        (!self.is_null(text)).then(|| Bytes::copy_from_slice(text.as_bytes()))
    }

    fn headers(&self, text: &str) -> Result<Vec<(String, Option<Bytes>)>> {
        let mut headers = Vec::new();
        for pair in text.split(self.headers_separator.as_str()) {
            match pair.split_once(self.headers_key_separator.as_str()) {
                Some((key, _)) if self.is_null(key) => bail!(
                    "Header keys should not be equal to the null marker '{key}' as they can't be null"
                ),
                Some((key, value)) => headers.push((key.to_owned(), self.unless_null(value))),
                None if self.ignore_error => headers.push((pair.to_owned(), None)),
                None => bail!(
                    "No header key separator found in pair '{pair}' on line number {}",
                    self.line_number
                ),
            }
        }
        Ok(headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(properties: &str, line: &str, expected: &str) {
        let reader = LineReader::parse("t", &Properties::parse(properties));
        let shown = match reader.and_then(|mut reader| reader.read(line)) {
            Err(error) => error.to_string(),
            Ok(record) => {
                let text = |bytes: &Option<Bytes>| {
                    bytes
                        .as_ref()
                        .map_or("null".into(), |b| String::from_utf8_lossy(b).into_owned())
                };
                let headers: Vec<_> =
                    record.headers.iter().map(|(k, v)| format!("{k}={}", text(v))).collect();
                format!("{}|{}|{}", headers.join(","), text(&record.key), text(&record.value))
            }
        };
        assert_eq!(shown, expected, "{properties} {line}");
    }

    #[test]
    fn lines() {
        check("", "a\tb", "|null|a\tb");
        check("parse.key=true", "k\tv\tw", "|k|v\tw");
        check("parse.key=true\nkey.separator=:", "k:v", "|k|v");
        check("parse.key=true", "nokey", "No key separator found on line number 1: 'nokey'");
        check("parse.key=true\nignore.error=true", "nokey", "|null|nokey");
        check("parse.key=true\nparse.headers=true", "h1:a,h2:b\tk\tv", "h1=a,h2=b|k|v");
        check(
            "parse.headers=true",
            "h\tv",
            "No header key separator found in pair 'h' on line number 1",
        );
        check("parse.key=true\nnull.marker=NULL", "k\tNULL", "|k|null");
        check(
            "headers.separator=:",
            "v",
            "headers.separator and headers.key.separator may not be equal",
        );
    }
}
