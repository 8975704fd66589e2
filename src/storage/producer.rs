//! What a log remembers of its idempotent and transactional producers. Pure: no file, no clock.
//!
//! Rules of `ProducerStateManager`, `ProducerStateEntry` and `ProducerAppendInfo` in apache/kafka
//! (KIP-98, KIP-360): the last five batches of a producer are remembered, a batch that is one of
//! them is a duplicate, sequences follow one another, a stale epoch is fenced.

pub(crate) mod snapshot;

use std::collections::{BTreeMap, HashMap, VecDeque};

use pharos_protocol::batch::{BatchHeader, sequence_plus};

use crate::index::AbortedTxn;

/// Batches remembered of each producer (`ProducerStateEntry.NUM_BATCHES_TO_RETAIN`).
const REMEMBERED_BATCHES: usize = 5;

/// One remembered batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RememberedBatch {
    /// Sequence of its last record.
    pub last_sequence: i32,
    /// Offset of its last record.
    pub last_offset: i64,
    /// Last less first offset.
    pub offset_delta: i32,
    /// Its largest timestamp, in ms.
    pub timestamp: i64,
}

/// State of one producer (DescribeProducers shows it).
#[derive(Clone, Debug, PartialEq)]
pub struct ProducerEntry {
    /// Its id.
    pub producer_id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// Epoch of the transaction coordinator that wrote its last marker; −1 without.
    pub coordinator_epoch: i32,
    /// Timestamp of its last batch or marker, in ms.
    pub last_timestamp: i64,
    /// First offset of the open transaction.
    pub txn_first_offset: Option<i64>,
    /// The last batches, oldest first.
    pub(crate) batches: VecDeque<RememberedBatch>,
}

/// Why a batch of a producer is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProducerError {
    /// INVALID_PRODUCER_EPOCH
    #[error("epoch {epoch} of producer {producer_id} is older than {current}")]
    StaleEpoch {
        /// The producer.
        producer_id: i64,
        /// What came.
        epoch: i16,
        /// What is known.
        current: i16,
    },
    /// OUT_OF_ORDER_SEQUENCE_NUMBER
    #[error("sequence {sequence} of producer {producer_id} does not follow {last}")]
    OutOfOrder {
        /// The producer.
        producer_id: i64,
        /// First sequence of what came.
        sequence: i32,
        /// Last sequence known; −1 when there is none.
        last: i32,
    },
    /// TRANSACTION_COORDINATOR_FENCED
    #[error("coordinator epoch {epoch} for producer {producer_id} is older than {current}")]
    StaleCoordinator {
        /// The producer.
        producer_id: i64,
        /// What came.
        epoch: i32,
        /// What is known.
        current: i32,
    },
    /// INVALID_TXN_STATE
    #[error("producer {producer_id} sent a batch outside its open transaction")]
    NotTransactional {
        /// The producer.
        producer_id: i64,
    },
}

/// The end of a transaction that a marker brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CompletedTxn {
    pub(crate) producer_id: i64,
    pub(crate) first_offset: i64,
    pub(crate) last_offset: i64,
    pub(crate) aborted: bool,
}

/// A transaction marker as far as producer state is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) aborted: bool,
    pub(crate) coordinator_epoch: i32,
}

impl RememberedBatch {
    /// Offset of its first record.
    pub fn first_offset(&self) -> i64 {
        self.last_offset - i64::from(self.offset_delta)
    }

    /// Sequence of its first record.
    pub fn first_sequence(&self) -> i32 {
        // Sequences run from 0 to 2^31 − 1 and start again.
        self.last_sequence.wrapping_sub(self.offset_delta) & i32::MAX
    }
}

impl ProducerEntry {
    fn new(producer_id: i64) -> Self {
        Self {
            producer_id,
            epoch: -1,
            coordinator_epoch: -1,
            last_timestamp: -1,
            txn_first_offset: None,
            batches: VecDeque::new(),
        }
    }

    /// Sequence of the last record; −1 without.
    pub fn last_sequence(&self) -> i32 {
        self.batches.back().map_or(-1, |batch| batch.last_sequence)
    }

