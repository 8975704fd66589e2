//! Damage to each file of a partition that Kafka wrote, of every kind: what is opened then is what
//! was there, or a part of it, or nothing with one line that names the file.

use std::fs;
use std::path::{Path, PathBuf};

use pharos_base::{Offset, TopicId};

use super::golden::{copy, try_open};
use super::{EpochEntry, Log};
use crate::error::StorageError;
use crate::index::AbortedTxn;
use crate::names;
use crate::scan::Scan;

/// What may happen to a file.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Removed,
    Emptied,
    /// Only the first half is left.
    Halved,
    /// The last byte is gone.
    Shortened,
    /// As many bytes of nonsense.
    Garbage,
    /// As many zeros: what some file systems leave after a power loss.
    Zeros,
}

impl Damage {
    const ALL: [Self; 6] =
        [Self::Removed, Self::Emptied, Self::Halved, Self::Shortened, Self::Garbage, Self::Zeros];

    fn strike(self, path: &Path) {
        let mut bytes = fs::read(path).unwrap();
        match self {
            Self::Removed => return fs::remove_file(path).unwrap(),
            Self::Emptied => bytes.clear(),
            Self::Halved => bytes.truncate(bytes.len() / 2),
            Self::Shortened => bytes.truncate(bytes.len().saturating_sub(1)),
            Self::Garbage => bytes.fill(0xa5),
            Self::Zeros => bytes.fill(0),
        }
        fs::write(path, bytes).unwrap();
    }
}

/// All that a log knows.
#[derive(Clone, Debug, PartialEq)]
struct State {
    /// First and last offset and checksum of each batch.
    batches: Vec<(i64, i64, u32)>,
    aborted: Vec<AbortedTxn>,
    epochs: Vec<EpochEntry>,
    /// Id, epoch, last sequence number, last offset, and where an open transaction began.
    producers: Vec<(i64, i16, i32, i64, Option<i64>)>,
    end: Offset,
    newest: Option<(i64, Offset)>,
}

impl State {
    fn of(log: &Log) -> Self {
        log.set_high_watermark(log.log_end_offset());
        let mut batches = Vec::new();
        for segment in log.segments.load().iter() {
            let file = segment.file().unwrap();
            let mut scan = Scan::verify(file.as_ref(), 0, segment.size());
            while let Some(found) = scan.next().unwrap() {
                let header = found.header;
                batches.push((header.base_offset, header.last_offset(), header.crc));
            }
            assert!(!scan.is_torn());
        }
        let mut producers: Vec<_> = log
            .producer_states()
            .iter()
            .map(|of| {
                let (sequence, offset) = (of.last_sequence(), of.last_offset());
                (of.producer_id, of.epoch, sequence, offset, of.txn_first_offset)
            })
            .collect();
        producers.sort_unstable();
        let end = log.log_end_offset();
        let newest = log.offset_of_max_timestamp().unwrap();
        Self {
            batches,
            aborted: log.aborted_transactions(Offset(0), end).unwrap(),
            epochs: log.epochs(),
            producers,
            end,
            newest: newest.map(|at| (at.timestamp, at.offset)),
        }
    }
}

fn file_names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let mut names: Vec<_> = entries.map(|it| it.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The damaged partition, opened after a clean or an unclean stop, and its path.
fn opened(file: &str, damage: Damage, clean: bool) -> (Result<State, StorageError>, PathBuf) {
    let (_home, dir) = copy("golden-0", |_| true);
    let path = dir.join(file);
    damage.strike(&path);
    let opened = try_open(&dir, false, clean).map(|(log, _)| {
        let state = State::of(&log);
        let named = log.topic_id() != TopicId::ZERO;
        assert!(named || file == names::PARTITION_METADATA, "{file}");
        state
    });
    (opened, path)
}

#[test]
fn every_file_of_a_partition_may_be_damaged() {
    let (_home, dir) = copy("golden-0", |_| true);
    let whole = State::of(&try_open(&dir, false, true).unwrap().0);
    assert!(whole.batches.len() > 30 && whole.aborted.len() == 3 && whole.epochs.len() == 2);
    let files = file_names(&dir);
    let last_log = files.iter().rfind(|file| file.ends_with(".log")).unwrap();
    for file in &files {
        for (damage, clean) in Damage::ALL.into_iter().flat_map(|it| [(it, true), (it, false)]) {
            let place = format!("{file}: {damage:?}, clean {clean}");
            // Behind a clean stop old batches are believed until somebody reads them, as in Kafka.
            if file.ends_with(".log") && clean && file != last_log {
                continue;
            }
            let (state, path) = opened(file, damage, clean);
            if file == names::PARTITION_METADATA {
                // Of an unclean stop the beginning of a name may be left.
                let torn = !clean && matches!(damage, Damage::Halved | Damage::Shortened);
                let nameless = torn || matches!(damage, Damage::Removed | Damage::Emptied);
                match state {
                    Ok(state) => assert!(nameless && state == whole, "{place}"),
                    Err(error) => {
                        let line = error.to_string();
                        assert!(!nameless && line.starts_with(path.to_str().unwrap()), "{line}");
                    }
                }
            } else if file.ends_with(".log") {
                let state = state.unwrap_or_else(|error| panic!("{place}: {error}"));
                let found = &state.batches[..];
                let is_part = whole.batches.windows(found.len().max(1)).any(|part| part == found);
                assert!(is_part || found.is_empty(), "{place}: {state:?}");
                assert!(state.end <= whole.end, "{place}");
            } else {
                let state = state.unwrap_or_else(|error| panic!("{place}: {error}"));
                let mut expected = whole.clone();
                // Behind a clean stop nothing tells that there were aborted transactions.
                let emptied = matches!(damage, Damage::Removed | Damage::Emptied);
                if clean && emptied && file.ends_with(names::TXN_INDEX) {
                    expected.aborted.retain(|one| state.aborted.contains(one));
                    assert_eq!(expected.aborted.len(), whole.aborted.len() - 1, "{place}");
                }
                // Nor that later timestamps were there, if whole entries are gone.
                let halved = clean && matches!(damage, Damage::Halved);
                if halved && file.ends_with(names::TIME_INDEX) {
                    assert!(state.newest <= whole.newest, "{place}: {:?}", state.newest);
                    expected.newest = state.newest;
                }
                assert_eq!(state, expected, "{place}");
            }
        }
    }
}
