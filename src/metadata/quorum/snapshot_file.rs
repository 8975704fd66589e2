//! Snapshots of the image: Kafka's `.checkpoint` files, named by the offset and epoch that they
//! reach to. Written whole beside the log, synced, then renamed; the older ones go afterwards.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use pharos_base::{Clock, LeaderEpoch, Offset};
use pharos_protocol::batch::{ControlRecord, RecordBatch};
use pharos_protocol::encode_to_bytes;
use pharos_protocol::messages::{SnapshotFooterRecord, SnapshotHeaderRecord};
use pharos_storage::fs::{Fs, Open, read_file};
use serde::{Deserialize, Serialize};

use super::entry::{control_batch, read_control};
use super::{EntryError, LogId, METADATA_DIRECTORY, QuorumError, StoredMembership};
use crate::image::{MetadataDelta, MetadataImage, Provenance};
use crate::record::{decode_batch, encode_batch};

const SUFFIX: &str = ".checkpoint";
/// Ending of a snapshot that is being written.
const PART: &str = ".checkpoint.part";
/// Records in one batch of a snapshot.
const RECORDS_PER_BATCH: usize = 1_000;
/// Longest snapshot that is read: no image of this size fits into memory, so that each one that was
/// written is read again.
const MAX_SNAPSHOT_BYTES: u64 = 64 << 30;
const HEADER_KIND: i16 = 3;
const FOOTER_KIND: i16 = 4;

/// What a snapshot contains, apart from the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SnapshotMeta {
    pub last_log_id: Option<LogId>,
    pub membership: StoredMembership,
    /// Offset behind the last record that it contains.
    pub next_offset: i64,
}

/// A snapshot and what it says.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub meta: SnapshotMeta,
    pub image: MetadataImage,
    pub bytes: Bytes,
}

/// The quorum's part of a snapshot's header record.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    last_log_id: Option<LogId>,
    membership: StoredMembership,
    next_offset: i64,
    last_epoch: i32,
}

/// The snapshots of a directory.
#[derive(Clone)]
pub(crate) struct Snapshots {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    clock: Clock,
    latest: Arc<LatestSnapshot>,
}

/// What beans tell of the newest snapshot.
#[derive(Debug)]
pub(crate) struct LatestSnapshot {
    bytes: AtomicU64,
    since_ms: AtomicI64,
}

impl LatestSnapshot {
    /// Its size in bytes; 0 without one.
    pub fn bytes(&self) -> i64 {
        i64::try_from(self.bytes.load(Ordering::Relaxed)).unwrap_or(i64::MAX)
    }

    /// How long ago it was made; without one, how long ago the node started.
    pub fn age_ms(&self, now_ms: i64) -> i64 {
        now_ms.saturating_sub(self.since_ms.load(Ordering::Relaxed)).max(0)
    }

    fn set(&self, snapshot: &Snapshot, now_ms: i64) {
        self.bytes.store(snapshot.bytes.len() as u64, Ordering::Relaxed);
        self.since_ms.store(now_ms, Ordering::Relaxed);
    }
}

impl Snapshots {
    pub fn new(fs: Arc<dyn Fs>, dir: &Path, clock: Clock) -> Self {
        let since_ms = AtomicI64::new(clock.now_ms());
        let latest = Arc::new(LatestSnapshot { bytes: AtomicU64::new(0), since_ms });
        Self { fs, dir: dir.to_owned(), clock, latest }
    }

    /// The newest snapshot as beans tell it.
    pub fn latest(&self) -> Arc<LatestSnapshot> {
        self.latest.clone()
    }

    /// Removes what a kill left of a snapshot that was being written.
    pub fn remove_unfinished(&self) -> Result<(), QuorumError> {
        for entry in self.fs.list(&self.dir).map_err(QuorumError::io(&self.dir))? {
            if entry.name.ends_with(PART) {
                let path = self.dir.join(entry.name);
                self.fs.remove_file(&path).map_err(QuorumError::io(path))?;
            }
        }
        Ok(())
    }

