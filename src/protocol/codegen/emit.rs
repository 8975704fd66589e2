//! Owned structs: the types, their defaults, and how they are written.
//!
//! Generated names: `v` is the version, `w` the writer, `k` the module `crate::wire`.

use super::model::{Field, Kind, Message, Range, Struct, Type};
use super::names;

/// The code of a message's owned structs and of its `Message` implementation.
pub fn message(message: &Message) -> Result<String, String> {
    let mut out = String::from("use crate::wire as k;\n");
    for s in &message.structs {
        out.push_str(&owned(message, s)?);
    }
    out.push_str(&implementation(message)?);
    Ok(out)
}

pub fn versions(message: &Message) -> Result<Range, String> {
    message.versions.ok_or_else(|| format!("{} has no versions", message.name))
}

/// What the type of a field is called, owned.
pub fn owned_type(field: &Field) -> String {
    let ty = value_type(&field.ty);
    if field.nullable.is_some() || field.ty == Type::Records { format!("Option<{ty}>") } else { ty }
}

fn value_type(ty: &Type) -> String {
    match ty {
        Type::String => "String".into(),
        Type::Bytes => "k::Bytes".into(),
        Type::Records => "k::Records".into(),
        Type::Struct(name) => name.clone(),
        Type::Array(inner) => format!("Vec<{}>", value_type(inner)),
        other => number_type(other).into(),
    }
}

/// The Rust type of a number, the same in owned structs and views.
pub fn number_type(ty: &Type) -> &'static str {
    match ty {
        Type::Int8 => "i8",
        Type::Int16 => "i16",
        Type::Uint16 => "u16",
        Type::Int32 => "i32",
        Type::Uint32 => "u32",
        Type::Int64 => "i64",
        Type::Float64 => "f64",
        Type::Bool => "bool",
        _ => "k::TopicId",
    }
}

fn owned(message: &Message, s: &Struct) -> Result<String, String> {
    let mut out = String::new();
    if s.name == message.name {
        let Range { min, max } = versions(message)?;
        let what = match (message.kind, message.api_key, message.id) {
            (Kind::Request | Kind::Response, Some(key), _) => format!(" of api key {key}"),
            (_, _, Some(id)) => format!(" with id {id}"),
            _ => String::new(),
        };
        out.push_str(&format!("/// `{}`{what}, versions {min} to {max}.\n", s.name));
    }
    let copy = if message.is_plain(&s.name) { ", Copy" } else { "" };
    let natural = s.fields.iter().all(is_natural);
    let default = if natural { ", Default" } else { "" };
    out.push_str(&format!("#[derive(Clone, Debug, PartialEq{copy}{default})]\n"));
    out.push_str(&format!("pub struct {} {{\n", s.name));
    for field in &s.fields {
        out.push_str(&format!("pub {}: {},\n", names::field(&field.name), owned_type(field)));
    }
    out.push_str("}\n");
    if !natural {
        out.push_str(&default_implementation(s));
    }
    out.push_str(&encode(message, s)?);
    Ok(out)
}

/// Whether Rust's default is Kafka's.
fn is_natural(field: &Field) -> bool {
    match field.default.as_deref() {
        None => field.nullable.is_none() || field.ty == Type::Records,
        Some(default) => default == "null",
    }
}

fn default_implementation(s: &Struct) -> String {
    let mut out = format!("impl Default for {} {{\nfn default() -> Self {{\nSelf {{\n", s.name);
    for field in &s.fields {
        out.push_str(&format!("{}: {},\n", names::field(&field.name), default_value(field)));
    }
    out.push_str("}\n}\n}\n");
    out
}

/// Kafka's default of a field, as an expression that fits owned structs and views.
pub fn default_value(field: &Field) -> String {
    match (field.default.as_deref(), field.nullable) {
        (Some("null"), _) => "None".into(),
        (Some(value), Some(_)) => format!("Some({value})"),
        (Some(value), None) => value.into(),
        (None, Some(_)) if field.ty != Type::Records => "Some(Default::default())".into(),
        (None, _) => "Default::default()".into(),
    }
}

