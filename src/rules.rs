//! `pharos rules`: what a rule file makes of a bean dump, and what is wrong with it.

use std::process::ExitCode;

use anyhow::{Context, bail};
use pharos_metrics::rules::{Checked, check, eval};
use pharos_metrics::{Format, Generation};

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

/// What was asked for.
#[derive(Debug)]
struct Asked {
    files: Vec<String>,
    beans: Option<String>,
    generation: Generation,
    verbose: bool,
}

impl Asked {
    fn parse(arguments: &[String]) -> anyhow::Result<Self> {
        let (files, beans) = (Vec::new(), None);
        let mut asked = Self { files, beans, generation: Generation::V1, verbose: false };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value = || rest.next().with_context(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--beans" => asked.beans = Some(read(value()?)?),
                "--exporter" => asked.generation = generation(value()?)?,
                "--verbose" => asked.verbose = true,
                other if other.starts_with('-') => bail!("unknown argument {other:?}\n{USAGE}"),
                file => asked.files.push(file.to_owned()),
            }
        }
        Ok(asked)
    }

    /// The page that the file makes of the dump.
    fn eval(&self) -> anyhow::Result<ExitCode> {
        let ([file], Some(beans), false) = (self.files.as_slice(), &self.beans, self.verbose)
        else {
            bail!("{USAGE}")
        };
        let made = eval(&read(file)?, file, beans, self.generation, Format::Text)?;
        banner::notes(made.warnings.iter().chain(&made.dropped));
        banner::page(&made.text);
        Ok(ExitCode::SUCCESS)
    }

    /// One line for each thing that is wrong; the exit code tells whether there is any.
    fn check(&self) -> anyhow::Result<ExitCode> {
        if self.files.is_empty() {
            bail!("{USAGE}");
        }
        let mut wrong = 0;
        for file in &self.files {
            let text = read(file)?;
            match check(&text, file, self.generation, self.beans.as_deref()) {
                Ok(checked) => {
                    wrong += checked.findings.len();
                    banner::page(&report(file, &checked, self.verbose));
                }
                Err(error) => {
                    wrong += 1;
                    banner::page(&format!("{}\n", refused(file, &error.to_string())));
                }
            }
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
    let beans: std::collections::BTreeSet<_> =
        checked.lineage.iter().map(|it| it.template.as_str()).collect();
    let names: std::collections::BTreeSet<_> =
        checked.lineage.iter().map(|it| it.name.as_str()).collect();
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
