//! What a kill left in a log directory, as far as it tells what the broker was doing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use pharos_protocol::batch::batches;

use crate::crash_topics::PARTITIONS;

/// Bytes behind the last batch that the index of a sealed segment tells of, at most: the interval of
/// `log.index.interval.bytes` and two batches.
const UNINDEXED_BYTES: u64 = 1500;

/// The directories in a directory.
pub fn dirs(of: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(of) else { return Vec::new() };
    let entries = entries.map(|entry| entry.unwrap());
    let dirs = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    dirs.map(|entry| entry.path()).collect()
}

/// Sizes of the files in a directory; those that vanish meanwhile are left out.
fn files(dir: &Path) -> BTreeMap<String, u64> {
    let Ok(entries) = fs::read_dir(dir) else { return BTreeMap::new() };
    let entries = entries.flatten();
    let sized = |entry: fs::DirEntry| {
        Some((entry.file_name().into_string().ok()?, entry.metadata().ok()?.len()))
    };
    entries.filter_map(sized).collect()
}

/// Whether any file has this ending.
pub fn has_ending(dir: &Path, ending: &str) -> bool {
    files(dir).keys().any(|name| name.ends_with(ending))
}

/// Names of the segments without their endings, and the bytes of their batches.
fn segments(files: &BTreeMap<String, u64>) -> Vec<(&str, u64)> {
    files.iter().filter_map(|(name, len)| Some((name.strip_suffix(".log")?, *len))).collect()
}

/// Whether the newest segment ends within one of its batches, which all have the same length.
pub fn is_torn(partition: &Path, batch_bytes: u64) -> bool {
    let files = files(partition);
    segments(&files).last().is_some_and(|(_, len)| len % batch_bytes != 0)
}

/// Whether the producers' state was written for a segment that is not begun, or has nothing in it.
pub fn is_rolling(partition: &Path) -> bool {
    let files = files(partition);
    let segments = segments(&files);
    let Some((active, len)) = segments.last() else { return false };
    let snapshots = files.keys().filter_map(|name| name.strip_suffix(".snapshot"));
    snapshots.max().is_some_and(|newest| newest > *active || (newest == *active && *len == 0))
}

/// Whether a sealed segment lacks a part of its indexes, all of which it got when it was sealed.
pub fn is_rebuilding(partition: &Path) -> bool {
    let files = files(partition);
    let segments = segments(&files);
    let sealed = segments.iter().rev().skip(1);
    let has_times =
        |name: &str| files.get(&format!("{name}.timeindex")).is_some_and(|len| *len > 0);
    let is_indexed = |name: &str, len: u64| indexed_to(partition, name) + UNINDEXED_BYTES >= len;
    let is_whole = |name: &str, len: u64| has_times(name) && is_indexed(name, len);
    sealed.into_iter().any(|(name, len)| *len > 0 && !is_whole(name, *len))
}

/// The place of the last batch that an index tells of.
fn indexed_to(partition: &Path, name: &str) -> u64 {
    // Entries of a relative offset and a position.
    let bytes = fs::read(partition.join(format!("{name}.index"))).unwrap_or_default();
    let position = bytes.chunks_exact(8).next_back().map(|entry| entry[4..].try_into().unwrap());
    position.map_or(0, |position| u32::from_be_bytes(position).into())
}

/// How many records of each producer are in a partition, by producer id; of those that appended
/// lately. The broker stands still.
pub fn written(partition: &Path) -> BTreeMap<i64, u64> {
    let names: Vec<_> =
        files(partition).into_keys().filter(|name| name.ends_with(".log")).collect();
    let mut written = BTreeMap::new();
    for name in &names[names.len().saturating_sub(2)..] {
        let bytes = fs::read(partition.join(name)).unwrap();
        // Behind the last whole batch there may be a part of one.
        for batch in batches(&bytes).map_while(Result::ok) {
            let header = batch.header();
            let end = header.base_sequence + header.last_offset_delta + 1;
            written.insert(header.producer_id, u64::try_from(end).unwrap());
        }
    }
    written
}

/// Partitions of topics that come and go: by topic id, the whole ones and the deleted ones.
#[derive(Default)]
struct Parts {
    whole: usize,
    begun: usize,
    deleted: usize,
}

fn changing(data: &Path) -> BTreeMap<String, Parts> {
    let mut topics: BTreeMap<String, Parts> = BTreeMap::new();
    for dir in dirs(data) {
        let name = dir.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.starts_with("changing-") {
            continue;
        }
        let id = fs::read_to_string(dir.join("partition.metadata")).unwrap_or_default();
        let parts = topics.entry(id).or_default();
        let is_whole = has_ending(&dir, ".timeindex");
        match name.ends_with("-delete") {
            true => parts.deleted += 1,
            false if is_whole => parts.whole += 1,
            false => parts.begun += 1,
        }
    }
    topics
}

/// Whether a topic has some of its partitions and lacks others, none of them deleted.
pub fn is_half_made(data: &Path) -> bool {
    let all = usize::try_from(PARTITIONS).unwrap();
    let half = |parts: &Parts| parts.deleted == 0 && (parts.whole < all || parts.begun > 0);
    changing(data).values().any(half)
}

/// Whether some partitions of a topic are deleted and others are not.
pub fn is_half_deleted(data: &Path) -> bool {
    changing(data).values().any(|parts| parts.deleted > 0 && parts.whole > 0)
}

/// Files that are only there while something is written, and that no start leaves.
pub fn leftovers(data: &Path) -> Vec<PathBuf> {
    let stale = |name: &String| {
        [".cleaned", ".swap", ".deleted", ".part"].iter().any(|ending| name.ends_with(ending))
    };
    let of = |dir: &PathBuf| {
        let names = files(dir).into_keys().filter(stale);
        names.map(|name| dir.join(name)).collect::<Vec<_>>()
    };
    dirs(data).iter().flat_map(of).collect()
}
