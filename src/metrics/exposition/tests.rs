//! Pages over a live registry.

mod formats;

use metrics_exporter_prometheus::PrometheusBuilder;
use pharos_base::Clock;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::collector::Collector;
use super::leaf::Origin;
use super::{Format, Pages, PagesOptions};
use crate::catalog::{broker_topics, log, native, network, node};
use crate::registry::Registry;
use crate::rules::{Generation, RuleSet};
use crate::value::Value;

fn pages(registry: &Registry, rules: Option<&str>) -> Pages {
    let rule_sets = rules
        .map(|text| ("own".to_owned(), RuleSet::parse(text, "own.yml", Generation::V1).unwrap()))
        .into_iter()
        .collect();
    let revision = "abc".to_owned();
    let generation = Generation::V1;
    Pages::new(registry, PagesOptions { rule_sets, generation, revision }).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn registry() -> Registry {
    Registry::new(Clock::simulated(1_700_000_000_000).0)
}

/// The number of the sample that starts so.
fn number(page: &str, start: &str) -> Option<f64> {
    let line =
        page.lines().find(|line| line.strip_prefix(start).is_some_and(|r| r.starts_with(' ')))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

#[test]
fn the_main_page_follows_the_beans() {
    let registry = registry();
    let pages = pages(&registry, None);
    assert_eq!(pages.names(), ["confluent", "default", "native"]);
    let all = registry.meter(&broker_topics::BYTES_IN_PER_SEC, &[]);
    let name = "kafka_server_brokertopicmetrics_bytesin_total";
    all.mark(5);
    assert_eq!(number(&text(&pages.render_main(Format::Text)), name), Some(5.0));
    let one = registry.meter(&broker_topics::BYTES_IN_PER_SEC_BY_TOPIC, &[("topic", "t")]);
    one.mark(3);
    all.mark(1);
    let page = text(&pages.render_main(Format::Text));
    assert_eq!(number(&page, name), Some(6.0));
    assert_eq!(number(&page, &format!("{name}{{topic=\"t\"}}")), Some(3.0));
    assert!(number(&page, "process_resident_memory_bytes").unwrap() > 0.0);
    assert_eq!(number(&page, "pharos_rules_last_reload_successful{page=\"default\"}"), Some(1.0));
    drop(one);
    drop(all);
    let page = text(&pages.render_main(Format::Text));
    assert!(!page.contains(name), "{page}");
}

#[test]
fn pages_stand_side_by_side() {
    let registry = registry();
    let rules = "rules:\n- pattern: 'name=MessagesInPerSec><>Count'\n  name: mine\n";
    let pages = pages(&registry, Some(rules));
    let _meter = registry.meter(&broker_topics::MESSAGES_IN_PER_SEC, &[]);
    let main = text(&pages.render_main(Format::Text));
    assert!(main.contains("\nmine 0.0\n") && main.contains("pharos_build_info{"));
    let own = text(&pages.render("own", Format::Text).unwrap());
    assert!(own.contains("\nmine 0.0\n") && !own.contains("pharos_build_info{"));
    let default = text(&pages.render("default", Format::Text).unwrap());
    assert!(default.contains("kafka_server_brokertopicmetrics_messagesin_total 0.0"));
    let native = text(&pages.render("native", Format::Text).unwrap());
    assert!(native.contains("pharos_build_info{") && !native.contains("mine"));
    assert_eq!(pages.render("nope", Format::Text), None);
    // A broken file keeps the old rules.
    let broken = RuleSet::parse("rules: 1", "own.yml", Generation::V1);
    assert!(pages.reload("own", broken).is_err());
    let main = text(&pages.render_main(Format::Text));
    assert!(main.contains("\nmine 0.0\n"));
    assert_eq!(number(&main, "pharos_rules_last_reload_successful{page=\"own\"}"), Some(0.0));
    let better = RuleSet::parse(&rules.replace("mine", "yours"), "own.yml", Generation::V1);
    pages.reload("own", better).unwrap();
    assert!(text(&pages.render_main(Format::Text)).contains("\nyours 0.0\n"));
}

#[test]
fn rules_wait_as_long_as_their_file_says() {
    let (clock, hand) = Clock::simulated(0);
    let registry = Registry::new(clock);
    let rules = "startDelaySeconds: 30\nrules:\n- pattern: 'name=LeaderCount><>Value'\n  name: kafka_brokers\n";
    let pages = pages(&registry, Some(rules));
    let _bean = registry.gauge(&crate::catalog::replicas::REPLICA_MANAGER_LEADER_COUNT, &[]);
    let native = registry.family(&native::KAFKA_BROKERS).gauge(&[]);
    native.set(7.0);
    let error = "jmx_scrape_error";
    // Until then the native families alone are there.
    hand.advance(Duration::from_secs(29));
    let main = text(&pages.render_main(Format::Text));
    assert_eq!((number(&main, "kafka_brokers"), number(&main, error)), (Some(7.0), Some(1.0)));
    let own = text(&pages.render("own", Format::Text).unwrap());
    assert_eq!((number(&own, "kafka_brokers"), number(&own, error)), (None, Some(1.0)));
    let default = text(&pages.render("default", Format::Text).unwrap());
    assert_eq!(number(&default, error), Some(0.0));
    hand.advance(Duration::from_secs(1));
    let main = text(&pages.render_main(Format::Text));
    assert_eq!((number(&main, "kafka_brokers"), number(&main, error)), (Some(0.0), Some(0.0)));
    // The start is long past when rules are read anew.
    pages.reload("own", RuleSet::parse(rules, "own.yml", Generation::V1)).unwrap();
    let main = text(&pages.render_main(Format::Text));
    assert_eq!((number(&main, "kafka_brokers"), number(&main, error)), (Some(0.0), Some(0.0)));
}

#[test]
fn scrapes_that_were_refused_are_counted_by_page() {
    let registry = registry();
    let pages = pages(&registry, None);
    for page in [None, None, Some("default"), Some("of a scraper's own")] {
        pages.timed_out(page);
    }
    let native = text(&pages.render("native", Format::Text).unwrap());
    let count = |page| number(&native, &format!("pharos_scrape_timeouts_total{{page=\"{page}\"}}"));
    assert_eq!((count("metrics"), count("default")), (Some(2.0), Some(1.0)));
    assert_eq!((count("native"), count("of a scraper's own")), (Some(0.0), None));
}

#[test]
fn a_page_tells_what_it_cost() {
    let (clock, hand) = Clock::simulated(0);
    let registry = Registry::new(clock);
    let pages = pages(&registry, None);
    let _slow = registry.family(&native::KAFKA_BROKERS).gauge_fn(&[], move || {
        hand.advance(Duration::from_millis(1_250));
        7.0
    });
    let page = text(&pages.render("native", Format::Text).unwrap());
    let own = |name: &str| number(&page, &format!("{name}{{page=\"native\"}}"));
    let before = |name: &str| page.split_once(&format!("# HELP {name} ")).unwrap().0;
    let is_sample = |line: &&str| !line.starts_with('#');
    assert_eq!(number(&page, "kafka_brokers"), Some(7.0));
    assert_eq!(own("pharos_scrape_duration_seconds"), Some(1.25));
    let samples = before("pharos_scrape_duration_seconds").lines().filter(is_sample).count();
    assert_eq!(own("pharos_scrape_series"), Some(samples as f64));
    let line = page.find("\npharos_scrape_size_bytes{").unwrap() + 1;
    assert_eq!(own("pharos_scrape_size_bytes"), Some(line as f64));
}

#[test]
fn a_family_tells_its_limit_and_what_it_folded() {
    let registry = registry();
    let pages = pages(&registry, None);
    let family = registry.family(&native::PHAROS_REQUEST_SIZE_BYTES);
    let limit = family.row().limit;
    let _all: Vec<_> = (0..limit + 3).map(|n| family.histogram(&[&n.to_string()])).collect();
    let page = text(&pages.render("native", Format::Text).unwrap());
    let of = |name: &str, family: &str| number(&page, &format!("{name}{{family=\"{family}\"}}"));
    let (limited, free) = ("pharos_request_size_bytes", "pharos_build_info");
    assert_eq!(of("pharos_series_limit", limited), Some(limit as f64));
    assert_eq!(of("pharos_series_folded", limited), Some(3.0));
    assert_eq!(of("pharos_series_folded", free), Some(0.0));
}

#[test]
fn the_last_good_reading_of_a_rule_file_has_its_time() {
    let (clock, hand) = Clock::simulated(1_700_000_000_000);
    let registry = Registry::new(clock);
    let rules = "rules:\n- pattern: 'name=MessagesInPerSec><>Count'\n  name: mine\n";
    let pages = pages(&registry, Some(rules));
    let read = |page: &str| {
        let row = &native::PHAROS_RULES_LAST_RELOAD_SUCCESS_TIMESTAMP_SECONDS;
        registry.family(row).read(&[page])
    };
    assert_eq!((read("own"), read("default")), (Some(1.7e9), Some(1.7e9)));
    hand.advance(Duration::from_millis(90_500));
    pages.reload("own", RuleSet::parse(rules, "own.yml", Generation::V1)).unwrap();
    hand.advance(Duration::from_secs(10));
    pages.reload("own", RuleSet::parse("rules: 1", "own.yml", Generation::V1)).unwrap_err();
    assert_eq!((read("own"), read("default")), (Some(1_700_000_090.5), Some(1.7e9)));
}

#[test]
fn no_nul_reaches_a_page() {
    let registry = registry();
    let pages = pages(&registry, None);
    let lag = registry.family(&native::KAFKA_CONSUMERGROUP_MEMBERS).gauge(&["a\0b"]);
    lag.set(1.0);
    let page = text(&pages.render_main(Format::OpenMetrics));
    assert!(page.contains("{consumergroup=\"a\u{FFFD}b\"} 1.0\n") && !page.contains('\0'));
}

#[test]
fn values_that_decide_are_looked_at_again() {
    let registry = registry();
    let rules = "rules:\n- pattern: 'app-info><>version: (.+)'\n  name: v\n  value: 1\n  \
                 labels: {version: $1}\n- pattern: 'Count: (\\d)$'\n  name: digit\n";
    let pages = pages(&registry, Some(rules));
    let info = registry.attributes(&node::APP_INFO, &[]);
    let meter = registry.meter(&broker_topics::MESSAGES_IN_PER_SEC, &[]);
    for version in ["1", "2"] {
        info.text("version").set(version);
        let page = text(&pages.render_main(Format::Text));
        assert!(page.contains(&format!("\nv{{version=\"{version}\"}} 1.0\n")), "{page}");
        assert_eq!(page.matches("\nv{").count(), 1);
    }
    assert!(text(&pages.render_main(Format::Text)).contains("\ndigit 0.0\n"));
    meter.mark(10);
    assert!(!text(&pages.render_main(Format::Text)).contains("digit"));
}

#[test]
fn a_negative_counter_is_dropped_and_counted() {
    let registry = registry();
    let rules = "rules:\n- pattern: 'name=OfflineLogDirectoryCount><>Value'\n  name: down\n  type: COUNTER\n";
    let pages = pages(&registry, Some(rules));
    let gauge = registry.gauge(&log::LOG_MANAGER_OFFLINE_LOG_DIRECTORY_COUNT, &[]);
    gauge.set(-1.0);
    let dropped =
        "pharos_scrape_dropped_samples_total{page=\"metrics\",reason=\"negative_counter\"}";
    for scrape in 1..3 {
        let page = text(&pages.render_main(Format::Text));
        assert!(!page.contains("down_total"));
        assert_eq!(number(&page, dropped), Some(f64::from(scrape)));
    }
    // A counter does not fall because rules are read anew.
    pages.reload("own", RuleSet::parse(rules, "own.yml", Generation::V1)).unwrap();
    assert_eq!(number(&text(&pages.render_main(Format::Text)), dropped), Some(3.0));
    gauge.set(2.0);
    assert_eq!(number(&text(&pages.render_main(Format::Text)), "down_total"), Some(2.0));
}

#[test]
fn a_family_made_twice_is_served_once() {
    let registry = registry();
    let rules = "rules:\n- pattern: 'name=LeaderCount><>Value'\n  name: kafka_brokers\n";
    let pages = pages(&registry, Some(rules));
    let _bean = registry.gauge(&crate::catalog::replicas::REPLICA_MANAGER_LEADER_COUNT, &[]);
    let native = registry.family(&native::KAFKA_BROKERS).gauge(&[]);
    native.set(7.0);
    let page = text(&pages.render_main(Format::Text));
    assert_eq!(number(&page, "kafka_brokers"), Some(0.0));
    assert_eq!(page.matches("\nkafka_brokers ").count(), 1);
    let taken = "pharos_scrape_dropped_samples_total{page=\"metrics\",reason=\"family_taken\"}";
    assert_eq!(number(&page, taken), Some(1.0));
}

#[test]
fn open_metrics_ends_in_eof() {
    let registry = registry();
    let pages = pages(&registry, None);
    let _meter = registry.meter(&broker_topics::MESSAGES_IN_PER_SEC, &[]);
    let page = text(&pages.render_main(Format::OpenMetrics));
    assert!(page.ends_with("# EOF\n") && page.matches("# EOF").count() == 1);
    assert!(page.contains("# TYPE kafka_server_brokertopicmetrics_messagesin counter\n"));
    assert!(page.contains("\nkafka_server_brokertopicmetrics_messagesin_total 0.0\n"));
    assert!(page.contains("# TYPE process_cpu_seconds counter\n"));
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        assert!(line.rsplit_once(' ').unwrap().1.parse::<f64>().is_ok(), "{line}");
    }
}

/// The crate that the ecosystem trusts reads the same from the same handles.
#[test]
fn native_families_agree_with_the_oracle() {
    let registry = registry();
    let sizes = registry.family(&native::PHAROS_REQUEST_SIZE_BYTES);
    let odd = "Pro\"du\\ce\n";
    let ours = sizes.histogram(&[odd]);
    let results = registry.family(&native::PHAROS_PARTITION_RESULTS_TOTAL);
    let counter = results.counter(&[odd, "ok"]);
    let gauge = registry.family(&native::PHAROS_LOG_DIR_FREE_BYTES).gauge(&["/data"]);
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(
            metrics_exporter_prometheus::Matcher::Full("pharos_request_size_bytes".into()),
            native::SIZE_BYTES,
        )
        .unwrap()
        .build_recorder();
    metrics::with_local_recorder(&recorder, || {
        for value in [1.0, 64.0, 65.0, 5000.0, 1e9] {
            ours.record(value);
            metrics::histogram!("pharos_request_size_bytes", "request" => odd).record(value);
        }
        counter.increment(3);
        metrics::counter!("pharos_partition_results_total", "request" => odd, "outcome" => "ok")
            .increment(3);
        gauge.set(1.5e9);
        metrics::gauge!("pharos_log_dir_free_bytes", "log_dir" => "/data").set(1.5e9);
    });
    let pages = pages(&registry, None);
    let page = text(&pages.render("native", Format::Text).unwrap());
    let (have, want) = (samples(&page), samples(&recorder.handle().render()));
    assert_eq!(want.len(), 12 + 2 + 2);
    for (series, number) in &want {
        assert_eq!(have.get(series), Some(number), "{series}");
    }
}

/// Sample lines with `le` as a number.
fn samples(page: &str) -> BTreeMap<String, String> {
    page.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let (series, number) = line.rsplit_once(' ').unwrap();
            let series = match series.split_once("le=\"") {
                Some((before, le)) => {
                    let le = le.trim_end_matches("\"}").parse::<f64>().unwrap();
                    format!("{before}le=\"{le:?}\"}}")
                }
                None => series.to_owned(),
            };
            (series, format!("{:?}", number.parse::<f64>().unwrap()))
        })
        .collect()
}

