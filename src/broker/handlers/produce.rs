//! Produce, versions 3–13: batches into the logs of the partitions that this broker leads.
//!
//! - v3: record batches of magic 2, exactly one a partition; transactional id in front.
//! - v7: zstd may be used.
//! - v8: errors say which record and why.
//! - v9: flexible; v10: the leader is told with a wrong guess; v13: topics by id.
//!
//! Appends take effect before the next request of the connection begins; only acks=all waits.

use std::cell::LazyCell;
use std::sync::Arc;
use std::time::Duration;

use pharos_base::{Offset, PartitionId, TopicId};
use pharos_insight::{HotKeys, WatchedTopic};
use pharos_metadata::ImagePublisher;
use pharos_metadata::image::MetadataImage;
use pharos_protocol::ErrorCode;
use pharos_protocol::batch::{BatchHeader, KeySink, LENGTH_RANGE, LOG_OVERHEAD, MAGIC_V2, Origin};
use pharos_protocol::compression::Codec;
use pharos_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
};
use pharos_protocol::messages::{ProduceRequestRef, ProduceResponse};
use pharos_replication::{Appended, Partition, PartitionError, Purgatory, Replicas, Waited};
use pharos_storage::{AppendInfo, Conversion};

use crate::context::{About, Answer, AnswerError, Body, RequestContext};
use crate::delayed_metrics::DelayedMetrics;
use crate::errors::{self, Refusal};
use crate::leaders;
use crate::topic_metrics::{TopicMeter, TopicMetrics};
use crate::topics::OFFSETS_TOPIC;

/// What the handler needs.
#[derive(Clone, Debug)]
pub struct ProduceService {
    /// The partitions of this broker.
    pub replicas: Arc<Replicas>,
    /// Produces that wait for the high watermark.
    pub purgatory: Purgatory,
    /// Counters by topic.
    pub metrics: Arc<TopicMetrics>,
    /// Counts what ran out of time.
    pub delayed: Arc<DelayedMetrics>,
    /// Looks at keys.
    pub hot_keys: Arc<HotKeys>,
}

/// Appends, and answers as the request's acks say: at once, once committed, or not at all.
///
/// # Errors
/// When the body is malformed, or the answer does not fit its version.
pub fn answer(
    service: &ProduceService,
    publisher: &ImagePublisher,
    context: &RequestContext,
    body: &[u8],
) -> Result<Answer, AnswerError> {
    let request = ProduceRequestRef::decode(body, context.version)?;
    let mut outcome = service.append(&publisher.current(), context.version, &request);
    if request.acks == 0 {
        service.metrics.produced.count(codes(&outcome.response));
        let failed = codes(&outcome.response).any(|code| code != 0);
        // Without an answer closing is the only way to tell (`KafkaApis.handleProduceRequest`).
        if failed {
            return Ok(Answer::Close("produce with acks=0 failed"));
        }
        let ms = context.charge_produce(false);
        return Ok(Answer::Silent(Duration::from_millis(ms.into()), outcome.conversion));
    }
    if outcome.waiting.is_empty() && outcome.flushes.is_empty() {
        service.metrics.produced.count(codes(&outcome.response));
        leaders::tell_producer(&publisher.load(), context, &mut outcome.response);
        let body = respond(context, &outcome.response)?;
        let Outcome { about, conversion, .. } = outcome;
        return Ok(Answer::Ready(Body { about, conversion, ..body }));
    }
    let (service, context, publisher) = (service.clone(), context.clone(), publisher.clone());
    let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
    Ok(Answer::Later(Box::pin(async move {
        let (metrics, about) = (service.metrics.clone(), outcome.about.clone());
        let conversion = outcome.conversion;
        let mut response = service.finish(outcome, timeout).await;
        metrics.produced.count(codes(&response));
        leaders::tell_producer(&publisher.load(), &context, &mut response);
        Ok(Body { about, conversion, ..respond(&context, &response)? })
    })))
}

/// The answer, and what it costs the client.
fn respond(context: &RequestContext, response: &ProduceResponse) -> Result<Body, AnswerError> {
    Body::throttled(context, response, context.charge_produce(true))
}

