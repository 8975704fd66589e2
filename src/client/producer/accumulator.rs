//! Records on their way: queues per partition, batches, sequences. Decides what may leave when.
//!
//! A state machine without I/O or clock: the sender asks with `now` and reports outcomes. Order
//! within a partition holds through retries: a batch that comes back is put before its successors,
//! and nothing leaves until all that was under way has come back too.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use pharos_base::{BrokerId, TopicPartition};
use pharos_protocol::ErrorCode;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

use super::{ProducerRecord, RecordMetadata};
use crate::backoff::Backoff;
use crate::error::{ClientError, Result};
use crate::wire::millis;

/// Bytes of a batch's header.
const BATCH_OVERHEAD: usize = 61;

/// Producer id and epoch under which sequences are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub producer_id: i64,
    pub epoch: i16,
}

/// What the accumulator decides by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub batch_size: usize,
    pub max_request_size: usize,
    pub linger: Duration,
    pub delivery_timeout: Duration,
    pub max_in_flight: usize,
    pub retries: u32,
    pub retry: Backoff,
}

/// One record that waits for its outcome.
pub(crate) struct Waiting {
    pub record: ProducerRecord,
    pub timestamp_ms: i64,
    pub done: oneshot::Sender<Result<RecordMetadata>>,
    /// Its share of buffer.memory, given back when it is dropped.
    pub _memory: OwnedSemaphorePermit,
}

/// Records of one partition that travel together.
pub(crate) struct Batch {
    pub waiting: Vec<Waiting>,
    pub bytes: usize,
    /// Identity and first sequence, once assigned; kept through retries.
    pub sequence: Option<(Identity, i32)>,
    /// The encoded batch, kept for retries.
    pub encoded: Option<Bytes>,
    created: Instant,
    attempts: u32,
    /// Why it came back the last time.
    last: Option<Box<ClientError>>,
}

/// What became of a batch.
pub(crate) enum Outcome {
    /// Stored from this offset on (-1: unknown); time of the append if the broker set it.
    Stored { base_offset: i64, append_time_ms: i64 },
    /// Not stored, or not known to be.
    Failed(ClientError),
}

/// What may leave.
#[derive(Default)]
pub(crate) struct Drained {
    /// By the leader that it goes to.
    pub requests: HashMap<BrokerId, Vec<(TopicPartition, Batch)>>,
    /// Something else may leave, too, and has no leader to go to.
    pub leaderless: bool,
}

#[derive(Default)]
struct Queue {
    pending: VecDeque<Batch>,
    in_flight: usize,
    identity: Option<Identity>,
    next_sequence: i32,
    retry_at: Option<Instant>,
    /// A batch came back: wait for all others before sending again.
    returning: bool,
    /// A sequence may be missing at the broker: start over under a new epoch.
    gap: bool,
}

/// All records on their way.
pub(crate) struct Accumulator {
    limits: Limits,
    queues: HashMap<TopicPartition, Queue>,
    /// None without idempotence, or while the identity is not known yet.
    identity: Option<Identity>,
    flushing: bool,
}

impl Accumulator {
    pub fn new(limits: Limits) -> Self {
        Self { limits, queues: HashMap::new(), identity: None, flushing: false }
    }

    /// Adds a record. True when the sender has to look: a batch may leave, or its linger begins.
    pub fn append(&mut self, to: &TopicPartition, waiting: Waiting, now: Instant) -> bool {
        let bytes = record_bytes(&waiting.record);
        let limit = self.limits.batch_size;
        if !self.queues.contains_key(to) {
            self.queues.insert(to.clone(), Queue::default());
        }
        let Some(queue) = self.queues.get_mut(to) else { return false };
        if let Some(last) = queue.pending.back_mut()
            && last.is_open()
            && last.bytes + bytes <= limit
        {
            last.bytes += bytes;
            last.waiting.push(waiting);
            return last.bytes >= limit;
        }
        queue.pending.push_back(Batch {
            waiting: vec![waiting],
            bytes: BATCH_OVERHEAD + bytes,
            sequence: None,
            encoded: None,
            created: now,
            attempts: 0,
            last: None,
        });
        // The first record of a queue starts the linger timer, a second batch closes the first.
        true
    }

    /// Lets everything leave at once (flush, close), or linger again.
    pub fn set_flushing(&mut self, flushing: bool) {
        self.flushing = flushing;
    }

    /// The identity for batches from now on.
    pub fn set_identity(&mut self, identity: Identity) {
        self.identity = Some(identity);
    }

