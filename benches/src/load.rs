//! Load in Kafka's protocol with as little work as possible: frames are made once and sent again
//! and again over blocking sockets, so that the broker is what is measured.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use pharos_protocol::batch::{BatchBuilder, BatchOptions, NewRecord};
use pharos_protocol::compression::Codec;
use pharos_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use pharos_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use pharos_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use pharos_protocol::messages::{
    ApiVersionsRequest, CreateTopicsRequest, CreateTopicsResponseRef, FetchRequest, ProduceRequest,
    ProduceResponseRef,
};
use pharos_protocol::{ApiKey, Message, Records, frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Topics by name: the last versions that have it.
const PRODUCE_VERSION: i16 = 12;
const FETCH_VERSION: i16 = 12;
const API_VERSIONS_VERSION: i16 = 3;
const CREATE_TOPICS_VERSION: i16 = 7;
const TOPIC_ALREADY_EXISTS: i16 = 36;
/// Longest time that a new topic may take until it can be written.
const TOPIC_PATIENCE: Duration = Duration::from_secs(60);
/// Largest answer that is read.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// One connection.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self::over(stream))
    }

    /// Over a connection that is there.
    pub(crate) fn over(stream: TcpStream) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    pub(crate) fn send(&mut self, frame: &[u8]) -> anyhow::Result<()> {
        Ok(self.stream.write_all(frame)?)
    }

    /// The next answer, without its size.
    pub(crate) fn receive(&mut self) -> anyhow::Result<&[u8]> {
        let mut size = [0; 4];
        self.stream.read_exact(&mut size)?;
        let size = usize::try_from(i32::from_be_bytes(size))?;
        ensure!(size <= MAX_ANSWER_BYTES, "an answer of {size} bytes");
        if self.buffer.len() < size {
            self.buffer.resize(size, 0);
        }
        let answer = self.buffer.get_mut(..size).context("the buffer is short")?;
        self.stream.read_exact(answer)?;
        Ok(answer)
    }

    /// Reads exactly as many bytes, whatever they are.
    pub(crate) fn receive_raw(&mut self, len: usize) -> anyhow::Result<()> {
        self.buffer.resize(len.max(self.buffer.len()), 0);
        let answer = self.buffer.get_mut(..len).context("the buffer is short")?;
        Ok(self.stream.read_exact(answer)?)
    }

    /// The error codes of the next answer to a produce request are all 0, or this is the first other.
    pub(crate) fn acked(&mut self) -> anyhow::Result<i16> {
        produce_error(self.receive()?)
    }

    /// As [`Client::acked`], and an error when there is one.
    pub(crate) fn must_be_acked(&mut self) -> anyhow::Result<()> {
        must_be_ack(self.receive()?)
    }
}

/// An error unless an answer to a produce request is without one.
pub(crate) fn must_be_ack(answer: &[u8]) -> anyhow::Result<()> {
    match produce_error(answer)? {
        0 => Ok(()),
        code => bail!("produce was answered with error {code}"),
    }
}

/// The first error code of an answer to a produce request, 0 without any.
fn produce_error(answer: &[u8]) -> anyhow::Result<i16> {
    let (_, body) = frame::split_response(answer, ApiKey::Produce, PRODUCE_VERSION)?;
    let response = ProduceResponseRef::decode(body, PRODUCE_VERSION)?;
    for topic in response.responses.iter() {
        for partition in topic.partition_responses.iter() {
            if partition.error_code != 0 {
                return Ok(partition.error_code);
            }
        }
    }
    Ok(0)
}

/// Sends `frame` again and again until `end`, each time when the one before was answered as `check`
/// wants it; seconds of every answer. Many of these share one thread.
pub(crate) async fn ask_until(
    address: SocketAddr,
    frame: Bytes,
    end: Instant,
    check: fn(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<f64>> {
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut took, mut answer) = (Vec::new(), Vec::new());
    while Instant::now() < end {
        let begin = Instant::now();
        stream.write_all(&frame).await?;
        let size = usize::try_from(stream.read_i32().await?)?;
        ensure!(size <= MAX_ANSWER_BYTES, "an answer of {size} bytes");
        answer.resize(size, 0);
        stream.read_exact(&mut answer).await?;
        took.push(begin.elapsed().as_secs_f64());
        check(&answer)?;
    }
    Ok(took)
}

/// A whole request in one piece.
pub(crate) fn request<M: Message>(api: ApiKey, version: i16, body: &M) -> anyhow::Result<Vec<u8>> {
    let encoded = frame::encode_request(api, version, 1, Some("bench"), body)?;
    Ok(encoded.into_bytes()?.to_vec())
}

/// What a new topic is.
pub(crate) struct Topic<'a> {
    pub(crate) name: &'a str,
    pub(crate) partitions: i32,
    pub(crate) configs: &'a [(&'a str, &'a str)],
}