#[test]
fn idle_meters_show_a_share() {
    let (clock, hand) = Clock::simulated(0);
    let registry = Registry::new(clock);
    let pages = pages(&registry, None);
    let row =
        &crate::catalog::requests::KAFKA_REQUEST_HANDLER_POOL_REQUEST_HANDLER_AVG_IDLE_PERCENT;
    let idle = registry.meter(row, &[]);
    idle.mark(4_000_000_000);
    hand.advance(Duration::from_secs(5));
    registry.tick();
    let page = text(&pages.render_main(Format::Text));
    let name = "kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent";
    assert!((number(&page, name).unwrap() - 0.8).abs() < 1e-12);
}

/// Every bean of the catalogue at once, and many of one kind: what comes is what goes.
#[test]
fn many_series_come_and_go() {
    let registry = registry();
    let pages = pages(&registry, None);
    let mut handles = Vec::new();
    for partition in 0..300 {
        let partition = partition.to_string();
        let tags = [("topic", "t"), ("partition", partition.as_str())];
        let size = registry.gauge_fn(&log::LOG_SIZE, &tags, || Value::Long(7));
        handles.push(size);
    }
    let tags = [("request", "Produce")];
    let _total = registry.histogram(&network::REQUEST_METRICS_TOTAL_TIME_MS, &tags);
    let page = text(&pages.render_main(Format::Text));
    assert_eq!(page.matches("\nkafka_log_log_size{").count(), 300);
    assert_eq!(page.matches("\nkafka_network_requestmetrics_totaltimems{").count(), 6);
    handles.truncate(10);
    let page = text(&pages.render_main(Format::Text));
    assert_eq!(page.matches("\nkafka_log_log_size{").count(), 10);
}

