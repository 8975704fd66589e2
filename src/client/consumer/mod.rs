//! The consumer: partitions by assignment or by membership, records by polling.

pub mod assignor;
mod classic;
mod config;
pub mod coordinator;
mod embedded;
mod fetch;
mod heart;
mod membership;
mod modern;
mod positions;
mod record;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use pharos_base::{Clock, Offset, TopicPartition};
use pharos_protocol::ErrorCode;
use regex::Regex;
use tokio::time::Instant;

use self::classic::ClassicMember;
use self::fetch::Fetcher;
use self::membership::{Member, Subscription};
use self::modern::{ModernMember, Owned};
use self::positions::Positions;
use crate::admin::offsets::{self, OffsetSpec};
use crate::cluster::Cluster;
use crate::error::{ClientError, Result};
use crate::metadata::Metadata;

pub use self::config::{ConsumerConfig, GroupProtocol, OffsetReset, parse_iso_duration};
pub use self::coordinator::{Committed, Coordinator, Identity};
pub use self::embedded::{read_assignment, read_member};
pub use self::record::{ConsumerRecord, MAX_UNCOMPRESSED_BATCH_BYTES, TimestampType};

/// Longest time that closing spends on commit and farewell.
const CLOSE_LIMIT: Duration = Duration::from_secs(30);
/// Longest time that poll waits without looking around.
const MAX_TICK: Duration = Duration::from_secs(1);

/// Reads records. One task polls it; nothing happens between polls but heartbeats and fetches that
/// are under way.
pub struct Consumer {
    cluster: Cluster,
    config: Arc<ConsumerConfig>,
    coordinator: Option<Coordinator>,
    member: Member,
    subscription: Subscription,
    /// Topics of the last completed classic round.
    joined_topics: Option<BTreeSet<String>>,
    /// An assignment of the consumer protocol that is not in place yet.
    target: Option<Owned>,
    positions: Positions,
    fetcher: Fetcher,
    next_commit: Instant,
    clock: Clock,
}

impl Consumer {
    /// A consumer on its own connections. Call it within a tokio runtime.
    pub fn new(config: ConsumerConfig) -> Self {
        Self::on(Cluster::new(config.client.clone()), config)
    }

    /// A consumer that shares the connections of `cluster`.
    pub fn on(cluster: Cluster, config: ConsumerConfig) -> Self {
        let config = Arc::new(config);
        let group = config.group_id.as_deref();
        Self {
            coordinator: group.map(|group| Coordinator::new(cluster.clone(), group)),
            member: Member::Nobody,
            subscription: Subscription::Nothing,
            joined_topics: None,
            target: None,
            positions: Positions::default(),
            fetcher: Fetcher::new(cluster.clone(), config.clone()),
            next_commit: Instant::now() + config.auto_commit_interval,
            clock: Clock::real(),
            cluster,
            config,
        }
    }

    /// Joins the group for these topics.
    ///
    /// # Errors
    /// When there is no group.id.
    pub fn subscribe(&mut self, topics: impl IntoIterator<Item = String>) -> Result<()> {
        self.join_as(Subscription::Topics(topics.into_iter().collect()))
    }

    /// Joins the group for all topics whose whole name matches, also those to come.
    ///
    /// # Errors
    /// When there is no group.id or the pattern is malformed.
    pub fn subscribe_pattern(&mut self, pattern: &str) -> Result<()> {
        let whole = Regex::new(&format!("^(?:{pattern})$"))
            .map_err(|error| ClientError::Usage(format!("{pattern} is no pattern: {error}")))?;
        self.join_as(Subscription::Pattern(whole))
    }

    fn join_as(&mut self, subscription: Subscription) -> Result<()> {
        let coordinator = self
            .coordinator
            .clone()
            .ok_or_else(|| ClientError::Usage("subscribing needs a group.id".to_owned()))?;
        if matches!(self.member, Member::Nobody) {
            self.member = match self.config.protocol {
                GroupProtocol::Classic => {
                    Member::Classic(ClassicMember::new(coordinator, self.config.clone()))
                }
                GroupProtocol::Consumer => {
                    Member::Modern(ModernMember::new(coordinator, self.config.clone()))
                }
            };
        }
        self.subscription = subscription;
        self.joined_topics = None;
        self.fetcher.stale = true;
        Ok(())
    }

    /// Reads these partitions, without the group's assignment.
    pub fn assign(&mut self, partitions: impl IntoIterator<Item = TopicPartition>) {
        self.subscription = Subscription::Manual;
        self.member = Member::Nobody;
        self.positions.assign(&partitions.into_iter().collect());
        self.fetcher.stale = true;
    }

