//! R5: requests with one record over 64 connections, against a server that only echoes 64 bytes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use pharos_protocol::compression::Codec;

use super::PARTITIONS;
use crate::Plan;
use crate::broker::{Broker, Start};
use crate::echo::{ECHO_BYTES, EchoServer};
use crate::load::{self, Client, Topic};
use crate::machine::{self, Place};
use crate::report::{Better, Report, Row};
use crate::stats::{abba, ratios};

/// Connections, each with one request in flight.
const CONNECTIONS: i32 = 64;
/// Directory of the broker.
const NAME: &str = "requests";
/// How long each side is asked.
const TAKES: Duration = Duration::from_secs(3);
/// How long a broker of its own is asked before.
const WARM_UP: Duration = Duration::from_secs(1);

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let broker = ready(plan, &[])?;
    let echo = EchoServer::start(Place::Server)?;
    drop(echo.connect()?);
    let frames = frames()?;
    let echoes = vec![vec![7; ECHO_BYTES]; frames.len()];
    let address = broker.address;
    let found = abba(
        plan.repeats,
        || machine::at(Place::Load, || rounds(address, &frames, TAKES, Client::must_be_acked))?,
        || {
            machine::at(Place::Load, || {
                rounds(echo.address, &echoes, TAKES, |it| it.receive_raw(ECHO_BYTES))
            })?
        },
    )?;
    broker.kill()?;
    report.sample("R5 requests/s: broker, broker, echo, echo", serde_json::json!(found));
    report.add(
        &Row {
            id: "R5",
            what: "single-record produce requests/s, 64 connections / 64-byte echo".to_owned(),
            floor: 0.25,
            target: 0.45,
            better: Better::Higher,
            unit: "",
        },
        &ratios(&found, 0),
    );
    Ok(())
}

/// Requests per second of a broker of its own that has been asked for a second before.
pub(super) fn asked(plan: &Plan, overrides: &[&str]) -> anyhow::Result<[f64; 1]> {
    let broker = ready(plan, overrides)?;
    let (address, frames) = (broker.address, frames()?);
    let found = machine::at(Place::Load, move || {
        // Connections are accepted, files grow and samples fill: that comes once.
        rounds(address, &frames, WARM_UP, Client::must_be_acked)?;
        rounds(address, &frames, TAKES, Client::must_be_acked)
    })??;
    broker.kill()?;
    std::fs::remove_dir_all(plan.directory.join(NAME))?;
    Ok(found)
}

/// A broker with the topic.
fn ready(plan: &Plan, overrides: &[&str]) -> anyhow::Result<Broker> {
    let broker = Broker::start(&Start {
        binary: &plan.binary,
        directory: plan.directory.join(NAME),
        overrides,
        place: Place::Server,
    })?;
    let topic = Topic { name: "one", partitions: PARTITIONS, configs: &[] };
    load::create_topic(broker.address, &topic)?;
    Ok(broker)
}

/// A request for each connection.
fn frames() -> anyhow::Result<Vec<Vec<u8>>> {
    let batch = load::batch(1, ECHO_BYTES, Codec::None)?;
    let each = |index| load::produce("one", &[index % PARTITIONS], &batch, 1);
    (0..CONNECTIONS).map(each).collect()
}

/// Requests per second when every connection is asked in turn and then answered in turn.
fn rounds(
    address: SocketAddr,
    frames: &[Vec<u8>],
    takes: Duration,
    answered: fn(&mut Client) -> anyhow::Result<()>,
) -> anyhow::Result<[f64; 1]> {
    let mut clients = Vec::new();
    for _ in frames {
        clients.push(Client::connect(address)?);
    }
    let (mut requests, begin) = (0_u32, Instant::now());
    while begin.elapsed() < takes {
        for (client, frame) in clients.iter_mut().zip(frames) {
            client.send(frame)?;
        }
        for client in &mut clients {
            answered(client)?;
            requests += 1;
        }
    }
    Ok([f64::from(requests) / begin.elapsed().as_secs_f64()])
}
