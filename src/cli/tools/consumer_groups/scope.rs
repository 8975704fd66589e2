//! Which partitions `--topic` and `--all-topics` mean.

use std::collections::BTreeSet;

use anyhow::{Result, anyhow};
use pharos_base::TopicPartition;
use pharos_client::{Admin, ClientError};
use pharos_protocol::ErrorCode;

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
    let ids: Result<Vec<i32>, _> = list.split(',').map(|id| id.trim().parse()).collect();
    match ids {
        Ok(ids) if !topic.is_empty() => {
            Ok(TopicScope { topic: topic.to_owned(), partitions: Some(ids) })
        }
        _ => Err(anyhow!("Invalid topic arguments: {text}")),
    }
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
