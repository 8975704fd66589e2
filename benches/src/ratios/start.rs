//! R13: from the start of the process to the first acked record, on an empty directory and after
//! a kill with 1,000 partitions that hold 1 GiB in all. R14: the recovery scan of one partition
//! against a bare CRC scan of a file of that size.

use anyhow::ensure;
use pharos_protocol::compression::Codec;

use super::fresh;
use crate::Plan;
use crate::broker::{Broker, Start};
use crate::load::{self, Client, Topic};
use crate::machine::Place;
use crate::probes;
use crate::report::{Better, Report, Row};
use crate::stats::{abba, ratios};

const PARTITIONS: i32 = 1000;
/// Batches of this many 1 KiB records; about 64 KiB.
const RECORDS: usize = 63;
const BATCH_BYTES: u64 = 64 << 10;

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let empty = empty(plan)?;
    report.sample("R13 ms, empty", serde_json::json!(empty));
    report.add(
        &Row {
            id: "R13",
            what: "start to first acked record, empty".to_owned(),
            floor: 250.0,
            target: 100.0,
            better: Better::Lower,
            unit: " ms",
        },
        &empty,
    );
    let killed = killed(plan)?;
    report.sample("R13 s, after a kill", serde_json::json!(killed));
    report.add(
        &Row {
            id: "R13",
            what: "the same, 1,000 partitions with 1 GiB after SIGKILL".to_owned(),
            floor: 3.0,
            target: 1.0,
            better: Better::Lower,
            unit: " s",
        },
        &killed,
    );
    recovery(plan, report)
}

fn spawn(plan: &Plan, name: &str, place: Place) -> anyhow::Result<Broker> {
    Broker::spawn(&Start {
        binary: &plan.binary,
        directory: plan.directory.join(name),
        overrides: &[],
        place,
    })
}

/// Seconds from the start to an acked record, retries included.
fn until_acked(broker: &mut Broker, topic: &str) -> anyhow::Result<f64> {
    let mut client = Client::over(broker.connect()?);
    load::first_ack(&mut client, topic, 0)?;
    Ok(broker.spawned.elapsed().as_secs_f64())
}

fn empty(plan: &Plan) -> anyhow::Result<Vec<f64>> {
    let mut took = Vec::new();
    for repeat in 0..plan.repeats * 2 {
        let mut broker = spawn(plan, &format!("empty-{repeat}"), Place::Anywhere)?;
        broker.connect()?;
        load::create_topic(broker.address, &Topic { name: "first", partitions: 1, configs: &[] })?;
        took.push(broker.spawned.elapsed().as_secs_f64() * 1e3);
    }
    Ok(took)
}

/// Writes `bytes` over all partitions.
fn fill(broker: &Broker, topic: &str, partitions: i32, bytes: u64) -> anyhow::Result<()> {
    let batch = load::batch(RECORDS, 1024, Codec::None)?;
    let mut client = Client::connect(broker.address)?;
    let each = (bytes / u64::from(partitions.unsigned_abs()) / BATCH_BYTES).max(1);
    for partition in 0..partitions {
        let frame = load::produce(topic, &[partition], &batch, 1)?;
        load::pipeline(&mut client, &frame, each, 5)?;
    }
    Ok(())
}

fn killed(plan: &Plan) -> anyhow::Result<Vec<f64>> {
    let broker = fresh(plan, "killed")?;
    load::create_topic(
        broker.address,
        &Topic { name: "many", partitions: PARTITIONS, configs: &[] },
    )?;
    fill(&broker, "many", PARTITIONS, plan.bytes)?;
    broker.kill()?;
    let mut took = Vec::new();
    for _ in 0..plan.repeats {
        // Nothing is flushed between a start and the kill after it, so all is scanned again.
        let mut broker = spawn(plan, "killed", Place::Anywhere)?;
        took.push(until_acked(&mut broker, "many")?);
        broker.kill()?;
    }
    std::fs::remove_dir_all(plan.directory.join("killed"))?;
    Ok(took)
}

/// The scan is what a start after a kill takes longer than one after an orderly stop.
fn recovery(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let broker = fresh(plan, "recovery")?;
    load::create_topic(broker.address, &Topic { name: "one", partitions: 1, configs: &[] })?;
    let bytes = plan.bytes / 10 * 9;
    fill(&broker, "one", 1, bytes)?;
    broker.kill()?;
    #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
    let gb = bytes as f64 / 1e9;
    let mut idle = Vec::new();
    for repeat in 0..plan.repeats {
        let mut broker = spawn(plan, &format!("idle-{repeat}"), Place::Server)?;
        broker.connect()?;
        idle.push(broker.spawned.elapsed().as_secs_f64());
    }
    let idle = crate::stats::percentile(&idle, 0.5);
    let file = probes::cached_file(&plan.directory, bytes)?;
    let found = abba(
        plan.repeats,
        || {
            let mut broker = spawn(plan, "recovery", Place::Server)?;
            let took = until_acked(&mut broker, "one")?;
            broker.kill()?;
            ensure!(took > idle, "a start with recovery took {took} s, one without {idle} s");
            Ok([gb / (took - idle)])
        },
        || Ok([gb / probes::checksum_scan(&file, bytes)?.wall]),
    )?;
    std::fs::remove_dir_all(plan.directory.join("recovery"))?;
    report.sample("R14 GB/s: scan, scan, CRC, CRC", serde_json::json!(found));
    report.add(
        &Row {
            id: "R14",
            what: "recovery scan GB/s / CRC scan of a file".to_owned(),
            floor: 0.4,
            target: 0.7,
            better: Better::Higher,
            unit: "",
        },
        &ratios(&found, 0),
    );
    Ok(())
}
