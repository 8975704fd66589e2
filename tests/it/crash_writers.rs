//! Producers, and what they were told: records that were acknowledged, and those that are sent again
//! because nobody said whether they were taken.

use std::collections::{BTreeMap, VecDeque};
use std::io;

use pharos_protocol::ErrorCode;
use pharos_protocol::batch::BatchOptions;
use pharos_protocol::messages::*;

use crate::crash::Progress;
use crate::start_wire::{Wire, batch, produce};

/// Topic with one idempotent producer for each of its two partitions.
pub const IDEMPOTENT: &str = "idempotent";
/// Topic whose answers wait for a sync that several producers share.
pub const SYNCED: &str = "synced";
/// Topic of batches so large that a write of one takes its time; with retention by size.
pub const LARGE: &str = "large";
/// Topic of the plain producer, with retention by size.
pub const PLAIN: &str = "plain";
/// Compacted topic.
pub const COMPACTED: &str = "compacted";
/// Keys of the compacted topic.
pub const KEYS: u64 = 20;
/// Batches in flight; as many as a broker remembers of each producer.
const WINDOW: usize = 5;
/// Makes records large enough for rolls.
const PADDING: &str = "................................................................";
/// Value bytes of a record of [`LARGE`].
const LARGE_BYTES: usize = 900_000;

/// An idempotent producer of one partition.
#[derive(Debug)]
pub struct Sequence {
    pub topic: &'static str,
    pub partition: i32,
    /// The key of all its records.
    pub tag: String,
    producer: (i64, i16),
    /// Records that were sent at least once; their numbers are their sequence numbers.
    pub sent: u64,
    /// Records that were acknowledged.
    pub acknowledged: u64,
    /// What was sent and not acknowledged: first number and count.
    pending: VecDeque<(u64, u64)>,
}

/// A producer without an id.
#[derive(Debug, Default)]
pub struct Plain {
    pub sent: u64,
    /// Numbers by their offsets.
    pub acknowledged: BTreeMap<i64, u64>,
}

/// A producer of a compacted topic.
#[derive(Debug, Default)]
pub struct Compacted {
    pub sent: u64,
    /// The last number by key.
    pub acknowledged: BTreeMap<String, u64>,
}

/// Records with these numbers.
pub fn records(numbers: std::ops::Range<u64>) -> Vec<(String, String)> {
    numbers.map(|number| (format!("k{}", number % KEYS), format!("{number} {PADDING}"))).collect()
}

/// A batch of records.
pub fn one_batch(options: BatchOptions, records: &[(String, String)]) -> bytes::Bytes {
    let records: Vec<_> =
        records.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    batch(options, &records)
}

/// Error code and base offset of the only partition of an answer.
fn outcome(wire: &mut Wire) -> io::Result<(ErrorCode, i64)> {
    let answer: ProduceResponse = wire.receive(9)?;
    let one = &answer.responses[0].partition_responses[0];
    Ok((ErrorCode::from_code(one.error_code).unwrap(), one.base_offset))
}

impl Sequence {
    /// A producer with a new id.
    pub fn new(wire: &mut Wire, topic: &'static str, partition: i32, tag: &str) -> Self {
        let request = InitProducerIdRequest { transactional_id: None, ..Default::default() };
        let given: InitProducerIdResponse = wire.call(&request, 4).unwrap();
        assert_eq!(given.error_code, 0);
        let producer = (given.producer_id, given.producer_epoch);
        let (tag, pending) = (tag.to_owned(), VecDeque::new());
        Self { topic, partition, tag, producer, sent: 0, acknowledged: 0, pending }
    }

    /// Bytes of each batch of [`LARGE`].
    pub fn large_batch_bytes() -> u64 {
        let value = large_value(0);
        one_batch(BatchOptions::default(), &[(LARGE.to_owned(), value)]).len() as u64
    }

    /// Fills the window, first with what is pending, up to record `last`; then takes all answers.
    pub fn step(&mut self, wire: &mut Wire, last: u64, progress: &Progress) -> io::Result<()> {
        let most = if self.topic == LARGE { 1 } else { 4 };
        while self.pending.len() < WINDOW && self.sent < last {
            let count = (1 + self.sent % most).min(last - self.sent);
            self.pending.push_back((self.sent, count));
            self.sent += count;
        }
        for (first, count) in &self.pending {
            let options = BatchOptions {
                producer_id: self.producer.0,
                producer_epoch: self.producer.1,
                base_sequence: i32::try_from(*first).unwrap(),
                ..Default::default()
            };
            let batch = one_batch(options, &self.records(*first..first + count));
            wire.send(&produce(self.topic, self.partition, &batch, -1), 9)?;
        }
        while let Some((first, count)) = self.pending.front().copied() {
            let (code, _) = outcome(wire)?;
            let taken = matches!(code, ErrorCode::None | ErrorCode::DuplicateSequenceNumber);
            assert!(taken, "{code:?} for {count} records from {first} on: {}", self.tag);
            self.pending.pop_front();
            self.acknowledged = first + count;
            progress.acknowledged_to(self.producer.0, self.acknowledged);
        }
        Ok(())
    }

    fn records(&self, numbers: std::ops::Range<u64>) -> Vec<(String, String)> {
        let value = |number| match self.topic {
            LARGE => large_value(number),
            _ => format!("{number} {PADDING}"),
        };
        numbers.map(|number| (self.tag.clone(), value(number))).collect()
    }
}

/// All of one length.
fn large_value(number: u64) -> String {
    let mut text = format!("{number} ");
    text.extend(std::iter::repeat_n('.', LARGE_BYTES - text.len()));
    text
}

impl Plain {
    /// Appends a window of batches with acks=1 and takes the answers.
    pub fn step(&mut self, wire: &mut Wire, progress: &Progress) -> io::Result<()> {
        let mut pending = Vec::new();
        for _ in 0..WINDOW {
            let first = self.sent;
            self.sent += 3;
            let batch = one_batch(BatchOptions::default(), &records(first..self.sent));
            wire.send(&produce(PLAIN, 0, &batch, 1), 9)?;
            pending.push(first);
        }
        for first in pending {
            let (code, offset) = outcome(wire)?;
            assert_eq!(code, ErrorCode::None);
            let new = (0..3).map(|index| (offset + index, first + index.unsigned_abs()));
            self.acknowledged.extend(new);
            progress.acknowledged();
        }
        Ok(())
    }
}

impl Compacted {
    /// Appends new values of some keys with acks=all.
    pub fn step(&mut self, wire: &mut Wire, progress: &Progress) -> io::Result<()> {
        let first = self.sent;
        self.sent += 5;
        let records = records(first..self.sent);
        let batch = one_batch(BatchOptions::default(), &records);
        wire.send(&produce(COMPACTED, 0, &batch, -1), 9)?;
        let (code, _) = outcome(wire)?;
        assert_eq!(code, ErrorCode::None);
        for (index, (key, _)) in (first..).zip(records) {
            self.acknowledged.insert(key, index);
        }
        progress.acknowledged();
        Ok(())
    }
}
