//! Fetch, versions 4–18, for consumers: whole batches from the partitions that this broker leads.
//!
//! - v5: log start offsets; v7: sessions (KIP-227); v9: leader epochs; v11: racks.
//! - v12: flexible, diverging epochs; v13: topics by id; v16: endpoints of new leaders.
//!
//! Data leaves by the kernel: the answer names ranges of segment files. A fetch that finds less
//! than it wants waits for its partitions and then reads once more. What is not in memory is looked
//! for by the threads of its log directory, everything else here and now.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use indexmap::IndexMap;
use pharos_base::{Clock, LeaderEpoch, Offset, PartitionId, TopicId};
use pharos_metadata::ImagePublisher;
use pharos_metadata::image::MetadataImage;
use pharos_net::ReplyChunk;
use pharos_protocol::frame::SIZE_LEN;
use pharos_protocol::messages::fetch_response::{
    EpochEndOffset, FetchableTopicResponse, PartitionData,
};
use pharos_protocol::messages::{FetchRequestRef, FetchResponse};
use pharos_protocol::{ErrorCode, Records, encode_to_bytes};
use pharos_replication::{
    FetchOptions, Fetched, Isolation, Partition, PartitionError, Purgatory, Replicas, Wait, Waited,
};
use pharos_storage::LogSlice;
use pharos_storage::fs::without_waiting;

use crate::context::{About, Answer, AnswerError, Body, RequestContext};
use crate::delayed_metrics::DelayedMetrics;
use crate::errors;
use crate::fetch_session::{Claim, FetchSessions, Mode, PartitionKey, Told, Wanted};
use crate::leaders;
use crate::topic_metrics::{TopicMeter, TopicMetrics};

/// What the handler needs.
#[derive(Clone, Debug)]
pub struct FetchService {
    /// The partitions of this broker.
    pub replicas: Arc<Replicas>,
    /// The time, by which sessions grow old.
    pub clock: Clock,
    /// Fetches that wait for bytes.
    pub purgatory: Purgatory,
    /// What consumers asked for before.
    pub sessions: Arc<FetchSessions>,
    /// Counters by topic.
    pub metrics: Arc<TopicMetrics>,
    /// Counts what ran out of time.
    pub delayed: Arc<DelayedMetrics>,
    /// `fetch.max.bytes`.
    pub max_bytes: usize,
}

/// Reads, and answers at once when there is enough, else when there is or when the time is over.
///
/// # Errors
/// When the body is malformed, or the answer does not fit its version.
pub fn answer(
    service: &FetchService,
    publisher: &ImagePublisher,
    context: &RequestContext,
    body: &[u8],
) -> Result<Answer, AnswerError> {
    let request = FetchRequestRef::decode(body, context.version)?;
    let clock = &service.clock;
    let begun = service.begin(&publisher.current(), clock.now_ms(), context.version, &request);
    let fetch = match begun {
        Ok(fetch) => fetch.at_most(context.most_fetched()),
        Err(error) => {
            let response = FetchResponse { error_code: error.code(), ..FetchResponse::default() };
            return named(Body::of(context, &response)).map(Answer::Ready);
        }
    };
    let about = fetch.about();
    let mut found = Found::default();
    let cold = service.read(&fetch, &mut found);
    if cold.is_none() && FetchService::is_enough(&fetch, &found) {
        let body = finish(service, publisher, context, fetch, found)?;
        return Ok(Answer::Ready(Body { about, ..body }));
    }
    let (service, context, publisher) = (service.clone(), context.clone(), publisher.clone());
    Ok(Answer::later(async move {
        service.read_cold(&fetch, &mut found, cold).await;
        if !FetchService::is_enough(&fetch, &found) {
            let (wait, limit) = service.watch(&fetch, &found);
            if wait.run(limit).await == Waited::TimedOut {
                service.delayed.fetch_expired();
            }
            found = Found::default();
            let cold = service.read(&fetch, &mut found);
            service.read_cold(&fetch, &mut found, cold).await;
        }
        Ok(Body { about, ..finish(&service, &publisher, &context, fetch, found)? })
    }))
}

