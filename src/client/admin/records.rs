//! Records: cutting off the front of a partition.

use std::collections::{BTreeMap, HashMap};

use pharos_base::{BrokerId, Offset, TopicPartition};
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::DeleteRecordsRequest;
use pharos_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};

use super::Admin;
use crate::cluster::Target;
use crate::error::{ClientError, Result};

/// The new log start by partition.
pub type DeletedRecords = HashMap<TopicPartition, Result<Offset>>;

impl Admin {
    /// Deletes the records before the offsets (-1: all). Partitions that do not exist are told so.
    ///
    /// # Errors
    /// When the metadata cannot be had in time.
    pub async fn delete_records(
        &self,
        before: &[(TopicPartition, Offset)],
    ) -> Result<DeletedRecords> {
        let mut topics: Vec<String> = before.iter().map(|(p, _)| p.topic.to_string()).collect();
        topics.sort();
        topics.dedup();
        let deadline = self.cluster.deadline();
        let ask = || self.cluster.refresh(Some(&topics), false);
        let metadata = self.cluster.retry("deleting records", ask).await?;
        let mut outcomes = DeletedRecords::new();
        let mut by_leader: BTreeMap<BrokerId, Vec<&(TopicPartition, Offset)>> = BTreeMap::new();
        for entry in before {
            match metadata.leader(&entry.0) {
                Some(leader) => by_leader.entry(leader).or_default().push(entry),
                None => {
                    let code = metadata
                        .partition(&entry.0)
                        .map_or(ErrorCode::UnknownTopicOrPartition, |_| {
                            ErrorCode::LeaderNotAvailable
                        });
                    let error = ClientError::Broker { code, message: None };
                    outcomes.insert(entry.0.clone(), Err(error));
                }
            }
        }
        for (leader, entries) in by_leader {
            let request = self.delete_records_request(&entries);
            let ask = || self.cluster.call(Target::Broker(leader), &request);
            let response = self.cluster.retry_until(deadline, "deleting records", ask).await?;
            for topic in response.topics {
                for answer in topic.partitions {
                    let name = TopicPartition::new(topic.name.as_str(), answer.partition_index);
                    let outcome = ClientError::check(answer.error_code, None)
                        .map(|()| Offset(answer.low_watermark));
                    outcomes.insert(name, outcome);
                }
            }
        }
        Ok(outcomes)
    }

    fn delete_records_request(
        &self,
        entries: &[&(TopicPartition, Offset)],
    ) -> DeleteRecordsRequest {
        let mut topics: Vec<DeleteRecordsTopic> = Vec::new();
        for (partition, offset) in entries {
            let entry =
                DeleteRecordsPartition { partition_index: partition.partition.0, offset: offset.0 };
            match topics.iter_mut().find(|topic| topic.name == *partition.topic) {
                Some(topic) => topic.partitions.push(entry),
                None => topics.push(DeleteRecordsTopic {
                    name: partition.topic.to_string(),
                    partitions: vec![entry],
                }),
            }
        }
        DeleteRecordsRequest { topics, timeout_ms: self.timeout_ms() }
    }
}
