//! One blocking connection that speaks the protocol, also wrongly when asked to.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::SystemTime;

use bytes::Bytes;
use pharos_protocol::batch::{BatchBuilder, BatchOptions, NewRecord, batches};
use pharos_protocol::messages::*;
use pharos_protocol::{ApiKey, Message, Records, frame};

use crate::start_process::HANG_GUARD;

/// Largest answer that is read.
const MAX_ANSWER_BYTES: usize = 256 << 20;
const OFFSET_OUT_OF_RANGE: i16 = 1;

/// A connection to a broker.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    correlation: i32,
}

impl Wire {
    /// Connects on this machine.
    pub fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(HANG_GUARD))?;
        stream.set_write_timeout(Some(HANG_GUARD))?;
        Ok(Self { stream, correlation: 0 })
    }

    /// The socket.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Sends a request; the answer is to be read by [`Self::receive`].
    pub fn send<Q: Message>(&mut self, request: &Q, version: i16) -> io::Result<()> {
        self.correlation += 1;
        let key = ApiKey::from_i16(Q::API_KEY.unwrap()).unwrap();
        let whole = frame::encode_request(key, version, self.correlation, Some("it"), request);
        self.stream.write_all(&whole.unwrap().into_bytes().unwrap())
    }

    /// Reads one frame, without its size.
    pub fn receive_frame(&mut self) -> io::Result<Vec<u8>> {
        let mut size = [0; 4];
        self.stream.read_exact(&mut size)?;
        let size = usize::try_from(i32::from_be_bytes(size)).unwrap();
        assert!(size <= MAX_ANSWER_BYTES, "an answer of {size} bytes");
        let mut frame = vec![0; size];
        self.stream.read_exact(&mut frame)?;
        Ok(frame)
    }

    /// Reads the next answer.
    pub fn receive<R: Message>(&mut self, version: i16) -> io::Result<R> {
        let frame = self.receive_frame()?;
        let key = ApiKey::from_i16(R::API_KEY.unwrap()).unwrap();
        let (_, body) = frame::split_response(&frame, key, version).unwrap();
        Ok(R::decode(body, version).unwrap())
    }

    /// Sends a request and reads its answer.
    pub fn call<R: Message>(&mut self, request: &impl Message, version: i16) -> io::Result<R> {
        self.send(request, version)?;
        self.receive(version)
    }

    /// Creates a topic; the error code that was answered.
    pub fn create_topic(
        &mut self,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> io::Result<i16> {
        let configs =
            configs.iter().map(|(name, value)| create_topics_request::CreatableTopicConfig {
                name: (*name).to_owned(),
                value: Some((*value).to_owned()),
            });
        let topic = create_topics_request::CreatableTopic {
            name: name.to_owned(),
            num_partitions: partitions,
            replication_factor: 1,
            configs: configs.collect(),
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
        let answer: CreateTopicsResponse = self.call(&request, 7)?;
        Ok(answer.topics[0].error_code)
    }

    /// Deletes a topic; the error code of the answer.
    pub fn delete_topic(&mut self, name: &str) -> io::Result<i16> {
        let topic = delete_topics_request::DeleteTopicState {
            name: Some(name.to_owned()),
            ..Default::default()
        };
        let request =
            DeleteTopicsRequest { topics: vec![topic], timeout_ms: 30_000, ..Default::default() };
        let answer: DeleteTopicsResponse = self.call(&request, 6)?;
        Ok(answer.responses[0].error_code)
    }

    /// Appends to one partition with acks=1: error code, base offset and message.
    pub fn produce(
        &mut self,
        topic: &str,
        partition: i32,
        batch: &[u8],
    ) -> io::Result<(i16, i64, Option<String>)> {
        let answer: ProduceResponse = self.call(&produce(topic, partition, batch, 1), 9)?;
        let answer = answer.responses[0].partition_responses[0].clone();
        Ok((answer.error_code, answer.base_offset, answer.error_message))
    }

    /// Start and end offset of a partition.
    pub fn offsets(&mut self, topic: &str, partition: i32) -> io::Result<(i64, i64)> {
        let mut ask = |timestamp| -> io::Result<i64> {
            let one = list_offsets_request::ListOffsetsPartition {
                partition_index: partition,
                timestamp,
                ..Default::default()
            };
            let request = ListOffsetsRequest {
                replica_id: -1,
                topics: vec![list_offsets_request::ListOffsetsTopic {
                    name: topic.to_owned(),
                    partitions: vec![one],
                }],
                ..Default::default()
            };
            let answer: ListOffsetsResponse = self.call(&request, 7)?;
            let one = &answer.topics[0].partitions[0];
            assert_eq!(one.error_code, 0, "{topic}-{partition}");
            Ok(one.offset)
        };
        Ok((ask(-2)?, ask(-1)?))
    }

    /// Every record of a partition with its offset, key and value.
    pub fn read_all(&mut self, topic: &str, partition: i32) -> io::Result<Vec<Stored>> {
        let (mut next, end) = self.offsets(topic, partition)?;
        let mut found = Vec::new();
        while next < end {
            let answer: FetchResponse = self.call(&fetch(topic, partition, next, 1 << 20), 12)?;
            let data = &answer.responses[0].partitions[0];
            if data.error_code == OFFSET_OUT_OF_RANGE {
                // Retention took the first records away meanwhile.
                let (start, _) = self.offsets(topic, partition)?;
                assert!(start > next, "{topic}-{partition} starts at {start}, refuses {next}");
                found.clear();
                next = start;
                continue;
            }
            assert_eq!(data.error_code, 0, "{topic}-{partition} at {next}");
            let before = next;
            let records = data.records.as_ref().and_then(Records::as_bytes).cloned();
            for batch in batches(&records.unwrap_or_default()) {
                let batch = batch.unwrap();
                batch.check_crc().unwrap();
                let open = batch.open(1 << 20).unwrap();
                for record in open.records() {
                    let record = record.unwrap();
                    if record.offset >= next {
                        found.push(Stored::of(&record));
                    }
                }
                let header = batch.header();
                next = next.max(header.base_offset + i64::from(header.last_offset_delta) + 1);
            }
            assert!(next > before, "{topic}-{partition} has nothing at {next}, the end is {end}");
        }
        Ok(found)
    }
}

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub offset: i64,
    pub key: Vec<u8>,
    pub value: Vec<u8>,
}

