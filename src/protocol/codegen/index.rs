//! The list of modules, one per message, and the names that they export.

use super::model::Spec;
use super::names;

/// The code of `messages`.
pub fn messages(spec: &Spec) -> String {
    let mut out = String::new();
    for message in &spec.messages {
        let module = names::snake(&message.name);
        let name = &message.name;
        out.push_str(&format!(
            "/// The structs of [`{name}`].
pub mod {module} {{
include!(concat!(env!(\"OUT_DIR\"), \"/{module}.rs\"));
#[cfg(test)]
include!(concat!(env!(\"OUT_DIR\"), \"/{module}_json.rs\"));
}}
pub use {module}::{{{name}, {name}Ref}};
"
        ));
    }
    out
}
