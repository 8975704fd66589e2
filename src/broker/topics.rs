//! Rules about the names of topics (`org.apache.kafka.common.internals.Topic`).

/// Longest name, in bytes.
pub const NAME_LIMIT: usize = 249;
/// The topic that holds groups and their offsets.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";
/// The topics that clients do not write by themselves.
const INTERNAL: [&str; 3] = [OFFSETS_TOPIC, "__transaction_state", "__share_group_state"];

/// Whether `name` is one of Kafka's internal topics.
pub fn is_internal(name: &str) -> bool {
    INTERNAL.contains(&name)
}

/// Whether a topic may have this name: 1 to 249 of `[a-zA-Z0-9._-]`, but not `.` or `..`.
pub fn is_valid_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_LIMIT
        && name != "."
        && name != ".."
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let long = "a".repeat(NAME_LIMIT);
        let too_long = "a".repeat(NAME_LIMIT + 1);
        let cases = [
            ("a", true),
            ("a.b_c-D9", true),
            (long.as_str(), true),
            (too_long.as_str(), false),
            ("", false),
            (".", false),
            ("..", false),
            ("../x", false),
            ("a b", false),
            ("ä", false),
            ("a\0", false),
        ];
        for (name, expected) in cases {
            assert_eq!(is_valid_name(name), expected, "{name:?}");
        }
    }
}