/// The answer: without data when the client is muted, since it would have used too much.
fn finish(
    service: &FetchService,
    publisher: &ImagePublisher,
    context: &RequestContext,
    fetch: Fetch,
    found: Found,
) -> Result<Body, AnswerError> {
    let ms = context.charge_fetch(|| service.size(context, &fetch, &found));
    if ms > 0 {
        service.count_requests(&fetch, &found);
        let session_id = fetch.mode.session_id();
        let response = FetchResponse { session_id, ..FetchResponse::default() };
        return named(Body::throttled(context, &response, ms));
    }
    encode(publisher, context, service.answer(service.clock.now_ms(), fetch, found))
}

fn encode(
    publisher: &ImagePublisher,
    context: &RequestContext,
    answer: FetchAnswer,
) -> Result<Body, AnswerError> {
    let FetchAnswer { mut response, slices } = answer;
    leaders::tell_consumer(&publisher.load(), context, &mut response);
    named(Body::with_files(context, &response, |token| {
        slices.get(token as usize).and_then(|(partition, slice)| piece(partition, slice))
    }))
}

fn named(body: Result<Body, AnswerError>) -> Result<Body, AnswerError> {
    body.map(|body| Body { also_named: Some("FetchConsumer"), ..body })
}

/// A fetch on its way.
#[derive(Debug)]
pub struct Fetch {
    version: i16,
    mode: Mode,
    partitions: Vec<(PartitionKey, Wanted)>,
    isolation: Isolation,
    max_bytes: usize,
    min_bytes: i64,
    max_wait: Duration,
}

impl Fetch {
    fn about(&self) -> Option<About> {
        let (first, _) = self.partitions.first()?;
        let more = self.partitions.len() - 1;
        Some(About { topic: first.topic.clone(), partition: first.partition, more })
    }
}

/// What one read over all partitions found.
#[derive(Debug, Default)]
pub struct Found {
    results: Vec<OneResult>,
    bytes: usize,
    must_answer: bool,
}

impl Fetch {
    /// Of `most` bytes at most: more would be muted for sure.
    fn at_most(mut self, most: usize) -> Self {
        self.max_bytes = self.max_bytes.min(most);
        self.min_bytes = self.min_bytes.min(i64::try_from(most).unwrap_or(i64::MAX));
        self
    }
}

impl Found {
    fn add(&mut self, result: OneResult) {
        match &result {
            OneResult::Error(_) => self.must_answer = true,
            OneResult::Found(_, fetched) => {
                self.must_answer |= fetched.diverging.is_some();
                self.bytes += fetched.records.as_ref().map_or(0, |slice| slice.len());
            }
        }
        self.results.push(result);
    }
}

#[derive(Debug)]
enum OneResult {
    Error(ErrorCode),
    Found(Arc<Partition>, Fetched),
}

/// A read that would wait for a disk.
#[derive(Debug)]
pub struct Cold {
    partition: Arc<Partition>,
    options: FetchOptions,
}

impl Cold {
    /// Reads where waiting is allowed.
    async fn read(self) -> OneResult {
        let Self { partition, options } = self;
        let disk = partition.log().home().pool().clone();
        let job = move || {
            let fetched = partition.fetch(options);
            OneResult::of(partition, fetched)
        };
        disk.run(job).await.unwrap_or(OneResult::Error(ErrorCode::KafkaStorageError))
    }
}

impl OneResult {
    fn of(partition: Arc<Partition>, fetched: Result<Fetched, PartitionError>) -> Self {
        match fetched {
            Ok(fetched) => Self::Found(partition, fetched),
            Err(error) => Self::Error(errors::of_partition(&error).code),
        }
    }
}

/// The answer and the file ranges that its records stand for, by their tokens.
#[derive(Debug)]
pub struct FetchAnswer {
    /// The answer.
    pub response: FetchResponse,
    /// What token 0, 1, 2... stands for, and whose it is.
    pub slices: Vec<(Arc<Partition>, LogSlice)>,
}

