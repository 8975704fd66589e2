//! After an unclean stop: every whole, sound batch stays, the torn rest goes, indexes and producer
//! state are built again.
//!
//! Offsets, epochs and lengths lie outside a batch's checksum. What they say is checked against
//! their neighbours ([`order`]).

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pharos_base::{LeaderEpoch, Offset};
use pharos_protocol::batch::RecordBatch;

use super::append::read_marker;
use super::{LoadReport, Log, LogOptions, Segments, Writer};
use crate::epochs::EpochCache;
use crate::error::{Context, StorageError};
use crate::fs::read_file;
use crate::names;
use crate::producer::{Producers, snapshot};
use crate::scan::{Found, Scan};
use crate::segment::Segment;

mod order;

use order::{Next, Order, Step};

/// Largest producer snapshot that is read: a few million producers.
const MAX_SNAPSHOT_BYTES: u64 = 256 << 20;

/// Bytes in front of a scanned segment in which batches are looked for that may be sent again: five
/// of the largest that are taken unless configured otherwise.
const RECALLED_BYTES: u64 = 6 << 20;

/// What recovery came to.
pub(super) struct Recovered {
    pub(super) report: LoadReport,
    pub(super) log_end: i64,
    pub(super) epochs_changed: bool,
    /// Base offset of the first segment that was scanned.
    pub(super) scanned_from: Option<i64>,
    /// The epochs of the checkpoint, if it is sound and says any.
    known_epochs: Option<EpochCache>,
    /// Below it nothing was lost: the recovery point, or anything after a clean stop.
    durable_to: i64,
    /// Whether the last stop was clean.
    clean: bool,
    /// Epoch of the last batch before the segment that is looked at.
    last_epoch: Option<i32>,
}

impl Log {
    /// Scans what was not surely durable, and segments whose indexes are unusable.
    pub(super) fn recover(
        &self,
        writer: &mut Writer,
        options: &LogOptions,
        unusable: &BTreeSet<i64>,
        epochs_damaged: bool,
    ) -> Result<Recovered, StorageError> {
        let segments = self.segments.load_full();
        let clean = options.clean;
        // A segment that ends right at the recovery point may have been sealed after the sync.
        let from = segments.partition_point(|s| s.base_offset < options.recovery_point.0);
        let from = from.saturating_sub(1);
        let mut done = Recovered {
            report: LoadReport::default(),
            log_end: 0,
            epochs_changed: epochs_damaged,
            scanned_from: None,
            known_epochs: Some(writer.epochs.clone()).filter(|known| known.latest().is_some()),
            durable_to: if clean { i64::MAX } else { options.recovery_point.0 },
            clean,
            last_epoch: None,
        };
        for (index, segment) in segments.iter().enumerate() {
            let last = index + 1 == segments.len();
            if let Some(progress) = &options.progress {
                let left = segments.len() - index.max(from);
                progress.store(i64::try_from(left).unwrap_or(0), Ordering::Relaxed);
            }
            let mut scan = !clean && index >= from;
            scan |= unusable.contains(&segment.base_offset) || epochs_damaged;
            if !scan && last {
                match segment.read_next_offset() {
                    Ok(next) => done.log_end = next,
                    // A tail that a clean stop cannot have left.
                    Err(error) if error.kind() == io::ErrorKind::InvalidData => scan = true,
                    Err(error) => {
                        let path = segment.path(names::LOG);
                        return Err(StorageError::io("read", &path, error));
                    }
                }
            }
            if scan {
                done.scanned_from.get_or_insert(segment.base_offset);
            }
            if scan && self.recover_segment(writer, segment, segments.get(index + 1), &mut done)? {
                self.drop_after(&segments, index, &mut done)?;
                break;
            }
        }
        Ok(done)
    }

