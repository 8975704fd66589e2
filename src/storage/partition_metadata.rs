//! `partition.metadata`: which topic a partition's directory belongs to
//! (`PartitionMetadataFile` in apache/kafka).

use std::io;
use std::path::Path;

use pharos_base::TopicId;

use crate::error::{Context, StorageError};
use crate::fs::{Fs, read_file, replace_file_unsynced};
use crate::names;

const MAX_BYTES: u64 = 4096;
/// What stands before the id.
const BEGIN: &str = "version: 0\ntopic_id: ";

/// Reads the id; `None` when there is no file, or an empty one that a power failure left.
pub(crate) fn read(fs: &dyn Fs, dir: &Path) -> Result<Option<TopicId>, StorageError> {
    let path = dir.join(names::PARTITION_METADATA);
    let bytes = match read_file(fs, &path, MAX_BYTES) {
        Ok(bytes) if bytes.is_empty() => return Ok(None),
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(StorageError::damaged(&path, error.to_string()));
        }
        Err(error) => return Err(StorageError::io("read", &path, error)),
    };
    match parse(&bytes) {
        Some(id) => Ok(Some(id)),
        None => Err(StorageError::damaged(&path, "no version 0 with a topic id")),
    }
}

fn parse(bytes: &[u8]) -> Option<TopicId> {
    let mut lines = std::str::from_utf8(bytes).ok()?.lines();
    let version = lines.next()?.strip_prefix("version:")?.trim();
    let id = lines.next()?.strip_prefix("topic_id:")?.trim();
    (version == "0").then_some(())?;
    // Kafka pads none, but tools of others do.
    TopicId::parse(id.trim_end_matches('='))
}

/// Whether the file holds the beginning of what is written there, and nothing else.
fn is_torn(fs: &dyn Fs, path: &Path) -> bool {
    let Ok(bytes) = read_file(fs, path, MAX_BYTES) else { return false };
    let whole = text(TopicId::ZERO);
    let (begin, id) = bytes.split_at(bytes.len().min(BEGIN.len()));
    bytes.len() < whole.len()
        && BEGIN.as_bytes().starts_with(begin)
        && id.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn text(id: TopicId) -> String {
    format!("{BEGIN}{id}")
}

/// The id that the directory has, or `wanted`, written now if it has none; zero when neither. After a
/// stop that was not `clean` the beginning of an id is none: the first flush makes it durable.
///
/// # Errors
/// [`StorageError::Damaged`] when the directory belongs to another topic than `wanted`.
pub(crate) fn settle(
    fs: &dyn Fs,
    dir: &Path,
    wanted: Option<TopicId>,
    clean: bool,
) -> Result<TopicId, StorageError> {
    let path = dir.join(names::PARTITION_METADATA);
    let found = match read(fs, dir) {
        Err(StorageError::Damaged { .. }) if !clean && is_torn(fs, &path) => None,
        found => found?,
    };
    match (found, wanted) {
        (Some(found), Some(wanted)) if found != wanted => {
            let what = format!("it says topic id {found} where {wanted} is expected");
            Err(StorageError::damaged(&path, what))
        }
        (Some(found), _) => Ok(found),
        (None, None) => Ok(TopicId::ZERO),
        (None, Some(wanted)) => {
            // Made durable with the directory by the first flush.
            replace_file_unsynced(fs, &path, text(wanted).as_bytes()).context("write", &path)?;
            Ok(wanted)
        }
    }
}
