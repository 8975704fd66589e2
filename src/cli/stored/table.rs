//! The tables of the protocol's notation, read at run time:
//!
//! ```text
//! record|key|value NAME versions=R flexible=R [id=N]
//!   FIELD TYPE VERSIONS [nullable=R] [tag=N] [attribute]...
//! struct NAME VERSIONS
//! ```
//!
//! The same tables are read when the codec is generated, which refuses what is malformed; so what
//! is not understood here is left out.

use std::collections::HashMap;
use std::ops::RangeInclusive;

/// Versions from the first to the last.
pub type Versions = RangeInclusive<i16>;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Record,
    Key,
    Value,
}

/// A message.
#[derive(Debug)]
pub struct Message {
    pub kind: Kind,
    pub name: &'static str,
    pub id: Option<i16>,
    pub versions: Versions,
    pub flexible: Option<Versions>,
    /// Fields of the message, under its own name, and of the structs in it.
    pub structs: HashMap<&'static str, Vec<Field>>,
}

/// A field.
#[derive(Debug)]
pub struct Field {
    /// As the table has it.
    pub name: &'static str,
    /// As JSON has it.
    pub json_name: String,
    pub ty: Type,
    pub versions: Versions,
    pub nullable: Option<Versions>,
    pub tag: Option<u32>,
}

/// A type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// A number with sign, of so many bytes.
    Signed(usize),
    /// A number without sign.
    Unsigned(usize),
    Float,
    Bool,
    Uuid,
    Text,
    Bytes,
    Struct(&'static str),
    List(Box<Type>),
}

/// The messages of a table.
pub fn parse(text: &'static str) -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::new();
    // The struct whose fields stand at each level of indentation, from level 1 on.
    let mut open: Vec<&'static str> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let level = (line.len() - line.trim_start().len()) / 2;
        let tokens: Vec<&'static str> = line.trim_start().split(' ').collect();
        match (level, tokens.as_slice()) {
            (0, ["struct", name, _]) => open = vec![*name],
            (0, [kind, name, attributes @ ..]) => {
                messages.extend(message(kind, name, attributes));
                open = vec![*name];
            }
            _ => {
                let Some(field) = field(&tokens) else { continue };
                open.truncate(level);
                let (Some(owner), Some(message)) = (open.last(), messages.last_mut()) else {
                    continue;
                };
                let owner = *owner;
                open.extend(struct_name(&field.ty));
                message.structs.entry(owner).or_default().push(field);
            }
        }
    }
    messages
}

fn message(kind: &str, name: &'static str, attributes: &[&str]) -> Option<Message> {
    let kind = match kind {
        "record" => Kind::Record,
        "key" => Kind::Key,
        "value" => Kind::Value,
        _ => return None,
    };
    let of = |wanted: &str| {
        let pairs = attributes.iter().filter_map(|attribute| attribute.split_once('='));
        pairs.into_iter().find(|(name, _)| *name == wanted).map(|(_, value)| value)
    };
    Some(Message {
        kind,
        name,
        id: of("id").and_then(|id| id.parse().ok()),
        versions: versions(of("versions")?)?,
        flexible: of("flexible").and_then(versions),
        structs: HashMap::new(),
    })
}

fn field(tokens: &[&'static str]) -> Option<Field> {
    let [name, ty, of_versions, attributes @ ..] = tokens else { return None };
    let of = |wanted: &str| {
        let pairs = attributes.iter().filter_map(|attribute| attribute.split_once('='));
        pairs.into_iter().find(|(name, _)| *name == wanted).map(|(_, value)| value)
    };
    Some(Field {
        name,
        json_name: camel(name),
        ty: type_of(ty)?,
        versions: versions(of_versions)?,
        nullable: of("nullable").and_then(versions),
        tag: of("tag").and_then(|tag| tag.parse().ok()),
    })
}

fn type_of(name: &'static str) -> Option<Type> {
    if let Some(inner) = name.strip_prefix("[]") {
        return Some(Type::List(Box::new(type_of(inner)?)));
    }
    Some(match name {
        "int8" => Type::Signed(1),
        "int16" => Type::Signed(2),
        "int32" => Type::Signed(4),
        "int64" => Type::Signed(8),
        "uint16" => Type::Unsigned(2),
        "uint32" => Type::Unsigned(4),
        "float64" => Type::Float,
        "bool" => Type::Bool,
        "uuid" => Type::Uuid,
        "string" => Type::Text,
        "bytes" | "records" => Type::Bytes,
        name if name.starts_with(|c: char| c.is_ascii_uppercase()) => Type::Struct(name),
        _ => return None,
    })
}

fn struct_name(ty: &Type) -> Option<&'static str> {
    match ty {
        Type::Struct(name) => Some(name),
        Type::List(inner) => struct_name(inner),
        _ => None,
    }
}

fn versions(text: &str) -> Option<Versions> {
    let number = |text: &str| text.parse::<i16>().ok();
    match (text.strip_suffix('+'), text.split_once('-')) {
        (Some(first), _) => Some(number(first)?..=i16::MAX),
        (None, Some((first, last))) => Some(number(first)?..=number(last)?),
        (None, None) => number(text).map(|only| only..=only),
    }
}

/// `topic_id` as `topicId`.
fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |all, word| {
        let mut letters = word.chars();
        let head = letters.next().map(|letter| letter.to_ascii_uppercase());
        all + &head.into_iter().chain(letters).collect::<String>()
    })
}

/// `NoOpRecord` as `NO_OP_RECORD`.
pub fn constant_name(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(letter.to_ascii_uppercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(camel("topic_id"), "topicId");
        assert_eq!(camel("offset"), "offset");
        assert_eq!(constant_name("NoOpRecord"), "NO_OP_RECORD");
        assert_eq!(constant_name("TopicRecord"), "TOPIC_RECORD");
    }

    #[test]
    fn structs_stand_within_a_field_or_behind_the_message() {
        let table = parse(
            "record A versions=0-1 flexible=1+ id=7\n  list []B 0+ nullable=1+\n    number int32 0+\n  \
             other C 1 tag=0 tagged=1\nstruct C 0+\n  text string 0+\n",
        );
        let [message] = table.as_slice() else { panic!("{table:?}") };
        assert_eq!((message.id, message.versions.clone()), (Some(7), 0..=1));
        let of = |name| message.structs[name].iter().map(|f| f.name).collect::<Vec<_>>();
        assert_eq!(
            (of("A"), of("B"), of("C")),
            (vec!["list", "other"], vec!["number"], vec!["text"])
        );
        assert_eq!(message.structs["A"][1].tag, Some(0));
    }
}
