//! Tests against what Kafka 4.3.1 wrote: every version of every message, and the frames around.

use pharos_base::TopicId;
use serde_json::{Value, json};

use crate::wire::{Bytes, Message, Records, Writer};

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
    let longer = [bytes, &[0xff; 3][..]].concat();
    if M::decode(&longer, *version).as_ref() != Ok(&message) {
        return Err("bytes left over change the message".into());
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
