//! DeleteTopics (API 20): by name or by id, each topic by itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;

use pharos_base::TopicId;

use super::{ApiError, Decision, Facts, PartitionQuota};
use crate::record::MetadataRecord;
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::delete_topics_response::DeletableTopicResult;
use pharos_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse, RemoveTopicRecord};

/// Decides a whole request. Versions up to 5 name topics in `topic_names`, later ones in `topics`.
pub(crate) fn decide(
    facts: &Facts<'_>,
    request: &DeleteTopicsRequest,
    quota: &PartitionQuota,
) -> Decision<DeleteTopicsResponse> {
    let mut answers = Answers::default();
    let mut names: Vec<&str> = request.topic_names.iter().map(String::as_str).collect();
    let mut ids = Vec::new();
    for topic in &request.topics {
        match (&topic.name, topic.topic_id) {
            (None, TopicId::ZERO) => {
                answers.refuse(None, TopicId::ZERO, "Neither topic name nor id were specified.");
            }
            (None, id) => ids.push(id),
            (Some(name), TopicId::ZERO) => names.push(name),
            (Some(name), id) => {
                answers.refuse(Some(name), id, "You may not specify both topic name and topic id.");
            }
        }
    }
    let (names, twice_named) = split_duplicates(names);
    for name in twice_named {
        answers.refuse(Some(name), TopicId::ZERO, "Duplicate topic name.");
    }
    let (ids, twice_identified) = split_duplicates(ids);
    for id in &twice_identified {
        answers.refuse(None, *id, "Duplicate topic id.");
    }
    let found = find(facts, &names, ids, &twice_identified, &mut answers);
    let mut records = Vec::new();
    for (id, name) in found {
        let partitions = facts.image.topic_by_id(id).map_or(0, |topic| topic.partition_count());
        let allowed = if facts.settings.delete_topic_enable {
            quota.take(partitions)
        } else {
            Err(ErrorCode::TopicDeletionDisabled.into())
        };
        if allowed.is_ok() {
            records.push(MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id: id }));
        }
        answers.push(Some(name), id, allowed);
    }
    let response = DeleteTopicsResponse { responses: answers.0, ..DeleteTopicsResponse::default() };
    Decision { records, response }
}

/// The topics to delete; what cannot be found is answered at once.
fn find<'a>(
    facts: &Facts<'a>,
    names: &[&str],
    ids: Vec<TopicId>,
    twice: &BTreeSet<TopicId>,
    answers: &mut Answers,
) -> BTreeMap<TopicId, &'a str> {
    let mut found = BTreeMap::new();
    for id in ids {
        match facts.image.topic_by_id(id) {
            Some(topic) => drop(found.insert(id, &*topic.name)),
            None => answers.push(None, id, Err(ErrorCode::UnknownTopicId.into())),
        }
    }
    for name in names {
        let Some(topic) = facts.image.topic(name) else {
            let unknown = Err(ErrorCode::UnknownTopicOrPartition.into());
            answers.push(Some(name), TopicId::ZERO, unknown);
            continue;
        };
        if twice.contains(&topic.id) || found.insert(topic.id, &topic.name).is_some() {
            found.remove(&topic.id);
            let reason = "The provided topic name maps to an ID that was already supplied.";
            answers.refuse(Some(name), topic.id, reason);
        }
    }
    found
}

fn split_duplicates<T: Copy + Eq + Hash + Ord>(all: Vec<T>) -> (Vec<T>, BTreeSet<T>) {
    let mut counts: HashMap<T, usize> = HashMap::new();
    for item in &all {
        *counts.entry(*item).or_default() += 1;
    }
    let twice = counts.iter().filter(|(_, count)| **count > 1).map(|(item, _)| *item).collect();
    let once = all.into_iter().filter(|item| counts.get(item) == Some(&1)).collect();
    (once, twice)
}

#[derive(Default)]
struct Answers(Vec<DeletableTopicResult>);

impl Answers {
    fn push(&mut self, name: Option<&str>, id: TopicId, result: Result<(), ApiError>) {
        let (error_code, error_message) = super::outcome(result);
        self.0.push(DeletableTopicResult {
            name: name.map(str::to_owned),
            topic_id: id,
            error_code,
            error_message,
        });
    }

    fn refuse(&mut self, name: Option<&str>, id: TopicId, reason: &str) {
        self.push(name, id, Err(ApiError::new(ErrorCode::InvalidRequest, reason)));
    }
}
