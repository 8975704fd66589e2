//! Which partitions `--topic` and `--all-topics` mean.

use std::collections::BTreeSet;

use anyhow::{Result, anyhow, bail};
use pharos_base::TopicPartition;
use pharos_client::{Admin, ClientError};
use pharos_protocol::ErrorCode;

use crate::common::told;

/// One `--topic`: a topic, and some of its partitions or all.
pub struct TopicScope {
    pub topic: String,
    pub partitions: Option<Vec<i32>>,
}

/// Reads `topic` or `topic:0,1,2`.
pub fn parse(text: &str) -> Result<TopicScope> {
    let Some((topic, list)) = text.split_once(':') else {
        return Ok(TopicScope { topic: text.to_owned(), partitions: None });
    };
    if topic.is_empty() {
        bail!("Invalid topic arguments: {text}");
    }
    let number = |id: &str| {
        let parsed = id.trim().parse();
        // The second quote at the end is Kafka's.
        parsed.map_err(|_| anyhow!("Invalid partition '{id}' specified in topic arg '{text}''"))
    };
    let ids = list.split(',').map(number).collect::<Result<Vec<i32>>>()?;
    Ok(TopicScope { topic: topic.to_owned(), partitions: Some(ids) })
}

/// The partitions of a scope, which all exist.
///
/// # Errors
/// In Kafka's words when one of them does not.
pub async fn existing(admin: &Admin, scope: &TopicScope) -> Result<BTreeSet<TopicPartition>> {
    let all = TopicScope { topic: scope.topic.clone(), partitions: None };
    let known = partitions(admin, &all).await.map_err(|error| {
        match error.downcast_ref::<ClientError>() {
            Some(cause) => failed(&told(cause)),
            None => error,
        }
    })?;
    let wanted = partitions(admin, scope).await?;
    let missing: Vec<_> = wanted.difference(&known).map(ToString::to_string).collect();
    if !missing.is_empty() {
        return Err(failed(&format!("The partitions \"{}\" do not exist", missing.join(", "))));
    }
    Ok(wanted)
}

fn failed(why: &str) -> anyhow::Error {
    anyhow!("Error: Executing consumer group command failed due to {why}")
}

/// The partitions of a scope; all of the topic's when it names none.
///
/// # Errors
/// When the topic does not exist and its partitions are needed.
pub async fn partitions(admin: &Admin, scope: &TopicScope) -> Result<BTreeSet<TopicPartition>> {
    let name = |partition: i32| TopicPartition::new(scope.topic.as_str(), partition);
    if let Some(ids) = &scope.partitions {
        return Ok(ids.iter().copied().map(name).collect());
    }
    let cluster = admin.cluster();
    let names = [scope.topic.clone()];
    let ask = || cluster.refresh(Some(&names), false);
    let metadata = cluster.retry("looking up a topic", ask).await?;
    let known = metadata.topics.get(&scope.topic);
    match known.filter(|topic| topic.error == ErrorCode::None) {
        Some(topic) => Ok(topic.partitions.iter().map(|p| name(p.partition.0)).collect()),
        None => {
            let code = known.map_or(ErrorCode::UnknownTopicOrPartition, |topic| topic.error);
            Err(ClientError::Broker { code, message: None }.into())
        }
    }
}
