//! One truth in three formats.

use std::collections::BTreeMap;
use std::time::Duration;

use pharos_base::{Clock, SpanId, TraceContext, TraceId};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::{pages, registry, text};
use crate::catalog::{broker_topics, log, native, node, rows_of_beans, rows_of_families};
use crate::exposition::decoded::{assert_same, families, metric};
use crate::exposition::{Format, Pages, PagesOptions, only_families};
use crate::native::FamilyKind;
use crate::registry::Registry;
use crate::rules::{Generation, RuleSet};
use crate::value::Value;

/// What a page tells of itself.
const OF_A_PAGE: [&str; 6] = [
    "pharos_series_limit",
    "pharos_series_folded",
    "pharos_scrape_dropped_samples_total",
    "pharos_scrape_duration_seconds",
    "pharos_scrape_series",
    "pharos_scrape_size_bytes",
];

/// A bean of every row and a series of every family, with names that need escapes.
fn loaded(registry: &Registry) -> Vec<Box<dyn std::any::Any>> {
    let mut handles: Vec<Box<dyn std::any::Any>> = Vec::new();
    for value in ["x", "a\"b\\c\nd", &"é".repeat(200), "nul\0", ""] {
        for row in rows_of_beans() {
            let tags: Vec<_> = row.tags().map(|tag| (tag, value)).collect();
            handles.push(registry.of_any_shape(row, &tags));
        }
        for row in rows_of_families().filter(|row| !OF_A_PAGE.contains(&row.name)) {
            let family = registry.family(row);
            let labels: Vec<_> = row.labels.iter().map(|_| value).collect();
            handles.push(match row.kind {
                FamilyKind::Counter => {
                    let counter = family.counter(&labels);
                    counter.increment(3);
                    Box::new(counter)
                }
                FamilyKind::Gauge => {
                    let gauge = family.gauge(&labels);
                    gauge.set(-1.5e9);
                    Box::new(gauge)
                }
                FamilyKind::Histogram(_) => {
                    let histogram = family.histogram(&labels);
                    [0.0, 1e-3, 5.0, 5.0, 1e12].iter().for_each(|value| histogram.record(*value));
                    Box::new(histogram)
                }
            });
        }
    }
    handles
}

fn both(pages: &Pages, page: &str) {
    let in_format = |format| match page {
        "" => pages.render_main(format),
        page => pages.render(page, format).unwrap(),
    };
    // What a page tells of the scrape before is settled.
    in_format(Format::Text);
    assert_same(&text(&in_format(Format::Text)), &in_format(Format::Protobuf));
}

#[test]
fn protobuf_says_what_text_says() {
    for native_histograms in [false, true] {
        for generation in [Generation::V0, Generation::V1] {
            let clock = Clock::simulated(1_700_000_000_000).0;
            let registry = Registry::with_native_histograms(clock, native_histograms);
            let _handles = loaded(&registry);
            let rules = "rules:\n- pattern: 'kafka.network<type=(\\w+)><>Count'\n  name: $1\n  \
                         type: SUMMARY\n- pattern: '.*'\n";
            let rules = RuleSet::parse(rules, "own.yml", generation).unwrap();
            let rule_sets = vec![("own".to_owned(), rules)];
            let options = PagesOptions { rule_sets, generation, revision: "abc".to_owned() };
            let pages = Pages::new(&registry, options).unwrap();
            for page in ["", "default", "confluent", "native", "own"] {
                both(&pages, page);
            }
        }
    }
}

/// Whatever labels and numbers there are.
#[test]
fn any_labels_and_numbers_agree() {
    let registry = registry();
    let pages = pages(&registry, None);
    let label = "\\PC{0,6}|[\\\\\"\n\0 ,={}]{0,6}|é{120,140}";
    let numbers = (any::<f64>(), prop::collection::vec(0.0..100.0, 0..10));
    let series = prop::collection::btree_map(label, numbers, 0..6);
    let agree = |series: BTreeMap<String, (f64, Vec<f64>)>| {
        let mut handles = Vec::new();
        for (label, (number, values)) in &series {
            let gauge = registry.family(&native::PHAROS_LOG_DIR_FREE_BYTES).gauge(&[label]);
            gauge.set(*number);
            let sizes = registry.family(&native::PHAROS_REQUEST_SIZE_BYTES).histogram(&[label]);
            values.iter().for_each(|value| sizes.record(*value));
            let (tags, number) = ([("topic", label.as_str()), ("partition", "0")], *number);
            let bean = registry.gauge_fn(&log::LOG_SIZE, &tags, move || Value::Double(number));
            handles.push((gauge, sizes, bean));
        }
        both(&pages, "");
        Ok(())
    };
    TestRunner::default().run(&series, agree).unwrap();
}