    /// True when nothing waits and nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.queues.values().all(|queue| queue.pending.is_empty() && queue.in_flight == 0)
    }

    /// Topics that have records.
    pub fn topics(&self) -> Vec<String> {
        let mut topics: Vec<_> = self
            .queues
            .iter()
            .filter(|(_, queue)| !queue.pending.is_empty())
            .map(|(partition, _)| partition.topic.to_string())
            .collect();
        topics.sort();
        topics.dedup();
        topics
    }

    /// Takes the batches that may leave now: one per partition and request.
    pub fn drain(
        &mut self,
        now: Instant,
        idempotent: bool,
        leader_of: impl Fn(&TopicPartition) -> Option<BrokerId>,
        mut has_room: impl FnMut(BrokerId) -> bool,
    ) -> Drained {
        let mut drained = Drained::default();
        let mut sizes: HashMap<BrokerId, usize> = HashMap::new();
        if idempotent && self.identity.is_none() {
            return drained;
        }
        for (partition, queue) in &mut self.queues {
            if !queue.is_ready(now, &self.limits, self.flushing) {
                continue;
            }
            let Some(leader) = leader_of(partition) else {
                drained.leaderless = true;
                continue;
            };
            if !has_room(leader) {
                continue;
            }
            let size = sizes.entry(leader).or_default();
            let bytes = queue.pending.front().map_or(0, |batch| batch.bytes);
            if *size > 0 && *size + bytes > self.limits.max_request_size {
                continue;
            }
            queue.start_over(&mut self.identity);
            if let Some(batch) = queue.take(self.identity.filter(|_| idempotent)) {
                *size += bytes;
                let request = drained.requests.entry(leader).or_default();
                request.push((partition.clone(), batch));
            }
        }
        drained
    }

    /// Takes back a batch that was drained. True when the metadata should be asked again.
    pub fn complete(
        &mut self,
        partition: &TopicPartition,
        mut batch: Batch,
        outcome: Outcome,
        now: Instant,
    ) -> bool {
        let Some(queue) = self.queues.get_mut(partition) else {
            return false;
        };
        queue.in_flight = queue.in_flight.saturating_sub(1);
        let error = match outcome {
            Outcome::Stored { base_offset, append_time_ms } => {
                batch.succeed(partition, base_offset, append_time_ms);
                queue.settle();
                return false;
            }
            Outcome::Failed(error) => error,
        };
        let stale = error.is_connection() || error.code().is_some_and(wants_metadata);
        let expired = now.duration_since(batch.created) >= self.limits.delivery_timeout;
        let code = error.code();
        if code == Some(ErrorCode::DuplicateSequenceNumber) {
            batch.succeed(partition, -1, -1);
        } else if !expired
            && batch.attempts <= self.limits.retries
            && queue.may_retry(&batch, &error)
        {
            queue.retry_at = Some(now + self.limits.retry.after(batch.attempts));
            batch.last = Some(Box::new(error));
            queue.put_back(batch);
        } else {
            queue.gap |= batch.sequence.is_some();
            batch.fail(&error);
        }
        queue.settle();
        stale
    }

    /// Fails what has waited longer than delivery.timeout.ms.
    pub fn expire(&mut self, now: Instant) {
        let limit = self.limits.delivery_timeout;
        for (partition, queue) in &mut self.queues {
            while queue.pending.front().is_some_and(|b| now.duration_since(b.created) >= limit) {
                let Some(mut batch) = queue.pending.pop_front() else { break };
                queue.gap |= batch.sequence.is_some();
                let what = format!("sending {} record(s) to {partition}", batch.waiting.len());
                let last = batch.last.take();
                batch.fail(&ClientError::Timeout { what, timeout_ms: millis(limit), last });
            }
            queue.settle();
        }
    }

    /// Fails everything that waits.
    pub fn abort(&mut self, error: &ClientError) {
        for queue in self.queues.values_mut() {
            queue.pending.drain(..).for_each(|batch| batch.fail(error));
        }
    }

    /// When something changes without an event from outside: a linger, a backoff or an expiry ends.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.queues.values().filter_map(|queue| queue.next_deadline(&self.limits)).min()
    }
}

impl Queue {
    fn is_ready(&self, now: Instant, limits: &Limits, flushing: bool) -> bool {
        let Some(front) = self.pending.front() else { return false };
        if self.in_flight >= limits.max_in_flight
            || (self.in_flight > 0 && (self.returning || self.gap))
            || self.retry_at.is_some_and(|at| at > now)
        {
            return false;
        }
        flushing
            || self.pending.len() > 1
            || front.attempts > 0
            || front.bytes >= limits.batch_size
            || now.duration_since(front.created) >= limits.linger
    }

