//! Reads one table of the notation:
//!
//! ```text
//! api KEY NAME listeners=broker,controller|none [cluster_action] [forwardable] [latest_version_unstable]
//! request|response|header|record|key|value NAME versions=R flexible=R [header=H@R,H@R] [id=N]
//!   FIELD TYPE VERSIONS [attribute]...
//! struct NAME VERSIONS
//! ```
//!
//! Tokens are separated by one space, two spaces of indentation are one level, `#` starts a
//! comment. A struct's fields follow one level deeper than the field that defines it, or a
//! `struct` line of the same message.

use super::model::{Api, Field, Kind, Message, Range, Spec, Struct, Type};

/// Adds what `text` says to `spec`.
pub fn parse(file: &str, text: &str, spec: &mut Spec) -> Result<(), String> {
    let mut state = State { open: Vec::new(), api_key: None };
    for (index, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        state.line(line, spec).map_err(|error| format!("{file}:{}: {error}", index + 1))?;
    }
    // What a field opened but a `struct` line defined stayed empty.
    for message in &mut spec.messages {
        let name = message.name.clone();
        message.structs.retain(|s| s.name == name || !s.fields.is_empty());
        // A field that no version has: `partition_max_bytes` of ShareFetch.
        let all = message.versions;
        for s in &mut message.structs {
            s.fields.retain(|f| all.is_none_or(|all| f.versions.overlap(all).is_some()));
        }
    }
    Ok(())
}

struct State {
    /// Index of the struct whose fields stand at each level of indentation, from level 1 on.
    open: Vec<usize>,
    api_key: Option<i16>,
}

impl State {
    fn line(&mut self, line: &str, spec: &mut Spec) -> Result<(), String> {
        let tokens: Vec<&str> = line.trim_start().split(' ').collect();
        let level = (line.len() - line.trim_start().len()) / 2;
        if level > 0 {
            return self.field(level, &tokens, spec);
        }
        match tokens.as_slice() {
            ["api", key, name, attributes @ ..] => {
                let api = api(key, name, attributes)?;
                self.api_key = Some(api.key);
                spec.apis.push(api);
            }
            ["struct", name, _versions] => {
                let message = spec.messages.last_mut().ok_or("a struct before any message")?;
                message.structs.push(Struct { name: (*name).into(), fields: Vec::new() });
                self.open = vec![message.structs.len() - 1];
            }
            [kind, name, attributes @ ..] => {
                spec.messages.push(message(kind, name, attributes, self.api_key)?);
                self.open = vec![0];
            }
            _ => return Err(format!("not understood: {line}")),
        }
        Ok(())
    }

    fn field(&mut self, level: usize, tokens: &[&str], spec: &mut Spec) -> Result<(), String> {
        let message = spec.messages.last_mut().ok_or("a field before any message")?;
        self.open.truncate(level);
        let owner = *self.open.get(level - 1).ok_or("a field too deep")?;
        let field = field(tokens)?;
        if let Some(name) = struct_name(&field.ty) {
            // Fields one level deeper define it; when a `struct` line does, none follow.
            message.structs.push(Struct { name: name.into(), fields: Vec::new() });
            self.open.push(message.structs.len() - 1);
        }
        message.structs.get_mut(owner).ok_or("no struct is open")?.fields.push(field);
        Ok(())
    }
}

fn struct_name(ty: &Type) -> Option<&str> {
    match ty {
        Type::Struct(name) => Some(name),
        Type::Array(inner) => struct_name(inner),
        _ => None,
    }
}

fn api(key: &str, name: &str, attributes: &[&str]) -> Result<Api, String> {
    let mut api = Api {
        key: number(key)?,
        name: name.into(),
        broker: false,
        controller: false,
        cluster_action: false,
        forwardable: false,
        latest_version_unstable: false,
    };
    for attribute in attributes {
        match *attribute {
            "listeners=broker" => api.broker = true,
            "listeners=controller" => api.controller = true,
            "listeners=broker,controller" => (api.broker, api.controller) = (true, true),
            "listeners=none" => {}
            "cluster_action" => api.cluster_action = true,
            "forwardable" => api.forwardable = true,
            "latest_version_unstable" => api.latest_version_unstable = true,
            other => return Err(format!("unknown attribute {other}")),
        }
    }
    Ok(api)
}

