//! Tests against what Kafka 4.3.1 wrote: every version of every message, and the frames around.

use pharos_base::TopicId;
use serde_json::{Value, json};

use crate::batch::ControlRecord;
use crate::messages::*;
use crate::wire::{Bytes, Message, Records, Writer, encode_to_bytes};
use crate::{ApiKey, frame, stored};

/// What a value looks like in the goldens' JSON.
pub(crate) trait ToJson {
    fn json(&self, v: i16) -> Value;
}

macro_rules! plain {
    ($($ty:ty),*) => {$(
        impl ToJson for $ty {
            fn json(&self, _: i16) -> Value {
                json!(self)
            }
        }
    )*};
}

plain!(i8, i16, u16, i32, u32, i64, f64, bool, String);

impl ToJson for TopicId {
    fn json(&self, _: i16) -> Value {
        json!(to_hex(self.as_bytes()))
    }
}

impl ToJson for Bytes {
    fn json(&self, _: i16) -> Value {
        json!(to_hex(self))
    }
}

impl ToJson for Records {
    fn json(&self, _: i16) -> Value {
        json!(to_hex(self.as_bytes().unwrap()))
    }
}

impl<T: ToJson> ToJson for Option<T> {
    fn json(&self, v: i16) -> Value {
        self.as_ref().map_or(Value::Null, |value| value.json(v))
    }
}

impl<T: ToJson> ToJson for Vec<T> {
    fn json(&self, v: i16) -> Value {
        Value::Array(self.iter().map(|value| value.json(v)).collect())
    }
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn from_hex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

struct Row<'a> {
    message: &'a str,
    version: i16,
    is_default: bool,
    bytes: Vec<u8>,
    json: Value,
}

include!(concat!(env!("OUT_DIR"), "/golden.rs"));

fn check<M: Message + ToJson>(row: &Row<'_>) -> Result<(), String> {
    let Row { version, bytes, .. } = row;
    let message = M::decode(bytes, *version).map_err(|error| error.to_string())?;
    if message.json(*version) != row.json {
        return Err(format!("decoded {}", message.json(*version)));
    }
    let mut out = Writer::new();
    message.encode(&mut out, *version).map_err(|error| error.to_string())?;
    let encoded = out.finish().into_bytes().unwrap();
    if encoded != *bytes {
        return Err(format!("encoded {}", to_hex(&encoded)));
    }
    if row.is_default && M::default().json(*version) != row.json {
        return Err(format!("by default {}", M::default().json(*version)));
    }
    for len in 0..bytes.len() {
        if M::decode(&bytes[..len], *version).is_ok() {
            return Err(format!("decoded although cut to {len} bytes"));
        }
    }
    check_damaged::<M>(bytes, *version)?;
    let longer = [bytes, &[0xff; 3][..]].concat();
    if M::decode(&longer, *version).as_ref() != Ok(&message) {
        return Err("bytes left over change the message".into());
    }
    Ok(())
}

/// Whatever one byte becomes, the message is refused, or is one that can be sent on.
fn check_damaged<M: Message>(bytes: &[u8], version: i16) -> Result<(), String> {
    for at in 0..bytes.len() {
        for byte in [0x00, 0x01, 0x7f, 0x80, 0xff] {
            let mut damaged = bytes.to_vec();
            damaged[at] = byte;
            let Ok(message) = M::decode(&damaged, version) else { continue };
            // Null records are read but, in two messages, may not be written.
            let Ok(again) = encode_to_bytes(&message, version) else { continue };
            M::decode(&again, version).map_err(|error| format!("damaged at {at}: {error}"))?;
        }
    }
    Ok(())
}

fn check_file(text: &str) -> usize {
    let mut count = 0;
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let row = Row {
            message: fields[1],
            version: fields[3].parse().unwrap(),
            is_default: fields[4] == "default",
            bytes: from_hex(fields[5]),
            json: serde_json::from_str(fields[6]).unwrap(),
        };
        if let Err(error) = check_named(&row) {
            panic!("{} version {} {}: {error}\n{line}", row.message, row.version, fields[4]);
        }
        count += 1;
    }
    count
}

