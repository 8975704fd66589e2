//! R2: fetching what is in the page cache, against sendfile of a file of the same size.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::ensure;
use pharos_protocol::ApiKey;
use pharos_protocol::compression::Codec;
use pharos_protocol::frame;
use pharos_protocol::messages::FetchResponseRef;

use super::{PARTITIONS, fresh, produce};
use crate::Plan;
use crate::load::{self, Client, Topic};
use crate::machine::{self, Place};
use crate::probes;
use crate::report::{Better, Report, Row};
use crate::stats::{abba, ratios};

/// Records in each batch, which all have the same size.
const RECORDS: usize = 15;
/// Consumers; each has some of the partitions and one fetch in flight.
const CONSUMERS: i32 = 4;

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let broker = fresh(plan, "consume")?;
    load::create_topic(
        broker.address,
        &Topic { name: "bulk", partitions: PARTITIONS, configs: &[] },
    )?;
    let batch = load::batch(RECORDS, 1024, Codec::None)?;
    let partitions: Vec<i32> = (0..PARTITIONS).collect();
    let frame = load::produce("bulk", &partitions, &batch, 1)?;
    let (_, bytes) = produce::send(broker.address, &frame, plan.bytes)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of bytes")]
    let bytes = (bytes * 0.98) as u64;
    let each = bytes / u64::from(CONSUMERS.unsigned_abs());
    let file = probes::cached_file(&plan.directory, bytes)?;
    let address = broker.address;
    let found = abba(
        plan.repeats,
        || {
            let begin = Instant::now();
            let took = machine::at(Place::Load, || consume(address, batch.len(), each))??;
            ensure!(took > 0, "nothing was consumed");
            Ok([rate(took, begin.elapsed().as_secs_f64())])
        },
        || Ok([rate(bytes, probes::send_file(&file, bytes)?)]),
    )?;
    broker.kill()?;
    std::fs::remove_dir_all(plan.directory.join("consume"))?;
    report.sample("R2 MB/s: broker, broker, sendfile, sendfile", serde_json::json!(found));
    report.add(
        &Row {
            id: "R2",
            what: "consume MB/s, hot / sendfile".to_owned(),
            floor: 0.5,
            target: 0.7,
            better: Better::Higher,
            unit: "",
        },
        &ratios(&found, 0),
    );
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "below 2^53")]
fn rate(bytes: u64, seconds: f64) -> f64 {
    bytes as f64 / 1e6 / seconds
}

/// All consumers together take their share each; bytes of records that came.
fn consume(address: SocketAddr, batch_len: usize, each: u64) -> anyhow::Result<u64> {
    let threads: Vec<_> = (0..CONSUMERS)
        .map(|consumer| {
            std::thread::spawn(move || {
                let mine = (0..PARTITIONS).filter(|it| it % CONSUMERS == consumer);
                one_consumer(address, mine.map(|it| (it, 0)).collect(), batch_len, each)
            })
        })
        .collect();
    let mut total = 0;
    for thread in threads {
        total += thread.join().map_err(|_| anyhow::anyhow!("a consumer panicked"))??;
    }
    Ok(total)
}

fn one_consumer(
    address: SocketAddr,
    mut from: Vec<(i32, i64)>,
    batch_len: usize,
    bytes: u64,
) -> anyhow::Result<u64> {
    let mut client = Client::connect(address)?;
    let version = load::fetch_version();
    let mut total = 0;
    while total < bytes {
        client.send(&load::fetch("bulk", &from)?)?;
        let (_, body) = frame::split_response(client.receive()?, ApiKey::Fetch, version)?;
        let answer = FetchResponseRef::decode(body, version)?;
        let mut came = 0;
        for partition in answer.responses.iter().flat_map(|topic| topic.partitions.iter()) {
            let records = partition.records.unwrap_or_default().len() / batch_len * RECORDS;
            came += partition.records.unwrap_or_default().len() as u64;
            let next = from.iter_mut().find(|(index, _)| *index == partition.partition_index);
            if let Some((_, offset)) = next {
                *offset += i64::try_from(records)?;
            }
        }
        ensure!(came > 0, "a fetch came back empty after {total} bytes");
        total += came;
        // An answer is filled from the front: each partition has its turn there.
        from.rotate_left(1);
    }
    Ok(total)
}
