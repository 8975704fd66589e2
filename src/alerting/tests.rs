//! The tests that promtool runs on the shipped rules, run here: the same input, the same alerts.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use promql_parser::parser::{Expr, parse};
use promql_parser::util::parse_duration;
use serde::Deserialize;

use crate::alert::State;
use crate::eval::millis;
use crate::history::Use;
use crate::labels::Labels;
use crate::page;
use crate::rules::Rules;
use crate::watch::{Kept, Target, Watch, WatchOptions};

const BUDGET: usize = 64 << 20;

#[derive(Deserialize)]
struct File {
    rule_files: Vec<String>,
    evaluation_interval: String,
    tests: Vec<Test>,
}

#[derive(Deserialize)]
struct Test {
    name: String,
    interval: String,
    input_series: Vec<Input>,
    #[serde(default)]
    alert_rule_test: Vec<Asked>,
}

#[derive(Deserialize)]
struct Input {
    series: String,
    values: String,
}

#[derive(Deserialize)]
struct Asked {
    eval_time: String,
    alertname: String,
    exp_alerts: Vec<Expected>,
}

#[derive(Deserialize, Debug, PartialEq, PartialOrd, Clone)]
struct Expected {
    exp_labels: BTreeMap<String, String>,
    #[serde(default)]
    exp_annotations: BTreeMap<String, String>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../prometheus/rules")
}

fn ms(text: &str) -> i64 {
    if text == "0" { 0 } else { millis(parse_duration(text).unwrap()) }
}

/// What promtool's notation tells: a value a step, `None` for no sample, a mark for an end.
#[derive(Clone, Copy)]
enum Told {
    Value(f64),
    Nothing,
    Stale,
}

fn values(notation: &str) -> Vec<Told> {
    let mut all = Vec::new();
    for word in notation.split_whitespace() {
        if word == "stale" {
            all.push(Told::Stale);
        } else if let Some(rest) = word.strip_prefix('_') {
            let times = rest.strip_prefix('x').map_or(1, |times| times.parse().unwrap());
            all.extend((0..times).map(|_| Told::Nothing));
        } else if let Some((from, times)) = word.split_once('x') {
            let at = from.get(1..).unwrap().find(['+', '-']).map(|at| at + 1);
            // An exponent has a sign, too.
            let at = at.filter(|at| !matches!(from.as_bytes()[at - 1], b'e' | b'E'));
            let (start, step) = match at {
                Some(at) => (
                    page::parse(&from[..at]).unwrap(),
                    page::parse(from[at..].trim_start_matches('+')).unwrap(),
                ),
                None => (page::parse(from).unwrap(), 0.0),
            };
            let times: u32 = times.parse().unwrap();
            all.extend((0..=times).map(|n| Told::Value(start + step * f64::from(n))));
        } else {
            all.push(Told::Value(page::parse(word).unwrap()));
        }
    }
    all
}

fn labels_of(series: &str) -> (String, Labels) {
    let Ok(Expr::VectorSelector(selector)) = parse(series) else { panic!("{series}") };
    let pairs = selector.matchers.matchers.iter().filter(|it| it.name != "__name__");
    let pairs = pairs.map(|it| (it.name.as_str(), it.value.as_str()));
    (selector.name.clone().unwrap(), Labels::new(pairs))
}