/// Makes a topic and waits until its last partition can be written.
pub(crate) fn create_topic(address: SocketAddr, topic: &Topic<'_>) -> anyhow::Result<()> {
    create_topics(address, std::slice::from_ref(topic))
}

/// Makes topics in one request and waits until the last partition of the last can be written.
pub(crate) fn create_topics(address: SocketAddr, topics: &[Topic<'_>]) -> anyhow::Result<()> {
    let mut client = Client::connect(address)?;
    let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
        name: (*name).to_owned(),
        value: Some((*value).to_owned()),
    };
    let creatable = |topic: &Topic<'_>| CreatableTopic {
        name: topic.name.to_owned(),
        num_partitions: topic.partitions,
        replication_factor: 1,
        configs: topic.configs.iter().map(config).collect(),
        ..Default::default()
    };
    let body = CreateTopicsRequest {
        topics: topics.iter().map(creatable).collect(),
        timeout_ms: 30_000,
        ..Default::default()
    };
    let begin = Instant::now();
    // A broker that has just begun to listen may not be registered yet.
    loop {
        client.send(&request(ApiKey::CreateTopics, CREATE_TOPICS_VERSION, &body)?)?;
        let answer = client.receive()?;
        let (_, answer) =
            frame::split_response(answer, ApiKey::CreateTopics, CREATE_TOPICS_VERSION)?;
        let answer = CreateTopicsResponseRef::decode(answer, CREATE_TOPICS_VERSION)?;
        let mut codes = answer.topics.iter().map(|topic| topic.error_code);
        let Some(code) = codes.find(|code| ![0, TOPIC_ALREADY_EXISTS].contains(code)) else {
            break;
        };
        ensure!(begin.elapsed() < TOPIC_PATIENCE, "create topic was answered with error {code}");
        std::thread::sleep(Duration::from_millis(5));
    }
    let last = topics.last().context("no topic")?;
    first_ack(&mut client, last.name, last.partitions - 1).map(drop)
}

/// Writes one record, again until it is acked; how many attempts that took.
pub(crate) fn first_ack(client: &mut Client, topic: &str, partition: i32) -> anyhow::Result<u32> {
    let frame = produce(topic, &[partition], &batch(1, 100, Codec::None)?, 1)?;
    let begin = Instant::now();
    for attempt in 1.. {
        client.send(&frame)?;
        let code = client.acked()?;
        if code == 0 {
            return Ok(attempt);
        }
        ensure!(begin.elapsed() < TOPIC_PATIENCE, "produce was answered with error {code}");
        std::thread::sleep(Duration::from_millis(1));
    }
    bail!("never acked")
}

/// A batch of records with values of `value_bytes` that compress about as text does.
pub(crate) fn batch(records: usize, value_bytes: usize, codec: Codec) -> anyhow::Result<Bytes> {
    batches(1, records, value_bytes, codec)?.pop().context("no batch")
}

/// Batches as [`batch`] makes them, each of other records.
pub(crate) fn batches(
    count: usize,
    records: usize,
    value_bytes: usize,
    codec: Codec,
) -> anyhow::Result<Vec<Bytes>> {
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    (0..count).map(|_| next_batch(&mut noise, records, value_bytes, codec)).collect()
}

/// A batch of records with these keys.
pub(crate) fn keyed_batch(
    keys: impl Iterator<Item = String>,
    value_bytes: usize,
    codec: Codec,
) -> anyhow::Result<Bytes> {
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    let mut builder = BatchBuilder::new(BatchOptions { codec, ..Default::default() });
    let timestamp = now_ms();
    for key in keys {
        let value = noise.text(value_bytes);
        let key = Some(key.as_bytes());
        builder.push(&NewRecord { timestamp, key, value: Some(&value), headers: &[] })?;
    }
    Ok(builder.build()?)
}

