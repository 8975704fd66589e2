//! Which format a scraper gets: content negotiation by RFC 9110, section 12.5.1.

use super::Format;

/// Ranges of an Accept header that are looked at.
const MAX_RANGES: usize = 64;

/// The formats, first the one that is sent to who does not mind.
const FORMATS: [Format; 3] = [Format::Text, Format::OpenMetrics, Format::Protobuf];

/// One range of an Accept header that takes something of ours.
struct Range {
    covers: Covers,
    q: f64,
}

#[derive(Clone, Copy)]
enum Covers {
    Anything,
    AnyText,
    One(Format),
}

/// How much a format is liked: by q, then by how clearly it is named, then by who is named first.
type Liking = (f64, u8, std::cmp::Reverse<usize>);

/// The format with the highest q in an Accept header; text without one that is known.
pub fn negotiate(accept: Option<&str>) -> Format {
    let ranges: Vec<_> =
        accept.unwrap_or_default().split(',').take(MAX_RANGES).filter_map(Range::parse).collect();
    let mut best: Option<(Liking, Format)> = None;
    for format in FORMATS {
        let Some(liking) = liking(format, &ranges) else { continue };
        if liking.0 > 0.0 && best.is_none_or(|(have, _)| liking > have) {
            best = Some((liking, format));
        }
    }
    best.map_or(Format::Text, |(_, format)| format)
}

/// What the range that names a format most clearly says of it; of equals the one with the higher q.
fn liking(format: Format, ranges: &[Range]) -> Option<Liking> {
    let mut found: Option<Liking> = None;
    for (place, range) in ranges.iter().enumerate() {
        let clarity = match range.covers {
            Covers::Anything => 0,
            Covers::AnyText if format == Format::Text => 1,
            Covers::One(one) if format == one => 2,
            Covers::AnyText | Covers::One(_) => continue,
        };
        if found.is_none_or(|(q, clear, _)| (clarity, range.q) > (clear, q)) {
            found = Some((range.q, clarity, std::cmp::Reverse(place)));
        }
    }
    found
}

impl Range {
    /// `None` for what is not ours, and for a q that is none.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let media_type = parts.next()?.to_ascii_lowercase();
        let mut q = 1.0;
        let (mut version, mut proto, mut encoding) = (None, None, None);
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "q" => q = value.parse().ok().filter(|q| (0.0..=1.0).contains(q))?,
                "version" => version = Some(value),
                "proto" => proto = Some(value),
                "encoding" => encoding = Some(value),
                _ => {}
            }
        }
        let covers = match media_type.as_str() {
            "*/*" => Covers::Anything,
            "text/*" => Covers::AnyText,
            // 1.0.0 is answered with 0.0.4.
            "text/plain" => Covers::One(Format::Text),
            "application/openmetrics-text" if matches!(version, None | Some("1.0.0" | "0.0.1")) => {
                Covers::One(Format::OpenMetrics)
            }
            "application/vnd.google.protobuf"
                if proto == Some("io.prometheus.client.MetricFamily")
                    && encoding == Some("delimited") =>
            {
                Covers::One(Format::Protobuf)
            }
            _ => return None,
        };
        Some(Self { covers, q })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROTOBUF: &str = "application/vnd.google.protobuf;\
        proto=io.prometheus.client.MetricFamily;encoding=delimited";

    #[test]
    fn the_highest_q_wins() {
        let scrapers = [
            // Prometheus 2.42, without and with native histograms.
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,\
                 application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,\
                 */*;q=0.2",
                Format::OpenMetrics,
            ),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
                 encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,\
                 application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,\
                 */*;q=0.1",
                Format::Protobuf,
            ),
            // Prometheus 3.
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                 application/openmetrics-text;version=0.0.1;q=0.5,\
                 text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
                 text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                Format::OpenMetrics,
            ),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Format::Text),
        ];
        let odd = [
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/*;q=0.1", Format::Text),
            ("image/png", Format::Text),
            ("text/plain;q=0.9,application/openmetrics-text;q=0.1", Format::Text),
            ("text/plain;version=1.0.0", Format::Text),
            ("application/openmetrics-text;version=2.0.0, text/plain;q=0.1", Format::Text),
            ("application/openmetrics-text;version=\"1.0.0\"", Format::OpenMetrics),
            ("Application/OpenMetrics-Text ; Q=0.5 , text/plain; q=0.4", Format::OpenMetrics),
            // Of equals the clearer word counts, then the first.
            ("*/*, application/openmetrics-text", Format::OpenMetrics),
            ("text/plain, application/openmetrics-text", Format::Text),
            ("application/openmetrics-text, text/plain", Format::OpenMetrics),
            // What is refused is not sent while there is something else.
            ("text/plain;q=0, */*;q=0.1", Format::OpenMetrics),
            ("text/plain;q=0, application/openmetrics-text;q=0, */*;q=0.1", Format::Protobuf),
            ("application/openmetrics-text;q=0", Format::Text),
            ("*/*;q=0", Format::Text),
            // A q that is none makes a range that is none.
            ("application/openmetrics-text;q=2, text/plain;q=0.1", Format::Text),
            ("application/openmetrics-text;q=NaN", Format::Text),
            ("application/openmetrics-text;q=inf", Format::Text),
            ("application/openmetrics-text;q=-1", Format::Text),
            ("application/openmetrics-text;q=", Format::Text),
            (";;;,,,===,q=1;q=0", Format::Text),
        ];
        for (accept, want) in scrapers.into_iter().chain(odd) {
            assert_eq!(negotiate(Some(accept)), want, "{accept:?}");
        }
        assert_eq!(negotiate(None), Format::Text);
    }

    #[test]
    fn protobuf_is_sent_only_as_it_is_written() {
        assert_eq!(negotiate(Some(PROTOBUF)), Format::Protobuf);
        for other in [
            "application/vnd.google.protobuf",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily",
            "application/vnd.google.protobuf;proto=other;encoding=delimited",
            &PROTOBUF.replace("delimited", "text"),
            &PROTOBUF.replace("delimited", "compact-text"),
        ] {
            assert_eq!(negotiate(Some(other)), Format::Text, "{other}");
        }
    }

    #[test]
    fn long_lists_are_read_up_to_a_limit() {
        let others = "image/png,".repeat(MAX_RANGES - 1);
        assert_eq!(negotiate(Some(&format!("{others}{PROTOBUF}"))), Format::Protobuf);
        assert_eq!(negotiate(Some(&format!("{others}a/b,{PROTOBUF}"))), Format::Text);
        let ten_kilobytes = "application/openmetrics-text;q=0.1;x=y,".repeat(250);
        assert_eq!(negotiate(Some(&ten_kilobytes)), Format::OpenMetrics);
    }
}