impl FetchService {
    /// Reads the request and its session.
    ///
    /// # Errors
    /// An error for the whole request.
    pub fn begin(
        &self,
        image: &MetadataImage,
        now_ms: i64,
        version: i16,
        request: &FetchRequestRef<'_>,
    ) -> Result<Fetch, ErrorCode> {
        let uses_ids = version >= 13;
        let name_of = |id: TopicId, name: &str| -> Arc<str> {
            if !uses_ids {
                return name.into();
            }
            image.topic_by_id(id).map_or_else(|| "".into(), |topic| topic.name.clone())
        };
        // A partition that is named twice is read once, as the last entry says.
        let mut wanted = IndexMap::new();
        for topic in request.topics.iter() {
            let name = name_of(topic.topic_id, topic.topic);
            for partition in topic.partitions.iter() {
                let key = PartitionKey {
                    topic_id: topic.topic_id,
                    topic: name.clone(),
                    partition: partition.partition,
                };
                let want = Wanted {
                    fetch_offset: partition.fetch_offset,
                    max_bytes: partition.partition_max_bytes,
                    current_leader_epoch: partition.current_leader_epoch,
                    last_fetched_epoch: partition.last_fetched_epoch,
                };
                wanted.insert(key, want);
            }
        }
        let mut forgotten = Vec::new();
        for topic in request.forgotten_topics_data.iter() {
            let name = name_of(topic.topic_id, topic.topic);
            forgotten.extend(topic.partitions.iter().map(|partition| PartitionKey {
                topic_id: topic.topic_id,
                topic: name.clone(),
                partition,
            }));
        }
        let claim =
            Claim { session_id: request.session_id, epoch: request.session_epoch, uses_ids };
        let wanted = wanted.into_iter().collect();
        let (mode, partitions) = self.sessions.begin(now_ms, claim, wanted, &forgotten)?;
        let isolation = if request.isolation_level == 0 {
            Isolation::ReadUncommitted
        } else {
            Isolation::ReadCommitted
        };
        Ok(Fetch {
            version,
            mode,
            partitions,
            isolation,
            max_bytes: usize::try_from(request.max_bytes).unwrap_or(0).min(self.max_bytes),
            min_bytes: i64::from(request.min_bytes).min(self.max_bytes as i64),
            max_wait: Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)),
        })
    }

    /// Reads the partitions that were not read yet, each once and in order, until the answer is
    /// full. Ends at one that would wait for a disk, and returns that read.
    pub fn read(&self, fetch: &Fetch, found: &mut Found) -> Option<Cold> {
        found.results.reserve(fetch.partitions.len() - found.results.len());
        while let Some((key, wanted)) = fetch.partitions.get(found.results.len()) {
            let partition = match self.find(fetch, key) {
                Ok(partition) => partition,
                Err(code) => {
                    found.add(OneResult::Error(code));
                    continue;
                }
            };
            let left = fetch.max_bytes.saturating_sub(found.bytes);
            let options = FetchOptions {
                offset: Offset(wanted.fetch_offset),
                max_bytes: usize::try_from(wanted.max_bytes).unwrap_or(0).min(left),
                min_one: found.bytes == 0,
                isolation: fetch.isolation,
                current_leader_epoch: epoch(wanted.current_leader_epoch),
                last_fetched_epoch: epoch(wanted.last_fetched_epoch),
            };
            match without_waiting(|| partition.fetch(options)) {
                Some(fetched) => found.add(OneResult::of(partition, fetched)),
                None => return Some(Cold { partition, options }),
            }
        }
        None
    }

    /// Goes on from a read that would wait for a disk.
    async fn read_cold(&self, fetch: &Fetch, found: &mut Found, mut cold: Option<Cold>) {
        while let Some(read) = cold {
            found.add(read.read().await);
            cold = self.read(fetch, found);
        }
    }

    /// Whether what was found is answered at once.
    pub fn is_enough(fetch: &Fetch, found: &Found) -> bool {
        found.must_answer
            || fetch.max_wait.is_zero()
            || fetch.partitions.is_empty()
            || found.bytes as i64 >= fetch.min_bytes
    }

    /// Begins to wait for what is missing. The caller reads again afterwards.
    pub fn watch(&self, fetch: &Fetch, found: &Found) -> (Wait, Duration) {
        let missing = fetch.min_bytes - found.bytes as i64;
        let wait = self.purgatory.begin(missing.max(1));
        for ((key, _), result) in fetch.partitions.iter().zip(&found.results) {
            let OneResult::Found(_, before) = result else { continue };
            let Ok(partition) = self.find(fetch, key) else { continue };
            partition.fetches.watch(&wait, 0);
            // What was appended between the read and the watch woke nobody.
            if partition.high_watermark() > before.high_watermark {
                wait.credit(i64::MAX / 2);
            }
        }
        (wait, fetch.max_wait)
    }

    fn find(&self, fetch: &Fetch, key: &PartitionKey) -> Result<Arc<Partition>, ErrorCode> {
        if fetch.version >= 13 && key.topic.is_empty() {
            return Err(ErrorCode::UnknownTopicId);
        }
        let partition = self
            .replicas
            .find(&key.topic, PartitionId(key.partition))
            .map_err(|missing| errors::of_missing(&missing).code)?;
        if fetch.version >= 13 && partition.topic_id() != key.topic_id {
            return Err(ErrorCode::UnknownTopicId);
        }
        Ok(partition)
    }

    /// Counts the requests of a fetch whose data is not sent.
    fn count_requests(&self, fetch: &Fetch, found: &Found) {
        for ((key, _), result) in fetch.partitions.iter().zip(&found.results) {
            let unknown = matches!(result, OneResult::Error(ErrorCode::UnknownTopicOrPartition));
            if !key.topic.is_empty() && !unknown {
                self.metrics.topic(&key.topic).mark(TopicMeter::TotalFetchRequests, 1);
            }
        }
    }

    /// Bytes of the answer that these results would make, as quotas count them: its size in front,
    /// no header (`FetchResponse.sizeOf`).
    fn size(&self, context: &RequestContext, fetch: &Fetch, found: &Found) -> usize {
        let told = fetch.partitions.iter().zip(&found.results);
        let told: Vec<_> = told.map(|((key, _), result)| (key, tell(result))).collect();
        let included = self.sessions.would_tell(fetch.mode, &told);
        let mut response = FetchResponse::default();
        let mut bytes = 0;
        for (((key, told), result), _) in
            told.iter().zip(&found.results).zip(included).filter(|(_, included)| *included)
        {
            bytes += told.bytes;
            push(&mut response.responses, fetch.version, key, frame_of(key.partition, result));
        }
        let encoded = encode_to_bytes(&response, context.version);
        SIZE_LEN + encoded.map_or(0, |encoded| encoded.len()) + bytes
    }

    /// Makes the answer, notes it in the session and counts it.
    fn answer(&self, now_ms: i64, fetch: Fetch, found: Found) -> FetchAnswer {
        let told: Vec<_> = fetch
            .partitions
            .into_iter()
            .zip(&found.results)
            .map(|((key, wanted), result)| (key, wanted, tell(result)))
            .collect();
        let (session_id, included) = self.sessions.finish(now_ms, fetch.mode, &told);
        self.count(now_ms, &found.results);
        let mut response = FetchResponse { session_id, ..FetchResponse::default() };
        let mut slices = Vec::new();
        for (((key, _, told), result), included) in
            told.into_iter().zip(found.results).zip(included)
        {
            if !key.topic.is_empty() {
                let metrics = self.metrics.topic(&key.topic);
                if told.error != ErrorCode::UnknownTopicOrPartition {
                    metrics.mark(TopicMeter::TotalFetchRequests, 1);
                }
                if told.bytes > 0 {
                    metrics.mark(TopicMeter::BytesOut, told.bytes as u64);
                }
            }
            if included {
                let data = partition_data(key.partition, result, &mut slices);
                push(&mut response.responses, fetch.version, &key, data);
            }
        }
        FetchAnswer { response, slices }
    }

    /// Counts what every partition gave, and how old the newest record is that it gave.
    fn count(&self, now_ms: i64, results: &[OneResult]) {
        self.metrics.fetched.count(results.iter().map(|result| match result {
            OneResult::Error(error) => error.code(),
            OneResult::Found(..) => ErrorCode::None.code(),
        }));
        for result in results {
            let OneResult::Found(partition, Fetched { records: Some(slice), .. }) = result else {
                continue;
            };
            partition.count_returned(slice.len() as u64);
            let newest = slice.newest_offset();
            // Unknown for what was appended before the log was opened.
            if let Some(ms) = newest.and_then(|offset| partition.log().append_time_at(offset)) {
                let age = Duration::from_millis(now_ms.saturating_sub(ms).max(0).unsigned_abs());
                self.metrics.record_age.record(age.as_secs_f64());
            }
        }
    }
}

