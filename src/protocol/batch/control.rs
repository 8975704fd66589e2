//! Control records: the markers of transactions and the frames of the metadata log.
//!
//! The key is a version and a type (`ControlRecordType`), both of 16 bits; the value belongs to
//! the type.

/// Why a control record cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// The key is missing or shorter than 4 bytes.
    #[error("the key of a control record takes 4 bytes, not {0}")]
    Key(usize),
    /// The version of the key is negative.
    #[error("the key of a control record has version {0}")]
    Version(i16),
    /// The value is missing or too short.
    #[error("the value of a control record takes {needed} bytes, not {found}")]
    Value {
        /// Bytes needed.
        needed: usize,
        /// Bytes there.
        found: usize,
    },
}

/// What a control record says. The bodies of the metadata log's kinds stay bytes; their messages
/// are in the generated module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlRecord<'a> {
    /// End of an aborted transaction.
    Abort {
        /// Epoch of the transaction coordinator.
        coordinator_epoch: i32,
    },
    /// End of a committed transaction.
    Commit {
        /// Epoch of the transaction coordinator.
        coordinator_epoch: i32,
    },
    /// A LeaderChangeMessage.
    LeaderChange(&'a [u8]),
    /// A SnapshotHeaderRecord.
    SnapshotHeader(&'a [u8]),
    /// A SnapshotFooterRecord.
    SnapshotFooter(&'a [u8]),
    /// A KRaftVersionRecord.
    KRaftVersion(&'a [u8]),
    /// A VotersRecord.
    Voters(&'a [u8]),
    /// A type that is not known here; readers skip it, as Kafka does.
    Unknown {
        /// The type.
        kind: i16,
        /// The value.
        value: &'a [u8],
    },
}

const KEY_VERSION: i16 = 0;
const MARKER_VERSION: i16 = 0;
const MARKER_LEN: usize = 6;

impl<'a> ControlRecord<'a> {
    /// Reads key and value of a record of a control batch.
    ///
    /// # Errors
    /// [`ControlError`] when the key, or the value of a marker, is too short.
    pub fn read(key: Option<&[u8]>, value: Option<&'a [u8]>) -> Result<Self, ControlError> {
        let key = key.unwrap_or_default();
        let (version, kind) = match key {
            &[a, b, c, d, ..] => (i16::from_be_bytes([a, b]), i16::from_be_bytes([c, d])),
            _ => return Err(ControlError::Key(key.len())),
        };
        if version < 0 {
            return Err(ControlError::Version(version));
        }
        let value = value.unwrap_or_default();
        Ok(match kind {
            0 => Self::Abort { coordinator_epoch: read_marker(value)? },
            1 => Self::Commit { coordinator_epoch: read_marker(value)? },
            2 => Self::LeaderChange(value),
            3 => Self::SnapshotHeader(value),
            4 => Self::SnapshotFooter(value),
            5 => Self::KRaftVersion(value),
            6 => Self::Voters(value),
            kind => Self::Unknown { kind, value },
        })
    }

    /// The type's number in a key.
    pub fn kind(&self) -> i16 {
        match self {
            Self::Abort { .. } => 0,
            Self::Commit { .. } => 1,
            Self::LeaderChange(_) => 2,
            Self::SnapshotHeader(_) => 3,
            Self::SnapshotFooter(_) => 4,
            Self::KRaftVersion(_) => 5,
            Self::Voters(_) => 6,
            Self::Unknown { kind, .. } => *kind,
        }
    }

    /// The key to write.
    pub fn key(&self) -> [u8; 4] {
        let ([a, b], [c, d]) = (KEY_VERSION.to_be_bytes(), self.kind().to_be_bytes());
        [a, b, c, d]
    }

    /// The value to write.
    pub fn value(&self) -> Vec<u8> {
        match self {
            Self::Abort { coordinator_epoch } | Self::Commit { coordinator_epoch } => {
                let mut value = MARKER_VERSION.to_be_bytes().to_vec();
                value.extend_from_slice(&coordinator_epoch.to_be_bytes());
                value
            }
            Self::LeaderChange(value)
            | Self::SnapshotHeader(value)
            | Self::SnapshotFooter(value)
            | Self::KRaftVersion(value)
            | Self::Voters(value)
            | Self::Unknown { value, .. } => value.to_vec(),
        }
    }
}

fn read_marker(value: &[u8]) -> Result<i32, ControlError> {
    match value {
        &[_, _, a, b, c, d, ..] => Ok(i32::from_be_bytes([a, b, c, d])),
        _ => Err(ControlError::Value { needed: MARKER_LEN, found: value.len() }),
    }
}