fn run(file: &File, rules: &[(String, String)], test: &Test) -> Vec<String> {
    let texts = rules.iter().map(|(file, text)| (file.as_str(), text.as_str()));
    let target = Target { cluster: String::new(), instance: String::new() };
    let mut watch = Watch::new(Rules::parse(texts).unwrap(), options(target, 60_000));
    // What looks back further than is remembered is not asked here; all else is.
    let outside = watch.blind();
    let (step, every) = (ms(&test.interval), ms(&file.evaluation_interval));
    let series: Vec<_> = test
        .input_series
        .iter()
        .map(|input| (labels_of(&input.series), values(&input.values)))
        .collect();
    let end = test.alert_rule_test.iter().map(|it| ms(&it.eval_time)).max().unwrap_or(0);
    let mut broken = Vec::new();
    let mut told_until = -1;
    let mut now = 0;
    while now <= end {
        let first = told_until / step + i64::from(told_until >= 0);
        for at in first..=now / step {
            watch.begin(at * step);
            for ((name, labels), values) in &series {
                match values.get(usize::try_from(at).unwrap()) {
                    Some(Told::Value(value)) => {
                        watch.history_mut().add(name, labels.text(), *value);
                    }
                    Some(Told::Stale) => {
                        let stale = f64::from_bits(0x7ff0_0000_0000_0002);
                        watch.history_mut().add(name, labels.text(), stale);
                    }
                    Some(Told::Nothing) | None => {}
                }
            }
            told_until = at * step;
        }
        watch.begin(now);
        watch.ask_rules();
        watch.end_recorded();
        for asked in test.alert_rule_test.iter().filter(|it| {
            let at = ms(&it.eval_time);
            now <= at && at < now + every
        }) {
            if outside.iter().any(|it| it.name == asked.alertname) {
                continue;
            }
            let mut found: Vec<_> = watch
                .alerts()
                .into_iter()
                .filter(|it| it.name == asked.alertname && it.state == State::Firing)
                .map(|it| Expected {
                    exp_labels: it
                        .labels
                        .iter()
                        .filter(|(name, _)| *name != "alertname")
                        .map(|(name, value)| (name.to_owned(), value.to_owned()))
                        .collect(),
                    exp_annotations: it.annotations,
                })
                .collect();
            let mut wanted = asked.exp_alerts.clone();
            found.sort_by(|a, b| a.partial_cmp(b).unwrap());
            wanted.sort_by(|a, b| a.partial_cmp(b).unwrap());
            if found != wanted {
                broken.push(format!(
                    "{}, {} at {}:\n  found  {found:?}\n  wanted {wanted:?}",
                    test.name, asked.alertname, asked.eval_time
                ));
            }
        }
        now += every;
    }
    broken
}

#[test]
fn the_alerts_are_those_that_prometheus_finds() {
    let mut broken = Vec::new();
    let (mut tests, mut asked) = (0, 0);
    let mut names: Vec<_> = fs::read_dir(folder().join("tests"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        // They look back a day, further than is remembered here.
        .filter(|path| !path.to_str().unwrap().ends_with("_day.yml"))
        .collect();
    names.sort();
    for path in names {
        let file: File = serde_yaml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let rules: Vec<_> = file
            .rule_files
            .iter()
            .map(|name| {
                let path = folder().join("tests").join(name);
                (name.clone(), fs::read_to_string(path).unwrap())
            })
            .collect();
        for test in &file.tests {
            tests += 1;
            asked += test.alert_rule_test.len();
            broken.extend(run(&file, &rules, test));
        }
    }
    assert!(broken.is_empty(), "{} of {asked}:\n{}", broken.len(), broken.join("\n"));
    assert!(tests > 50 && asked > 150, "{tests} tests ask {asked} times");
}

fn options(target: Target, pause_ms: i64) -> WatchOptions<'static> {
    WatchOptions { target, outside: &[], kept: &[], budget_bytes: BUDGET, pause_ms }
}

/// All shipped rules, watched as a node does.
fn watch() -> Watch {
    watch_each(60_000)
}

fn watch_each(pause_ms: i64) -> Watch {
    let mut files: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "yml"))
        .map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    let files = files.iter().map(|(file, text)| (file.as_str(), text.as_str()));
    let target = Target { cluster: "pharos".to_owned(), instance: "here:9404".to_owned() };
    let outside = [("Watchdog", "it always fires")];
    let kept = Kept { name: "cluster:pharos_up:sum", keep_ms: 60_000, of: Use::Charts };
    let options = options(target, pause_ms);
    Watch::new(
        Rules::parse(files).unwrap(),
        WatchOptions { outside: &outside, kept: &[kept], ..options },
    )
}

