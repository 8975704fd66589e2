//! How a consumer comes to its partitions: rebalances of both protocols, revocation, commits.

use std::collections::BTreeSet;
use std::time::Duration;

use pharos_base::TopicPartition;
use pharos_protocol::ErrorCode;
use regex::Regex;
use tokio::time::Instant;

use super::classic::ClassicMember;
use super::modern::{Event, ModernMember, Owned};
use super::{Consumer, Identity};
use crate::error::{ClientError, Result};
use crate::metadata::Metadata;

/// Who this consumer is to its group.
pub(super) enum Member {
    /// Not a member: it assigns itself.
    Nobody,
    Classic(ClassicMember),
    Modern(ModernMember),
}

/// What the consumer wants to read.
#[derive(Clone, Debug)]
pub(super) enum Subscription {
    Nothing,
    Manual,
    Topics(BTreeSet<String>),
    Pattern(Regex),
}

impl Subscription {
    /// The subscribed topics as far as they are known.
    pub fn topics(&self, metadata: &Metadata, exclude_internal: bool) -> BTreeSet<String> {
        match self {
            Self::Nothing | Self::Manual => BTreeSet::new(),
            Self::Topics(topics) => topics.clone(),
            Self::Pattern(pattern) => metadata
                .topics
                .iter()
                .filter(|(name, topic)| {
                    topic.error == ErrorCode::None
                        && !(exclude_internal && topic.internal)
                        && pattern.is_match(name)
                })
                .map(|(name, _)| name.clone())
                .collect(),
        }
    }
}

impl Member {
    pub fn identity(&self) -> Identity {
        match self {
            Self::Nobody => Identity::outsider(),
            Self::Classic(member) => member.identity().clone(),
            Self::Modern(member) => member.identity(),
        }
    }

    /// Ends when the member's heartbeat has news.
    pub async fn told(&self) {
        match self {
            Self::Nobody => std::future::pending().await,
            Self::Classic(member) => member.told().told.notified().await,
            Self::Modern(member) => member.told().told.notified().await,
        }
    }
}

impl Consumer {
    /// Follows the group. Retriable failures are waited out, a little at a time.
    pub(super) async fn follow_group(&mut self, deadline: Instant) -> Result<()> {
        let outcome = match self.member {
            Member::Nobody => Ok(()),
            Member::Classic(_) => self.follow_classic().await,
            Member::Modern(_) => self.follow_modern().await,
        };
        match outcome {
            Err(error) if error.is_retriable() => {
                tracing::debug!("group membership: {error}");
                let pause = Instant::now() + self.config.client.retry.after(1);
                tokio::time::sleep_until(pause.min(deadline.max(Instant::now()))).await;
                Ok(())
            }
            outcome => outcome,
        }
    }

    fn subscribed(&self) -> BTreeSet<String> {
        self.subscription.topics(&self.cluster.metadata(), self.config.exclude_internal)
    }

    async fn follow_classic(&mut self) -> Result<()> {
        let topics = self.subscribed();
        let changed = self.joined_topics.as_ref() != Some(&topics);
        let Member::Classic(member) = &mut self.member else { return Ok(()) };
        if changed {
            member.rejoin();
        }
        if !member.poll()? {
            return Ok(());
        }
        let lost = member.identity().member_id.is_empty();
        let cooperative = member.is_cooperative();
        if lost {
            self.positions.assign(&BTreeSet::new());
        } else if !cooperative {
            self.revoke_all().await;
        }
        let owned = self.positions.assigned();
        let Member::Classic(member) = &mut self.member else { return Ok(()) };
        let assigned = member.round(&topics, &owned).await?;
        self.joined_topics = Some(topics);
        if cooperative {
            let gone: BTreeSet<_> = owned.difference(&assigned).cloned().collect();
            if !gone.is_empty() {
                self.commit_before_losing(Some(&gone)).await;
                if let Member::Classic(member) = &mut self.member {
                    // The others get what was given up in a second round.
                    member.rejoin();
                }
            }
        }
        self.take_over(assigned).await
    }

    async fn revoke_all(&mut self) {
        self.commit_before_losing(None).await;
        self.positions.assign(&BTreeSet::new());
    }

    /// Commits what was read of partitions that are about to be someone else's.
    async fn commit_before_losing(&mut self, only: Option<&BTreeSet<TopicPartition>>) {
        if !self.config.auto_commit {
            return;
        }
        let offsets = self.positions.to_commit(only);
        if let Err(error) = self.commit_once(&offsets).await {
            tracing::warn!("offsets could not be committed before a rebalance: {error}");
        }
    }

    async fn take_over(&mut self, assigned: BTreeSet<TopicPartition>) -> Result<()> {
        let metadata = self.cluster.metadata();
        let unknown = assigned.iter().any(|partition| metadata.partition(partition).is_none());
        self.positions.assign(&assigned);
        if unknown {
            let topics: BTreeSet<_> = assigned.iter().map(|p| p.topic.to_string()).collect();
            let topics: Vec<_> = topics.into_iter().collect();
            self.cluster.refresh(Some(&topics), false).await?;
        }
        Ok(())
    }

    async fn follow_modern(&mut self) -> Result<()> {
        let topics = self.subscribed();
        let Member::Modern(member) = &mut self.member else { return Ok(()) };
        let event = member.poll(&topics)?;
        let target = match event {
            None => match self.target.take() {
                Some(target) => target,
                None => return Ok(()),
            },
            Some(Event::Lost) => {
                self.positions.assign(&BTreeSet::new());
                return Ok(());
            }
            Some(Event::Target(target)) => target,
        };
        // Kept until it is in place: naming topics may need another attempt.
        self.target = Some(target.clone());
        let assigned = self.name_topics(&target).await?;
        let gone: BTreeSet<_> = self.positions.assigned().difference(&assigned).cloned().collect();
        if !gone.is_empty() {
            self.commit_before_losing(Some(&gone)).await;
        }
        self.positions.assign(&assigned);
        self.target = None;
        if let Member::Modern(member) = &self.member {
            member.acknowledge(target);
        }
        Ok(())
    }

    async fn name_topics(&self, target: &Owned) -> Result<BTreeSet<TopicPartition>> {
        let mut metadata = self.cluster.metadata();
        for attempt in 0..2 {
            let named: Option<BTreeSet<_>> = target
                .iter()
                .map(|(id, partition)| {
                    let (name, _) = metadata.topics.iter().find(|(_, topic)| topic.id == *id)?;
                    Some(TopicPartition::new(name.as_str(), *partition))
                })
                .collect();
            if let Some(named) = named {
                return Ok(named);
            }
            if attempt == 0 {
                metadata = self.refresh_subscribed().await?;
            }
        }
        Err(ClientError::Broker { code: ErrorCode::UnknownTopicId, message: None })
    }

    /// Leaves the group, after a last commit. At most `timeout` is spent on it.
    pub(super) async fn leave_group(&mut self, timeout: Duration) {
        let leaving = async {
            self.commit_before_losing(None).await;
            match &mut self.member {
                Member::Nobody => Ok(()),
                Member::Classic(member) => member.leave().await,
                Member::Modern(member) => member.leave().await,
            }
        };
        match tokio::time::timeout(timeout, leaving).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!("leaving the group failed: {error}"),
            Err(_) => tracing::debug!("leaving the group took too long"),
        }
    }
}
