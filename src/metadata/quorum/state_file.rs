//! What the voter must not forget: its vote, and where its log begins. One small file, replaced
//! whole and synced before anyone is told.
//!
//! Beside it a hint of what was committed, written without waiting for the disk: it only tells
//! damage from a write that was never finished.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pharos_storage::fs::{Fs, Open, read_file, replace_file};
use serde::{Deserialize, Serialize};

use super::{LogId, QuorumError, Vote};

/// Name of the file with vote and beginning.
pub(crate) const STATE_FILE: &str = "pharos-quorum-state";
/// Name of the file with the hint.
const COMMITTED_FILE: &str = "pharos-committed";
/// Version of the file that is written.
const VERSION: u32 = 1;
/// Longest file that is read.
const MAX_BYTES: u64 = 4096;

/// Where the log begins: everything up to `last` is in a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Beginning {
    /// Term of the last entry that is gone.
    pub term: u64,
    /// Its index.
    pub index: u64,
    /// Offset behind its last record.
    pub next_offset: i64,
}

impl Beginning {
    pub fn log_id(self) -> LogId {
        LogId::new(openraft::CommittedLeaderId::new(self.term, 0), self.index)
    }
}

/// Content of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QuorumState {
    version: u32,
    /// Term and node that this voter voted for.
    pub vote: Option<(u64, u64)>,
    /// Where the log begins; `None` when it still begins at offset 0.
    pub beginning: Option<Beginning>,
}

/// The file and its content.
pub(crate) struct StateFile {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    state: QuorumState,
}

impl StateFile {
    /// Reads the file, or starts empty when there is none.
    pub fn open(fs: Arc<dyn Fs>, dir: &Path) -> Result<Self, QuorumError> {
        let path = dir.join(STATE_FILE);
        let state = match read_file(&*fs, &path, MAX_BYTES) {
            Ok(bytes) => parse(&bytes, &path)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => QuorumState::default(),
            Err(error) => return Err(QuorumError::io(path)(error)),
        };
        Ok(Self { fs, dir: dir.to_owned(), state })
    }

    /// What it holds.
    pub fn state(&self) -> QuorumState {
        self.state
    }

    /// The vote. It comes back as not yet granted by a quorum: a node that starts again stands for
    /// election in a new term.
    pub fn vote(&self) -> Option<Vote> {
        self.state.vote.map(|(term, node)| Vote::new(term, node))
    }

    /// Stores a vote; it is durable on return.
    pub fn save_vote(&mut self, vote: &Vote) -> Result<(), QuorumError> {
        let leader = vote.leader_id();
        let vote = leader.voted_for.map(|node| (leader.term, node));
        // That the vote was granted is not kept: nothing to write when only this changed.
        if self.state.vote == vote {
            return Ok(());
        }
        self.save(QuorumState { vote, ..self.state })
    }

    /// Stores where the log begins; it is durable on return.
    pub fn save_beginning(&mut self, beginning: Beginning) -> Result<(), QuorumError> {
        self.save(QuorumState { beginning: Some(beginning), ..self.state })
    }

    /// Makes the file when it is not there, so that the directory is known as ours.
    pub fn create(&mut self) -> Result<(), QuorumError> {
        if self.state.version == VERSION {
            return Ok(());
        }
        self.save(self.state)
    }

    fn save(&mut self, state: QuorumState) -> Result<(), QuorumError> {
        let state = QuorumState { version: VERSION, ..state };
        let path = self.dir.join(STATE_FILE);
        let json = serde_json::to_string(&state).map_err(|error| QuorumError::DamagedFile {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        let text = format!("{json}\n{:08x}\n", crc32c::crc32c(json.as_bytes()));
        replace_file(&*self.fs, &path, text.as_bytes()).map_err(QuorumError::io(path))?;
        self.state = state;
        Ok(())
    }

    /// Notes how far entries are committed, as a hint.
    pub fn hint_committed(&self, committed: Option<LogId>) -> Result<(), QuorumError> {
        let path = self.dir.join(COMMITTED_FILE);
        let (term, index) =
            committed.map_or((0, u64::MAX), |log_id| (log_id.leader_id.term, log_id.index));
        let mut bytes = [0; 20];
        let (numbers, crc) = bytes.split_at_mut(16);
        let (first, second) = numbers.split_at_mut(8);
        first.copy_from_slice(&term.to_be_bytes());
        second.copy_from_slice(&index.to_be_bytes());
        crc.copy_from_slice(&crc32c::crc32c(numbers).to_be_bytes());
        let file = self.fs.open(&path, Open::Create).map_err(QuorumError::io(&path))?;
        file.write_at(&mut [IoSlice::new(&bytes)], 0).map_err(QuorumError::io(&path))
    }

    /// The hint; `None` when there is none or it is torn.
    pub fn committed(&self) -> Option<LogId> {
        let bytes = read_file(&*self.fs, &self.dir.join(COMMITTED_FILE), MAX_BYTES).ok()?;
        let (numbers, rest) = bytes.split_first_chunk::<16>()?;
        let crc = u32::from_be_bytes(*rest.first_chunk::<4>()?);
        if crc != crc32c::crc32c(numbers) {
            return None;
        }
        let term = u64::from_be_bytes(*numbers.first_chunk::<8>()?);
        let index = u64::from_be_bytes(*numbers.last_chunk::<8>()?);
        (index != u64::MAX).then(|| LogId::new(openraft::CommittedLeaderId::new(term, 0), index))
    }
}

fn parse(bytes: &[u8], path: &Path) -> Result<QuorumState, QuorumError> {
    let damaged = |reason: &str| QuorumError::DamagedFile {
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    let text = std::str::from_utf8(bytes).map_err(|_| damaged("it is not text"))?;
    let (json, crc) = text.trim_end().split_once('\n').ok_or_else(|| damaged("it is cut off"))?;
    if crc != format!("{:08x}", crc32c::crc32c(json.as_bytes())) {
        return Err(damaged("its checksum does not fit"));
    }
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let Versioned { version } =
        serde_json::from_str(json).map_err(|error| damaged(&error.to_string()))?;
    if version > VERSION {
        let path = path.to_owned();
        return Err(QuorumError::NewerVersion { path, found: version, known: VERSION });
    }
    serde_json::from_str(json).map_err(|error| damaged(&error.to_string()))
}
