//! R6: what one producer waits at 500 requests/s, against a loopback round trip at the same rate
//! with messages of the same sizes.

use pharos_protocol::compression::Codec;

use super::fresh;
use crate::Plan;
use crate::load::{self, Client, Topic};
use crate::machine::{self, Place};
use crate::probes;
use crate::report::{Better, Report, Row};
use crate::stats::{abba, percentile, ratios};

const PER_SECOND: u32 = 500;
const REQUESTS: u32 = 2000;

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let broker = fresh(plan, "latency")?;
    load::create_topic(broker.address, &Topic { name: "one", partitions: 1, configs: &[] })?;
    let frame = load::produce("one", &[0], &load::batch(1, 1024, Codec::None)?, 1)?;
    let answer_bytes = {
        let mut client = Client::connect(broker.address)?;
        client.send(&frame)?;
        client.receive()?.len() + 4
    };
    let address = broker.address;
    let found = abba(
        plan.repeats,
        || {
            let mut client = Client::connect(address)?;
            percentiles(|| {
                client.send(&frame)?;
                client.must_be_acked()
            })
        },
        || {
            let mut client = Client::connect(probes::blocking_echo(frame.len(), answer_bytes)?)?;
            percentiles(|| {
                client.send(&frame)?;
                client.receive_raw(answer_bytes)
            })
        },
    )?;
    broker.kill()?;
    report.sample(
        "R6 seconds p50, p99: broker, broker, loopback, loopback",
        serde_json::json!(found),
    );
    for (figure, name, floor, target) in [(0, "p50", 40.0, 20.0), (1, "p99", 60.0, 30.0)] {
        let row = Row {
            id: "R6",
            what: format!("ack {name} at 500 requests/s / loopback round trip {name}"),
            floor,
            target,
            better: Better::Lower,
            unit: "",
        };
        report.add(&row, &ratios(&found, figure));
    }
    Ok(())
}

/// p50 and p99 seconds of `act` at the steady rate.
pub(super) fn percentiles(
    act: impl FnMut() -> anyhow::Result<()> + Send,
) -> anyhow::Result<[f64; 2]> {
    let took = machine::at(Place::Load, || probes::at_rate(REQUESTS, PER_SECOND, act))??;
    Ok([percentile(&took, 0.5), percentile(&took, 0.99)])
}
