//! No setting is accepted and ignored: whatever a row says is honoured is read somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use pharos_config::{Effect, Row, rows};

use crate::tidy::{all_sources, code, root};

/// Names of the constants of the rows in `files`, by key.
fn constants(files: &[&str]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for file in files {
        let text = fs::read_to_string(root().join("src/config/rows").join(file)).unwrap();
        let mut name = "";
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
            let upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
            if let Some((word, _)) = line.split_once(": ")
                && word.chars().all(upper)
            {
                name = word;
            }
            if let Some((_, rest)) = line.split_once("key(\"") {
                let key = rest.split('"').next().unwrap();
                found.insert(key.to_owned(), name.to_owned());
            }
        }
    }
    found
}

fn row_files() -> Vec<String> {
    let folder = root().join("src/config/rows");
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

/// Tables whose rows are read by a room of their own: topics' and groups' through what resolves
/// them, the others with the whole resource.
const RESOURCES: &[&str] = &["topic.rs", "group.rs", "client_metrics.rs", "throttle.rs"];

/// Files that look at values without letting them act: the rows themselves, rules, warnings; and
/// rooms whose own settings have the same names.
const LOOK_ONLY: &[&str] = &[
    "src/config/rows",
    "src/config/rules.rs",
    "src/config/admin_rules.rs",
    "src/config/warnings.rs",
    "src/config/tests",
    "src/client",
    "src/cli",
];

/// Limits that what is set on a group is checked against, found by their names
/// (`validation::group_rules`).
const GROUP_LIMITS: &[&str] = &["group.consumer.min.", "group.consumer.max."];

/// The code of all rooms that lets values act.
fn readers() -> String {
    let all = all_sources().into_iter();
    let rooms = all.filter(|(path, _)| {
        let path = path.strip_prefix(root()).unwrap();
        path.starts_with("src") && !LOOK_ONLY.iter().any(|own| path.starts_with(own))
    });
    rooms.map(|(_, text)| code(&text).to_owned()).collect()
}

fn word_in(text: &str, word: &str) -> bool {
    let is_name = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(word).any(|(at, _)| {
        let after = text.get(at + word.len()..).and_then(|rest| rest.chars().next());
        !is_name(after)
    })
}

/// Keys of a broker that give topics or groups a value which is read.
fn supplying(files: &[&str], table: &[&'static Row], readers: &str) -> BTreeSet<&'static str> {
    let names = constants(files);
    let read = |row: &&&'static Row| {
        let name = names.get(row.name).unwrap_or_else(|| panic!("{} has no constant", row.name));
        word_in(readers, &format!("row::{name}")) && matches!(row.effect, Effect::Honoured)
    };
    let honoured: Vec<_> = table.iter().filter(read).collect();
    honoured.iter().flat_map(|row| row.suppliers).map(|supplier| supplier.name).collect()
}

#[test]
fn every_honoured_row_is_read() {
    let files = row_files();
    let broker: Vec<_> =
        files.iter().map(String::as_str).filter(|file| !RESOURCES.contains(file)).collect();
    let names = constants(&broker);
    let readers = readers();
    let mut supplied = supplying(&["topic.rs"], rows::topic::ALL, &readers);
    supplied.extend(supplying(&["group.rs"], rows::group::ALL, &readers));
    let mut unread = Vec::new();
    let mut idle_but_read = Vec::new();
    for row in rows::broker() {
        let name = names.get(row.name).unwrap_or_else(|| panic!("{} has no constant", row.name));
        let is_limit = GROUP_LIMITS.iter().any(|prefix| {
            let rest = row.name.strip_prefix(prefix);
            rest.is_some_and(|rest| {
                rows::find(rows::group::ALL, &format!("consumer.{rest}")).is_some()
            })
        });
        let read = word_in(&readers, &format!("rows::{name}"));
        let acts = read || is_limit || supplied.contains(row.name);
        match row.effect {
            Effect::Honoured if !acts => unread.push(row.name),
            Effect::NoMeaning(_) if supplied.contains(row.name) => idle_but_read.push(row.name),
            _ => {}
        }
    }
    assert!(unread.is_empty(), "honoured, but nothing reads them: {unread:#?}");
    assert!(idle_but_read.is_empty(), "said to have no meaning: {idle_but_read:#?}");
}
