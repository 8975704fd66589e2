//! Consecutive partitions of each topic (`RangeAssignor`).
//!
//! Members are taken in one order for every topic, so topics with the same number of partitions
//! are aligned: who reads partition 3 of one reads partition 3 of the other. Static members come
//! first, so that their part does not depend on the ids that they are given.

use std::collections::BTreeMap;

use pharos_base::TopicId;

use super::{MemberSpec, PartitionCounts};
use crate::consumer::member::Assignment;

pub(crate) fn assign(members: &[MemberSpec], counts: &PartitionCounts) -> Vec<Assignment> {
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by_key(|index| {
        let member = members.get(*index);
        let instance_id = member.and_then(|member| member.instance_id.clone());
        (instance_id.is_none(), instance_id, member.map(|member| member.id.clone()))
    });
    let mut readers: BTreeMap<TopicId, Vec<usize>> = BTreeMap::new();
    for index in order {
        for topic in members.get(index).into_iter().flat_map(|member| &member.topics) {
            readers.entry(*topic).or_default().push(index);
        }
    }
    let mut targets = vec![Assignment::new(); members.len()];
    for (topic, readers) in readers {
        let partitions = counts.get(&topic).copied().unwrap_or(0).max(0);
        let reader_count = i32::try_from(readers.len()).unwrap_or(i32::MAX).max(1);
        let (share, mut extra) = (partitions / reader_count, partitions % reader_count);
        let mut start = 0;
        for index in readers {
            let end = (start + share + i32::from(extra > 0)).min(partitions);
            extra -= 1;
            if start < end
                && let Some(target) = targets.get_mut(index)
            {
                target.insert(topic, (start..end).collect());
            }
            start = end;
        }
    }
    targets
}
