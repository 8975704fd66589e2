//! Chosen parts of a record, separated (org.apache.kafka.tools.consumer.DefaultMessageFormatter).

use std::io::Write;

use anyhow::{Result, bail};
use pharos_client::{ConsumerRecord, Properties};

use crate::common::timestamp_name;

/// The parts of a record that are shown.
#[derive(Debug)]
pub struct Columns {
    timestamp: bool,
    partition: bool,
    offset: bool,
    delivery: bool,
    epoch: bool,
    headers: bool,
    key: bool,
    value: bool,
    key_separator: Vec<u8>,
    line_separator: Vec<u8>,
    headers_separator: Vec<u8>,
    null_literal: Vec<u8>,
    key_type: Deserializer,
    value_type: Deserializer,
    headers_type: Deserializer,
}

/// How bytes are read before they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deserializer {
    Raw,
    Short,
    Integer,
    Long,
    Float,
    Double,
    Boolean,
}

impl Columns {
    /// The columns of these properties.
    ///
    /// # Errors
    /// When a deserializer is none of the built-in ones.
    pub fn parse(properties: &Properties) -> Result<Self> {
        let flag = |name: &str, default: bool| {
            properties.get(name).map_or(default, |text| text.trim().eq_ignore_ascii_case("true"))
        };
        let bytes =
            |name: &str, default: &str| properties.get(name).unwrap_or(default).as_bytes().to_vec();
        let class = |name: &str| Deserializer::by_class(properties.get(name));
        Ok(Self {
            timestamp: flag("print.timestamp", false),
            partition: flag("print.partition", false),
            offset: flag("print.offset", false),
            delivery: flag("print.delivery", false),
            epoch: flag("print.epoch", false),
            headers: flag("print.headers", false),
            key: flag("print.key", false),
            value: flag("print.value", true),
            key_separator: bytes("key.separator", "\t"),
            line_separator: bytes("line.separator", "\n"),
            headers_separator: bytes("headers.separator", ","),
            null_literal: bytes("null.literal", "null"),
            key_type: class("key.deserializer")?,
            value_type: class("value.deserializer")?,
            headers_type: class("headers.deserializer")?,
        })
    }

    /// Shows the parts of one record.
    ///
    /// # Errors
    /// When a part does not fit its deserializer, or nobody reads any more.
    pub fn write(&self, record: &ConsumerRecord, out: &mut dyn Write) -> Result<()> {
        let mut columns: Vec<Vec<u8>> = Vec::new();
        if self.timestamp {
            columns.push(timestamp(record).into_bytes());
        }
        if self.partition {
            columns.push(format!("Partition:{}", record.partition).into_bytes());
        }
        if self.offset {
            columns.push(format!("Offset:{}", record.offset).into_bytes());
        }
        // The console consumer hands neither of these to the formatter (ConsoleConsumer.process).
        if self.delivery {
            columns.push(b"Delivery:NOT_PRESENT".to_vec());
        }
        if self.epoch {
            columns.push(b"Epoch:NOT_PRESENT".to_vec());
        }
        if self.headers {
            columns.push(self.headers(record)?);
        }
        if self.key {
            columns.push(self.text(self.key_type, record.key.as_deref())?);
        }
        if self.value {
            columns.push(self.text(self.value_type, record.value.as_deref())?);
        }
        if columns.is_empty() {
            return Ok(());
        }
        let mut line = columns.join(&self.key_separator[..]);
        line.extend_from_slice(&self.line_separator);
        Ok(out.write_all(&line)?)
    }

    fn headers(&self, record: &ConsumerRecord) -> Result<Vec<u8>> {
        if record.headers.is_empty() {
            return Ok(b"NO_HEADERS".to_vec());
        }
        let one = |(name, value): &(String, Option<bytes::Bytes>)| {
            let mut text = format!("{name}:").into_bytes();
            text.extend(self.text(self.headers_type, value.as_deref())?);
            Ok(text)
        };
        let all = record.headers.iter().map(one).collect::<Result<Vec<_>>>()?;
        Ok(all.join(&self.headers_separator[..]))
    }

    fn text(&self, kind: Deserializer, bytes: Option<&[u8]>) -> Result<Vec<u8>> {
        match bytes {
            Some(bytes) => kind.show(bytes),
            None => Ok(self.null_literal.clone()),
        }
    }
}

fn timestamp(record: &ConsumerRecord) -> String {
    format!("{}:{}", timestamp_name(record.timestamp_type), record.timestamp_ms)
}

impl Deserializer {
    fn by_class(class: Option<&str>) -> Result<Self> {
        let Some(class) = class else { return Ok(Self::Raw) };
        match class.rsplit('.').next().unwrap_or_default() {
            // Ids of UUIDDeserializer are stored as text.
            "StringDeserializer"
            | "BytesDeserializer"
            | "ByteArrayDeserializer"
            | "UUIDDeserializer" => Ok(Self::Raw),
            "ShortDeserializer" => Ok(Self::Short),
            "IntegerDeserializer" => Ok(Self::Integer),
            "LongDeserializer" => Ok(Self::Long),
            "FloatDeserializer" => Ok(Self::Float),
            "DoubleDeserializer" => Ok(Self::Double),
            "BooleanDeserializer" => Ok(Self::Boolean),
            _ => bail!("{class} is a Java class that is not built in here"),
        }
    }

    /// The text of the bytes.
    ///
    /// # Errors
    /// When there are more or fewer of them than the type has; in the words of Kafka's classes.
    fn show(self, bytes: &[u8]) -> Result<Vec<u8>> {
        let (text, class, len) = match self {
            Self::Raw => return Ok(bytes.to_vec()),
            Self::Short => {
                (bytes.try_into().ok().map(|b| i16::from_be_bytes(b).to_string()), "Short", 2)
            }
            Self::Integer => {
                (bytes.try_into().ok().map(|b| i32::from_be_bytes(b).to_string()), "Integer", 4)
            }
            Self::Long => {
                (bytes.try_into().ok().map(|b| i64::from_be_bytes(b).to_string()), "Long", 8)
            }
            Self::Float => {
                (bytes.try_into().ok().map(|b| format!("{:?}", f32::from_be_bytes(b))), "", 4)
            }
            Self::Double => {
                (bytes.try_into().ok().map(|b| format!("{:?}", f64::from_be_bytes(b))), "", 8)
            }
            Self::Boolean => {
                let text = match bytes {
                    [0] => Some("false".to_owned()),
                    [1] => Some("true".to_owned()),
                    _ => None,
                };
                (text, "Boolean", 1)
            }
        };
        match text {
            Some(text) => Ok(text.into_bytes()),
            None => bail!(
                "org.apache.kafka.common.errors.SerializationException: Size of data received by \
                 {class}Deserializer is not {len}"
            ),
        }
    }
}
