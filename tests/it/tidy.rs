//! The shape of the house: floors, sizes, words. Each rule names the file that broke it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Longest file, tests apart, in lines.
const FILE_LINES: usize = 800;

/// The rooms by floor, lowest first. Imports go to lower floors only, but for [`SAME_FLOOR`].
const FLOORS: &[&[&str]] = &[
    &["base", "config"],
    &["protocol", "metrics", "telemetry", "security"],
    &["storage", "net", "admin", "client", "explain", "alerting"],
    &["metadata", "replication"],
    &["coordinator", "insight"],
    &["broker", "connect", "registry", "sql", "console", "cli"],
];

/// The imports on one floor that are allowed: (from, to).
const SAME_FLOOR: &[(&str, &str)] =
    &[("config", "base"), ("replication", "metadata"), ("insight", "coordinator")];

/// What rooms of the top floor may import of floors 2 to 5: those that speak only the Kafka protocol,
/// and the console, which reads what everybody can.
const PROTOCOL_ONLY: &[(&str, &[&str])] = &[
    ("cli", &["client", "storage"]),
    ("connect", &["client"]),
    ("registry", &["client"]),
    ("sql", &["client"]),
    ("console", &["admin", "alerting", "explain"]),
];

/// Words that say how the work is organised or where one machine keeps things.
const FOREIGN_WORDS: &[&str] = &["/work/", "../shared", "/root/", "worktree"];

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rooms() -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(root().join("src"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().join("Cargo.toml").exists())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|names| names.contains(&room))
}

/// The rooms that `room` depends on, by section of its Cargo.toml.
fn imports(room: &str) -> BTreeSet<String> {
    let manifest = fs::read_to_string(root().join("src").join(room).join("Cargo.toml")).unwrap();
    let mut section = "";
    let mut found = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if section == "[dependencies]"
            && let Some(name) = line.strip_prefix("pharos-")
        {
            found.insert(name.split(['.', ' ', '=']).next().unwrap().to_owned());
        }
    }
    found
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

