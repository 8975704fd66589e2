//! Committed entries into the image, in their order, on every voter; and snapshots of it.
//!
//! It reads no clock: two voters that applied the same entries hold the same image.

use std::io::Cursor;
use std::sync::Arc;

use arc_swap::ArcSwap;
use openraft::storage::{RaftStateMachine, Snapshot as RaftSnapshot, SnapshotMeta as RaftMeta};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder, StorageIOError};
use pharos_base::{LeaderEpoch, Offset};
use pharos_protocol::batch::RecordBatch;

use super::snapshot_file::{self, Snapshot, SnapshotMeta};
use super::{
    Applied, Entry, LogId, LogStore, Proposal, Snapshots, StorageError, StoredMembership,
    TypeConfig,
};
use crate::image::{MetadataDelta, MetadataImage, Provenance};
use crate::record::decode_batch;

/// What followers of the log are told after entries were applied.
pub(crate) struct Commit {
    pub image: Arc<MetadataImage>,
    pub delta: MetadataDelta,
    /// Whether it came from a snapshot and not from entries.
    pub from_snapshot: bool,
}

/// Where the machine stands, for whoever looks at it from outside.
#[derive(Clone, Debug, Default)]
pub(crate) struct MachineView {
    pub image: Arc<MetadataImage>,
    /// Offset behind the last record that was applied.
    pub next_offset: i64,
    pub last_applied: Option<LogId>,
    /// Bytes of entries applied since the last snapshot.
    pub bytes_since_snapshot: u64,
}

/// Receives what was committed; must not block.
pub(crate) type Sink = Box<dyn Fn(Commit) + Send + Sync>;

/// The image and what leads to it.
pub(crate) struct Machine {
    view: Arc<ArcSwap<MachineView>>,
    membership: StoredMembership,
    snapshots: Snapshots,
    log: LogStore,
    sink: Sink,
}

impl Machine {
    /// Starts from the newest snapshot.
    pub fn new(newest: Option<&Snapshot>, snapshots: Snapshots, log: LogStore, sink: Sink) -> Self {
        let mut machine = Self {
            view: Arc::default(),
            membership: StoredMembership::default(),
            snapshots,
            log,
            sink,
        };
        if let Some(snapshot) = newest {
            machine.restore(snapshot);
        }
        machine
    }

    /// Where it stands; follows it.
    pub fn view(&self) -> Arc<ArcSwap<MachineView>> {
        self.view.clone()
    }

    fn restore(&mut self, snapshot: &Snapshot) {
        let before = self.view.load_full();
        let image = Arc::new(snapshot.image.clone());
        let delta = MetadataDelta::between(&before.image, &image);
        self.membership = snapshot.meta.membership.clone();
        if let Some(last) = snapshot.meta.last_log_id {
            self.log.set_snapshot_end(last, snapshot.meta.next_offset);
        }
        self.view.store(Arc::new(MachineView {
            image: image.clone(),
            next_offset: snapshot.meta.next_offset,
            last_applied: snapshot.meta.last_log_id,
            bytes_since_snapshot: 0,
        }));
        (self.sink)(Commit { image, delta, from_snapshot: true });
    }

    fn apply_entry(
        &mut self,
        entry: &Entry,
        view: &mut MachineView,
        image: &mut MetadataImage,
        delta: &mut MetadataDelta,
    ) -> Result<Applied, String> {
        let base_offset = view.next_offset;
        let mut timestamp_ms = image.provenance().last_timestamp_ms;
        let mut crc = 0;
        match &entry.payload {
            EntryPayload::Blank => view.next_offset += 1,
            EntryPayload::Membership(membership) => {
                view.next_offset += 1;
                self.membership = StoredMembership::new(Some(entry.log_id), membership.clone());
            }
            EntryPayload::Normal(proposal) => {
                let told = apply_batch(proposal, image, delta)?;
                view.next_offset += told.records;
                view.bytes_since_snapshot += proposal.batch.len() as u64;
                timestamp_ms = told.timestamp_ms;
                crc = told.crc;
            }
        }
        view.last_applied = Some(entry.log_id);
        let epoch = i32::try_from(entry.log_id.leader_id.term).unwrap_or(i32::MAX);
        image.set_provenance(Provenance {
            last_offset: Offset(view.next_offset - 1),
            last_epoch: LeaderEpoch(epoch),
            last_timestamp_ms: timestamp_ms,
        });
        Ok(Applied { base_offset, crc })
    }
}

/// A committed entry that does not fit the image: going on would let voters drift apart.
fn unsound(log_id: LogId, reason: &str) -> StorageError {
    tracing::error!("entry {} of the metadata log cannot be applied: {reason}", log_id.index);
    let error = std::io::Error::new(std::io::ErrorKind::InvalidData, reason.to_owned());
    StorageIOError::apply(log_id, &error).into()
}

