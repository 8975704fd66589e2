//! Bean dumps as `/beans` of the admin listener answers them: object names, each with attributes of a
//! type and a value. What that leaves out, the order of attributes and their descriptions, the
//! catalogue knows.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::dump::{DumpBean, DumpError, Leaf, MAX_LEAVES, scalar};
use crate::catalog::rows_of_beans;
use crate::object_name::ObjectName;
use crate::row::{AttributeInfo, BeanRow};
use crate::value::Value;

/// The words of `/beans` for types and what Java calls them.
const TYPES: [(&str, &str); 7] = [
    ("byte", "java.lang.Byte"),
    ("short", "java.lang.Short"),
    ("int", "java.lang.Integer"),
    ("long", "java.lang.Long"),
    ("double", "java.lang.Double"),
    ("string", "java.lang.String"),
    ("timeunit", "java.util.concurrent.TimeUnit"),
];

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    beans: BTreeMap<String, BTreeMap<String, Attribute<'a>>>,
}

#[derive(Deserialize)]
struct Attribute<'a> {
    #[serde(rename = "type")]
    word: String,
    /// As it is written: a number that is read twice is not the same number.
    #[serde(borrow)]
    value: &'a RawValue,
    #[serde(default)]
    meaning: String,
}

/// Reads an answer; beans in order of their names.
pub(super) fn read(text: &str) -> Result<Vec<DumpBean>, DumpError> {
    let answer: Answer<'_> = serde_json::from_str(text).map_err(|error| {
        DumpError::Page(format!("it is not the JSON that /beans answers: {error}"))
    })?;
    let templates = Templates::new();
    let beans = answer.beans.into_iter();
    beans.map(|(name, attributes)| bean(&templates, &name, attributes)).collect()
}

fn bean(
    templates: &Templates,
    name: &str,
    attributes: BTreeMap<String, Attribute<'_>>,
) -> Result<DumpBean, DumpError> {
    let fail = |why: String| DumpError::Page(why);
    let parsed = ObjectName::parse(name).map_err(|error| fail(error.to_string()))?;
    if attributes.len() > MAX_LEAVES {
        return Err(fail(format!("{name}: more than {MAX_LEAVES} attributes")));
    }
    let known = templates.attributes(&parsed, &attributes);
    let mut leaves = Vec::new();
    for (attribute, it) in attributes {
        let value = value(&it).map_err(|why| fail(format!("{name}: {attribute}: {why}")))?;
        let Some(value) = value else { continue };
        let at = known.iter().position(|info| info.name == attribute);
        let info = at.and_then(|at| known.get(at));
        let leaf = Leaf {
            extra: Vec::new(),
            path: Vec::new(),
            name: attribute.clone(),
            attribute,
            description: info.map_or(it.meaning, |info| info.description.to_owned()),
            value,
        };
        leaves.push((at.unwrap_or(usize::MAX), leaf));
    }
    leaves.sort_by_key(|(at, _)| *at);
    Ok(DumpBean { name: parsed, leaves: leaves.into_iter().map(|(_, leaf)| leaf).collect() })
}

/// A value as the text of its type; `None` for one that makes no sample.
fn value(attribute: &Attribute<'_>) -> Result<Option<Value>, String> {
    let raw = attribute.value.get();
    let text = match raw.chars().next() {
        Some('n') => return Ok(None),
        Some('t' | 'f') => return Ok(Some(Value::Bool(raw == "true"))),
        Some('"') => serde_json::from_str(raw).map_err(|error| format!("value: {error}"))?,
        Some('{' | '[') => return Err("value: expected a number or a text".to_owned()),
        _ => raw.to_owned(),
    };
    let class = TYPES.iter().find(|(word, _)| *word == attribute.word);
    let (_, class) = class.ok_or_else(|| format!("the type {:?} is unknown", attribute.word))?;
    scalar(class, &text)
}

