//! Requests of every shape and version, made from the tables of messages, and answers read back by
//! them. It shares the reader of the tables with the generator of the codec, and nothing else: what
//! it writes and reads does not pass through the code that is tested.

use std::fs;

#[expect(dead_code, reason = "the generator of the codec uses the rest of it")]
#[path = "../../src/protocol/codegen/model.rs"]
mod model;
#[path = "../../src/protocol/codegen/parse.rs"]
mod parse;

use model::{Field, Kind, Message, Spec, Type};

use crate::tidy::root;

/// What the fields of a request hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Kafka's defaults.
    Default,
    /// Null where a version has it; zeros and nothing elsewhere.
    Null,
    /// One element in each array, something in each field.
    One,
    /// Each array holds the same element twice.
    Twice,
}

impl Shape {
    pub const ALL: [Self; 4] = [Self::Default, Self::Null, Self::One, Self::Twice];
}

/// A request body and where its counts and lengths stand.
#[derive(Debug, Default)]
pub struct Body {
    pub bytes: Vec<u8>,
    pub marks: Vec<Mark>,
}

/// A count or a length: its place and how it is written.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    pub at: usize,
    pub form: Form,
}

/// How a count or a length is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Int16,
    Int32,
    Varint,
}

/// The messages of every API.
pub struct Tables(Spec);

impl Tables {
    pub fn load() -> Self {
        let mut files: Vec<_> = fs::read_dir(root().join("src/protocol/spec"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file())
            .collect();
        files.sort();
        let mut spec = Spec::default();
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            parse::parse(&file.display().to_string(), &text, &mut spec).unwrap();
        }
        Self(spec)
    }

    /// The name of an API.
    pub fn name(&self, key: i16) -> &str {
        &self.0.apis.iter().find(|api| api.key == key).unwrap().name
    }

    fn message(&self, key: i16, kind: Kind) -> &Message {
        let of = |message: &&Message| message.api_key == Some(key) && message.kind == kind;
        self.0.messages.iter().find(of).unwrap()
    }

    /// A request frame without its size: header and body.
    pub fn frame(&self, key: i16, version: i16, correlation: i32, body: &[u8]) -> Vec<u8> {
        let mut frame = key.to_be_bytes().to_vec();
        frame.extend_from_slice(&version.to_be_bytes());
        frame.extend_from_slice(&correlation.to_be_bytes());
        frame.extend_from_slice(&[0, 2, b'i', b't']);
        if is_flexible(self.message(key, Kind::Request), version) {
            frame.push(0);
        }
        frame.extend_from_slice(body);
        frame
    }

    /// The body of a request; `records` stands in its fields of records.
    pub fn body(&self, key: i16, version: i16, shape: Shape, records: &[u8]) -> Body {
        let message = self.message(key, Kind::Request);
        let flexible = is_flexible(message, version);
        let mut writer = Maker { message, version, flexible, shape, records, out: Body::default() };
        writer.fields(&message.name);
        writer.out
    }

    /// Reads an answer to its last byte: the values of its fields called `error_code`.
    pub fn errors(&self, key: i16, version: i16, frame: &[u8]) -> Result<Vec<i16>, String> {
        let message = self.message(key, Kind::Response);
        let flexible = is_flexible(message, version);
        let mut reader = Reader { message, version, flexible, rest: frame, errors: Vec::new() };
        reader.take(4)?;
        // The header of an ApiVersions answer is never flexible.
        if flexible && key != 18 {
            reader.tags(None)?;
        }
        reader.fields(&message.name)?;
        if !reader.rest.is_empty() {
            return Err(format!("{} bytes behind the answer", reader.rest.len()));
        }
        Ok(reader.errors)
    }
}

fn is_flexible(message: &Message, version: i16) -> bool {
    message.flexible.is_some_and(|range| (range.min..=range.max).contains(&version))
}

fn has(field: &Field, version: i16) -> bool {
    (field.versions.min..=field.versions.max).contains(&version)
}

fn may_be_null(field: &Field, version: i16) -> bool {
    field.nullable.is_some_and(|range| (range.min..=range.max).contains(&version))
}