/// The error code of each partition.
fn codes(response: &ProduceResponse) -> impl Iterator<Item = i16> {
    let partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    partitions.map(|partition| partition.error_code)
}

/// What became of the appends.
#[derive(Debug)]
pub struct Outcome {
    /// The answer, complete but for those that wait.
    pub response: ProduceResponse,
    /// Partitions whose high watermark has not passed the append yet.
    pub waiting: Vec<Waiting>,
    /// Appends that `flush.messages` wants on the disk before they are answered.
    pub flushes: Vec<Waiting>,
    /// The first partition, and how many there are more.
    pub about: Option<About>,
    /// What checking the records of the last partition took: Kafka keeps one for a request, too.
    pub conversion: Conversion,
}

/// An append that waits for its high watermark or for the disk.
#[derive(Clone, Debug)]
pub struct Waiting {
    partition: Arc<Partition>,
    last_offset: Offset,
    at: (usize, usize),
}

impl ProduceService {
    /// Appends everything, in the order of the request.
    pub fn append(
        &self,
        image: &MetadataImage,
        version: i16,
        request: &ProduceRequestRef<'_>,
    ) -> Outcome {
        let mut outcome = Outcome {
            response: ProduceResponse::default(),
            waiting: Vec::new(),
            flushes: Vec::new(),
            about: None,
            conversion: Conversion::default(),
        };
        for topic in request.topic_data.iter() {
            let found = if version >= 13 {
                image.topic_by_id(topic.topic_id)
            } else {
                image.topic(topic.name)
            };
            let topic_index = outcome.response.responses.len();
            let mut partitions = Vec::new();
            // Of a topic only that has a partition here.
            let watched = LazyCell::new(|| self.hot_keys.topic(&found?.name));
            for data in topic.partition_data.iter() {
                match (&mut outcome.about, found) {
                    (Some(about), _) => about.more += 1,
                    (about, Some(topic)) => {
                        let topic = topic.name.clone();
                        *about = Some(About { topic, partition: data.index, more: 0 });
                    }
                    (None, None) => {}
                }
                let result = match found {
                    None if version >= 13 => Err(Refusal::from(ErrorCode::UnknownTopicId)),
                    None => Err(Refusal::from(ErrorCode::UnknownTopicOrPartition)),
                    Some(topic) => {
                        let place = (&*topic.name, data.index);
                        self.append_one(place, version, request, data.records, &watched)
                    }
                };
                outcome.conversion = match &result {
                    Ok((_, appended)) => appended.info.conversion,
                    Err(_) => Conversion::default(),
                };
                let mut answer =
                    PartitionProduceResponse { index: data.index, ..Default::default() };
                match result {
                    Ok((partition, appended)) => {
                        answer.base_offset = appended.info.first_offset.0;
                        answer.log_append_time_ms = appended.info.log_append_time.unwrap_or(-1);
                        answer.log_start_offset = appended.info.log_start_offset.0;
                        let waiting = Waiting {
                            partition,
                            last_offset: appended.info.last_offset,
                            at: (topic_index, partitions.len()),
                        };
                        if appended.info.flush_due {
                            outcome.flushes.push(waiting.clone());
                        }
                        if request.acks == -1 && !appended.committed {
                            outcome.waiting.push(waiting);
                        }
                    }
                    Err(refusal) => {
                        answer.error_code = refusal.code.code();
                        answer.error_message = refusal.message;
                        let record = refusal.record.into_iter();
                        answer.record_errors = record.map(record_error).collect();
                        answer.base_offset = -1;
                        answer.log_start_offset = -1;
                    }
                }
                partitions.push(answer);
            }
            outcome.response.responses.push(TopicProduceResponse {
                name: topic.name.to_owned(),
                topic_id: if version >= 13 { topic.topic_id } else { TopicId::ZERO },
                partition_responses: partitions,
            });
        }
        outcome
    }

