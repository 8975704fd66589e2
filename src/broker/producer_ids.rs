//! Producer ids in blocks: each block is a metadata record, so no id is ever given twice, not even
//! after a crash (the rest of a block is lost then).

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use pharos_base::{BrokerId, ProducerId};
use pharos_metadata::Controller;
use pharos_protocol::messages::AllocateProducerIdsRequest;
use pharos_protocol::{ApiKey, ErrorCode};
use tokio::sync::Mutex;

use crate::request_metrics::RequestMetrics;

/// Gives out producer ids.
pub struct ProducerIds {
    controller: Controller,
    requests: Arc<RequestMetrics>,
    broker: BrokerId,
    epoch: Arc<AtomicI64>,
    block: Mutex<Range<i64>>,
}

impl ProducerIds {
    /// Takes its blocks from `controller`, as `broker` in its current epoch.
    pub fn new(
        controller: Controller,
        requests: Arc<RequestMetrics>,
        broker: BrokerId,
        epoch: Arc<AtomicI64>,
    ) -> Self {
        Self { controller, requests, broker, epoch, block: Mutex::new(0..0) }
    }

    /// An id that nobody has; `None` when the controller gives no block (the client tries again).
    pub async fn next(&self) -> Option<ProducerId> {
        let mut block = self.block.lock().await;
        if block.is_empty() {
            let request = AllocateProducerIdsRequest {
                broker_id: self.broker.0,
                broker_epoch: self.epoch.load(Ordering::Acquire),
            };
            let began = Instant::now();
            let answer = self.controller.allocate_producer_ids(request).await;
            if let Ok(fresh) = &answer {
                let errors = vec![(fresh.error_code, 1)];
                let api = ApiKey::AllocateProducerIds;
                self.requests.record_in_process(api, 0, &request, began, &errors);
            }
            match answer {
                Ok(fresh) if fresh.error_code == ErrorCode::None.code() => {
                    let len = i64::from(fresh.producer_id_len);
                    *block = fresh.producer_id_start..fresh.producer_id_start.saturating_add(len);
                }
                Ok(refused) => {
                    tracing::warn!(code = refused.error_code, "no block of producer ids");
                    return None;
                }
                Err(error) => {
                    tracing::warn!(%error, "no block of producer ids");
                    return None;
                }
            }
        }
        block.next().map(ProducerId)
    }
}
