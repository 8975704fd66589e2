//! One partition as its leader sees it: who leads in which epoch, what is committed, and who waits.
//!
//! The high watermark is the offset below which every in-sync replica has the log; with this
//! broker as the only replica it is the end of the log. It never goes back for an observer.

use std::sync::Arc;

use parking_lot::RwLock;
use pharos_base::{BrokerId, LeaderEpoch, Offset, TopicId, TopicPartition};
use pharos_metadata::image::PartitionRegistration;
use pharos_metrics::Registry;
use pharos_protocol::batch::{KeySink, Origin};
use pharos_storage::{
    AppendError, AppendInfo, AppendOptions, Log, LogSlice, ReadError, StorageError,
};

use crate::metrics::PartitionMetrics;
use crate::purgatory::WatchList;

/// What this broker is to a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Who leads; [`BrokerId::NONE`] when nobody does.
    pub leader: BrokerId,
    /// Whether that is this broker.
    pub leads: bool,
    /// Epoch of the leader.
    pub leader_epoch: LeaderEpoch,
    /// Epoch of the partition's last change.
    pub partition_epoch: i32,
    /// All replicas.
    pub replicas: Vec<BrokerId>,
    /// Those in sync.
    pub isr: Vec<BrokerId>,
}

/// Why a request about a partition is refused.
#[derive(Debug, thiserror::Error)]
pub enum PartitionError {
    /// This broker does not lead the partition.
    #[error("this broker does not lead {0}")]
    NotLeader(TopicPartition),
    /// The client believes in an older epoch.
    #[error("leader epoch {asked} of {partition} is fenced by {current}")]
    FencedEpoch {
        /// The partition.
        partition: TopicPartition,
        /// What the client believes.
        asked: LeaderEpoch,
        /// What is so.
        current: LeaderEpoch,
    },
    /// The client believes in a newer epoch.
    #[error("leader epoch {asked} of {partition} is not known here, {current} is")]
    UnknownEpoch {
        /// The partition.
        partition: TopicPartition,
        /// What the client believes.
        asked: LeaderEpoch,
        /// What is so.
        current: LeaderEpoch,
    },
    /// Fewer replicas are in sync than min.insync.replicas asks for.
    #[error("{partition} has {in_sync} replicas in sync, fewer than the {required} required")]
    NotEnoughReplicas {
        /// The partition.
        partition: TopicPartition,
        /// Replicas in sync.
        in_sync: usize,
        /// Replicas required.
        required: usize,
    },
    /// The batches were refused, or could not be written.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// Nothing can be read there.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// How far a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Up to the high watermark.
    ReadUncommitted,
    /// Up to the first open transaction.
    ReadCommitted,
}

/// One read of a consumer.
#[derive(Clone, Copy, Debug)]
pub struct FetchOptions {
    /// First offset wanted.
    pub offset: Offset,
    /// Most bytes wanted.
    pub max_bytes: usize,
    /// Return the first batch even when it is larger.
    pub min_one: bool,
    /// How far the reader may see.
    pub isolation: Isolation,
    /// Leader epoch that the client believes in; [`LeaderEpoch::UNKNOWN`] = it does not say.
    pub current_leader_epoch: LeaderEpoch,
    /// Epoch of the last record that the client has; [`LeaderEpoch::UNKNOWN`] = it does not say.
    pub last_fetched_epoch: LeaderEpoch,
}

/// What a read found.
#[derive(Debug)]
pub struct Fetched {
    /// Whole batches; `None` when there is nothing to read.
    pub records: Option<LogSlice>,
    /// Offset below which everything is committed.
    pub high_watermark: Offset,
    /// Offset below which no transaction is open.
    pub last_stable_offset: Offset,
    /// First offset of the log.
    pub log_start_offset: Offset,
    /// The client's log and this one part here: largest epoch not above the client's, and its end.
    pub diverging: Option<(LeaderEpoch, Offset)>,
}

/// An append that took place.
#[derive(Debug)]
pub struct Appended {
    /// What the log says of it.
    pub info: AppendInfo,
    /// Whether the high watermark has passed it.
    pub committed: bool,
}

/// One partition on this broker.
#[derive(Debug)]
pub struct Partition {
    id: TopicPartition,
    topic_id: TopicId,
    log: Arc<Log>,
    role: RwLock<Arc<Role>>,
    /// Fetches that wait for bytes.
    pub fetches: WatchList,
    /// Produces that wait for the high watermark.
    pub produces: WatchList,
    metrics: PartitionMetrics,
}

