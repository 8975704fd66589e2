//! Holds a broker that was killed and started again to what clients were told before.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use pharos_protocol::ErrorCode;
use pharos_protocol::messages::*;

use crate::crash_disk::leftovers;
use crate::crash_groups::Groups;
use crate::crash_model::Model;
use crate::crash_topics::{Known, Topics};
use crate::crash_writers::{COMPACTED, IDEMPOTENT, LARGE, PLAIN, SYNCED, Sequence};
use crate::start_process::{Server, until};
use crate::start_wire::{Stored, Wire};

/// Least number of records that retention by size leaves.
const KEPT_RECORDS: i64 = 100;

/// Checks everything; `data` is the broker's log directory.
pub fn check(model: &mut Model, server: &Server, data: &Path) {
    let mut wire = server.connect();
    sequences(&model.sequences, &mut wire);
    plain(model, &mut wire);
    compacted(model, &mut wire);
    groups(&mut model.groups, &mut wire);
    let listed = topics(&mut model.topics, &mut wire);
    until("what was deleted to leave the disk", || {
        let dirs = partition_dirs(data);
        dirs.iter().all(|dir| dir.rsplit_once('-').is_some_and(|(topic, _)| listed.contains(topic)))
            && leftovers(data).is_empty()
    });
}

/// Directories of partitions, also of such that are being deleted.
fn partition_dirs(data: &Path) -> Vec<String> {
    let entries = fs::read_dir(data).unwrap().map(|entry| entry.unwrap());
    let dirs = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let names = dirs.map(|entry| entry.file_name().into_string().unwrap());
    names.filter(|name| name != "__cluster_metadata-0").collect()
}

/// Each producer's records are there once and in order: all that were acknowledged, and none that
/// was not sent.
fn sequences(all: &[Sequence], wire: &mut Wire) {
    let mut partitions: BTreeMap<(&str, i32), Vec<&Sequence>> = BTreeMap::new();
    for sequence in all {
        partitions.entry((sequence.topic, sequence.partition)).or_default().push(sequence);
    }
    for ((topic, partition), sequences) in partitions {
        let found = wire.read_all(topic, partition).unwrap();
        let first = found.first().map_or(0, |record| record.offset);
        assert!(first == 0 || topic == LARGE, "{topic}-{partition} begins at {first}");
        for (offset, record) in (first..).zip(&found) {
            assert_eq!(record.offset, offset, "{topic}-{partition}");
        }
        for sequence in sequences {
            let tagged = |record: &&Stored| record.key == sequence.tag.as_bytes();
            let numbers: Vec<u64> = found.iter().filter(tagged).map(Stored::number).collect();
            let from = if topic == LARGE { first.unsigned_abs() } else { 0 };
            let end = from + numbers.len() as u64;
            assert_eq!(numbers, (from..end).collect::<Vec<_>>(), "{}", sequence.tag);
            // Of a log that retention emptied only the place is left.
            let (_, log_end) = wire.offsets(topic, partition).unwrap();
            let end = if found.is_empty() { log_end.unsigned_abs() } else { end };
            let lawful = (sequence.acknowledged..=sequence.sent).contains(&end);
            assert!(lawful, "{end} records: {sequence:?}");
        }
    }
}

/// Whether records of several producers that share their syncs were in the log and not yet
/// acknowledged.
pub fn is_group_commit(model: &Model, server: &Server) -> bool {
    let found = server.connect().read_all(SYNCED, 0).unwrap();
    let waited = |one: &&Sequence| {
        let count = found.iter().filter(|record| record.key == one.tag.as_bytes()).count();
        one.topic == SYNCED && count as u64 > one.acknowledged
    };
    model.sequences.iter().filter(waited).count() > 1
}