#[test]
fn start_times_are_told_in_protobuf_alone() {
    let (clock, hand) = Clock::simulated(1_700_000_000_000);
    let registry = Registry::new(clock);
    let pages = pages(&registry, None);
    hand.advance(Duration::from_secs(7));
    let _meter = registry.meter(&broker_topics::BYTES_IN_PER_SEC, &[]);
    let results = registry.family(&native::PHAROS_PARTITION_RESULTS_TOTAL);
    let _counter = results.counter(&["Produce", "ok"]);
    let sizes = registry.family(&native::PHAROS_REQUEST_SIZE_BYTES).histogram(&["Produce"]);
    sizes.record(1.0);
    hand.advance(Duration::from_secs(60));
    let read = families(&pages.render_main(Format::Protobuf));
    let counter = |family, values: &[&str]| {
        let counter = metric(&read, family, values).counter.as_ref().unwrap();
        counter.created_timestamp.as_ref().map(|time| (time.seconds, time.nanos))
    };
    let born = Some((1_700_000_007, 0));
    assert_eq!(counter("kafka_server_brokertopicmetrics_bytesin_total", &[]), born);
    assert_eq!(counter("pharos_partition_results_total", &["Produce", "ok"]), born);
    // What is dropped is counted from the start; a callback does not tell.
    let dropped = ["metrics", "family_taken"];
    let from_the_start = Some((1_700_000_000, 0));
    assert_eq!(counter("pharos_scrape_dropped_samples_total", &dropped), from_the_start);
    assert_eq!(counter("process_cpu_seconds_total", &[]), None);
    let sizes = metric(&read, "pharos_request_size_bytes", &["Produce"]);
    let histogram = sizes.histogram.as_ref().unwrap();
    assert_eq!(histogram.created_timestamp.as_ref().unwrap().seconds, 1_700_000_007);
    for format in [Format::Text, Format::OpenMetrics] {
        let page = text(&pages.render_main(format));
        assert!(!page.contains("_created") && !page.contains("1700000007"), "{format:?}");
    }
}

#[test]
fn exemplars_stand_where_they_may() {
    let (clock, hand) = Clock::simulated(1_700_000_000_000);
    let registry = Registry::new(clock);
    let pages = pages(&registry, None);
    let durations = registry.family(&native::PHAROS_REQUEST_DURATION_SECONDS);
    let histogram = durations.histogram(&["Produce"]);
    let trace = TraceContext { trace_id: TraceId(0xabc), span_id: SpanId(0xdef), sampled: true };
    hand.advance(Duration::from_millis(1_234));
    histogram.record_traced(0.002, Some(&trace));
    histogram.record_traced(100.0, Some(&trace));
    histogram.record(0.2);
    let series = "pharos_request_duration_seconds_bucket{request=\"Produce\",le=";
    let labels = "{trace_id=\"00000000000000000000000000000abc\",span_id=\"0000000000000def\"}";
    let page = text(&pages.render("native", Format::OpenMetrics).unwrap());
    let with: Vec<_> = page.lines().filter(|line| line.contains(" # ")).collect();
    assert_eq!(
        with,
        [
            format!("{series}\"0.0025\"}} 1.0 # {labels} 0.002 1700000001.234"),
            format!("{series}\"+Inf\"}} 3.0 # {labels} 100.0 1700000001.234"),
        ]
    );
    assert!(!text(&pages.render("native", Format::Text).unwrap()).contains("trace_id"));
    let read = families(&pages.render("native", Format::Protobuf).unwrap());
    let metric = metric(&read, "pharos_request_duration_seconds", &["Produce"]);
    let buckets = &metric.histogram.as_ref().unwrap().bucket;
    let found: Vec<_> = buckets
        .iter()
        .filter_map(|bucket| Some((bucket.upper_bound.unwrap(), bucket.exemplar.as_ref()?)))
        .map(|(bound, it)| {
            (bound, it.label.len(), it.value.unwrap(), it.timestamp.clone().unwrap())
        })
        .map(|(bound, labels, value, at)| (bound, labels, value, at.seconds, at.nanos))
        .collect();
    let at = (1_700_000_001, 234_000_000);
    let (small, large) = ((0.0025, 2, 0.002, at.0, at.1), (f64::INFINITY, 2, 100.0, at.0, at.1));
    assert_eq!(found, [small, large]);
}

