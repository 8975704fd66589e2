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
    assert!(told.lines().any(|line| line.starts_with("broken.yml: refused: rule 1: pattern ")));
}