    fn append_one(
        &self,
        (topic, index): (&str, i32),
        version: i16,
        request: &ProduceRequestRef<'_>,
        records: Option<&[u8]>,
        watched: &LazyCell<Option<WatchedTopic>, impl FnOnce() -> Option<WatchedTopic>>,
    ) -> Result<(Arc<Partition>, Appended), Refusal> {
        if !(-1..=1).contains(&request.acks) {
            return Err(ErrorCode::InvalidRequiredAcks.into());
        }
        // Only the coordinator writes offsets; a client would forge them.
        if topic == OFFSETS_TOPIC {
            return Err(ErrorCode::InvalidTopicException.into());
        }
        let partition = self
            .replicas
            .find(topic, PartitionId(index))
            .map_err(|missing| errors::of_missing(&missing))?;
        let records = check_form(version, request, records)?;
        let metrics = self.metrics.topic(topic);
        metrics.mark(TopicMeter::TotalProduceRequests, 1);
        let mut keys = watched.as_ref().map(|topic| topic.sampler(index));
        let sink = keys.as_mut().map(|keys| keys as &mut dyn KeySink);
        match partition.append_watched(records, Origin::Client, request.acks == -1, sink) {
            Ok(appended) => {
                if !appended.info.duplicate {
                    keys.iter_mut().for_each(|keys| keys.count(appended.info.record_count));
                }
                // As they were sent, also when they are stored otherwise; and what was in the log already
                // counts again, as in Kafka.
                let AppendInfo { first_offset, last_offset, .. } = appended.info;
                metrics.mark(TopicMeter::BytesIn, records.len() as u64);
                let messages = last_offset.plus(1).since(first_offset);
                metrics.mark(TopicMeter::MessagesIn, u64::try_from(messages).unwrap_or(0));
                let converted = appended.info.conversion.records;
                if converted > 0 {
                    metrics.mark(TopicMeter::ProduceConversions, converted);
                }
                Ok((partition, appended))
            }
            Err(error) => {
                self.count_refusal(&metrics, &error, records.len());
                Err(errors::of_refused_append(&error, partition.id()))
            }
        }
    }

    /// What Kafka counts of a refused append: the size of what is too large, records without key,
    /// wrong checksums, offsets and sequences; as a failed request all but what is expected to
    /// happen (`ReplicaManager.appendRecordsToLeader`).
    fn count_refusal(
        &self,
        metrics: &crate::topic_metrics::OneTopic,
        error: &PartitionError,
        bytes: usize,
    ) {
        let refused = &self.metrics.refused;
        if errors::is_missing_key(error) {
            refused.no_key.mark(1);
        }
        if errors::is_wrong_offset_or_sequence(error) {
            refused.sequence.mark(1);
        }
        match errors::of_partition(error).code {
            ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge => {
                metrics.mark(TopicMeter::BytesRejected, bytes as u64);
            }
            ErrorCode::CorruptMessage => refused.crc.mark(1),
            ErrorCode::UnknownTopicOrPartition
            | ErrorCode::NotLeaderOrFollower
            | ErrorCode::KafkaStorageError => {}
            _ => metrics.mark(TopicMeter::FailedProduceRequests, 1),
        }
    }

    /// Waits until every append is flushed and committed, `timeout` at most for the latter; what is
    /// not by then reads REQUEST_TIMED_OUT. The records stay in the log all the same.
    async fn finish(self, outcome: Outcome, timeout: Duration) -> ProduceResponse {
        let Outcome { mut response, waiting, flushes, .. } = outcome;
        for one in flushes {
            let flushed = one.partition.log().flushed(one.last_offset.plus(1)).await;
            if flushed.is_err() {
                refuse(&mut response, one.at, ErrorCode::KafkaStorageError);
            }
        }
        if waiting.is_empty() {
            return response;
        }
        let wait = self.purgatory.begin(i64::try_from(waiting.len()).unwrap_or(i64::MAX));
        for one in &waiting {
            one.partition.produces.watch(&wait, one.last_offset.plus(1).0);
            one.partition.produces.reached(one.partition.high_watermark().0);
        }
        let waited = wait.run(timeout).await;
        for one in waiting {
            if one.partition.high_watermark() > one.last_offset {
                continue;
            }
            if waited == Waited::TimedOut {
                self.delayed.produce_expired(one.partition.id());
            }
            let leads = one.partition.role().leads;
            let code =
                if leads { ErrorCode::RequestTimedOut } else { ErrorCode::NotLeaderOrFollower };
            refuse(&mut response, one.at, code);
        }
        response
    }
}

