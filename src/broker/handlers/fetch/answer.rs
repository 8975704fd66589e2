//! The answer to a Fetch: what quotas, sessions and counters are told of it, and its bytes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pharos_base::{LeaderEpoch, Offset};
use pharos_net::ReplyChunk;
use pharos_protocol::frame::SIZE_LEN;
use pharos_protocol::messages::FetchResponse;
use pharos_protocol::messages::fetch_response::{
    EpochEndOffset, FetchableTopicResponse, PartitionData,
};
use pharos_protocol::{ErrorCode, Records, encode_to_bytes};
use pharos_replication::{Fetched, Partition};
use pharos_storage::LogSlice;
use pharos_storage::fs::without_waiting;

use super::{Fetch, FetchService, Found, OneResult};
use crate::context::RequestContext;
use crate::errors;
use crate::fetch_session::{PartitionKey, Told};
use crate::topic_metrics::TopicMeter;

/// The answer and the file ranges that its records stand for, by their tokens.
#[derive(Debug)]
pub(super) struct FetchAnswer {
    /// The answer.
    pub(super) response: FetchResponse,
    /// What token 0, 1, 2... stands for, and whose it is.
    pub(super) slices: Vec<(Arc<Partition>, LogSlice)>,
}

impl FetchService {
    /// Counts the requests of a fetch whose data is not sent.
    pub(super) fn count_requests(&self, fetch: &Fetch, found: &Found) {
        for ((key, _), result) in fetch.partitions.iter().zip(&found.results) {
            self.count_request(key, tell(result).error);
        }
    }

    /// Counts one partition of a request.
    fn count_request(&self, key: &PartitionKey, error: ErrorCode) {
        if key.topic.is_empty() || error == ErrorCode::UnknownTopicOrPartition {
            return;
        }
        let metrics = self.metrics.topic(&key.topic);
        metrics.mark(TopicMeter::TotalFetchRequests, 1);
        if errors::is_failed_fetch(error) {
            metrics.mark(TopicMeter::FailedFetchRequests, 1);
        }
    }

    /// Bytes of the answer that these results would make, as quotas count them: its size in front,
    /// no header (`FetchResponse.sizeOf`).
    pub(super) fn size(&self, context: &RequestContext, fetch: &Fetch, found: &Found) -> usize {
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
    pub(super) fn answer(&self, now_ms: i64, fetch: Fetch, found: Found) -> FetchAnswer {
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
            self.count_request(&key, told.error);
            if told.bytes > 0 {
                let metrics = self.metrics.topic(&key.topic);
                metrics.mark(TopicMeter::BytesOut, told.bytes as u64);
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
pub(super) fn piece(partition: &Partition, slice: &LogSlice) -> Option<ReplyChunk> {
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