    /// The partitions that are being read.
    pub fn assignment(&self) -> BTreeSet<TopicPartition> {
        self.positions.assigned()
    }

    /// Goes on at an offset.
    pub fn seek(&mut self, partition: &TopicPartition, to: Offset) {
        self.positions.seek(partition, to);
    }

    /// Goes on where auto.offset.reset says, whatever is committed.
    pub fn seek_by_policy(&mut self, partition: &TopicPartition) {
        self.positions.reset(partition);
    }

    /// The next record to hand out, once known.
    pub fn position(&self, partition: &TopicPartition) -> Option<Offset> {
        self.positions.get(partition)?.position
    }

    /// The high watermark that the last fetch saw.
    pub fn high_watermark(&self, partition: &TopicPartition) -> Option<Offset> {
        self.positions.get(partition)?.high_watermark
    }

    /// The cluster under it.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Up to max.poll.records records; empty when none came within `timeout`.
    ///
    /// # Errors
    /// What will not mend itself: refused by the group, offset out of range without a policy,
    /// corrupt records, a hostile broker.
    pub async fn poll(&mut self, timeout: Duration) -> Result<Vec<ConsumerRecord>> {
        let deadline = Instant::now() + timeout;
        loop {
            self.keep_metadata().await?;
            self.follow_group(deadline).await?;
            self.auto_commit().await;
            let complete = self.find_positions().await?;
            let records = self.fetcher.drain(self.config.max_poll_records, &mut self.positions)?;
            let now = Instant::now();
            self.fetcher.send(&self.positions, now);
            if !records.is_empty() || now >= deadline {
                return Ok(records);
            }
            let retry = self.config.client.retry.after(1);
            let tick = now + tick(complete, self.config.auto_commit_interval, retry);
            tokio::select! {
                answer = self.fetcher.wait(&mut self.positions) => answer?,
                () = self.member.told() => {}
                () = tokio::time::sleep_until(deadline.min(tick)) => {}
            }
        }
    }

