//! The truth: what jmx_exporter 1.0.1 and 0.20.0 made of the same beans and rules.
//!
//! `tests/golden/rules/CASE.{yml,beans.tsv,VERSION.txt}` and `tests/golden/beans/`. Numbers are
//! compared as numbers. Where ours differs on purpose the case is listed with what it does.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use crate::exposition::Format;
use crate::exposition::decoded::assert_same;
use crate::rules::{self, Generation};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden");
const GENERATIONS: [(Generation, &str); 2] =
    [(Generation::V1, "1.0.1"), (Generation::V0, "0.20.0")];

/// Cases in which the exporter fails the whole scrape, picks by the order of a hash table, or
/// prints lines that no scraper takes: ours keeps every good sample and counts the others. The
/// text is what ours prints besides the families about itself.
const OURS: &[(&str, &str, &str)] = &[
    ("e23-duplicates-counter", "0.20.0", "# TYPE x_A_total counter\nx_A 1.0\n"),
    ("e30-label-names-collide", "1.0.1", "# TYPE z untyped\nz 2.0\n"),
    ("e30-label-names-collide", "0.20.0", "# TYPE z untyped\nz 2.0\n"),
    ("e31-negative-counter", "1.0.1", "# TYPE z untyped\nz 2.0\n"),
    ("g07-label-names", "1.0.1", ""),
    ("g07-label-names", "0.20.0", ""),
    (
        "g29-jvm-name-collision",
        "1.0.1",
        "# TYPE jvm_threads_current gauge\njvm_threads_current 1.0\n",
    ),
    (
        "g29-jvm-name-collision",
        "0.20.0",
        "# TYPE jvm_threads_current gauge\njvm_threads_current 1.0\n",
    ),
    ("g30-self-name-collision", "1.0.1", ""),
    ("g30-self-name-collision", "0.20.0", ""),
    (
        "j13-start-delay",
        "1.0.1",
        "# TYPE kafka_a_T1_v untyped\nkafka_a_T1_v{name=\"N1\"} 1.0\n# TYPE kafka_a_T1_w untyped\nkafka_a_T1_w{name=\"N1\"} 11.0\n",
    ),
    (
        "j13-start-delay",
        "0.20.0",
        "# TYPE kafka_a_T1_v untyped\nkafka_a_T1_v{name=\"N1\",} 1.0\n# TYPE kafka_a_T1_w untyped\nkafka_a_T1_w{name=\"N1\",} 11.0\n",
    ),
    (
        "k15-hostport-in-agent",
        "1.0.1",
        "# TYPE kafka_a_T1_v untyped\nkafka_a_T1_v{name=\"N1\"} 1.0\n# TYPE kafka_a_T1_w untyped\nkafka_a_T1_w{name=\"N1\"} 11.0\n",
    ),
    (
        "k15-hostport-in-agent",
        "0.20.0",
        "# TYPE kafka_a_T1_v untyped\nkafka_a_T1_v{name=\"N1\",} 1.0\n# TYPE kafka_a_T1_w untyped\nkafka_a_T1_w{name=\"N1\",} 11.0\n",
    ),
];

/// Which bean gives HELP follows a hash table there.
const ANY_HELP: [&str; 6] = [
    "g09-label-templates",
    "g20-duplicate-gauges",
    "i01-include",
    "i03-wildcards",
    "i06-exclude-attributes",
    "i07-include-attributes",
];

fn read(path: &str) -> String {
    let path = PathBuf::from(ROOT).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn cases() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(PathBuf::from(ROOT).join("rules"))
        .unwrap()
        .filter_map(|entry| {
            Some(entry.unwrap().file_name().to_str()?.strip_suffix(".yml")?.to_owned())
        })
        .collect();
    names.sort();
    names
}

/// A page of text as the captures have it, without the mark of its end; in protobuf it says the same.
fn page(
    rules: (&str, &str),
    dump: &str,
    generation: Generation,
    format: Format,
    second: bool,
) -> Result<String, rules::EvalError> {
    let page = rules::eval_as(rules, dump, generation, format, second)?;
    let text = rules::eval_as(rules, dump, generation, Format::Text, second)?;
    let protobuf = rules::eval_as(rules, dump, generation, Format::Protobuf, second)?;
    assert_same(&String::from_utf8(text).unwrap(), &protobuf);
    Ok(String::from_utf8(page).unwrap().replace("# EOF\n", ""))
}