/// Small pieces are cheaper to copy than to have sent by the kernel.
const COPY_UPTO_BYTES: usize = 16 * 1024;

/// The piece of the answer that a slice makes. A tail that cannot be read ends the answer short,
/// which closes the connection.
fn piece(partition: &Partition, slice: &LogSlice) -> Option<ReplyChunk> {
    let copy = || slice.read_to_bytes().ok().map(ReplyChunk::Bytes);
    let Some(file) = slice.raw_file() else { return copy() };
    if slice.len() <= COPY_UPTO_BYTES
        && let Some(Some(copied)) = without_waiting(copy)
    {
        return Some(copied);
    }
    Some(ReplyChunk::File {
        file: file.clone(),
        offset: slice.position(),
        len: slice.len() as u64,
        disk: Some(partition.log().home().pool().clone()),
    })
}

/// A client's epoch; any negative one is none.
fn epoch(epoch: i32) -> LeaderEpoch {
    LeaderEpoch(epoch).max(LeaderEpoch::UNKNOWN)
}

fn tell(result: &OneResult) -> Told {
    match result {
        OneResult::Error(error) => {
            Told { error: *error, bytes: 0, high_watermark: -1, log_start: -1, notable: false }
        }
        OneResult::Found(_, fetched) => Told {
            error: ErrorCode::None,
            bytes: fetched.records.as_ref().map_or(0, |slice| slice.len()),
            high_watermark: fetched.high_watermark.0,
            log_start: fetched.log_start_offset.0,
            notable: fetched.diverging.is_some(),
        },
    }
}