fn width(ty: &Type) -> usize {
    match ty {
        Type::Int8 | Type::Bool => 1,
        Type::Int16 | Type::Uint16 => 2,
        Type::Int32 | Type::Uint32 => 4,
        Type::Int64 | Type::Float64 => 8,
        Type::Uuid => 16,
        _ => 0,
    }
}

struct Maker<'a> {
    message: &'a Message,
    version: i16,
    flexible: bool,
    shape: Shape,
    records: &'a [u8],
    out: Body,
}

impl Maker<'_> {
    fn is_filled(&self) -> bool {
        matches!(self.shape, Shape::One | Shape::Twice)
    }

    fn fields(&mut self, name: &str) {
        let message = self.message;
        let fields = &message.find(name).unwrap().fields;
        let version = self.version;
        for field in fields.iter().filter(|field| field.tag.is_none() && has(field, version)) {
            self.field(field);
        }
        if !self.flexible {
            return;
        }
        let mut tagged: Vec<_> = fields
            .iter()
            .filter(|field| field.tag.is_some() && has(field, self.version) && self.is_filled())
            .collect();
        tagged.sort_by_key(|field| field.tag);
        self.varint(u32::try_from(tagged.len()).unwrap());
        for field in tagged {
            let outer = std::mem::take(&mut self.out);
            self.field(field);
            let inner = std::mem::replace(&mut self.out, outer);
            self.varint(field.tag.unwrap());
            self.varint(u32::try_from(inner.bytes.len()).unwrap());
            self.out.bytes.extend_from_slice(&inner.bytes);
        }
    }

    fn field(&mut self, field: &Field) {
        let default = field.default.as_deref();
        let null = match self.shape {
            Shape::Default => default == Some("null") || field.ty == Type::Records,
            Shape::Null => true,
            Shape::One | Shape::Twice => false,
        };
        let compact = self.flexible && !field.inflexible;
        if null && may_be_null(field, self.version) {
            return match field.ty {
                Type::Struct(_) => self.out.bytes.push(0xff),
                _ => self.length(field, compact, None),
            };
        }
        match &field.ty {
            Type::Struct(name) => {
                if may_be_null(field, self.version) {
                    self.out.bytes.push(1);
                }
                self.fields(name);
            }
            Type::Array(inner) => {
                let count = match self.shape {
                    Shape::Default | Shape::Null => 0,
                    Shape::One => 1,
                    Shape::Twice => 2,
                };
                self.length(field, compact, Some(count));
                for _ in 0..count {
                    self.value(inner, field, compact, None);
                }
            }
            ty => self.value(ty, field, compact, default),
        }
    }

    fn value(&mut self, ty: &Type, field: &Field, compact: bool, default: Option<&str>) {
        let filled = self.is_filled();
        match ty {
            Type::Struct(name) => self.fields(name),
            Type::String | Type::Bytes | Type::Records => {
                let bytes = match (filled, ty) {
                    (true, Type::Records) => self.records,
                    (true, _) => b"x",
                    (false, _) => b"",
                };
                let field = Field { ty: ty.clone(), ..field.clone() };
                self.length(&field, compact, Some(bytes.len()));
                self.out.bytes.extend_from_slice(bytes);
            }
            ty => {
                let number: i64 = match (filled, default) {
                    (true, _) if matches!(ty, Type::Int16 | Type::Bool) => 1,
                    (true, _) => 2,
                    (false, Some("true")) => 1,
                    (false, default) => default.and_then(|text| text.parse().ok()).unwrap_or(0),
                };
                let bytes = [[0; 8], number.to_be_bytes()].concat();
                self.out.bytes.extend_from_slice(&bytes[16 - width(ty)..]);
            }
        }
    }

    /// The length of a string, bytes or array; `None` is null.
    fn length(&mut self, field: &Field, compact: bool, len: Option<usize>) {
        let at = self.out.bytes.len();
        let form = match &field.ty {
            _ if compact => Form::Varint,
            Type::String => Form::Int16,
            _ => Form::Int32,
        };
        self.out.marks.push(Mark { at, form });
        let len = len.map_or(-1, |len| i32::try_from(len).unwrap());
        match form {
            Form::Varint => self.varint(u32::try_from(len + 1).unwrap()),
            Form::Int16 => {
                self.out.bytes.extend_from_slice(&i16::try_from(len).unwrap().to_be_bytes());
            }
            Form::Int32 => self.out.bytes.extend_from_slice(&len.to_be_bytes()),
        }
    }

    fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.out.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.bytes.push(value as u8);
    }
}

