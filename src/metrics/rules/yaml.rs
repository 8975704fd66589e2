//! YAML as rule files use it: the last of two equal keys counts, merge keys work, and `yes` and
//! `no` are booleans where a boolean is asked for (YAML 1.1).

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use crate::value::push_double;

/// Largest rule file, in bytes.
pub const MAX_FILE: usize = 4 * 1024 * 1024;

/// Most brackets left open at a time, or dashes that begin a line: the parser takes long over
/// many before it refuses them. Brackets of patterns count too, hence not fewer.
const MAX_OPEN: usize = 1000;

/// A YAML node.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Yaml {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Yaml>),
    Map(Vec<(Yaml, Yaml)>),
}

/// Reads one document.
pub(crate) fn read(text: &str) -> Result<Yaml, String> {
    if text.len() > MAX_FILE {
        return Err(format!("is larger than {MAX_FILE} bytes"));
    }
    if nests_deeply(text) {
        return Err(format!("opens more than {MAX_OPEN} brackets"));
    }
    let text = with_plain_booleans(text);
    serde_yaml::from_str(&text).map_err(|error| {
        let line = error.to_string().replace(['\n', '\r'], " ");
        format!("is not YAML: {line}")
    })
}

impl Yaml {
    /// The last value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().rev().find(|(have, _)| have.is(key)).map(|(_, value)| value)
    }

    pub(crate) fn entries(&self) -> &[(Self, Self)] {
        match self {
            Self::Map(entries) => entries,
            _ => &[],
        }
    }

    fn is(&self, text: &str) -> bool {
        matches!(self, Self::Text(have) if have == text)
    }

    /// What a person calls it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }

    /// Java's `toString` of a scalar.
    pub(crate) fn scalar(&self) -> Option<String> {
        Some(match self {
            Self::Null => "null".into(),
            Self::Bool(flag) => flag.to_string(),
            Self::Int(number) => number.to_string(),
            Self::Float(number) => {
                let mut text = String::new();
                push_double(&mut text, *number);
                text
            }
            Self::Text(text) => text.clone(),
            Self::List(_) | Self::Map(_) => return None,
        })
    }
}

fn nests_deeply(text: &str) -> bool {
    let mut open = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        if open > MAX_OPEN {
            return true;
        }
    }
    text.lines().any(|line| {
        let marks = line.bytes().take_while(|byte| matches!(byte, b'-' | b'?' | b' '));
        marks.filter(|byte| *byte != b' ').count() > MAX_OPEN
    })
}

/// Keys whose value must be a boolean.
const BOOLEAN_KEYS: [&str; 7] = [
    "lowercaseOutputName",
    "lowercaseOutputLabelNames",
    "cache",
    "attrNameSnakeCase",
    "ssl",
    "mutualTLS",
    "inferCounterTypeFromName",
];

/// Rewrites `cache: yes` to `cache: true`, and so on: the reader knows YAML 1.2 only and cannot
/// tell a plain `yes` from a quoted one afterwards.
fn with_plain_booleans(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let mut line = line.to_owned();
        for key in BOOLEAN_KEYS {
            let Some(at) = line.find(&format!("{key}:")) else { continue };
            let value_at = at + key.len() + 1;
            let rest = line.get(value_at..).unwrap_or_default();
            let word_at = value_at + (rest.len() - rest.trim_start_matches([' ', '\t']).len());
            let word: String = line
                .get(word_at..)
                .unwrap_or_default()
                .chars()
                .take_while(char::is_ascii_alphabetic)
                .collect();
            let ends = line.get(word_at + word.len()..).unwrap_or_default();
            let plain = word_at > value_at
                && (ends.is_empty() || ends.starts_with([' ', '\t', '\r', '\n', ',', '}', '#']));
            let flag = match word.to_ascii_lowercase().as_str() {
                "yes" | "on" => "true",
                "no" | "off" => "false",
                _ => continue,
            };
            if plain {
                line.replace_range(word_at..word_at + word.len(), flag);
            }
        }
        out.push_str(&line);
    }
    out
}

impl<'de> Deserialize<'de> for Yaml {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Yaml;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML node without tags")
    }

    fn visit_unit<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Null)
    }

    fn visit_none<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Yaml, D::Error> {
        Yaml::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Yaml, E> {
        Ok(Yaml::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Yaml, E> {
        Ok(Yaml::Int(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "numbers beyond i64 are rounded")]
    fn visit_u64<E>(self, value: u64) -> Result<Yaml, E> {
        Ok(i64::try_from(value).map_or(Yaml::Float(value as f64), Yaml::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Yaml, E> {
        Ok(Yaml::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Yaml, E> {
        Ok(Yaml::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Yaml, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = seq.next_element()? {
            list.push(node);
        }
        Ok(Yaml::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Yaml, A::Error> {
        let mut own = Vec::new();
        let mut merged = Vec::new();
        while let Some((key, value)) = map.next_entry::<Yaml, Yaml>()? {
            if !key.is("<<") {
                own.push((key, value));
                continue;
            }
            match value {
                Yaml::Map(entries) => merged.extend(entries),
                // Of several merged maps the first counts: later entries win here.
                Yaml::List(maps) => {
                    merged.extend(maps.iter().rev().flat_map(|map| map.entries().to_vec()));
                }
                _ => {}
            }
        }
        merged.extend(own);
        Ok(Yaml::Map(merged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_key_counts_and_merges_give_way() {
        let yaml = read("a: 1\na: 2\nb: &b {x: 1, y: 2}\nc:\n  <<: *b\n  x: 3\n").unwrap();
        assert_eq!(yaml.get("a"), Some(&Yaml::Int(2)));
        let c = yaml.get("c").unwrap();
        assert_eq!((c.get("x"), c.get("y")), (Some(&Yaml::Int(3)), Some(&Yaml::Int(2))));
    }

    #[test]
    fn plain_words_are_booleans_where_one_is_asked_for() {
        let yaml =
            read("cache: yes # why\nlowercaseOutputName: off\nname: yes\nssl: 'yes'").unwrap();
        assert_eq!(yaml.get("cache"), Some(&Yaml::Bool(true)));
        assert_eq!(yaml.get("lowercaseOutputName"), Some(&Yaml::Bool(false)));
        assert_eq!(yaml.get("name"), Some(&Yaml::Text("yes".into())));
        assert_eq!(yaml.get("ssl"), Some(&Yaml::Text("yes".into())));
    }

    #[test]
    fn hostile_files_are_refused() {
        let nested = "[".repeat(100_000);
        assert!(read(&nested).is_err());
        assert!(read(&"- ".repeat(100_000)).is_err());
        assert!(read(&"[".repeat(900)).is_err());
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for i in 1..12 {
            let last = format!("*a{}", i - 1);
            bomb.push_str(&format!("a{i}: &a{i} [{}]\n", [last.as_str(); 9].join(",")));
        }
        assert!(read(&bomb).is_err());
        assert!(read("- 'x\n").unwrap_err().lines().count() == 1);
    }
}
