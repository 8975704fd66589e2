//! Records become text: the formatters of org.apache.kafka.tools.consumer.

use std::io::Write;

use anyhow::{Result, bail};
use pharos_client::{ConsumerRecord, Properties};

use super::columns::Columns;
use crate::common::timestamp_name;
use crate::stored::{Json, Log};

/// How records are shown.
#[derive(Debug)]
pub enum Formatter {
    /// Chosen parts of the record, separated.
    Default(Box<Columns>),
    /// As `Default`, and on stderr when it was written.
    Logging(Box<Columns>),
    /// Not at all.
    NoOp,
    /// Records of one of the cluster's own logs as JSON: those whose type is one of these.
    Stored(Log, &'static [i16]),
}

/// Types of keys of `__consumer_offsets`: commits, of old and new format, and classic groups.
const OFFSETS: &[i16] = &[0, 1];
const GROUPS: &[i16] = &[2];
/// The only type of keys of `__transaction_state`.
const TRANSACTIONS: &[i16] = &[0];

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
            "OffsetsMessageFormatter" => Ok(Self::Stored(Log::Groups, OFFSETS)),
            "GroupMetadataMessageFormatter" => Ok(Self::Stored(Log::Groups, GROUPS)),
            "TransactionLogMessageFormatter" => Ok(Self::Stored(Log::Transactions, TRANSACTIONS)),
            _ => bail!("{class} is a Java class that is not built in here"),
        }
    }

    /// Shows one record; what is meant for the log goes to `log`.
    ///
    /// # Errors
    /// When the record cannot be shown, or nobody reads any more.
    pub fn write(
        &self,
        record: &ConsumerRecord,
        out: &mut dyn Write,
        log: &mut dyn Write,
    ) -> Result<()> {
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
                Ok(writeln!(
                    log,
                    "{name}:{}, key:{}, value:{}",
                    record.timestamp_ms,
                    text(&record.key),
                    text(&record.value)
                )?)
            }
            Self::NoOp => Ok(()),
            Self::Stored(stored, types) => {
                if let Some(json) = stored_record(*stored, types, record)? {
                    write!(out, "{json}")?;
                }
                Ok(())
            }
        }
    }
}

/// Key and value, if the key is of one of `types` (CoordinatorRecordMessageFormatter).
fn stored_record(log: Log, types: &[i16], record: &ConsumerRecord) -> Result<Option<Json>> {
    let Some((id, key)) = record.key.as_ref().and_then(|key| log.key(key).ok()) else {
        return Ok(None);
    };
    if !types.contains(&id) {
        return Ok(None);
    }
    let plain = |number: i16| Json::Plain(number.to_string());
    let value = match &record.value {
        None => Json::Null,
        Some(bytes) => {
            let (version, data) = log.value(id, bytes)?;
            Json::object([("version", plain(version)), ("data", data)])
        }
    };
    let key = Json::object([("type", plain(id)), ("data", key)]);
    Ok(Some(Json::object([("key", key), ("value", value)])))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use pharos_base::{Offset, PartitionId};
    use pharos_client::consumer::TimestampType;

    use super::*;

    fn record() -> ConsumerRecord {
        ConsumerRecord {
            topic: "t".into(),
            partition: PartitionId(2),
            offset: Offset(7),
            leader_epoch: 3,
            timestamp_ms: 1000,
            timestamp_type: TimestampType::CreateTime,
            key: None,
            value: Some(Bytes::from_static(&[0, 0, 0, 9])),
            headers: vec![("a".to_owned(), Some(Bytes::from_static(b"1"))), ("b".to_owned(), None)],
        }
    }

    fn check(properties: &str, expected: &str) {
        let record = record();
        let properties = Properties::parse(properties);
        let formatter = Formatter::parse("DefaultMessageFormatter", &properties).unwrap();
        let mut out = Vec::new();
        formatter.write(&record, &mut out, &mut std::io::sink()).unwrap();
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
    fn what_does_not_fit_its_type_is_refused() {
        let properties = Properties::parse(
            "value.deserializer=org.apache.kafka.common.serialization.LongDeserializer",
        );
        let formatter = Formatter::parse("DefaultMessageFormatter", &properties).unwrap();
        let record = ConsumerRecord { value: Some(Bytes::from_static(b"v")), ..record() };
        let refused = formatter.write(&record, &mut Vec::new(), &mut std::io::sink());
        let told = refused.unwrap_err().to_string();
        assert!(told.ends_with(": Size of data received by LongDeserializer is not 8"), "{told}");
    }

    #[test]
    fn the_clusters_own_records_are_json() {
        let key = b"\0\x01\0\x01g\0\x01t\0\0\0\x02";
        let value = b"\0\x03\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\x09";
        let record = ConsumerRecord {
            key: Some(Bytes::from_static(key)),
            value: Some(Bytes::from_static(value)),
            ..record()
        };
        let show = |class: &str, record: &ConsumerRecord| {
            let mut out = Vec::new();
            let formatter = Formatter::parse(class, &Properties::new()).unwrap();
            formatter.write(record, &mut out, &mut std::io::sink()).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            show("OffsetsMessageFormatter", &record),
            r#"{"key":{"type":1,"data":{"group":"g","topic":"t","partition":2}},"value":{"version":3,"data":{"offset":7,"leaderEpoch":0,"metadata":"","commitTimestamp":9}}}"#
        );
        assert_eq!(show("GroupMetadataMessageFormatter", &record), "");
        let deleted = ConsumerRecord { value: None, ..record };
        assert!(show("OffsetsMessageFormatter", &deleted).ends_with(r#","value":null}"#));
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