    /// Asks for metadata when it is old or known to be wrong. A failure is waited out.
    async fn keep_metadata(&mut self) -> Result<()> {
        let missing = match &self.subscription {
            Subscription::Topics(topics) => {
                let known = self.cluster.metadata();
                topics
                    .iter()
                    .any(|topic| known.topics.get(topic).is_none_or(|t| t.error != ErrorCode::None))
            }
            _ => false,
        };
        if !self.fetcher.stale && !missing && !self.cluster.metadata_is_old() {
            return Ok(());
        }
        match self.refresh_subscribed().await {
            Ok(metadata) => {
                self.fetcher.stale = false;
                fatal_topic_error(&metadata, &self.subscription)
            }
            Err(error) if error.is_retriable() => {
                tracing::debug!("metadata could not be refreshed: {error}");
                tokio::time::sleep(self.config.client.retry.after(1)).await;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn refresh_subscribed(&self) -> Result<Arc<Metadata>> {
        let create = self.config.auto_create;
        let topics: Vec<String> = match &self.subscription {
            Subscription::Pattern(_) => return self.cluster.refresh(None, false).await,
            Subscription::Topics(topics) => topics.iter().cloned().collect(),
            Subscription::Nothing | Subscription::Manual => {
                let assigned = self.positions.assigned();
                let topics: BTreeSet<_> = assigned.iter().map(|p| p.topic.to_string()).collect();
                topics.into_iter().collect()
            }
        };
        self.cluster.refresh(Some(&topics), create).await
    }

    /// Finds positions that are missing; false while some are.
    async fn find_positions(&mut self) -> Result<bool> {
        let (wanting_committed, mut wanting_reset) = self.positions.without_position();
        if wanting_committed.is_empty() && wanting_reset.is_empty() {
            return Ok(true);
        }
        if !wanting_committed.is_empty() {
            let Some(committed) = self.committed_or_wait(&wanting_committed).await? else {
                return Ok(false);
            };
            for partition in wanting_committed {
                match committed.get(&partition) {
                    Some(found) => {
                        self.positions.seek(&partition, found.offset);
                        if let Some(progress) = self.positions.get_mut(&partition) {
                            progress.committed = Some(found.offset);
                        }
                    }
                    None => wanting_reset.push(partition),
                }
            }
        }
        self.reset_positions(&wanting_reset).await?;
        let (committed, reset) = self.positions.without_position();
        Ok(committed.is_empty() && reset.is_empty())
    }

    async fn committed_or_wait(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Option<HashMap<TopicPartition, Committed>>> {
        let Some(coordinator) = &self.coordinator else { return Ok(Some(HashMap::new())) };
        match coordinator.committed(&self.member.identity(), Some(partitions), true).await {
            Ok(committed) => Ok(Some(committed)),
            Err(error) if error.is_retriable() || of_rebalance(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn reset_positions(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        if partitions.is_empty() {
            return Ok(());
        }
        let spec = match self.config.offset_reset {
            OffsetReset::Earliest => OffsetSpec::Earliest,
            OffsetReset::Latest => OffsetSpec::Latest,
            OffsetReset::ByDuration(age) => {
                let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
                OffsetSpec::Timestamp(self.clock.now_ms().saturating_sub(age))
            }
            OffsetReset::None => {
                let list: Vec<_> = partitions.iter().map(ToString::to_string).collect();
                return Err(ClientError::Usage(format!(
                    "no committed offset for {} and auto.offset.reset is none",
                    list.join(", ")
                )));
            }
        };
        let asked: Vec<_> = partitions.iter().map(|p| (p.clone(), spec)).collect();
        let committed = self.config.read_committed;
        for (partition, found) in offsets::list_once(&self.cluster, &asked, committed).await {
            match found {
                Ok(listed) if listed.offset.0 >= 0 => {
                    self.positions.seek(&partition, listed.offset);
                }
                // No record is that young: behind the last one.
                Ok(_) => self.positions.reset(&partition),
                Err(error) if error.is_retriable() => {
                    self.positions.reset(&partition);
                    self.fetcher.stale = true;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn auto_commit(&mut self) {
        if !self.config.auto_commit || Instant::now() < self.next_commit {
            return;
        }
        self.next_commit = Instant::now() + self.config.auto_commit_interval;
        let offsets = self.positions.to_commit(None);
        if let Err(error) = self.commit_once(&offsets).await {
            tracing::warn!("offsets could not be committed, trying again later: {error}");
        }
    }

    async fn commit_once(&mut self, offsets: &HashMap<TopicPartition, Committed>) -> Result<()> {
        let Some(coordinator) = self.coordinator.clone().filter(|_| !offsets.is_empty()) else {
            return Ok(());
        };
        let codes = coordinator.commit(&self.member.identity(), offsets).await?;
        for (partition, code) in codes {
            ClientError::check(code.code(), None)?;
            if let Some(progress) = self.positions.get_mut(&partition) {
                progress.committed = offsets.get(&partition).map(|committed| committed.offset);
            }
        }
        Ok(())
    }

    /// Commits the positions of everything handed out, with retries.
    ///
    /// # Errors
    /// When there is no group, or the coordinator refuses.
    pub async fn commit(&mut self) -> Result<()> {
        if self.coordinator.is_none() {
            return Err(ClientError::Usage("committing needs a group.id".to_owned()));
        }
        let offsets = self.positions.to_commit(None);
        let deadline = Instant::now() + self.config.client.api_timeout;
        let mut failures = 0;
        loop {
            match self.commit_once(&offsets).await {
                Err(error) if error.is_retriable() && Instant::now() < deadline => {
                    failures += 1;
                    tokio::time::sleep(self.config.client.retry.after(failures)).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Commits (with enable.auto.commit), leaves the group and closes the connections.
    pub async fn close(mut self) {
        self.leave_group(CLOSE_LIMIT).await;
    }
}

/// How long poll waits before it looks around by itself: for the next commit, or while positions are
/// missing for another attempt, which never comes before `retry`.
fn tick(complete: bool, commit: Duration, retry: Duration) -> Duration {
    let wanted = if complete { commit } else { Duration::ZERO };
    wanted.min(MAX_TICK).max(retry)
}

/// Errors that the next heartbeat explains.
fn of_rebalance(error: &ClientError) -> bool {
    matches!(
        error.code(),
        Some(
            ErrorCode::StaleMemberEpoch
                | ErrorCode::UnknownMemberId
                | ErrorCode::IllegalGeneration
                | ErrorCode::RebalanceInProgress
        )
    )
}

/// What is wrong with a topic for good.
fn fatal_topic_error(metadata: &Metadata, subscription: &Subscription) -> Result<()> {
    let Subscription::Topics(topics) = subscription else { return Ok(()) };
    for topic in topics {
        let Some(known) = metadata.topics.get(topic) else { continue };
        if matches!(
            known.error,
            ErrorCode::InvalidTopicException | ErrorCode::TopicAuthorizationFailed
        ) {
            let message = format!("Invalid topics: [{topic}]");
            return Err(ClientError::Broker { code: known.error, message: Some(message) });
        }
    }
    Ok(())
}
