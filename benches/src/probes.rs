//! What the machine does without a broker: the ceilings.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::fs::sendfile;

use crate::load;
use crate::machine::{Cost, Place, Stopwatch, at, stay};

/// One read or write of a large transfer: what a broker's connection takes at once.
const PIECE: usize = 256 << 10;
/// A producer's batch.
pub(crate) const BATCH: usize = 16 << 10;
/// Files that writes go to in turn, as partitions do.
const FILES: usize = 16;

fn listen() -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Receives `bytes` over loopback; the cost is the receiver's.
pub(crate) fn receive(bytes: u64) -> anyhow::Result<Cost> {
    let (listener, address) = listen()?;
    let sender = std::thread::spawn(move || -> anyhow::Result<()> {
        stay(Place::Load);
        let mut stream = TcpStream::connect(address)?;
        let piece = vec![7; PIECE];
        for _ in 0..bytes / PIECE as u64 {
            stream.write_all(&piece)?;
        }
        Ok(())
    });
    let cost = at(Place::Server, || -> anyhow::Result<Cost> {
        let (mut stream, _) = listener.accept()?;
        let mut piece = vec![0; PIECE];
        let watch = Stopwatch::start();
        while stream.read(&mut piece)? > 0 {}
        Ok(watch.stop())
    })??;
    sender.join().map_err(|_| anyhow::anyhow!("the sender panicked"))??;
    Ok(cost)
}

/// Computes CRC-32C of `bytes` in batches that are not in the nearest cache.
pub(crate) fn checksum(bytes: u64) -> anyhow::Result<Cost> {
    let data = vec![7_u8; 4 << 20];
    at(Place::Server, || {
        let watch = Stopwatch::start();
        let mut sum = 0;
        for batch in data.chunks(BATCH).cycle().take(pieces(bytes, BATCH)) {
            sum ^= crc32c::crc32c(std::hint::black_box(batch));
        }
        std::hint::black_box(sum);
        watch.stop()
    })
}

/// Reads a file of `bytes` from the page cache and computes CRC-32C of its batches.
pub(crate) fn checksum_scan(file: &File, bytes: u64) -> anyhow::Result<Cost> {
    at(Place::Server, || {
        let mut piece = vec![0; PIECE];
        let watch = Stopwatch::start();
        let mut sum = 0;
        for index in 0..pieces(bytes, PIECE) {
            file.read_exact_at(&mut piece, (index * PIECE) as u64)?;
            for batch in piece.chunks(BATCH) {
                sum ^= crc32c::crc32c(batch);
            }
        }
        std::hint::black_box(sum);
        Ok(watch.stop())
    })?
}

/// Has the machine find memory for `bytes` of page cache, and frees them again. A virtual machine gives
/// memory that it does not use back to its host: the first writer after that pays several times as
/// much for every page, whoever it is.
pub(crate) fn find_pages(directory: &Path, bytes: u64) -> anyhow::Result<()> {
    // As a log is written, or the kernel takes other pages for it; half as many more, since some stay.
    write(directory, bytes + bytes / 2, BATCH)?;
    Ok(())
}

/// The same for memory of a process.
pub(crate) fn find_memory(bytes: usize) {
    std::hint::black_box(vec![1_u8; bytes]);
}

/// Appends `bytes` in batches to some files in turn, without a sync.
pub(crate) fn write(directory: &Path, bytes: u64, batch: usize) -> anyhow::Result<Cost> {
    let directory = tempfile::tempdir_in(directory)?;
    let open = |index: usize| File::create(directory.path().join(index.to_string()));
    let files = (0..FILES).map(open).collect::<Result<Vec<_>, _>>()?;
    at(Place::Server, || {
        let piece = vec![7; batch];
        let watch = Stopwatch::start();
        for (index, file) in files.iter().cycle().take(pieces(bytes, batch)).enumerate() {
            file.write_all_at(&piece, (index / FILES * batch) as u64)?;
        }
        Ok(watch.stop())
    })?
}

fn pieces(bytes: u64, piece: usize) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX) / piece
}

/// Sends a file of `bytes` from the page cache over loopback; wall seconds at the receiver.
pub(crate) fn send_file(file: &File, bytes: u64) -> anyhow::Result<f64> {
    let (listener, address) = listen()?;
    let file = file.try_clone()?;
    let sender = std::thread::spawn(move || -> anyhow::Result<()> {
        stay(Place::Server);
        let (stream, _) = listener.accept()?;
        let mut offset = 0;
        while offset < bytes {
            let rest = usize::try_from(bytes - offset)?.min(1 << 20);
            if sendfile(&stream, &file, Some(&mut offset), rest)? == 0 {
                break;
            }
        }
        Ok(())
    });
    let wall = at(Place::Load, || -> anyhow::Result<f64> {
        let mut stream = TcpStream::connect(address)?;
        let begin = Instant::now();
        load::drain(&mut stream, bytes)?;
        Ok(begin.elapsed().as_secs_f64())
    })??;
    sender.join().map_err(|_| anyhow::anyhow!("the sender panicked"))??;
    Ok(wall)
}

/// A file of `bytes` that is in the page cache.
pub(crate) fn cached_file(directory: &Path, bytes: u64) -> anyhow::Result<File> {
    let mut file = tempfile::tempfile_in(directory)?;
    let piece = vec![7; PIECE];
    for _ in 0..pieces(bytes, PIECE) {
        file.write_all(&piece)?;
    }
    Ok(file)
}

/// A peer that answers `request_bytes` with `answer_bytes`, blocking, without a runtime.
pub(crate) fn blocking_echo(request: usize, answer: usize) -> anyhow::Result<SocketAddr> {
    let (listener, address) = listen()?;
    std::thread::spawn(move || -> anyhow::Result<()> {
        stay(Place::Server);
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let (mut input, output) = (vec![0; request], vec![0; answer]);
        loop {
            stream.read_exact(&mut input)?;
            stream.write_all(&output)?;
        }
    });
    Ok(address)
}

/// Seconds that each of `count` appends with fdatasync takes.
pub(crate) fn data_sync(directory: &Path, count: usize) -> anyhow::Result<Vec<f64>> {
    let mut file = tempfile::tempfile_in(directory)?;
    let record = [7; 200];
    (0..count)
        .map(|_| {
            let begin = Instant::now();
            file.write_all(&record)?;
            file.sync_data()?;
            Ok(begin.elapsed().as_secs_f64())
        })
        .collect()
}

/// Calls `act` `count` times at a steady rate whatever the answers take (open loop); seconds from
/// the moment that each was due.
pub(crate) fn at_rate(
    count: u32,
    per_second: u32,
    mut act: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Vec<f64>> {
    let step = Duration::from_secs(1) / per_second;
    let begin = Instant::now() + step;
    let mut took = Vec::new();
    for index in 0..count {
        let due = begin + step * index;
        wait_until(due);
        act().with_context(|| format!("request {index}"))?;
        took.push(due.elapsed().as_secs_f64());
    }
    Ok(took)
}

/// Sleeps, and spins at the end: a timer is later than what is measured.
fn wait_until(due: Instant) {
    let spin = Duration::from_micros(300);
    let left = due.saturating_duration_since(Instant::now());
    if left > spin {
        std::thread::sleep(left - spin);
    }
    while Instant::now() < due {
        std::hint::spin_loop();
    }
}