/// What a page keeps of a series besides its bean, also just after its tables have grown.
#[test]
fn a_series_takes_less_than_250_bytes() {
    let rows = [
        &broker_topics::BYTES_IN_PER_SEC_BY_TOPIC,
        &broker_topics::MESSAGES_IN_PER_SEC_BY_TOPIC,
        &broker_topics::TOTAL_PRODUCE_REQUESTS_PER_SEC_BY_TOPIC,
    ];
    let (name, text) = crate::rules::BUILT_IN[0];
    let rules = Arc::new(RuleSet::parse(text, name, Generation::V1).unwrap());
    for topics in [598, 683, 1000] {
        let registry = registry();
        let meters: Vec<_> = (0..topics)
            .map(|topic| format!("{topic:04}-a-topic-with-a-name-of-the-usual-length"))
            .flat_map(|topic| rows.map(|row| registry.meter(row, &[("topic", &topic)])))
            .collect();
        let mut collector = Collector::new(rules.clone());
        let used = allocation_counter::measure(|| {
            for (id, bean) in (0..).zip(registry.beans("")) {
                collector.add(id, Origin::Live(bean));
            }
            collector.refresh();
        });
        let series: usize = collector.groups().map(|(_, group)| group.samples().count()).sum();
        assert_eq!(series, meters.len());
        let each = used.bytes_current / i64::try_from(series).unwrap();
        assert!(each < 250, "{each} bytes for each of {series} series");
    }
}

