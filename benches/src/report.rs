//! The table that a run prints and the file that keeps its samples.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::machine;
use crate::stats::Summary;

/// Which way is good.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Better {
    Higher,
    Lower,
}

/// One line of the table before it has figures.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: &'static str,
    pub(crate) what: String,
    pub(crate) floor: f64,
    pub(crate) target: f64,
    pub(crate) better: Better,
    pub(crate) unit: &'static str,
}

/// Collects lines and samples.
pub(crate) struct Report {
    repeats: usize,
    lines: Vec<String>,
    rows: Vec<Value>,
    samples: Vec<Value>,
}

impl Report {
    pub(crate) fn new(repeats: usize) -> Self {
        Self { repeats, lines: Vec::new(), rows: Vec::new(), samples: Vec::new() }
    }

    /// Says what is measured now.
    pub(crate) fn step(&self, names: &[&str]) {
        complain(&format!("measuring {} ...", names.join(", ")));
    }

    /// Says why something is not measured.
    pub(crate) fn skip(&mut self, id: &str, why: &str) {
        self.lines.push(format!("| {id} | skipped: {why} | | | | | |"));
    }

    /// Keeps raw samples.
    pub(crate) fn sample(&mut self, id: &str, samples: impl Into<Value>) {
        self.samples.push(json!({ "id": id, "samples": samples.into() }));
    }

    /// Adds a line. A floor is broken when most repeats break it.
    pub(crate) fn add(&mut self, row: &Row, values: &[f64]) {
        let Summary { min, median, max } = Summary::of(values);
        let reaches = |bound: f64| match row.better {
            Better::Higher => median >= bound,
            Better::Lower => median <= bound,
        };
        let verdict = match (reaches(row.target), reaches(row.floor)) {
            (true, _) => "target",
            (false, true) => "floor",
            (false, false) => "below",
        };
        let Row { id, what, floor, target, unit, .. } = row;
        let line = format!(
            "| {id} | {what} | {} / **{}** / {}{unit} | {floor}{unit} | {target}{unit} | {verdict} |",
            short(min),
            short(median),
            short(max)
        );
        complain(&line);
        self.lines.push(line);
        self.rows.push(json!({
            "id": id, "what": what, "values": values, "floor": floor, "target": target,
            "verdict": verdict,
        }));
    }

    /// Prints the table and writes the samples.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        let mut text = format!(
            "{}, {} repeats, order A B B A\n\n\
             | # | ratio | min / **median** / max | floor | target | reached |\n\
             |---|---|---|---|---|---|\n",
            machine::describe(),
            self.repeats
        );
        for line in &self.lines {
            text.push_str(line);
            text.push('\n');
        }
        say(&text);
        let Some(directory) = std::env::var_os("PHAROS_BENCH_OUT") else { return Ok(()) };
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let file = std::path::Path::new(&directory).join(format!("run-{seconds}.json"));
        let all = json!({
            "machine": machine::describe(), "repeats": self.repeats, "rows": self.rows,
            "samples": self.samples,
        });
        std::fs::write(&file, serde_json::to_vec_pretty(&all)?)?;
        say(&format!("samples: {}", file.display()));
        Ok(())
    }
}

fn short(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

#[expect(clippy::print_stdout, reason = "the table is what the program is for")]
fn say(text: &str) {
    println!("{text}");
}

/// Progress and errors, beside the table.
#[expect(clippy::print_stderr, reason = "progress of a program for a terminal")]
pub(crate) fn complain(text: &str) {
    eprintln!("{text}");
}
