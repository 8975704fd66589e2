//! Which exposition format and encoding a scraper gets.

use axum::http::{HeaderMap, header};

/// A format of a metric page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// The Prometheus text format, version 0.0.4.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
    /// Length-delimited `io.prometheus.client.MetricFamily` messages.
    Protobuf,
}

impl Format {
    /// The exact content type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }

    /// What the scraper likes best of what is `offered`, by highest q and then by order; the text
    /// format when it names nothing that we have.
    pub(crate) fn negotiate(headers: &HeaderMap, offered: impl Fn(Self) -> bool) -> Self {
        let mut best = (Self::Text, 0);
        for range in
            headers.get_all(header::ACCEPT).iter().flat_map(|value| ranges(value.as_bytes()))
        {
            let Some(format) = range.format() else { continue };
            if offered(format) && range.quality > best.1 {
                best = (format, range.quality);
            }
        }
        best.0
    }
}

/// Whether the answer may be compressed with gzip.
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING);
    let mut any = false;
    for range in values.iter().flat_map(|value| ranges(value.as_bytes())) {
        match range.name.as_str() {
            "gzip" | "x-gzip" => return range.quality > 0,
            "*" => any = range.quality > 0,
            _ => {}
        }
    }
    any
}

/// One element of an Accept header, in lower case.
struct Range {
    name: String,
    parameters: Vec<(String, String)>,
    /// Thousandths.
    quality: u16,
}

impl Range {
    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    fn format(&self) -> Option<Format> {
        match self.name.as_str() {
            // Whoever asks for a later version of the text gets this one, which it also reads.
            "text/plain" | "text/*" | "*/*" => Some(Format::Text),
            "application/openmetrics-text" => {
                let version = self.parameter("version");
                matches!(version, None | Some("1.0.0")).then_some(Format::OpenMetrics)
            }
            "application/vnd.google.protobuf" => {
                let ours = self.parameter("proto") == Some("io.prometheus.client.metricfamily")
                    && self.parameter("encoding") == Some("delimited");
                ours.then_some(Format::Protobuf)
            }
            _ => None,
        }
    }
}

fn ranges(value: &[u8]) -> Vec<Range> {
    let text = std::str::from_utf8(value).unwrap_or_default().to_ascii_lowercase();
    text.split(',').map(range).filter(|range| !range.name.is_empty()).collect()
}

fn range(text: &str) -> Range {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default().to_owned();
    let mut parameters = Vec::new();
    let mut quality = 1000;
    for part in parts {
        let Some((key, value)) = part.split_once('=') else { continue };
        let (key, value) = (key.trim(), value.trim().trim_matches('"'));
        if key == "q" {
            quality = thousandths(value);
        } else {
            parameters.push((key.to_owned(), value.to_owned()));
        }
    }
    Range { name, parameters, quality }
}

/// A q value in thousandths; what is no number between 0 and 1 counts as 0.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1000")]
fn thousandths(text: &str) -> u16 {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => (share * 1000.0).round() as u16,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(&name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn formats_by_accept() {
        const PROTOBUF: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
        // Prometheus 2.42 and 3.x, with and without protobuf.
        let p242 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let p3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        let with_protobuf = format!("{PROTOBUF};q=0.6,{p3}");
        let cases: [(&[&str], Format); 14] = [
            (&[], Format::Text),
            (&["*/*"], Format::Text),
            (&["text/html,application/xhtml+xml,*/*;q=0.8"], Format::Text),
            (&[p242], Format::OpenMetrics),
            (&[p3], Format::OpenMetrics),
            (&[&with_protobuf], Format::Protobuf),
            (&[PROTOBUF], Format::Protobuf),
            (&["application/vnd.google.protobuf;proto=other;encoding=text"], Format::Text),
            (&["text/plain;version=1.0.0"], Format::Text),
            (&["application/openmetrics-text;version=0.0.1"], Format::Text),
            (&["application/openmetrics-text"], Format::OpenMetrics),
            (&["application/openmetrics-text;q=0, text/plain"], Format::Text),
            (
                &["text/plain;q=0.4", "Application/OpenMetrics-Text; Version=\"1.0.0\"; q=0.5"],
                Format::OpenMetrics,
            ),
            (&["application/openmetrics-text;q=nan,,;;=,text/plain;q=2"], Format::Text),
        ];
        for (values, expected) in cases {
            let headers = headers(header::ACCEPT, values);
            assert_eq!(Format::negotiate(&headers, |_| true), expected, "{values:?}");
        }
        let headers = headers(header::ACCEPT, &[&with_protobuf]);
        let offered = |format| format != Format::Protobuf;
        assert_eq!(Format::negotiate(&headers, offered), Format::OpenMetrics);
    }

    #[test]
    fn gzip_by_accept_encoding() {
        let cases: [(&[&str], bool); 7] = [
            (&[], false),
            (&["gzip"], true),
            (&["deflate, gzip;q=0.5"], true),
            (&["gzip;q=0, *"], false),
            (&["*"], true),
            (&["identity"], false),
            (&["br", "gzip"], true),
        ];
        for (values, expected) in cases {
            assert_eq!(
                accepts_gzip(&headers(header::ACCEPT_ENCODING, values)),
                expected,
                "{values:?}"
            );
        }
    }
}
