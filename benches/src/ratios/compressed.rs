//! R8: producing compressed batches, against decoding the same data with the bare decoder, and
//! against decoding and what no broker is spared: receiving, checking and writing the same bytes.
//!
//! Each partition gets other records: a processor learns a batch that it decodes again and again,
//! and no producer sends one.

use std::io::Read;
use std::time::Instant;

use anyhow::Context;
use bytes::Bytes;
use pharos_protocol::batch::HEADER_LEN;
use pharos_protocol::compression::Codec;

use super::{PARTITIONS, fresh, produce};
use crate::Plan;
use crate::load::{self, Topic};
use crate::machine::{self, Place};
use crate::probes;
use crate::report::{Better, Report, Row};
use crate::stats::{abba, ratios};

/// Records of 1 KiB in a batch: a producer's batch of 16 KiB or so after compression.
const RECORDS: usize = 64;
/// Compressed bytes sent before a measurement.
const WARM_UP_BYTES: u64 = 32 << 20;
const CODECS: [Codec; 4] = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let plain = load::batch(RECORDS, 1024, Codec::None)?.len() - HEADER_LEN;
    let partitions: Vec<i32> = (0..PARTITIONS).collect();
    for codec in CODECS {
        let name = format!("compressed-{}", codec.name());
        let broker = fresh(plan, &name)?;
        load::create_topic(
            broker.address,
            &Topic { name: "bulk", partitions: PARTITIONS, configs: &[] },
        )?;
        let batches = load::batches(partitions.len(), RECORDS, 1024, codec)?;
        let each: Vec<_> = partitions.iter().copied().zip(batches.iter().cloned()).collect();
        let frame = load::produce_each("bulk", &each, 1)?;
        let packed: usize = batches.iter().map(Bytes::len).sum();
        let share = ratio(plain * batches.len(), packed);
        // As many batches as make the plan's bytes when they are plain; gzip is slow.
        let plain_bytes = if codec == Codec::Gzip { plan.bytes / 4 } else { plan.bytes };
        let wire_bytes = plain_bytes / (plain * batches.len()) as u64 * packed as u64;
        let address = broker.address;
        // Connections, buffers and the topic's first segments are there before anything counts.
        produce::send(address, &frame, WARM_UP_BYTES)?;
        let found = abba(
            plan.repeats,
            || {
                probes::find_pages(&plan.directory, wire_bytes)?;
                let (wall, bytes) = produce::send(address, &frame, wire_bytes)?;
                let speed = bytes * share / 1e6 / wall;
                Ok([speed, speed])
            },
            || {
                let count = plain_bytes / plain as u64;
                let wall = machine::at(Place::Server, || decode(codec, &batches, count))??;
                #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
                let bytes = (count * plain as u64) as f64;
                let rest = unspared(plan, wire_bytes, packed / batches.len())?;
                Ok([bytes / 1e6 / wall, bytes / 1e6 / (wall + rest)])
            },
        )?;
        broker.kill()?;
        std::fs::remove_dir_all(plan.directory.join(&name))?;
        let name = codec.name();
        report.sample(
            &format!("R8 {name} MB/s of plain records: broker, broker, decoder, decoder; and all"),
            serde_json::json!(found),
        );
        let row = Row {
            id: "R8",
            what: format!("{name}: produce MB/s on one core / bare decoder"),
            floor: 0.5,
            target: 0.75,
            better: Better::Higher,
            unit: "",
        };
        report.add(&row, &ratios(&found, 0));
        let row = Row {
            what: format!("{name}: the same / decoder + recv + CRC + write"),
            floor: 0.75,
            target: 0.85,
            ..row
        };
        report.add(&row, &ratios(&found, 1));
    }
    Ok(())
}

/// Wall seconds to receive, check and write `bytes` in batches on the broker's core.
fn unspared(plan: &Plan, bytes: u64, batch: usize) -> anyhow::Result<f64> {
    let received = probes::receive(bytes)?;
    let checked = probes::checksum(bytes)?;
    probes::find_pages(&plan.directory, bytes)?;
    let written = probes::write(&plan.directory, bytes, batch)?;
    Ok(received.wall + checked.wall + written.wall)
}

#[expect(clippy::cast_precision_loss, reason = "lengths of batches")]
fn ratio(plain: usize, packed: usize) -> f64 {
    plain as f64 / packed as f64
}

/// Decodes the records of `count` batches, of `batches` by turns, into a buffer that is used again.
fn decode(codec: Codec, batches: &[Bytes], count: u64) -> anyhow::Result<f64> {
    let mut buffer = vec![0; 64 << 10];
    let count = usize::try_from(count)?;
    let begin = Instant::now();
    for batch in batches.iter().cycle().take(count) {
        let packed = batch.get(HEADER_LEN..).context("no batch")?;
        match codec {
            Codec::None => {}
            Codec::Gzip => drain(flate2::read::GzDecoder::new(packed), &mut buffer)?,
            Codec::Lz4 => drain(lz4_flex::frame::FrameDecoder::new(packed), &mut buffer)?,
            Codec::Zstd => drain(zstd::stream::read::Decoder::new(packed)?, &mut buffer)?,
            Codec::Snappy => snappy(packed, &mut buffer)?,
        }
    }
    Ok(begin.elapsed().as_secs_f64())
}

fn drain(mut from: impl Read, buffer: &mut [u8]) -> anyhow::Result<()> {
    while from.read(buffer)? > 0 {}
    Ok(())
}

/// Blocks behind Xerial's 16-byte head, each with its size.
fn snappy(packed: &[u8], buffer: &mut [u8]) -> anyhow::Result<()> {
    let mut rest = packed.get(16..).context("no head")?;
    while let Some((size, after)) = rest.split_first_chunk::<4>() {
        let size = usize::try_from(u32::from_be_bytes(*size))?;
        let (block, after) = after.split_at_checked(size).context("a block is cut")?;
        snap::raw::Decoder::new().decompress(block, buffer)?;
        rest = after;
    }
    Ok(())
}
