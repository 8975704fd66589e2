//! Jobs: a request's decision as a closure that waits for its turn.

use std::time::Duration;

use pharos_base::BrokerId;
use pharos_protocol::messages::{BrokerHeartbeatRequest, BrokerHeartbeatResponse};
use tokio::sync::oneshot;
use tracing::Span;

use crate::decide::brokers::{self, HeartbeatFacts, NextState};
use crate::decide::{Decision, Facts};
use crate::lease::Leases;
use crate::record::MetadataRecord;

/// What a job meets when its turn comes.
pub(crate) struct Turn<'a> {
    pub facts: Facts<'a>,
    pub leases: &'a mut Leases,
    /// Monotonic milliseconds.
    pub now_ms: i64,
}

impl Turn<'_> {
    /// Decides a heartbeat and renews the broker's lease.
    pub fn heartbeat(
        &mut self,
        request: &BrokerHeartbeatRequest,
    ) -> Decision<BrokerHeartbeatResponse> {
        let id = BrokerId(request.broker_id);
        let lease = HeartbeatFacts {
            lowest_active_offset: self.leases.lowest_active_offset(self.facts.image),
            controlled_shutdown_offset: self.leases.controlled_shutdown_offset(id),
        };
        let (decision, next) = brokers::heartbeat(&self.facts, request, lease);
        if next.is_some() {
            self.leases.touch(id, request.current_metadata_offset, self.now_ms);
        }
        if next == Some(NextState::ControlledShutdown) {
            let records = i64::try_from(decision.records.len()).unwrap_or(i64::MAX);
            let end = self.facts.next_offset.saturating_add(records);
            self.leases.shutting_down(id, end - 1);
        }
        decision
    }
}

/// Records of a decision, and what tells the asker once they are committed. Dropping it unused
/// tells that they are not.
pub(super) struct Pending {
    pub records: Vec<MetadataRecord>,
    pub answer: Answer,
}

/// What tells the asker. With it ends the span of the commit that it waits for.
pub(super) type Answer = Box<dyn FnOnce() + Send>;

/// A request that waits for its turn.
pub(super) struct Job {
    /// When it came, by the monotonic clock.
    pub queued: Duration,
    /// The span of its asker, if the asker is traced.
    span: Span,
    decide: Box<dyn FnOnce(&mut Turn<'_>) -> Pending + Send>,
}

impl Job {
    pub fn new<R: Send + 'static>(
        queued: Duration,
        span: Span,
        decide: impl FnOnce(&mut Turn<'_>) -> Decision<R> + Send + 'static,
        answer: oneshot::Sender<R>,
    ) -> Self {
        let decide = move |turn: &mut Turn<'_>| {
            let Decision { records, response } =
                tracing::debug_span!("controller.decide").in_scope(|| decide(turn));
            let commit = tracing::debug_span!("controller.commit");
            let answer = move || {
                drop(commit);
                // Whoever asked may have gone; the decision stands all the same.
                drop(answer.send(response));
            };
            Pending { records, answer: Box::new(answer) }
        };
        Self { queued, span, decide: Box::new(decide) }
    }

    pub fn decide(self, turn: &mut Turn<'_>) -> Pending {
        let Self { span, decide, .. } = self;
        span.in_scope(|| decide(turn))
    }
}
