//! AllocateProducerIds (API 67): each block is given away once, for ever.

use pharos_base::BrokerId;

use super::{Decision, Facts};
use crate::record::MetadataRecord;
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::{
    AllocateProducerIdsRequest, AllocateProducerIdsResponse, ProducerIdsRecord,
};

/// Ids in a block (`ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE`).
pub const PRODUCER_ID_BLOCK_SIZE: i32 = 1000;

/// Decides a request. The record is committed before the block is used, so that a block that was
/// answered is never given again, whoever is killed when.
pub(crate) fn decide(
    facts: &Facts<'_>,
    request: &AllocateProducerIdsRequest,
) -> Decision<AllocateProducerIdsResponse> {
    let refuse = |code: ErrorCode| {
        Decision::only(AllocateProducerIdsResponse {
            error_code: code.code(),
            ..AllocateProducerIdsResponse::default()
        })
    };
    let broker = BrokerId(request.broker_id);
    if let Err(code) = super::brokers::check_epoch(facts.image, broker, request.broker_epoch) {
        return refuse(code);
    }
    let first = facts.image.next_producer_id();
    let Some(next) = first.checked_add(i64::from(PRODUCER_ID_BLOCK_SIZE)) else {
        return refuse(ErrorCode::UnknownServerError);
    };
    let record = ProducerIdsRecord {
        broker_id: request.broker_id,
        broker_epoch: request.broker_epoch,
        next_producer_id: next,
    };
    let response = AllocateProducerIdsResponse {
        producer_id_start: first,
        producer_id_len: PRODUCER_ID_BLOCK_SIZE,
        ..AllocateProducerIdsResponse::default()
    };
    Decision { records: vec![MetadataRecord::ProducerIds(record)], response }
}
