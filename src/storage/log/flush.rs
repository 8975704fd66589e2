//! Flushing: what was appended becomes durable, one sync for all who wait.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex};
use pharos_base::Offset;
use tokio::sync::Notify;
use tracing::Instrument as _;

use super::Log;
use crate::error::StorageError;
use crate::fs::Open;
use crate::names;

/// Who waits for a sync, and how far it has come.
#[derive(Debug)]
pub(super) struct Flusher {
    state: Mutex<State>,
    done: Condvar,
    wake: Notify,
    /// Files were made or renamed since the directory was last synced.
    pub(super) dir_changed: AtomicBool,
    /// The same of the epoch checkpoint.
    pub(super) epochs_changed: AtomicBool,
    /// The partition's directory is not yet surely in its log directory.
    dir_is_new: AtomicBool,
}

#[derive(Debug)]
struct State {
    flushed: i64,
    running: bool,
    failed: Option<StorageError>,
    /// Syncs so far, and the last one for which there was no file handle.
    rounds: u64,
    passing: Option<(u64, StorageError)>,
    last_flush_ms: i64,
}

impl Flusher {
    pub(super) fn new(flushed: Offset, now_ms: i64) -> Self {
        let state = State {
            flushed: flushed.0,
            running: false,
            failed: None,
            rounds: 0,
            passing: None,
            last_flush_ms: now_ms,
        };
        Self {
            state: Mutex::new(state),
            done: Condvar::new(),
            wake: Notify::new(),
            dir_changed: AtomicBool::new(true),
            epochs_changed: AtomicBool::new(true),
            dir_is_new: AtomicBool::new(true),
        }
    }

    pub(super) fn flushed(&self) -> Offset {
        Offset(self.state.lock().flushed)
    }

    /// After a truncation nothing at or beyond `end` counts as durable.
    pub(super) fn truncate(&self, end: Offset) {
        let mut state = self.state.lock();
        state.flushed = state.flushed.min(end.0);
    }

    /// The log begins anew at `offset`.
    pub(super) fn reset(&self, offset: Offset) {
        self.state.lock().flushed = offset.0;
    }

    /// Syncs that have ended.
    fn rounds(&self) -> u64 {
        self.state.lock().rounds
    }

    /// `Some` when there is nothing to wait for any more, for who began to wait after `since` syncs.
    fn join(&self, upto: Offset, since: u64) -> Option<Result<(), StorageError>> {
        let state = self.state.lock();
        if state.flushed >= upto.0 {
            return Some(Ok(()));
        }
        let passing = state.passing.as_ref().filter(|(round, _)| *round > since);
        let failed = state.failed.as_ref().or(passing.map(|(_, error)| error));
        failed.cloned().map(Err)
    }

    fn try_lead(&self) -> bool {
        !std::mem::replace(&mut self.state.lock().running, true)
    }

    fn finish(&self, result: Result<Offset, StorageError>, now_ms: i64) {
        let mut state = self.state.lock();
        state.running = false;
        state.rounds += 1;
        state.last_flush_ms = now_ms;
        match result {
            Ok(offset) => state.flushed = state.flushed.max(offset.0),
            Err(error) if error.lacks_handles() => state.passing = Some((state.rounds, error)),
            Err(error) => state.failed = Some(error),
        }
        drop(state);
        self.done.notify_all();
        self.wake.notify_waiters();
    }
}

/// Whoever leads the next sync of this log: it starts on the disk's pool when this drops, also when
/// the one that waits for it has gone.
struct Lead(Arc<Log>);

impl Drop for Lead {
    fn drop(&mut self) {
        let log = self.0.clone();
        self.0.home.pool().spawn(move || log.lead_flush());
    }
}

impl Log {
    /// Makes everything that was appended durable, and blocks until it is.
    ///
    /// # Errors
    /// A failed sync takes the directory offline: what it lost cannot be known. One for which a file
    /// could not be opened was none, and may be tried again.
    pub fn flush(&self) -> Result<(), StorageError> {
        let (upto, since) = (self.log_end_offset(), self.flusher.rounds());
        loop {
            if let Some(outcome) = self.flusher.join(upto, since) {
                return outcome;
            }
            if self.flusher.try_lead() {
                self.lead_flush();
            } else {
                let mut state = self.flusher.state.lock();
                if state.running {
                    self.flusher.done.wait(&mut state);
                }
            }
        }
    }

    /// Waits until everything before `upto` is durable. Many may wait at once: while one sync runs on
    /// the disk's pool, those that come share the next.
    ///
    /// # Errors
    /// As [`Self::flush`].
    pub async fn flushed(self: &Arc<Self>, upto: Offset) -> Result<(), StorageError> {
        let span = tracing::debug_span!("log.flush", log = %self.partition);
        self.until_flushed(upto).instrument(span).await
    }

    async fn until_flushed(self: &Arc<Self>, upto: Offset) -> Result<(), StorageError> {
        let since = self.flusher.rounds();
        loop {
            let woken = self.flusher.wake.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            if let Some(outcome) = self.flusher.join(upto, since) {
                return outcome;
            }
            if self.flusher.try_lead() {
                let lead = Lead(self.clone());
                // Whoever is ready to append does so before the sync begins, and shares it.
                tokio::task::yield_now().await;
                drop(lead);
            }
            woken.await;
        }
    }