fn encode(message: &Message, s: &Struct) -> Result<String, String> {
    let all = versions(message)?;
    let mut out = format!(
        "impl k::Encode for {} {{\nfn write(&self, w: &mut k::Writer) -> Result<(), k::EncodeError> {{\nlet v = w.version();\n",
        s.name
    );
    for field in s.fields.iter().filter(|field| field.tag.is_none()) {
        let present = field.versions.condition(all);
        let write = write_value(message, field)?;
        let refuse = refusal(s, field);
        match (present, refuse) {
            (None, _) => out.push_str(&format!("{write}\n")),
            (Some(condition), None) => {
                out.push_str(&format!("if {condition} {{ {write} }}\n"));
            }
            (Some(condition), Some(refuse)) => {
                out.push_str(&format!("if {condition} {{ {write} }} else {refuse}\n"));
            }
        }
    }
    out.push_str(&encode_tags(message, s)?);
    out.push_str("let _ = v;\nOk(())\n}\n}\n");
    Ok(out)
}

fn encode_tags(message: &Message, s: &Struct) -> Result<String, String> {
    let all = versions(message)?;
    let Some(flexible) = message.flexible.and_then(|range| range.overlap(all)) else {
        return Ok(String::new());
    };
    let mut tagged: Vec<&Field> = s.fields.iter().filter(|field| field.tag.is_some()).collect();
    tagged.sort_by_key(|field| field.tag);
    let mut out = String::new();
    for field in &tagged {
        let refuse = refusal(s, field);
        if let (Some(condition), Some(refuse)) = (field.versions.condition(all), refuse) {
            out.push_str(&format!("if !({condition}) {{ {refuse} }}\n"));
        }
    }
    if tagged.is_empty() {
        out.push_str("w.no_tags();\n");
        return Ok(out);
    }
    let body = encode_tagged(message, &tagged, all)?;
    match flexible.condition(all) {
        None => out.push_str(&body),
        Some(condition) => out.push_str(&format!("if {condition} {{\n{body}}}\n")),
    }
    Ok(out)
}

fn encode_tagged(message: &Message, tagged: &[&Field], all: Range) -> Result<String, String> {
    let mut out = String::from("let tags = w.begin_tags();\n");
    for field in tagged {
        if message.has_records(&field.ty) {
            return Err(format!("{}: records in a tagged field", field.name));
        }
        let mut condition = differs(field);
        if let Some(present) = field.versions.condition(all) {
            condition = format!("{present} && {condition}");
        }
        out.push_str(&format!(
            "if {condition} {{\nlet tag = w.begin_tag(tags, {});\n{}\nw.end_tag(tag);\n}}\n",
            field.tag.unwrap_or_default(),
            write_value(message, field)?
        ));
    }
    Ok(out)
}

/// What happens when a field does not exist in a version: nothing, or an error if it is set.
fn refusal(s: &Struct, field: &Field) -> Option<String> {
    (!field.ignorable).then(|| {
        format!(
            "if {} {{ return Err(w.unsupported(\"{}.{}\")); }}",
            differs(field),
            s.name,
            field.name
        )
    })
}

/// Whether a field has another value than its default.
fn differs(field: &Field) -> String {
    let x = format!("self.{}", names::field(&field.name));
    match (&field.ty, field.nullable, field.default.as_deref()) {
        (Type::Records, ..) | (_, Some(_), Some("null")) => format!("{x}.is_some()"),
        (Type::String | Type::Bytes | Type::Array(_), Some(_), _) => {
            format!("{x}.as_ref().is_none_or(|x| !x.is_empty())")
        }
        (Type::Struct(name), Some(_), _) => format!("{x} != Some({name}::default())"),
        (Type::String | Type::Bytes | Type::Array(_), None, _) => format!("!{x}.is_empty()"),
        (Type::Struct(name), None, _) => format!("{x} != {name}::default()"),
        (Type::Bool, None, None) => x,
        (Type::Bool, None, Some(_)) => format!("!{x}"),
        (Type::Uuid, ..) => format!("{x} != k::TopicId::ZERO"),
        (Type::Float64, None, None) => format!("{x} != 0.0"),
        (_, _, default) => format!("{x} != {}", default.unwrap_or("0")),
    }
}

