//! Membership by the consumer protocol (KIP-848): one heartbeat says and learns everything.
//!
//! A task beats the heart; the consumer sees the target assignment, gives up what it lost, and
//! acknowledges what it owns. Epochs and partitions are the coordinator's to decide.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pharos_base::TopicId;
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use pharos_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::config::ConsumerConfig;
use super::coordinator::{Coordinator, Identity};
use crate::backoff::Backoff;
use crate::error::{ClientError, Result, error_code};
use crate::wire::millis;

/// Epoch with which a member joins, leaves, and leaves for a while (static members).
const JOIN_EPOCH: i32 = 0;
const LEAVE_EPOCH: i32 = -1;
const LEAVE_STATIC_EPOCH: i32 = -2;

/// Partitions by topic id.
pub(crate) type Owned = BTreeSet<(TopicId, i32)>;

/// What the coordinator wants.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// All partitions are lost: the member was fenced and joins anew.
    Lost,
    /// These partitions are the member's from now on.
    Target(Owned),
}

/// A member of a group under the consumer protocol.
pub(crate) struct ModernMember {
    coordinator: Coordinator,
    config: Arc<ConsumerConfig>,
    shared: Arc<Shared>,
    task: Option<JoinHandle<()>>,
}

pub(crate) struct Shared {
    state: Mutex<State>,
    changed: Notify,
    pub told: Notify,
}

struct State {
    member_id: String,
    epoch: i32,
    interval: Duration,
    topics: BTreeSet<String>,
    /// Say everything, not only what has changed: at joining and after an error.
    whole: bool,
    owned: Owned,
    owned_changed: bool,
    event: Option<Event>,
    failure: Option<ClientError>,
    last_poll: Instant,
}

impl ModernMember {
    pub fn new(coordinator: Coordinator, config: Arc<ConsumerConfig>) -> Self {
        let state = State {
            member_id: TopicId::random().to_string(),
            epoch: JOIN_EPOCH,
            interval: Duration::from_secs(1),
            topics: BTreeSet::new(),
            whole: true,
            owned: Owned::new(),
            owned_changed: false,
            event: None,
            failure: None,
            last_poll: Instant::now(),
        };
        let shared =
            Shared { state: Mutex::new(state), changed: Notify::new(), told: Notify::new() };
        Self { coordinator, config, shared: Arc::new(shared), task: None }
    }

    pub fn identity(&self) -> Identity {
        let state = self.shared.state.lock();
        Identity {
            member_id: state.member_id.clone(),
            generation: state.epoch,
            instance_id: self.config.group_instance_id.clone(),
        }
    }

    /// Wakes when there is an event.
    pub fn told(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    /// Notes that the application is alive and subscribed to `topics`; returns what has happened.
    ///
    /// # Errors
    /// What ends the membership.
    pub fn poll(&mut self, topics: &BTreeSet<String>) -> Result<Option<Event>> {
        let event = {
            let mut state = self.shared.state.lock();
            state.last_poll = Instant::now();
            if state.topics != *topics {
                state.topics.clone_from(topics);
                state.whole = true;
                self.shared.changed.notify_one();
            }
            if let Some(failure) = state.failure.clone() {
                return Err(failure);
            }
            state.event.take()
        };
        if self.task.is_none() {
            let beat = Beat {
                coordinator: self.coordinator.clone(),
                config: self.config.clone(),
                shared: self.shared.clone(),
            };
            self.task = Some(tokio::spawn(beat.run()));
        }
        Ok(event)
    }

    /// Tells the coordinator which partitions are owned now.
    pub fn acknowledge(&self, owned: Owned) {
        let mut state = self.shared.state.lock();
        state.owned = owned;
        state.owned_changed = true;
        drop(state);
        self.shared.changed.notify_one();
    }

    /// Leaves the group.
    pub async fn leave(&mut self) -> Result<()> {
        let Some(task) = self.task.take() else { return Ok(()) };
        task.abort();
        let identity = self.identity();
        let epoch = if identity.instance_id.is_some() { LEAVE_STATIC_EPOCH } else { LEAVE_EPOCH };
        let request = ConsumerGroupHeartbeatRequest {
            group_id: self.coordinator.group_id().to_owned(),
            member_id: identity.member_id,
            member_epoch: epoch,
            instance_id: identity.instance_id,
            ..Default::default()
        };
        let response = self.coordinator.call(&request).await?;
        self.coordinator.check(response.error_code)
    }
}

impl Drop for ModernMember {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

/// How long it is from one heartbeat to the next.
struct Pace {
    retry: Backoff,
    /// Heartbeats in a row after which the member was in no group.
    failures: u32,
}

impl Pace {
    fn lives(&mut self, interval: Duration) -> Duration {
        self.failures = 0;
        interval
    }

    fn failed(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.retry.after(self.failures)
    }

