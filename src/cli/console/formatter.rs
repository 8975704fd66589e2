//! Records become text (org.apache.kafka.tools.consumer.DefaultMessageFormatter and friends).

use std::io::{self, Write};

use anyhow::{Result, bail};
use pharos_client::consumer::TimestampType;
use pharos_client::{ConsumerRecord, Properties};

/// How records are shown.
#[derive(Debug)]
pub enum Formatter {
    /// Chosen parts of the record, separated.
    Default(Box<Columns>),
    /// As `Default`, and on stderr when it was written.
    Logging(Box<Columns>),
    /// Not at all.
    NoOp,
}

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
    Uuid,
    Boolean,
}

impl Formatter {
    /// The formatter of that Java class with these properties.
    ///
    /// # Errors
    /// When the class is none of the built-in ones.
    pub fn parse(class: &str, properties: &Properties) -> Result<Self> {
        let columns = || Columns::parse(properties).map(Box::new);
        match class.rsplit('.').next().unwrap_or_default() {
            "DefaultMessageFormatter" => Ok(Self::Default(columns()?)),
            "LoggingMessageFormatter" => Ok(Self::Logging(columns()?)),
            "NoOpMessageFormatter" => Ok(Self::NoOp),
            _ => bail!("{class} is a Java class that is not built in here"),
        }
    }

    /// Shows one record; what is meant for the log goes to `log`.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub fn write(
        &self,
        record: &ConsumerRecord,
        out: &mut dyn Write,
        log: &mut dyn Write,
    ) -> io::Result<()> {
        match self {
            Self::Default(columns) => columns.write(record, out),
            Self::Logging(columns) => {
                columns.write(record, out)?;
                let text = |bytes: &Option<bytes::Bytes>| {
                    bytes.as_ref().map_or_else(
                        || "null".to_owned(),
                        |bytes| String::from_utf8_lossy(bytes).into_owned(),
                    )
                };
                let name = timestamp_name(record.timestamp_type);
                writeln!(
                    log,
                    "{name}:{}, key:{}, value:{}",
                    record.timestamp_ms,
                    text(&record.key),
                    text(&record.value)
                )
            }
            Self::NoOp => Ok(()),
        }
    }
}

fn timestamp_name(kind: TimestampType) -> &'static str {
    match kind {
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    }
}

impl Columns {
    fn parse(properties: &Properties) -> Result<Self> {
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

    fn write(&self, record: &ConsumerRecord, out: &mut dyn Write) -> io::Result<()> {
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
            columns.push(self.headers(record));
        }
        if self.key {
            columns.push(self.text(self.key_type, record.key.as_deref()));
        }
        if self.value {
            columns.push(self.text(self.value_type, record.value.as_deref()));
        }
        if columns.is_empty() {
            return Ok(());
        }
        let mut line = columns.join(&self.key_separator[..]);
        line.extend_from_slice(&self.line_separator);
        out.write_all(&line)
    }

    fn headers(&self, record: &ConsumerRecord) -> Vec<u8> {
        if record.headers.is_empty() {
            return b"NO_HEADERS".to_vec();
        }
        let one = |(name, value): &(String, Option<bytes::Bytes>)| {
            let mut text = format!("{name}:").into_bytes();
            text.extend(self.text(self.headers_type, value.as_deref()));
            text
        };
        record.headers.iter().map(one).collect::<Vec<_>>().join(&self.headers_separator[..])
    }

    fn text(&self, kind: Deserializer, bytes: Option<&[u8]>) -> Vec<u8> {
        match bytes {
            Some(bytes) => kind.show(bytes),
            None => self.null_literal.clone(),
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
            "StringDeserializer" | "BytesDeserializer" | "ByteArrayDeserializer" => Ok(Self::Raw),
            "ShortDeserializer" => Ok(Self::Short),
            "IntegerDeserializer" => Ok(Self::Integer),
            "LongDeserializer" => Ok(Self::Long),
            "FloatDeserializer" => Ok(Self::Float),
            "DoubleDeserializer" => Ok(Self::Double),
            "UUIDDeserializer" => Ok(Self::Uuid),
            "BooleanDeserializer" => Ok(Self::Boolean),
            _ => bail!("{class} is a Java class that is not built in here"),
        }
    }

    /// The text of the bytes; bytes of another length are shown as they are.
    fn show(self, bytes: &[u8]) -> Vec<u8> {
        let text = match self {
            Self::Raw => None,
            Self::Short => bytes.try_into().ok().map(|b| i16::from_be_bytes(b).to_string()),
            Self::Integer => bytes.try_into().ok().map(|b| i32::from_be_bytes(b).to_string()),
            Self::Long => bytes.try_into().ok().map(|b| i64::from_be_bytes(b).to_string()),
            Self::Float => bytes.try_into().ok().map(|b| format!("{:?}", f32::from_be_bytes(b))),
            Self::Double => bytes.try_into().ok().map(|b| format!("{:?}", f64::from_be_bytes(b))),
            Self::Uuid => None,
            Self::Boolean => match bytes {
                [0] => Some("false".to_owned()),
                [1] => Some("true".to_owned()),
                _ => None,
            },
        };
        text.map_or_else(|| bytes.to_vec(), String::into_bytes)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use pharos_base::{Offset, PartitionId};

    use super::*;

    fn check(properties: &str, expected: &str) {
        let record = ConsumerRecord {
            topic: "t".into(),
            partition: PartitionId(2),
            offset: Offset(7),
            leader_epoch: 3,
            timestamp_ms: 1000,
            timestamp_type: TimestampType::CreateTime,
            key: None,
            value: Some(Bytes::from_static(&[0, 0, 0, 9])),
            headers: vec![("a".to_owned(), Some(Bytes::from_static(b"1"))), ("b".to_owned(), None)],
        };
        let properties = Properties::parse(properties);
        let formatter = Formatter::parse("DefaultMessageFormatter", &properties).unwrap();
        let mut out = Vec::new();
        formatter.write(&record, &mut out, &mut io::sink()).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn columns() {
        let number = "value.deserializer=org.apache.kafka.common.serialization.IntegerDeserializer";
        check(number, "9\n");
        check(
            &format!(
                "{number}\nprint.key=true\nprint.timestamp=true\nprint.partition=true\nprint.offset=true\nprint.headers=true\nprint.epoch=true\nprint.delivery=true"
            ),
            "CreateTime:1000\tPartition:2\tOffset:7\tDelivery:NOT_PRESENT\tEpoch:NOT_PRESENT\ta:1,b:null\tnull\t9\n",
        );
        check(
            &format!("{number}\nprint.key=true\nkey.separator=;\nline.separator=|\nnull.literal=-"),
            "-;9|",
        );
        check("print.value=false", "");
    }

    #[test]
    fn foreign_classes_are_named() {
        let refused = Formatter::parse("com.example.Mine", &Properties::new()).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "com.example.Mine is a Java class that is not built in here"
        );
    }
}
