//! Boards and rule files: every query that somebody reads, and where it stands.

use std::fs;
use std::path::{Path, PathBuf};

use promql_parser::parser::Expr;
use serde_json::Value;

use crate::{query, shipped};

/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 16 * 1024 * 1024;
/// Most files of a directory.
const MAX_FILES: usize = 10_000;

/// Why a board or a rule file cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {message}")]
pub struct ReadError {
    /// The file or directory.
    pub file: String,
    /// What is wrong with it.
    pub message: String,
}

/// The queries of boards and rules.
#[derive(Debug, Default)]
pub struct Queries {
    pub(crate) all: Vec<Query>,
}

/// A query and who asks it.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) file: String,
    pub(crate) line: Option<usize>,
    pub(crate) asker: Asker,
    pub(crate) expr: Result<Expr, String>,
}

/// Who asks.
#[derive(Debug)]
pub(crate) enum Asker {
    /// A panel by its title, a variable or an annotation of a board.
    Board {
        what: String,
    },
    Alert {
        name: String,
        annotations: Vec<(String, String)>,
    },
    Record {
        name: String,
        labels: Vec<String>,
    },
}

impl Queries {
    /// The boards and rules that are compiled in.
    ///
    /// # Errors
    /// When one of them is broken.
    pub fn shipped() -> Result<Self, ReadError> {
        let mut queries = Self::default();
        for (file, text) in shipped::BOARDS {
            queries.add_board(file, text)?;
        }
        for (file, text) in shipped::RULES {
            queries.add_rules(file, text)?;
        }
        Ok(queries)
    }

    /// Every board in a directory, or one board. What cannot be read is passed by and answered.
    #[must_use]
    pub fn add_boards(&mut self, path: &Path) -> Vec<ReadError> {
        self.add_each(path, &["json"], Self::add_board)
    }

    /// A rule file of Prometheus, or every one in a directory. What cannot be read is passed by and
    /// answered.
    #[must_use]
    pub fn add_rule_files(&mut self, path: &Path) -> Vec<ReadError> {
        self.add_each(path, &["yml", "yaml"], Self::add_rules)
    }

    fn add_each(
        &mut self,
        path: &Path,
        endings: &[&str],
        add: impl Fn(&mut Self, &str, &str) -> Result<(), ReadError>,
    ) -> Vec<ReadError> {
        let files = match files(path, endings) {
            Ok(files) => files,
            Err(error) => return vec![error],
        };
        let mut one = |file: PathBuf| add(self, &file.display().to_string(), &read(&file)?);
        files.into_iter().filter_map(|file| one(file).err()).collect()
    }

    /// A board by its text.
    ///
    /// # Errors
    /// When it is no JSON.
    pub fn add_board(&mut self, file: &str, text: &str) -> Result<(), ReadError> {
        let fail = |message: String| ReadError { file: file.to_owned(), message };
        let board: Value =
            serde_json::from_str(text).map_err(|it| fail(format!("no JSON: {it}")))?;
        let board = board.get("dashboard").unwrap_or(&board);
        let mut panels: Vec<&Value> = Vec::new();
        for row in list(board, "rows") {
            panels.extend(list(row, "panels"));
        }
        panels.extend(list(board, "panels"));
        while let Some(panel) = panels.pop() {
            panels.extend(list(panel, "panels"));
            let title = text_of(panel, "title");
            for target in list(panel, "targets") {
                let theirs = target.get("datasource").or_else(|| panel.get("datasource"));
                let kind = theirs.map(|source| text_of(source, "type")).unwrap_or_default();
                let expr = text_of(target, "expr");
                if expr.is_empty() || !(kind.is_empty() || kind == "prometheus") {
                    continue;
                }
                let what = format!("panel {title:?}, query {}", text_of(target, "refId"));
                self.add(file, None, Asker::Board { what }, &expr);
            }
        }
        for variable in board.get("templating").map_or(&[][..], |it| list(it, "list")) {
            let query = variable.get("query");
            let text = query.and_then(|it| it.get("query")).or(query).and_then(Value::as_str);
            let Some(expr) = text.and_then(series_of_variable) else { continue };
            let what = format!("variable {:?}", text_of(variable, "name"));
            self.add(file, None, Asker::Board { what }, expr);
        }
        Ok(())
    }