#[test]
fn native_histograms_are_told_to_those_who_asked_for_them() {
    let values = [0.0, 0.001, 0.25, 0.25, 3.0];
    let page = |native, format| {
        let clock = Clock::simulated(1_700_000_000_000).0;
        let registry = Registry::with_native_histograms(clock, native);
        let pages = pages(&registry, None);
        let durations = registry.family(&native::PHAROS_REQUEST_DURATION_SECONDS);
        let histogram = durations.histogram(&["Produce"]);
        let _empty = durations.histogram(&["Fetch"]);
        values.iter().for_each(|value| histogram.record(*value));
        pages.render("native", format).unwrap()
    };
    let read = families(&page(true, Format::Protobuf));
    let histogram = |request| {
        let metric = metric(&read, "pharos_request_duration_seconds", &[request]);
        metric.histogram.as_ref().unwrap()
    };
    let produce = histogram("Produce");
    assert_eq!((produce.sample_count, produce.zero_count), (Some(5), Some(1)));
    assert_eq!((produce.schema, produce.bucket.len()), (Some(3), 16));
    // Each bucket's key and count: 2^(key / 8) is its upper bound.
    let mut buckets = Vec::new();
    let (mut key, mut count, mut deltas) = (0, 0, produce.positive_delta.iter());
    for span in &produce.positive_span {
        key += span.offset.unwrap();
        for _ in 0..span.length.unwrap() {
            count += deltas.next().unwrap();
            buckets.push((key, count));
            key += 1;
        }
    }
    assert_eq!(buckets, [(-79, 1), (-16, 2), (13, 1)]);
    // Without values it is one all the same, or its series would change their kind.
    let fetch = histogram("Fetch");
    assert!(fetch.zero_threshold.unwrap() > 0.0 && fetch.positive_span.is_empty());
    let without = families(&page(false, Format::Protobuf));
    let metric = metric(&without, "pharos_request_duration_seconds", &["Produce"]);
    let histogram = metric.histogram.as_ref().unwrap();
    assert_eq!(
        (histogram.schema, histogram.zero_threshold, histogram.zero_count),
        (None, None, None)
    );
}

#[test]
fn families_are_kept_by_the_names_of_their_samples() {
    let registry = registry();
    let pages = pages(&registry, None);
    let _handles = loaded(&registry);
    let page = pages.render_main(Format::Protobuf);
    let kept = |names: &[&str]| {
        let page = only_families(&page, |name| names.contains(&name));
        families(&page).into_keys().collect::<Vec<_>>()
    };
    assert!(kept(&[]).is_empty() && kept(&["none"]).is_empty());
    assert_eq!(kept(&["kafka_brokers", "none"]), ["kafka_brokers"]);
    let histogram = "pharos_request_size_bytes";
    for part in ["_bucket", "_sum", "_count"] {
        assert_eq!(kept(&[&format!("{histogram}{part}")]), [histogram]);
    }
    assert!(kept(&["kafka_brokers_count"]).is_empty());
    let all: Vec<_> = families(&page).into_keys().collect();
    let wanted: Vec<_> = all.iter().map(String::as_str).collect();
    assert_eq!(kept(&wanted), all);
}

/// Nothing is allocated for a series, in no format: a page is one buffer.
#[test]
fn protobuf_costs_no_more_allocations_than_text() {
    let registry = registry();
    let pages = pages(&registry, None);
    let mut handles = Vec::new();
    let mut allocations = |format| {
        pages.render_main(format);
        allocation_counter::measure(|| drop(pages.render_main(format))).count_total
    };
    let mut counts = Vec::new();
    for topics in [10, 1_000] {
        for topic in handles.len()..topics {
            let topic = format!("topic-{topic}");
            let row = &broker_topics::BYTES_IN_PER_SEC_BY_TOPIC;
            let partition = registry.family(&native::PHAROS_PARTITION_BYTES_IN_TOTAL);
            let series = partition.counter(&[&topic, "0"]);
            handles.push((registry.meter(row, &[("topic", &topic)]), series));
        }
        let [text, protobuf] = [Format::Text, Format::Protobuf].map(&mut allocations);
        assert!(protobuf <= text, "{protobuf} for protobuf, {text} for text");
        counts.push((text, protobuf));
    }
    let [few, many] = counts[..] else { panic!() };
    assert!(many.1 < few.1 + 100, "{few:?} {many:?}");
}

#[test]
fn versions_in_labels_are_no_numbers() {
    let registry = registry();
    let pages = pages(&registry, None);
    let info = registry.attributes(&node::APP_INFO, &[]);
    info.text("version").set("4.3.1");
    both(&pages, "");
}