    /// Offset of the last record; −1 without.
    pub fn last_offset(&self) -> i64 {
        self.batches.back().map_or(-1, |batch| batch.last_offset)
    }

    fn duplicate_of(&self, header: &BatchHeader) -> Option<RememberedBatch> {
        if header.producer_epoch != self.epoch {
            return None;
        }
        let (first, last) = (header.base_sequence, header.last_sequence());
        self.batches
            .iter()
            .find(|batch| batch.first_sequence() == first && batch.last_sequence == last)
            .copied()
    }

    fn check(&self, header: &BatchHeader) -> Result<(), ProducerError> {
        let producer_id = self.producer_id;
        if header.producer_epoch < self.epoch {
            let (epoch, current) = (header.producer_epoch, self.epoch);
            return Err(ProducerError::StaleEpoch { producer_id, epoch, current });
        }
        let (sequence, last) = (header.base_sequence, self.last_sequence());
        let in_order = if header.producer_epoch != self.epoch {
            // A new epoch starts from 0; the first batch of an unknown producer may start
            // anywhere, for its earlier ones may have been deleted.
            sequence == 0 || self.epoch == -1
        } else {
            // After −1, which stands for none, comes 0.
            sequence == sequence_plus(last, 1)
        };
        if !in_order {
            return Err(ProducerError::OutOfOrder { producer_id, sequence, last });
        }
        if self.txn_first_offset.is_some() && !header.is_transactional() {
            return Err(ProducerError::NotTransactional { producer_id });
        }
        Ok(())
    }

    fn note(&mut self, header: &BatchHeader) {
        if header.producer_epoch != self.epoch {
            self.epoch = header.producer_epoch;
            self.batches.clear();
        }
        // A log that lost its state took the producer in again where it remembered less: what came
        // before is no longer what a repeated batch may be compared with.
        if self.last_sequence().wrapping_add(1) & i32::MAX != header.base_sequence {
            self.batches.clear();
        }
        if self.batches.len() >= REMEMBERED_BATCHES {
            self.batches.pop_front();
        }
        self.batches.push_back(RememberedBatch {
            last_sequence: header.last_sequence(),
            last_offset: header.last_offset(),
            offset_delta: header.last_offset_delta,
            timestamp: header.max_timestamp,
        });
        self.last_timestamp = header.max_timestamp;
        if header.is_transactional() && self.txn_first_offset.is_none() {
            self.txn_first_offset = Some(header.base_offset);
        }
    }
}

/// State of all producers of one log.
#[derive(Debug, Default)]
pub(crate) struct Producers {
    entries: HashMap<i64, ProducerEntry>,
    /// First offsets of open transactions, with their producers.
    open: BTreeMap<i64, i64>,
    /// Ended transactions by first offset, kept until the high watermark passes the last one.
    unreplicated: BTreeMap<i64, i64>,
}

impl Producers {
    pub(crate) fn from_entries(entries: Vec<ProducerEntry>) -> Self {
        let mut producers = Self::default();
        for entry in entries {
            if let Some(first) = entry.txn_first_offset {
                producers.open.insert(first, entry.producer_id);
            }
            producers.entries.insert(entry.producer_id, entry);
        }
        producers
    }