/// A partition's answer without its records, to be measured.
fn frame_of(index: i32, result: &OneResult) -> PartitionData {
    let diverging = match result {
        OneResult::Found(_, fetched) => fetched.diverging,
        OneResult::Error(_) => None,
    };
    let epoch =
        |(epoch, end): (LeaderEpoch, Offset)| EpochEndOffset { epoch: epoch.0, end_offset: end.0 };
    PartitionData {
        partition_index: index,
        diverging_epoch: diverging.map(epoch).unwrap_or_default(),
        aborted_transactions: None,
        records: Some(Records::Bytes(Bytes::new())),
        ..PartitionData::default()
    }
}

fn partition_data(
    index: i32,
    result: OneResult,
    slices: &mut Vec<(Arc<Partition>, LogSlice)>,
) -> PartitionData {
    match result {
        OneResult::Error(error) => PartitionData {
            partition_index: index,
            error_code: error.code(),
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            aborted_transactions: None,
            records: Some(Records::Bytes(Bytes::new())),
            ..PartitionData::default()
        },
        OneResult::Found(partition, fetched) => {
            let records = match fetched.records {
                None => Records::Bytes(Bytes::new()),
                Some(slice) => {
                    let token = u32::try_from(slices.len()).unwrap_or(u32::MAX);
                    let len = u32::try_from(slice.len()).unwrap_or(u32::MAX);
                    slices.push((partition, slice));
                    Records::External { token, len }
                }
            };
            PartitionData {
                partition_index: index,
                error_code: ErrorCode::None.code(),
                high_watermark: fetched.high_watermark.0,
                last_stable_offset: fetched.last_stable_offset.0,
                log_start_offset: fetched.log_start_offset.0,
                diverging_epoch: fetched
                    .diverging
                    .map(|(epoch, end)| EpochEndOffset { epoch: epoch.0, end_offset: end.0 })
                    .unwrap_or_default(),
                aborted_transactions: None,
                records: Some(records),
                ..PartitionData::default()
            }
        }
    }
}

/// Adds a partition to the answer; neighbours of one topic share an entry.
fn push(
    responses: &mut Vec<FetchableTopicResponse>,
    version: i16,
    key: &PartitionKey,
    data: PartitionData,
) {
    let same = |last: &&mut FetchableTopicResponse| {
        if version >= 13 { last.topic_id == key.topic_id } else { *last.topic == *key.topic }
    };
    match responses.last_mut().filter(same) {
        Some(last) => last.partitions.push(data),
        None => responses.push(FetchableTopicResponse {
            topic: key.topic.to_string(),
            topic_id: key.topic_id,
            partitions: vec![data],
        }),
    }
}