struct Told {
    records: i64,
    timestamp_ms: i64,
    crc: u32,
}

fn apply_batch(
    proposal: &Proposal,
    image: &mut MetadataImage,
    delta: &mut MetadataDelta,
) -> Result<Told, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let (batch, _) = RecordBatch::split(&proposal.batch).map_err(|error| text(&error))?;
    for record in decode_batch(&batch).map_err(|error| text(&error))? {
        image.apply(&record, delta).map_err(|error| text(&error))?;
    }
    let header = batch.header();
    Ok(Told {
        records: header.next_offset() - header.base_offset,
        timestamp_ms: header.max_timestamp,
        crc: header.crc,
    })
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), StorageError> {
        Ok((self.view.load().last_applied, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Applied>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut view = MachineView::clone(&self.view.load());
        let mut image = MetadataImage::clone(&view.image);
        let mut delta = MetadataDelta::default();
        let mut applied = Vec::new();
        for entry in entries {
            let told = self.apply_entry(&entry, &mut view, &mut image, &mut delta);
            applied.push(told.map_err(|reason| unsound(entry.log_id, &reason))?);
        }
        let image = Arc::new(image);
        view.image = image.clone();
        self.view.store(Arc::new(view));
        (self.sink)(Commit { image, delta, from_snapshot: false });
        Ok(applied)
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder {
            view: self.view.clone(),
            membership: self.membership.clone(),
            snapshots: self.snapshots.clone(),
            log: self.log.clone(),
        }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, StorageError> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        meta: &RaftMeta<u64, openraft::BasicNode>,
        snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), StorageError> {
        let read = snapshot_file::read(snapshot.into_inner().into());
        let snapshot = read.map_err(|reason| broken(meta, &reason))?;
        let snapshots = self.snapshots.clone();
        let saved = tokio::task::spawn_blocking(move || {
            snapshots.save(&snapshot).map(|()| snapshot).map_err(|error| error.to_string())
        });
        let saved = saved.await.map_err(|error| error.to_string()).and_then(|saved| saved);
        let snapshot = saved.map_err(|reason| broken(meta, &reason))?;
        self.restore(&snapshot);
        Ok(())
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> Result<Option<RaftSnapshot<TypeConfig>>, StorageError> {
        let snapshots = self.snapshots.clone();
        let newest = tokio::task::spawn_blocking(move || snapshots.newest()).await;
        let newest = newest.map_err(std::io::Error::other);
        match newest.and_then(|newest| newest.map_err(std::io::Error::other)) {
            Ok(newest) => Ok(newest.map(handed_out)),
            Err(error) => Err(StorageIOError::read_snapshot(None, &error).into()),
        }
    }
}

fn broken(meta: &RaftMeta<u64, openraft::BasicNode>, reason: &str) -> StorageError {
    let error = std::io::Error::new(std::io::ErrorKind::InvalidData, reason.to_owned());
    StorageIOError::write_snapshot(Some(meta.signature()), &error).into()
}

fn handed_out(snapshot: Snapshot) -> RaftSnapshot<TypeConfig> {
    RaftSnapshot {
        meta: RaftMeta {
            last_log_id: snapshot.meta.last_log_id,
            last_membership: snapshot.meta.membership,
            snapshot_id: snapshot.meta.next_offset.to_string(),
        },
        snapshot: Box::new(Cursor::new(snapshot.bytes.to_vec())),
    }
}

/// Makes a snapshot of the image as it was when the builder was.
pub(crate) struct Builder {
    view: Arc<ArcSwap<MachineView>>,
    membership: StoredMembership,
    snapshots: Snapshots,
    log: LogStore,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    async fn build_snapshot(&mut self) -> Result<RaftSnapshot<TypeConfig>, StorageError> {
        let view = self.view.load_full();
        let meta = SnapshotMeta {
            last_log_id: view.last_applied,
            membership: self.membership.clone(),
            next_offset: view.next_offset,
        };
        let snapshots = self.snapshots.clone();
        let built = tokio::task::spawn_blocking(move || {
            let snapshot = snapshot_file::build(MetadataImage::clone(&view.image), meta)
                .map_err(|error| error.to_string())?;
            snapshots.save(&snapshot).map_err(|error| error.to_string())?;
            Ok(snapshot)
        });
        let built = built.await.map_err(|error| error.to_string()).and_then(|built| built);
        let snapshot = built.map_err(|reason: String| {
            let error = std::io::Error::other(reason);
            StorageError::from(StorageIOError::write_snapshot(None, &error))
        })?;
        if let Some(last) = snapshot.meta.last_log_id {
            self.log.set_snapshot_end(last, snapshot.meta.next_offset);
        }
        self.view.rcu(|view| {
            let mut view = MachineView::clone(view);
            view.bytes_since_snapshot = 0;
            view
        });
        Ok(handed_out(snapshot))
    }
}
