//! What the cluster stores about itself (groups, offsets, transactions, metadata), as the JSON that
//! Kafka's tools show. Driven by the tables that the codec is made of, since the JSON of a message
//! has the names and the order of its table.

mod decode;
mod json;
mod table;

use std::sync::LazyLock;

use pharos_protocol::stored::{StoredError, split_metadata};

pub use self::json::Json;
use self::table::{Kind, Message};

static GROUPS: LazyLock<Vec<Message>> = LazyLock::new(|| {
    table::parse(include_str!("../../protocol/spec/records/group_coordinator.txt"))
});
static TRANSACTIONS: LazyLock<Vec<Message>> =
    LazyLock::new(|| table::parse(include_str!("../../protocol/spec/records/transaction_log.txt")));
static METADATA: LazyLock<Vec<Message>> =
    LazyLock::new(|| table::parse(include_str!("../../protocol/spec/records/metadata_log.txt")));
static CONTROL: LazyLock<Vec<Message>> =
    LazyLock::new(|| table::parse(include_str!("../../protocol/spec/records/control_records.txt")));
static CONSUMERS: LazyLock<Vec<Message>> = LazyLock::new(|| {
    table::parse(include_str!("../../protocol/spec/records/consumer_protocol.txt"))
});

/// Why bytes are not shown as JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// No table describes this record.
    #[error("unknown record type {0}")]
    Type(i16),
    /// The table does not have this version.
    #[error("{name} of version {version} is not known")]
    Version {
        /// The message.
        name: &'static str,
        /// Its version.
        version: i16,
    },
    /// The bytes end early, or contradict themselves.
    #[error("{name} is malformed at {field}")]
    Malformed {
        /// The message.
        name: &'static str,
        /// What could not be read.
        field: &'static str,
    },
    /// The bytes in front of the message are not readable.
    #[error("the beginning is malformed")]
    Prefix,
    /// The frame around a metadata record is not readable.
    #[error("Error while reading frame version")]
    Frame,
    /// The frame around a metadata record is of another version.
    #[error(
        "Could not deserialize metadata record due to unknown frame version {0}(only frame version 1 \
         is supported)"
    )]
    FrameVersion(u32),
}

/// A log whose keys begin with the record's type and whose values begin with their version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// `__consumer_offsets`.
    Groups,
    /// `__transaction_state`.
    Transactions,
}

impl Log {
    fn table(self) -> &'static [Message] {
        match self {
            Self::Groups => &GROUPS,
            Self::Transactions => &TRANSACTIONS,
        }
    }

    /// Type and content of a key.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn key(self, bytes: &[u8]) -> Result<(i16, Json), Unreadable> {
        let (id, body) = prefix(bytes)?;
        let message = find(self.table(), Kind::Key, id)?;
        Ok((id, decode::message(message, 0, body)?))
    }

    /// Version and content of the value of a key of type `id`.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn value(self, id: i16, bytes: &[u8]) -> Result<(i16, Json), Unreadable> {
        let (version, body) = prefix(bytes)?;
        let message = find(self.table(), Kind::Value, id)?;
        Ok((version, decode::message(message, version, body)?))
    }
}

/// Name, version and content of a record of `__cluster_metadata`; the name is Kafka's constant.
///
/// # Errors
/// [`Unreadable`].
pub fn metadata(bytes: &[u8]) -> Result<(String, i16, Json), Unreadable> {
    let frame = split_metadata(bytes).map_err(|error| match error {
        StoredError::FrameVersion(version) => Unreadable::FrameVersion(version),
        StoredError::Prefix(_) | StoredError::Range(_) => Unreadable::Frame,
    })?;
    let message = find(&METADATA, Kind::Record, frame.id)?;
    let data = decode::message(message, frame.version, frame.body)?;
    Ok((table::constant_name(message.name), frame.version, data))
}

/// Content of a control record, whose own first field is its version.
///
/// # Errors
/// [`Unreadable`].
pub fn control(name: &str, bytes: &[u8]) -> Result<Json, Unreadable> {
    let (version, _) = prefix(bytes)?;
    named(&CONTROL, name, version, bytes)
}

/// What a member of a group of consumers subscribes to or is assigned:
/// `ConsumerProtocolSubscription`, `ConsumerProtocolAssignment`.
///
/// # Errors
/// [`Unreadable`].
pub fn of_consumer(name: &str, bytes: &[u8]) -> Result<Json, Unreadable> {
    let (version, body) = prefix(bytes)?;
    named(&CONSUMERS, name, version, body)
}

fn named(
    table: &'static [Message],
    name: &str,
    version: i16,
    body: &[u8],
) -> Result<Json, Unreadable> {
    let message = table.iter().find(|message| message.name == name);
    decode::message(message.ok_or(Unreadable::Prefix)?, version, body)
}

fn find(table: &'static [Message], kind: Kind, id: i16) -> Result<&'static Message, Unreadable> {
    let found = table.iter().find(|message| message.kind == kind && message.id == Some(id));
    found.ok_or(Unreadable::Type(id))
}

fn prefix(bytes: &[u8]) -> Result<(i16, &[u8]), Unreadable> {
    let (number, body) = bytes.split_first_chunk().ok_or(Unreadable::Prefix)?;
    Ok((i16::from_be_bytes(*number), body))
}
