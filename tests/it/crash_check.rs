//! Holds a broker that was killed and started again to what clients were told before.

use std::collections::BTreeMap;

use pharos_protocol::ErrorCode;
use pharos_protocol::messages::*;

use crate::crash_model::{COMPACTED, Groups, IDEMPOTENT, Known, Model, PLAIN, Topics};
use crate::start_process::{Server, until};
use crate::start_wire::Wire;

/// Least number of records that retention by size leaves.
const KEPT_RECORDS: i64 = 100;

/// Checks everything.
pub fn check(model: &mut Model, server: &Server) {
    let mut wire = server.connect();
    for sequence in &model.idempotent {
        let found = wire.read_all(IDEMPOTENT, sequence.partition).unwrap();
        let count = found.len() as u64;
        assert!((sequence.acknowledged..=sequence.sent).contains(&count), "{count}: {sequence:?}");
        for (index, record) in (0..).zip(&found) {
            assert_eq!(record.number(), index, "{IDEMPOTENT}-{}", sequence.partition);
            assert_eq!(record.offset.unsigned_abs(), index, "{IDEMPOTENT}-{}", sequence.partition);
        }
    }
    plain(model, &mut wire);
    compacted(model, &mut wire);
    groups(&mut model.groups, &mut wire);
    topics(&mut model.topics, &mut wire);
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
            let code = ErrorCode::from_code(answer.error_code).unwrap();
            if code == ErrorCode::CoordinatorLoadInProgress || code == ErrorCode::NotCoordinator {
                return false;
            }
            assert_eq!(code, ErrorCode::None, "{group}");
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
    groups.modern_heartbeat(wire).unwrap();
}

fn topics(topics: &mut Topics, wire: &mut Wire) {
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
}
