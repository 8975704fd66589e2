//! Kafka's error codes (`org.apache.kafka.common.protocol.Errors` of 4.3.1).
//!
//! One row per code. Which error becomes which code is decided by the handlers.

use std::fmt;

/// An error code of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i16)]
pub enum ErrorCode {
    /// The server failed in a way that no other code names.
    UnknownServerError = -1,
    /// No error.
    None = 0,
    /// The offset lies outside the range that the partition holds.
    OffsetOutOfRange = 1,
    /// The records are damaged, or their checksum does not fit.
    CorruptMessage = 2,
    /// The topic or partition does not exist here.
    UnknownTopicOrPartition = 3,
    /// The fetch size is not valid.
    InvalidFetchSize = 4,
    /// The partition has no leader at the moment.
    LeaderNotAvailable = 5,
    /// This broker does not lead the partition, or holds no replica of it.
    NotLeaderOrFollower = 6,
    /// The request was not finished in its time.
    RequestTimedOut = 7,
    /// The broker is not available.
    BrokerNotAvailable = 8,
    /// The replica is not available.
    ReplicaNotAvailable = 9,
    /// The records exceed the size that the topic or server takes.
    MessageTooLarge = 10,
    /// The controller moved to another node.
    StaleControllerEpoch = 11,
    /// The metadata of the offset commit is too long.
    OffsetMetadataTooLarge = 12,
    /// The connection ended before a response came.
    NetworkException = 13,
    /// The coordinator is still loading.
    CoordinatorLoadInProgress = 14,
    /// The coordinator is not available.
    CoordinatorNotAvailable = 15,
    /// This broker is not the coordinator.
    NotCoordinator = 16,
    /// The topic's name is not valid, or the operation is not allowed on it.
    InvalidTopicException = 17,
    /// The batch exceeds the segment size of the server.
    RecordListTooLarge = 18,
    /// Fewer replicas are in sync than required.
    NotEnoughReplicas = 19,
    /// The records were appended, but to fewer in-sync replicas than required.
    NotEnoughReplicasAfterAppend = 20,
    /// Acks must be 0, 1 or -1.
    InvalidRequiredAcks = 21,
    /// The generation is not the group's current one.
    IllegalGeneration = 22,
    /// The member's protocol does not fit those of the group.
    InconsistentGroupProtocol = 23,
    /// The group id is not valid.
    InvalidGroupId = 24,
    /// The coordinator does not know this member.
    UnknownMemberId = 25,
    /// The session timeout lies outside the range that the broker allows.
    InvalidSessionTimeout = 26,
    /// The group is rebalancing, join it again.
    RebalanceInProgress = 27,
    /// The offset commit is too large.
    InvalidCommitOffsetSize = 28,
    /// The topic may not be accessed by this principal.
    TopicAuthorizationFailed = 29,
    /// The group may not be accessed by this principal.
    GroupAuthorizationFailed = 30,
    /// The cluster operation is not allowed to this principal.
    ClusterAuthorizationFailed = 31,
    /// The record's timestamp lies outside the range that the topic takes.
    InvalidTimestamp = 32,
    /// The SASL mechanism is not offered here.
    UnsupportedSaslMechanism = 33,
    /// The request does not fit the state of the SASL exchange.
    IllegalSaslState = 34,
    /// The version of the request is not supported.
    UnsupportedVersion = 35,
    /// A topic of this name exists already.
    TopicAlreadyExists = 36,
    /// The number of partitions is not valid.
    InvalidPartitions = 37,
    /// The replication factor is not valid, or exceeds the number of brokers.
    InvalidReplicationFactor = 38,
    /// The replica assignment is not valid.
    InvalidReplicaAssignment = 39,
    /// The configuration is not valid.
    InvalidConfig = 40,
    /// This node is not the active controller.
    NotController = 41,
    /// The request is malformed, or its fields contradict each other.
    InvalidRequest = 42,
    /// The record format does not support the request.
    UnsupportedForMessageFormat = 43,
    /// The request breaks a policy of the cluster.
    PolicyViolation = 44,
    /// The sequence number does not follow the last one of this producer.
    OutOfOrderSequenceNumber = 45,
    /// The sequence number was seen before.
    DuplicateSequenceNumber = 46,
    /// The producer's epoch is older than the current one.
    InvalidProducerEpoch = 47,
    /// The transaction is in a state that does not allow the operation.
    InvalidTxnState = 48,
    /// The producer id does not belong to this transactional id.
    InvalidProducerIdMapping = 49,
    /// The transaction timeout exceeds what the broker allows.
    InvalidTransactionTimeout = 50,
    /// An earlier operation on this transaction is still going on.
    ConcurrentTransactions = 51,
    /// A newer transaction coordinator took over.
    TransactionCoordinatorFenced = 52,
    /// The transactional id may not be used by this principal.
    TransactionalIdAuthorizationFailed = 53,
    /// Security features are disabled.
    SecurityDisabled = 54,
    /// The operation was not tried, because another part of the request failed.
    OperationNotAttempted = 55,
    /// The log directory of the partition failed.
    KafkaStorageError = 56,
    /// The log directory is not configured.
    LogDirNotFound = 57,
    /// The SASL authentication failed.
    SaslAuthenticationFailed = 58,
    /// The broker knows nothing of this producer id, its records may have expired.
    UnknownProducerId = 59,
    /// The partition is being reassigned.
    ReassignmentInProgress = 60,
    /// Delegation tokens are not enabled.
    DelegationTokenAuthDisabled = 61,
    /// The delegation token does not exist.
    DelegationTokenNotFound = 62,
    /// The owner or renewer of the delegation token does not fit.
    DelegationTokenOwnerMismatch = 63,
    /// Delegation tokens cannot be requested over this connection.
    DelegationTokenRequestNotAllowed = 64,
    /// The delegation token may not be used by this principal.
    DelegationTokenAuthorizationFailed = 65,
    /// The delegation token has expired.
    DelegationTokenExpired = 66,
    /// The principal type is not supported.
    InvalidPrincipalType = 67,
    /// The group is not empty.
    NonEmptyGroup = 68,
    /// The group does not exist.
    GroupIdNotFound = 69,
    /// The fetch session does not exist.
    FetchSessionIdNotFound = 70,
    /// The epoch of the fetch session is not the expected one.
    InvalidFetchSessionEpoch = 71,
    /// The leader has no listener of the name that the request came in on.
    ListenerNotFound = 72,
    /// The deletion of topics is disabled.
    TopicDeletionDisabled = 73,
    /// The leader epoch is older than the broker's.
    FencedLeaderEpoch = 74,
    /// The leader epoch is newer than the broker's.
    UnknownLeaderEpoch = 75,
    /// The compression type is not supported by this version of the request.
    UnsupportedCompressionType = 76,
    /// The broker epoch is not the current one.
    StaleBrokerEpoch = 77,
    /// The leader does not know its high watermark yet.
    OffsetNotAvailable = 78,
    /// The member needs an id, join again with the one in the response.
    MemberIdRequired = 79,
    /// The preferred leader is not available.
    PreferredLeaderNotAvailable = 80,
    /// The group has its greatest size already.
    GroupMaxSizeReached = 81,
    /// Another member with the same instance id took over.
    FencedInstanceId = 82,
    /// No replica is eligible as leader.
    EligibleLeadersNotAvailable = 83,
    /// No election is needed, the leader is the wanted one.
    ElectionNotNeeded = 84,
    /// No reassignment is going on.
    NoReassignmentInProgress = 85,
    /// The group is subscribed to the topic.
    GroupSubscribedToTopic = 86,
    /// A record was refused by the broker's checks.
    InvalidRecord = 87,
    /// Offsets of an open transaction are not stable yet.
    UnstableOffsetCommit = 88,
    /// The quota is exceeded, try again later.
    ThrottlingQuotaExceeded = 89,
    /// A newer producer with the same transactional id took over.
    ProducerFenced = 90,
    /// The resource does not exist.
    ResourceNotFound = 91,
    /// The resource exists already, or was named twice.
    DuplicateResource = 92,
    /// The credential does not meet the requirements.
    UnacceptableCredential = 93,
    /// The voters of the request and of the receiver differ.
    InconsistentVoterSet = 94,
    /// The version of the update is not valid.
    InvalidUpdateVersion = 95,
    /// The feature cannot be updated.
    FeatureUpdateFailed = 96,
    /// The principal in the envelope cannot be read.
    PrincipalDeserializationFailure = 97,
    /// The snapshot does not exist.
    SnapshotNotFound = 98,
    /// The position lies outside the snapshot.
    PositionOutOfRange = 99,
    /// No topic has this id.
    UnknownTopicId = 100,
    /// A broker of this id is registered already.
    DuplicateBrokerRegistration = 101,
    /// The broker id is not registered.
    BrokerIdNotRegistered = 102,
    /// The topic id in the log differs from the one in the request.
    InconsistentTopicId = 103,
    /// The cluster id is not the expected one.
    InconsistentClusterId = 104,
    /// The transactional id does not exist.
    TransactionalIdNotFound = 105,
    /// The fetch session met topic ids of another kind.
    FetchSessionTopicIdError = 106,
    /// The replica may not join the in-sync set.
    IneligibleReplica = 107,
    /// The request made a new leader, who must be asked.
    NewLeaderElected = 108,
    /// The offset lies in remote storage only.
    OffsetMovedToTieredStorage = 109,
    /// The member epoch was fenced, give up all partitions and join again.
    FencedMemberEpoch = 110,
    /// The instance id is still held by another member.
    UnreleasedInstanceId = 111,
    /// The assignor is not supported, or the members' assignors share none.
    UnsupportedAssignor = 112,
    /// The member epoch is not the current one, ask for it with the next heartbeat.
    StaleMemberEpoch = 113,
    /// The request was sent to an endpoint of the wrong type.
    MismatchedEndpointType = 114,
    /// The endpoint type is not supported.
    UnsupportedEndpointType = 115,
    /// The controller id is not known.
    UnknownControllerId = 116,
    /// The telemetry subscription is not the client's current one.
    UnknownSubscriptionId = 117,
    /// The telemetry exceeds the size that the broker takes.
    TelemetryTooLarge = 118,
    /// The registration is not valid.
    InvalidRegistration = 119,
    /// The transaction failed and must be aborted.
    TransactionAbortable = 120,
    /// The record is not in a state that allows the operation.
    InvalidRecordState = 121,
    /// The share session does not exist.
    ShareSessionNotFound = 122,
    /// The epoch of the share session is not the expected one.
    InvalidShareSessionEpoch = 123,
    /// The state epoch of the share coordinator is fenced.
    FencedStateEpoch = 124,
    /// The key of the voter does not fit the receiver.
    InvalidVoterKey = 125,
    /// The voter is part of the set already.
    DuplicateVoter = 126,
    /// The voter is not part of the set.
    VoterNotFound = 127,
    /// The regular expression is not valid.
    InvalidRegularExpression = 128,
    /// The client must start over from its bootstrap servers.
    RebootstrapRequired = 129,
    /// The topology is not valid.
    StreamsInvalidTopology = 130,
    /// The epoch of the topology is not valid.
    StreamsInvalidTopologyEpoch = 131,
    /// The topology is older than the group's.
    StreamsTopologyFenced = 132,
    /// The broker holds as many share sessions as it allows.
    ShareSessionLimitReached = 133,
}

