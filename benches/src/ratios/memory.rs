//! R15: resident memory of the idle process, of a partition and of an idle connection.

use std::time::Duration;

use super::fresh;
use crate::Plan;
use crate::load::{self, Client, Topic};
use crate::machine::resident;
use crate::report::{Better, Report, Row};

const PARTITIONS: i32 = 1000;
const CONNECTIONS: u32 = 1000;
/// After this long a connection or an allocator has given back what it will.
const SETTLES: Duration = Duration::from_secs(3);

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let mut found: [Vec<f64>; 3] = Default::default();
    for repeat in 0..plan.repeats {
        for (all, one) in found.iter_mut().zip(once(plan, repeat)?) {
            all.push(one);
        }
    }
    report.sample("R15 MB idle; KiB a partition; KiB a connection", serde_json::json!(found));
    let rows = [
        ("resident memory, idle", 60.0, 30.0, " MB"),
        ("resident memory of a partition", 16.0, 6.0, " KiB"),
        ("resident memory of an idle connection", 24.0, 12.0, " KiB"),
    ];
    for ((what, floor, target, unit), values) in rows.into_iter().zip(&found) {
        let better = Better::Lower;
        report.add(&Row { id: "R15", what: what.to_owned(), floor, target, better, unit }, values);
    }
    Ok(())
}

fn once(plan: &Plan, repeat: usize) -> anyhow::Result<[f64; 3]> {
    let broker = fresh(plan, &format!("memory-{repeat}"))?;
    let pid = broker.pid();
    let settled = || {
        std::thread::sleep(SETTLES);
        resident(pid)
    };
    let idle = settled();
    load::create_topic(
        broker.address,
        &Topic { name: "many", partitions: PARTITIONS, configs: &[] },
    )?;
    let with_partitions = settled();
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut client = Client::connect(broker.address)?;
        client.send(&load::api_versions()?)?;
        client.receive()?;
        clients.push(client);
    }
    let with_connections = settled();
    let partition = (with_partitions - idle) / f64::from(PARTITIONS) / 1024.0;
    let connection = (with_connections - with_partitions) / f64::from(CONNECTIONS) / 1024.0;
    Ok([idle / 1e6, partition, connection])
}
