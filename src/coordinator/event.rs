//! What goes into a shard and what comes out: requests, answers, writes, the moment.

use std::sync::Arc;

use pharos_base::Clock;

use crate::rebalances::RebalanceCause;
use crate::record::Record;
use crate::response::Response;
use crate::wire::offset_fetch_request::OffsetFetchRequestGroup;
use crate::wire::{
    ConsumerGroupHeartbeatRequest, ErrorCode, HeartbeatRequest, JoinGroupRequest,
    LeaveGroupRequest, OffsetCommitRequest, OffsetDeleteRequest, SyncGroupRequest,
};

/// The moment of an event: wall time for what is written, monotonic time for deadlines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since 1970; may step.
    pub wall_ms: i64,
    /// Milliseconds since the clock was made; never goes back.
    pub monotonic_ms: i64,
}

impl Now {
    /// The present moment of `clock`.
    pub fn of(clock: &Clock) -> Self {
        let monotonic_ms = i64::try_from(clock.monotonic().as_millis()).unwrap_or(i64::MAX);
        Self { wall_ms: clock.now_ms(), monotonic_ms }
    }
}

/// The executor's name for a request whose answer may come later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub u64);

/// Who asks, and in which version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// Version of the request's API.
    pub api_version: i16,
    /// `client_id` of the request header; empty when null.
    pub client_id: Arc<str>,
    /// Address of the client as Kafka stores it: `/127.0.0.1`.
    pub client_host: Arc<str>,
}

/// One request about groups of this shard. APIs that name several groups are split by group.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// JoinGroup v0-9. May be parked.
    JoinGroup(JoinGroupRequest),
    /// SyncGroup v0-5. May be parked.
    SyncGroup(SyncGroupRequest),
    /// Heartbeat v0-4.
    Heartbeat(HeartbeatRequest),
    /// LeaveGroup v0-5.
    LeaveGroup(LeaveGroupRequest),
    /// OffsetCommit v2-10.
    OffsetCommit(OffsetCommitRequest),
    /// OffsetFetch v1-10, one group of it; see [`crate::offsets::fetch::groups_of`].
    OffsetFetch {
        /// The group and the topics asked for.
        group: OffsetFetchRequestGroup,
        /// Whether offsets of open transactions are an error (`require_stable`).
        require_stable: bool,
    },
    /// OffsetDelete v0.
    OffsetDelete(OffsetDeleteRequest),
    /// ConsumerGroupHeartbeat v0-1.
    ConsumerGroupHeartbeat(ConsumerGroupHeartbeatRequest),
    /// DescribeGroups v0-6, one group of it.
    DescribeGroup(String),
    /// ConsumerGroupDescribe v0-1, one group of it.
    ConsumerGroupDescribe(String),
    /// ListGroups v0-5: this shard's groups that pass both filters; an empty filter passes all.
    ListGroups {
        /// State names in any case.
        states: Vec<String>,
        /// Type names in any case.
        types: Vec<String>,
    },
    /// DeleteGroups v0-2, one group of it.
    DeleteGroup(String),
}

/// Something that a shard reacts to.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "requests are what comes, nearly always")]
pub enum Event {
    /// A client's request.
    Request {
        /// Comes back with the answer.
        token: Token,
        /// Who asks.
        context: Context,
        /// What.
        request: Request,
    },
    /// Topics were deleted: their committed offsets go too.
    TopicsDeleted(Vec<Arc<str>>),
}

/// An answer to the request of `token`.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// Which request.
    pub token: Token,
    /// The answer may leave once the shard's log is committed up to and including this offset;
    /// `None`: at once.
    pub after: Option<i64>,
    /// The answer.
    pub response: Response,
}

/// Records to append, as one batch in this order, and what follows from it. Hand it back with
/// [`crate::Shard::appended`] or [`crate::Shard::failed`], before any other event.
#[derive(Debug)]
#[must_use]
pub struct Write {
    /// Never empty. [`Record::encode`] makes key and value.
    pub records: Vec<Record>,
    pub(crate) then: Then,
    pub(crate) cause: Option<RebalanceCause>,
}

/// What an event led to.
#[derive(Debug, Default)]
#[must_use]
pub struct Output {
    /// Answers, in order.
    pub replies: Vec<Reply>,
    /// What must be appended next.
    pub write: Option<Write>,
}

/// What happens once records are in the log, or could not be written.
#[derive(Debug)]
pub(crate) enum Then {
    /// These answers leave; if the append failed, the same requests are answered with an error.
    Reply(Vec<(Token, Response)>),
    /// What came before is done, and the event is looked at again: the group exists now, or the
    /// next batch of many records follows. `refused` answers if the append failed.
    Again { event: Box<Event>, refused: Option<(Token, Response)> },
    /// The leader's assignment is stored: the generation is stable.
    Assigned { group: Arc<str>, generation: i32 },
    /// A generation without members is stored: the group is empty.
    Emptied { group: Arc<str>, replies: Vec<(Token, Response)> },
    /// A static member came back under a new id.
    Replaced(Box<Replaced>),
    /// A consumer group became a classic one.
    Downgraded { group: Arc<str>, rebalance: bool, replies: Vec<(Token, Response)> },
}

impl Then {
    /// Adds an answer to those that leave once the records are written.
    pub(crate) fn also_reply(&mut self, token: Token, response: Response) {
        match self {
            Self::Reply(replies)
            | Self::Emptied { replies, .. }
            | Self::Downgraded { replies, .. } => replies.push((token, response)),
            Self::Again { .. } | Self::Assigned { .. } | Self::Replaced(_) => {
                debug_assert!(false, "answers of its own");
            }
        }
    }
}

/// A static member of a stable group that came back under a new id.
#[derive(Debug)]
pub(crate) struct Replaced {
    pub group: Arc<str>,
    pub token: Token,
    pub api_version: i16,
    pub old_member: Arc<str>,
    pub new_member: Arc<str>,
    pub old_leader: String,
    pub request: JoinGroupRequest,
}

/// The code that clients get when the append of a group's records failed with `error`
/// (`GroupMetadataManager.appendGroupMetadataErrorToResponseError`): clients look for the
/// coordinator again on the first two kinds, and cannot mend the third.
pub(crate) fn append_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::UnknownTopicOrPartition
        | ErrorCode::NotEnoughReplicas
        | ErrorCode::RequestTimedOut => ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        ErrorCode::MessageTooLarge
        | ErrorCode::RecordListTooLarge
        | ErrorCode::InvalidFetchSize => ErrorCode::UnknownServerError,
        other => other,
    }
}
