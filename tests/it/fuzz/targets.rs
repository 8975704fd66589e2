//! What each fuzz target does with bytes from outside: read them or refuse them. A target may
//! assert what must hold of what it read; it refuses to know where its bytes come from.
//!
//! The shims in `fuzz/targets/` and the replay of the kept corpus call the same functions.

use std::io::Read;

use pharos_metrics::{Generation, ObjectName};
use pharos_protocol::batch::{
    CRC_RANGE, CheckOptions, ControlRecord, RecordBatch, batches, check_batch,
};
use pharos_protocol::compression::{Codec, Decompressor, decompress};
use pharos_protocol::messages::*;
use pharos_protocol::{ApiKey, Message, encode_to_bytes, frame, stored, varint};

/// Most bytes that a target lets anything decompress to.
pub const OUTPUT_LIMIT: u64 = 1 << 20;

/// A target: its name, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 9] = [
    ("frames", frames),
    ("messages", messages),
    ("stored", stored_records),
    ("varints", varints),
    ("batches", record_batches),
    ("codecs", codecs),
    ("rules", rules),
    ("patterns", patterns),
    ("settings", settings),
];

/// Runs the target of that name.
#[allow(dead_code, reason = "what the shims of libFuzzer call")]
pub fn run(name: &str, data: &[u8]) {
    for (_, target) in TARGETS.iter().filter(|(of, _)| *of == name) {
        target(data);
    }
}

/// A request as it lies in a frame, and the same bytes as a response of each API.
pub fn frames(data: &[u8]) {
    if let Ok(request) = frame::split_request(data) {
        let header = request.header;
        body(request.api_key.as_i16(), header.request_api_version, true, request.body);
    }
    if let [key, data @ ..] = data
        && let Some(api) = ApiKey::from_i16(i16::from(*key))
    {
        for version in [0, 1, 9, i16::MAX] {
            let _ = frame::split_response(data, api, version);
        }
    }
}

/// Two bytes of a key, one of a version, one of a direction, then the body of a message.
pub fn messages(data: &[u8]) {
    let [key, version, direction, data @ ..] = data else { return };
    body(i16::from(*key), i16::from(*version), direction % 2 == 0, data);
}

/// What was read can be written, and is then read as the same.
fn round<M: Message>(version: i16, data: &[u8]) {
    let Ok(message) = M::decode(data, version) else { return };
    // Null records are read but, in two messages, may not be written.
    let Ok(bytes) = encode_to_bytes(&message, version) else { return };
    // By its bytes: a number may be none.
    let again = M::decode(&bytes, version).unwrap();
    assert_eq!(encode_to_bytes(&again, version), Ok(bytes), "{} version {version}", M::NAME);
}

/// One row for each API: its key, request and response.
macro_rules! bodies {
    ($($key:literal $request:ident $response:ident,)*) => {
        fn body(key: i16, version: i16, is_request: bool, data: &[u8]) {
            match (key, is_request) {
                $(($key, true) => round::<$request>(version, data),
                  ($key, false) => round::<$response>(version, data),)*
                _ => {}
            }
        }
    };
}