/// The rows of the catalogue, by domain and keys.
struct Templates(HashMap<String, Vec<(ObjectName, &'static BeanRow)>>);

impl Templates {
    fn new() -> Self {
        let mut found: HashMap<_, Vec<_>> = HashMap::new();
        for row in rows_of_beans() {
            if let Ok(name) = ObjectName::parse(row.template) {
                found.entry(keys(&name)).or_default().push((name, row));
            }
        }
        Self(found)
    }

    /// The attributes of the row that the bean is of, in their order; empty for a bean of no row.
    fn attributes(
        &self,
        name: &ObjectName,
        given: &BTreeMap<String, Attribute<'_>>,
    ) -> Vec<AttributeInfo> {
        let fits = |template: &ObjectName| {
            let mut pairs = template.properties().zip(name.properties());
            pairs.all(|((_, have), (_, value))| have.contains('{') || have == value)
        };
        let rows = self.0.get(&keys(name)).into_iter().flatten();
        let mut rows = rows.filter(|(template, _)| fits(template)).map(|(_, row)| row.attributes());
        let holds = |known: &Vec<AttributeInfo>| {
            given.keys().all(|attribute| known.iter().any(|info| info.name == attribute))
        };
        rows.find(holds).unwrap_or_default()
    }
}

/// `DOMAIN:KEY,KEY`.
fn keys(name: &ObjectName) -> String {
    let keys: Vec<_> = name.properties().map(|(key, _)| key).collect();
    format!("{}:{}", name.domain(), keys.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Generation, eval};

    const RULES: &str = "rules:\n- pattern: '.*'\n";

    fn made(rules: &str, dump: &str) -> Result<String, String> {
        let made = eval(rules, "f.yml", dump, Generation::V1);
        made.map(|it| it.text).map_err(|error| error.to_string())
    }

    #[test]
    fn the_page_of_beans_and_a_table_of_them_are_the_same_dump() {
        let page = r#" {"beans":{"kafka.log:type=Log,name=Size,topic=\"a:b\",partition=0":
            {"Value":{"type":"long","value":9007199254740993,"unit":"bytes","meaning":"m"}},
            "a.b:type=C":{"d":{"type":"double","value":0.30000000000000004,"meaning":"why"},
            "n":{"type":"double","value":"NaN","meaning":""},"i":{"type":"double","value":"-Infinity"},
            "s":{"type":"string","value":"x\ty"},"z":{"type":"long","value":null}}}}"#;
        let table = "kafka.log:type=Log,name=Size,topic=\"a:b\",partition=0\tValue\tjava.lang.Long\t\
            9007199254740993\tfalse\t-\na.b:type=C\td\tjava.lang.Double\t0.30000000000000004\tfalse\twhy\n\
            a.b:type=C\tn\tjava.lang.Double\tNaN\na.b:type=C\ti\tjava.lang.Double\t-Infinity\n\
            a.b:type=C\ts\tjava.lang.String\tx\\ty\n";
        for rules in [
            RULES,
            "rules: [{pattern: 'a.b<(.+)><>(.+): (.+)', name: a, labels: {b: '$2', c: '$3'}, value: '1'}]\n",
        ] {
            let text = made(rules, page).unwrap();
            assert_eq!(text, made(rules, table).unwrap());
            assert!(text.contains("0.30000000000000004"), "{text}");
        }
    }

    #[test]
    fn attributes_stand_in_the_order_of_the_catalogue() {
        let of = |name: &str| format!("\"{name}\":{{\"type\":\"double\",\"value\":1.5}}");
        let all = ["Mean", "Count", "99thPercentile", "Max", "Min"].map(of).join(",");
        let name = "kafka.network:type=RequestMetrics,name=TotalTimeMs,request=Produce";
        let page = format!("{{\"beans\":{{\"{name}\":{{{all}}}}}}}").replacen("1.5", "2.5", 1);
        let beans = read(&page.replace("\"double\",\"value\":1.5", "\"double\",\"value\":1"));
        let beans = beans.unwrap();
        let names: Vec<_> = beans[0].leaves.iter().map(|leaf| leaf.name.as_str()).collect();
        assert_eq!(names, ["Count", "Min", "Max", "Mean", "99thPercentile"]);
        let described = beans[0].leaves.iter().all(|leaf| leaf.description.starts_with("Attr"));
        assert!(described);
    }

    #[test]
    fn what_is_no_page_of_beans_is_refused_in_one_sentence() {
        let bean = |attribute: &str| format!("{{\"beans\":{{\"a:b=c\":{{\"d\":{attribute}}}}}}}");
        for (text, why) in [
            ("{".to_owned(), "it is not the JSON that /beans answers: EOF"),
            ("{\"beans\": 5}".to_owned(), "it is not the JSON that /beans answers: invalid type"),
            ("{\"message\": \"no\"}".to_owned(), "it is not the JSON that /beans answers: missing"),
            ("{\"beans\": {\"x\": {}}}".to_owned(), "object name \"x\" has no domain"),
            (bean("{\"type\": \"long\"}"), "it is not the JSON that /beans answers: missing field"),
            (bean("{\"type\": \"odd\", \"value\": 1}"), "a:b=c: d: the type \"odd\" is unknown"),
            (bean("{\"type\": \"long\", \"value\": \"x\"}"), "a:b=c: d: \"x\" is no java.lang.Lo"),
            (bean("{\"type\": \"long\", \"value\": []}"), "a:b=c: d: value: expected a number"),
        ] {
            let told = made(RULES, &text).unwrap_err();
            assert!(told.starts_with(&format!("the bean dump: {why}")), "{told}");
            assert_eq!(told.lines().count(), 1, "{told}");
        }
    }
}