    /// A rule file of Prometheus by its text.
    ///
    /// # Errors
    /// When it is no YAML.
    pub fn add_rules(&mut self, file: &str, text: &str) -> Result<(), ReadError> {
        let fail = |message: String| ReadError { file: file.to_owned(), message };
        let rules: Value = serde_yaml::from_str(text)
            .map_err(|it| fail(format!("no YAML: {}", it.to_string().replace('\n', " "))))?;
        for group in list(&rules, "groups") {
            for rule in list(group, "rules") {
                let (alert, record) = (text_of(rule, "alert"), text_of(rule, "record"));
                let annotations = rule.get("annotations").and_then(Value::as_object);
                let annotations = annotations
                    .into_iter()
                    .flatten()
                    .filter_map(|(name, text)| Some((name.clone(), text.as_str()?.to_owned())));
                let (key, name) =
                    if alert.is_empty() { ("record", &record) } else { ("alert", &alert) };
                let line = line_of(text, key, name);
                let asker = match key {
                    "alert" => Asker::Alert { name: alert, annotations: annotations.collect() },
                    _ => {
                        let labels = rule.get("labels").and_then(Value::as_object);
                        let labels = labels.into_iter().flatten().map(|(name, _)| name.clone());
                        Asker::Record { name: record, labels: labels.collect() }
                    }
                };
                self.add(file, line, asker, &text_of(rule, "expr"));
            }
        }
        Ok(())
    }

    fn add(&mut self, file: &str, line: Option<usize>, asker: Asker, expr: &str) {
        let expr = query::parse(expr);
        self.all.push(Query { file: file.to_owned(), line, asker, expr });
    }
}

impl Asker {
    /// What a person calls it.
    pub(crate) fn told(&self) -> String {
        match self {
            Self::Board { what } => what.clone(),
            Self::Alert { name, .. } => format!("alert {name}"),
            Self::Record { name, .. } => format!("record {name}"),
        }
    }
}

/// The series that `label_values(SERIES, label)` asks of; nothing for what asks of no series.
fn series_of_variable(query: &str) -> Option<&str> {
    let inner = query.trim().strip_prefix("label_values(")?.strip_suffix(')')?;
    let (series, _) = inner.rsplit_once(',')?;
    Some(series.trim())
}

fn line_of(text: &str, key: &str, name: &str) -> Option<usize> {
    let found = text.lines().position(|line| {
        let line = line.trim_start().trim_start_matches("- ");
        let value = line.strip_prefix(key).and_then(|rest| rest.strip_prefix(':'));
        value.is_some_and(|value| value.trim().trim_matches(['"', '\'']) == name)
    });
    found.map(|at| at + 1)
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text_of(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The files of a directory with one of the endings, in order; of a file, itself.
fn files(path: &Path, endings: &[&str]) -> Result<Vec<PathBuf>, ReadError> {
    let fail = |error: std::io::Error| ReadError {
        file: path.display().to_string(),
        message: error.to_string(),
    };
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(fail)?.take(MAX_FILES) {
        let file = entry.map_err(fail)?.path();
        let ending = file.extension().and_then(|it| it.to_str());
        if file.is_file() && ending.is_some_and(|it| endings.contains(&it)) {
            found.push(file);
        }
    }
    found.sort();
    Ok(found)
}

fn read(file: &Path) -> Result<String, ReadError> {
    let fail = |message: String| ReadError { file: file.display().to_string(), message };
    let size = fs::metadata(file).map_err(|error| fail(error.to_string()))?.len();
    if size > MAX_FILE {
        return Err(fail(format!("is larger than {MAX_FILE} bytes")));
    }
    fs::read_to_string(file).map_err(|error| fail(error.to_string()))
}
