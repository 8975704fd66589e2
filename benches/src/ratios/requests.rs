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
/// How long each side is asked.
const TAKES: Duration = Duration::from_secs(3);
/// How long each of two brokers side by side is asked before, and then in each of its turns.
const WARM_UP: Duration = Duration::from_secs(1);
const SLICE: Duration = Duration::from_millis(100);
/// Turns of each.
const SLICES: usize = 40;

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let broker = ready(plan, &[], "requests")?;
    let echo = EchoServer::start(Place::Server)?;
    drop(echo.connect()?);
    let frames = frames()?;
    let echoes = vec![vec![7; ECHO_BYTES]; frames.len()];
    let address = broker.address;
    let found = abba(
        plan.repeats,
        || machine::at(Place::Load, || rounds(address, &frames, Client::must_be_acked))?,
        || {
            machine::at(Place::Load, || {
                rounds(echo.address, &echoes, |it| it.receive_raw(ECHO_BYTES))
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

/// Requests per second of two brokers that stand side by side on one core and are asked in turn, for
/// so short a time that whatever else the machine does meets both alike.
pub(super) fn beside(one: (&Plan, &[&str]), other: (&Plan, &[&str])) -> anyhow::Result<[f64; 2]> {
    let start = |(plan, overrides): (&Plan, &[&str]), name| ready(plan, overrides, name);
    let brokers = [start(one, "one")?, start(other, "other")?];
    let addresses = brokers.each_ref().map(|broker| broker.address);
    let frames = frames()?;
    let found = machine::at(Place::Load, move || in_turn(addresses, &frames))??;
    for broker in brokers {
        broker.kill()?;
    }
    for (plan, name) in [(one.0, "one"), (other.0, "other")] {
        std::fs::remove_dir_all(plan.directory.join(name))?;
    }
    Ok(found)
}

/// A broker that is asked now and then.
struct Side {
    clients: Vec<Client>,
    requests: u32,
    took: Duration,
}

fn in_turn([one, other]: [SocketAddr; 2], frames: &[Vec<u8>]) -> anyhow::Result<[f64; 2]> {
    let side = |address| {
        let mut clients = connect(address, frames.len())?;
        // Connections are accepted, files grow and samples fill: that comes once.
        ask(&mut clients, frames, WARM_UP, Client::must_be_acked)?;
        anyhow::Ok(Side { clients, requests: 0, took: Duration::ZERO })
    };
    let turn = |side: &mut Side| {
        let (requests, took) = ask(&mut side.clients, frames, SLICE, Client::must_be_acked)?;
        side.requests += requests;
        side.took += took;
        anyhow::Ok(())
    };
    let (mut one, mut other) = (side(one)?, side(other)?);
    for _ in 0..SLICES / 2 {
        turn(&mut one)?;
        turn(&mut other)?;
        turn(&mut other)?;
        turn(&mut one)?;
    }
    Ok([one, other].map(|side| f64::from(side.requests) / side.took.as_secs_f64()))
}

/// A broker with the topic.
fn ready(plan: &Plan, overrides: &[&str], name: &str) -> anyhow::Result<Broker> {
    let broker = Broker::start(&Start {
        binary: &plan.binary,
        directory: plan.directory.join(name),
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
    answered: fn(&mut Client) -> anyhow::Result<()>,
) -> anyhow::Result<[f64; 1]> {
    let mut clients = connect(address, frames.len())?;
    let (requests, took) = ask(&mut clients, frames, TAKES, answered)?;
    Ok([f64::from(requests) / took.as_secs_f64()])
}

fn connect(address: SocketAddr, count: usize) -> anyhow::Result<Vec<Client>> {
    (0..count).map(|_| Client::connect(address)).collect()
}

/// Asks for so long: the requests that were answered, and the time that they took.
fn ask(
    clients: &mut [Client],
    frames: &[Vec<u8>],
    takes: Duration,
    answered: fn(&mut Client) -> anyhow::Result<()>,
) -> anyhow::Result<(u32, Duration)> {
    let (mut requests, begin) = (0_u32, Instant::now());
    while begin.elapsed() < takes {
        for (client, frame) in clients.iter_mut().zip(frames) {
            client.send(frame)?;
        }
        for client in clients.iter_mut() {
            answered(client)?;
            requests += 1;
        }
    }
    Ok((requests, begin.elapsed()))
}
