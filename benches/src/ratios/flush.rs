//! R7: 64 producers on a topic that flushes every record before the answer, against fdatasync, and
//! against fdatasync and a server that does nothing but answer: where a sync takes as long as a few
//! requests, 64 round trips are most of an ack.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use pharos_protocol::compression::Codec;

use crate::Plan;
use crate::broker::{Broker, Start};
use crate::echo::{ECHO_BYTES, EchoServer};
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
    let message = Bytes::from(message()?);
    let mut shared = Vec::new();
    let flushes =
        || broker.bean("kafka.log:type=LogFlushStats,name=LogFlushRateAndTimeMs", "Count");
    let found = abba(
        plan.repeats,
        || {
            let before = flushes()?;
            let took = producers(broker.address, &frame, load::must_be_ack)?;
            #[expect(clippy::cast_precision_loss, reason = "a count of seconds' acks")]
            let acks = took.len() as f64;
            shared.push(acks / (flushes()? - before).max(1.0));
            let ack = percentile(&took, 0.5);
            Ok([ack, ack])
        },
        || {
            let sync = percentile(&probes::data_sync(&plan.directory, SYNCS)?, 0.5);
            let echo = EchoServer::start(Place::Anywhere)?;
            drop(echo.connect()?);
            let took = producers(echo.address, &message, |_| Ok(()))?;
            Ok([sync, percentile(&took, 0.5) + sync])
        },
    )?;
    drop(broker);
    report.sample(
        "R7 seconds: broker, broker, fdatasync, fdatasync; the same, an echo and an fdatasync",
        serde_json::json!(found),
    );
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
            what: "flush mode, 64 producers: ack p50 / (echo p50 + fdatasync p50)".to_owned(),
            floor: 4.0,
            target: 2.5,
            better: Better::Lower,
            unit: "",
        },
        &ratios(&found, 1),
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

/// What an echo server sends back as it came, and reads as an answer with its size.
fn message() -> anyhow::Result<Vec<u8>> {
    let mut message = vec![0; ECHO_BYTES];
    let size = u32::try_from(ECHO_BYTES - 4)?;
    message.splice(..4, size.to_be_bytes());
    Ok(message)
}

/// Seconds of every ack. All producers are on one thread, for what is measured is the broker: with
/// a thread each they would spend most of the machine on changing between threads.
fn producers(
    address: SocketAddr,
    frame: &Bytes,
    check: fn(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<f64>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let end = Instant::now() + TAKES;
    runtime.block_on(async {
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|_| tokio::spawn(load::ask_until(address, frame.clone(), end, check)))
            .collect();
        let mut all = Vec::new();
        for producer in producers {
            all.extend(producer.await??);
        }
        Ok(all)
    })
}
