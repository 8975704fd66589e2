//! Parsed settings of a producer.

use std::time::Duration;

use pharos_protocol::compression::Codec;

use crate::config::{ClientConfig, Properties, duration, rows};
use crate::error::{ClientError, Result};

/// How a partition is chosen for a record that names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partitioning {
    /// By the key's hash; without a key, one partition until a batch is full (KIP-794).
    Default,
    /// As `Default`, but keys are not looked at.
    IgnoreKeys,
    /// Each record goes to the next partition.
    RoundRobin,
}

/// Settings of a producer.
#[derive(Clone, Debug)]
pub struct ProducerConfig {
    /// What all clients have in common.
    pub client: ClientConfig,
    /// `acks`: -1 for all.
    pub acks: i16,
    /// `batch.size` in bytes.
    pub batch_size: usize,
    /// `buffer.memory` in bytes, at most `u32::MAX`.
    pub buffer_memory: u32,
    /// `compression.type`.
    pub codec: Codec,
    /// The level of that codec; its default when absent.
    pub level: Option<i32>,
    /// `delivery.timeout.ms`.
    pub delivery_timeout: Duration,
    /// `enable.idempotence`, after the checks against acks and retries.
    pub idempotence: bool,
    /// `linger.ms`.
    pub linger: Duration,
    /// `max.block.ms`.
    pub max_block: Duration,
    /// `max.in.flight.requests.per.connection`.
    pub max_in_flight: usize,
    /// `max.request.size` in bytes.
    pub max_request_size: usize,
    /// `retries`.
    pub retries: u32,
    /// `partitioner.class` and `partitioner.ignore.keys`.
    pub partitioning: Partitioning,
}

impl ProducerConfig {
    /// Parses `properties`.
    ///
    /// # Errors
    /// The first property whose value is not allowed, or that contradicts another.
    pub fn parse(properties: &Properties) -> Result<Self> {
        let client = ClientConfig::parse(properties)?;
        let acks = match properties.word(rows::ACKS).as_str() {
            "0" => 0,
            "1" => 1,
            _ => -1,
        };
        let retries = properties.amount(rows::RETRIES)?;
        let max_in_flight = size(properties, rows::MAX_IN_FLIGHT)?;
        let codec = Codec::from_name(&properties.word(rows::COMPRESSION_TYPE)).unwrap_or_default();
        Ok(Self {
            acks,
            idempotence: idempotence(properties, acks, retries, max_in_flight)?,
            batch_size: size(properties, rows::BATCH_SIZE)?,
            buffer_memory: u32::try_from(properties.amount(rows::BUFFER_MEMORY)?)
                .unwrap_or(u32::MAX),
            codec,
            level: level(properties, codec)?,
            delivery_timeout: duration(properties, rows::DELIVERY_TIMEOUT_MS)?,
            linger: duration(properties, rows::LINGER_MS)?,
            max_block: duration(properties, rows::MAX_BLOCK_MS)?,
            max_in_flight,
            max_request_size: size(properties, rows::MAX_REQUEST_SIZE)?,
            retries: u32::try_from(retries).unwrap_or(u32::MAX),
            partitioning: partitioning(properties)?,
            client,
        })
    }
}

fn size(properties: &Properties, row: &'static rows::Row) -> Result<usize> {
    Ok(usize::try_from(properties.amount(row)?).unwrap_or(usize::MAX))
}

fn level(properties: &Properties, codec: Codec) -> Result<Option<i32>> {
    let row = match codec {
        Codec::Gzip => rows::COMPRESSION_GZIP_LEVEL,
        Codec::Lz4 => rows::COMPRESSION_LZ4_LEVEL,
        Codec::Zstd => rows::COMPRESSION_ZSTD_LEVEL,
        Codec::None | Codec::Snappy => return Ok(None),
    };
    if properties.get(row.name).is_none() {
        return Ok(None);
    }
    let level = properties.number(row)?;
    let is_default = codec == Codec::Gzip && level == -1;
    Ok(i32::try_from(level).ok().filter(|_| !is_default))
}

/// Idempotence by default yields to settings that contradict it; when it was asked for by name they
/// are refused (`ProducerConfig.postProcessAndValidateIdempotenceConfigs`).
fn idempotence(
    properties: &Properties,
    acks: i16,
    retries: u64,
    max_in_flight: usize,
) -> Result<bool> {
    let row = rows::ENABLE_IDEMPOTENCE;
    let wanted = properties.flag(row)?;
    let contradiction = if acks != -1 {
        Some("false unless acks is all")
    } else if retries == 0 {
        Some("false unless retries is greater than 0")
    } else if max_in_flight > 5 {
        Some("false unless max.in.flight.requests.per.connection is at most 5")
    } else {
        None
    };
    match contradiction {
        Some(expected) if wanted && properties.get(row.name).is_some() => {
            Err(ClientError::Config {
                key: row.name.to_owned(),
                value: "true".to_owned(),
                expected: expected.to_owned(),
            })
        }
        Some(_) => Ok(false),
        None => Ok(wanted),
    }
}

fn partitioning(properties: &Properties) -> Result<Partitioning> {
    let class = properties.text(rows::PARTITIONER_CLASS);
    match class.rsplit('.').next().unwrap_or_default() {
        "" | "null" | "DefaultPartitioner" | "UniformStickyPartitioner" => {
            let ignore = properties.flag(rows::PARTITIONER_IGNORE_KEYS)?;
            Ok(if ignore { Partitioning::IgnoreKeys } else { Partitioning::Default })
        }
        "RoundRobinPartitioner" => Ok(Partitioning::RoundRobin),
        _ => Err(ClientError::Config {
            key: rows::PARTITIONER_CLASS.name.to_owned(),
            value: class.to_owned(),
            expected: "RoundRobinPartitioner or nothing".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ProducerConfig> {
        let mut properties = Properties::parse(text);
        properties.set_default("bootstrap.servers", "localhost:9092");
        ProducerConfig::parse(&properties)
    }

    #[test]
    fn idempotence_yields_unless_it_was_asked_for() {
        assert!(parse("").unwrap().idempotence);
        assert!(!parse("acks=1").unwrap().idempotence);
        assert!(!parse("retries=0").unwrap().idempotence);
        let refused = parse("acks=1\nenable.idempotence=true").unwrap_err();
        assert!(refused.to_string().contains("false unless acks is all"));
    }

    #[test]
    fn kafkas_names_are_understood() {
        let config = parse("compression.type=zstd\nacks=all\nlinger.ms=7").unwrap();
        assert_eq!((config.codec, config.acks), (Codec::Zstd, -1));
        assert_eq!(config.linger, Duration::from_millis(7));
        let class = "partitioner.class=org.apache.kafka.clients.producer.RoundRobinPartitioner";
        assert_eq!(parse(class).unwrap().partitioning, Partitioning::RoundRobin);
        assert!(parse("partitioner.class=com.example.Mine").is_err());
    }
}
