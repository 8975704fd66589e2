//! Bean dumps: tab separated, one attribute a line, as `pharos rules eval` reads them; what begins as
//! JSON does is an answer of `/beans` instead (`beans_page`).
//!
//! Columns: object name, attribute, Java type, value, volatile, description. Composite and
//! tabular values are JSON; they are taken apart into plain samples as jmx_exporter does.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::beans_page;
use super::names::java_double;
use crate::object_name::ObjectName;
use crate::row::YAMMER_DESCRIPTION;
use crate::value::Value;

/// Deepest nesting of composite values.
const MAX_DEPTH: u32 = 32;
/// Most samples of one bean.
pub(super) const MAX_LEAVES: usize = 100_000;
/// Largest dump, in bytes: what a node of many partitions has.
pub const MAX_DUMP: usize = 512 * 1024 * 1024;

/// A bean of a dump.
#[derive(Debug, Clone)]
pub(crate) struct DumpBean {
    pub(crate) name: ObjectName,
    pub(crate) leaves: Vec<Leaf>,
}

/// A plain value and where it was found.
#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    /// Index columns of tables.
    pub(crate) extra: Vec<(String, String)>,
    pub(crate) path: Vec<String>,
    /// The attribute of the bean, which exclusions name.
    pub(crate) attribute: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) value: Value,
}

/// Why a dump is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DumpError {
    /// Of a table.
    #[error("line {line} of the bean dump: {message}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// Of an answer of `/beans`.
    #[error("the bean dump: {0}")]
    Page(String),
}

/// Reads a dump; beans in order of their first line, or of their names.
pub(crate) fn read(text: &str) -> Result<Vec<DumpBean>, DumpError> {
    if text.trim_start().starts_with('{') {
        return beans_page::read(text);
    }
    let mut beans: indexmap::IndexMap<String, DumpBean> = indexmap::IndexMap::new();
    for (line, at) in text.lines().zip(1..) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let fail = |message: String| DumpError::Line { line: at, message };
        let columns: Vec<String> = line.split('\t').map(unescape).collect();
        let [name, attribute, class, value, rest @ ..] = columns.as_slice() else {
            let why = "expected at least 4 columns between tabs, or the JSON that /beans answers";
            return Err(fail(why.into()));
        };
        let description = match rest.get(1).map(String::as_str) {
            Some("-") => YAMMER_DESCRIPTION,
            Some(text) => text,
            None => "",
        };
        let bean = match beans.entry(name.clone()) {
            indexmap::map::Entry::Occupied(entry) => entry.into_mut(),
            indexmap::map::Entry::Vacant(entry) => {
                let name = ObjectName::parse(name).map_err(|error| fail(error.to_string()))?;
                entry.insert(DumpBean { name, leaves: Vec::new() })
            }
        };
        let raw = raw(class, value).map_err(fail)?;
        let mut walk = Walk { attribute, bean: &bean.name, leaves: &mut bean.leaves };
        walk.flatten(&raw, Vec::new(), Vec::new(), attribute, description, 0).map_err(fail)?;
    }
    Ok(beans.into_values().collect())
}

enum Raw {
    Plain(Value),
    Json(Json),
    /// Of no use: null, arrays, other objects, what cannot be read.
    Skipped,
}

fn raw(class: &str, value: &str) -> Result<Raw, String> {
    let json = || serde_json::from_str(value).map_err(|error| format!("value: {error}"));
    Ok(match class {
        "javax.management.openmbean.CompositeData"
        | "javax.management.openmbean.TabularData"
        | "java.util.Optional" => Raw::Json(json()?),
        _ => scalar(class, value)?.map_or(Raw::Skipped, Raw::Plain),
    })
}

/// A value of that Java class from its text; `None` when samples cannot be made of it.
pub(super) fn scalar(class: &str, text: &str) -> Result<Option<Value>, String> {
    let bad = || format!("{text:?} is no {class}");
    let short = class.rsplit('.').next().unwrap_or(class);
    Ok(Some(match short {
        "Byte" | "Short" | "Integer" | "Long" | "AtomicInteger" | "AtomicLong" => {
            Value::Long(text.parse().map_err(|_| bad())?)
        }
        "Double" => Value::Double(java_double(text).ok_or_else(bad)?),
        "Float" => {
            let value: f32 = match java_double(text) {
                Some(special) if !special.is_finite() => return Ok(Some(Value::Double(special))),
                _ => text.parse().map_err(|_| bad())?,
            };
            Value::Number { text: text.into(), value: f64::from(value) }
        }
        "BigDecimal" | "BigInteger" => {
            Value::Number { text: text.into(), value: java_double(text).ok_or_else(bad)? }
        }
        "Boolean" => Value::Bool(text.parse().map_err(|_| bad())?),
        "String" | "TimeUnit" => Value::text(text),
        #[expect(clippy::cast_precision_loss, reason = "times are below 2^53 milliseconds")]
        "Date" => Value::Double(text.parse::<i64>().map_err(|_| bad())? as f64 / 1000.0),
        _ if class.starts_with("enum:") => Value::text(text),
        _ => return Ok(None),
    }))
}

