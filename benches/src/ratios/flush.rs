//! R7: 64 producers on a topic that flushes every record before the answer, against fdatasync.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use pharos_protocol::compression::Codec;

use crate::Plan;
use crate::broker::{Broker, Start};
use crate::load::{self, Topic};
use crate::machine::Place;
use crate::probes;
use crate::report::{Better, Report, Row};
use crate::stats::{abba, percentile, ratios};

const PRODUCERS: usize = 64;
const TAKES: Duration = Duration::from_secs(3);
/// Syncs of a probe.
const SYNCS: usize = 500;

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    // What is measured is the sharing of syncs, not a core.
    let broker = Broker::start(&Start {
        binary: &plan.binary,
        directory: plan.directory.join("flush"),
        overrides: &[],
        place: Place::Anywhere,
    })?;
    let configs = [("flush.messages", "1")];
    load::create_topic(broker.address, &Topic { name: "sure", partitions: 1, configs: &configs })?;
    let frame = load::produce("sure", &[0], &load::batch(1, 100, Codec::None)?, 1)?;
    let frame = Bytes::from(frame);
    let mut shared = Vec::new();
    let flushes =
        || broker.bean("kafka.log:type=LogFlushStats,name=LogFlushRateAndTimeMs", "Count");
    let found = abba(
        plan.repeats,
        || {
            let before = flushes()?;
            let took = producers(broker.address, &frame)?;
            #[expect(clippy::cast_precision_loss, reason = "a count of seconds' acks")]
            let acks = took.len() as f64;
            shared.push(acks / (flushes()? - before).max(1.0));
            Ok([percentile(&took, 0.5)])
        },
        || Ok([percentile(&probes::data_sync(&plan.directory, SYNCS)?, 0.5)]),
    )?;
    drop(broker);
    report.sample("R7 seconds: broker, broker, fdatasync, fdatasync", serde_json::json!(found));
    report.sample("R7 acks per fdatasync", serde_json::json!(shared));
    report.add(
        &Row {
            id: "R7",
            what: "flush mode, 64 producers: ack p50 / fdatasync p50".to_owned(),
            floor: 4.0,
            target: 2.5,
            better: Better::Lower,
            unit: "",
        },
        &ratios(&found, 0),
    );
    report.add(
        &Row {
            id: "R7",
            what: "flush mode, 64 producers: acks per fdatasync".to_owned(),
            floor: 16.0,
            target: 40.0,
            better: Better::Higher,
            unit: "",
        },
        &shared,
    );
    Ok(())
}

/// Seconds of every ack. All producers are on one thread, for what is measured is the broker: with
/// a thread each they would spend most of the machine on changing between threads.
fn producers(address: SocketAddr, frame: &Bytes) -> anyhow::Result<Vec<f64>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let end = Instant::now() + TAKES;
    runtime.block_on(async {
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|_| tokio::spawn(load::produce_until(address, frame.clone(), end)))
            .collect();
        let mut all = Vec::new();
        for producer in producers {
            all.extend(producer.await??);
        }
        Ok(all)
    })
}
