//! Reads pages as a scraper does: protobuf by messages of its own (prometheus/client_model,
//! `metrics.proto`), text by its lines; and tells whether both say the same.

use std::collections::BTreeMap;

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct LabelPair {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(string, optional, tag = "2")]
    value: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Timestamp {
    #[prost(int64, tag = "1")]
    pub(crate) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(crate) nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    pub(crate) label: Vec<LabelPair>,
    #[prost(double, optional, tag = "2")]
    pub(crate) value: Option<f64>,
    #[prost(message, optional, tag = "3")]
    pub(crate) timestamp: Option<Timestamp>,
}

/// Gauge and Untyped; of a Counter also when it began.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Number {
    #[prost(double, optional, tag = "1")]
    value: Option<f64>,
    #[prost(message, optional, tag = "2")]
    exemplar: Option<Exemplar>,
    #[prost(message, optional, tag = "3")]
    pub(crate) created_timestamp: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Bucket {
    #[prost(uint64, optional, tag = "1")]
    cumulative_count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    pub(crate) upper_bound: Option<f64>,
    #[prost(message, optional, tag = "3")]
    pub(crate) exemplar: Option<Exemplar>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct BucketSpan {
    #[prost(sint32, optional, tag = "1")]
    pub(crate) offset: Option<i32>,
    #[prost(uint32, optional, tag = "2")]
    pub(crate) length: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Histogram {
    #[prost(uint64, optional, tag = "1")]
    pub(crate) sample_count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    sample_sum: Option<f64>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) bucket: Vec<Bucket>,
    #[prost(sint32, optional, tag = "5")]
    pub(crate) schema: Option<i32>,
    #[prost(double, optional, tag = "6")]
    pub(crate) zero_threshold: Option<f64>,
    #[prost(uint64, optional, tag = "7")]
    pub(crate) zero_count: Option<u64>,
    #[prost(message, repeated, tag = "12")]
    pub(crate) positive_span: Vec<BucketSpan>,
    #[prost(sint64, repeated, tag = "13")]
    pub(crate) positive_delta: Vec<i64>,
    #[prost(message, optional, tag = "15")]
    pub(crate) created_timestamp: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Metric {
    #[prost(message, repeated, tag = "1")]
    label: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    pub(crate) gauge: Option<Number>,
    #[prost(message, optional, tag = "3")]
    pub(crate) counter: Option<Number>,
    #[prost(message, optional, tag = "5")]
    untyped: Option<Number>,
    #[prost(message, optional, tag = "7")]
    pub(crate) histogram: Option<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MetricFamily {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(string, optional, tag = "2")]
    help: Option<String>,
    #[prost(int32, optional, tag = "3")]
    kind: Option<i32>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) metric: Vec<Metric>,
}

/// A page as its reader understands it: TYPE and HELP of the families in order, samples in order.
#[derive(Debug, Default)]
struct Understood {
    families: Vec<(String, String)>,
    samples: Vec<(Series, String)>,
}

/// Name and labels.
type Series = (String, BTreeMap<String, String>);

/// The families of a page of protobuf, by their names.
pub(crate) fn families(mut page: &[u8]) -> BTreeMap<String, MetricFamily> {
    let mut families = BTreeMap::new();
    while !page.is_empty() {
        let family = MetricFamily::decode_length_delimited(&mut page).unwrap();
        let name = family.name.clone().unwrap();
        assert!(families.insert(name.clone(), family).is_none(), "{name} twice");
    }
    families
}

/// The metric of a family that has these label values, in any order of names.
pub(crate) fn metric<'a>(
    families: &'a BTreeMap<String, MetricFamily>,
    family: &str,
    values: &[&str],
) -> &'a Metric {
    let has = |metric: &&Metric| {
        let mut have: Vec<_> = metric.label.iter().map(|it| it.value.as_deref().unwrap()).collect();
        let mut values = values.to_vec();
        have.sort_unstable();
        values.sort_unstable();
        have == values
    };
    families[family].metric.iter().find(has).unwrap_or_else(|| panic!("{family} {values:?}"))
}

/// Figures that each rendering has of its own.
const OF_THE_SCRAPE: [&str; 4] = [
    "jmx_scrape_duration_seconds",
    "pharos_scrape_duration_seconds",
    "pharos_scrape_size_bytes",
    "pharos_scrape_dropped_samples_total",
];