bodies! {
    0 ProduceRequest ProduceResponse,
    1 FetchRequest FetchResponse,
    2 ListOffsetsRequest ListOffsetsResponse,
    3 MetadataRequest MetadataResponse,
    8 OffsetCommitRequest OffsetCommitResponse,
    9 OffsetFetchRequest OffsetFetchResponse,
    10 FindCoordinatorRequest FindCoordinatorResponse,
    11 JoinGroupRequest JoinGroupResponse,
    12 HeartbeatRequest HeartbeatResponse,
    13 LeaveGroupRequest LeaveGroupResponse,
    14 SyncGroupRequest SyncGroupResponse,
    15 DescribeGroupsRequest DescribeGroupsResponse,
    16 ListGroupsRequest ListGroupsResponse,
    17 SaslHandshakeRequest SaslHandshakeResponse,
    18 ApiVersionsRequest ApiVersionsResponse,
    19 CreateTopicsRequest CreateTopicsResponse,
    20 DeleteTopicsRequest DeleteTopicsResponse,
    21 DeleteRecordsRequest DeleteRecordsResponse,
    22 InitProducerIdRequest InitProducerIdResponse,
    23 OffsetForLeaderEpochRequest OffsetForLeaderEpochResponse,
    24 AddPartitionsToTxnRequest AddPartitionsToTxnResponse,
    25 AddOffsetsToTxnRequest AddOffsetsToTxnResponse,
    26 EndTxnRequest EndTxnResponse,
    27 WriteTxnMarkersRequest WriteTxnMarkersResponse,
    28 TxnOffsetCommitRequest TxnOffsetCommitResponse,
    29 DescribeAclsRequest DescribeAclsResponse,
    30 CreateAclsRequest CreateAclsResponse,
    31 DeleteAclsRequest DeleteAclsResponse,
    32 DescribeConfigsRequest DescribeConfigsResponse,
    33 AlterConfigsRequest AlterConfigsResponse,
    34 AlterReplicaLogDirsRequest AlterReplicaLogDirsResponse,
    35 DescribeLogDirsRequest DescribeLogDirsResponse,
    36 SaslAuthenticateRequest SaslAuthenticateResponse,
    37 CreatePartitionsRequest CreatePartitionsResponse,
    38 CreateDelegationTokenRequest CreateDelegationTokenResponse,
    39 RenewDelegationTokenRequest RenewDelegationTokenResponse,
    40 ExpireDelegationTokenRequest ExpireDelegationTokenResponse,
    41 DescribeDelegationTokenRequest DescribeDelegationTokenResponse,
    42 DeleteGroupsRequest DeleteGroupsResponse,
    43 ElectLeadersRequest ElectLeadersResponse,
    44 IncrementalAlterConfigsRequest IncrementalAlterConfigsResponse,
    45 AlterPartitionReassignmentsRequest AlterPartitionReassignmentsResponse,
    46 ListPartitionReassignmentsRequest ListPartitionReassignmentsResponse,
    47 OffsetDeleteRequest OffsetDeleteResponse,
    48 DescribeClientQuotasRequest DescribeClientQuotasResponse,
    49 AlterClientQuotasRequest AlterClientQuotasResponse,
    50 DescribeUserScramCredentialsRequest DescribeUserScramCredentialsResponse,
    51 AlterUserScramCredentialsRequest AlterUserScramCredentialsResponse,
    52 VoteRequest VoteResponse,
    53 BeginQuorumEpochRequest BeginQuorumEpochResponse,
    54 EndQuorumEpochRequest EndQuorumEpochResponse,
    55 DescribeQuorumRequest DescribeQuorumResponse,
    56 AlterPartitionRequest AlterPartitionResponse,
    57 UpdateFeaturesRequest UpdateFeaturesResponse,
    58 EnvelopeRequest EnvelopeResponse,
    59 FetchSnapshotRequest FetchSnapshotResponse,
    60 DescribeClusterRequest DescribeClusterResponse,
    61 DescribeProducersRequest DescribeProducersResponse,
    62 BrokerRegistrationRequest BrokerRegistrationResponse,
    63 BrokerHeartbeatRequest BrokerHeartbeatResponse,
    64 UnregisterBrokerRequest UnregisterBrokerResponse,
    65 DescribeTransactionsRequest DescribeTransactionsResponse,
    66 ListTransactionsRequest ListTransactionsResponse,
    67 AllocateProducerIdsRequest AllocateProducerIdsResponse,
    68 ConsumerGroupHeartbeatRequest ConsumerGroupHeartbeatResponse,
    69 ConsumerGroupDescribeRequest ConsumerGroupDescribeResponse,
    70 ControllerRegistrationRequest ControllerRegistrationResponse,
    71 GetTelemetrySubscriptionsRequest GetTelemetrySubscriptionsResponse,
    72 PushTelemetryRequest PushTelemetryResponse,
    73 AssignReplicasToDirsRequest AssignReplicasToDirsResponse,
    74 ListConfigResourcesRequest ListConfigResourcesResponse,
    75 DescribeTopicPartitionsRequest DescribeTopicPartitionsResponse,
    76 ShareGroupHeartbeatRequest ShareGroupHeartbeatResponse,
    77 ShareGroupDescribeRequest ShareGroupDescribeResponse,
    78 ShareFetchRequest ShareFetchResponse,
    79 ShareAcknowledgeRequest ShareAcknowledgeResponse,
    80 AddRaftVoterRequest AddRaftVoterResponse,
    81 RemoveRaftVoterRequest RemoveRaftVoterResponse,
    82 UpdateRaftVoterRequest UpdateRaftVoterResponse,
    83 InitializeShareGroupStateRequest InitializeShareGroupStateResponse,
    84 ReadShareGroupStateRequest ReadShareGroupStateResponse,
    85 WriteShareGroupStateRequest WriteShareGroupStateResponse,
    86 DeleteShareGroupStateRequest DeleteShareGroupStateResponse,
    87 ReadShareGroupStateSummaryRequest ReadShareGroupStateSummaryResponse,
    88 StreamsGroupHeartbeatRequest StreamsGroupHeartbeatResponse,
    89 StreamsGroupDescribeRequest StreamsGroupDescribeResponse,
    90 DescribeShareGroupOffsetsRequest DescribeShareGroupOffsetsResponse,
    91 AlterShareGroupOffsetsRequest AlterShareGroupOffsetsResponse,
    92 DeleteShareGroupOffsetsRequest DeleteShareGroupOffsetsResponse,
}