    /// Names of the snapshots, the newest last.
    fn names(&self) -> io::Result<Vec<String>> {
        let mut names: Vec<String> =
            self.fs.list(&self.dir)?.into_iter().map(|entry| entry.name).collect();
        names.retain(|name| is_name(name));
        names.sort_unstable();
        Ok(names)
    }

    /// Reads the newest snapshot.
    ///
    /// # Errors
    /// [`QuorumError::DamagedFile`] when it is not whole; an older one would lack what the log has
    /// forgotten since.
    pub fn newest(&self) -> Result<Option<Snapshot>, QuorumError> {
        let names = self.names().map_err(QuorumError::io(&self.dir))?;
        let Some(name) = names.last() else {
            return Ok(None);
        };
        let path = self.dir.join(name);
        let bytes = read_file(&*self.fs, &path, MAX_SNAPSHOT_BYTES)
            .map_err(QuorumError::io(path.clone()))?;
        match read(bytes.into()) {
            Ok(snapshot) => {
                self.latest.bytes.store(snapshot.bytes.len() as u64, Ordering::Relaxed);
                Ok(Some(snapshot))
            }
            Err(reason) => Err(QuorumError::DamagedFile { path, reason }),
        }
    }

    /// Writes a snapshot and removes the older ones; durable on return.
    pub fn save(&self, snapshot: &Snapshot) -> Result<(), QuorumError> {
        let epoch = snapshot.image.provenance().last_epoch.0.max(0);
        let name = format!("{:020}-{epoch:010}{SUFFIX}", snapshot.meta.next_offset);
        let path = self.dir.join(&name);
        self.write(&path, &snapshot.bytes).map_err(QuorumError::io(&path))?;
        self.latest.set(snapshot, self.clock.now_ms());
        for older in self.names().map_err(QuorumError::io(&self.dir))? {
            if older < name {
                let path = self.dir.join(older);
                self.fs.remove_file(&path).map_err(QuorumError::io(path))?;
            }
        }
        Ok(())
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let part = path.with_extension(PART.trim_start_matches('.'));
        let file = self.fs.open(&part, Open::Truncate)?;
        file.write_at(&mut [IoSlice::new(bytes)], 0)?;
        file.sync()?;
        self.fs.rename(&part, path)?;
        self.fs.sync_dir(&self.dir)
    }
}

/// The image of the newest snapshot below `log_dir`; empty when there is none. What is read before
/// the quorum starts: settings that the start itself follows.
///
/// # Errors
/// [`QuorumError::DamagedFile`] when the snapshot is not whole.
pub fn stored_image(fs: &Arc<dyn Fs>, log_dir: &Path) -> Result<MetadataImage, QuorumError> {
    let dir = log_dir.join(METADATA_DIRECTORY);
    let is_there = fs.list(log_dir).map_err(QuorumError::io(log_dir))?;
    if !is_there.iter().any(|entry| entry.name == METADATA_DIRECTORY) {
        return Ok(MetadataImage::empty());
    }
    let newest = Snapshots::new(fs.clone(), &dir, Clock::real()).newest()?;
    Ok(newest.map_or_else(MetadataImage::empty, |snapshot| snapshot.image))
}

fn is_name(name: &str) -> bool {
    let Some((offset, epoch)) = name.strip_suffix(SUFFIX).and_then(|stem| stem.split_once('-'))
    else {
        return false;
    };
    let digits = |text: &str, len| text.len() == len && text.bytes().all(|b| b.is_ascii_digit());
    digits(offset, 20) && digits(epoch, 10)
}