#[test]
fn a_page_that_is_read_shows_what_it_would_write() {
    let registry = registry();
    let pages = pages(&registry, None);
    let _meters: Vec<_> = ["t", "u"]
        .map(|topic| registry.meter(&broker_topics::BYTES_IN_PER_SEC_BY_TOPIC, &[("topic", topic)]))
        .into_iter()
        .inspect(|meter| meter.mark(3))
        .collect();
    let directory = registry.family(&native::PHAROS_LOG_DIR_ONLINE).gauge(&["a\"b\n\\"]);
    directory.set(1.0);
    let family = registry.family(&native::PHAROS_REQUEST_DURATION_SECONDS);
    let histogram = family.histogram(&["Produce"]);
    histogram.record(0.002);
    for page in ["default", "native"] {
        assert!(!pages.is_asked() || page == "native");
        let mut read = Vec::new();
        pages.read(page, &|_| true, &mut |name, labels, number| {
            let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
            read.push((format!("{name}{labels}"), number));
        });
        let written = text(&pages.render(page, Format::Text).unwrap());
        let lines = written.lines().filter(|line| !line.starts_with('#'));
        let lines = lines.map(|line| line.rsplit_once(' ').unwrap());
        let written: Vec<_> =
            lines.map(|(name, value)| (name.to_owned(), value.parse::<f64>().unwrap())).collect();
        let names = |all: &[(String, f64)]| all.iter().map(|it| it.0.clone()).collect::<Vec<_>>();
        assert_eq!(names(&read), names(&written));
        assert!(read.len() > 15, "{read:?}");
        let own = ["pharos_scrape_", "jmx_", "process_"];
        for (read, written) in read.iter().zip(&written) {
            let is_own = own.iter().any(|start| read.0.starts_with(start));
            assert!(read.1 == written.1 || is_own, "{read:?} {written:?}");
        }
    }
    let mut found = Vec::new();
    let wanted = |name: &str| name == "pharos_request_duration_seconds_count";
    pages.read("native", &wanted, &mut |name, labels, number| {
        found.push((name.to_owned(), labels.to_owned(), number));
    });
    let count = "pharos_request_duration_seconds_count".to_owned();
    assert_eq!(found, [(count, "request=\"Produce\"".to_owned(), 1.0)]);
}
