//! R9: what instruments cost. The broker against the same program built so that none of them moves:
//! producing in batches, and requests of single records, where each request moves them all.

use anyhow::Context;

use super::{produce, requests};
use crate::Plan;
use crate::report::{Better, Report, Row};
use crate::stats::{abba, ratios};

/// How a build with blind instruments is found.
const BINARY: &str = "PHAROS_BENCH_BLIND";

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let binary = std::env::var_os(BINARY).with_context(|| format!("{BINARY} names no binary"))?;
    let blind = &Plan { binary: binary.into(), directory: plan.directory.clone(), ..*plan };
    let produced = |plan| produce::one_broker(plan, "produce");
    let found = abba(plan.repeats, || produced(plan), || produced(blind))?;
    report.sample(
        "R9 wall s/GB and CPU s/GB: instruments, instruments, blind, blind",
        serde_json::json!(found),
    );
    let speed: Vec<f64> = ratios(&found, 0).into_iter().map(|it| 1.0 / it).collect();
    report.add(&row("produce GB/s on one core with instruments / without"), &speed);

    let once = |_| requests::beside((plan, &[]), (blind, &[]));
    let found: Vec<_> = (0..plan.repeats).map(once).collect::<anyhow::Result<_>>()?;
    report.sample("R9 requests/s: instruments, blind", serde_json::json!(found));
    let what = "single-record produce requests/s, 64 connections, with instruments / without";
    let ratios: Vec<_> = found.iter().map(|[seeing, blind]| seeing / blind).collect();
    report.add(&row(what), &ratios);
    Ok(())
}

fn row(what: &str) -> Row {
    Row {
        id: "R9",
        what: what.to_owned(),
        floor: 0.95,
        target: 0.97,
        better: Better::Higher,
        unit: "",
    }
}
