//! What a consumer group reads: topics by name and by regular expression, and the hash over their
//! facts that tells when a new assignment is due.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use regex::RegexBuilder;
use twox_hash::XxHash3_64;

use super::Refusal;
use super::group::{ConsumerGroup, ResolvedRegex};
use super::member::ConsumerMember;
use crate::limits::{MAX_REGEX_BYTES, MAX_REGEX_LENGTH};
use crate::topics::{Topic, Topics};
use crate::wire::ErrorCode;

/// Version of the layout that is hashed (`Utils.TOPIC_HASH_MAGIC_BYTE`).
const TOPIC_HASH_VERSION: u8 = 0;

/// The topics whose whole name `expression` matches.
///
/// # Errors
/// INVALID_REGULAR_EXPRESSION when it cannot be read, or is larger than the named limits. The
/// language is that of RE2, as in Kafka: no back references, no looking around.
pub(crate) fn resolve(
    expression: &str,
    topics: &Topics,
    now_ms: i64,
) -> Result<ResolvedRegex, Refusal> {
    let invalid = |reason: String| {
        let message = format!(
            "SubscribedTopicRegex `{expression}` is not a valid regular expression: {reason}."
        );
        Refusal::new(ErrorCode::InvalidRegularExpression, message)
    };
    if expression.len() > MAX_REGEX_LENGTH {
        let message = format!("SubscribedTopicRegex is longer than {MAX_REGEX_LENGTH} bytes.");
        return Err(Refusal::new(ErrorCode::InvalidRegularExpression, message));
    }
    let pattern = RegexBuilder::new(&format!("^(?:{expression})$"))
        .size_limit(MAX_REGEX_BYTES)
        .dfa_size_limit(MAX_REGEX_BYTES)
        .build()
        .map_err(|error| invalid(reason(&error)))?;
    let matching = topics.iter().filter(|topic| pattern.is_match(&topic.name));
    Ok(ResolvedRegex {
        topics: Arc::new(matching.map(|topic| topic.name.to_string()).collect()),
        version: topics.version(),
        timestamp_ms: now_ms,
    })
}

/// The last line of the parser's drawing says what is wrong.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}

/// The topics of one member.
pub(crate) fn topics_of(
    member: &ConsumerMember,
    regexes: &BTreeMap<Arc<str>, ResolvedRegex>,
) -> BTreeSet<String> {
    let mut topics = member.topics.clone();
    if let Some(resolved) = regexes.get(member.regex.as_str()) {
        topics.extend(resolved.topics.iter().cloned());
    }
    topics
}

/// The topics of all `members` together.
pub(crate) fn topics_of_all<'a>(
    members: impl Iterator<Item = &'a ConsumerMember>,
    regexes: &BTreeMap<Arc<str>, ResolvedRegex>,
) -> BTreeSet<String> {
    let mut topics = BTreeSet::new();
    for member in members {
        topics.extend(member.topics.iter().cloned());
        if let Some(resolved) = regexes.get(member.regex.as_str()) {
            topics.extend(resolved.topics.iter().cloned());
        }
    }
    topics
}

/// The members of `group` once `changed` is one of them, and `gone` is not.
pub(crate) fn members_with<'a>(
    group: &'a ConsumerGroup,
    changed: Option<&'a ConsumerMember>,
    gone: Option<&'a str>,
) -> impl Iterator<Item = &'a ConsumerMember> {
    let replaced = changed.map(|member| &*member.id);
    group
        .members
        .values()
        .filter(move |member| Some(&*member.id) != replaced && Some(&*member.id) != gone)
        .chain(changed)
}

/// Hash over the facts of `names` (`Utils.computeGroupHash`): 0 without topics.
///
/// Kafka streams into XXH3: integers little-endian, strings as UTF-16 units followed by their
/// number. Topics that do not exist count as 0 and are left out, as in Kafka.
pub(crate) fn metadata_hash(names: &BTreeSet<String>, topics: &Topics) -> i64 {
    let mut known: Vec<&Topic> = names.iter().filter_map(|name| topics.get(name)).collect();
    if known.is_empty() {
        return 0;
    }
    // Java orders strings by UTF-16 units; topic names are ASCII, where all orders agree.
    known.sort_by(|a, b| a.name.cmp(&b.name));
    let mut bytes = Vec::with_capacity(known.len() * size_of::<u64>());
    for topic in known {
        bytes.extend_from_slice(&topic_hash(topic).to_le_bytes());
    }
    XxHash3_64::oneshot(&bytes).cast_signed()
}

fn topic_hash(topic: &Topic) -> u64 {
    let (most, least) = topic.id.0.as_u64_pair();
    let mut bytes = vec![TOPIC_HASH_VERSION];
    bytes.extend_from_slice(&most.to_le_bytes());
    bytes.extend_from_slice(&least.to_le_bytes());
    put_string(&mut bytes, &topic.name);
    bytes.extend_from_slice(&topic.partition_count.to_le_bytes());
    for partition in 0..topic.partition_count {
        bytes.extend_from_slice(&partition.to_le_bytes());
        let racks = usize::try_from(partition).ok().and_then(|index| topic.racks.get(index));
        for rack in racks.into_iter().flatten() {
            let units = i32::try_from(rack.encode_utf16().count()).unwrap_or(i32::MAX);
            bytes.extend_from_slice(&units.to_le_bytes());
            put_string(&mut bytes, rack);
        }
    }
    XxHash3_64::oneshot(&bytes)
}

fn put_string(bytes: &mut Vec<u8>, text: &str) {
    let mut units = 0i32;
    for unit in text.encode_utf16() {
        bytes.extend_from_slice(&unit.to_le_bytes());
        units = units.saturating_add(1);
    }
    bytes.extend_from_slice(&units.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use pharos_base::TopicId;

    use super::*;

    fn golden() -> Topics {
        let topic = |name: &str, id: &str| Topic {
            name: name.into(),
            id: TopicId::parse(id).unwrap(),
            partition_count: 1,
            racks: Vec::new(),
        };
        let other = "AAAAAAAAAAAAAAAAAAAAAQ";
        Topics::new(7, [topic("golden", "HSGoboVhTMOM6AYz9fbOjw"), topic("other", other)])
    }

    #[test]
    fn the_hash_is_the_one_that_kafka_stored() {
        // From the __consumer_offsets segment that Apache Kafka 4.3.1 wrote.
        let names = BTreeSet::from(["golden".to_owned()]);
        assert_eq!(metadata_hash(&names, &golden()), -5_728_282_783_774_544_995);
        assert_eq!(metadata_hash(&BTreeSet::new(), &golden()), 0);
    }

    #[test]
    fn an_expression_matches_whole_names() {
        let matched = |expression: &str| {
            let resolved = resolve(expression, &golden(), 0).map(|resolved| resolved.topics);
            resolved.map(|topics| topics.iter().cloned().collect::<Vec<_>>().join(","))
        };
        assert_eq!(matched("gold").unwrap(), "");
        assert_eq!(matched("gold.*").unwrap(), "golden");
        assert_eq!(matched("golden|other").unwrap(), "golden,other");
        let refused = matched("go(lden").unwrap_err();
        assert_eq!(refused.error, ErrorCode::InvalidRegularExpression);
        assert!(matched(r"(\w{1000}){1000}").is_err());
        assert!(matched(&"a".repeat(MAX_REGEX_LENGTH + 1)).is_err());
    }
}
