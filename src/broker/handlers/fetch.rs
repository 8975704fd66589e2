//! Fetch, versions 4–18, for consumers: whole batches from the partitions that this broker leads.
//!
//! - v5: log start offsets; v7: sessions (KIP-227); v9: leader epochs; v11: racks.
//! - v12: flexible, diverging epochs; v13: topics by id; v16: endpoints of new leaders.
//!
//! Data leaves by the kernel: the answer names ranges of segment files. A fetch that finds less
//! than it wants waits for its partitions and then reads once more. What is not in memory is looked
//! for by the threads of its log directory, everything else here and now.

mod answer;

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use pharos_base::{Clock, LeaderEpoch, Offset, PartitionId, TopicId};
use pharos_metadata::ImagePublisher;
use pharos_metadata::image::MetadataImage;
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::{FetchRequestRef, FetchResponse};
use pharos_replication::{
    FetchOptions, Fetched, Isolation, Partition, PartitionError, Purgatory, Replicas, Wait, Waited,
};
use pharos_storage::fs::without_waiting;
use tracing::Instrument as _;

use self::answer::{FetchAnswer, piece};
use crate::context::{About, Answer, AnswerError, Body, RequestContext};
use crate::delayed_metrics::DelayedMetrics;
use crate::errors;
use crate::fetch_session::{Claim, FetchSessions, Mode, PartitionKey, Wanted};
use crate::leaders;
use crate::topic_metrics::TopicMetrics;

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
    body.map(|body| Body { by_consumer: true, ..body })
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

    /// Of `most` bytes at most: more would be muted for sure.
    fn at_most(mut self, most: usize) -> Self {
        self.max_bytes = self.max_bytes.min(most);
        self.min_bytes = self.min_bytes.min(i64::try_from(most).unwrap_or(i64::MAX));
        self
    }
}

/// What one read over all partitions found.
#[derive(Debug, Default)]
pub struct Found {
    results: Vec<OneResult>,
    bytes: usize,
    must_answer: bool,
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
        let span = tracing::debug_span!("log.read_cold", log = %partition.id());
        let job = move || {
            let fetched = partition.fetch(options);
            OneResult::of(partition, fetched)
        };
        disk.run(job)
            .instrument(span)
            .await
            .unwrap_or(OneResult::Error(ErrorCode::UnknownServerError))
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
}

/// A client's epoch; any negative one is none.
fn epoch(epoch: i32) -> LeaderEpoch {
    LeaderEpoch(epoch).max(LeaderEpoch::UNKNOWN)
}