    /// All producers, by id.
    pub(crate) fn entries(&self) -> Vec<ProducerEntry> {
        let mut entries: Vec<_> = self.entries.values().cloned().collect();
        entries.sort_by_key(|entry| entry.producer_id);
        entries
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The remembered batch of which this one is a copy.
    pub(crate) fn duplicate_of(&self, header: &BatchHeader) -> Option<RememberedBatch> {
        self.entries.get(&header.producer_id)?.duplicate_of(header)
    }

    /// Whether a client's batch may follow what is known.
    pub(crate) fn check(&self, header: &BatchHeader) -> Result<(), ProducerError> {
        match self.entries.get(&header.producer_id) {
            Some(entry) => entry.check(header),
            None => Ok(()),
        }
    }

    /// Whether a marker may be written.
    pub(crate) fn check_marker(
        &self,
        header: &BatchHeader,
        marker: Marker,
    ) -> Result<(), ProducerError> {
        let Some(entry) = self.entries.get(&header.producer_id) else { return Ok(()) };
        let producer_id = header.producer_id;
        if header.producer_epoch < entry.epoch {
            let (epoch, current) = (header.producer_epoch, entry.epoch);
            return Err(ProducerError::StaleEpoch { producer_id, epoch, current });
        }
        if marker.coordinator_epoch < entry.coordinator_epoch {
            let (epoch, current) = (marker.coordinator_epoch, entry.coordinator_epoch);
            return Err(ProducerError::StaleCoordinator { producer_id, epoch, current });
        }
        Ok(())
    }

    /// Takes up a batch that is in the log.
    pub(crate) fn note(&mut self, header: &BatchHeader) {
        if !header.has_producer_id() || header.is_control() {
            return;
        }
        let id = header.producer_id;
        let entry = self.entries.entry(id).or_insert_with(|| ProducerEntry::new(id));
        let was_open = entry.txn_first_offset.is_some();
        entry.note(header);
        if let (false, Some(first)) = (was_open, entry.txn_first_offset) {
            self.open.insert(first, id);
        }
    }

    /// Remembers the batches before the last one of each producer, where `seen` saw them.
    pub(crate) fn recall(&mut self, seen: &Self) {
        for entry in self.entries.values_mut() {
            let Some(seen) = seen.entries.get(&entry.producer_id) else { continue };
            let place =
                |entry: &ProducerEntry| (entry.epoch, entry.last_sequence(), entry.last_offset());
            if place(seen) == place(entry) {
                entry.batches.clone_from(&seen.batches);
            }
        }
    }

    /// Takes up a marker that is in the log; the transaction that it ends, if one was open.
    pub(crate) fn note_marker(
        &mut self,
        header: &BatchHeader,
        marker: Marker,
    ) -> Option<CompletedTxn> {
        let id = header.producer_id;
        let entry = self.entries.entry(id).or_insert_with(|| ProducerEntry::new(id));
        if header.producer_epoch > entry.epoch {
            entry.epoch = header.producer_epoch;
            entry.batches.clear();
        }
        entry.coordinator_epoch = marker.coordinator_epoch;
        entry.last_timestamp = header.max_timestamp;
        let first_offset = entry.txn_first_offset.take()?;
        self.open.remove(&first_offset);
        let last_offset = header.last_offset();
        self.unreplicated.insert(first_offset, last_offset);
        Some(CompletedTxn { producer_id: id, first_offset, last_offset, aborted: marker.aborted })
    }

    /// First offset of the oldest open transaction.
    pub(crate) fn first_open_offset(&self) -> Option<i64> {
        self.open.keys().next().copied()
    }

    /// First offset whose transaction is not decided below `high_watermark`; readers with
    /// read_committed stop before it.
    pub(crate) fn first_unstable_offset(&mut self, high_watermark: i64) -> Option<i64> {
        self.unreplicated.retain(|_, last| *last >= high_watermark);
        let open = self.first_open_offset();
        let ended = self.unreplicated.keys().next().copied();
        open.into_iter().chain(ended).min()
    }

    /// Whether any transaction may be undecided.
    pub(crate) fn has_transactions(&self) -> bool {
        !self.open.is_empty() || !self.unreplicated.is_empty()
    }

    /// Forgets producers that were silent since `before_ms`; those within a transaction stay.
    pub(crate) fn expire(&mut self, before_ms: i64) -> usize {
        let before = self.entries.len();
        self.entries.retain(|_, entry| {
            entry.txn_first_offset.is_some() || entry.last_timestamp > before_ms
        });
        if self.entries.is_empty() {
            self.entries = HashMap::new();
        }
        before - self.entries.len()
    }

    /// Forgets ended transactions that lie before the log's start.
    pub(crate) fn truncate_from_start(&mut self, start: i64) {
        self.unreplicated.retain(|_, last| *last >= start);
    }
}

impl CompletedTxn {
    /// The entry of the transaction index, when the transaction was aborted.
    pub(crate) fn aborted_entry(&self, last_stable_offset: i64) -> Option<AbortedTxn> {
        self.aborted.then_some(AbortedTxn {
            producer_id: self.producer_id,
            first_offset: self.first_offset,
            last_offset: self.last_offset,
            last_stable_offset,
        })
    }
}
