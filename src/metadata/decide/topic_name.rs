//! Which names a topic may have (`org.apache.kafka.common.internals.Topic`).

/// The metadata log's own topic, which no request may touch.
pub const CLUSTER_METADATA_TOPIC: &str = "__cluster_metadata";

/// Longest name, in characters: a directory name must still fit the partition's number behind it.
const MAX_LENGTH: usize = 249;

/// Says why a name is not allowed, in the words that Kafka's clients see; `None` when it is.
pub fn reason_invalid(name: &str) -> Option<String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let reason = match name {
        "" => "the empty string is not allowed".to_owned(),
        "." => "'.' is not allowed".to_owned(),
        ".." => "'..' is not allowed".to_owned(),
        _ if name.chars().count() > MAX_LENGTH => {
            format!("the length of '{name}' is longer than the max allowed length {MAX_LENGTH}")
        }
        _ if !name.chars().all(legal) => format!(
            "'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' \
             and '-'"
        ),
        _ => return None,
    };
    Some(format!("Topic name is invalid: {reason}"))
}

/// The name as metric names show it: two topics with the same one would be mixed up there.
pub(crate) fn normalized(name: &str) -> String {
    name.replace('.', "_")
}

/// Whether another name can look the same in metrics.
pub(crate) fn may_collide(name: &str) -> bool {
    name.contains(['.', '_'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_as_kafka_does() {
        let long = "x".repeat(250);
        let long_reason =
            format!("the length of '{long}' is longer than the max allowed length 249");
        let odd = |name: &str| {
            format!(
                "'{name}' contains one or more characters other than ASCII alphanumerics, '.', \
                 '_' and '-'"
            )
        };
        let cases = [
            ("a", None),
            ("A.b_c-9", None),
            ("...", None),
            ("", Some("the empty string is not allowed".to_owned())),
            (".", Some("'.' is not allowed".to_owned())),
            ("..", Some("'..' is not allowed".to_owned())),
            (&long, Some(long_reason)),
            ("../x", Some(odd("../x"))),
            ("a\0b", Some(odd("a\0b"))),
            ("grün", Some(odd("grün"))),
        ];
        for (name, expected) in cases {
            let expected = expected.map(|reason| format!("Topic name is invalid: {reason}"));
            assert_eq!(reason_invalid(name), expected);
        }
        assert_eq!(reason_invalid(&"x".repeat(249)), None);
    }
}
