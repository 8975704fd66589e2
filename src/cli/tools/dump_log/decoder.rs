//! Keys and values of records as text: plain, or the records of one of the cluster's own logs.

use anyhow::{Result, bail};
use pharos_protocol::batch::Record;

use crate::args::Args;
use crate::stored::{self, Json, Log, Unreadable};

/// How records are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoder {
    /// By `--key-decoder-class` and `--value-decoder-class`.
    Plain { key: Plain, value: Plain },
    /// As keys and values of a coordinator.
    Coordinator(Log),
    /// As records of `__cluster_metadata`.
    Metadata,
}

/// The decoders of org.apache.kafka.tools.api.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain {
    Text,
    Integer,
    Long,
}

impl Decoder {
    /// The decoder of the flags, and whether one was given.
    pub fn parse(args: &Args) -> Result<(Self, bool)> {
        let special = [
            ("offsets-decoder", Self::Coordinator(Log::Groups)),
            ("transaction-log-decoder", Self::Coordinator(Log::Transactions)),
            ("cluster-metadata-decoder", Self::Metadata),
        ];
        if let Some((_, decoder)) = special.into_iter().find(|(flag, _)| args.has(flag)) {
            return Ok((decoder, true));
        }
        let plain = |flag| Plain::by_class(args.one(flag)?);
        let (key, value) = (plain("key-decoder-class")?, plain("value-decoder-class")?);
        let given = args.has("key-decoder-class") || args.has("value-decoder-class");
        Ok((Self::Plain { key, value }, given))
    }

    /// Key and payload, where there are any.
    ///
    /// # Errors
    /// When the record cannot be one of the log.
    pub fn read(&self, record: &Record<'_>) -> Result<(Option<String>, Option<String>)> {
        match self {
            Self::Plain { key, value } => {
                let key = record.key.map(|bytes| key.show(bytes)).transpose()?;
                Ok((key, record.value.map(|bytes| value.show(bytes)).transpose()?))
            }
            Self::Coordinator(log) => of_coordinator(*log, record),
            Self::Metadata => {
                let payload = match stored::metadata(record.value.unwrap_or_default()) {
                    Ok((name, version, data)) => Json::object([
                        ("type", Json::Text(name)),
                        ("version", Json::Plain(version.to_string())),
                        ("data", data),
                    ])
                    .to_string(),
                    Err(error) => format!("Error at {}, skipping. {error}", record.offset),
                };
                Ok((None, Some(payload)))
            }
        }
    }
}

fn of_coordinator(log: Log, record: &Record<'_>) -> Result<(Option<String>, Option<String>)> {
    let offset = record.offset;
    let Some(key) = record.key else {
        bail!(
            "Failed to decode message at offset {offset} using the specified decoder (message had \
             a missing key)"
        )
    };
    let told = |error: Unreadable| match error {
        Unreadable::Type(id) => format!("Unknown record type {id} at offset {offset}, skipping."),
        other => format!("Error at offset {offset}, skipping. {other}"),
    };
    let (id, data) = match log.key(key) {
        Ok(read) => read,
        Err(error) => return Ok((Some(told(error)), None)),
    };
    let shown = |prefix: &str, number: i16, data: Json| {
        Json::object([(prefix, Json::Text(number.to_string())), ("data", data)]).to_string()
    };
    let payload = match record.value.map(|value| log.value(id, value)) {
        None => "<DELETE>".to_owned(),
        Some(Ok((version, mut data))) => {
            show_members(&mut data);
            shown("version", version, data)
        }
        Some(Err(error)) => return Ok((Some(told(error)), None)),
    };
    Ok((Some(shown("type", id, data)), Some(payload)))
}

/// Subscriptions and assignments of a group of consumers are bytes of the consumers' own protocol;
/// what cannot be read stays as it is.
fn show_members(group: &mut Json) {
    if group.field_mut("protocolType") != Some(&mut Json::Text("consumer".to_owned())) {
        return;
    }
    let Some(Json::List(members)) = group.field_mut("members") else { return };
    for member in members {
        for (field, name) in [
            ("subscription", "ConsumerProtocolSubscription"),
            ("assignment", "ConsumerProtocolAssignment"),
        ] {
            if let Some(value) = member.field_mut(field)
                && let Json::Bytes(bytes) = value
                && let Ok(read) = stored::of_consumer(name, bytes)
            {
                *value = read;
            }
        }
    }
}

impl Plain {
    fn by_class(class: Option<&str>) -> Result<Self> {
        match class.and_then(|class| class.rsplit('.').next()) {
            None | Some("StringDecoder") => Ok(Self::Text),
            Some("IntegerDecoder") => Ok(Self::Integer),
            Some("LongDecoder") => Ok(Self::Long),
            Some(_) => {
                bail!("{} is a Java class that is not built in here", class.unwrap_or_default())
            }
        }
    }

    fn show(self, bytes: &[u8]) -> Result<String> {
        let shown = match self {
            Self::Text => Some(String::from_utf8_lossy(bytes).into_owned()),
            Self::Integer => bytes.first_chunk().map(|b| i32::from_be_bytes(*b).to_string()),
            Self::Long => bytes.first_chunk().map(|b| i64::from_be_bytes(*b).to_string()),
        };
        match shown {
            Some(text) => Ok(text),
            None => bail!("a key or value of {} bytes is too short for its decoder", bytes.len()),
        }
    }
}