impl Stored {
    fn of(record: &pharos_protocol::batch::Record<'_>) -> Self {
        let owned = |bytes: Option<&[u8]>| bytes.unwrap_or_default().to_vec();
        Self { offset: record.offset, key: owned(record.key), value: owned(record.value) }
    }

    /// The number that the value starts with.
    pub fn number(&self) -> u64 {
        let text = std::str::from_utf8(&self.value).unwrap();
        text.split(' ').next().unwrap().parse().unwrap()
    }
}

/// A request that appends `batch` to one partition.
pub fn produce(topic: &str, partition: i32, batch: &[u8], acks: i16) -> ProduceRequest {
    ProduceRequest {
        acks,
        timeout_ms: 30_000,
        topic_data: vec![produce_request::TopicProduceData {
            name: topic.to_owned(),
            partition_data: vec![produce_request::PartitionProduceData {
                index: partition,
                records: Some(Records::copy(batch)),
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// A request that reads one partition, waiting for at least one byte.
pub fn fetch(topic: &str, partition: i32, offset: i64, max_bytes: i32) -> FetchRequest {
    FetchRequest {
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes,
        topics: vec![fetch_request::FetchTopic {
            topic: topic.to_owned(),
            partitions: vec![fetch_request::FetchPartition {
                partition,
                fetch_offset: offset,
                partition_max_bytes: max_bytes,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// A batch of records that have keys and values, made now: retention looks at that.
pub fn batch(options: BatchOptions, records: &[(&str, &str)]) -> Bytes {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let mut builder = BatchBuilder::new(options);
    for (key, value) in records {
        let record = NewRecord {
            timestamp: i64::try_from(now).unwrap(),
            key: Some(key.as_bytes()),
            value: Some(value.as_bytes()),
            headers: &[],
        };
        builder.push(&record).unwrap();
    }
    builder.build().unwrap()
}
