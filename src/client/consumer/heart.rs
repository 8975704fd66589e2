//! The heartbeats of a member of a classic group: a task of their own, which only reports what the
//! coordinator says.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::HeartbeatRequest;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::config::ConsumerConfig;
use super::coordinator::{Coordinator, Identity};
use crate::error::Result;
use crate::wire::millis;

/// Beats while a generation lasts.
#[derive(Default)]
pub(crate) struct Heart {
    task: Option<JoinHandle<()>>,
    pub shared: Arc<HeartShared>,
}

/// What the task and the member tell each other.
#[derive(Default)]
pub(crate) struct HeartShared {
    verdict: Mutex<Option<ErrorCode>>,
    last_poll: Mutex<Option<Instant>>,
    /// Wakes when there is news.
    pub told: Notify,
}

impl HeartShared {
    /// The application lives; what the coordinator has said since the last time.
    pub fn poll(&self) -> Option<ErrorCode> {
        *self.last_poll.lock() = Some(Instant::now());
        self.verdict.lock().take()
    }
}

impl Heart {
    /// Beats for the generation of `identity`.
    pub fn start(
        &mut self,
        coordinator: &Coordinator,
        config: &ConsumerConfig,
        identity: &Identity,
    ) {
        self.stop();
        let beat = Beat {
            coordinator: coordinator.clone(),
            identity: identity.clone(),
            interval: config.heartbeat_interval,
            max_poll_interval: config.max_poll_interval,
            shared: self.shared.clone(),
        };
        self.task = Some(tokio::spawn(beat.run()));
    }

    /// Ends the beats, and forgets what they reported.
    pub fn stop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
        *self.shared.verdict.lock() = None;
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.stop();
    }
}

/// One generation's heartbeats.
struct Beat {
    coordinator: Coordinator,
    identity: Identity,
    interval: Duration,
    max_poll_interval: Duration,
    shared: Arc<HeartShared>,
}

impl Beat {
    async fn run(self) {
        loop {
            tokio::time::sleep(self.interval).await;
            let idle = self.shared.last_poll.lock().map_or(Duration::ZERO, |at| at.elapsed());
            if idle > self.max_poll_interval {
                // Without heartbeats the coordinator gives the partitions to others.
                tracing::warn!(
                    "no poll for {} ms, more than max.poll.interval.ms: leaving group {}",
                    millis(idle),
                    self.coordinator.group_id()
                );
                self.tell(ErrorCode::UnknownMemberId);
                return;
            }
            match self.beat().await {
                Ok(()) => {}
                Err(error) => match error.code() {
                    Some(code) if !code.retriable() || code == ErrorCode::RebalanceInProgress => {
                        self.tell(code);
                        return;
                    }
                    _ => tracing::debug!("heartbeat failed, trying on: {error}"),
                },
            }
        }
    }

    async fn beat(&self) -> Result<()> {
        let request = HeartbeatRequest {
            group_id: self.coordinator.group_id().to_owned(),
            generation_id: self.identity.generation,
            member_id: self.identity.member_id.clone(),
            group_instance_id: self.identity.instance_id.clone(),
        };
        let response = self.coordinator.call(&request).await?;
        self.coordinator.check(response.error_code)
    }

    fn tell(&self, code: ErrorCode) {
        *self.shared.verdict.lock() = Some(code);
        self.shared.told.notify_one();
    }
}
