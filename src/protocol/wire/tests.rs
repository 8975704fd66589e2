//! Round trips of the types, and what is read beyond what is written.

use allocation_counter::measure;
use proptest::prelude::*;

use super::*;
use crate::messages::fetch_request::{FetchPartition, FetchTopic};
use crate::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use crate::messages::produce_request::TopicProduceData;
use crate::messages::*;

fn written(version: i16, flexible: bool, write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut out = Writer::new();
    out.start(version, flexible);
    write(&mut out);
    out.finish().into_bytes().unwrap().to_vec()
}

proptest! {
    #[test]
    fn types_come_back(
        flexible: bool,
        string in ".{0,300}",
        maybe in proptest::option::of(".{0,20}"),
        bytes in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300)),
        ints in proptest::option::of(proptest::collection::vec(any::<i32>(), 0..200)),
        strings in proptest::collection::vec(".{0,5}", 0..20),
        number: i64,
        id: [u8; 16],
    ) {
        let bytes = bytes.map(Bytes::from);
        let id = TopicId(uuid::Uuid::from_bytes(id));
        let out = written(3, flexible, |w| {
            w.string(&string).unwrap();
            w.opt_string(maybe.as_deref(), true).unwrap();
            w.plain_string(maybe.as_deref(), true).unwrap();
            w.opt_bytes(bytes.as_ref(), true).unwrap();
            w.records(bytes.clone().map(Records::Bytes).as_ref(), true).unwrap();
            w.opt_array(ints.as_deref(), true).unwrap();
            w.array(&strings).unwrap();
            number.write(w).unwrap();
            id.write(w).unwrap();
        });
        let mut r = Reader::new(&out, 3, flexible);
        prop_assert_eq!(r.string().unwrap(), string);
        prop_assert_eq!(r.opt_string(true).unwrap(), maybe.as_deref());
        prop_assert_eq!(r.plain_opt_string(true).unwrap(), maybe.as_deref());
        prop_assert_eq!(r.opt_bytes(true).unwrap(), bytes.as_deref());
        prop_assert_eq!(r.opt_bytes(true).unwrap(), bytes.as_deref());
        prop_assert_eq!(r.opt_array::<i32>(true).unwrap().map(|a| a.to_vec()), ints);
        let array = r.array::<&str>().unwrap();
        prop_assert_eq!(array.len(), strings.len());
        prop_assert_eq!(array.to_vec(), strings);
        prop_assert_eq!(i64::read(&mut r).unwrap(), number);
        prop_assert_eq!(TopicId::read(&mut r).unwrap(), id);
        prop_assert!(r.rest().is_empty());
    }

    #[test]
    fn numbers_come_back(a: i8, b: i16, c: u16, d: i32, e: u32, f: i64, g: f64, h: bool) {
        let out = written(0, false, |w| {
            a.write(w).unwrap();
            b.write(w).unwrap();
            c.write(w).unwrap();
            d.write(w).unwrap();
            e.write(w).unwrap();
            f.write(w).unwrap();
            g.write(w).unwrap();
            h.write(w).unwrap();
        });
        let mut r = Reader::new(&out, 0, false);
        prop_assert_eq!(i8::read(&mut r).unwrap(), a);
        prop_assert_eq!(i16::read(&mut r).unwrap(), b);
        prop_assert_eq!(u16::read(&mut r).unwrap(), c);
        prop_assert_eq!(i32::read(&mut r).unwrap(), d);
        prop_assert_eq!(u32::read(&mut r).unwrap(), e);
        prop_assert_eq!(i64::read(&mut r).unwrap(), f);
        prop_assert_eq!(f64::read(&mut r).unwrap().to_bits(), g.to_bits());
        prop_assert_eq!(bool::read(&mut r).unwrap(), h);
        prop_assert!(r.rest().is_empty());
    }

    #[test]
    fn arbitrary_bytes_are_read_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        version in 0i16..20,
    ) {
        let _ = ProduceRequestRef::decode(&bytes, version);
        let _ = FetchResponseRef::decode(&bytes, version);
        let _ = MetadataResponse::decode(&bytes, version);
        let _ = StreamsGroupHeartbeatRequest::decode(&bytes, version);
        let _ = RequestHeaderRef::decode(&bytes, version);
        let _ = PartitionRecordRef::decode(&bytes, version);
    }
}

/// A version of Metadata requests that is not flexible, with `topics` as given.
fn plain_topics(topics: &[u8]) -> Vec<u8> {
    [topics, &[1]].concat()
}