pub fn all_sources() -> BTreeMap<PathBuf, String> {
    let mut paths = Vec::new();
    for folder in ["src", "tests/it"] {
        sources(&root().join(folder), &mut paths);
    }
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// The part of a source file before its unit tests; a line that only names a file of tests ends
/// nothing.
pub fn code(text: &str) -> &str {
    let tests = text
        .match_indices("#[cfg(test)]\nmod ")
        .find(|(at, _)| text[*at..].lines().nth(1).is_some_and(|line| line.ends_with('{')));
    tests.map_or(text, |(at, _)| &text[..at])
}

#[test]
fn code_ends_where_unit_tests_begin() {
    let text = "#[cfg(test)]\nmod files;\nfn one() {}\n#[cfg(test)]\nmod tests {\nfn two() {}\n}\n";
    assert_eq!(code(text), "#[cfg(test)]\nmod files;\nfn one() {}\n");
    assert_eq!(code("fn one() {}\n"), "fn one() {}\n");
}

#[test]
fn imports_go_to_lower_floors() {
    let mut broken = Vec::new();
    for room in rooms() {
        let Some(from) = floor(&room) else {
            broken.push(format!("{room} has no floor"));
            continue;
        };
        for import in imports(&room) {
            let to = floor(&import).unwrap_or(usize::MAX);
            let allowed = to < from || SAME_FLOOR.contains(&(room.as_str(), import.as_str()));
            if !allowed {
                broken.push(format!("{room} imports {import}"));
            }
            if let Some((_, only)) = PROTOCOL_ONLY.iter().find(|(name, _)| *name == room)
                && to >= 2
                && !only.contains(&import.as_str())
            {
                broken.push(format!("{room} reaches past the Kafka protocol to {import}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_architecture_page_is_true() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    assert!(page.lines().count() < 250);
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let floor = cells.next()?.parse::<usize>().ok()?;
        Some((cells.next()?.trim_matches('`').to_owned(), floor))
    });
    let told: BTreeMap<String, usize> = rows.collect();
    let real: BTreeMap<String, usize> =
        rooms().into_iter().map(|room| (room.clone(), floor(&room).unwrap())).collect();
    assert_eq!(told, real);
    let files = page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| word.ends_with(".rs") && word.contains('/') && !word.contains('<'));
    let lost: Vec<_> = files
        .filter(|file| !root().join("src").join(file).exists() && !root().join(file).exists())
        .collect();
    assert!(lost.is_empty(), "{lost:#?}");
}

#[test]
fn files_stay_short_and_say_what_they_own() {
    let mut broken = Vec::new();
    for (path, text) in all_sources() {
        let lines = code(&text).lines().count();
        if lines > FILE_LINES {
            broken.push(format!("{}: {lines} lines", path.display()));
        }
        if !text.starts_with("//!") {
            broken.push(format!("{}: does not open with what it owns", path.display()));
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// A file that no other names is not built, and what it tests is not tested.
#[test]
fn every_file_is_a_part_of_something() {
    let sources = all_sources();
    let names = |owner: &Path, wanted: &str| {
        sources.get(owner).is_some_and(|text| text.lines().any(|line| line.ends_with(wanted)))
    };
    let mut left_out = Vec::new();
    for path in sources.keys() {
        let roots = ["lib.rs", "main.rs", "build.rs"];
        if roots.iter().any(|root| path.ends_with(root)) || is_a_root(path) {
            continue;
        }
        let (dir, name) = if path.ends_with("mod.rs") {
            let dir = path.parent().unwrap();
            (dir.parent().unwrap(), dir.file_name().unwrap())
        } else {
            (path.parent().unwrap(), path.file_stem().unwrap())
        };
        let wanted = format!("mod {};", name.to_str().unwrap());
        let owners = ["lib.rs", "main.rs", "mod.rs", "build.rs"].map(|file| dir.join(file));
        let beside = dir.with_extension("rs");
        if !owners.iter().chain([&beside]).any(|owner| names(owner, &wanted)) {
            left_out.push(path.display().to_string());
        }
    }
    assert!(left_out.is_empty(), "{left_out:#?}");
}

/// Whether cargo builds a file by itself.
fn is_a_root(path: &Path) -> bool {
    let dir = path.parent().and_then(Path::file_name).and_then(|dir| dir.to_str());
    matches!(dir, Some("bin" | "benches" | "examples" | "fuzz_targets"))
}

#[test]
fn the_code_speaks_of_itself_alone() {
    let mut broken = Vec::new();
    for (path, text) in all_sources() {
        if path.ends_with("tests/it/tidy.rs") {
            continue;
        }
        for word in FOREIGN_WORDS {
            if text.contains(word) {
                broken.push(format!("{}: {word}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn what_a_lint_is_told_to_let_pass_has_a_reason() {
    let mut broken = Vec::new();
    for (path, text) in all_sources() {
        if path.ends_with("tests/it/tidy.rs") {
            continue;
        }
        let opened = ["[allow(", "[expect("].into_iter().flat_map(|word| text.match_indices(word));
        for (at, _) in opened {
            let attribute = text[at..].split_once(")]").map_or("", |(attribute, _)| attribute);
            if !attribute.contains("reason = ") {
                broken.push(format!("{}:{}", path.display(), text[..at].lines().count()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn nothing_waits_by_sleeping() {
    let mut broken = Vec::new();
    for (path, text) in all_sources() {
        if path.ends_with("tests/it/tidy.rs") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            if line.contains("thread::sleep(") {
                broken.push(format!("{}:{}", path.display(), number + 1));
            }
        }
    }
    assert!(broken.is_empty(), "wait on a condition or move the clock: {broken:#?}");
}

#[test]
fn metrics_go_through_the_catalogue() {
    let macros = ["metrics::counter!", "metrics::gauge!", "metrics::histogram!"];
    let mut broken = Vec::new();
    for (path, text) in all_sources() {
        if path.ends_with("tests/it/tidy.rs") {
            continue;
        }
        // Tests compare with the exporter that the macros feed.
        let is_test = path.ends_with("tests.rs");
        if !is_test && macros.iter().any(|name| text.contains(name)) {
            broken.push(path.display().to_string());
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