    /// Scans one segment; `true` when it was cut, so that nothing may follow it.
    fn recover_segment(
        &self,
        writer: &mut Writer,
        segment: &Arc<Segment>,
        next: Option<&Arc<Segment>>,
        done: &mut Recovered,
    ) -> Result<bool, StorageError> {
        let path = segment.path(names::LOG);
        let size = segment.size();
        let scanned = self.scan_segment(writer, segment, next, done).context("recover", &path)?;
        let (position, end, overlaps) = scanned;
        done.report.recovered_segments += 1;
        done.report.rebuilt_indexes += 1;
        done.report.recovered_bytes += size;
        done.log_end = end;
        // Behind a hole nothing was durable: the rest of this segment was lost with the power. Below
        // the recovery point a hole is what the cleaner left, whatever the policy is now; at a start
        // it is not known yet, since the metadata is read after the logs.
        let compact = self.config.load().cleanup_policy.compact;
        let sound_to = end.max(done.durable_to);
        let hole = !compact && next.is_some_and(|next| next.base_offset > sound_to);
        if position == size && !hole {
            if next.is_some() {
                segment.seal().context("complete the indexes of", &path)?;
            }
            return Ok(false);
        }
        if position == size {
            return Ok(true);
        }
        if done.clean && next.is_some() {
            // Nothing was lost with the power: what a clean stop left behind the damage stays.
            tracing::warn!(path = %path.display(), position, size, "damaged; what follows is kept");
            segment.seal().context("complete the indexes of", &path)?;
            return Ok(false);
        }
        done.report.truncated_bytes += size - position;
        if overlaps && next.is_some_and(|next| next.base_offset == end) {
            // A power loss brought back a tail that had been truncated before the next segment was
            // begun: the next one is the newer.
            segment.truncate(position, end).context("truncate", &path)?;
            segment.seal().context("complete the indexes of", &path)?;
            return Ok(false);
        }
        tracing::warn!(path = %path.display(), position, size, "cut off what is no sound batch");
        segment.truncate(position, end).context("truncate", &path)?;
        Ok(true)
    }

    /// Returns where the sound part ends, in bytes and as an offset, and whether batches follow that
    /// belong into the next segment.
    fn scan_segment(
        &self,
        writer: &mut Writer,
        segment: &Segment,
        next: Option<&Arc<Segment>>,
        done: &mut Recovered,
    ) -> io::Result<(u64, i64, bool)> {
        let config = self.config();
        let dense = next.is_none() && !config.cleanup_policy.compact;
        let known = done.known_epochs.clone();
        let mut order = Order::new(segment.base_offset, dense, known, done.last_epoch);
        let rebuild = segment.rebuild()?;
        let file = segment.file()?;
        let mut scan = Scan::verify(file.as_ref(), 0, segment.size());
        let mut epochs: Vec<(LeaderEpoch, Offset)> = Vec::new();
        let mut stopped = false;
        let mut overlaps = false;
        while let Some(found) = scan.next()? {
            overlaps = next.is_some_and(|next| found.header.base_offset >= next.base_offset);
            stopped = overlaps || order.step(&found) == Step::Stop;
            if stopped {
                break;
            }
            rebuild.note(&found, config.index_interval_bytes)?;
            let epoch = LeaderEpoch(found.header.partition_leader_epoch);
            if epochs.last().is_none_or(|(known, _)| *known != epoch) {
                epochs.push((epoch, Offset(found.header.base_offset)));
            }
        }
        if !scan.is_torn() && !stopped {
            order.finish(match next {
                Some(next) => {
                    Some(Next { base_offset: next.base_offset, epoch: next.first_epoch()? })
                }
                None => None,
            });
        }
        done.last_epoch = order.epoch();
        let (position, end) = order.sound_end();
        for (epoch, start) in epochs {
            if start.0 < end && writer.epochs.latest().is_none_or(|latest| epoch > latest) {
                done.epochs_changed |= writer.epochs.assign(epoch, start);
            }
        }
        Ok((position, end, overlaps))
    }

    /// Removes the segments behind a cut one.
    fn drop_after(
        &self,
        segments: &Segments,
        index: usize,
        done: &mut Recovered,
    ) -> Result<(), StorageError> {
        let (kept, gone) = segments.split_at((index + 1).min(segments.len()));
        self.segments.store(Arc::new(kept.to_vec()));
        for segment in gone {
            done.report.truncated_bytes += segment.size();
            let files = self.retire(segment, true)?;
            self.remove_files(&files)?;
        }
        Ok(())
    }