/// Records of the metadata log and of the coordinators, and control records.
pub fn stored_records(data: &[u8]) {
    if let Ok(frame) = stored::split_metadata(data) {
        let (version, data) = (frame.version, frame.body);
        round::<TopicRecord>(version, data);
        round::<PartitionRecord>(version, data);
        round::<RegisterBrokerRecord>(version, data);
        round::<ConfigRecord>(version, data);
        round::<FeatureLevelRecord>(version, data);
    }
    if let Ok((kind, key)) = stored::split_key(data) {
        match kind {
            0 | 1 => round::<OffsetCommitKey>(kind, key),
            2 => round::<GroupMetadataKey>(kind, key),
            _ => round::<ConsumerGroupMetadataKey>(0, key),
        }
    }
    if let Ok((version, value)) = stored::split_value(data) {
        round::<OffsetCommitValue>(version, value);
        round::<GroupMetadataValue>(version, value);
        round::<ConsumerGroupMetadataValue>(version, value);
        round::<ConsumerProtocolSubscription>(version, value);
        round::<ConsumerProtocolAssignment>(version, value);
    }
    let (key, value) = data.split_at(data.len().min(4));
    let _ = ControlRecord::read(Some(key), Some(value));
}

/// Numbers of every width: what was read is written in no more bytes, and read again.
pub fn varints(data: &[u8]) {
    let mut rest = data;
    if let Ok(number) = varint::read_i32(&mut rest) {
        let mut out = Vec::new();
        varint::write_i32(&mut out, number);
        assert!(out.len() <= data.len() - rest.len() && out.len() == varint::len_i32(number));
        assert_eq!(varint::read_i32(&mut &out[..]), Ok(number));
    }
    let mut rest = data;
    if let Ok(number) = varint::read_i64(&mut rest) {
        let mut out = Vec::new();
        varint::write_i64(&mut out, number);
        assert!(out.len() <= data.len() - rest.len() && out.len() == varint::len_i64(number));
        assert_eq!(varint::read_i64(&mut &out[..]), Ok(number));
    }
    let _ = varint::read_u32(&mut &data[..]);
    let _ = varint::read_u64(&mut &data[..]);
}