impl Partition {
    /// The partition `id` over `log`, which knows the high watermark of its checkpoint.
    pub(crate) fn new(
        id: TopicPartition,
        topic_id: TopicId,
        log: Arc<Log>,
        registry: &Registry,
    ) -> Self {
        let metrics = {
            let log = log.clone();
            PartitionMetrics::new(registry, &id, move || {
                log.high_watermark().since(log.last_stable_offset())
            })
        };
        let role = Role {
            leader: BrokerId::NONE,
            leads: false,
            leader_epoch: LeaderEpoch::UNKNOWN,
            partition_epoch: -1,
            replicas: Vec::new(),
            isr: Vec::new(),
        };
        Self {
            id,
            topic_id,
            log,
            role: RwLock::new(Arc::new(role)),
            fetches: WatchList::default(),
            produces: WatchList::default(),
            metrics,
        }
    }

    /// Topic and index.
    pub fn id(&self) -> &TopicPartition {
        &self.id
    }

    /// Identity of its topic.
    pub fn topic_id(&self) -> TopicId {
        self.topic_id
    }

    /// Its log.
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// What this broker is to it.
    pub fn role(&self) -> Arc<Role> {
        self.role.read().clone()
    }

    /// Offset below which every in-sync replica has the log.
    pub fn high_watermark(&self) -> Offset {
        self.log.high_watermark()
    }

    /// Offset below which no transaction is open.
    pub fn last_stable_offset(&self) -> Offset {
        self.log.last_stable_offset()
    }

    pub(crate) fn metrics(&self) -> &PartitionMetrics {
        &self.metrics
    }

    /// Where the records of the largest epoch not above `asked` end, and that epoch; `None` when
    /// the log knows none.
    pub fn end_of_epoch(&self, asked: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        self.log.end_offset_for_epoch(asked).map(|end| (end.epoch, end.end_offset))
    }

    /// Takes over what the metadata says: leadership, epochs, in-sync replicas.
    pub(crate) fn follow(
        &self,
        broker: BrokerId,
        registration: &PartitionRegistration,
    ) -> Result<(), StorageError> {
        let leads = registration.leader == broker;
        {
            let mut role = self.role.write();
            let is_new_leader = leads && role.leader_epoch < registration.leader_epoch;
            if is_new_leader {
                self.log.begin_epoch(registration.leader_epoch)?;
            }
            *role = Arc::new(Role {
                leader: registration.leader,
                leads,
                leader_epoch: registration.leader_epoch,
                partition_epoch: registration.partition_epoch,
                replicas: registration.replicas.clone(),
                isr: registration.isr.clone(),
            });
        }
        self.metrics.follow(&self.id, registration, broker);
        if leads {
            self.advance();
        } else {
            self.fetches.force();
            self.produces.force();
        }
        Ok(())
    }

    fn leading(&self, asked: LeaderEpoch) -> Result<Arc<Role>, PartitionError> {
        let role = self.role();
        if !role.leads {
            return Err(PartitionError::NotLeader(self.id.clone()));
        }
        let current = role.leader_epoch;
        if asked != LeaderEpoch::UNKNOWN && asked != current {
            let partition = self.id.clone();
            return Err(if asked < current {
                PartitionError::FencedEpoch { partition, asked, current }
            } else {
                PartitionError::UnknownEpoch { partition, asked, current }
            });
        }
        Ok(role)
    }

    /// Checks that this broker leads, in the epoch that the client believes in.
    ///
    /// # Errors
    /// [`PartitionError::NotLeader`], `FencedEpoch` or `UnknownEpoch`.
    pub fn check_leader(&self, asked: LeaderEpoch) -> Result<(), PartitionError> {
        self.leading(asked).map(drop)
    }

    /// Appends `batches` as the leader. With `acks_all` fewer replicas in sync than
    /// `min.insync.replicas` refuse it; a requirement above the number of replicas counts as that
    /// number (KIP-966).
    ///
    /// # Errors
    /// Why nothing was appended.
    pub fn append(
        &self,
        batches: &[u8],
        origin: Origin,
        acks_all: bool,
    ) -> Result<Appended, PartitionError> {
        self.append_watched(batches, origin, acks_all, None)
    }

