//! Why a message cannot be read or written.

/// Why bytes are not a message. None of these depends on more than the bytes at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end inside the message.
    #[error("the bytes end inside the message: {needed} more needed, {left} left")]
    Truncated {
        /// Bytes that the next value needs.
        needed: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// A count or length is greater than what is left can hold.
    #[error("a count of {count} does not fit into the {left} bytes left")]
    Count {
        /// What the bytes say.
        count: u32,
        /// Bytes that are left.
        left: usize,
    },
    /// Null where the version does not allow it.
    #[error("a null in a field that may not be null")]
    Null,
    /// A string that is not UTF-8.
    #[error("a string is not UTF-8")]
    Utf8,
    /// A variable-length integer of more than 5 bytes.
    #[error("a variable-length integer is longer than 5 bytes")]
    LongVarint,
    /// More tagged fields in one struct than any version will have.
    #[error("a struct has {0} tagged fields")]
    TooManyTags(u32),
    /// The size of a tagged field and its value disagree.
    #[error("tagged field {tag} has {left} bytes behind its value")]
    TagSize {
        /// The field's tag.
        tag: u32,
        /// Bytes of its size that the value does not take.
        left: usize,
    },
    /// The tables have no such version of the message.
    #[error("{message} has no version {version}")]
    Version {
        /// Name of the message.
        message: &'static str,
        /// The version asked for.
        version: i16,
    },
}

/// Why a message cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The tables have no such version of the message.
    #[error("{message} has no version {version}")]
    Version {
        /// Name of the message.
        message: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// A field is set that the version does not have.
    #[error("the field {field} is set, but version {version} does not have it")]
    Field {
        /// Struct and field.
        field: &'static str,
        /// The version.
        version: i16,
    },
    /// Null where the version does not allow it.
    #[error("a null in a field that may not be null in version {0}")]
    Null(i16),
    /// A string, a byte array or an array is longer than its length field holds.
    #[error("a length of {len} exceeds {max}")]
    Length {
        /// The length.
        len: usize,
        /// The greatest that fits.
        max: usize,
    },
    /// The whole message is longer than 2³¹−1 bytes.
    #[error("the message takes {0} bytes, more than a frame holds")]
    Frame(usize),
    /// The message holds records that are not in memory.
    #[error("the message refers to external records")]
    External,
}
