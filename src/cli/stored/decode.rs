//! Bytes of a message by its table, as JSON (`*JsonConverter` in apache/kafka): all fields of the
//! version in order; tagged fields where they were written.

use pharos_base::TopicId;
use uuid::Uuid;

use super::table::{Field, Message, Type, Versions};
use super::{Json, Unreadable};

/// The content of `body`, a message without what precedes it.
///
/// # Errors
/// [`Unreadable`].
pub fn message(message: &'static Message, version: i16, body: &[u8]) -> Result<Json, Unreadable> {
    if !message.versions.contains(&version) {
        return Err(Unreadable::Version { name: message.name, version });
    }
    let within = |versions: &Versions| versions.contains(&version);
    let flexible = message.flexible.as_ref().is_some_and(within);
    let mut input = Input { message, version, flexible, bytes: body };
    input.fields(message.name)
}

struct Input<'a> {
    message: &'static Message,
    version: i16,
    flexible: bool,
    bytes: &'a [u8],
}

impl<'a> Input<'a> {
    fn fields(&mut self, of: &str) -> Result<Json, Unreadable> {
        let message = self.message;
        let all = message.structs.get(of).map_or(&[][..], Vec::as_slice);
        let version = self.version;
        let present = all.iter().filter(|field| field.versions.contains(&version));
        let mut values: Vec<(&Field, Option<Json>)> = Vec::new();
        for field in present {
            let value = match field.tag {
                None => Some(self.value(field)?),
                Some(_) => None,
            };
            values.push((field, value));
        }
        if self.flexible {
            self.tagged(&mut values)?;
        }
        let told = values.into_iter();
        let told = told.filter_map(|(field, value)| Some((field.json_name.clone(), value?)));
        Ok(Json::Object(told.collect()))
    }

    fn tagged(&mut self, values: &mut [(&Field, Option<Json>)]) -> Result<(), Unreadable> {
        let count = self.uvarint("tags")?;
        for _ in 0..count {
            let tag = self.uvarint("a tag")?;
            let len = self.uvarint("the length of a tag")?;
            let bytes = self.take(len as usize, "a tagged field")?;
            let known = values.iter_mut().find(|(field, _)| field.tag == Some(tag));
            let Some((field, value)) = known else { continue };
            let mut input = Input { bytes, ..*self };
            let null = field.nullable.as_ref().is_some_and(|within| within.contains(&self.version));
            // A struct that may be null has a number in front here, 0 for null.
            *value = Some(match field.ty {
                Type::Struct(_) if null && input.uvarint(field.name)? == 0 => Json::Null,
                _ => input.typed(
                    &field.ty,
                    null && !matches!(field.ty, Type::Struct(_)),
                    field.name,
                )?,
            });
        }
        Ok(())
    }

    fn value(&mut self, field: &Field) -> Result<Json, Unreadable> {
        let null = field.nullable.as_ref().is_some_and(|within| within.contains(&self.version));
        self.typed(&field.ty, null, field.name)
    }

    fn typed(&mut self, ty: &Type, null: bool, at: &'static str) -> Result<Json, Unreadable> {
        Ok(match ty {
            Type::Signed(len) => Json::Plain(self.signed(*len, at)?.to_string()),
            Type::Unsigned(len) => {
                let number = self.take(*len, at)?.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
                Json::Plain(number.to_string())
            }
            Type::Float => {
                let bits = self.signed(8, at)?.cast_unsigned();
                Json::Plain(format!("{:?}", f64::from_bits(bits)))
            }
            Type::Bool => Json::Plain((self.signed(1, at)? != 0).to_string()),
            Type::Uuid => {
                let bits = self.take(16, at)?.iter().fold(0, |bits, b| bits << 8 | u128::from(*b));
                Json::Text(TopicId::from(Uuid::from_u128(bits)).to_string())
            }
            Type::Text => match self.sized(2, null, at)? {
                Some(bytes) => Json::Text(String::from_utf8_lossy(bytes).into_owned()),
                None => Json::Null,
            },
            Type::Bytes => match self.sized(4, null, at)? {
                Some(bytes) => Json::Bytes(bytes.to_vec()),
                None => Json::Null,
            },
            Type::List(inner) => return self.list(inner, null, at),
            Type::Struct(name) => {
                if null && self.signed(1, at)? < 0 {
                    return Ok(Json::Null);
                }
                return self.fields(name);
            }
        })
    }

    fn list(&mut self, of: &Type, null: bool, at: &'static str) -> Result<Json, Unreadable> {
        let Some(count) = self.length(4, null, at)? else { return Ok(Json::Null) };
        // Every element takes a byte at least: a count beyond that is not believed.
        if count > self.bytes.len() {
            return Err(self.malformed(at));
        }
        (0..count).map(|_| self.typed(of, false, at)).collect::<Result<_, _>>().map(Json::List)
    }

    fn sized(
        &mut self,
        width: usize,
        null: bool,
        at: &'static str,
    ) -> Result<Option<&'a [u8]>, Unreadable> {
        let Some(len) = self.length(width, null, at)? else { return Ok(None) };
        self.take(len, at).map(Some)
    }

    /// A length: one more than it is as a varint, or a number of `width` bytes, -1 for null.
    fn length(
        &mut self,
        width: usize,
        null: bool,
        at: &'static str,
    ) -> Result<Option<usize>, Unreadable> {
        let len =
            if self.flexible { i64::from(self.uvarint(at)?) - 1 } else { self.signed(width, at)? };
        match usize::try_from(len) {
            Ok(len) => Ok(Some(len)),
            Err(_) if null && len == -1 => Ok(None),
            Err(_) => Err(self.malformed(at)),
        }
    }

    fn signed(&mut self, len: usize, at: &'static str) -> Result<i64, Unreadable> {
        let bytes = self.take(len, at)?;
        let first = bytes.first().map_or(0, |byte| if *byte & 0x80 == 0 { 0 } else { -1 });
        Ok(bytes.iter().fold(first, |number, byte| number << 8 | i64::from(*byte)))
    }

    fn uvarint(&mut self, at: &'static str) -> Result<u32, Unreadable> {
        let mut number = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.take(1, at)?.first().copied().unwrap_or_default();
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(number).map_err(|_| self.malformed(at));
            }
        }
        Err(self.malformed(at))
    }

    fn take(&mut self, len: usize, at: &'static str) -> Result<&'a [u8], Unreadable> {
        let (taken, rest) = self.bytes.split_at_checked(len).ok_or_else(|| self.malformed(at))?;
        self.bytes = rest;
        Ok(taken)
    }

    fn malformed(&self, field: &'static str) -> Unreadable {
        Unreadable::Malformed { name: self.message.name, field }
    }
}