fn record_error((batch_index, words): (i32, String)) -> BatchIndexAndErrorMessage {
    BatchIndexAndErrorMessage { batch_index, batch_index_error_message: Some(words) }
}

fn refuse(response: &mut ProduceResponse, (topic, index): (usize, usize), code: ErrorCode) {
    let answer = response
        .responses
        .get_mut(topic)
        .and_then(|topic| topic.partition_responses.get_mut(index));
    if let Some(answer) = answer {
        answer.error_code = code.code();
        answer.base_offset = -1;
    }
}

/// The form that every produce request must have: one batch of magic 2 a partition, and no codec
/// that its version does not know (`ProduceRequest.validateRecords`). Returns that batch; what
/// follows it and is no batch is dropped, as in Kafka.
fn check_form<'a>(
    version: i16,
    request: &ProduceRequestRef<'_>,
    records: Option<&'a [u8]>,
) -> Result<&'a [u8], Refusal> {
    let invalid = |message: &str| {
        Refusal::new(
            ErrorCode::InvalidRecord,
            format!("Produce requests with version {version} {message}"),
        )
    };
    let (batch, rest) = split_batch(records.unwrap_or_default())?
        .ok_or_else(|| invalid("must have at least one record batch per partition"))?;
    if batch.get(MAGIC_AT) != Some(&(MAGIC_V2 as u8)) {
        return Err(invalid("are only allowed to contain record batches with magic version 2"));
    }
    if split_batch(rest)?.is_some() {
        return Err(invalid("are only allowed to contain exactly one record batch per partition"));
    }
    let header = BatchHeader::read(batch)
        .map_err(|error| Refusal::new(ErrorCode::CorruptMessage, error.to_string()))?;
    if header.is_transactional() {
        // No coordinator ever gave out such a producer id, so none can end what this would begin.
        return Err(match request.transactional_id {
            None => ErrorCode::TransactionalIdAuthorizationFailed.into(),
            Some(_) => ErrorCode::InvalidProducerIdMapping.into(),
        });
    }
    if version < 7 && header.codec() == Some(Codec::Zstd) {
        return Err(Refusal::new(
            ErrorCode::UnsupportedCompressionType,
            format!(
                "Produce requests with version {version} are not allowed to use ZStandard compression"
            ),
        ));
    }
    Ok(batch)
}

/// Where the magic stands in every format of batches.
const MAGIC_AT: usize = 16;

/// A batch and what follows it.
type Split<'a> = (&'a [u8], &'a [u8]);

/// The first batch of any format and what follows it; `None` when the bytes end before it does
/// (`ByteBufferLogInputStream.nextBatch`).
fn split_batch(records: &[u8]) -> Result<Option<Split<'_>>, Refusal> {
    /// The least length that any format has.
    const LEAST_LENGTH: i32 = 14;
    let corrupt = |what: String| Refusal::new(ErrorCode::CorruptMessage, what);
    let length = records.get(LENGTH_RANGE).and_then(|bytes| bytes.first_chunk());
    let Some(length) = length.map(|bytes| i32::from_be_bytes(*bytes)) else { return Ok(None) };
    if length < LEAST_LENGTH {
        return Err(corrupt(format!("the batch length {length} is less than any header's")));
    }
    match records.get(MAGIC_AT) {
        None => return Ok(None),
        Some(magic) if *magic > MAGIC_V2 as u8 => {
            return Err(corrupt(format!("there is no magic {}", *magic as i8)));
        }
        Some(_) => {}
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    Ok(records.split_at_checked(length.saturating_add(LOG_OVERHEAD)))
}