#[test]
fn negative_lengths_are_null() {
    for count in [[0xff; 4], [0xff, 0xff, 0xff, 0xfe], [0x80, 0, 0, 0]] {
        let request = MetadataRequest::decode(&plain_topics(&count), 4).unwrap();
        assert_eq!(request.topics, None);
    }
    // Version 0 has no null list; a name may not be null in version 4.
    assert_eq!(MetadataRequest::decode(&[0xff; 4], 0), Err(DecodeError::Null));
    let name = plain_topics(&[0, 0, 0, 1, 0xff, 0xfe]);
    assert_eq!(MetadataRequest::decode(&name, 4), Err(DecodeError::Null));
}

#[test]
fn any_byte_but_0_is_true() {
    for byte in [1, 2, 0x80, 0xff] {
        let bytes = [0xff, 0xff, 0xff, 0xff, byte];
        assert!(MetadataRequest::decode(&bytes, 4).unwrap().allow_auto_topic_creation);
    }
}

#[test]
fn strings_are_utf8() {
    let name = plain_topics(&[0, 0, 0, 1, 0, 2, 0xc3, 0x28]);
    assert_eq!(MetadataRequest::decode(&name, 4), Err(DecodeError::Utf8));
}

#[test]
fn strings_hold_at_most_32767_bytes() {
    // FindCoordinator version 3 holds one compact string, then its type and tags.
    let request = |len: usize| {
        let mut bytes = written(3, true, |w| w.uvarint(len as u32 + 1));
        bytes.extend(std::iter::repeat_n(b'g', len));
        bytes.extend([0, 0]);
        FindCoordinatorRequest::decode(&bytes, 3)
    };
    assert_eq!(request(32_767).unwrap().key.len(), 32_767);
    assert_eq!(request(32_768), Err(DecodeError::Count { count: 32_768, left: 32_767 }));
    let long = FindCoordinatorRequest { key: "g".repeat(32_768), ..Default::default() };
    let error = encode_to_bytes(&long, 3).unwrap_err();
    assert_eq!(error, EncodeError::Length { len: 32_768, max: 32_767 });
}

/// ApiVersions version 3: two names, then tagged fields as given.
fn with_tags(tags: &[u8]) -> Result<ApiVersionsRequest, DecodeError> {
    ApiVersionsRequest::decode(&[&[2, b'c', 2, b'1'], tags].concat(), 3)
}

#[test]
fn unknown_tags_are_skipped_and_their_number_is_capped() {
    assert!(with_tags(&[2, 9, 2, 1, 2, 1, 0]).is_ok(), "any order");
    assert!(with_tags(&[2, 9, 0, 9, 0]).is_ok(), "twice");
    let flood = |count: u32| {
        let mut tags = written(3, true, |w| w.uvarint(count));
        tags.extend(std::iter::repeat_n(0, 2 * count as usize));
        tags
    };
    assert!(with_tags(&flood(MAX_TAGGED_FIELDS)).is_ok());
    let error = DecodeError::TooManyTags(MAX_TAGGED_FIELDS + 1);
    assert_eq!(with_tags(&flood(MAX_TAGGED_FIELDS + 1)), Err(error));
    assert!(matches!(with_tags(&[1, 9, 3, 1]), Err(DecodeError::Count { count: 3, left: 1 })));
}

#[test]
fn a_tagged_field_fills_its_size() {
    // Fetch version 12: tag 0 of the request is the cluster id, a compact string.
    let fetch = |tags: &[u8]| {
        let request = FetchRequest { replica_id: 1, ..Default::default() };
        let mut bytes = encode_to_bytes(&request, 12).unwrap().to_vec();
        assert_eq!(bytes.pop(), Some(0));
        bytes.extend_from_slice(tags);
        FetchRequest::decode(&bytes, 12).map(|request| request.cluster_id)
    };
    assert_eq!(fetch(&[1, 0, 2, 2, b'x']), Ok(Some("x".into())));
    assert_eq!(fetch(&[1, 0, 1, 0]), Ok(None), "equal to the default");
    assert_eq!(fetch(&[1, 0, 3, 2, b'x', 0]), Err(DecodeError::TagSize { tag: 0, left: 1 }));
    assert!(matches!(fetch(&[1, 0, 1, 2]), Err(DecodeError::Count { .. })));
    let twice = fetch(&[2, 0, 2, 2, b'x', 0, 2, 2, b'y']);
    assert_eq!(twice, Ok(Some("y".into())), "the last one counts");
}

#[test]
fn null_structs_have_two_forms() {
    // ConsumerGroupHeartbeat's assignment has a byte in front, in responses.
    let some = ConsumerGroupHeartbeatResponse {
        assignment: Some(Default::default()),
        ..Default::default()
    };
    let bytes = encode_to_bytes(&some, 0).unwrap();
    let marker = bytes.len() - 4;
    let with = |byte: u8| {
        let mut bytes = bytes.to_vec();
        bytes[marker] = byte;
        ConsumerGroupHeartbeatResponse::decode(&bytes, 0).map(|r| r.assignment.is_some())
    };
    assert_eq!((with(0), with(1), with(0x7f)), (Ok(true), Ok(true), Ok(true)));
    assert_eq!((with(0xff), with(0x80)), (Ok(false), Ok(false)));
}

