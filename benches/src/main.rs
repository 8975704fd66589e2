//! Measures ratios: the broker as a separate process against what the same machine does without
//! one, taken in one run. It decides nothing about the broker and fails on no slow machine.

mod broker;
mod echo;
mod kafka;
mod load;
mod machine;
mod probes;
mod ratios;
mod report;
mod stats;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use report::Report;

/// What is measured and how often.
pub(crate) struct Plan {
    /// The broker's binary.
    pub(crate) binary: PathBuf,
    /// Where brokers and probes keep files; on the disk that is measured.
    pub(crate) directory: PathBuf,
    /// How often each ratio is taken.
    pub(crate) repeats: usize,
    /// Bytes of the large transfers.
    pub(crate) bytes: u64,
}

/// One ratio, or several that come from one measurement.
type Measure = fn(&Plan, &mut Report) -> anyhow::Result<()>;

const MEASURES: &[(&[&str], Measure)] = &[
    (&["R1", "R4"], ratios::produce::measure),
    (&["R2"], ratios::consume::measure),
    (&["R5"], ratios::requests::measure),
    (&["R6"], ratios::latency::measure),
    (&["R7"], ratios::flush::measure),
    (&["R8"], ratios::compressed::measure),
    (&["R9"], ratios::blind::measure),
    (&["R10", "R11", "R12"], ratios::scrape::measure),
    (&["R13", "R14"], ratios::start::measure),
    (&["R15"], ratios::memory::measure),
    (&["HK"], ratios::keys::measure),
    (&["T"], ratios::traced::measure),
    (&["K"], kafka::measure),
    (&["S"], ratios::agent::measure),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
        Some("echo-server") => echo::serve(),
        _ => run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> anyhow::Result<()> {
    let directory =
        std::env::var_os("PHAROS_BENCH_DIR").map_or_else(std::env::temp_dir, Into::into);
    let work = tempfile::Builder::new().prefix("pharos-bench").tempdir_in(directory)?;
    let mut plan = Plan {
        binary: std::env::var_os("PHAROS_BIN").context("PHAROS_BIN names no binary")?.into(),
        directory: work.path().to_owned(),
        repeats: 3,
        bytes: 1 << 30,
    };
    let mut wanted = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--repeats" => {
                plan.repeats = rest.next().context("--repeats needs a number")?.parse()?
            }
            "--quick" => (plan.repeats, plan.bytes) = (1, 256 << 20),
            name if MEASURES.iter().any(|(names, _)| names.contains(&name)) => wanted.push(name),
            other => anyhow::bail!("there is no measurement {other:?}"),
        }
    }
    let mut report = Report::new(plan.repeats);
    for (names, measure) in MEASURES {
        if wanted.is_empty() || names.iter().any(|name| wanted.contains(name)) {
            report.step(names);
            measure(&plan, &mut report).with_context(|| names.join(", "))?;
        }
    }
    report.finish()
}
