//! `pharos rules check`: a line for each thing that is wrong, and an exit code that tells of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::start_process::Launch;
use crate::start_wire::batch;
use pharos_protocol::batch::BatchOptions;

fn run(home: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pharos"));
    command.current_dir(home).env_remove("ABSENT").env("PRESENT", "hunter2");
    command.args(arguments).output().unwrap()
}

/// What the program says of files in `home`, and its exit code.
fn check(home: &Path, arguments: &[&str]) -> (String, Option<i32>) {
    let output = run(home, &[&["rules", "check"], arguments].concat());
    (String::from_utf8(output.stdout).unwrap(), output.status.code())
}

/// The values of a page by series, of beans alone.
fn series(page: &str) -> BTreeMap<&str, &str> {
    let samples = page.lines().filter(|line| line.starts_with("kafka_"));
    samples.filter_map(|line| line.rsplit_once(' ')).collect()
}

#[test]
fn the_page_of_beans_is_a_dump_that_rules_are_tried_on() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("own.yml");
    fs::write(&file, "lowercaseOutputName: true\nrules:\n- pattern: '.*'\n").unwrap();
    let own = format!("metrics.rules=own={}", file.display());
    let server = Launch::up(home.path()).with(&own).start();
    let mut wire = server.connect();
    assert_eq!(wire.create_topic("orders.v2", 2, &[]).unwrap(), 0);
    let sent = batch(BatchOptions::default(), &[("k", "v")]);
    assert_eq!(wire.produce("orders.v2", 0, &sent).unwrap().0, 0);

    let before = server.page("/metrics/own");
    fs::write(home.path().join("beans.json"), server.page("/beans")).unwrap();
    let after = server.page("/metrics/own");
    let output = run(home.path(), &["rules", "eval", "own.yml", "--beans", "beans.json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let made = String::from_utf8(output.stdout).unwrap();
    let (before, after, made_series) = (series(&before), series(&after), series(&made));
    assert!(made_series.len() > 100, "{} series", made_series.len());
    for (series, value) in &before {
        let Some(later) = after.get(series) else { continue };
        let told = made_series.get(series).unwrap_or_else(|| panic!("{series} is not made"));
        assert!(value != later || told == value, "{series} is {told} and was {value}");
    }
    let unknown: Vec<_> = made_series
        .keys()
        .filter(|series| !before.contains_key(*series) && !after.contains_key(*series))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    // Types and descriptions too.
    let remarks = |page: &str| -> BTreeSet<String> {
        let of_beans = |line: &&str| line.starts_with("# ") && line.contains(" kafka_");
        page.lines().filter(of_beans).map(str::to_owned).collect()
    };
    let now = remarks(&server.page("/metrics/own"));
    let made = remarks(&made);
    let other: Vec<_> = made.difference(&now).collect();
    assert!(made.len() > 100 && other.is_empty(), "{other:#?}");

    let (told, code) = check(home.path(), &["own.yml", "--beans", "beans.json"]);
    assert!(code.is_some() && told.contains("wrong; 1 rules"), "{told}");
}

#[test]
fn a_dump_that_is_none_is_refused_by_file_and_reason() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("own.yml"), "rules: []\n").unwrap();
    for (dump, why) in [
        ("{\"beans\": ", "d.json: the bean dump: it is not the JSON that /beans answers: EOF"),
        ("<html>", "d.json: line 1 of the bean dump: expected at least 4 columns between tabs"),
    ] {
        fs::write(home.path().join("d.json"), dump).unwrap();
        for word in ["eval", "check"] {
            let output = run(home.path(), &["rules", word, "own.yml", "--beans", "d.json"]);
            let told = String::from_utf8(output.stderr).unwrap();
            assert_eq!((output.status.code(), told.lines().count()), (Some(1), 1), "{told}");
            assert!(told.contains(why), "{told}");
        }
    }
}