struct Walk<'a> {
    attribute: &'a str,
    bean: &'a ObjectName,
    leaves: &'a mut Vec<Leaf>,
}

impl Walk<'_> {
    fn flatten(
        &mut self,
        raw: &Raw,
        extra: Vec<(String, String)>,
        path: Vec<String>,
        name: &str,
        description: &str,
        depth: u32,
    ) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err("value: nested too deeply".into());
        }
        match raw {
            Raw::Skipped => Ok(()),
            Raw::Plain(value) => {
                if self.leaves.len() >= MAX_LEAVES {
                    return Err(format!("value: more than {MAX_LEAVES} samples"));
                }
                self.leaves.push(Leaf {
                    extra,
                    path,
                    attribute: self.attribute.to_owned(),
                    name: name.to_owned(),
                    description: description.to_owned(),
                    value: value.clone(),
                });
                Ok(())
            }
            Raw::Json(json) => self.json(json, extra, path, name, description, depth),
        }
    }

    fn json(
        &mut self,
        json: &Json,
        extra: Vec<(String, String)>,
        mut path: Vec<String>,
        name: &str,
        description: &str,
        depth: u32,
    ) -> Result<(), String> {
        let class = text(json, "t");
        match class.as_str() {
            "composite" => {
                path.push(name.to_owned());
                let description = text(json, "d");
                for item in list(json, "items") {
                    let raw = nested(item.get("v"))?;
                    let (extra, path) = (extra.clone(), path.clone());
                    self.flatten(&raw, extra, path, &text(item, "k"), &description, depth + 1)?;
                }
                Ok(())
            }
            "tabular" => self.table(json, &extra, &path, name, depth),
            "optional" => {
                let raw = nested(json.get("v"))?;
                self.flatten(&raw, extra, path, name, description, depth + 1)
            }
            _ => Ok(()),
        }
    }

    /// Each row: index columns become properties, the other columns samples in alphabetical
    /// order; a column called `value` adds nothing to the path.
    fn table(
        &mut self,
        json: &Json,
        extra: &[(String, String)],
        path: &[String],
        name: &str,
        depth: u32,
    ) -> Result<(), String> {
        let index: Vec<String> =
            list(json, "index").iter().filter_map(Json::as_str).map(str::to_owned).collect();
        let mut inner = path.to_vec();
        inner.push(name.to_owned());
        for row in list(json, "rows") {
            let items = list(row, "items");
            let column =
                |key: &str| items.iter().find(|item| text(item, "k") == key)?.get("v").cloned();
            let mut extra = extra.to_vec();
            for key in &index {
                if let Some(value) = column(key) {
                    self.index(&mut extra, key, &value);
                }
            }
            let columns: BTreeSet<String> = items
                .iter()
                .map(|item| text(item, "k"))
                .filter(|key| !index.contains(key))
                .collect();
            for key in columns {
                let raw = nested(column(&key).as_ref())?;
                let plain = key.eq_ignore_ascii_case("value");
                let path = if plain { path.to_vec() } else { inner.clone() };
                let name = if plain { name } else { &key };
                self.flatten(&raw, extra.clone(), path, name, &text(row, "d"), depth + 1)?;
            }
        }
        Ok(())
    }

    /// Appends an index column, or the fields of a composite one, under a key not used yet.
    fn index(&self, extra: &mut Vec<(String, String)>, key: &str, value: &Json) {
        let mut key = key.to_owned();
        let taken = |extra: &[(String, String)], key: &str| {
            self.bean.property(key).is_some() || extra.iter().any(|(have, _)| have == key)
        };
        while taken(extra, &key) {
            key.push('_');
        }
        if text(value, "t") == "composite" {
            let mut fields: Vec<_> = list(value, "items").iter().collect();
            fields.sort_by_key(|field| text(field, "k"));
            for field in fields {
                let inner = field.get("v").map(|v| text(v, "v")).unwrap_or_default();
                extra.push((format!("{key}_{}", text(field, "k")), inner));
            }
        } else if text(value, "t") != "null" {
            extra.push((key, text(value, "v")));
        }
    }
}

fn nested(json: Option<&Json>) -> Result<Raw, String> {
    let Some(json) = json else { return Ok(Raw::Skipped) };
    match text(json, "t").as_str() {
        "composite" | "tabular" | "optional" => Ok(Raw::Json(json.clone())),
        class => Ok(scalar(class, &text(json, "v"))?.map_or(Raw::Skipped, Raw::Plain)),
    }
}

fn text(json: &Json, key: &str) -> String {
    json.get(key).and_then(Json::as_str).unwrap_or_default().to_owned()
}

fn list<'a>(json: &'a Json, key: &str) -> &'a [Json] {
    json.get(key).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

fn unescape(column: &str) -> String {
    let mut out = String::with_capacity(column.len());
    let mut chars = column.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('t') => out.push('\t'),
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            c => out.push(c),
        }
    }
    out
}
