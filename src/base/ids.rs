//! Newtypes for the numbers that are easily mixed up, and the identity of a topic and a partition.
//!
//! They refuse arithmetic that has no meaning: an offset plus a count is an offset, two offsets
//! differ by a count, epochs only compare and step.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<$inner> for $name {
            fn from(value: $inner) -> Self {
                Self(value)
            }
        }
    };
}

number!(
    /// Position of a record in a partition's log; counts from 0, −1 stands for "none" on the wire.
    Offset(i64)
);
number!(
    /// Term of a partition's leader; grows with each election, −1 stands for "unknown".
    LeaderEpoch(i32)
);
number!(
    /// Index of a partition in its topic, from 0.
    PartitionId(i32)
);
number!(
    /// `node.id` of a broker or controller.
    BrokerId(i32)
);
number!(
    /// Identity of an idempotent or transactional producer; −1 stands for "none".
    ProducerId(i64)
);

impl Offset {
    /// The offset `count` records further on; saturates at the ends of the range.
    pub fn plus(self, count: i64) -> Self {
        Self(self.0.saturating_add(count))
    }

    /// Records from `earlier` up to, but not including, this offset; negative when it lies before.
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl LeaderEpoch {
    /// The epoch of which nothing is known.
    pub const UNKNOWN: Self = Self(-1);

    /// The epoch after this one.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl BrokerId {
    /// No broker: the leader of a partition that has none.
    pub const NONE: Self = Self(-1);
}

/// Identity of a topic, of a log directory or of an incarnation: 16 bytes that Kafka prints as 22
/// characters of URL-safe base64 without padding (`org.apache.kafka.common.Uuid`).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub Uuid);

impl TopicId {
    /// All zero: "no id".
    pub const ZERO: Self = Self(Uuid::nil());

    /// A new random id; never one that Kafka reserves, nor one whose text starts with `-` (the
    /// tools would take it for a flag).
    pub fn random() -> Self {
        loop {
            let id = Self(Uuid::new_v4());
            if !id.to_string().starts_with('-') {
                return id;
            }
        }
    }

    /// Reads the 22 characters that [`fmt::Display`] writes; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 22 {
            return None;
        }
        let mut bits: u128 = 0;
        for (index, byte) in text.bytes().enumerate() {
            let value = u128::from(base64_value(byte)?);
            // 22 characters hold 132 bits; the last 4 are padding and must be zero.
            if index == 21 {
                if value & 0b1111 != 0 {
                    return None;
                }
                bits = (bits << 2) | (value >> 4);
            } else {
                bits = (bits << 6) | value;
            }
        }
        Some(Self(Uuid::from_u128(bits)))
    }

    /// The 16 bytes, as they stand on the wire.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn base64_value(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    }
}

impl From<Uuid> for TopicId {
    fn from(value: Uuid) -> Self {
        Self(value)
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0.as_u128();
        for index in 0..22u32 {
            let shift = 122 - 6 * i64::from(index);
            let six = if shift >= 0 { bits >> shift } else { bits << -shift } & 0b11_1111;
            let byte = BASE64.get(six as usize).copied().unwrap_or(b'?');
            write!(f, "{}", char::from(byte))?;
        }
        Ok(())
    }
}

impl fmt::Debug for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One partition of a topic by name. Cloning shares the name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// Name of the topic.
    pub topic: Arc<str>,
    /// Index of the partition.
    pub partition: PartitionId,
}

impl TopicPartition {
    /// The partition `partition` of `topic`.
    pub fn new(topic: impl Into<Arc<str>>, partition: impl Into<PartitionId>) -> Self {
        Self { topic: topic.into(), partition: partition.into() }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_and_print_as_kafka_does() {
        // The pairs were printed by org.apache.kafka.common.Uuid.
        let cases = [
            ("MkU3OEVBNTcwNTJENDM2Qg", "32453738-4541-3537-3035-324434333642"),
            ("AAAAAAAAAAAAAAAAAAAAAA", "00000000-0000-0000-0000-000000000000"),
            ("_____________________w", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
        ];
        for (text, hex) in cases {
            let id = TopicId(Uuid::parse_str(hex).unwrap());
            assert_eq!(id.to_string(), text);
            assert_eq!(TopicId::parse(text), Some(id));
        }
        // The last has bits set that no id has.
        for bad in ["", "short", "MkU3OEVBNTcwNTJENDM2Q!", "MkU3OEVBNTcwNTJENDM2Qk"] {
            assert_eq!(TopicId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_random_id_never_reads_like_a_flag() {
        for _ in 0..1000 {
            assert!(!TopicId::random().to_string().starts_with('-'));
        }
    }

    #[test]
    fn offsets_saturate() {
        assert_eq!(Offset(i64::MAX).plus(1), Offset(i64::MAX));
        assert_eq!(Offset(7).since(Offset(10)), -3);
    }
}