#[test]
fn api_messages_are_kafkas_byte_for_byte() {
    assert_eq!(check_file(include_str!("../../tests/golden/messages/golden.tsv")), 1063);
}

#[test]
fn stored_messages_are_kafkas_byte_for_byte() {
    assert_eq!(check_file(include_str!("../../tests/golden/messages/golden-records.tsv")), 244);
}

/// Decodes `body` as `M`, and demands that `encode` makes `framed` of it again.
fn round_trip<M: Message>(
    version: i16,
    body: &[u8],
    framed: &[u8],
    encode: impl Fn(&M) -> Result<Bytes, crate::EncodeError>,
) {
    let message = M::decode(body, version).unwrap();
    assert_eq!(to_hex(&encode(&message).unwrap()), to_hex(framed), "{}", M::NAME);
}

fn check_metadata<M: Message>(version: i16, framed: &[u8], body: &[u8]) {
    let frame = stored::split_metadata(framed).unwrap();
    assert_eq!((Some(frame.id), frame.version, frame.body), (M::RECORD_ID, version, body));
    round_trip::<M>(version, body, framed, |message| stored::encode_metadata(message, version));
}

fn check_key<M: Message>(framed: &[u8], body: &[u8]) {
    assert_eq!(stored::split_key(framed), Ok((M::RECORD_ID.unwrap(), body)));
    round_trip::<M>(0, body, framed, stored::encode_key);
}

fn check_value<M: Message>(version: i16, framed: &[u8]) {
    let (found, body) = stored::split_value(framed).unwrap();
    assert_eq!(found, version);
    round_trip::<M>(version, body, framed, |message| stored::encode_value(message, version));
}

fn check_request<M: Message>(version: i16, framed: &[u8], body: &[u8]) {
    let request = frame::split_request(framed).unwrap();
    assert_eq!((Some(request.api_key.as_i16()), request.body), (M::API_KEY, body));
    round_trip::<M>(version, body, framed, |message| {
        let header = request.header;
        let (id, client_id) = (header.correlation_id, header.client_id);
        let whole = frame::encode_request(request.api_key, version, id, client_id, message)?;
        Ok(whole.into_bytes()?.slice(frame::SIZE_LEN..))
    });
}

fn check_response<M: Message>(version: i16, framed: &[u8], body: &[u8]) {
    let api_key = ApiKey::from_i16(M::API_KEY.unwrap()).unwrap();
    let (correlation_id, found) = frame::split_response(framed, api_key, version).unwrap();
    assert_eq!(found, body);
    round_trip::<M>(version, body, framed, |message| {
        let reply = frame::encode_reply(api_key, version, correlation_id, message)?.into_bytes()?;
        let whole = frame::encode_response(api_key, version, correlation_id, message)?;
        assert_eq!(frame::wrap(&reply)?, whole.into_bytes()?);
        Ok(reply)
    });
}

fn check_control_value<M: Message>(message: &str, value: &[u8]) {
    let kinds = [
        "ABORT",
        "COMMIT",
        "LEADER_CHANGE",
        "SNAPSHOT_HEADER",
        "SNAPSHOT_FOOTER",
        "KRAFT_VERSION",
        "KRAFT_VOTERS",
    ];
    let kind = kinds.iter().position(|kind| *kind == message).unwrap() as i16;
    let [a, b] = kind.to_be_bytes();
    let record = ControlRecord::read(Some(&[0, 0, a, b]), Some(value)).unwrap();
    assert_eq!((record.key(), record.value()), ([0, 0, a, b], value.to_vec()));
    match record {
        ControlRecord::Abort { coordinator_epoch }
        | ControlRecord::Commit { coordinator_epoch } => {
            assert_eq!(coordinator_epoch, 5);
            check_value::<EndTxnMarker>(0, value);
        }
        ControlRecord::Unknown { .. } => panic!("{message} is not known"),
        _ => {
            let version = i16::from_be_bytes([value[0], value[1]]);
            round_trip::<M>(version, value, value, |message| encode_to_bytes(message, version));
        }
    }
}