    /// A fenced member joins again at once, unless it is fenced again and again.
    fn fenced(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.retry.after(self.failures - 1)
    }
}

struct Beat {
    coordinator: Coordinator,
    config: Arc<ConsumerConfig>,
    shared: Arc<Shared>,
}

impl Beat {
    async fn run(self) {
        let mut pace = Pace { retry: self.config.client.retry, failures: 0 };
        loop {
            let pause = match self.beat().await {
                Ok(Some(interval)) => pace.lives(interval),
                Ok(None) => pace.fenced(),
                Err(error) if error.is_retriable() => {
                    tracing::debug!("heartbeat failed, trying on: {error}");
                    self.coordinator.notice(&error);
                    self.shared.state.lock().whole = true;
                    pace.failed()
                }
                Err(error) => {
                    self.shared.state.lock().failure = Some(error);
                    self.shared.told.notify_one();
                    return;
                }
            };
            // Whichever comes first: the interval, or something to say.
            let _ = tokio::time::timeout(pause, self.shared.changed.notified()).await;
        }
    }

    /// One heartbeat; the time until the next one, or none when the member was fenced.
    async fn beat(&self) -> Result<Option<Duration>> {
        let Some(request) = self.request() else {
            return Ok(Some(self.config.heartbeat_interval));
        };
        let response = self.coordinator.call(&request).await?;
        let code = error_code(response.error_code);
        let mut state = self.shared.state.lock();
        match code {
            ErrorCode::None => state.learn(&response),
            ErrorCode::FencedMemberEpoch | ErrorCode::UnknownMemberId => {
                state.epoch = JOIN_EPOCH;
                state.whole = true;
                state.owned.clear();
                state.event = Some(Event::Lost);
            }
            _ => {
                let message = response.error_message.as_deref();
                return Err(ClientError::from_code(response.error_code, message)
                    .unwrap_or(ClientError::Closed));
            }
        }
        let (interval, has_event) = (state.interval, state.event.is_some());
        drop(state);
        if has_event {
            self.shared.told.notify_one();
        }
        Ok((code == ErrorCode::None).then_some(interval))
    }

    /// The next heartbeat; none while the application has not polled for too long, so that the
    /// coordinator takes the partitions away.
    fn request(&self) -> Option<ConsumerGroupHeartbeatRequest> {
        let mut state = self.shared.state.lock();
        if state.last_poll.elapsed() > self.config.max_poll_interval {
            return None;
        }
        let mut request = ConsumerGroupHeartbeatRequest {
            group_id: self.coordinator.group_id().to_owned(),
            member_id: state.member_id.clone(),
            member_epoch: state.epoch,
            instance_id: self.config.group_instance_id.clone(),
            ..Default::default()
        };
        if state.whole {
            let timeout = millis(self.config.max_poll_interval);
            request.rebalance_timeout_ms = i32::try_from(timeout).unwrap_or(i32::MAX);
            request.subscribed_topic_names = Some(state.topics.iter().cloned().collect());
            request.server_assignor.clone_from(&self.config.remote_assignor);
            request.rack_id.clone_from(&self.config.rack);
        }
        if state.whole || state.owned_changed {
            request.topic_partitions = Some(by_id(&state.owned));
        }
        state.whole = false;
        state.owned_changed = false;
        Some(request)
    }
}

impl State {
    fn learn(&mut self, response: &ConsumerGroupHeartbeatResponse) {
        if let Some(id) = &response.member_id {
            self.member_id.clone_from(id);
        }
        self.epoch = response.member_epoch;
        let interval = u64::try_from(response.heartbeat_interval_ms).unwrap_or(0).max(1);
        self.interval = Duration::from_millis(interval);
        if let Some(assignment) = &response.assignment {
            let target: Owned = assignment
                .topic_partitions
                .iter()
                .flat_map(|topic| topic.partitions.iter().map(|p| (topic.topic_id, *p)))
                .collect();
            self.event = Some(Event::Target(target));
        }
    }
}

fn by_id(owned: &Owned) -> Vec<TopicPartitions> {
    let mut topics: Vec<TopicPartitions> = Vec::new();
    for (topic_id, partition) in owned {
        match topics.last_mut() {
            Some(topic) if topic.topic_id == *topic_id => topic.partitions.push(*partition),
            _ => topics.push(TopicPartitions { topic_id: *topic_id, partitions: vec![*partition] }),
        }
    }
    topics
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_is_fenced_again_and_again_does_not_storm_its_coordinator() {
        let mut pace = Pace { retry: Backoff { initial_ms: 100, max_ms: 1000 }, failures: 0 };
        assert_eq!(pace.fenced(), Duration::ZERO);
        let waits = [pace.fenced(), pace.fenced(), pace.failed()];
        assert!(waits.is_sorted() && !waits[0].is_zero(), "{waits:?}");
        let interval = Duration::from_secs(5);
        assert_eq!(pace.lives(interval), interval);
        assert_eq!(pace.fenced(), Duration::ZERO);
    }
}
