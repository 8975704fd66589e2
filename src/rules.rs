//! `pharos rules`: what a rule file makes of a bean dump, and what is wrong with it, with the boards
//! and alerts that read its series. `pharos explain`: where a series comes from, and who reads it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use pharos_explain::{Known, Queries, ReadError};
use pharos_metrics::Generation;
use pharos_metrics::rules::{
    Checked, EvalError, HttpServer, MAX_DUMP, MAX_FILE, Renamed, check, eval,
};

use crate::banner;
use crate::roles::USAGE;

/// Most notes of one class that are told of a rule, where nobody asks for all.
const MAX_NOTES: usize = 5;

/// What `--beans` takes, and where it is had.
const BEANS: &str = "  --beans FILE         what /beans of a running node answers, as it is:
                       curl -s http://localhost:9404/beans > beans.json
                       or a table: object name, attribute, Java type and value between tabs
  --exporter 0.x|1.x   whose names are made; 1.x when it is not said\n";

const EVAL_HELP: &str = "usage: pharos rules eval FILE --beans FILE [--exporter 0.x|1.x]\n
Prints the series that a rule file makes of a dump of beans.\n\n";

const CHECK_HELP: &str =
    "usage: pharos rules check FILE... [--beans FILE] [--exporter 0.x|1.x] [--verbose]
                    [--dashboards DIR...] [--alerts FILE...]\n
Prints a line for each thing that is wrong with rule files, and with the boards and alerts that
read their series. The exit code is 1 when there is any. Nothing is served.\n
  --dashboards DIR...  boards that are held against the rules
  --alerts FILE...     files of alerts and recording rules that are held against them
  --verbose            every note, and which rule decides for which beans\n";

const EXPLAIN_HELP: &str = "usage: pharos explain SERIES [--rules FILE...] [--exporter 0.x|1.x]
                      [--dashboards DIR...] [--alerts FILE...]\n
Tells where a series comes from, what it means and who reads it. Without files of its own it knows
the rules, boards and alerts that are compiled in.\n";

/// Whether help is asked for, wherever the word stands.
fn asks_for_help(arguments: &[String]) -> bool {
    arguments.iter().any(|argument| matches!(argument.as_str(), "--help" | "-h"))
}

/// Runs the second word.
///
/// # Errors
/// Why there is nothing to tell.
pub fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let Some((word, rest)) = arguments.split_first() else { bail!("{USAGE}") };
    if asks_for_help(rest) {
        let (head, lines) = match word.as_str() {
            "eval" => (EVAL_HELP, BEANS),
            "check" => (CHECK_HELP, BEANS),
            _ => bail!("{USAGE}"),
        };
        banner::page(&format!("{head}{lines}"));
        return Ok(ExitCode::SUCCESS);
    }
    let asked = Asked::parse(rest)?;
    match word.as_str() {
        "eval" => asked.eval(),
        "check" => asked.check(),
        _ => bail!("{USAGE}"),
    }
}

/// `pharos explain SERIES`. Without files of its own it knows the rules, boards and alerts that are
/// compiled in.
///
/// A board or a file of alerts that cannot be read is told, and the exit code is 1.
///
/// # Errors
/// When nothing makes the series, or a rule file cannot be read.
pub fn explain(arguments: &[String]) -> anyhow::Result<ExitCode> {
    if asks_for_help(arguments) {
        banner::page(EXPLAIN_HELP);
        return Ok(ExitCode::SUCCESS);
    }
    let asked = Asked::parse(arguments)?;
    let [series] = asked.words.as_slice() else { bail!("{USAGE}") };
    let mut known = match asked.rules.is_empty() {
        true => Known::built_in(asked.generation)?,
        false => Known::native(),
    };
    for file in &asked.rules {
        known.add_rules(&rule_file(file)?, file, asked.generation)?;
    }
    let (queries, unread) = match asked.boards.is_empty() && asked.alerts.is_empty() {
        true => (Queries::shipped()?, Vec::new()),
        false => asked.queries(),
    };
    let found = pharos_explain::explain(&known, &queries, series)?;
    let texts: Vec<_> = found.iter().map(ToString::to_string).collect();
    banner::page(&texts.join("\n"));
    let unread: Vec<_> = unread.iter().map(|it| refused(&it.file, &it.message)).collect();
    banner::notes(unread.iter());
    Ok(ExitCode::from(u8::from(!unread.is_empty())))
}

/// What was asked for.
#[derive(Debug)]
struct Asked {
    /// What stands by itself.
    words: Vec<String>,
    /// `--rules`.
    rules: Vec<String>,
    /// `--dashboards`.
    boards: Vec<String>,
    /// `--alerts`.
    alerts: Vec<String>,
    generation: Generation,
    /// `--beans`: the file and what it says.
    beans: Option<(String, String)>,
    verbose: bool,
}