struct Row {
    code: ErrorCode,
    name: &'static str,
    retriable: bool,
    message: &'static str,
}

impl ErrorCode {
    /// All codes, in rising order from −1 on.
    pub fn all() -> impl Iterator<Item = Self> {
        ROWS.iter().map(|row| row.code)
    }

    /// The code of this number, `None` for an unknown one.
    pub fn from_code(code: i16) -> Option<Self> {
        let index = usize::try_from(i32::from(code) + 1).ok()?;
        ROWS.get(index).map(|row| row.code)
    }

    /// Its number on the wire.
    pub fn code(self) -> i16 {
        self as i16
    }

    /// Its name, such as `NOT_LEADER_OR_FOLLOWER`.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// What it says to people.
    pub fn message(self) -> &'static str {
        self.row().message
    }

    /// Whether a client may succeed by trying the same again (`RetriableException`).
    pub fn retriable(self) -> bool {
        self.row().retriable
    }

    /// Whether it is NONE.
    pub fn is_none(self) -> bool {
        self == Self::None
    }

    fn row(self) -> &'static Row {
        // A test holds the rows dense, so the fall-back is never taken.
        ROWS.get((self.code() + 1) as usize).unwrap_or(&UNKNOWN_SERVER_ERROR)
    }
}

impl From<ErrorCode> for i16 {
    fn from(code: ErrorCode) -> Self {
        code.code()
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

const fn row(code: ErrorCode, name: &'static str, retriable: bool, message: &'static str) -> Row {
    Row { code, name, retriable, message }
}

const UNKNOWN_SERVER_ERROR: Row = row(
    ErrorCode::UnknownServerError,
    "UNKNOWN_SERVER_ERROR",
    false,
    "the server failed in a way that no other code names",
);

#[rustfmt::skip]
const ROWS: [Row; 135] = [
    UNKNOWN_SERVER_ERROR,
    row(ErrorCode::None, "NONE", false, "no error"),
    row(ErrorCode::OffsetOutOfRange, "OFFSET_OUT_OF_RANGE", false, "the offset lies outside the range that the partition holds"),
    row(ErrorCode::CorruptMessage, "CORRUPT_MESSAGE", true, "the records are damaged, or their checksum does not fit"),
    row(ErrorCode::UnknownTopicOrPartition, "UNKNOWN_TOPIC_OR_PARTITION", true, "the topic or partition does not exist here"),
    row(ErrorCode::InvalidFetchSize, "INVALID_FETCH_SIZE", false, "the fetch size is not valid"),
    row(ErrorCode::LeaderNotAvailable, "LEADER_NOT_AVAILABLE", true, "the partition has no leader at the moment"),
    row(ErrorCode::NotLeaderOrFollower, "NOT_LEADER_OR_FOLLOWER", true, "this broker does not lead the partition, or holds no replica of it"),
    row(ErrorCode::RequestTimedOut, "REQUEST_TIMED_OUT", true, "the request was not finished in its time"),
    row(ErrorCode::BrokerNotAvailable, "BROKER_NOT_AVAILABLE", false, "the broker is not available"),
    row(ErrorCode::ReplicaNotAvailable, "REPLICA_NOT_AVAILABLE", true, "the replica is not available"),
    row(ErrorCode::MessageTooLarge, "MESSAGE_TOO_LARGE", false, "the records exceed the size that the topic or server takes"),
    row(ErrorCode::StaleControllerEpoch, "STALE_CONTROLLER_EPOCH", false, "the controller moved to another node"),
    row(ErrorCode::OffsetMetadataTooLarge, "OFFSET_METADATA_TOO_LARGE", false, "the metadata of the offset commit is too long"),
    row(ErrorCode::NetworkException, "NETWORK_EXCEPTION", true, "the connection ended before a response came"),
    row(ErrorCode::CoordinatorLoadInProgress, "COORDINATOR_LOAD_IN_PROGRESS", true, "the coordinator is still loading"),
    row(ErrorCode::CoordinatorNotAvailable, "COORDINATOR_NOT_AVAILABLE", true, "the coordinator is not available"),
    row(ErrorCode::NotCoordinator, "NOT_COORDINATOR", true, "this broker is not the coordinator"),
    row(ErrorCode::InvalidTopicException, "INVALID_TOPIC_EXCEPTION", false, "the topic's name is not valid, or the operation is not allowed on it"),
    row(ErrorCode::RecordListTooLarge, "RECORD_LIST_TOO_LARGE", false, "the batch exceeds the segment size of the server"),
    row(ErrorCode::NotEnoughReplicas, "NOT_ENOUGH_REPLICAS", true, "fewer replicas are in sync than required"),
    row(ErrorCode::NotEnoughReplicasAfterAppend, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", true, "the records were appended, but to fewer in-sync replicas than required"),
    row(ErrorCode::InvalidRequiredAcks, "INVALID_REQUIRED_ACKS", false, "acks must be 0, 1 or -1"),
    row(ErrorCode::IllegalGeneration, "ILLEGAL_GENERATION", false, "the generation is not the group's current one"),
    row(ErrorCode::InconsistentGroupProtocol, "INCONSISTENT_GROUP_PROTOCOL", false, "the member's protocol does not fit those of the group"),
    row(ErrorCode::InvalidGroupId, "INVALID_GROUP_ID", false, "the group id is not valid"),
    row(ErrorCode::UnknownMemberId, "UNKNOWN_MEMBER_ID", false, "the coordinator does not know this member"),
    row(ErrorCode::InvalidSessionTimeout, "INVALID_SESSION_TIMEOUT", false, "the session timeout lies outside the range that the broker allows"),
    row(ErrorCode::RebalanceInProgress, "REBALANCE_IN_PROGRESS", false, "the group is rebalancing, join it again"),
    row(ErrorCode::InvalidCommitOffsetSize, "INVALID_COMMIT_OFFSET_SIZE", false, "the offset commit is too large"),
    row(ErrorCode::TopicAuthorizationFailed, "TOPIC_AUTHORIZATION_FAILED", false, "the topic may not be accessed by this principal"),
    row(ErrorCode::GroupAuthorizationFailed, "GROUP_AUTHORIZATION_FAILED", false, "the group may not be accessed by this principal"),
    row(ErrorCode::ClusterAuthorizationFailed, "CLUSTER_AUTHORIZATION_FAILED", false, "the cluster operation is not allowed to this principal"),
    row(ErrorCode::InvalidTimestamp, "INVALID_TIMESTAMP", false, "the record's timestamp lies outside the range that the topic takes"),
    row(ErrorCode::UnsupportedSaslMechanism, "UNSUPPORTED_SASL_MECHANISM", false, "the SASL mechanism is not offered here"),
    row(ErrorCode::IllegalSaslState, "ILLEGAL_SASL_STATE", false, "the request does not fit the state of the SASL exchange"),
    row(ErrorCode::UnsupportedVersion, "UNSUPPORTED_VERSION", false, "the version of the request is not supported"),
    row(ErrorCode::TopicAlreadyExists, "TOPIC_ALREADY_EXISTS", false, "a topic of this name exists already"),
    row(ErrorCode::InvalidPartitions, "INVALID_PARTITIONS", false, "the number of partitions is not valid"),
    row(ErrorCode::InvalidReplicationFactor, "INVALID_REPLICATION_FACTOR", false, "the replication factor is not valid, or exceeds the number of brokers"),
    row(ErrorCode::InvalidReplicaAssignment, "INVALID_REPLICA_ASSIGNMENT", false, "the replica assignment is not valid"),
    row(ErrorCode::InvalidConfig, "INVALID_CONFIG", false, "the configuration is not valid"),
    row(ErrorCode::NotController, "NOT_CONTROLLER", true, "this node is not the active controller"),
    row(ErrorCode::InvalidRequest, "INVALID_REQUEST", false, "the request is malformed, or its fields contradict each other"),
    row(ErrorCode::UnsupportedForMessageFormat, "UNSUPPORTED_FOR_MESSAGE_FORMAT", false, "the record format does not support the request"),
    row(ErrorCode::PolicyViolation, "POLICY_VIOLATION", false, "the request breaks a policy of the cluster"),
    row(ErrorCode::OutOfOrderSequenceNumber, "OUT_OF_ORDER_SEQUENCE_NUMBER", false, "the sequence number does not follow the last one of this producer"),
    row(ErrorCode::DuplicateSequenceNumber, "DUPLICATE_SEQUENCE_NUMBER", false, "the sequence number was seen before"),
    row(ErrorCode::InvalidProducerEpoch, "INVALID_PRODUCER_EPOCH", false, "the producer's epoch is older than the current one"),
    row(ErrorCode::InvalidTxnState, "INVALID_TXN_STATE", false, "the transaction is in a state that does not allow the operation"),
    row(ErrorCode::InvalidProducerIdMapping, "INVALID_PRODUCER_ID_MAPPING", false, "the producer id does not belong to this transactional id"),
    row(ErrorCode::InvalidTransactionTimeout, "INVALID_TRANSACTION_TIMEOUT", false, "the transaction timeout exceeds what the broker allows"),
    row(ErrorCode::ConcurrentTransactions, "CONCURRENT_TRANSACTIONS", true, "an earlier operation on this transaction is still going on"),
    row(ErrorCode::TransactionCoordinatorFenced, "TRANSACTION_COORDINATOR_FENCED", false, "a newer transaction coordinator took over"),
    row(ErrorCode::TransactionalIdAuthorizationFailed, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", false, "the transactional id may not be used by this principal"),
    row(ErrorCode::SecurityDisabled, "SECURITY_DISABLED", false, "security features are disabled"),
    row(ErrorCode::OperationNotAttempted, "OPERATION_NOT_ATTEMPTED", false, "the operation was not tried, because another part of the request failed"),
    row(ErrorCode::KafkaStorageError, "KAFKA_STORAGE_ERROR", true, "the log directory of the partition failed"),
    row(ErrorCode::LogDirNotFound, "LOG_DIR_NOT_FOUND", false, "the log directory is not configured"),
    row(ErrorCode::SaslAuthenticationFailed, "SASL_AUTHENTICATION_FAILED", false, "the SASL authentication failed"),
    row(ErrorCode::UnknownProducerId, "UNKNOWN_PRODUCER_ID", false, "the broker knows nothing of this producer id, its records may have expired"),
    row(ErrorCode::ReassignmentInProgress, "REASSIGNMENT_IN_PROGRESS", false, "the partition is being reassigned"),
    row(ErrorCode::DelegationTokenAuthDisabled, "DELEGATION_TOKEN_AUTH_DISABLED", false, "delegation tokens are not enabled"),
    row(ErrorCode::DelegationTokenNotFound, "DELEGATION_TOKEN_NOT_FOUND", false, "the delegation token does not exist"),
    row(ErrorCode::DelegationTokenOwnerMismatch, "DELEGATION_TOKEN_OWNER_MISMATCH", false, "the owner or renewer of the delegation token does not fit"),
    row(ErrorCode::DelegationTokenRequestNotAllowed, "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", false, "delegation tokens cannot be requested over this connection"),
    row(ErrorCode::DelegationTokenAuthorizationFailed, "DELEGATION_TOKEN_AUTHORIZATION_FAILED", false, "the delegation token may not be used by this principal"),
    row(ErrorCode::DelegationTokenExpired, "DELEGATION_TOKEN_EXPIRED", false, "the delegation token has expired"),
    row(ErrorCode::InvalidPrincipalType, "INVALID_PRINCIPAL_TYPE", false, "the principal type is not supported"),
    row(ErrorCode::NonEmptyGroup, "NON_EMPTY_GROUP", false, "the group is not empty"),
    row(ErrorCode::GroupIdNotFound, "GROUP_ID_NOT_FOUND", false, "the group does not exist"),
    row(ErrorCode::FetchSessionIdNotFound, "FETCH_SESSION_ID_NOT_FOUND", true, "the fetch session does not exist"),
    row(ErrorCode::InvalidFetchSessionEpoch, "INVALID_FETCH_SESSION_EPOCH", true, "the epoch of the fetch session is not the expected one"),
    row(ErrorCode::ListenerNotFound, "LISTENER_NOT_FOUND", true, "the leader has no listener of the name that the request came in on"),
    row(ErrorCode::TopicDeletionDisabled, "TOPIC_DELETION_DISABLED", false, "the deletion of topics is disabled"),
    row(ErrorCode::FencedLeaderEpoch, "FENCED_LEADER_EPOCH", true, "the leader epoch is older than the broker's"),
    row(ErrorCode::UnknownLeaderEpoch, "UNKNOWN_LEADER_EPOCH", true, "the leader epoch is newer than the broker's"),
    row(ErrorCode::UnsupportedCompressionType, "UNSUPPORTED_COMPRESSION_TYPE", false, "the compression type is not supported by this version of the request"),
    row(ErrorCode::StaleBrokerEpoch, "STALE_BROKER_EPOCH", false, "the broker epoch is not the current one"),
    row(ErrorCode::OffsetNotAvailable, "OFFSET_NOT_AVAILABLE", true, "the leader does not know its high watermark yet"),
    row(ErrorCode::MemberIdRequired, "MEMBER_ID_REQUIRED", false, "the member needs an id, join again with the one in the response"),
    row(ErrorCode::PreferredLeaderNotAvailable, "PREFERRED_LEADER_NOT_AVAILABLE", true, "the preferred leader is not available"),
    row(ErrorCode::GroupMaxSizeReached, "GROUP_MAX_SIZE_REACHED", false, "the group has its greatest size already"),
    row(ErrorCode::FencedInstanceId, "FENCED_INSTANCE_ID", false, "another member with the same instance id took over"),
    row(ErrorCode::EligibleLeadersNotAvailable, "ELIGIBLE_LEADERS_NOT_AVAILABLE", true, "no replica is eligible as leader"),
    row(ErrorCode::ElectionNotNeeded, "ELECTION_NOT_NEEDED", true, "no election is needed, the leader is the wanted one"),
    row(ErrorCode::NoReassignmentInProgress, "NO_REASSIGNMENT_IN_PROGRESS", false, "no reassignment is going on"),
    row(ErrorCode::GroupSubscribedToTopic, "GROUP_SUBSCRIBED_TO_TOPIC", false, "the group is subscribed to the topic"),
    row(ErrorCode::InvalidRecord, "INVALID_RECORD", false, "a record was refused by the broker's checks"),
    row(ErrorCode::UnstableOffsetCommit, "UNSTABLE_OFFSET_COMMIT", true, "offsets of an open transaction are not stable yet"),
    row(ErrorCode::ThrottlingQuotaExceeded, "THROTTLING_QUOTA_EXCEEDED", true, "the quota is exceeded, try again later"),
    row(ErrorCode::ProducerFenced, "PRODUCER_FENCED", false, "a newer producer with the same transactional id took over"),
    row(ErrorCode::ResourceNotFound, "RESOURCE_NOT_FOUND", false, "the resource does not exist"),
    row(ErrorCode::DuplicateResource, "DUPLICATE_RESOURCE", false, "the resource exists already, or was named twice"),
    row(ErrorCode::UnacceptableCredential, "UNACCEPTABLE_CREDENTIAL", false, "the credential does not meet the requirements"),
    row(ErrorCode::InconsistentVoterSet, "INCONSISTENT_VOTER_SET", false, "the voters of the request and of the receiver differ"),
    row(ErrorCode::InvalidUpdateVersion, "INVALID_UPDATE_VERSION", false, "the version of the update is not valid"),
    row(ErrorCode::FeatureUpdateFailed, "FEATURE_UPDATE_FAILED", false, "the feature cannot be updated"),
    row(ErrorCode::PrincipalDeserializationFailure, "PRINCIPAL_DESERIALIZATION_FAILURE", false, "the principal in the envelope cannot be read"),
    row(ErrorCode::SnapshotNotFound, "SNAPSHOT_NOT_FOUND", false, "the snapshot does not exist"),
    row(ErrorCode::PositionOutOfRange, "POSITION_OUT_OF_RANGE", false, "the position lies outside the snapshot"),
    row(ErrorCode::UnknownTopicId, "UNKNOWN_TOPIC_ID", true, "no topic has this id"),
    row(ErrorCode::DuplicateBrokerRegistration, "DUPLICATE_BROKER_REGISTRATION", false, "a broker of this id is registered already"),
    row(ErrorCode::BrokerIdNotRegistered, "BROKER_ID_NOT_REGISTERED", false, "the broker id is not registered"),
    row(ErrorCode::InconsistentTopicId, "INCONSISTENT_TOPIC_ID", true, "the topic id in the log differs from the one in the request"),
    row(ErrorCode::InconsistentClusterId, "INCONSISTENT_CLUSTER_ID", false, "the cluster id is not the expected one"),
    row(ErrorCode::TransactionalIdNotFound, "TRANSACTIONAL_ID_NOT_FOUND", false, "the transactional id does not exist"),
    row(ErrorCode::FetchSessionTopicIdError, "FETCH_SESSION_TOPIC_ID_ERROR", true, "the fetch session met topic ids of another kind"),
    row(ErrorCode::IneligibleReplica, "INELIGIBLE_REPLICA", false, "the replica may not join the in-sync set"),
    row(ErrorCode::NewLeaderElected, "NEW_LEADER_ELECTED", false, "the request made a new leader, who must be asked"),
    row(ErrorCode::OffsetMovedToTieredStorage, "OFFSET_MOVED_TO_TIERED_STORAGE", false, "the offset lies in remote storage only"),
    row(ErrorCode::FencedMemberEpoch, "FENCED_MEMBER_EPOCH", false, "the member epoch was fenced, give up all partitions and join again"),
    row(ErrorCode::UnreleasedInstanceId, "UNRELEASED_INSTANCE_ID", false, "the instance id is still held by another member"),
    row(ErrorCode::UnsupportedAssignor, "UNSUPPORTED_ASSIGNOR", false, "the assignor is not supported, or the members' assignors share none"),
    row(ErrorCode::StaleMemberEpoch, "STALE_MEMBER_EPOCH", false, "the member epoch is not the current one, ask for it with the next heartbeat"),
    row(ErrorCode::MismatchedEndpointType, "MISMATCHED_ENDPOINT_TYPE", false, "the request was sent to an endpoint of the wrong type"),
    row(ErrorCode::UnsupportedEndpointType, "UNSUPPORTED_ENDPOINT_TYPE", false, "the endpoint type is not supported"),
    row(ErrorCode::UnknownControllerId, "UNKNOWN_CONTROLLER_ID", false, "the controller id is not known"),
    row(ErrorCode::UnknownSubscriptionId, "UNKNOWN_SUBSCRIPTION_ID", false, "the telemetry subscription is not the client's current one"),
    row(ErrorCode::TelemetryTooLarge, "TELEMETRY_TOO_LARGE", false, "the telemetry exceeds the size that the broker takes"),
    row(ErrorCode::InvalidRegistration, "INVALID_REGISTRATION", false, "the registration is not valid"),
    row(ErrorCode::TransactionAbortable, "TRANSACTION_ABORTABLE", false, "the transaction failed and must be aborted"),
    row(ErrorCode::InvalidRecordState, "INVALID_RECORD_STATE", false, "the record is not in a state that allows the operation"),
    row(ErrorCode::ShareSessionNotFound, "SHARE_SESSION_NOT_FOUND", true, "the share session does not exist"),
    row(ErrorCode::InvalidShareSessionEpoch, "INVALID_SHARE_SESSION_EPOCH", true, "the epoch of the share session is not the expected one"),
    row(ErrorCode::FencedStateEpoch, "FENCED_STATE_EPOCH", false, "the state epoch of the share coordinator is fenced"),
    row(ErrorCode::InvalidVoterKey, "INVALID_VOTER_KEY", false, "the key of the voter does not fit the receiver"),
    row(ErrorCode::DuplicateVoter, "DUPLICATE_VOTER", false, "the voter is part of the set already"),
    row(ErrorCode::VoterNotFound, "VOTER_NOT_FOUND", false, "the voter is not part of the set"),
    row(ErrorCode::InvalidRegularExpression, "INVALID_REGULAR_EXPRESSION", false, "the regular expression is not valid"),
    row(ErrorCode::RebootstrapRequired, "REBOOTSTRAP_REQUIRED", false, "the client must start over from its bootstrap servers"),
    row(ErrorCode::StreamsInvalidTopology, "STREAMS_INVALID_TOPOLOGY", false, "the topology is not valid"),
    row(ErrorCode::StreamsInvalidTopologyEpoch, "STREAMS_INVALID_TOPOLOGY_EPOCH", false, "the epoch of the topology is not valid"),
    row(ErrorCode::StreamsTopologyFenced, "STREAMS_TOPOLOGY_FENCED", false, "the topology is older than the group's"),
    row(ErrorCode::ShareSessionLimitReached, "SHARE_SESSION_LIMIT_REACHED", true, "the broker holds as many share sessions as it allows"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_dense_and_agree_with_kafka() {
        let golden = include_str!("../../tests/golden/messages/errors.csv");
        let rows: Vec<&str> = golden.lines().skip(1).collect();
        assert_eq!(rows.len(), ErrorCode::all().count());
        for (line, code) in rows.into_iter().zip(ErrorCode::all()) {
            let fields: Vec<&str> = line.split(',').collect();
            assert_eq!(fields[0], code.code().to_string());
            assert_eq!(fields[1], code.name());
            assert_eq!(fields[2], code.retriable().to_string(), "{code}");
            assert_eq!(ErrorCode::from_code(code.code()), Some(code));
            assert!(!code.message().is_empty());
        }
        assert_eq!(ErrorCode::from_code(-2), None);
        assert_eq!(ErrorCode::from_code(134), None);
        assert_eq!(ErrorCode::from_code(i16::MIN), None);
    }
}
