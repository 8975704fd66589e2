//! The step that puts a cleaned segment in the place of those it was made of, and what a start
//! makes of one that a crash interrupted.
//!
//! Steps: write `.cleaned` files and sync them; rename the indexes to `.swap`, then the log: from
//! here on the swap counts as done. The replaced segments are renamed to `.deleted`, then `.swap`
//! loses its ending. A start undoes what has no `.log.swap` and completes what has one.

use std::collections::BTreeSet;
use std::path::Path;

use crate::error::{Context, StorageError};
use crate::fs::{Entry, Fs};
use crate::names;
use crate::scan::Scan;

/// Completes or undoes interrupted swaps in a partition's directory; `true` when anything changed.
pub(crate) fn settle(fs: &dyn Fs, dir: &Path, entries: &[Entry]) -> Result<bool, StorageError> {
    let with_ending = |ending: &str| -> Vec<(i64, String)> {
        let files = entries.iter().filter(|entry| !entry.is_dir);
        files
            .filter_map(|entry| {
                let stem = entry.name.strip_suffix(ending)?;
                let (base, suffix) = names::parse_segment(stem)?;
                Some((base, suffix.to_owned()))
            })
            .collect()
    };
    let (cleaned, swapped) = (with_ending(names::CLEANED), with_ending(names::SWAP));
    if cleaned.is_empty() && swapped.is_empty() {
        return Ok(false);
    }
    let is_log = |file: &&(i64, String)| file.1 == names::LOG;
    let done: BTreeSet<i64> = swapped.iter().filter(is_log).map(|file| file.0).collect();
    for (base, suffix) in &cleaned {
        remove(fs, dir, *base, suffix, names::CLEANED)?;
    }
    for base in &done {
        remove_replaced(fs, dir, *base, entries)?;
    }
    for (base, suffix) in &swapped {
        if done.contains(base) {
            let from = dir.join(names::segment(*base, suffix) + names::SWAP);
            let to = dir.join(names::segment(*base, suffix));
            fs.rename(&from, &to).context("rename", &from)?;
        } else {
            remove(fs, dir, *base, suffix, names::SWAP)?;
        }
    }
    fs.sync_dir(dir).context("sync", dir)?;
    Ok(true)
}

fn remove(
    fs: &dyn Fs,
    dir: &Path,
    base: i64,
    suffix: &str,
    ending: &str,
) -> Result<(), StorageError> {
    let path = dir.join(names::segment(base, suffix) + ending);
    fs.remove_file(&path).context("remove", &path)
}

/// Removes the segments whose offsets the swapped one covers, and the indexes of its own base: those
/// belong to the segment that it replaces.
fn remove_replaced(
    fs: &dyn Fs,
    dir: &Path,
    base: i64,
    entries: &[Entry],
) -> Result<(), StorageError> {
    let path = dir.join(names::segment(base, names::LOG) + names::SWAP);
    let file = fs.open(&path, crate::fs::Open::Read).context("open", &path)?;
    let len = file.len().context("read", &path)?;
    let mut scan = Scan::headers(file.as_ref(), 0, len);
    let mut end = base.saturating_add(1);
    while let Some(found) = scan.next().context("read", &path)? {
        end = found.header.next_offset();
    }
    for entry in entries.iter().filter(|entry| !entry.is_dir) {
        let Some((found, suffix)) = names::parse_segment(&entry.name) else { continue };
        let own = found == base && suffix != names::LOG;
        let kinds = [names::LOG, names::OFFSET_INDEX, names::TIME_INDEX, names::TXN_INDEX];
        if kinds.contains(&suffix) && (own || (found > base && found < end)) {
            let path = dir.join(&entry.name);
            fs.remove_file(&path).context("remove", &path)?;
        }
    }
    Ok(())
}