#[test]
fn what_a_start_would_refuse_is_told() {
    let home = tempfile::tempdir().unwrap();
    let user = |word: &str| {
        format!(
            "rules: []\nhttpServer:\n  authentication:\n    basic: {{username: me, password: \
             '${{{word}}}'}}\n"
        )
    };
    fs::write(home.path().join("own.yml"), user("ABSENT")).unwrap();
    let (told, code) = check(home.path(), &["own.yml"]);
    assert_eq!(code, Some(1), "{told}");
    let unset = "the variable \"ABSENT\" of the environment is not set";
    let place = "own.yml: refused: line 2: httpServer: authentication: ";
    assert!(told.starts_with(&format!("{place}{unset}\n")), "{told}");
    assert!(told.contains("own.yml: 1 wrong; "), "{told}");
    // As the start says it.
    let launch = Launch::up(home.path()).with("metrics.rules=own.yml");
    let (refused, why) = launch.env("PHAROS_LOG", "error").refused();
    assert!(refused == Some(1) && why.contains(unset), "{why}");

    fs::write(home.path().join("own.yml"), user("PRESENT")).unwrap();
    let (told, code) = check(home.path(), &["own.yml"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("own.yml: note: line 2: httpServer: authentication: a start "), "{told}");
    assert!(!told.contains("hunter2"), "{told}");

    fs::write(home.path().join("s.p12"), "").unwrap();
    let tls = |store: &str| {
        format!(
            "httpServer: {{ssl: {{keyStore: {{filename: {store}, password: a}}}}}}\nrules: []\n"
        )
    };
    fs::write(home.path().join("own.yml"), tls("s.p12")).unwrap();
    let (told, code) = check(home.path(), &["own.yml"]);
    assert_eq!(code, Some(0), "{told}");
    let note = "own.yml: note: line 1: httpServer: ssl: a start refuses it where admin.listeners \
                names an HTTP listener";
    assert!(told.contains(note), "{told}");
    fs::write(home.path().join("own.yml"), tls("none.p12")).unwrap();
    let (told, code) = check(home.path(), &["own.yml"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.starts_with("own.yml: refused: line 1: httpServer: ssl: none.p12 "), "{told}");
}

#[test]
fn notes_bury_nothing() {
    let home = tempfile::tempdir().unwrap();
    let one = "- pattern: 'kafka.server<type=ReplicaManager, name=LeaderCount><>Value'\n  name: \
               a_total\n";
    fs::write(home.path().join("own.yml"), format!("rules:\n{one}- pattern: '.*'\n")).unwrap();
    let notes = |arguments: &[&str]| {
        let (told, _) = check(home.path(), arguments);
        let notes = told.lines().filter(|line| line.starts_with("own.yml: note: "));
        notes.map(str::to_owned).collect::<Vec<_>>()
    };
    let (few, all) = (notes(&["own.yml"]), notes(&["own.yml", "--verbose"]));
    assert!(all.len() > 20, "{}", all.len());
    assert_eq!(few.len(), 7, "{few:#?}");
    assert_eq!(few[..6], all[..6]);
    let more = format!(
        "own.yml: note: rule 2: {} more names of 0.x are others in 1.x: --verbose shows them",
        all.len() - 6
    );
    assert_eq!(few[6], more);
}

#[test]
fn help_is_given_wherever_it_is_asked_for() {
    let home = tempfile::tempdir().unwrap();
    for (arguments, usage) in [
        (&["rules", "check", "--help"][..], "usage: pharos rules check FILE... "),
        (&["rules", "check", "none.yml", "-h"], "usage: pharos rules check FILE... "),
        (&["rules", "eval", "--help"], "usage: pharos rules eval FILE --beans FILE "),
        (&["explain", "--help"], "usage: pharos explain SERIES "),
        (&["explain", "a_series", "--help"], "usage: pharos explain SERIES "),
        (&["keys", "hash", "--help"], "usage: pharos keys hash TOPIC KEY "),
    ] {
        let output = run(home.path(), arguments);
        let told = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {told}");
        assert!(told.starts_with(usage), "{arguments:?}: {told}");
        assert!(told.ends_with('\n') && told.lines().all(|line| line.len() <= 100), "{told}");
        let dump = told.contains("curl -s http://localhost:9404/beans > ");
        assert_eq!(dump, arguments[0] == "rules", "{told}");
        assert_eq!(told.contains("\n  --beans FILE  "), dump, "{told}");
    }
}

#[test]
fn files_are_checked_a_line_for_each_finding() {
    let home = tempfile::tempdir().unwrap();
    let pattern = "kafka.server<type=ReplicaManager, name=LeaderCount><>Value";
    let sound = format!("rules:\n- pattern: '{pattern}'\n  name: leaders_total\n");
    fs::write(home.path().join("sound.yml"), &sound).unwrap();
    fs::write(home.path().join("dead.yml"), sound.replace("Leader", "Laeder")).unwrap();
    fs::write(home.path().join("broken.yml"), "rules:\n- pattern: '(a'\n").unwrap();

    let (told, code) = check(home.path(), &["sound.yml", "--verbose"]);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(
        told.lines().collect::<Vec<_>>(),
        [
            "sound.yml: note: 0.x leaders_total is 1.x leaders",
            "sound.yml: match: rule 1: kafka.server:type=ReplicaManager,name=LeaderCount \
             (1 attributes)",
            "sound.yml: 0 wrong; 1 rules, 0 of them without a bean, make 1 names of 1 beans",
        ]
    );
    fs::write(home.path().join("large.yml"), "ä".repeat(3 << 20)).unwrap();
    let (told, code) = check(home.path(), &["sound.yml", "large.yml", "dead.yml", "broken.yml"]);
    assert!(told.contains("\nlarge.yml: refused: is larger than "), "{told}");
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("\ndead.yml:2: dead-rule: rule 1: it matches no bean\n"), "{told}");
    assert!(
        told.lines().any(|line| line.starts_with("broken.yml: refused: line 2: rule 1: pattern "))
    );
}

#[test]
fn boards_and_alerts_are_held_against_the_rules() {
    let home = tempfile::tempdir().unwrap();
    let pattern = "kafka.server<type=ReplicaManager, name=LeaderCount><>Value";
    fs::write(
        home.path().join("own.yml"),
        format!("rules:\n- pattern: '{pattern}'\n  name: own\n"),
    )
    .unwrap();
    fs::create_dir(home.path().join("boards")).unwrap();
    let board = r#"{"panels": [{"title": "P", "targets": [{"refId": "A", "expr": "own"},
        {"refId": "B", "expr": "sum(owned{job=\"$job\"})"}]}]}"#;
    fs::write(home.path().join("boards/b.json"), board).unwrap();
    let rules = "groups:\n- rules:\n  - alert: Few\n    expr: own < 1\n  - alert: None\n    \
                 expr: count(own) == 0\n";
    fs::write(home.path().join("alerts.yml"), rules).unwrap();
    let arguments = ["own.yml", "--dashboards", "boards", "--alerts", "alerts.yml"];
    let (told, code) = check(home.path(), &arguments);
    assert_eq!(code, Some(1), "{told}");
    let lines: Vec<_> = told.lines().skip(1).collect();
    let [panel, alert] = lines.as_slice() else { panic!("{told}") };
    assert_eq!(
        *panel,
        "boards/b.json: panel-without-data: panel \"P\", query B: no rule, native family or \
         recording rule makes owned"
    );
    assert!(alert.starts_with("alerts.yml:5: alert-never-fires: alert None: "), "{alert}");
}