    /// Producer state as of `end`: from a snapshot, and the batches behind it. Segments that were
    /// scanned are among these: their indexes of aborted transactions were emptied, and a producer
    /// may send its last batches again, of which a snapshot knows but one.
    pub(super) fn rebuild_producers(
        &self,
        writer: &mut Writer,
        end: i64,
        scanned_from: Option<i64>,
    ) -> Result<(), StorageError> {
        let upto = scanned_from.map_or(end, |from| from.min(end));
        let (mut producers, from) = self.load_snapshot(end, upto)?;
        writer.last_snapshot = from;
        let start = self.log_start_offset().0;
        let from = from.unwrap_or(start).max(start);
        let segments = self.segments.load_full();
        let before = segments.iter().rfind(|segment| segment.base_offset < from);
        if let (Some(_), Some(segment)) = (scanned_from, before.filter(|_| producers.len() > 0)) {
            let path = segment.path(names::LOG);
            producers.recall(&last_batches(segment, from).context("read", &path)?);
        }
        let first = segments.partition_point(|segment| segment.base_offset <= from);
        for segment in segments.iter().skip(first.saturating_sub(1)) {
            let path = segment.path(names::LOG);
            self.replay(&mut producers, segment, from, end).context("read", &path)?;
        }
        producers.truncate_from_start(start);
        writer.producers = producers;
        Ok(())
    }

    fn replay(
        &self,
        producers: &mut Producers,
        segment: &Segment,
        from: i64,
        end: i64,
    ) -> io::Result<()> {
        if from >= end {
            return Ok(());
        }
        let size = segment.size();
        let Some(first) = segment.locate(from, size)? else { return Ok(()) };
        let file = segment.file()?;
        let mut scan = Scan::headers(file.as_ref(), first.position, size);
        while let Some(found) = scan.next()? {
            if found.header.last_offset() >= end {
                break;
            }
            if found.header.has_producer_id() {
                note(producers, &mut scan, &found, segment)?;
            }
        }
        Ok(())
    }

    /// The newest sound snapshot that is not beyond `upto`, with its offset. Damaged ones, and those
    /// beyond `end`, are removed.
    fn load_snapshot(&self, end: i64, upto: i64) -> Result<(Producers, Option<i64>), StorageError> {
        let entries = self.fs().list(&self.dir).context("list", &self.dir)?;
        let mut offsets: Vec<i64> = entries
            .iter()
            .filter_map(|entry| names::parse_segment(&entry.name))
            .filter(|(_, suffix)| *suffix == names::SNAPSHOT)
            .map(|(offset, _)| offset)
            .collect();
        while let Some(offset) = offsets.pop() {
            let path = self.dir.join(names::segment(offset, names::SNAPSHOT));
            if offset > upto && offset <= end {
                continue;
            }
            if offset <= end {
                let bytes = match read_file(self.fs(), &path, MAX_SNAPSHOT_BYTES) {
                    Err(error) if error.kind() == io::ErrorKind::InvalidData => Vec::new(),
                    read => read.context("read", &path)?,
                };
                if let Some(entries) = snapshot::decode(&bytes) {
                    return Ok((Producers::from_entries(entries), Some(offset)));
                }
                tracing::warn!(path = %path.display(), "producer snapshot is damaged; removed");
            }
            self.remove_files(&[path])?;
        }
        Ok((Producers::default(), None))
    }
}

/// What producers wrote last before the offset `end` of a segment, as far as its last bytes tell.
fn last_batches(segment: &Segment, end: i64) -> io::Result<Producers> {
    let mut producers = Producers::default();
    let file = segment.file()?;
    let start = segment.position_near_end(RECALLED_BYTES)?;
    let mut scan = Scan::headers(file.as_ref(), start, segment.size());
    while let Some(found) = scan.next()? {
        if found.header.last_offset() >= end {
            break;
        }
        producers.note(&found.header);
    }
    Ok(producers)
}

/// Takes one batch up into producer state; markers are opened.
fn note(
    producers: &mut Producers,
    scan: &mut Scan<'_>,
    found: &Found,
    segment: &Segment,
) -> io::Result<()> {
    if !found.header.is_control() {
        producers.note(&found.header);
        return Ok(());
    }
    let Some(bytes) = scan.read(found)? else { return Ok(()) };
    let Ok((batch, _)) = RecordBatch::split(bytes) else { return Ok(()) };
    let Ok(Some(marker)) = read_marker(&batch) else { return Ok(()) };
    let Some(ended) = producers.note_marker(&found.header, marker) else { return Ok(()) };
    let stable = producers.first_open_offset().unwrap_or(found.header.next_offset());
    match ended.aborted_entry(stable) {
        // Recovery emptied the index; after a clean stop the entry is there.
        Some(entry) if !segment.has_aborted(&entry)? => segment.note_aborted(entry),
        _ => Ok(()),
    }
}
