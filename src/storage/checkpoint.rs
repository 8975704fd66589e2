//! Small text files of a log directory: offsets by partition, and leader epochs.
//!
//! Kafka's format (`CheckpointFile` in apache/kafka): a line with the version 0, a line with the
//! number of entries, a line per entry. A damaged file is reported, never half believed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use pharos_base::{LeaderEpoch, Offset, TopicPartition};

use crate::error::{Context, StorageError};
use crate::fs::{Fs, read_file, replace_file, replace_file_unsynced};

/// Largest checkpoint that is read: a million partitions with the longest names.
const MAX_CHECKPOINT_BYTES: u64 = 300 << 20;

/// Offsets by partition: `recovery-point-offset-checkpoint` and its kin.
pub type OffsetMap = BTreeMap<TopicPartition, Offset>;

/// An epoch and the offset it starts at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEntry {
    /// The leader's epoch.
    pub epoch: LeaderEpoch,
    /// First offset written in it.
    pub start_offset: Offset,
}

/// Reads `path`; an absent file is an empty map.
///
/// # Errors
/// [`StorageError::Damaged`] when a line is not what it must be.
pub fn read_offsets(fs: &dyn Fs, path: &Path) -> Result<OffsetMap, StorageError> {
    let Some(lines) = read_lines(fs, path)? else { return Ok(OffsetMap::new()) };
    let mut offsets = OffsetMap::new();
    for line in lines {
        let entry = parse_offset(&line).ok_or_else(|| unexpected(path, &line))?;
        offsets.insert(entry.0, entry.1);
    }
    Ok(offsets)
}

fn parse_offset(line: &str) -> Option<(TopicPartition, Offset)> {
    let mut words = line.split_ascii_whitespace();
    let (topic, partition, offset) = (words.next()?, words.next()?, words.next()?);
    let (partition, offset): (i32, i64) = (partition.parse().ok()?, offset.parse().ok()?);
    let whole = words.next().is_none() && partition >= 0 && offset >= 0;
    whole.then(|| (TopicPartition::new(topic, partition), Offset(offset)))
}

/// Replaces `path` by `offsets`, durably.
pub fn write_offsets(fs: &dyn Fs, path: &Path, offsets: &OffsetMap) -> Result<(), StorageError> {
    let mut text = format!("0\n{}\n", offsets.len());
    for (partition, offset) in offsets {
        let _ = writeln!(text, "{} {} {offset}", partition.topic, partition.partition);
    }
    replace_file(fs, path, text.as_bytes()).context("write", path)
}

/// Reads a `leader-epoch-checkpoint`; an absent file is empty.
///
/// # Errors
/// [`StorageError::Damaged`] when a line is not what it must be, or epochs or offsets go back.
pub fn read_epochs(fs: &dyn Fs, path: &Path) -> Result<Vec<EpochEntry>, StorageError> {
    let Some(lines) = read_lines(fs, path)? else { return Ok(Vec::new()) };
    let mut entries: Vec<EpochEntry> = Vec::new();
    for line in lines {
        let entry = parse_epoch(&line).ok_or_else(|| unexpected(path, &line))?;
        if let Some(last) = entries.last()
            && (entry.epoch <= last.epoch || entry.start_offset < last.start_offset)
        {
            return Err(StorageError::damaged(path, "epochs or offsets go back"));
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn parse_epoch(line: &str) -> Option<EpochEntry> {
    let (epoch, offset) = line.trim().split_once(' ')?;
    let (epoch, offset): (i32, i64) = (epoch.parse().ok()?, offset.parse().ok()?);
    (epoch >= 0 && offset >= 0)
        .then_some(EpochEntry { epoch: LeaderEpoch(epoch), start_offset: Offset(offset) })
}

/// Replaces a `leader-epoch-checkpoint`; it is not synced here.
pub fn write_epochs(fs: &dyn Fs, path: &Path, entries: &[EpochEntry]) -> Result<(), StorageError> {
    let mut text = format!("0\n{}\n", entries.len());
    for entry in entries {
        let _ = writeln!(text, "{} {}", entry.epoch, entry.start_offset);
    }
    replace_file_unsynced(fs, path, text.as_bytes()).context("write", path)
}

/// The entry lines after checking version and count; `None` when there is no file.
fn read_lines(fs: &dyn Fs, path: &Path) -> Result<Option<Vec<String>>, StorageError> {
    let bytes = match read_file(fs, path, MAX_CHECKPOINT_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(StorageError::damaged(path, error.to_string()));
        }
        Err(error) => return Err(StorageError::io("read", path, error)),
    };
    let text = String::from_utf8(bytes).map_err(|_| StorageError::damaged(path, "not text"))?;
    // A number that was cut short would still be one.
    if !text.ends_with('\n') {
        return Err(StorageError::damaged(path, "its last line is cut off"));
    }
    let mut lines = text.lines();
    if lines.next() != Some("0") {
        return Err(StorageError::damaged(path, "its version is not 0"));
    }
    let count: Option<usize> = lines.next().and_then(|line| line.parse().ok());
    let entries: Vec<String> = lines.map(str::to_owned).collect();
    if count != Some(entries.len()) {
        let what = format!("{} entries where {count:?} are announced", entries.len());
        return Err(StorageError::damaged(path, what));
    }
    Ok(Some(entries))
}

fn unexpected(path: &Path, line: &str) -> StorageError {
    let shown: String = line.chars().take(100).collect();
    StorageError::damaged(path, format!("unexpected line {shown:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::{Open, SimFs};
    use std::io::IoSlice;

    fn fs_with(content: &[u8]) -> SimFs {
        let fs = SimFs::new();
        fs.create_dir_all(Path::new("/d")).unwrap();
        let file = fs.open(Path::new("/d/x"), Open::Create).unwrap();
        file.write_at(&mut [IoSlice::new(content)], 0).unwrap();
        fs
    }

    #[test]
    fn offsets_read_what_was_written() {
        let fs = fs_with(b"");
        let path = Path::new("/d/y");
        assert!(read_offsets(&fs, path).unwrap().is_empty());
        let offsets: OffsetMap = [("a", 0, 5), ("b.c", 17, i64::MAX)]
            .map(|(topic, partition, offset)| {
                (TopicPartition::new(topic, partition), Offset(offset))
            })
            .into();
        write_offsets(&fs, path, &offsets).unwrap();
        assert_eq!(read_offsets(&fs, path).unwrap(), offsets);
        assert_eq!(
            read_file(&fs, path, 100).unwrap(),
            b"0\n2\na 0 5\nb.c 17 9223372036854775807\n"
        );
    }

    #[test]
    fn damaged_checkpoints_are_told_by_name() {
        let cases: [&[u8]; 8] = [
            b"",
            b"1\n0\n",
            b"0\n2\na 0 5\n",
            b"0\n1\na 0\n",
            b"0\n1\na 0 -5\n",
            b"0\n1\na 0 5 6\n",
            b"0\n1\na x 5\n",
            b"0\n1\n\xff 0 5\n",
        ];
        for content in cases {
            let error = read_offsets(&fs_with(content), Path::new("/d/x")).unwrap_err();
            assert!(matches!(error, StorageError::Damaged { .. }), "{content:?} {error}");
        }
        for content in [&b"0\n2\n1 5\n1 6\n"[..], b"0\n2\n1 5\n2 4\n", b"0\n1\n1\n"] {
            let error = read_epochs(&fs_with(content), Path::new("/d/x")).unwrap_err();
            assert!(matches!(error, StorageError::Damaged { .. }), "{content:?} {error}");
        }
    }
}