/// Record batches as a producer, a leader or a file may have them.
pub fn record_batches(data: &[u8]) {
    for batch in batches(data) {
        let Ok(batch) = batch else { return };
        assert!(batch.total_len() <= data.len());
        let _ = batch.check_crc();
        let walked = batch.walk(OUTPUT_LIMIT);
        if let Ok(walk) = &walked {
            assert!(walk.uncompressed_bytes <= OUTPUT_LIMIT.max(data.len() as u64));
            assert_eq!(walk.record_count, batch.header().count.max(0));
        }
        // As if the checksum were right: a peer can make it so.
        let mut signed = batch.bytes().to_vec();
        let checksum = crc32c::crc32c(&signed[CRC_RANGE.end..]);
        signed[CRC_RANGE].copy_from_slice(&checksum.to_be_bytes());
        let (signed, _) = RecordBatch::split(&signed).unwrap();
        for origin in [CheckOptions::client(), CheckOptions::replication()] {
            let options = CheckOptions { max_uncompressed_bytes: OUTPUT_LIMIT, ..origin };
            let _ = check_batch(&signed, &options);
        }
        let Ok(open) = batch.open(OUTPUT_LIMIT) else { continue };
        let mut read = 0;
        let mut broken = false;
        for record in open.records() {
            let Ok(record) = record else {
                broken = true;
                break;
            };
            read += 1;
            assert_eq!(record.headers.iter().count(), record.headers.len());
            let _ = ControlRecord::read(record.key, record.value);
        }
        // The walk and the reader agree on what a batch holds.
        if batch.header().count >= 0 {
            assert_eq!(
                walked.as_ref().map(|walk| walk.record_count).ok(),
                (!broken).then_some(read)
            );
        }
    }
}

/// Compressed bytes: the first byte names the codec.
pub fn codecs(data: &[u8]) {
    let [id, data @ ..] = data else { return };
    let Some(codec) = Codec::from_id(id % 5) else { return };
    let Ok(whole) = decompress(codec, data, OUTPUT_LIMIT) else { return };
    assert!(whole.len() as u64 <= OUTPUT_LIMIT);
    // In pieces it is the same.
    let Ok(mut stream) = Decompressor::new(codec, data, OUTPUT_LIMIT) else { return };
    let mut pieces = Vec::new();
    while let Ok(true) = stream.fill() {
        let mut step = [0; 1000];
        let len = stream.ready().read(&mut step).unwrap_or(0);
        pieces.extend_from_slice(&step[..len]);
        stream.consume(len);
    }
    assert!(pieces == whole);
}

/// A file of rules, over one bean.
pub fn rules(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let bean = "kafka.x:type=Y,name=\"b,c\"\tCount\tjava.lang.Long\t1\t\td\n";
    for generation in [Generation::V0, Generation::V1] {
        let _ = pharos_metrics::rules::eval(&text, "f.yml", bean, generation);
    }
}

/// A pattern in a rule, or the name of a bean: the first byte says which.
pub fn patterns(data: &[u8]) {
    let [which, data @ ..] = data else { return };
    let text = String::from_utf8_lossy(data);
    if which % 2 == 0 {
        if let Ok(name) = ObjectName::parse(&text) {
            let again = ObjectName::parse(&name.to_string());
            assert!(again.is_ok(), "{name}");
        }
        return;
    }
    let pattern = text.replace('\'', "''");
    let yaml = format!("rules:\n- pattern: '{pattern}'\n  name: 'x'\n");
    rules(yaml.as_bytes());
}

/// A file of settings, and values of keys that have a form of their own.
pub fn settings(data: &[u8]) {
    let text = pharos_config::properties::decode(data);
    for property in pharos_config::properties::parse(&text) {
        let _ = pharos_config::parse_host_port(&property.value);
        let _ = pharos_config::Address::parse(&property.value);
        let _ = pharos_config::Voter::parse(&property.value);
    }
    let _ = pharos_config::parse_host_port(&text);
}
