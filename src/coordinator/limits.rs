//! Named limits of what clients can make a coordinator hold. Kafka has none of them beyond
//! `group.max.size`; the answers are codes that clients take for final.

/// Members without an id, or with an id that they have not used yet, that one group remembers.
/// Beyond it JoinGroup answers GROUP_MAX_SIZE_REACHED.
pub(crate) const MAX_PENDING_MEMBERS: usize = 10_000;

/// Bytes of protocol metadata that one classic member may bring. A group's record has to fit into
/// a batch of `__consumer_offsets` (1 MiB), so nothing near this can ever become stable.
/// Beyond it JoinGroup answers INVALID_REQUEST.
pub(crate) const MAX_MEMBER_METADATA_BYTES: usize = 2 * 1024 * 1024;

/// Protocols that one classic member may name.
pub(crate) const MAX_MEMBER_PROTOCOLS: usize = 256;

/// Groups of one shard. Beyond it whatever would create a group is answered with
/// COORDINATOR_NOT_AVAILABLE.
pub(crate) const MAX_GROUPS: usize = 200_000;

/// Bytes of a compiled regular expression (`regex::RegexBuilder::size_limit`).
pub(crate) const MAX_REGEX_BYTES: usize = 1024 * 1024;

/// Characters of a regular expression.
pub(crate) const MAX_REGEX_LENGTH: usize = 10_000;
