//! The truth: what jmx_exporter 1.0.1 and 0.20.0 made of the same beans and rules.
//!
//! `tests/golden/rules/CASE.{yml,beans.tsv,VERSION.txt}` and `tests/golden/beans/`. Numbers are
//! compared as numbers. Where ours differs on purpose the case is listed with what it does.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use crate::exposition::Format;
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
            let have = rules::eval(&yaml, &format!("{name}.yml"), &dump, generation, format);
            let ours = OURS.iter().find(|(n, v, _)| *n == name && *v == version);
            let refused = want.starts_with("exit ");
            match (have, ours) {
                (Ok(have), Some((_, _, want))) => {
                    let have = without(&have.text, "jmx_scrape_");
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
                    wrong += &compare(&name, generation, &have.text, &want, help);
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
            let have = rules::eval_second(&yaml, &name, &dump, generation).unwrap();
            wrong += &compare(&name, generation, &have.text, &read(&path), true);
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
            let have = rules::eval_second(&yaml, rules, &dump, generation).unwrap();
            wrong += &compare(rules, generation, &have.text, &want, false);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
