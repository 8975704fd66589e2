//! Three cases of every class, sound boards and alerts, and what is told of a series.

use std::collections::BTreeSet;
use std::path::PathBuf;

use pharos_metrics::Generation;

use super::*;

fn known() -> Known {
    Known::built_in(Generation::V1).unwrap()
}

fn alert(expr: &str, summary: &str) -> (String, String) {
    let text = format!(
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: '{expr}'\n    \
         annotations: {{summary: '{summary}'}}\n"
    );
    ("rules".to_owned(), text)
}

fn record(expr: &str) -> (String, String) {
    ("rules".to_owned(), format!("groups:\n- rules:\n  - record: a:b:c\n    expr: '{expr}'\n"))
}

fn panel(expr: &str) -> (String, String) {
    let target = serde_json::json!({ "refId": "A", "expr": expr });
    let board = serde_json::json!({ "panels": [{ "title": "P", "targets": [target] }] });
    ("board".to_owned(), board.to_string())
}

fn queries(files: &[(String, String)]) -> Queries {
    let mut queries = Queries::default();
    for (kind, text) in files {
        match kind.as_str() {
            "board" => queries.add_board("b.json", text).unwrap(),
            _ => queries.add_rules("r.yml", text).unwrap(),
        }
    }
    queries
}

const BYTES: &str = "kafka_server_brokertopicmetrics_bytesin_total";