    /// Starts a flush on the disk's pool unless one runs; nobody waits.
    pub fn flush_in_background(self: &Arc<Self>) {
        if self.recovery_point() < self.log_end_offset() && self.flusher.try_lead() {
            drop(Lead(self.clone()));
        }
    }

    /// Makes durable what lies in segments that are no longer written to, on the disk's pool; nobody
    /// waits. Kafka does so whenever a log begins a segment: recovery then reads the last one alone.
    pub fn flush_sealed_in_background(self: &Arc<Self>) {
        if self.recovery_point() < self.sealed_end() && self.flusher.try_lead() {
            let log = self.clone();
            self.home.pool().spawn(move || log.end_flush(log.sync(log.sealed_end(), false)));
        }
    }

    /// Where the segment begins that is written to.
    fn sealed_end(&self) -> Offset {
        Offset(self.segments.load().last().map_or(0, |active| active.base_offset))
    }

    /// Whether `flush.ms` have passed since the last flush, with something to flush.
    pub fn is_flush_due(&self) -> bool {
        let flush_ms = self.config.load().flush_ms;
        let state = self.flusher.state.lock();
        let waited = self.clock.now_ms().saturating_sub(state.last_flush_ms);
        state.flushed < self.log_end_offset().0 && waited >= flush_ms
    }

    fn lead_flush(&self) {
        self.end_flush(self.sync(self.log_end_offset(), true));
    }

    fn end_flush(&self, result: Result<Offset, StorageError>) {
        if let Err(error) = result.as_ref()
            && error.lacks_handles()
        {
            tracing::warn!(log = %self.partition, %error, "not flushed; it is tried again");
        }
        self.flusher.finish(result, self.clock.now_ms());
    }

    /// Syncs every segment that holds something undurable, the active one only if `all`; what lies
    /// below `upto` is durable then. Sealed ones with their indexes, for they will not be looked at
    /// again by recovery.
    fn sync(&self, upto: Offset, all: bool) -> Result<Offset, StorageError> {
        self.home.check()?;
        let from = self.recovery_point().0;
        // The end was read before the segments: what it counts lies in them.
        let segments = self.segments.load_full();
        // A segment that ends right there was durable, but not yet sealed, when it was synced.
        let first = segments.partition_point(|segment| segment.base_offset < from);
        self.sync_surroundings()?;
        for (index, segment) in segments.iter().enumerate().skip(first.saturating_sub(1)) {
            let began = self.clock.monotonic();
            let sealed = index + 1 < segments.len();
            if !sealed && !all {
                break;
            }
            let synced = segment
                .sync_log()
                .and_then(|()| if sealed { segment.sync_indexes() } else { Ok(()) });
            // Cleaned or deleted meanwhile: what took its place was durable before it did.
            if synced.is_err() && segment.is_retired() {
                continue;
            }
            let path = segment.path(names::LOG);
            self.lasting(synced.map_err(|error| StorageError::io("sync", &path, error)))?;
            if let Some(metrics) = &self.metrics {
                metrics.flushed(self.clock.monotonic().saturating_sub(began));
            }
        }
        Ok(upto)
    }

    /// Syncs what the batches need beside themselves: epochs, the directory, and once its name.
    fn sync_surroundings(&self) -> Result<(), StorageError> {
        let failed = |path: &Path, error| StorageError::io("sync", path, error);
        let flusher = &self.flusher;
        once(&flusher.epochs_changed, || {
            for name in [names::EPOCHS, names::PARTITION_METADATA] {
                let path = self.dir.join(name);
                match self.fs().open(&path, Open::Write).and_then(|file| file.sync()) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        self.lasting(Err(failed(&path, error)))?;
                    }
                    _ => {}
                }
            }
            flusher.dir_changed.store(true, Ordering::Release);
            Ok(())
        })?;
        once(&flusher.dir_changed, || {
            let synced = self.fs().sync_dir(&self.dir);
            self.lasting(synced.map_err(|error| failed(&self.dir, error)))
        })?;
        let Some(parent) = self.dir.parent() else { return Ok(()) };
        once(&flusher.dir_is_new, || {
            let synced = self.fs().sync_dir(parent);
            self.lasting(synced.map_err(|error| failed(parent, error)))
        })
    }

    /// As `guard`, but for what no failure is forgivable of, not even for want of room: a sync, and
    /// what leaves the files of a log half renamed. Without a file handle nothing was begun.
    pub(super) fn lasting<T>(&self, result: Result<T, StorageError>) -> Result<T, StorageError> {
        let result = self.unless_deleted(result);
        match &result {
            Err(StorageError::Closed { .. } | StorageError::NoHandles { .. }) | Ok(_) => {}
            Err(error) => self.home.fail(error),
        }
        result
    }
}

/// Does what `flag` asks for and takes it back; what failed is asked for again.
fn once(
    flag: &AtomicBool,
    act: impl FnOnce() -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    if !flag.swap(false, Ordering::AcqRel) {
        return Ok(());
    }
    act().inspect_err(|_| flag.store(true, Ordering::Release))
}
