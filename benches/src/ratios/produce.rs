//! R1 and R4: 1 KiB records in 16 KiB batches, acks=1, 16 partitions, against receiving,
//! checking and writing the same bytes without a broker. The broker has one core.

use std::net::SocketAddr;

use pharos_protocol::compression::Codec;

use super::{PARTITIONS, fresh};
use crate::Plan;
use crate::load::{self, Client, Topic};
use crate::machine::{self, Cost, Place};
use crate::probes;
use crate::report::{Better, Report, Row};
use crate::stats::{abba, ratios};

/// Connections that produce at the same time.
const CONNECTIONS: u64 = 4;
/// Requests that each has unanswered.
const WINDOW: u64 = 5;

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let mut topics = 0;
    let broker = || {
        topics += 1;
        one_broker(plan, &format!("produce-{topics}"))
    };
    let probe = || {
        let bytes = plan.bytes;
        probes::find_pages(&plan.directory, bytes)?;
        let all = [
            probes::receive(bytes)?,
            probes::checksum(bytes)?,
            probes::write(&plan.directory, bytes, probes::BATCH)?,
        ];
        let sum = |of: fn(&Cost) -> f64| all.iter().map(of).sum::<f64>();
        #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
        let gb = bytes as f64 / 1e9;
        Ok([sum(|cost| cost.wall) / gb, sum(|cost| cost.cpu) / gb])
    };
    let found = abba(plan.repeats, broker, probe)?;
    report.sample(
        "R1 wall s/GB; R4 CPU s/GB: broker, broker, probe, probe",
        serde_json::json!(found),
    );
    let speed: Vec<f64> = ratios(&found, 0).into_iter().map(|it| 1.0 / it).collect();
    report.add(
        &Row {
            id: "R1",
            what: "produce GB/s on one core / recv + CRC + write".to_owned(),
            floor: 0.35,
            target: 0.55,
            better: Better::Higher,
            unit: "",
        },
        &speed,
    );
    report.add(
        &Row {
            id: "R4",
            what: "broker CPU s per GB produced / recv + CRC + write".to_owned(),
            floor: 3.0,
            target: 1.8,
            better: Better::Lower,
            unit: "",
        },
        &ratios(&found, 1),
    );
    Ok(())
}

/// Wall and CPU seconds for each GB that one broker takes.
pub(super) fn one_broker(plan: &Plan, name: &str) -> anyhow::Result<[f64; 2]> {
    let broker = fresh(plan, name)?;
    let topic = Topic { name: "bulk", partitions: PARTITIONS, configs: &[] };
    load::create_topic(broker.address, &topic)?;
    let frame = frame()?;
    send(broker.address, &frame, 32 << 20)?;
    probes::find_pages(&plan.directory, plan.bytes)?;
    let cpu = machine::process_cpu(broker.pid());
    let (wall, bytes) = send(broker.address, &frame, plan.bytes)?;
    let cpu = machine::process_cpu(broker.pid()) - cpu;
    broker.kill()?;
    std::fs::remove_dir_all(plan.directory.join(name))?;
    let gb = bytes / 1e9;
    Ok([wall / gb, cpu / gb])
}

fn frame() -> anyhow::Result<Vec<u8>> {
    let partitions: Vec<i32> = (0..PARTITIONS).collect();
    load::produce("bulk", &partitions, &load::batch(15, 1024, Codec::None)?, 1)
}

/// Produces about `bytes`; wall seconds and what was sent.
#[expect(clippy::cast_precision_loss, reason = "below 2^53")]
pub(super) fn send(address: SocketAddr, frame: &[u8], bytes: u64) -> anyhow::Result<(f64, f64)> {
    let each = (bytes / frame.len() as u64 / CONNECTIONS).max(1);
    let wall = machine::at(Place::Load, || -> anyhow::Result<f64> {
        let begin = std::time::Instant::now();
        let threads: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                let frame = frame.to_vec();
                std::thread::spawn(move || {
                    load::pipeline(&mut Client::connect(address)?, &frame, each, WINDOW)
                })
            })
            .collect();
        for thread in threads {
            thread.join().map_err(|_| anyhow::anyhow!("a producer panicked"))??;
        }
        Ok(begin.elapsed().as_secs_f64())
    })??;
    Ok((wall, (each * CONNECTIONS * frame.len() as u64) as f64))
}
