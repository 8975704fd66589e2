//! Borrowed views: the types, how they are read, and how they become owned.
//!
//! A struct of numbers only is its own view. Generated names: `v` is the version, `r` the reader,
//! `t` the reader of one tagged field, `f_x` the field x.

use std::collections::BTreeSet;

use super::emit::{self, default_value, number_type, versions};
use super::model::{Field, Message, Struct, Type};
use super::names;

/// The code of a message's views.
pub fn message(message: &Message) -> Result<String, String> {
    let mut out = String::new();
    let needed = defaults_needed(message);
    for s in &message.structs {
        if message.is_plain(&s.name) {
            out.push_str(&plain(message, s)?);
        } else {
            out.push_str(&view(message, s, needed.contains(&s.name))?);
        }
    }
    out.push_str(&decode(message));
    Ok(out)
}

/// The views that stand in a struct by themselves: absent, they are made by default.
fn defaults_needed(message: &Message) -> BTreeSet<String> {
    let fields = message.structs.iter().flat_map(|s| &s.fields);
    fields
        .filter_map(|field| match &field.ty {
            Type::Struct(name) => Some(name.clone()),
            _ => None,
        })
        .collect()
}

fn view_type(message: &Message, field: &Field) -> String {
    let ty = value_type(message, &field.ty);
    if field.nullable.is_some() || field.ty == Type::Records { format!("Option<{ty}>") } else { ty }
}

fn value_type(message: &Message, ty: &Type) -> String {
    match ty {
        Type::String => "&'a str".into(),
        Type::Bytes | Type::Records => "&'a [u8]".into(),
        Type::Struct(name) if message.is_plain(name) => name.clone(),
        Type::Struct(name) => format!("{name}Ref<'a>"),
        Type::Array(inner) => format!("k::Array<'a, {}>", value_type(message, inner)),
        other => number_type(other).into(),
    }
}

fn plain(message: &Message, s: &Struct) -> Result<String, String> {
    let name = &s.name;
    Ok(format!(
        "/// [`{name}`] holds numbers only: it is its own view.
pub type {name}Ref = {name};
impl k::Element<'_> for {name} {{
type Owned = Self;
{}fn own(&self) -> Self {{ *self }}
}}
",
        read(message, s)?
    ))
}

fn view(message: &Message, s: &Struct, with_default: bool) -> Result<String, String> {
    let name = &s.name;
    let mut out = format!(
        "/// View of [`{name}`].\n#[derive(Clone, Copy, Debug)]\npub struct {name}Ref<'a> {{\n"
    );
    for field in &s.fields {
        let ty = view_type(message, field);
        out.push_str(&format!("pub {}: {ty},\n", names::field(&field.name)));
    }
    out.push_str("}\n");
    if with_default {
        out.push_str(&format!(
            "impl Default for {name}Ref<'_> {{\nfn default() -> Self {{\nSelf {{\n"
        ));
        for field in &s.fields {
            out.push_str(&format!("{}: {},\n", names::field(&field.name), default_value(field)));
        }
        out.push_str("}\n}\n}\n");
    }
    out.push_str(&format!(
        "impl<'a> k::Element<'a> for {name}Ref<'a> {{\ntype Owned = {name};\n{}fn own(&self) -> {name} {{\n{name} {{\n",
        read(message, s)?
    ));
    for field in &s.fields {
        out.push_str(&format!("{}: {},\n", names::field(&field.name), own(message, field)));
    }
    out.push_str("}\n}\n}\n");
    out.push_str(&format!(
        "impl {name}Ref<'_> {{\n/// A copy that borrows nothing.\npub fn to_owned(&self) -> {name} {{ k::Element::own(self) }}\n}}\n"
    ));
    Ok(out)
}

fn own(message: &Message, field: &Field) -> String {
    let x = format!("self.{}", names::field(&field.name));
    let null = field.nullable.is_some();
    match &field.ty {
        Type::Records => format!("{x}.map(k::Records::copy)"),
        Type::String if null => format!("{x}.map(str::to_owned)"),
        Type::String => format!("{x}.to_owned()"),
        Type::Bytes if null => format!("{x}.map(k::Bytes::copy_from_slice)"),
        Type::Bytes => format!("k::Bytes::copy_from_slice({x})"),
        Type::Array(_) if null => format!("{x}.map(|x| x.to_vec())"),
        Type::Array(_) => format!("{x}.to_vec()"),
        Type::Struct(name) if message.is_plain(name) => x,
        Type::Struct(_) if null => format!("{x}.map(|x| x.to_owned())"),
        Type::Struct(_) => format!("{x}.to_owned()"),
        _ => x,
    }
}

