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

/// Records of a batch, and bytes of the value of each.
const SHAPES: [(usize, usize); 3] = [(15, 1024), (150, 80), (1, 80)];
/// Bytes sent before a measurement, to a topic that nobody watches.
const WARM_UP_BYTES: u64 = 64 << 20;
/// The topics.
const WARM_UP: &str = "warm";
const WATCHED: &str = "bulk";
/// Parts in which the bytes are sent.
const TURNS: u64 = 16;

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
        let once = |_| beside(plan, &frames, ["metrics.hot.keys=bulk"]);
        let found: Vec<_> = (0..plan.repeats).map(once).collect::<anyhow::Result<_>>()?;
        let what = format!("{records} records of {value} bytes a batch");
        let id = format!("HK {what}: GB/s and CPU s/GB with hot keys, and without");
        report.sample(&id, serde_json::json!(found));
        let row =
            |what, floor, target, better| Row { id: "HK", what, floor, target, better, unit: "" };
        let ratio = |[[on_speed, on_cpu], [off_speed, off_cpu]]: &[[f64; 2]; 2]| {
            (on_speed / off_speed, on_cpu / off_cpu)
        };
        let (speeds, cpus): (Vec<_>, Vec<_>) = found.iter().map(ratio).unzip();
        let speed = format!("{what}: produce GB/s on one core with hot keys / without");
        report.add(&row(speed, 0.98, 0.99, Better::Higher), &speeds);
        let cpu = format!("{what}: broker CPU s per GB with hot keys / without");
        report.add(&row(cpu, 1.02, 1.01, Better::Lower), &cpus);
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

/// What a broker took, and what that cost.
#[derive(Default)]
struct Produced {
    gb: f64,
    wall: f64,
    cpu: f64,
}

/// GB/s and CPU seconds for each GB of a broker with `overrides`, and of one without, side by side on
/// one core: each is sent its part in turn, so that whatever else the machine does meets both alike.
fn beside(
    plan: &Plan,
    [warm_up, frame]: &[Vec<u8>; 2],
    overrides: [&str; 1],
) -> anyhow::Result<[[f64; 2]; 2]> {
    let start = |name, overrides: &[&str]| {
        let (binary, directory) = (&plan.binary, plan.directory.join(name));
        let broker = Broker::start(&Start { binary, directory, overrides, place: Place::Server })?;
        for name in [WARM_UP, WATCHED] {
            let topic = Topic { name, partitions: PARTITIONS, configs: &[] };
            load::create_topic(broker.address, &topic)?;
        }
        produce::send(broker.address, warm_up, WARM_UP_BYTES)?;
        anyhow::Ok((broker, Produced::default()))
    };
    let turn = |(broker, sum): &mut (Broker, Produced)| {
        let cpu = machine::process_cpu(broker.pid());
        let (wall, bytes) = produce::send(broker.address, frame, plan.bytes / TURNS)?;
        sum.cpu += machine::process_cpu(broker.pid()) - cpu;
        sum.wall += wall;
        sum.gb += bytes / 1e9;
        anyhow::Ok(())
    };
    let (mut on, mut off) = (start("on", &overrides)?, start("off", &[])?);
    probes::find_pages(&plan.directory, 2 * plan.bytes)?;
    for _ in 0..TURNS / 2 {
        turn(&mut on)?;
        turn(&mut off)?;
        turn(&mut off)?;
        turn(&mut on)?;
    }
    for ((broker, _), name) in [(&mut on, "on"), (&mut off, "off")] {
        broker.end()?;
        std::fs::remove_dir_all(plan.directory.join(name))?;
    }
    Ok([on.1, off.1].map(|it| [it.gb / it.wall, it.cpu / it.gb]))
}
