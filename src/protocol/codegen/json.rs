//! Code for tests only: what a message holds as JSON, to compare with what Kafka wrote.

use super::model::{Message, Spec};
use super::names;

/// The JSON of a message's structs: the fields that its version has.
pub fn message(message: &Message) -> String {
    let Some(all) = message.versions else { return String::new() };
    let mut out = String::new();
    for s in &message.structs {
        out.push_str(&format!(
            "impl crate::golden::ToJson for {} {{\nfn json(&self, v: i16) -> serde_json::Value {{\nlet {}map = serde_json::Map::new();\n",
            s.name,
            if s.fields.is_empty() { "" } else { "mut " }
        ));
        for field in &s.fields {
            let condition = field.versions.condition(all).unwrap_or_else(|| "true".into());
            out.push_str(&format!(
                "if {condition} {{ map.insert(\"{}\".into(), self.{}.json(v)); }}\n",
                field.name,
                names::field(&field.name)
            ));
        }
        out.push_str("let _ = v;\nserde_json::Value::Object(map)\n}\n}\n");
    }
    out
}

/// One function that finds the type of a message by its name.
pub fn dispatch(spec: &Spec) -> String {
    let mut out = String::from(
        "fn check_named(row: &Row<'_>) -> Result<(), String> {\nmatch row.message {\n",
    );
    for message in &spec.messages {
        let name = &message.name;
        out.push_str(&format!("\"{name}\" => check::<crate::messages::{name}>(row),\n"));
    }
    out.push_str("other => Err(format!(\"no message {other}\")),\n}\n}\n");
    out
}