/// Makes the bytes of a snapshot.
pub(crate) fn build(image: MetadataImage, meta: SnapshotMeta) -> Result<Snapshot, EntryError> {
    let provenance = image.provenance();
    let header = SnapshotHeaderRecord {
        version: 0,
        last_contained_log_timestamp: provenance.last_timestamp_ms.max(0),
    };
    let quorum = Header {
        last_log_id: meta.last_log_id,
        membership: meta.membership.clone(),
        next_offset: meta.next_offset,
        last_epoch: provenance.last_epoch.0,
    };
    let now_ms = provenance.last_timestamp_ms;
    let value = encode_to_bytes(&header, 0)?;
    let mut batches =
        vec![control_batch(ControlRecord::SnapshotHeader(&value), Some(&quorum), now_ms)?];
    for records in image.write_snapshot().chunks(RECORDS_PER_BATCH) {
        batches.push(encode_batch(records, now_ms)?);
    }
    let value = encode_to_bytes(&SnapshotFooterRecord { version: 0 }, 0)?;
    let none: Option<&Header> = None;
    batches.push(control_batch(ControlRecord::SnapshotFooter(&value), none, now_ms)?);
    let bytes = joined(&batches)?;
    Ok(Snapshot { meta, image, bytes })
}

/// Batches one behind the other, with offsets from 0 on.
pub(crate) fn joined(batches: &[Bytes]) -> Result<Bytes, EntryError> {
    let mut bytes = BytesMut::with_capacity(batches.iter().map(Bytes::len).sum());
    let mut offset = 0;
    for batch in batches {
        let (view, _) = RecordBatch::split(batch)?;
        let mut header = *view.header();
        header.assign(offset, 0);
        offset = header.next_offset();
        bytes.extend_from_slice(&header.to_bytes());
        bytes.extend_from_slice(view.body());
    }
    Ok(bytes.freeze())
}

/// Reads a snapshot, every byte of it checked.
pub(crate) fn read(bytes: Bytes) -> Result<Snapshot, String> {
    let mut image = MetadataImage::empty();
    let mut delta = MetadataDelta::default();
    let mut header: Option<(SnapshotHeaderRecord, Header)> = None;
    let mut ended = false;
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let position = bytes.len() - rest.len();
        let at = |error: &dyn std::fmt::Display| format!("at byte {position}: {error}");
        let (batch, behind) = RecordBatch::split(rest).map_err(|error| at(&error))?;
        batch.check_crc().map_err(|error| at(&error))?;
        rest = behind;
        if ended {
            return Err(at(&"a batch follows the footer"));
        }
        if batch.header().is_control() {
            let (kind, quorum) = read_control::<Header>(&batch).map_err(|error| at(&error))?;
            match (kind, quorum) {
                (HEADER_KIND, Some(quorum)) if header.is_none() => {
                    header = Some((header_record(&batch).map_err(|error| at(&error))?, quorum));
                }
                (FOOTER_KIND, _) if header.is_some() => ended = true,
                _ => return Err(at(&"an unexpected control record")),
            }
            continue;
        }
        for record in decode_batch(&batch).map_err(|error| at(&error))? {
            image.apply(&record, &mut delta).map_err(|error| at(&error))?;
        }
    }
    let (record, quorum) = header.ok_or("it has no header")?;
    if !ended {
        return Err("it ends before its footer".to_owned());
    }
    image.set_provenance(Provenance {
        last_offset: Offset(quorum.next_offset - 1),
        last_epoch: LeaderEpoch(quorum.last_epoch),
        last_timestamp_ms: record.last_contained_log_timestamp,
    });
    let meta = SnapshotMeta {
        last_log_id: quorum.last_log_id,
        membership: quorum.membership,
        next_offset: quorum.next_offset,
    };
    Ok(Snapshot { meta, image, bytes })
}

fn header_record(batch: &RecordBatch<'_>) -> Result<SnapshotHeaderRecord, String> {
    let open = batch.open(MAX_SNAPSHOT_BYTES).map_err(|error| error.to_string())?;
    let record = open.records().next().ok_or("the header is empty")?;
    let record = record.map_err(|error| error.to_string())?;
    SnapshotHeaderRecord::decode(record.value.unwrap_or_default(), 0)
        .map_err(|error| error.to_string())
}
