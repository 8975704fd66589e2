//! Names of Kafka as names of Rust.

/// `ProduceRequest` -> `produce_request`, `KRaftVersionRecord` -> `k_raft_version_record`.
pub fn snake(name: &str) -> String {
    let mut out = String::new();
    for (index, letter) in name.chars().enumerate() {
        if letter.is_ascii_uppercase() && index > 0 {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

/// A field's name, with an underscore behind words that Rust keeps for itself.
pub fn field(name: &str) -> String {
    match name {
        "match" | "type" => format!("{name}_"),
        _ => name.to_owned(),
    }
}