/// Takes pages of text as they are at a moment, and asks the rules.
fn step(watch: &mut Watch, now_ms: i64, pages: &[(&str, &str)]) {
    watch.begin(now_ms);
    for (job, page) in pages {
        let mut taking = watch.page(job);
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let (series, number) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let labels = labels.strip_suffix('}').unwrap_or(labels);
            taking.sample(name, labels, page::parse(number).unwrap());
        }
    }
    watch.ask();
}

const OFFLINE: &str = "# TYPE pharos_log_dir_online gauge\npharos_log_dir_online{log_dir=\"/a\"} 1\n\
    pharos_log_dir_online{log_dir=\"/b\"} 0\n";

#[test]
fn an_alert_is_pending_fires_and_goes() {
    let mut watch = watch();
    let found = |watch: &Watch| -> Vec<_> {
        let alerts = watch.alerts().into_iter().filter(|it| it.name == "LogDirOffline");
        alerts.map(|it| (it.state, it.since_ms, it.labels.get("log_dir").to_owned())).collect()
    };
    let start = 1_000_000;
    step(&mut watch, start, &[("pharos-native", OFFLINE)]);
    assert_eq!(found(&watch), [(State::Pending, start, "/b".to_owned())]);
    step(&mut watch, start + 15_000, &[("pharos-native", OFFLINE)]);
    assert_eq!(found(&watch), [(State::Pending, start, "/b".to_owned())]);
    step(&mut watch, start + 30_000, &[("pharos-native", OFFLINE)]);
    assert_eq!(found(&watch), [(State::Firing, start, "/b".to_owned())]);
    let alert = watch.alerts().into_iter().find(|it| it.name == "LogDirOffline").unwrap();
    assert_eq!(alert.annotations["summary"], "Log directory /b of here:9404 of pharos is offline");
    // The directory is no longer shown: what it was counts on for the two minutes of the rule.
    step(&mut watch, start + 45_000, &[("pharos-native", "")]);
    assert_eq!(found(&watch), [(State::Firing, start, "/b".to_owned())]);
    step(&mut watch, start + 165_000, &[("pharos-native", "")]);
    assert_eq!(found(&watch), []);
}

#[test]
fn a_clock_that_is_set_back_hides_nothing() {
    let mut watch = watch();
    let found = |watch: &Watch| -> Vec<_> {
        let alerts = watch.alerts().into_iter().filter(|it| it.name == "LogDirOffline");
        alerts.map(|it| (it.state, it.since_ms)).collect()
    };
    step(&mut watch, 1_000_000, &[("pharos-native", OFFLINE)]);
    step(&mut watch, 500_000, &[("pharos-native", OFFLINE)]);
    assert_eq!(found(&watch), [(State::Pending, 500_000)]);
    step(&mut watch, 530_000, &[("pharos-native", OFFLINE)]);
    assert_eq!(found(&watch), [(State::Firing, 500_000)]);
}

#[test]
fn what_cannot_be_seen_is_told() {
    let mut watch = watch();
    let blind: BTreeMap<_, _> = watch.blind().into_iter().map(|it| (it.name, it.why)).collect();
    assert_eq!(blind["Watchdog"], "it always fires");
    assert!(blind["TopicWithoutTraffic"].contains("looks back 24 hours"), "{blind:?}");
    assert_eq!(blind.len(), 2, "{blind:?}");
    assert!(watch.rule_count() > 50);
    step(&mut watch, 0, &[("pharos", ""), ("pharos-native", "")]);
    assert_eq!(watch.blind().len(), 2, "a rule cannot be asked: {:?}", watch.blind());
    let memory = watch.memory();
    assert!(memory.bytes > 0 && memory.bytes < memory.budget_bytes / 100, "{memory:?}");
    assert_eq!((memory.budget_bytes, memory.left_out), (BUDGET, Vec::new()));
}