#[test]
fn frames_are_kafkas_byte_for_byte() {
    let text = include_str!("../../tests/golden/messages/framing.tsv");
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let (family, message) = (fields[0], fields[1]);
        let version: i16 = fields[2].parse().unwrap();
        let (framed, body) = (from_hex(fields[4]), from_hex(fields[5].trim_matches('-')));
        match (family, message) {
            (_, "TopicRecord") => check_metadata::<TopicRecord>(version, &framed, &body),
            (_, "NoOpRecord") => check_metadata::<NoOpRecord>(version, &framed, &body),
            (_, "RegisterBrokerRecord") => {
                check_metadata::<RegisterBrokerRecord>(version, &framed, &body);
            }
            (_, "OffsetCommitKey") => check_key::<OffsetCommitKey>(&framed, &body),
            (_, "GroupMetadataKey") => check_key::<GroupMetadataKey>(&framed, &body),
            (_, "ConsumerGroupMetadataKey") => {
                check_key::<ConsumerGroupMetadataKey>(&framed, &body);
            }
            (_, "ShareSnapshotKey") => check_key::<ShareSnapshotKey>(&framed, &body),
            (_, "TransactionLogKey") => check_key::<TransactionLogKey>(&framed, &body),
            (_, "OffsetCommitValue") => check_value::<OffsetCommitValue>(version, &framed),
            (_, "GroupMetadataValue") => check_value::<GroupMetadataValue>(version, &framed),
            (_, "ConsumerGroupMetadataValue") => {
                check_value::<ConsumerGroupMetadataValue>(version, &framed);
            }
            (_, "ShareSnapshotValue") => check_value::<ShareSnapshotValue>(version, &framed),
            (_, "TransactionLogValue") => check_value::<TransactionLogValue>(version, &framed),
            (_, "ConsumerProtocolSubscription") => {
                check_value::<ConsumerProtocolSubscription>(version, &framed);
            }
            (_, "ConsumerProtocolAssignment") => {
                check_value::<ConsumerProtocolAssignment>(version, &framed);
            }
            (_, "DefaultPrincipalData") => check_value::<DefaultPrincipalData>(version, &framed),
            ("control record key", _) => {
                let record = ControlRecord::read(Some(&framed), Some(&[0; 6])).unwrap();
                assert_eq!(record.key().as_slice(), framed);
            }
            ("control record value", "LEADER_CHANGE") => {
                check_control_value::<LeaderChangeMessage>(message, &framed);
            }
            ("control record value", "SNAPSHOT_HEADER") => {
                check_control_value::<SnapshotHeaderRecord>(message, &framed);
            }
            ("control record value", "SNAPSHOT_FOOTER") => {
                check_control_value::<SnapshotFooterRecord>(message, &framed);
            }
            ("control record value", "KRAFT_VERSION") => {
                check_control_value::<KRaftVersionRecord>(message, &framed);
            }
            ("control record value", _) => check_control_value::<VotersRecord>(message, &framed),
            (_, "ApiVersionsRequest") => {
                check_request::<ApiVersionsRequest>(version, &framed, &body);
            }
            (_, "ApiVersionsResponse") => {
                check_response::<ApiVersionsResponse>(version, &framed, &body);
            }
            (_, "MetadataRequest") => check_request::<MetadataRequest>(version, &framed, &body),
            (_, "MetadataResponse") => check_response::<MetadataResponse>(version, &framed, &body),
            other => panic!("no check for {other:?}"),
        }
    }
}