/// The statement that writes a field; whether null may be written is decided by version.
fn write_value(message: &Message, field: &Field) -> Result<String, String> {
    let x = format!("self.{}", names::field(&field.name));
    let may_be_null = nullable_condition(message, field)?;
    let tagged = if field.tag.is_some() { "tagged_" } else { "" };
    Ok(match (&field.ty, &may_be_null) {
        (Type::String, None) if field.inflexible => format!("w.plain_string(Some(&{x}), false)?;"),
        (Type::String, Some(null)) if field.inflexible => {
            format!("w.plain_string({x}.as_deref(), {null})?;")
        }
        (Type::String, None) => format!("w.string(&{x})?;"),
        (Type::String, Some(null)) => format!("w.opt_string({x}.as_deref(), {null})?;"),
        (Type::Bytes, None) => format!("w.bytes(&{x})?;"),
        (Type::Bytes, Some(null)) => format!("w.opt_bytes({x}.as_ref(), {null})?;"),
        (Type::Records, null) => {
            format!("w.records({x}.as_ref(), {})?;", null.as_deref().unwrap_or("false"))
        }
        (Type::Array(_), None) => format!("w.array(&{x})?;"),
        (Type::Array(_), Some(null)) => format!("w.opt_array({x}.as_deref(), {null})?;"),
        (Type::Struct(_), None) => format!("k::Encode::write(&{x}, w)?;"),
        (Type::Struct(_), Some(null)) => {
            format!("w.{tagged}opt_struct({x}.as_ref(), {null})?;")
        }
        (Type::Int16, None) if field.name == "error_code" => format!("w.error_code({x});"),
        (_, None) => format!("k::Encode::write(&{x}, w)?;"),
        (ty, Some(_)) => return Err(format!("{}: a nullable {ty:?}", field.name)),
    })
}

/// When null is lawful, as an expression; `None` for a field that is never nullable.
pub fn nullable_condition(message: &Message, field: &Field) -> Result<Option<String>, String> {
    let all = versions(message)?;
    // Outside the field's versions the question does not arise.
    let scope = field.versions.overlap(all).unwrap_or(all);
    Ok(field.nullable.map(|range| match range.condition(scope) {
        None => "true".into(),
        Some(_) => range.condition(all).unwrap_or_else(|| "true".into()),
    }))
}

/// The field of answers that tells clients for how long they are muted.
const THROTTLE: &str = "throttle_time_ms";

fn implementation(message: &Message) -> Result<String, String> {
    let Range { min, max } = versions(message)?;
    let option = |number: Option<i16>| match number {
        Some(number) => format!("Some({number})"),
        None => "None".into(),
    };
    let api_key = match message.kind {
        Kind::Request | Kind::Response => message.api_key,
        _ => None,
    };
    let flexible = match message.flexible {
        None => "false".into(),
        Some(range) => {
            range.condition(Range { min: i16::MIN, max: i16::MAX }).unwrap_or_else(|| "true".into())
        }
    };
    let throttled =
        message.structs.first().is_some_and(|own| own.fields.iter().any(|f| f.name == THROTTLE));
    let throttle = if throttled && message.kind == Kind::Response {
        format!("fn set_throttle_time_ms(&mut self, ms: i32) {{ self.{THROTTLE} = ms; }}\n")
    } else {
        String::new()
    };
    let view = if message.is_plain(&message.name) { "" } else { "Ref" };
    Ok(format!(
        "impl k::Message for {name} {{
const NAME: &'static str = \"{name}\";
const API_KEY: Option<i16> = {api_key};
const RECORD_ID: Option<i16> = {id};
const MIN_VERSION: i16 = {min};
const MAX_VERSION: i16 = {max};
fn flexible(v: i16) -> bool {{ let _ = v; {flexible} }}
fn decode(input: &[u8], version: i16) -> Result<Self, k::DecodeError> {{
Ok({name}{view}::decode(input, version)?.to_owned())
}}
{throttle}}}
",
        name = message.name,
        api_key = option(api_key),
        id = option(message.id),
    ))
}
