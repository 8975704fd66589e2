//! Groups as clients know them: committed offsets, and members that go on after the broker was
//! killed.

use std::io;

use pharos_protocol::messages::*;

use crate::crash::Progress;
use crate::crash_writers::IDEMPOTENT;
use crate::start_process::until;
use crate::start_wire::Wire;

/// Groups: offsets of one without members, a classic member and one of KIP-848.
#[derive(Debug, Default)]
pub struct Groups {
    pub sent: i64,
    pub acknowledged: i64,
    pub classic: (String, i32),
    pub modern: (String, i32),
}

impl Groups {
    /// Lets a classic member and one of KIP-848 join.
    pub fn join(wire: &mut Wire) -> Self {
        let mut groups = Self::default();
        let mut join = JoinGroupRequest {
            group_id: "classic".to_owned(),
            session_timeout_ms: 300_000,
            rebalance_timeout_ms: 300_000,
            protocol_type: "consumer".to_owned(),
            protocols: vec![join_group_request::JoinGroupRequestProtocol {
                name: "range".to_owned(),
                metadata: bytes::Bytes::from_static(b"\0\0\0\0\0\0\0\0\0\0"),
            }],
            ..Default::default()
        };
        let find = FindCoordinatorRequest { key: join.group_id.clone(), ..Default::default() };
        until("the coordinator", || {
            let answer: FindCoordinatorResponse = wire.call(&find, 2).unwrap();
            answer.error_code == 0
        });
        Self::roll_often(wire);
        let mut joined = JoinGroupResponse::default();
        until("the group to be joined", || {
            joined = wire.call(&join, 5).unwrap();
            join.member_id.clone_from(&joined.member_id);
            joined.error_code == 0
        });
        groups.classic = (joined.member_id, joined.generation_id);
        let sync = SyncGroupRequest {
            group_id: "classic".to_owned(),
            generation_id: groups.classic.1,
            member_id: groups.classic.0.clone(),
            assignments: vec![sync_group_request::SyncGroupRequestAssignment {
                member_id: groups.classic.0.clone(),
                assignment: bytes::Bytes::from_static(b"mine"),
            }],
            ..Default::default()
        };
        let synced: SyncGroupResponse = wire.call(&sync, 3).unwrap();
        assert_eq!(synced.error_code, 0);
        groups.modern.0 = "member-of-the-new-protocol".to_owned();
        until("an assignment", || {
            groups.modern_heartbeat(wire).unwrap();
            groups.modern.1 > 0
        });
        groups
    }

    /// Lets the topic of the groups roll and be cleaned while the test runs.
    fn roll_often(wire: &mut Wire) {
        let set = |name: &str, value: &str| incremental_alter_configs_request::AlterableConfig {
            name: name.to_owned(),
            value: Some(value.to_owned()),
            ..Default::default()
        };
        let request = IncrementalAlterConfigsRequest {
            resources: vec![incremental_alter_configs_request::AlterConfigsResource {
                resource_type: 2,
                resource_name: "__consumer_offsets".to_owned(),
                configs: vec![
                    set("internal.segment.bytes", "4096"),
                    set("min.cleanable.dirty.ratio", "0.01"),
                ],
            }],
            ..Default::default()
        };
        let answer: IncrementalAlterConfigsResponse = wire.call(&request, 1).unwrap();
        assert_eq!(answer.responses[0].error_code, 0, "{answer:?}");
    }

    /// Heartbeats with the epoch that is known; the first one joins.
    pub fn modern_heartbeat(&mut self, wire: &mut Wire) -> io::Result<()> {
        let code = self.modern_answer(wire)?;
        assert_eq!(code, 0);
        Ok(())
    }

    /// The error code of such a heartbeat.
    pub fn modern_answer(&mut self, wire: &mut Wire) -> io::Result<i16> {
        let joins = self.modern.1 == 0;
        let request = ConsumerGroupHeartbeatRequest {
            group_id: "modern".to_owned(),
            member_id: self.modern.0.clone(),
            member_epoch: self.modern.1,
            rebalance_timeout_ms: if joins { 300_000 } else { -1 },
            subscribed_topic_names: joins.then(|| vec![IDEMPOTENT.to_owned()]),
            topic_partitions: joins.then(Vec::new),
            ..Default::default()
        };
        let answer: ConsumerGroupHeartbeatResponse = wire.call(&request, 1)?;
        if answer.error_code == 0 {
            self.modern.1 = answer.member_epoch;
        }
        Ok(answer.error_code)
    }

    /// Heartbeats with the generation that is known: the error code.
    pub fn classic_heartbeat(&self, wire: &mut Wire) -> io::Result<i16> {
        let request = HeartbeatRequest {
            group_id: "classic".to_owned(),
            generation_id: self.classic.1,
            member_id: self.classic.0.clone(),
            ..Default::default()
        };
        let answer: HeartbeatResponse = wire.call(&request, 3)?;
        Ok(answer.error_code)
    }

    /// Commits offsets of two groups and heartbeats in the third.
    pub fn step(&mut self, wire: &mut Wire, progress: &Progress) -> io::Result<()> {
        self.sent += 1;
        let (member, generation) = self.classic.clone();
        for (group, member, generation) in
            [("simple", String::new(), -1), ("classic", member, generation)]
        {
            let request = OffsetCommitRequest {
                group_id: group.to_owned(),
                generation_id_or_member_epoch: generation,
                member_id: member,
                topics: vec![offset_commit_request::OffsetCommitRequestTopic {
                    name: IDEMPOTENT.to_owned(),
                    partitions: vec![offset_commit_request::OffsetCommitRequestPartition {
                        committed_offset: self.sent,
                        ..Default::default()
                    }],
                    ..Default::default()
                }],
                ..Default::default()
            };
            let answer: OffsetCommitResponse = wire.call(&request, 8)?;
            assert_eq!(answer.topics[0].partitions[0].error_code, 0, "{group}");
        }
        self.acknowledged = self.sent;
        progress.acknowledged();
        self.modern_heartbeat(wire)
    }
}