#[test]
fn versions_outside_the_tables_are_refused() {
    let message = "ProduceRequest";
    for version in [-1, 2, 14, i16::MAX] {
        let error = DecodeError::Version { message, version };
        assert_eq!(ProduceRequest::decode(&[0; 64], version), Err(error));
        let error = EncodeError::Version { message, version };
        assert_eq!(encode_to_bytes(&ProduceRequest::default(), version), Err(error));
    }
}

#[test]
fn a_field_that_the_version_lacks_is_dropped_or_refused() {
    let id = TopicId(uuid::Uuid::from_u128(7));
    let topic = TopicProduceData { topic_id: id, ..Default::default() };
    let request = ProduceRequest { topic_data: vec![topic], ..Default::default() };
    assert!(encode_to_bytes(&request, 12).is_ok(), "topic_id is ignorable");
    let request = ListOffsetsRequest { timeout_ms: 5, ..Default::default() };
    assert!(encode_to_bytes(&request, 9).is_ok(), "timeout_ms is ignorable");
    let request = InitProducerIdRequest { producer_id: 5, ..Default::default() };
    let error = EncodeError::Field { field: "InitProducerIdRequest.producer_id", version: 2 };
    assert_eq!(encode_to_bytes(&request, 2), Err(error));
    assert!(encode_to_bytes(&request, 3).is_ok());
}

#[test]
fn counts_are_believed_only_as_far_as_bytes_bear_them_out() {
    let count = 0x7fff_ffff;
    let bytes = plain_topics(&[0x7f, 0xff, 0xff, 0xff]);
    let used = measure(|| {
        let error = MetadataRequestRef::decode(&bytes, 4).unwrap_err();
        assert_eq!(error, DecodeError::Count { count, left: 1 });
        let error = MetadataRequest::decode(&bytes, 4).unwrap_err();
        assert_eq!(error, DecodeError::Count { count, left: 1 });
    });
    assert_eq!(used.count_total, 0);
}

#[test]
fn views_allocate_nothing() {
    let partition = FetchPartition { partition: 3, ..Default::default() };
    let topic = FetchTopic {
        topic: "topic".into(),
        partitions: vec![partition; 100],
        ..Default::default()
    };
    let request = FetchRequest { topics: vec![topic; 10], ..Default::default() };
    let bytes = encode_to_bytes(&request, 11).unwrap();
    let used = measure(|| {
        let view = FetchRequestRef::decode(&bytes, 11).unwrap();
        let mut sum = 0;
        for topic in view.topics {
            assert_eq!(topic.topic, "topic");
            sum += topic.partitions.iter().map(|partition| partition.partition).sum::<i32>();
        }
        assert_eq!((view.topics.len(), sum), (10, 3000));
    });
    assert_eq!(used.count_total, 0);
    assert_eq!(FetchRequestRef::decode(&bytes, 11).unwrap().to_owned(), request);
}

#[test]
fn large_and_external_records_are_not_copied() {
    let large = Bytes::from(vec![7; 5000]);
    let at = large.as_ptr();
    let partition = |records| PartitionData { records: Some(records), ..Default::default() };
    let topic = FetchableTopicResponse {
        partitions: vec![
            partition(Records::Bytes(large)),
            partition(Records::External { token: 9, len: 77 }),
            partition(Records::External { token: 10, len: 0 }),
            partition(Records::copy(b"small")),
        ],
        ..Default::default()
    };
    let response = FetchResponse { responses: vec![topic], ..Default::default() };
    let key = crate::ApiKey::Fetch;
    let encoded = crate::frame::encode_response(key, 12, 1, &response).unwrap();
    assert_eq!(encoded.chunks.len(), 5);
    assert!(matches!(&encoded.chunks[1], Chunk::Bytes(bytes) if bytes.as_ptr() == at));
    assert_eq!(encoded.chunks[3], Chunk::External { token: 9, len: 77 });
    let Chunk::Bytes(first) = &encoded.chunks[0] else { panic!() };
    assert_eq!(first[..4], (encoded.len() as i32 - 4).to_be_bytes());
    assert_eq!(encoded.into_bytes(), Err(EncodeError::External));
}

#[test]
fn error_codes_are_counted_as_they_are_written() {
    let partition = |error_code| PartitionData { error_code, ..Default::default() };
    let partitions = vec![partition(0), partition(3), partition(3)];
    let topic = FetchableTopicResponse { partitions, ..Default::default() };
    let response = FetchResponse { responses: vec![topic], ..Default::default() };
    let mut out = Writer::new();
    response.encode(&mut out, 12).unwrap();
    assert_eq!(out.finish().errors, [(0, 2), (3, 2)]);
}
