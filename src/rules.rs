//! `pharos rules`: what a rule file makes of a bean dump, and what is wrong with it, with the boards
//! and alerts that read its series. `pharos explain`: where a series comes from, and who reads it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use pharos_explain::{Known, Queries};
use pharos_metrics::Generation;
use pharos_metrics::rules::{Checked, check, eval};

use crate::banner;
use crate::roles::USAGE;

/// Runs the second word.
///
/// # Errors
/// Why there is nothing to tell.
pub fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let Some((word, rest)) = arguments.split_first() else { bail!("{USAGE}") };
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
/// # Errors
/// When nothing makes the series, or a file cannot be read.
pub fn explain(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let asked = Asked::parse(arguments)?;
    let [series] = asked.words.as_slice() else { bail!("{USAGE}") };
    let mut known = match asked.rules.is_empty() {
        true => Known::built_in(asked.generation)?,
        false => Known::native(),
    };
    for file in &asked.rules {
        known.add_rules(&read(file)?, file, asked.generation)?;
    }
    let queries = match asked.boards.is_empty() && asked.alerts.is_empty() {
        true => Queries::shipped()?,
        false => asked.queries()?,
    };
    let found = pharos_explain::explain(&known, &queries, series)?;
    let texts: Vec<_> = found.iter().map(ToString::to_string).collect();
    banner::page(&texts.join("\n"));
    Ok(ExitCode::SUCCESS)
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
    beans: Option<String>,
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
                    asked.beans = Some(read(file)?);
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

    /// The boards and rules that were named.
    fn queries(&self) -> anyhow::Result<Queries> {
        let mut queries = Queries::default();
        for path in &self.boards {
            queries.add_boards(Path::new(path))?;
        }
        for path in &self.alerts {
            queries.add_rule_files(Path::new(path))?;
        }
        Ok(queries)
    }

    /// The page that the file makes of the dump.
    fn eval(&self) -> anyhow::Result<ExitCode> {
        let ([file], Some(beans), false) = (self.words.as_slice(), &self.beans, self.verbose)
        else {
            bail!("{USAGE}")
        };
        let made = eval(&read(file)?, file, beans, self.generation)?;
        banner::notes(made.warnings.iter().chain(&made.dropped));
        banner::page(&made.text);
        Ok(ExitCode::SUCCESS)
    }

    /// One line for each thing that is wrong; the exit code tells whether there is any.
    fn check(&self) -> anyhow::Result<ExitCode> {
        if self.words.is_empty() {
            bail!("{USAGE}");
        }
        let mut wrong = 0;
        let mut known = Known::native();
        for file in &self.words {
            let text = read(file)?;
            match check(&text, file, self.generation, self.beans.as_deref()) {
                Ok(checked) => {
                    wrong += checked.findings.len();
                    banner::page(&report(file, &checked, self.verbose));
                    known.add_rules(&text, file, self.generation)?;
                }
                Err(error) => {
                    wrong += 1;
                    banner::page(&format!("{}\n", refused(file, &error.to_string())));
                }
            }
        }
        for finding in pharos_explain::check(&known, &self.queries()?) {
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

fn report(file: &str, checked: &Checked, verbose: bool) -> String {
    let mut lines: Vec<String> = checked.findings.iter().map(ToString::to_string).collect();
    lines.extend(checked.notes.iter().map(|note| format!("{file}: note: {note}")));
    let renamed = checked.renamed.iter();
    lines.extend(renamed.map(|(old, new)| format!("{file}: note: 0.x {old} is 1.x {new}")));
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
        checked.findings.len(),
        names.len(),
        beans.len()
    ));
    lines.join("\n") + "\n"
}

fn read(path: &str) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))
}

fn generation(text: &str) -> anyhow::Result<Generation> {
    match text {
        "0.x" => Ok(Generation::V0),
        "1.x" => Ok(Generation::V1),
        other => bail!("--exporter: expected 0.x or 1.x, got {other:?}"),
    }
}