/// Lines with the number, if any, in one form.
fn lines(text: &str, help: bool) -> Vec<String> {
    text.lines()
        .filter(|line| help || !line.starts_with("# HELP"))
        .map(|line| match line.rsplit_once(' ') {
            Some((head, number)) if !line.starts_with('#') => match number.parse::<f64>() {
                Ok(number) => format!("{head} {number:?}"),
                Err(_) => line.to_owned(),
            },
            _ => line.to_owned(),
        })
        .collect()
}

fn compare(name: &str, generation: Generation, have: &str, want: &str, help: bool) -> String {
    let (mut have, mut want) = (lines(have, help), lines(want, help));
    if generation == Generation::V0 {
        // Its own order is that of hash tables; the captures are sorted.
        have.sort();
        want.sort();
    }
    let mut out = String::new();
    if have != want {
        let _ = writeln!(out, "== {name} {generation:?}");
        for line in want.iter().filter(|line| !have.contains(line)).take(8) {
            let _ = writeln!(out, "  missing {line}");
        }
        for line in have.iter().filter(|line| !want.contains(line)).take(8) {
            let _ = writeln!(out, "  too much {line}");
        }
        if out.lines().count() == 1 {
            let _ = writeln!(out, "  another order");
        }
    }
    out
}

#[test]
fn rule_cases() {
    let mut wrong = String::new();
    let mut passed = 0;
    for name in cases() {
        let yaml = read(&format!("rules/{name}.yml"));
        let mut dump = read(&format!("rules/{name}.beans.tsv"));
        if name.starts_with("i10") {
            // The machine's own bean.
            dump.push_str(
                "java.lang:type=ClassLoading\tLoadedClassCount\tjava.lang.Integer\t9\t\t",
            );
            dump.push_str("LoadedClassCount\n");
        }
        for (generation, version) in GENERATIONS {
            // The agent's own build is no business of ours.
            let want = without(&read(&format!("rules/{name}.{version}.txt")), "jmx_exporter_build");
            let format = if name.starts_with("l02") { Format::OpenMetrics } else { Format::Text };
            let have = page((&yaml, &format!("{name}.yml")), &dump, generation, format, false);
            let ours = OURS.iter().find(|(n, v, _)| *n == name && *v == version);
            let refused = want.starts_with("exit ");
            match (have, ours) {
                (Ok(have), Some((_, _, want))) => {
                    let have = without(&have, "jmx_scrape_");
                    wrong += &compare(&name, generation, &have, want, false);
                }
                (Err(error), None) if refused => {
                    let line = error.to_string();
                    assert!(line.lines().count() == 1 && line.contains(".yml"), "{line}");
                }
                (Err(error), _) => {
                    let _ = writeln!(wrong, "== {name} {version}: refused: {error}");
                }
                (Ok(_), None) if refused => {
                    let _ = writeln!(wrong, "== {name} {version}: not refused");
                }
                (Ok(have), None) => {
                    let help = !ANY_HELP.contains(&name.as_str());
                    wrong += &compare(&name, generation, &have, &want, help);
                }
            }
            passed += 1;
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(passed >= 290, "only {passed} cases");
}

/// The text without lines about such names.
fn without(text: &str, name: &str) -> String {
    text.lines().filter(|line| !line.contains(name)).map(|line| format!("{line}\n")).collect()
}

#[test]
fn second_scrapes() {
    let mut wrong = String::new();
    let mut count = 0;
    for name in cases() {
        for (generation, version) in GENERATIONS {
            let path = format!("rules/{name}.{version}.second.txt");
            if !PathBuf::from(ROOT).join(&path).exists() {
                continue;
            }
            let yaml = read(&format!("rules/{name}.yml"));
            let dump = read(&format!("rules/{name}.beans.tsv"));
            let have = page((&yaml, &name), &dump, generation, Format::Text, true).unwrap();
            wrong += &compare(&name, generation, &have, &read(&path), true);
            count += 1;
        }
    }
    assert!(wrong.is_empty() && count >= 5, "{count} {wrong}");
}

#[test]
fn broker_scrapes() {
    let dump = read("beans/beans-broker-single.tsv");
    let mut wrong = String::new();
    for rules in ["default", "lowercase", "own-broker", "own-select"] {
        let yaml = read(&format!("beans/broker-rules/{rules}.yml"));
        for (generation, version) in GENERATIONS {
            if rules == "lowercase" && generation == Generation::V0 {
                continue;
            }
            let want = read(&format!("beans/scrape-broker-{rules}-{version}.txt"));
            // Mixed types between beans: the hash table's pick there, the first name's here.
            let want = want.replace(
                "# TYPE own_network_requestchannel_responsequeuesize untyped",
                match generation {
                    Generation::V0 => "# TYPE own_network_requestchannel_responsequeuesize gauge",
                    Generation::V1 => "# TYPE own_network_requestchannel_responsequeuesize untyped",
                },
            );
            let have = page((&yaml, rules), &dump, generation, Format::Text, true).unwrap();
            wrong += &compare(rules, generation, &have, &want, false);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The built-in sets over the real broker's beans: no sample lost, the same in both generations.
#[test]
fn built_in_sets() {
    let dump = read("beans/beans-broker-single.tsv");
    for (file, yaml) in rules::BUILT_IN {
        let eval = |generation| rules::eval(yaml, file, &dump, generation).unwrap();
        let (new, old) = (eval(Generation::V1), eval(Generation::V0));
        assert!(new.warnings.is_empty() && new.dropped.is_empty(), "{file} {:?}", new.dropped);
        let twice: Vec<_> = new.text.lines().filter(|l| l.contains("_objectname")).collect();
        assert!(twice.is_empty() && old.dropped.is_empty(), "{twice:#?} {:?}", old.dropped);
        if file == "default.yml" {
            let plain = old.text.replace(",} ", "} ");
            let mut new: Vec<_> = new.text.lines().map(sorted_labels).collect();
            let mut old: Vec<_> = plain.lines().map(sorted_labels).collect();
            new.sort();
            old.sort();
            let differs: Vec<_> = new.iter().filter(|line| !old.contains(line)).collect();
            assert!(differs.is_empty(), "{differs:#?}");
        }
    }
}

/// A sample line with its labels in order.
fn sorted_labels(line: &str) -> String {
    let parts = line.split_once('{').and_then(|(name, rest)| Some((name, rest.split_once("} ")?)));
    let Some((name, (labels, number))) = parts else { return line.to_owned() };
    let mut labels: Vec<_> = labels.split("\",").map(|label| label.trim_end_matches('"')).collect();
    labels.sort_unstable();
    format!("{name}{labels:?}{number}")
}

#[test]
fn names_of_the_built_in_sets() {
    let dump = read("beans/beans-broker-single.tsv");
    for (file, wanted) in [
        (
            "default.yml",
            &[
                "kafka_server_brokertopicmetrics_messagesin_total ",
                "kafka_server_brokertopicmetrics_bytesin_total{topic=\"a\"}",
                "kafka_server_replicamanager_underreplicatedpartitions ",
                "kafka_controller_kafkacontroller_activecontrollercount ",
                "kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent ",
                "kafka_network_socketserver_networkprocessoravgidle_percent ",
                "kafka_network_processor_idle_percent{networkProcessor=\"0\"}",
                "kafka_network_requestmetrics_requests_total{request=\"Produce\",version=\"13\"}",
                "kafka_network_requestmetrics_totaltimems{quantile=\"0.999\",request=\"Produce\"}",
                "kafka_network_requestmetrics_totaltimems_count{request=\"Produce\"}",
                "kafka_log_log_size{partition=\"0\",topic=\"a\"}",
                "kafka_log_logmanager_logdirectoryoffline{logDirectory=\"/var/lib/kafka",
                "kafka_cluster_partition_underminisr{partition=\"0\",topic=\"a\"}",
                "kafka_server_raftmetrics_current_state{current_state=\"leader\"} 1.0",
                "kafka_server_raftmetrics_high_watermark ",
                "kafka_server_brokermetadatametrics_last_applied_record_offset ",
                "kafka_server_socket_server_metrics_connection_count{listener=\"PLAINTEXT\"",
                "kafka_server_socket_server_metrics_connection_creation_total{listener=",
                "kafka_server_socket_server_metrics_connections_software{clientSoftwareName=",
                "kafka_coordinator_group_groupmetadatamanager_numgroups ",
                "kafka_server_group_coordinator_metrics_group_count{protocol=\"consumer\"}",
                "kafka_server_group_coordinator_metrics_event_queue_time_ms_p99 ",
                "kafka_server_delayedoperationpurgatory_purgatorysize{delayedOperation=\"Fetch\"}",
                "kafka_server_quota_byte_rate{clientId=",
                "kafka_server_app_version{version=\"4.3.1\"} 1.0",
                "kafka_log_logflushstats_logflushrateandtimems{quantile=\"0.99\"}",
            ][..],
        ),
        (
            "confluent.yml",
            &[
                "kafka_server_brokertopicmetrics_messagesinpersec ",
                "kafka_server_brokertopicmetrics_bytesinpersec{topic=\"a\"}",
                "kafka_network_requestmetrics_requestspersec{request=\"Produce\",version=\"13\"}",
                "kafka_network_requestmetrics_totaltimems{quantile=\"0.99\",request=\"Produce\"}",
                "kafka_network_processor_idlepercent{networkprocessor=\"0\"}",
                "kafka_server_kafkarequesthandlerpool_requesthandleravgidlepercent ",
                "kafka_server_socketservermetrics_connections{client_software_name=",
                "kafka_log_log_logendoffset{partition=\"0\",topic=\"a\"}",
                "kafka_server_fetch_byte_rate{client_id=",
            ][..],
        ),
    ] {
        let yaml = rules::BUILT_IN.iter().find(|(name, _)| *name == file).unwrap().1;
        let text = rules::eval(yaml, file, &dump, Generation::V1).unwrap().text;
        for start in wanted {
            assert!(text.lines().any(|line| line.starts_with(start)), "{file}: no {start}");
        }
    }
}

/// Every row whose bean the real broker has shows the same attributes, in order, of the same
/// types; and the broker's beans without a row are those of parts that are not here.
#[test]
fn the_catalogue_agrees_with_the_broker() {
    use crate::catalog::rows_of_beans;
    use crate::value::ValueType;
    let dump = read("beans/beans-broker-single.tsv");
    let mut beans: Vec<(String, Vec<(String, ValueType)>)> = Vec::new();
    for line in dump.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let class = match columns[2].rsplit('.').next().unwrap() {
            "Byte" => ValueType::Byte,
            "Short" => ValueType::Short,
            "Integer" => ValueType::Int,
            "Long" => ValueType::Long,
            "Double" => ValueType::Double,
            "TimeUnit" => ValueType::TimeUnit,
            _ => ValueType::Text,
        };
        if beans.last().is_none_or(|(name, _)| name != columns[0]) {
            beans.push((columns[0].to_owned(), Vec::new()));
        }
        beans.last_mut().unwrap().1.push((columns[1].to_owned(), class));
    }
    let mut wrong = String::new();
    let mut without = std::collections::BTreeSet::new();
    let mut seen = std::collections::BTreeSet::new();
    for (name, attributes) in &beans {
        let Some(row) = rows_of_beans().find(|row| fits(row.template, name)) else {
            without.insert(kind_of(name));
            continue;
        };
        seen.insert(row.template);
        let mut have: Vec<_> =
            row.attributes().iter().map(|a| (a.name.to_owned(), a.value_type)).collect();
        let mut want = attributes.clone();
        // Kafka's own beans list their attributes by hash; ours keep one of its orders.
        if matches!(row.shape, crate::row::Shape::Attributes(_)) {
            have.sort_by(|a, b| a.0.cmp(&b.0));
            want.sort_by(|a, b| a.0.cmp(&b.0));
        }
        if have != want {
            let _ = writeln!(wrong, "{name}: {:?} instead of {:?}", have, want);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(seen.len() > 150, "{}", seen.len());
    let elsewhere = [
        "Share",
        "share",
        "Assign",
        "assign",
        "Log4j",
        "Persister",
        "AddPartitionsManager-channel",
        "heartbeat",
        "registration",
        "forwarding",
        "alter-partition",
    ];
    let missing: Vec<_> =
        without.iter().filter(|kind| !elsewhere.iter().any(|part| kind.contains(part))).collect();
    assert!(missing.is_empty(), "no row for {missing:#?}");
}

/// Type and name of a bean.
fn kind_of(name: &str) -> String {
    let parts = name.split([':', ',']).filter(|part| {
        !part.contains('=') || part.starts_with("type=") || part.starts_with("name=")
    });
    parts.collect::<Vec<_>>().join(" ")
}

/// True when the template with some tags is that name.
fn fits(template: &str, name: &str) -> bool {
    let name = crate::object_name::ObjectName::parse(name).unwrap();
    let Some((domain, list)) = template.split_once(':') else { return false };
    let want: Vec<(&str, &str)> = list.split(',').filter_map(|part| part.split_once('=')).collect();
    let have: Vec<(&str, &str)> = name.properties().collect();
    domain == name.domain()
        && want.len() == have.len()
        && want
            .iter()
            .zip(&have)
            .all(|((k, v), (key, value))| k == key && (v.starts_with('{') || v == value))
}
