//! HK: producing with hot keys watched, against producing without, from the first record of the
//! watched topic on. The broker has one core; each record has a key, and each partition more keys than
//! are counted one by one.

use pharos_protocol::compression::Codec;

use super::{PARTITIONS, produce};
use crate::Plan;
use crate::broker::{Broker, Start};
use crate::load::{self, Topic};
use crate::machine::{self, Place};
use crate::probes;
use crate::report::{Better, Report, Row};
use crate::stats::{abba, ratios};

/// Records of a batch, and bytes of the value of each.
const SHAPES: [(usize, usize); 3] = [(15, 1024), (150, 80), (1, 80)];
/// Bytes sent before a measurement, to a topic that nobody watches.
const WARM_UP_BYTES: u64 = 64 << 20;
/// The topics.
const WARM_UP: &str = "warm";
const WATCHED: &str = "bulk";

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    for (records, value) in SHAPES {
        let frames = [frame(WARM_UP, records, value)?, frame(WATCHED, records, value)?];
        // Requests of single records are dear: as many as take about as long.
        let plan = &Plan {
            binary: plan.binary.clone(),
            directory: plan.directory.clone(),
            bytes: if records == 1 { plan.bytes / 8 } else { plan.bytes },
            ..*plan
        };
        let on = || run(plan, &frames, &["metrics.hot.keys=bulk"]);
        let found = abba(plan.repeats, on, || run(plan, &frames, &[]))?;
        let what = format!("{records} records of {value} bytes a batch");
        report.sample(
            &format!("HK {what}: GB/s and CPU s/GB: on, on, off, off"),
            serde_json::json!(found),
        );
        let row =
            |what, floor, target, better| Row { id: "HK", what, floor, target, better, unit: "" };
        let speed = format!("{what}: produce GB/s on one core with hot keys / without");
        report.add(&row(speed, 0.98, 0.99, Better::Higher), &ratios(&found, 0));
        let cpu = format!("{what}: broker CPU s per GB with hot keys / without");
        report.add(&row(cpu, 1.02, 1.01, Better::Lower), &ratios(&found, 1));
    }
    Ok(())
}

/// One request: a batch for each partition, each of keys of its own.
fn frame(topic: &str, records: usize, value: usize) -> anyhow::Result<Vec<u8>> {
    let mut key = 0u64;
    let mut batch = || {
        let keys = (0..records).map(|_| {
            key += 1;
            format!("customer-{key:08}")
        });
        load::keyed_batch(keys, value, Codec::None)
    };
    let each: Vec<_> = (0..PARTITIONS)
        .map(|partition| Ok((partition, batch()?)))
        .collect::<anyhow::Result<_>>()?;
    load::produce_each(topic, &each, 1)
}

/// GB/s and CPU seconds for each GB of one broker.
fn run(
    plan: &Plan,
    [warm_up, frame]: &[Vec<u8>; 2],
    overrides: &[&str],
) -> anyhow::Result<[f64; 2]> {
    let directory = plan.directory.join("keys");
    let start = Start {
        binary: &plan.binary,
        directory: directory.clone(),
        overrides,
        place: Place::Server,
    };
    let broker = Broker::start(&start)?;
    for name in [WARM_UP, WATCHED] {
        load::create_topic(broker.address, &Topic { name, partitions: PARTITIONS, configs: &[] })?;
    }
    produce::send(broker.address, warm_up, WARM_UP_BYTES)?;
    probes::find_pages(&plan.directory, plan.bytes)?;
    let cpu = machine::process_cpu(broker.pid());
    let (wall, bytes) = produce::send(broker.address, frame, plan.bytes)?;
    let cpu = machine::process_cpu(broker.pid()) - cpu;
    broker.kill()?;
    std::fs::remove_dir_all(&directory)?;
    let gb = bytes / 1e9;
    Ok([gb / wall, cpu / gb])
}