impl Asked {
    /// Reads arguments; a list goes on until the next name of an argument.
    fn parse(arguments: &[String]) -> anyhow::Result<Self> {
        let mut asked = Self {
            words: Vec::new(),
            rules: Vec::new(),
            boards: Vec::new(),
            alerts: Vec::new(),
            generation: Generation::V1,
            beans: None,
            verbose: false,
        };
        let mut name = "";
        for argument in arguments {
            if let "--rules" | "--dashboards" | "--alerts" | "--beans" | "--exporter" =
                argument.as_str()
            {
                name = argument;
                continue;
            }
            match (name, argument.as_str()) {
                (_, "--verbose") => asked.verbose = true,
                (_, other) if other.starts_with("--") => {
                    bail!("unknown argument {other:?}\n{USAGE}")
                }
                ("--rules", file) => asked.rules.push(file.to_owned()),
                ("--dashboards", path) => asked.boards.push(path.to_owned()),
                ("--alerts", file) => asked.alerts.push(file.to_owned()),
                ("--beans", file) => {
                    asked.beans = Some((file.to_owned(), dump(file)?));
                    name = "";
                }
                ("--exporter", text) => {
                    asked.generation = generation(text)?;
                    name = "";
                }
                (_, word) => asked.words.push(word.to_owned()),
            }
        }
        Ok(asked)
    }

    /// The boards and rules that were named, and what of them cannot be read.
    fn queries(&self) -> (Queries, Vec<ReadError>) {
        let (mut queries, mut unread) = (Queries::default(), Vec::new());
        for path in &self.boards {
            unread.extend(queries.add_boards(Path::new(path)));
        }
        for path in &self.alerts {
            unread.extend(queries.add_rule_files(Path::new(path)));
        }
        (queries, unread)
    }

    /// The page that the file makes of the dump.
    fn eval(&self) -> anyhow::Result<ExitCode> {
        let ([file], Some((_, beans)), false) = (self.words.as_slice(), &self.beans, self.verbose)
        else {
            bail!("{USAGE}")
        };
        let made = eval(&rule_file(file)?, file, beans, self.generation);
        let made = made.map_err(|error| self.with_file(error))?;
        banner::notes(made.warnings.iter().chain(&made.dropped));
        banner::page(&made.text);
        Ok(ExitCode::SUCCESS)
    }

    /// The error of a dump names its file.
    fn with_file(&self, error: EvalError) -> anyhow::Error {
        match (&error, &self.beans) {
            (EvalError::Dump(_), Some((file, _))) => anyhow!("{file}: {error}"),
            _ => error.into(),
        }
    }

    /// One line for each thing that is wrong; the exit code tells whether there is any.
    fn check(&self) -> anyhow::Result<ExitCode> {
        if self.words.is_empty() {
            bail!("{USAGE}");
        }
        let mut wrong = 0;
        let mut known = Known::native();
        let beans = self.beans.as_ref().map(|(_, text)| text.as_str());
        for file in &self.words {
            let text = match rule_file(file) {
                Ok(text) => text,
                Err(error) => {
                    wrong += 1;
                    banner::page(&format!("{}\n", refused(file, &format!("{error:#}"))));
                    continue;
                }
            };
            match check(&text, file, self.generation, beans) {
                Ok(checked) => {
                    let server = checked.http_server.as_ref();
                    let refusals = server.map(refusals).unwrap_or_default();
                    wrong += checked.findings.len() + refusals.len();
                    banner::page(&report(file, &checked, &refusals, self.verbose));
                    known.add_rules(&text, file, self.generation)?;
                }
                Err(error @ EvalError::Dump(_)) => return Err(self.with_file(error)),
                Err(error) => {
                    wrong += 1;
                    banner::page(&format!("{}\n", refused(file, &error.to_string())));
                }
            }
        }
        let (queries, unread) = self.queries();
        for error in unread {
            wrong += 1;
            banner::page(&format!("{}\n", refused(&error.file, &error.message)));
        }
        for finding in pharos_explain::check(&known, &queries) {
            wrong += 1;
            banner::page(&format!("{finding}\n"));
        }
        Ok(ExitCode::from(u8::from(wrong > 0)))
    }
}

/// `FILE: refused: WHY`.
fn refused(file: &str, error: &str) -> String {
    let why = error.strip_prefix(&format!("{file}: ")).unwrap_or(error);
    format!("{file}: refused: {why}")
}

