//! What clients did and what they were told: the truth that a broker is held to after a kill. Each
//! part works on a connection of its own until that breaks.

use std::thread::Scope;

use crate::crash::Progress;
use crate::crash_groups::Groups;
use crate::crash_topics::Topics;
use crate::crash_writers::{
    COMPACTED, Compacted, IDEMPOTENT, KEYS, LARGE, PLAIN, Plain, SYNCED, Sequence,
};
use crate::start_process::{Server, until};
use crate::start_wire::Wire;

/// Producers that share the syncs of one partition.
const SHARING: usize = 3;

/// Everything together.
#[derive(Debug)]
pub struct Model {
    pub sequences: Vec<Sequence>,
    pub plain: Plain,
    pub compacted: Compacted,
    pub groups: Groups,
    pub topics: Topics,
}

impl Model {
    /// Creates topics, producer ids and members.
    pub fn prepare(server: &Server) -> Self {
        let mut wire = server.connect();
        let small = ("internal.segment.bytes", "4096");
        let compact = [
            ("internal.segment.bytes", "2048"),
            ("cleanup.policy", "compact"),
            ("min.cleanable.dirty.ratio", "0.01"),
        ];
        let large = [("internal.segment.bytes", "4000000"), ("retention.bytes", "4000000")];
        let plain = [small, ("retention.bytes", "20000"), ("flush.ms", "50")];
        let synced = [("internal.segment.bytes", "65536"), ("flush.messages", "1")];
        assert_eq!(wire.create_topic(IDEMPOTENT, 2, &[small]).unwrap(), 0);
        for (name, configs) in [
            (COMPACTED, &compact[..]),
            (LARGE, &large[..]),
            (PLAIN, &plain[..]),
            (SYNCED, &synced[..]),
        ] {
            assert_eq!(wire.create_topic(name, 1, configs).unwrap(), 0, "{name}");
        }
        let mut sequences = vec![
            Sequence::new(&mut wire, IDEMPOTENT, 0, "even"),
            Sequence::new(&mut wire, IDEMPOTENT, 1, "odd"),
            Sequence::new(&mut wire, LARGE, 0, LARGE),
        ];
        for index in 0..SHARING {
            sequences.push(Sequence::new(&mut wire, SYNCED, 0, &format!("sharing-{index}")));
        }
        Self {
            sequences,
            plain: Plain::default(),
            compacted: Compacted::default(),
            groups: Groups::join(&mut wire),
            topics: Topics::none(),
        }
    }

    /// Lets every part work until its connection breaks; large batches only when they are wanted,
    /// for they leave no time for others.
    pub fn work<'scope, 'env: 'scope>(
        &'env mut self,
        scope: &'scope Scope<'scope, 'env>,
        server: &Server,
        progress: &'env Progress,
        large: bool,
    ) {
        let port = server.port();
        let connect = move || Wire::connect(port).unwrap();
        for sequence in self.sequences.iter_mut().filter(|one| one.topic != LARGE || large) {
            let mut wire = connect();
            scope.spawn(move || while sequence.step(&mut wire, u64::MAX, progress).is_ok() {});
        }
        let (plain, mut wire) = (&mut self.plain, connect());
        scope.spawn(move || while plain.step(&mut wire, progress).is_ok() {});
        let (compacted, mut wire) = (&mut self.compacted, connect());
        scope.spawn(move || while compacted.step(&mut wire, progress).is_ok() {});
        let (groups, mut wire) = (&mut self.groups, connect());
        scope.spawn(move || while groups.step(&mut wire, progress).is_ok() {});
        let (topics, mut wire) = (&mut self.topics, connect());
        scope.spawn(move || while topics.step(&mut wire, progress).is_ok() {});
    }

    /// Sends again what is pending; then every record is there exactly once.
    pub fn finish(&mut self, server: &Server) {
        let mut wire = server.connect();
        let progress = Progress::default();
        for sequence in &mut self.sequences {
            let last = sequence.sent;
            while sequence.acknowledged < last {
                sequence.step(&mut wire, last, &progress).unwrap();
            }
        }
        let sent = self.compacted.sent;
        if sent > 20 * KEYS {
            until("the cleaner", || (wire.read_all(COMPACTED, 0).unwrap().len() as u64) < sent / 2);
        }
    }

    /// Figures of what was done.
    pub fn summary(&self) -> String {
        format!(
            "{} idempotent, {} plain, {} compacted records, {} commits, {} topic changes",
            self.sequences.iter().map(|one| one.acknowledged).sum::<u64>(),
            self.plain.acknowledged.len(),
            self.compacted.sent,
            self.groups.acknowledged,
            self.topics.changes
        )
    }
}