fn plain(model: &Model, wire: &mut Wire) {
    let (start, end) = wire.offsets(PLAIN, 0).unwrap();
    assert!(start == 0 || end - start >= KEPT_RECORDS, "{PLAIN} has {start} to {end}");
    let found = wire.read_all(PLAIN, 0).unwrap();
    let found: BTreeMap<i64, u64> = found.iter().map(|one| (one.offset, one.number())).collect();
    for (offset, number) in &model.plain.acknowledged {
        // Retention goes on meanwhile.
        if let Some(first) = found.keys().next()
            && offset >= first
        {
            assert_eq!(found.get(offset), Some(number), "{PLAIN} at {offset}");
        }
    }
    let last = model.plain.acknowledged.keys().next_back().copied().unwrap_or(-1);
    assert!(end > last, "{PLAIN} ends at {end}, {last} was acknowledged");
}

fn compacted(model: &Model, wire: &mut Wire) {
    let found = wire.read_all(COMPACTED, 0).unwrap();
    assert!(found.is_sorted_by(|one, next| one.offset < next.offset), "{COMPACTED}");
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    for record in &found {
        last.insert(String::from_utf8(record.key.clone()).unwrap(), record.number());
    }
    for (key, number) in &model.compacted.acknowledged {
        let found = last.get(key).copied();
        let lawful = found.is_some_and(|found| (*number..model.compacted.sent).contains(&found));
        assert!(lawful, "{COMPACTED}: {key} has {found:?}, {number} was acknowledged");
    }
}

/// Offsets of both groups; members go on with the epoch they had.
fn groups(groups: &mut Groups, wire: &mut Wire) {
    for group in ["simple", "classic"] {
        let request = OffsetFetchRequest {
            group_id: group.to_owned(),
            topics: Some(vec![offset_fetch_request::OffsetFetchRequestTopic {
                name: IDEMPOTENT.to_owned(),
                partition_indexes: vec![0],
            }]),
            ..Default::default()
        };
        let mut offset = -1;
        until("the groups to be loaded", || {
            let answer: OffsetFetchResponse = wire.call(&request, 7).unwrap();
            if !is_loaded(group, answer.error_code) {
                return false;
            }
            offset = answer.topics[0].partitions[0].committed_offset;
            true
        });
        let none = offset == -1 && groups.acknowledged == 0;
        assert!(
            none || (groups.acknowledged..=groups.sent).contains(&offset),
            "{group}: {offset}, {groups:?}"
        );
    }
    let code = ErrorCode::from_code(groups.classic_heartbeat(wire).unwrap());
    assert_eq!(code, Some(ErrorCode::None), "{groups:?}");
    until("the group of the new protocol to be loaded", || {
        is_loaded("modern", groups.modern_answer(wire).unwrap())
    });
}

/// Whether a group is there, by the code of an answer; each lies in a partition of its own.
fn is_loaded(group: &str, code: i16) -> bool {
    let code = ErrorCode::from_code(code).unwrap();
    if code == ErrorCode::CoordinatorLoadInProgress || code == ErrorCode::NotCoordinator {
        return false;
    }
    assert_eq!(code, ErrorCode::None, "{group}");
    true
}

/// Returns the names of all topics.
fn topics(topics: &mut Topics, wire: &mut Wire) -> BTreeSet<String> {
    let request = MetadataRequest { topics: None, ..Default::default() };
    let answer: MetadataResponse = wire.call(&request, 9).unwrap();
    for (index, known) in topics.known.iter_mut().enumerate() {
        let name = Topics::name(index);
        let found = answer.topics.iter().find(|topic| topic.name.as_ref() == Some(&name));
        let lawful = match known {
            Known::Absent => found.is_none(),
            Known::Unsure => true,
            Known::Listed | Known::Filled => found.is_some(),
        };
        assert!(lawful, "{name} is {known:?}, the broker says {found:?}");
        *known = match (&known, found) {
            (Known::Filled, _) => {
                assert_eq!(wire.read_all(&name, 1).unwrap().len(), 1, "{name}");
                Known::Filled
            }
            (_, Some(_)) => Known::Listed,
            (_, None) => Known::Absent,
        };
    }
    answer.topics.into_iter().filter_map(|topic| topic.name).collect()
}