/// Why a start from here would refuse what the file says of its server.
fn refusals(server: &HttpServer) -> Vec<String> {
    let set = |name: &str| std::env::var(name).is_ok_and(|value| !value.trim().is_empty());
    let unset = server.variables().into_iter().filter(|(_, name)| !set(name));
    let unset = unset
        .map(|(part, name)| format!("{part}: the variable {name:?} of the environment is not set"));
    let closed = server.files().into_iter().filter_map(|file| {
        // What is no file is not opened: a pipe would wait for ever.
        if !Path::new(file).is_file() {
            return Some(format!("ssl: {file} is no file"));
        }
        File::open(file).err().map(|error| format!("ssl: {file} cannot be read: {error}"))
    });
    let all = unset.chain(closed);
    all.map(|why| format!("line {}: httpServer: {why}", server.line)).collect()
}

/// What a start refuses or takes by its settings.
fn server_notes(server: &HttpServer) -> Vec<String> {
    let ssl = server.ssl.as_ref().map(|_| {
        "ssl: a start refuses it where admin.listeners names an HTTP listener, or beside admin.ssl.*"
    });
    let basic = server
        .basic
        .as_ref()
        .map(|_| "authentication: a start refuses it beside admin.authentication.users");
    let opened = "whether keys, passwords and hashes are sound is tried by a start alone";
    let all = ssl.into_iter().chain(basic).chain([opened]);
    all.map(|why| format!("line {}: httpServer: {why}", server.line)).collect()
}

/// A line for each name that differs between the exporters; not all of a rule that makes many.
fn renamed(file: &str, renamed: &[Renamed], verbose: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for of_rule in renamed.chunk_by(|one, next| one.rule == next.rule) {
        let told = if verbose { of_rule.len() } else { MAX_NOTES };
        for Renamed { old, new, .. } in of_rule.iter().take(told) {
            lines.push(format!("{file}: note: 0.x {old} is 1.x {new}"));
        }
        if let (Some(first), Some(more @ 1..)) = (of_rule.first(), of_rule.len().checked_sub(told))
        {
            let rule = first.rule;
            lines.push(format!(
                "{file}: note: rule {rule}: {more} more names of 0.x are others in 1.x: --verbose \
                 shows them"
            ));
        }
    }
    lines
}

fn report(file: &str, checked: &Checked, refusals: &[String], verbose: bool) -> String {
    let mut lines: Vec<String> = checked.findings.iter().map(ToString::to_string).collect();
    lines.extend(refusals.iter().map(|why| refused(file, why)));
    let of_server = checked.http_server.as_ref().map(server_notes).unwrap_or_default();
    let notes = checked.notes.iter().chain(&of_server);
    lines.extend(notes.map(|note| format!("{file}: note: {note}")));
    lines.extend(renamed(file, &checked.renamed, verbose));
    if verbose {
        for (beans, rule) in checked.matches.iter().zip(1..) {
            for (bean, attributes) in beans {
                lines.push(format!("{file}: match: rule {rule}: {bean} ({attributes} attributes)"));
            }
        }
    }
    let (rules, idle) =
        (checked.matches.len(), checked.matches.iter().filter(|beans| beans.is_empty()).count());
    let beans: BTreeSet<_> = checked.lineage.iter().map(|it| it.template.as_str()).collect();
    let names: BTreeSet<_> = checked.lineage.iter().map(|it| it.name.as_str()).collect();
    lines.push(format!(
        "{file}: {} wrong; {rules} rules, {idle} of them without a bean, make {} names of {} beans",
        checked.findings.len() + refusals.len(),
        names.len(),
        beans.len()
    ));
    lines.join("\n") + "\n"
}

/// The text of a rule file. Of one that is too large there is as much as the rules are refused for.
fn rule_file(path: &str) -> anyhow::Result<String> {
    let bytes = head(path, MAX_FILE)?;
    if bytes.len() > MAX_FILE {
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    text(path, bytes)
}

/// The text of a dump.
fn dump(path: &str) -> anyhow::Result<String> {
    let bytes = head(path, MAX_DUMP)?;
    if bytes.len() > MAX_DUMP {
        bail!("{path}: it is larger than {MAX_DUMP} bytes");
    }
    text(path, bytes)
}

/// At most one byte of a file more than `limit`.
fn head(path: &str, limit: usize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|open| open.take(limit as u64 + 1).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read {path}"))?;
    Ok(bytes)
}

fn text(path: &str, bytes: Vec<u8>) -> anyhow::Result<String> {
    let text = String::from_utf8(bytes).map_err(|error| error.utf8_error());
    text.with_context(|| format!("cannot read {path}"))
}

fn generation(text: &str) -> anyhow::Result<Generation> {
    match text {
        "0.x" => Ok(Generation::V0),
        "1.x" => Ok(Generation::V1),
        other => bail!("--exporter: expected 0.x or 1.x, got {other:?}"),
    }
}