#[test]
fn rules_that_ask_of_less_than_two_looks_are_told() {
    let blind = |pause_s: i64| -> BTreeMap<_, _> {
        let mut watch = watch_each(pause_s * 1000);
        step(&mut watch, 0, &[("pharos", ""), ("pharos-native", "")]);
        watch.blind().into_iter().map(|it| (it.name, it.why)).collect()
    };
    assert_eq!(blind(150).len(), 2);
    let rare = blind(151);
    assert!(rare["RequestErrors"].contains("within 300 s"), "{rare:?}");
    // By what others record.
    assert!(rare["HotPartition"].contains("within 300 s"), "{rare:?}");
    assert!(!rare.contains_key("OffsetDecreased") && !rare.contains_key("LogDirOffline"));
    assert!(blind(301)["OffsetDecreased"].contains("looks back"));
}

#[test]
fn recorded_names_are_drawn() {
    let mut watch = watch();
    for at in 0..3 {
        step(&mut watch, at * 15_000, &[("pharos", ""), ("pharos-native", "")]);
    }
    let lines = watch.lines("cluster:pharos_up:sum", 15_000);
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].points, [(15_000, 1.0), (30_000, 1.0)]);
    assert_eq!(lines[0].labels.get("cluster"), "pharos");
}

const TOPICS: usize = 2_000;
const PARTITIONS_OF_EACH: usize = 20;

/// The samples of a node with 40,000 partitions that rules read, of which the last one of each topic
/// is in trouble and gets most of the bytes.
fn show_many(watch: &mut Watch, now_ms: i64, grown: f64) {
    let families: [(&str, &str, f64, f64); 8] = [
        ("pharos", "kafka_cluster_partition_underminisr", 0.0, 1.0),
        ("pharos", "kafka_cluster_partition_atminisr", 0.0, 1.0),
        ("pharos", "kafka_cluster_partition_underreplicated", 0.0, 1.0),
        ("pharos-native", "kafka_topic_partition_leader", 1.0, -1.0),
        ("pharos-native", "kafka_topic_partition_under_replicated_partition", 0.0, 1.0),
        ("pharos-native", "kafka_topic_partition_current_offset", grown, 9.0 * grown),
        ("pharos-native", "pharos_partition_bytes_in_total", 1e7 * grown, 1e9 * grown),
        ("pharos-native", "pharos_partition_bytes_out_total", grown, 9.0 * grown),
    ];
    watch.begin(now_ms);
    let mut labels = String::new();
    for (job, name, well, ill) in families {
        let mut taking = watch.page(job);
        for topic in 0..TOPICS {
            for partition in 0..PARTITIONS_OF_EACH {
                labels.clear();
                write!(labels, "topic=\"topic-{topic}\",partition=\"{partition}\"").unwrap();
                let is_ill = partition + 1 == PARTITIONS_OF_EACH;
                taking.sample(name, &labels, if is_ill { ill } else { well });
            }
        }
    }
    watch.ask();
}

/// Prints what that takes (`--nocapture`, with `--release`), for docs/performance.md.
#[test]
fn forty_thousand_partitions_are_seen_as_they_are() {
    let mut watch = watch();
    let mut took = Vec::new();
    for look in 0..2 {
        let began = Instant::now();
        show_many(&mut watch, look * 60_000, (look + 1) as f64);
        took.push(began.elapsed());
    }
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for alert in watch.alerts() {
        *found.entry(alert.name).or_default() += 1;
    }
    let of_topics = [
        "HotPartition",
        "OfflinePartitions",
        "PartitionsAtMinIsr",
        "PartitionsUnderMinIsr",
        "UnderReplicatedPartitions",
    ];
    for name in of_topics {
        assert_eq!(found.get(name), Some(&TOPICS), "{name} of {found:?}");
    }
    assert!(!found.contains_key("OffsetDecreased"), "{found:?}");
    assert_eq!(watch.blind().len(), 2, "{:?}", watch.blind());
    let memory = watch.memory();
    assert!(memory.bytes < BUDGET / 8 * 7 && memory.left_out.is_empty(), "{memory:?}");
    println!("looks of 40,000 partitions: {took:?}, {} bytes", memory.bytes);
}