    /// As [`Self::append`], and shows `keys` the keys that it wants ([`Log::append_watched`]).
    ///
    /// # Errors
    /// As of [`Self::append`].
    pub fn append_watched(
        &self,
        batches: &[u8],
        origin: Origin,
        acks_all: bool,
        keys: Option<&mut dyn KeySink>,
    ) -> Result<Appended, PartitionError> {
        // Leadership cannot change under an append: the lock is held until it is in the log.
        let role = self.role.read();
        if !role.leads {
            return Err(PartitionError::NotLeader(self.id.clone()));
        }
        let required = self.metrics.min_in_sync().min(role.replicas.len());
        if acks_all && role.isr.len() < required {
            return Err(PartitionError::NotEnoughReplicas {
                partition: self.id.clone(),
                in_sync: role.isr.len(),
                required,
            });
        }
        let options = AppendOptions { origin, leader_epoch: role.leader_epoch };
        let info = self.log.append_watched(batches, &options, keys)?;
        if !info.duplicate {
            self.metrics.appended(info.bytes);
        }
        if info.rolled {
            self.log.flush_sealed_in_background();
        }
        let alone = role.isr.len() <= 1;
        drop(role);
        if alone {
            self.advance_by(info.bytes);
        }
        let committed = self.high_watermark() > info.last_offset;
        Ok(Appended { info, committed })
    }

    /// Reads for a consumer.
    ///
    /// # Errors
    /// Why nothing can be read.
    pub fn fetch(&self, options: FetchOptions) -> Result<Fetched, PartitionError> {
        self.leading(options.current_leader_epoch)?;
        // Taken in this order, so that no bound lies above a later one.
        let last_stable_offset = self.last_stable_offset();
        let high_watermark = self.high_watermark();
        let log_start_offset = self.log.log_start_offset();
        let mut fetched = Fetched {
            records: None,
            high_watermark,
            last_stable_offset,
            log_start_offset,
            diverging: None,
        };
        if options.last_fetched_epoch != LeaderEpoch::UNKNOWN {
            let Some((epoch, end)) = self.end_of_epoch(options.last_fetched_epoch) else {
                // The client read from a leader that this log knows nothing of.
                let (start, end) = (log_start_offset, self.log.log_end_offset());
                return Err(ReadError::OutOfRange { offset: options.offset, start, end }.into());
            };
            if epoch < options.last_fetched_epoch || end < options.offset {
                fetched.diverging = Some((epoch, end));
                return Ok(fetched);
            }
        }
        let bound = match options.isolation {
            Isolation::ReadUncommitted => high_watermark,
            Isolation::ReadCommitted => last_stable_offset,
        };
        let end = self.log.log_end_offset();
        if options.offset < log_start_offset || options.offset > end {
            return Err(ReadError::OutOfRange {
                offset: options.offset,
                start: log_start_offset,
                end,
            }
            .into());
        }
        if options.offset < bound && (options.max_bytes > 0 || options.min_one) {
            let slice = self.log.read(options.offset, options.max_bytes, bound, options.min_one)?;
            fetched.records = Some(slice).filter(|slice| !slice.is_empty());
        }
        Ok(fetched)
    }

    /// Counts `bytes` of its batches as returned to a consumer.
    pub fn count_returned(&self, bytes: u64) {
        self.metrics.returned(bytes);
    }

    /// Moves the log's first offset up to `offset`, the high watermark at most; −1 stands for it.
    ///
    /// # Errors
    /// [`ReadError::OutOfRange`] when the offset lies outside the log.
    pub fn delete_records(&self, offset: Offset) -> Result<Offset, PartitionError> {
        self.leading(LeaderEpoch::UNKNOWN)?;
        let high_watermark = self.high_watermark();
        let target = if offset == Offset(-1) { high_watermark } else { offset };
        if target.0 < 0 || target > high_watermark {
            let (start, end) = (self.log.log_start_offset(), high_watermark);
            return Err(ReadError::OutOfRange { offset: target, start, end }.into());
        }
        Ok(self.log.delete_records_to(target))
    }

    /// The partition leaves this broker: whoever waits is answered.
    pub(crate) fn retire(&self) {
        let mut role = self.role.write();
        *role = Arc::new(Role { leads: false, leader: BrokerId::NONE, ..Role::clone(&role) });
        drop(role);
        self.metrics.unlead();
        self.fetches.force();
        self.produces.force();
    }

    /// Brings the high watermark to where all in-sync replicas are, if this broker is the only one.
    fn advance(&self) {
        if self.role.read().isr.len() <= 1 {
            self.advance_by(0);
        }
    }

    fn advance_by(&self, bytes: u64) {
        let end = self.log.log_end_offset();
        let moved = self.log.advance_high_watermark(end);
        // Another append may have moved it past this one already; its bytes count all the same.
        if moved || bytes > 0 {
            self.fetches.arrived(i64::try_from(bytes).unwrap_or(i64::MAX).max(1));
        }
        if moved {
            self.produces.reached(end.0);
        }
    }
}