#[test]
fn every_class_is_found_and_nothing_else() {
    let rate = format!("rate({BYTES}[5m]) > 5");
    let cases: &[(Class, [(String, String); 3])] = &[
        (Class::UnreadableQuery, [panel("sum("), alert("rate(x) > ", "s"), record("a b")]),
        (
            Class::PanelWithoutData,
            [
                panel("kafka_server_brokertopicmetrics_bytesinn_total"),
                panel(&format!("rate({BYTES}{{topc=\"$topic\"}}[$__rate_interval])")),
                panel("kafka_broker_nothing or vector(0)"),
            ],
        ),
        (
            Class::AlertWithoutData,
            [
                alert("kafka_server_replicamanager_leadercount_value > 0", "s"),
                alert("kafka_network_requestmetrics_totaltimems{quantile=\"0.97\"} > 5", "s"),
                alert("pharos_request_duration_seconds_bucket{le=\"0.3\"} / 2 > 1", "s"),
            ],
        ),
        (
            Class::RecordWithoutData,
            [
                record("sum without (instance) (kafka_nothing)"),
                record("kafka_brokers and kafka_nothing"),
                record("kafka_brokers{topic=\"x\"}"),
            ],
        ),
        (
            Class::AlertNeverFires,
            [
                alert("count(kafka_brokers) == 0", "s"),
                alert(&format!("rate({BYTES}[5m]) < 0"), "s"),
                alert("sum(pharos_log_dir_online) < 1 and up > 1", "s"),
            ],
        ),
        (
            Class::AlertNeverResolves,
            [
                alert("kafka_controller_kafkacontroller_offlinepartitionscount", "s"),
                alert(&format!("sum({BYTES}) > 0"), "s"),
                alert("pharos_log_dir_online >= 0", "s"),
            ],
        ),
        (
            Class::EmptyAnnotation,
            [
                alert(&format!("sum by (topic) ({rate})"), "{{ $labels.instance }} is late"),
                alert(&rate, "{{ $labels.partition }} of {{ $labels.topic }}"),
                alert(
                    "sum by (topic) (kafka_consumergroup_lag) > on (topic) kafka_topic_partitions",
                    "{{ with .Labels.client }}{{ . }}{{ end }}",
                ),
            ],
        ),
    ];
    let known = known();
    let mut wrong = Vec::new();
    for class in Class::ALL {
        assert!(cases.iter().any(|(have, _)| *have == class), "{} has no cases", class.name());
    }
    for (class, files) in cases {
        for file in files {
            let found = check(&known, &queries(std::slice::from_ref(file)));
            if found.is_empty() || found.iter().any(|finding| finding.class != *class) {
                wrong.push(format!("{}: {} {found:#?}", class.name(), file.1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_sound_is_left_alone() {
    let files = [
        alert("absent(kafka_brokers{cluster=\"a\"})", "{{ $labels.cluster }}"),
        alert("vector(1)", "always"),
        alert("count(up == 0) > 0", "s"),
        alert("max by (topic) (kafka_consumergroup_lag) > 5", "{{ $labels.topic }}"),
        alert("kafka_brokers > 1 unless node_load1 > 3", "{{ $labels.whatever }}"),
        alert("a:b:c > 0", "{{ $labels.topic }}"),
        record(&format!("sum by (topic) (rate({BYTES}{{topic!=\"\"}}[5m]))")),
        panel(&format!("sum(rate({BYTES}{{topic=\"\", job=~\"$job\"}}[$__rate_interval]))")),
        panel(
            "histogram_quantile(0.9, rate(pharos_request_duration_seconds_bucket{le!=\"5.0\"}[5m]))",
        ),
        panel("{__name__=~\"kafka_broker.*\"}"),
    ];
    let mut queries = queries(&files);
    let labelled = "groups:\n- rules:\n  - record: d:e\n    expr: up\n    labels: {family: x}\n  \
                    - alert: B\n    expr: sum by (family) (d:e) > 3\n    annotations: {s: '{{ $labels.family }}'}\n";
    queries.add_rules("labelled.yml", labelled).unwrap();
    let found = check(&known(), &queries);
    // The one label that no broker has.
    let [one] = found.as_slice() else { panic!("{found:#?}") };
    assert!(one.class == Class::EmptyAnnotation && one.why.contains("whatever"), "{found:#?}");
}

/// Targets get them by relabelling, and a board lets people choose among them.
#[test]
fn a_label_that_nothing_makes_is_of_the_target_where_a_board_chooses_it() {
    let known = known();
    let judged = |files: &[(String, String)]| -> Vec<_> {
        let found = check(&known, &queries(files));
        found.into_iter().map(|finding| finding.why).collect()
    };
    let lacking =
        |series: &str, label: &str| format!("no series of {series} has the label {label}");
    for chosen in
        ["_cluster=\"$x\"", "_environment=\"${x}\"", "strimzi_io_name=\"[[x]]-kafka\"", "a!=\"$x\""]
    {
        assert_eq!(judged(&[panel(&format!("{BYTES}{{{chosen}}}"))]), [""; 0], "{chosen}");
    }
    let lacks = |labels: &str, label: &str| {
        assert_eq!(judged(&[panel(&format!("{BYTES}{{{labels}}}"))]), [lacking(BYTES, label)]);
    };
    lacks("_cluster=\"a\"", "_cluster");
    lacks("_cluster=\"$x\", _environment=\"a\"", "_environment");
    // Another series has it, or it is one of these, misspelt.
    lacks("partition=\"$x\"", "partition");
    lacks("topics=\"$x\"", "topics");

    // What a recording rule drops is gone.
    let read = panel("a:b:c{_cluster=\"$x\"}");
    for (kept, by) in [
        (true, "by (_cluster, topic)"),
        (true, "without (topic)"),
        (false, "by (topic)"),
        (false, "without (_cluster)"),
    ] {
        let files = [record(&format!("sum {by} ({BYTES})")), read.clone()];
        let want = if kept { vec![] } else { vec![lacking("a:b:c", "_cluster")] };
        assert_eq!(judged(&files), want, "{by}");
    }
    // Who reads it is told as well.
    let found =
        explain(&known, &queries(&[panel(&format!("{BYTES}{{_cluster=\"$x\"}}"))]), BYTES).unwrap();
    assert!(found.iter().all(|it| it.readers.len() == 1), "{found:#?}");
}

#[test]
fn what_waits_for_a_bean_that_is_not_shown_is_told() {
    let name = "kafka_server_raft_channel_metrics_connection_count";
    let mut known = Known::native();
    let queue = "kafka.coordinator.transaction<type=TransactionMarkerChannelManager, name=";
    let rules = format!(
        "rules:\n- {{pattern: 'kafka.server<type=raft-channel-metrics><>connection-count', name: {name}}}\n\
         - {{pattern: '{queue}LogAppend.*', name: queue, labels: {{of: log}}}}\n\
         - {{pattern: '{queue}Unknown.*', name: queue, labels: {{of: unknown}}}}\n"
    );
    known.add_rules(&rules, "own.yml", Generation::V1).unwrap();
    let lines = |file| -> Vec<_> {
        check(&known, &queries(&[file])).iter().map(ToString::to_string).collect()
    };
    let why = format!(
        "kafka.server:type=raft-channel-metrics makes {name}, and no such bean is shown: a quorum of \
         one has no connections"
    );
    let told = format!("b.json: panel-without-data: panel \"P\", query A: {why}");
    assert_eq!(lines(panel(&format!("sum({name}) / {name}"))), [told]);
    let told = format!("r.yml:4: alert-without-data: alert A: {why}");
    assert_eq!(lines(alert(&format!("{name} > 5"), "s")), [told]);
    // Those of the name that do not fit are not the reason.
    let told = check(&known, &queries(&[panel("queue{of=\"unknown\"}")])).remove(0).why;
    assert!(told.ends_with("no such bean is shown: transactions are not built"), "{told}");
    // It is no surprise to who asks whether it is there.
    assert_eq!(lines(alert(&format!("absent({name})"), "s")), [""; 0]);
    // Another bean makes it too.
    let shown = format!(
        "rules:\n- {{pattern: 'kafka.server<type=ReplicaManager, name=LeaderCount><>Value', name: {name}}}\n"
    );
    known.add_rules(&shown, "shown.yml", Generation::V1).unwrap();
    let found = check(&known, &queries(&[panel(name)]));
    assert_eq!(found, []);
}

#[test]
fn the_boards_and_alerts_that_are_shipped_have_nothing_wrong() {
    let queries = Queries::shipped().unwrap();
    let found = check(&known(), &queries);
    let lines: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}

#[test]
fn all_boards_and_rules_are_compiled_in() {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    for (folder, shipped) in
        [("grafana/dashboards", shipped::BOARDS), ("prometheus/rules", shipped::RULES)]
    {
        let entries = std::fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap());
        let files = entries.filter(|entry| entry.path().is_file());
        let names = files.map(|entry| format!("{folder}/{}", entry.file_name().to_str().unwrap()));
        let here: BTreeSet<_> = shipped.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(names.collect::<BTreeSet<_>>(), here);
    }
}

/// Each of them reads all of them: to walk through them in every order would take for ever.
#[test]
fn rules_that_read_each_other_are_judged() {
    let rules: String = (0..12)
        .map(|at| format!("  - {{record: 'a:b{at}:c', expr: 'sum({{__name__=~\"a:.*\"}})'}}\n"))
        .collect();
    let first = format!("  - {{record: 'a:first:c', expr: 'sum({BYTES})'}}\n");
    let text = format!("groups:\n- rules:\n{first}{rules}");
    let queries = queries(&[("rules".to_owned(), text)]);
    let known = known();
    assert_eq!(check(&known, &queries), []);
    let found = explain(&known, &queries, &format!("{BYTES}{{topic=\"t\"}}")).unwrap();
    let readers = &found[0].readers;
    assert_eq!(readers.len(), 13);
    assert!(readers.iter().any(|it| it.what == "record a:first:c" && it.through.is_none()));
    let last = readers.iter().find(|it| it.what == "record a:b11:c").unwrap();
    assert_eq!(last.through.as_deref(), Some("a:b0:c"));
}

/// As Prometheus writes it, whatever the scraper reads.
#[test]
fn a_bucket_is_asked_for_by_the_bound_that_pages_show() {
    let known = known();
    let asked = |le: &str| {
        let query = format!("pharos_request_size_bytes_bucket{{le=\"{le}\"}}");
        check(&known, &queries(&[panel(&query)])).into_iter().map(|it| it.class).collect::<Vec<_>>()
    };
    for shown in ["64.0", "262144.0", "1.048576e+06", "6.7108864e+07", "+Inf"] {
        assert_eq!(asked(shown), [], "{shown}");
    }
    for never in ["64", "1048576.0", "67108864", "Inf"] {
        assert_eq!(asked(never), [Class::PanelWithoutData], "{never}");
    }
}

#[test]
fn a_series_is_explained_from_bean_to_alert() {
    let (known, queries) = (known(), Queries::shipped().unwrap());
    let found = explain(&known, &queries, &format!("{BYTES}{{topic=\"orders\"}}")).unwrap();
    let [one] = found.as_slice() else { panic!("{found:#?}") };
    let Source::Rule { file, row, attribute, rule } = &one.source else { panic!("{one:#?}") };
    assert_eq!(file, "default.yml");
    assert!(rule.0 > 1 && rule.1.is_some());
    assert_eq!(
        row.template,
        "kafka.server:type=BrokerTopicMetrics,name=BytesInPerSec,topic={topic}"
    );
    assert_eq!(attribute, "Count");
    assert!(one.truth.as_ref().unwrap().contains("::"), "{one:#?}");
    assert!(one.readers.iter().any(|it| it.file.starts_with("grafana/dashboards/")), "{one:#?}");
    let through = one.readers.iter().filter(|it| it.file == "prometheus/rules/records.yml");
    assert!(through.count() > 0, "{one:#?}");

    // Without a label the total is meant as well.
    assert_eq!(explain(&known, &queries, BYTES).unwrap().len(), 2);
    let native = explain(&known, &queries, "kafka_consumergroup_lag_seconds_max").unwrap();
    let [one] = native.as_slice() else { panic!("{native:#?}") };
    assert_eq!(one.owner, "the group's coordinator");
    assert!(one.readers.iter().any(|it| it.what.starts_with("alert ")), "{one:#?}");
    // A histogram is its buckets, their sum and their number.
    let parts = explain(&known, &queries, "pharos_request_duration_seconds").unwrap();
    let names: BTreeSet<_> = parts.iter().map(|it| it.name.rsplit('_').next().unwrap()).collect();
    assert_eq!(names, ["bucket", "count", "sum"].into());
    for none in ["kafka_nothing", "kafka_brokers{topic=\"x\"}", "sum(kafka_brokers)", "{"] {
        assert!(explain(&known, &queries, none).is_err(), "{none}");
    }
}

#[test]
fn what_is_told_can_be_searched() {
    let found = explain(&known(), &Queries::default(), "jmx_scrape_error").unwrap();
    let told: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert!(told[0].starts_with("jmx_scrape_error\n  page "), "{told:?}");
    let finding = check(&known(), &queries(&[alert("count(kafka_brokers) == 0", "s")])).remove(0);
    assert!(finding.to_string().starts_with("r.yml:4: alert-never-fires: alert A: "), "{finding}");
}

#[test]
fn what_prometheus_records_leads_on() {
    let text = "groups:\n- rules:\n  - record: a:b:c\n    expr: 'sum(rate(kafka_x[5m])) / d:e:f'\n  \
        - alert: A\n    expr: 'a:b:c > 5'\n";
    let queries = queries(&[("rules".to_owned(), text.to_owned())]);
    let found = explain(&known(), &queries, "a:b:c").unwrap();
    let [one] = found.as_slice() else { panic!("{found:#?}") };
    assert_eq!((one.meaning.as_str(), one.owner), ("sum(rate(kafka_x[5m])) / d:e:f", "Prometheus"));
    let told = one.to_string();
    for line in [
        "  record     r.yml, line 3\n",
        "  made of    d:e:f\n",
        "  made of    kafka_x\n",
        "  read by    r.yml: alert A\n",
    ] {
        assert!(told.contains(line), "{told}");
    }
    // Nothing that the shipped boards and alerts read is unknown.
    let (known, queries) = (known(), Queries::shipped().unwrap());
    for name in
        ["topic:kafka_server_brokertopicmetrics_messagesin:rate5m", "slo:produce_latency:objective"]
    {
        assert!(explain(&known, &queries, name).is_ok(), "{name}");
    }
}

#[test]
fn what_is_unknown_is_told_with_what_is_like_it() {
    let (known, queries) = (known(), Queries::shipped().unwrap());
    let why = |asked: &str| explain(&known, &queries, asked).unwrap_err().to_string();
    assert!(why("kafka_broker").ends_with("makes kafka_broker, did you mean kafka_brokers?"));
    assert!(why("kafka_brokers{topic=\"x\"}").ends_with("{topic=\"x\"}, with such labels"));
    assert!(why("zzzzzz").ends_with("makes zzzzzz"));
    assert_eq!(why("up"), "Prometheus itself makes up, of its targets and alerts");
}
