//! Which format a scraper gets.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

/// A format of the exposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Prometheus' text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The value of the Content-Type header.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The format with the highest q in an Accept header; text without one that is known.
pub fn negotiate(accept: Option<&str>) -> Format {
    let mut best = (0.0, Format::Text);
    for range in accept.unwrap_or_default().split(',').take(64) {
        let mut parts = range.split(';').map(str::trim);
        let format = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "application/openmetrics-text" => Format::OpenMetrics,
            "text/plain" | "text/*" | "*/*" => Format::Text,
            _ => continue,
        };
        let mut q = 1.0;
        let mut known = true;
        for parameter in parts {
            match parameter.split_once('=') {
                Some(("q", value)) => q = value.parse().unwrap_or(0.0),
                Some(("version", version)) if format == Format::OpenMetrics => {
                    known = matches!(version, "1.0.0" | "0.0.1");
                }
                _ => {}
            }
        }
        if known && q > best.0 {
            best = (q, format);
        }
    }
    best.1
}

/// True when an Accept-Encoding header takes gzip.
pub fn accepts_gzip(accept_encoding: Option<&str>) -> bool {
    accept_encoding.unwrap_or_default().split(',').take(64).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        gzip && !parts.any(|p| p.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0)))
    })
}

/// The body, compressed.
pub fn gzip(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), Compression::fast());
    let done = encoder.write_all(body).and_then(|()| encoder.finish());
    // Writing to memory does not fail.
    done.map(Bytes::from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_q_wins() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,\
            application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, want) in [
            (None, Format::Text),
            (Some(""), Format::Text),
            (Some("*/*"), Format::Text),
            (Some(prometheus), Format::OpenMetrics),
            (Some("text/plain;q=0.9,application/openmetrics-text;q=0.1"), Format::Text),
            (Some("text/plain;version=1.0.0"), Format::Text),
            (Some("application/openmetrics-text;version=2.0.0, text/plain;q=0.1"), Format::Text),
            (Some("image/png"), Format::Text),
        ] {
            assert_eq!(negotiate(accept), want, "{accept:?}");
        }
        assert!(accepts_gzip(Some("deflate, gzip;q=0.5")) && !accepts_gzip(Some("gzip;q=0")));
        assert!(!accepts_gzip(None));
    }

    #[test]
    fn gzip_reads_back() {
        use std::io::Read;
        let mut text = String::new();
        flate2::read::GzDecoder::new(&*gzip(b"metrics")).read_to_string(&mut text).unwrap();
        assert_eq!(text, "metrics");
    }
}