#[test]
fn a_board_that_is_none_leaves_the_others_to_be_checked() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("own.yml"), "rules: []\n").unwrap();
    let board = r#"{"panels": [{"title": "P", "targets": [{"refId": "A", "expr": "own"}]}]}"#;
    let alerts = "groups:\n- rules:\n  - alert: Few\n    expr: own < 1\n";
    for (folder, ending, sound, broken) in [
        ("boards", "json", board, &*format!("{board}\n}}\n")),
        ("alerts", "yml", alerts, "groups: [\n"),
    ] {
        fs::create_dir(home.path().join(folder)).unwrap();
        for (name, text) in [("a", sound), ("b", broken), ("c", sound)] {
            fs::write(home.path().join(format!("{folder}/{name}.{ending}")), text).unwrap();
        }
    }
    let arguments = ["own.yml", "--dashboards", "boards", "none", "--alerts", "alerts"];
    let (told, code) = check(home.path(), &arguments);
    assert_eq!(code, Some(1), "{told}");
    let lines: Vec<_> = told.lines().skip(1).collect();
    for (at, begins) in [
        "boards/b.json: refused: no JSON: trailing characters at line 2",
        "none: refused: No such file",
        "alerts/b.yml: refused: no YAML: ",
        "boards/a.json: panel-without-data: panel \"P\", query A: ",
        "boards/c.json: panel-without-data: panel \"P\", query A: ",
        "alerts/a.yml:3: alert-without-data: alert Few: ",
        "alerts/c.yml:3: alert-without-data: alert Few: ",
    ]
    .into_iter()
    .enumerate()
    {
        assert!(lines.get(at).is_some_and(|line| line.starts_with(begins)), "{begins}: {told}");
    }
    assert_eq!(lines.len(), 7, "{told}");

    // Alone, it is all that is wrong.
    let (told, code) = check(home.path(), &["own.yml", "--dashboards", "boards/b.json"]);
    assert_eq!((code, told.lines().count()), (Some(1), 2), "{told}");
    let asked = ["explain", "kafka_brokers", "--dashboards", "boards"];
    let output = run(home.path(), &asked);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.starts_with(b"kafka_brokers"));
    assert!(output.stderr.starts_with(b"boards/b.json: refused: "));
}

#[test]
fn the_page_about_rules_names_every_class() {
    let page = fs::read_to_string(crate::tidy::root().join("docs/rules.md")).unwrap();
    let of_rules = pharos_metrics::rules::Class::ALL.iter().map(|class| class.name());
    let of_queries = pharos_explain::Class::ALL.iter().map(|class| class.name());
    let missing: Vec<_> = of_rules
        .chain(of_queries)
        .filter(|name| !page.contains(&format!("| `{name}` |")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