/// Asserts that both pages show the same: every family, every series and, but for figures that
/// differ from one rendering to the next, every number. `text` is Prometheus' text.
pub(crate) fn assert_same(text: &str, protobuf: &[u8]) {
    let (text, protobuf) = (from_text(text), from_protobuf(protobuf));
    assert_eq!(text.families, protobuf.families);
    assert_eq!(text.samples.len(), protobuf.samples.len());
    for (text, protobuf) in text.samples.iter().zip(&protobuf.samples) {
        assert_eq!(text.0, protobuf.0);
        let name = &*text.0.0;
        let varies = name.starts_with("process_") || OF_THE_SCRAPE.contains(&name);
        assert!(varies || text.1 == protobuf.1, "{text:?} is not {protobuf:?}");
    }
}

fn from_protobuf(mut page: &[u8]) -> Understood {
    let mut found = Understood::default();
    while !page.is_empty() {
        let family = MetricFamily::decode_length_delimited(&mut page).unwrap();
        let name = family.name.unwrap();
        let kind =
            ["counter", "gauge", "summary", "untyped", "histogram"][family.kind.unwrap() as usize];
        found.families.push((kind.to_owned(), family.help.unwrap_or_default()));
        assert!(!family.metric.is_empty(), "{name} without a metric");
        for metric in family.metric {
            let labels: BTreeMap<_, _> =
                metric.label.into_iter().map(|it| (it.name.unwrap(), it.value.unwrap())).collect();
            let of = |field: Option<Number>| field.unwrap().value.unwrap();
            match kind {
                "counter" => found.push(&name, labels, of(metric.counter)),
                "gauge" => found.push(&name, labels, of(metric.gauge)),
                "untyped" => found.push(&name, labels, of(metric.untyped)),
                _ => found.push_histogram(&name, &labels, metric.histogram.unwrap()),
            }
        }
    }
    found
}

impl Understood {
    fn push(&mut self, name: &str, labels: BTreeMap<String, String>, number: f64) {
        self.samples.push(((name.to_owned(), labels), format!("{number:?}")));
    }

    fn push_histogram(
        &mut self,
        name: &str,
        labels: &BTreeMap<String, String>,
        histogram: Histogram,
    ) {
        for bucket in histogram.bucket {
            let mut labels = labels.clone();
            labels.insert("le".to_owned(), format!("{:?}", bucket.upper_bound.unwrap()));
            let count = bucket.cumulative_count.unwrap() as f64;
            self.push(&format!("{name}_bucket"), labels, count);
        }
        self.push(&format!("{name}_sum"), labels.clone(), histogram.sample_sum.unwrap());
        let count = histogram.sample_count.unwrap() as f64;
        self.push(&format!("{name}_count"), labels.clone(), count);
    }
}

fn from_text(page: &str) -> Understood {
    let mut found = Understood::default();
    let mut help = String::new();
    let mut histogram = String::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = unescaped(rest.split_once(' ').unwrap().1);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, word) = rest.split_once(' ').unwrap();
            // What a rule file calls so has no parts, and is a number.
            let parts = page.contains(&format!("\n{name}_bucket{{"));
            let word =
                if word == "summary" || word == "histogram" && !parts { "untyped" } else { word };
            histogram = if word == "histogram" { name.to_owned() } else { String::new() };
            found.families.push((word.to_owned(), std::mem::take(&mut help)));
        } else {
            let ((name, mut labels), number) = sample(line);
            if let Some(le) = labels.get_mut("le")
                && name.strip_suffix("_bucket") == Some(&histogram)
            {
                *le = format!("{:?}", le.parse::<f64>().unwrap());
            }
            found.push(&name, labels, number);
        }
    }
    found
}

fn sample(line: &str) -> (Series, f64) {
    let (series, number) = line.rsplit_once(' ').unwrap();
    let number = number.parse().unwrap();
    let Some((name, labels)) = series.split_once('{') else {
        return ((series.to_owned(), BTreeMap::new()), number);
    };
    let mut found = BTreeMap::new();
    let mut rest = labels;
    while let Some((name, behind)) = rest.split_once("=\"") {
        let mut escaped = false;
        let end = behind.char_indices().find(|(_, c)| {
            let ends = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            ends
        });
        let (end, _) = end.unwrap();
        found.insert(name.to_owned(), unescaped(&behind[..end]));
        rest = behind[end + 1..].trim_start_matches(',');
    }
    assert_eq!(rest, "}", "{line}");
    ((name.to_owned(), found), number)
}

fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next().unwrap() {
                'n' => '\n',
                other => other,
            },
            other => other,
        });
    }
    out
}
