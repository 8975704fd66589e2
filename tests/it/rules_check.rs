//! `pharos rules check`: a line for each thing that is wrong, and an exit code that tells of it.

use std::fs;
use std::path::Path;
use std::process::Command;

/// What the program says of files in `home`, and its exit code.
fn check(home: &Path, arguments: &[&str]) -> (String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pharos"));
    let output = command.current_dir(home).args(["rules", "check"]).args(arguments).output();
    let output = output.unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.code())
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
    let (told, code) = check(home.path(), &["sound.yml", "dead.yml", "broken.yml"]);
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