struct Reader<'a> {
    message: &'a Message,
    version: i16,
    flexible: bool,
    rest: &'a [u8],
    errors: Vec<i16>,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or("the answer ends too early")?;
        self.rest = rest;
        Ok(taken)
    }

    fn number(&mut self, len: usize) -> Result<i64, String> {
        let bytes = self.take(len)?;
        let sign = if bytes[0] & 0x80 == 0 { 0 } else { -1 };
        Ok(bytes.iter().fold(sign, |number, byte| number << 8 | i64::from(*byte)))
    }

    fn varint(&mut self) -> Result<u32, String> {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.take(1)?[0];
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
        }
    }

    fn fields(&mut self, name: &str) -> Result<(), String> {
        let message = self.message;
        let fields = &message.find(name).unwrap().fields;
        let version = self.version;
        for field in fields.iter().filter(|field| field.tag.is_none() && has(field, version)) {
            self.field(field).map_err(|error| format!("{}: {error}", field.name))?;
        }
        if self.flexible { self.tags(Some(fields)) } else { Ok(()) }
    }

    fn tags(&mut self, fields: Option<&[Field]>) -> Result<(), String> {
        for _ in 0..self.varint()? {
            let tag = self.varint()?;
            let len = self.varint()? as usize;
            let inner = self.take(len)?;
            let known = fields.and_then(|fields| {
                fields.iter().find(|field| field.tag == Some(tag) && has(field, self.version))
            });
            let field = known.ok_or(format!("tag {tag} is none of this version"))?;
            let after = std::mem::replace(&mut self.rest, inner);
            self.field(field)?;
            if !self.rest.is_empty() {
                return Err(format!("tag {tag} is too long"));
            }
            self.rest = after;
        }
        Ok(())
    }

    fn field(&mut self, field: &Field) -> Result<(), String> {
        let compact = self.flexible && !field.inflexible;
        match &field.ty {
            Type::Struct(name) => {
                if may_be_null(field, self.version) && self.number(1)? < 0 {
                    return Ok(());
                }
                self.fields(name)
            }
            Type::Array(inner) => {
                let count = self.length(field, &field.ty, compact)?;
                (0..count.unwrap_or(0)).try_for_each(|_| self.value(field, inner, compact))
            }
            ty => self.value(field, ty, compact),
        }
    }

    fn value(&mut self, field: &Field, ty: &Type, compact: bool) -> Result<(), String> {
        match ty {
            Type::Struct(name) => self.fields(name),
            Type::String | Type::Bytes | Type::Records => {
                let len = self.length(field, ty, compact)?;
                let bytes = self.take(len.unwrap_or(0))?;
                match ty {
                    Type::String => {
                        std::str::from_utf8(bytes).map(|_| ()).map_err(|e| e.to_string())
                    }
                    _ => Ok(()),
                }
            }
            Type::Int16 if field.name == "error_code" => {
                let code = self.number(2)?;
                self.errors.push(i16::try_from(code).unwrap());
                Ok(())
            }
            ty => self.take(width(ty)).map(|_| ()),
        }
    }

    fn length(&mut self, field: &Field, ty: &Type, compact: bool) -> Result<Option<usize>, String> {
        let len = match ty {
            _ if compact => i64::from(self.varint()?) - 1,
            Type::String => self.number(2)?,
            _ => self.number(4)?,
        };
        if len < 0 && !may_be_null(field, self.version) && *ty != Type::Records {
            return Err(format!("null in version {}", self.version));
        }
        Ok(usize::try_from(len).ok())
    }
}