fn read(message: &Message, s: &Struct) -> Result<String, String> {
    let all = versions(message)?;
    let lifetime = if message.is_plain(&s.name) { "'_" } else { "'a" };
    let mut out = format!(
        "fn read(r: &mut k::Reader<{lifetime}>) -> Result<Self, k::DecodeError> {{\nlet v = r.version();\n"
    );
    for field in &s.fields {
        let name = &field.name;
        let value = read_value(message, field, "r")?;
        let default = default_value(field);
        let ty = view_type(message, field).replace("'a", "'_");
        match (field.tag, field.versions.condition(all)) {
            (Some(_), _) => out.push_str(&format!("let mut f_{name}: {ty} = {default};\n")),
            (None, None) => out.push_str(&format!("let f_{name} = {value};\n")),
            (None, Some(condition)) => out.push_str(&format!(
                "let f_{name}: {ty} = if {condition} {{ {value} }} else {{ {default} }};\n"
            )),
        }
    }
    out.push_str(&read_tags(message, s)?);
    out.push_str("let _ = v;\nOk(Self {\n");
    for field in &s.fields {
        out.push_str(&format!("{}: f_{},\n", names::field(&field.name), field.name));
    }
    out.push_str("})\n}\n");
    Ok(out)
}

fn read_tags(message: &Message, s: &Struct) -> Result<String, String> {
    let all = versions(message)?;
    let Some(flexible) = message.flexible.and_then(|range| range.overlap(all)) else {
        return Ok(String::new());
    };
    let tagged: Vec<&Field> = s.fields.iter().filter(|field| field.tag.is_some()).collect();
    if tagged.is_empty() {
        return Ok("r.skip_tags()?;\n".into());
    }
    let mut body =
        String::from("for _ in 0..r.tags()? {\nlet (tag, mut t) = r.tag()?;\nmatch tag {\n");
    for field in tagged {
        let guard = match field.versions.condition(all) {
            Some(condition) => format!(" if {condition}"),
            None => String::new(),
        };
        let tag = field.tag.unwrap_or_default();
        let value = read_value(message, field, "t")?;
        body.push_str(&format!("{tag}{guard} => f_{} = {value},\n", field.name));
    }
    body.push_str("_ => continue,\n}\nt.end(tag)?;\n}\n");
    Ok(match flexible.condition(all) {
        None => body,
        Some(condition) => format!("if {condition} {{\n{body}}}\n"),
    })
}

fn read_value(message: &Message, field: &Field, r: &str) -> Result<String, String> {
    let may_be_null = emit::nullable_condition(message, field)?;
    let tagged = if field.tag.is_some() { "tagged_" } else { "" };
    // A reader of a tagged field is a local, one of a struct's is a reference already.
    let reader = if r == "t" { "&mut t" } else { "r" };
    Ok(match (&field.ty, &may_be_null) {
        (Type::String, null) if field.inflexible => match null {
            None => return Err(format!("{}: inflexible but not nullable", field.name)),
            Some(null) => format!("{r}.plain_opt_string({null})?"),
        },
        (Type::String, None) => format!("{r}.string()?"),
        (Type::String, Some(null)) => format!("{r}.opt_string({null})?"),
        (Type::Bytes, None) => format!("{r}.bytes()?"),
        (Type::Bytes, Some(null)) => format!("{r}.opt_bytes({null})?"),
        (Type::Records, null) => {
            format!("{r}.opt_bytes({})?", null.as_deref().unwrap_or("false"))
        }
        (Type::Array(_), None) => format!("{r}.array()?"),
        (Type::Array(_), Some(null)) => format!("{r}.opt_array({null})?"),
        (Type::Struct(_), Some(null)) => format!("{r}.{tagged}opt_struct({null})?"),
        (_, None) => format!("k::Element::read({reader})?"),
        (ty, Some(_)) => return Err(format!("{}: a nullable {ty:?}", field.name)),
    })
}

fn decode(message: &Message) -> String {
    let name = &message.name;
    let (lifetime, input, view) = if message.is_plain(name) {
        ("", "&[u8]", name.clone())
    } else {
        ("<'a>", "&'a [u8]", format!("{name}Ref<'a>"))
    };
    format!(
        "impl{lifetime} {view} {{
/// Reads a message of this version from the front of `input`; what follows it is ignored.
pub fn decode(input: {input}, version: i16) -> Result<Self, k::DecodeError> {{
k::decode_prefix::<{name}, Self>(input, version).map(|(message, _)| message)
}}
/// Reads a message of this version from the front of `input`, and returns what follows it.
pub fn decode_prefix(input: {input}, version: i16) -> Result<(Self, {input}), k::DecodeError> {{
k::decode_prefix::<{name}, Self>(input, version)
}}
}}
"
    )
}