    /// After a gap, and when the producer's identity has moved on, sequences restart at 0; only
    /// while nothing is under way, or batches of two epochs would cross.
    fn start_over(&mut self, current: &mut Option<Identity>) {
        let Some(identity) = current else { return };
        if self.in_flight > 0 {
            return;
        }
        if self.gap {
            self.gap = false;
            if self.identity == Some(*identity) {
                // KIP-360: an idempotent producer moves its epoch on by itself.
                identity.epoch = identity.epoch.wrapping_add(1).max(0);
            }
        }
        if self.identity != Some(*identity) {
            self.identity = Some(*identity);
            self.next_sequence = 0;
            for batch in &mut self.pending {
                batch.sequence = None;
                batch.encoded = None;
            }
        }
    }

    fn take(&mut self, identity: Option<Identity>) -> Option<Batch> {
        let mut batch = self.pending.pop_front()?;
        if let (Some(_), Some(identity), None) = (identity, self.identity, batch.sequence) {
            batch.sequence = Some((identity, self.next_sequence));
            let count = i32::try_from(batch.waiting.len()).unwrap_or(i32::MAX);
            // Sequences wrap around to 0 after the greatest number.
            self.next_sequence = self.next_sequence.wrapping_add(count) & i32::MAX;
        }
        batch.attempts += 1;
        self.in_flight += 1;
        Some(batch)
    }

    fn put_back(&mut self, batch: Batch) {
        self.returning = true;
        let place = match batch.sequence {
            Some((_, sequence)) => self.pending.iter().position(|later| {
                later.sequence.is_none_or(|(_, other)| precedes(sequence, other))
            }),
            None => self.pending.iter().position(|later| later.created >= batch.created),
        };
        self.pending.insert(place.unwrap_or(self.pending.len()), batch);
    }

    fn may_retry(&mut self, batch: &Batch, error: &ClientError) -> bool {
        let lost = matches!(
            error.code(),
            Some(ErrorCode::OutOfOrderSequenceNumber | ErrorCode::UnknownProducerId)
        );
        if lost && batch.sequence.is_some() {
            // Expected behind a batch that failed; otherwise the broker has lost our state and the
            // records go out again under a new epoch (TransactionManager.canRetry).
            self.gap |= !self.returning && self.in_flight == 0;
            return true;
        }
        error.is_retriable()
    }

    fn settle(&mut self) {
        if self.in_flight == 0 {
            self.returning = false;
        }
    }

    fn next_deadline(&self, limits: &Limits) -> Option<Instant> {
        let front = self.pending.front()?;
        let expiry = front.created + limits.delivery_timeout;
        let due = match self.retry_at {
            Some(at) if front.attempts > 0 => at,
            _ => front.created + limits.linger,
        };
        // While requests are under way, their return is the event to wait for.
        Some(if self.in_flight > 0 { expiry } else { due.min(expiry) })
    }
}

/// Order of two sequences, of which at most half the range lies apart.
fn precedes(sequence: i32, other: i32) -> bool {
    other.wrapping_sub(sequence) & i32::MAX < i32::MAX / 2
}

fn wants_metadata(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NotLeaderOrFollower
            | ErrorCode::LeaderNotAvailable
            | ErrorCode::UnknownTopicOrPartition
            | ErrorCode::UnknownTopicId
            | ErrorCode::InconsistentTopicId
            | ErrorCode::FencedLeaderEpoch
            | ErrorCode::KafkaStorageError
    )
}

impl Batch {
    /// True while records may be added: not yet sent.
    fn is_open(&self) -> bool {
        self.attempts == 0
    }

    fn succeed(self, partition: &TopicPartition, base_offset: i64, append_time_ms: i64) {
        for (index, waiting) in (0i64..).zip(self.waiting) {
            let offset = if base_offset < 0 { -1 } else { base_offset.saturating_add(index) };
            let timestamp_ms =
                if append_time_ms >= 0 { append_time_ms } else { waiting.timestamp_ms };
            let metadata = RecordMetadata { partition: partition.partition, offset, timestamp_ms };
            // Nobody has to listen.
            let _ = waiting.done.send(Ok(metadata));
        }
    }

    pub fn fail(self, error: &ClientError) {
        for waiting in self.waiting {
            let _ = waiting.done.send(Err(error.clone()));
        }
    }
}

/// The most that a record takes in a batch: its bytes, lengths as varints, and the frame.
pub(crate) fn record_bytes(record: &ProducerRecord) -> usize {
    const FRAME: usize = 5 + 1 + 10 + 5 + 5 + 5 + 5;
    let key = record.key.as_ref().map_or(0, Bytes::len);
    let value = record.value.as_ref().map_or(0, Bytes::len);
    let headers: usize = record
        .headers
        .iter()
        .map(|(name, value)| 10 + name.len() + value.as_ref().map_or(0, Bytes::len))
        .sum();
    FRAME + key + value + headers
}
