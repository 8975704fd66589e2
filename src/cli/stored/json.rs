//! JSON whose fields keep their order, without blanks, as Kafka's tools print it.

use std::fmt;

/// A JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json {
    /// `null`.
    Null,
    /// A number or a truth value, in its text.
    Plain(String),
    /// Text.
    Text(String),
    /// Bytes, shown in base64.
    Bytes(Vec<u8>),
    /// A list.
    List(Vec<Json>),
    /// Fields in order.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// The object of these fields.
    pub fn object<const N: usize>(fields: [(&str, Self); N]) -> Self {
        Self::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// The field of that name, where this is an object that has it.
    pub fn field_mut(&mut self, name: &str) -> Option<&mut Self> {
        let Self::Object(fields) = self else { return None };
        fields.iter_mut().find(|(field, _)| field == name).map(|(_, value)| value)
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Plain(text) => f.write_str(text),
            Self::Text(text) => write!(f, "{}", serde_json::Value::from(text.as_str())),
            Self::Bytes(bytes) => write!(f, "\"{}\"", base64(bytes)),
            Self::List(values) => {
                f.write_str("[")?;
                for (index, value) in values.iter().enumerate() {
                    f.write_str(if index > 0 { "," } else { "" })?;
                    value.fmt(f)?;
                }
                f.write_str("]")
            }
            Self::Object(fields) => {
                f.write_str("{")?;
                for (index, (name, value)) in fields.iter().enumerate() {
                    f.write_str(if index > 0 { "," } else { "" })?;
                    write!(f, "{}:{value}", serde_json::Value::from(name.as_str()))?;
                }
                f.write_str("}")
            }
        }
    }
}

/// The ordinary alphabet, padded.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letter = |sextet: u32| {
        let index = (sextet & 63) as usize;
        LETTERS.get(index).map_or('=', |letter| char::from(*letter))
    };
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0, |group, byte| group << 8 | u32::from(*byte));
        let group = group << (8 * (3 - chunk.len()));
        for place in 0..4 {
            text.push(if place <= chunk.len() { letter(group >> (18 - 6 * place)) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_base64() {
        for (bytes, expected) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("\u{ff}~", "w79+")]
        {
            assert_eq!(base64(bytes.as_bytes()), expected);
        }
    }

    #[test]
    fn fields_keep_their_order() {
        let inner = Json::List(vec![Json::Null, Json::Plain("1".into()), Json::Text("a\"".into())]);
        let json = Json::object([("z", inner), ("a", Json::Bytes(vec![0]))]);
        assert_eq!(json.to_string(), r#"{"z":[null,1,"a\""],"a":"AA=="}"#);
    }
}