fn message(
    kind: &str,
    name: &str,
    attributes: &[&str],
    api_key: Option<i16>,
) -> Result<Message, String> {
    let kind = match kind {
        "request" => Kind::Request,
        "response" => Kind::Response,
        "header" => Kind::Header,
        "record" => Kind::Record,
        "key" => Kind::Key,
        "value" => Kind::Value,
        other => return Err(format!("unknown kind {other}")),
    };
    let mut message = Message {
        kind,
        name: name.into(),
        api_key,
        id: None,
        versions: None,
        flexible: None,
        headers: Vec::new(),
        structs: vec![Struct { name: name.into(), fields: Vec::new() }],
    };
    for attribute in attributes {
        match attribute.split_once('=') {
            Some(("versions", value)) => message.versions = range(value)?,
            Some(("flexible", value)) => message.flexible = range(value)?,
            Some(("id", value)) => message.id = Some(number(value)?),
            Some(("header", "none")) => {}
            Some(("header", value)) => message.headers = headers(value)?,
            _ => return Err(format!("unknown attribute {attribute}")),
        }
    }
    Ok(message)
}

fn headers(value: &str) -> Result<Vec<(i16, Range)>, String> {
    value
        .split(',')
        .map(|part| {
            let (version, of) = part.split_once('@').ok_or(format!("no header: {part}"))?;
            Ok((number(version)?, range(of)?.ok_or("no versions")?))
        })
        .collect()
}

fn field(tokens: &[&str]) -> Result<Field, String> {
    let [name, ty, versions, attributes @ ..] = tokens else {
        return Err("a field needs name, type and versions".into());
    };
    let mut field = Field {
        name: (*name).into(),
        ty: type_of(ty)?,
        versions: range(versions)?.ok_or("no versions")?,
        nullable: None,
        default: None,
        tag: None,
        ignorable: false,
        inflexible: false,
    };
    let mut tagged = None;
    for attribute in attributes {
        match attribute.split_once('=').unwrap_or((attribute, "")) {
            ("nullable", value) => field.nullable = range(value)?,
            ("default", value) => field.default = Some(value.into()),
            ("tag", value) => {
                field.tag = Some(value.parse().map_err(|_| format!("not a tag: {value}"))?);
            }
            ("tagged", value) => tagged = range(value)?,
            ("ignorable", "") => field.ignorable = true,
            ("inflexible", "") => field.inflexible = true,
            // Neither changes a byte.
            ("key", "") | ("entity", _) => {}
            _ => return Err(format!("unknown attribute {attribute}")),
        }
    }
    if field.tag.is_some() && tagged != Some(field.versions) {
        return Err("a tagged field is tagged in all its versions".into());
    }
    Ok(field)
}

fn type_of(name: &str) -> Result<Type, String> {
    if let Some(inner) = name.strip_prefix("[]") {
        return Ok(Type::Array(Box::new(type_of(inner)?)));
    }
    Ok(match name {
        "int8" => Type::Int8,
        "int16" => Type::Int16,
        "uint16" => Type::Uint16,
        "int32" => Type::Int32,
        "uint32" => Type::Uint32,
        "int64" => Type::Int64,
        "float64" => Type::Float64,
        "bool" => Type::Bool,
        "uuid" => Type::Uuid,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "records" => Type::Records,
        name if name.starts_with(|c: char| c.is_ascii_uppercase()) => Type::Struct(name.into()),
        other => return Err(format!("unknown type {other}")),
    })
}

fn range(text: &str) -> Result<Option<Range>, String> {
    if text == "none" {
        return Ok(None);
    }
    let (min, max) = match (text.strip_suffix('+'), text.split_once('-')) {
        (Some(min), _) => (number(min)?, i16::MAX),
        (None, Some((min, max))) => (number(min)?, number(max)?),
        (None, None) => (number(text)?, number(text)?),
    };
    Ok(Some(Range { min, max }))
}

fn number(text: &str) -> Result<i16, String> {
    text.parse().map_err(|_| format!("not a number: {text}"))
}