fn next_batch(
    noise: &mut Noise,
    records: usize,
    value_bytes: usize,
    codec: Codec,
) -> anyhow::Result<Bytes> {
    let mut builder = BatchBuilder::new(BatchOptions { codec, ..Default::default() });
    let timestamp = now_ms();
    for _ in 0..records {
        let value = noise.text(value_bytes);
        builder.push(&NewRecord { timestamp, key: None, value: Some(&value), headers: &[] })?;
    }
    Ok(builder.build()?)
}

fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_millis()).unwrap_or(0))
}

/// Reproducible filling: field names that repeat, numbers that do not.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn text(&mut self, len: usize) -> Vec<u8> {
        let mut text = String::new();
        while text.len() < len {
            let (order, customer) = (self.next(), self.next() % 10_000);
            text +=
                &format!("{{\"order\":{order},\"customer\":\"c-{customer}\",\"state\":\"paid\"}}");
        }
        let mut bytes = text.into_bytes();
        bytes.truncate(len);
        bytes
    }
}

/// A produce request with the same batch for each partition.
pub(crate) fn produce(
    topic: &str,
    partitions: &[i32],
    batch: &Bytes,
    acks: i16,
) -> anyhow::Result<Vec<u8>> {
    let each: Vec<_> = partitions.iter().map(|index| (*index, batch.clone())).collect();
    produce_each(topic, &each, acks)
}

/// A produce request with a batch for each partition.
pub(crate) fn produce_each(
    topic: &str,
    batches: &[(i32, Bytes)],
    acks: i16,
) -> anyhow::Result<Vec<u8>> {
    let data = |(index, batch): &(i32, Bytes)| PartitionProduceData {
        index: *index,
        records: Some(Records::Bytes(batch.clone())),
    };
    let body = ProduceRequest {
        acks,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            name: topic.to_owned(),
            partition_data: batches.iter().map(data).collect(),
            ..Default::default()
        }],
        ..Default::default()
    };
    request(ApiKey::Produce, PRODUCE_VERSION, &body)
}

/// A fetch of `(partition, offset)`, without a session.
pub(crate) fn fetch(topic: &str, from: &[(i32, i64)]) -> anyhow::Result<Vec<u8>> {
    let partition = |(partition, offset): &(i32, i64)| FetchPartition {
        partition: *partition,
        fetch_offset: *offset,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    let body = FetchRequest {
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: 50 << 20,
        topics: vec![FetchTopic {
            topic: topic.to_owned(),
            partitions: from.iter().map(partition).collect(),
            ..Default::default()
        }],
        ..Default::default()
    };
    request(ApiKey::Fetch, FETCH_VERSION, &body)
}

/// The version of [`fetch`].
pub(crate) const fn fetch_version() -> i16 {
    FETCH_VERSION
}

/// An ApiVersions request.
pub(crate) fn api_versions() -> anyhow::Result<Vec<u8>> {
    let body = ApiVersionsRequest {
        client_software_name: "bench".to_owned(),
        client_software_version: "1".to_owned(),
    };
    request(ApiKey::ApiVersions, API_VERSIONS_VERSION, &body)
}

/// Sends `frame` `count` times, `window` of them unanswered at most.
pub(crate) fn pipeline(
    client: &mut Client,
    frame: &[u8],
    count: u64,
    window: u64,
) -> anyhow::Result<()> {
    let (mut sent, mut acked) = (0, 0);
    while acked < count {
        if sent < count && sent - acked < window {
            client.send(frame)?;
            sent += 1;
        } else {
            client.must_be_acked()?;
            acked += 1;
        }
    }
    Ok(())
}

/// Takes what there is until the peer closes, or `limit` bytes.
pub(crate) fn drain(stream: &mut TcpStream, limit: u64) -> anyhow::Result<u64> {
    let mut buffer = vec![0; 256 << 10];
    let mut total = 0;
    while total < limit {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => total += read as u64,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(total)
}
