//! Names of the files in a log directory and in a partition's directory, as Kafka gives them.

use pharos_base::TopicPartition;

/// Batches.
pub(crate) const LOG: &str = "log";
/// Offset index.
pub(crate) const OFFSET_INDEX: &str = "index";
/// Time index.
pub(crate) const TIME_INDEX: &str = "timeindex";
/// Aborted transactions.
pub(crate) const TXN_INDEX: &str = "txnindex";
/// Producer state.
pub(crate) const SNAPSHOT: &str = "snapshot";
/// Being written by the cleaner.
pub(crate) const CLEANED: &str = ".cleaned";
/// Written by the cleaner, about to take the place of what it replaces.
pub(crate) const SWAP: &str = ".swap";
/// To be deleted after a delay.
pub(crate) const DELETED: &str = ".deleted";
/// Ending of a partition directory that is being deleted.
pub(crate) const DELETE_DIR: &str = "-delete";
/// Ending of a partition directory that belongs to no topic.
pub(crate) const STRAY_DIR: &str = "-stray";

pub(crate) const EPOCHS: &str = "leader-epoch-checkpoint";
pub(crate) const PARTITION_METADATA: &str = "partition.metadata";
pub(crate) const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
pub(crate) const LOG_START_OFFSETS: &str = "log-start-offset-checkpoint";
pub(crate) const HIGH_WATERMARKS: &str = "replication-offset-checkpoint";
pub(crate) const CLEANER_OFFSETS: &str = "cleaner-offset-checkpoint";
pub(crate) const LOCK: &str = ".lock";
pub(crate) const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";
pub(crate) const META_PROPERTIES: &str = "meta.properties";

/// The metadata log: not a partition of the log manager.
pub(crate) const METADATA_TOPIC: &str = "__cluster_metadata";

/// Longest topic name (`Topic.MAX_NAME_LENGTH`).
const MAX_TOPIC_LEN: usize = 249;

/// Name of a segment's file, without a leading dot in `suffix`.
pub(crate) fn segment(base_offset: i64, suffix: &str) -> String {
    format!("{base_offset:020}.{suffix}")
}

/// Splits a file name into the offset it starts with and what follows the dot.
pub(crate) fn parse_segment(name: &str) -> Option<(i64, &str)> {
    let (digits, suffix) = name.split_once('.')?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse().ok()?, suffix))
}

/// Name of a partition's directory.
pub(crate) fn partition_dir(partition: &TopicPartition) -> String {
    partition.to_string()
}

/// Name of a partition's directory that is taken away: unique, and short enough for any file system
/// (`UnifiedLog.logDeleteDirName`: topic-partition.hex32-delete).
pub(crate) fn dir_away(partition: &TopicPartition, unique: u128, ending: &str) -> String {
    let suffix = format!("-{}.{unique:032x}{ending}", partition.partition);
    let room = 255 - suffix.len();
    let topic = partition.topic.get(..room.min(partition.topic.len())).unwrap_or("deleted");
    format!("{topic}{suffix}")
}

/// The partition of a directory `topic-partition`; `None` for every other name.
pub(crate) fn parse_partition_dir(name: &str) -> Option<TopicPartition> {
    let (topic, partition) = name.rsplit_once('-')?;
    let lawful = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let is_topic = !topic.is_empty() && topic.len() <= MAX_TOPIC_LEN && topic.bytes().all(lawful);
    let canonical = !partition.is_empty() && partition.bytes().all(|byte| byte.is_ascii_digit());
    if !is_topic || !canonical || (partition.len() > 1 && partition.starts_with('0')) {
        return None;
    }
    Some(TopicPartition::new(topic, partition.parse::<i32>().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_directories() {
        let cases = [
            ("a-0", Some(("a", 0))),
            ("a-b.c_d-17", Some(("a-b.c_d", 17))),
            ("__consumer_offsets-49", Some(("__consumer_offsets", 49))),
            ("a", None),
            ("a-", None),
            ("-0", None),
            ("a-00", None),
            ("a--1", Some(("a-", 1))),
            ("a/b-1", None),
            ("a-99999999999", None),
            ("a-0.0123456789abcdef0123456789abcdef-delete", None),
        ];
        for (name, expected) in cases {
            let found = parse_partition_dir(name);
            assert_eq!(found, expected.map(|(topic, id)| TopicPartition::new(topic, id)), "{name}");
        }
        let long = TopicPartition::new("x".repeat(249), 7);
        assert_eq!(dir_away(&long, 1, DELETE_DIR).len(), 255);
    }

    #[test]
    fn names_of_segments() {
        assert_eq!(segment(35, LOG), "00000000000000000035.log");
        let name = "00000000000000000035.log.swap";
        assert_eq!(parse_segment(name), Some((35, "log.swap")));
        assert_eq!(parse_segment("35.log"), None);
        assert_eq!(parse_segment("99999999999999999999.log"), None);
    }
}
