//! Topics that are created, filled and deleted in turn, as a client knows them.

use std::io;
use std::time::Instant;

use pharos_protocol::ErrorCode;
use pharos_protocol::batch::BatchOptions;

use crate::crash::Progress;
use crate::crash_writers::{one_batch, records};
use crate::start_process::HANG_GUARD;
use crate::start_wire::Wire;

/// Names that are created and deleted in turn.
const NAMES: usize = 6;
/// Partitions of each: making and removing them takes long enough to be met half done.
pub const PARTITIONS: i32 = 8;

/// What a client knows of a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Known {
    #[default]
    Absent,
    Unsure,
    /// It is there; whether its record is, nobody was told.
    Listed,
    /// It is there with its record.
    Filled,
}

/// A client that creates, fills and deletes topics.
#[derive(Debug, Default)]
pub struct Topics {
    pub known: Vec<Known>,
    next: usize,
    /// Creations and deletions that were acknowledged.
    pub changes: u64,
}

impl Topics {
    /// None is there yet.
    pub fn none() -> Self {
        Self { known: vec![Known::Absent; NAMES], ..Self::default() }
    }

    /// The name of one of them.
    pub fn name(index: usize) -> String {
        format!("changing-{index}")
    }

    /// Creates or deletes the next one.
    pub fn step(&mut self, wire: &mut Wire, progress: &Progress) -> io::Result<()> {
        let index = self.next % self.known.len();
        self.next += 1;
        let name = Self::name(index);
        match std::mem::replace(&mut self.known[index], Known::Unsure) {
            Known::Listed | Known::Filled => {
                self.delete(wire, &name)?;
                self.known[index] = Known::Absent;
            }
            Known::Absent => {
                let code = wire.create_topic(&name, PARTITIONS, &[])?;
                assert_eq!(ErrorCode::from_code(code), Some(ErrorCode::None), "{name}");
                self.fill(wire, &name)?;
                self.known[index] = Known::Filled;
            }
            Known::Unsure => panic!("{name} was not looked up"),
        }
        self.changes += 1;
        progress.acknowledged();
        Ok(())
    }

    /// A new topic is empty, whatever had its name before.
    fn fill(&self, wire: &mut Wire, name: &str) -> io::Result<()> {
        let batch = one_batch(BatchOptions::default(), &records(0..1));
        let began = Instant::now();
        loop {
            let (code, offset, message) = wire.produce(name, 1, &batch)?;
            let code = ErrorCode::from_code(code).unwrap();
            // The partition follows the metadata a moment later, as in Kafka.
            if code == ErrorCode::UnknownTopicOrPartition && began.elapsed() < HANG_GUARD {
                continue;
            }
            assert_eq!((code, offset), (ErrorCode::None, 0), "{name}: {message:?}");
            return Ok(());
        }
    }

    fn delete(&self, wire: &mut Wire, name: &str) -> io::Result<()> {
        assert_eq!(wire.delete_topic(name)?, 0, "{name}");
        Ok(())
    }
}
