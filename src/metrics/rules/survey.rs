//! What a rule file makes of the beans that there can be: every template of the catalogue with tags
//! that real ones could have, and the beans of a dump.
//!
//! Of each template there are several examples that differ in one tag each, so that what a rule
//! leaves out of its labels shows.

use std::collections::BTreeMap;

use super::config::{Generation, Kind, RuleSet};
use super::dump::{self, DumpBean};
use super::evaluate::{Buffers, Outcome, Seen, Subject, push_head};
use super::names::without_reserved_suffix;
use crate::catalog::rows_of_beans;
use crate::object_name::{ObjectName, push_tag_value};
use crate::row::{AttributeInfo, BeanRow};
use crate::value::{Value, ValueType};

/// Longest name of a topic; a client says what it likes, within reason.
const LONGEST_TOPIC: usize = 249;

/// A bean as rules could meet it.
#[derive(Debug, Clone)]
pub(crate) struct Example {
    /// `None` for a bean of a dump.
    pub(crate) row: Option<&'static BeanRow>,
    pub(crate) name: ObjectName,
    pub(crate) leaves: Vec<ExampleLeaf>,
}

/// One number or text of it.
#[derive(Debug, Clone)]
pub(crate) struct ExampleLeaf {
    pub(crate) extra: Vec<(String, String)>,
    pub(crate) path: Vec<String>,
    pub(crate) attribute: String,
    pub(crate) name: String,
    /// Values that it could have.
    pub(crate) values: Vec<Value>,
}

/// What the rules made of one value of one attribute.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) example: usize,
    pub(crate) leaf: usize,
    pub(crate) value: usize,
    /// The rule that decided, counted from 0.
    pub(crate) rule: Option<usize>,
    pub(crate) outcome: Outcome,
}

/// A family of series that a rule file makes of one attribute of one template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    /// The catalogue's template, or the object name of a bean of a dump.
    pub template: String,
    /// The attribute; of composite values the innermost key.
    pub attribute: String,
    /// The rule that decides, counted from 1.
    pub rule: usize,
    /// The name of the samples.
    pub name: String,
    /// Label names in order; a value where it is the same for every bean of the template.
    pub labels: Vec<(String, Option<String>)>,
    /// Whether the samples are those of a counter.
    pub counter: bool,
}

impl Example {
    /// The text that rules see, with the first value.
    pub(crate) fn text(&self, leaf: &ExampleLeaf, value: &Value) -> String {
        let properties: Vec<_> = self.properties(leaf);
        text(self.name.domain(), &properties, leaf, value)
    }

    pub(crate) fn properties<'a>(&'a self, leaf: &'a ExampleLeaf) -> Vec<(&'a str, &'a str)> {
        let extra = leaf.extra.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        self.name.properties().chain(extra).collect()
    }
}

/// `DOMAIN<K=V, K=V><PATH>ATTR: VALUE`.
pub(crate) fn text(
    domain: &str,
    properties: &[(&str, &str)],
    leaf: &ExampleLeaf,
    value: &Value,
) -> String {
    let (path, attribute) = (leaf.path.as_slice(), leaf.name.as_str());
    let mut out = String::new();
    push_head(&mut out, &Subject { domain, properties, path, attribute, description: "" });
    out.push_str(attribute);
    out.push_str(": ");
    value.write_java(&mut out);
    out
}

/// The examples of the whole catalogue.
pub(crate) fn examples() -> Vec<Example> {
    let mut all = Vec::new();
    for row in rows_of_beans() {
        let tags = row.tags().count();
        // The first differs in no tag.
        for varied in std::iter::once(None).chain((0..tags).map(Some)) {
            all.extend(example(row, varied, false));
        }
    }
    all
}

/// The examples with the longest names that clients could choose.
pub(crate) fn long_examples() -> Vec<Example> {
    rows_of_beans().filter_map(|row| example(row, None, true)).collect()
}

/// The beans of a dump.
///
/// # Errors
/// When it is refused.
pub(crate) fn examples_of_dump(text: &str) -> Result<Vec<Example>, dump::DumpError> {
    Ok(dump::read(text)?.into_iter().map(of_dump).collect())
}

fn of_dump(bean: DumpBean) -> Example {
    let leaves = bean.leaves.into_iter().map(|leaf| ExampleLeaf {
        extra: leaf.extra,
        path: leaf.path,
        attribute: leaf.attribute,
        name: leaf.name,
        values: vec![leaf.value],
    });
    Example { row: None, leaves: leaves.collect(), name: bean.name }
}

fn example(row: &'static BeanRow, varied: Option<usize>, long: bool) -> Option<Example> {
    let mut text = String::new();
    let mut rest = row.template;
    let mut at = 0;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let (tag, after) = after.split_once('}')?;
        let [plain, other] = values_of_tag(tag);
        let value = if varied == Some(at) { other } else { plain };
        let free = matches!(tag, "topic" | "user" | "client-id" | "clientId");
        let value = if long && free { &"a".repeat(LONGEST_TOPIC) } else { value };
        push_tag_value(&mut text, value);
        rest = after;
        at += 1;
    }
    text.push_str(rest);
    let leaves = row.attributes().iter().map(leaf).collect();
    Some(Example { row: Some(row), name: ObjectName::parse(&text).ok()?, leaves })
}

fn leaf(info: &AttributeInfo) -> ExampleLeaf {
    ExampleLeaf {
        extra: Vec::new(),
        path: Vec::new(),
        attribute: info.name.to_owned(),
        name: info.name.to_owned(),
        values: values(info),
    }
}

/// Two values that a tag could have. Numbers have two digits, since a capture may lose one.
fn values_of_tag(tag: &str) -> [&str; 2] {
    match tag {
        "topic" => ["orders", "payments"],
        "partition" | "networkProcessor" | "processor" | "threadNum" | "fetcher-id" => ["12", "27"],
        "request" => ["Produce", "FetchConsumer"],
        "version" => ["12", "17"],
        "error" => ["NONE", "UNKNOWN_TOPIC_OR_PARTITION"],
        "listener" => ["PLAINTEXT", "INTERNAL"],
        "logDirectory" | "dir" => ["/data", "/disk2"],
        "delayedOperation" => ["Fetch", "Produce"],
        "protocol" => ["consumer", "classic"],
        "brokerHost" => ["host-a", "host-b"],
        "brokerPort" => ["9092", "9093"],
        "broker" | "id" | "BrokerId" | "broker-id" => ["10", "21"],
        "clientSoftwareVersion" => ["4.3.1", "2.8.0"],
        "clientSoftwareName" => ["apache-kafka-java", "librdkafka"],
        "client-id" | "clientId" => ["consumer-app-1", "producer-2"],
        "user" => ["alice", "bob"],
        other => [other, "another"],
    }
}

/// Values that an attribute could have.
fn values(info: &AttributeInfo) -> Vec<Value> {
    match info.value_type {
        ValueType::Double => vec![Value::Double(0.0), Value::Double(1.5), Value::Double(f64::NAN)],
        ValueType::Text => vec![Value::text("leader"), Value::text("4.3.1"), Value::text("")],
        ValueType::TimeUnit => vec![Value::text("SECONDS")],
        _ => vec![Value::Long(0), Value::Long(1), Value::Long(-1)],
    }
}

impl RuleSet {
    /// Runs the rules over every example, on each of an attribute's values where they decide.
    pub(crate) fn survey(&self, examples: &[Example]) -> Vec<Trace> {
        let mut traces = Vec::new();
        let mut buffers = Buffers::default();
        for (example, bean) in examples.iter().enumerate() {
            if !self.selects(&bean.name) {
                continue;
            }
            for (leaf, seen) in bean.leaves.iter().enumerate() {
                if self.skips(&bean.name, &seen.attribute) {
                    continue;
                }
                let properties = bean.properties(seen);
                let subject = Subject {
                    domain: bean.name.domain(),
                    properties: &properties,
                    path: &seen.path,
                    attribute: &seen.name,
                    description: "",
                };
                let numbers = seen.values.iter().all(|value| value.as_f64().is_some());
                let whatever = self.evaluate(&subject, Seen::Number, &mut buffers);
                if let (true, Ok(found)) = (numbers, whatever) {
                    let (rule, outcome) = (found.rule, found.outcome);
                    traces.push(Trace { example, leaf, value: 0, rule, outcome });
                    continue;
                }
                for (at, value) in seen.values.iter().enumerate() {
                    // A value that is known leaves nothing to depend on.
                    let found = self.evaluate(&subject, Seen::Value(value), &mut buffers);
                    let Ok(found) = found else { continue };
                    let (rule, outcome) = (found.rule, found.outcome);
                    traces.push(Trace { example, leaf, value: at, rule, outcome });
                }
            }
        }
        traces
    }

    /// What it makes of the beans of the catalogue, in order of names.
    pub fn lineage(&self) -> Vec<Lineage> {
        let examples = examples();
        lineage(&examples, &self.survey(&examples), self.generation)
    }

    /// The line of a rule, counted from 1, where it can be told.
    pub fn line_of(&self, rule: usize) -> Option<usize> {
        self.written.lines.get(rule.checked_sub(1)?).copied()
    }
}

/// What traces come to on a page of that generation, in order of names.
pub(crate) fn lineage(
    examples: &[Example],
    traces: &[Trace],
    generation: Generation,
) -> Vec<Lineage> {
    type Labels = Vec<(String, Option<String>)>;
    type Key = (String, String, String, usize, Vec<String>);
    // A family whose samples are not all counters' is untyped in 1.x.
    let mut counters: BTreeMap<String, bool> = BTreeMap::new();
    for trace in traces {
        if let Outcome::Made(made) = &trace.outcome {
            let all = counters.entry(family(&made.name, generation)).or_insert(true);
            *all &= made.kind == Kind::Counter;
        }
    }
    let mut found: BTreeMap<Key, (Labels, bool)> = BTreeMap::new();
    for trace in traces {
        let (Outcome::Made(made), Some(rule)) = (&trace.outcome, trace.rule) else { continue };
        let Some(example) = examples.get(trace.example) else { continue };
        let Some(leaf) = example.leaves.get(trace.leaf) else { continue };
        let value = leaf.values.get(trace.value).and_then(Value::as_f64);
        if made.constant.is_none() && value.is_none() {
            continue;
        }
        let counter = counters.get(&family(&made.name, generation)).copied().unwrap_or(false);
        let name = sample_name(&made.name, counter, generation);
        let template = example.row.map_or(example.name.as_str(), |row| row.template);
        let mut labels = made.labels.clone();
        labels.sort();
        let names = labels.iter().map(|(name, _)| name.clone()).collect();
        let key = (name, template.to_owned(), leaf.name.clone(), rule + 1, names);
        let known = labels.iter().map(|(name, value)| (name.clone(), Some(value.clone())));
        let (have, _) = found.entry(key).or_insert_with(|| (known.collect(), counter));
        for ((_, have), (_, value)) in have.iter_mut().zip(&labels) {
            if have.as_ref().is_some_and(|have| have != value) {
                *have = None;
            }
        }
    }
    let told = |((name, template, attribute, rule, _), (labels, counter))| Lineage {
        template,
        attribute,
        rule,
        name,
        labels,
        counter,
    };
    found.into_iter().map(told).collect()
}

fn family(name: &str, generation: Generation) -> String {
    sample_name(name, false, generation)
}

/// What a sample of that name is called on the page.
pub(crate) fn sample_name(name: &str, counter: bool, generation: Generation) -> String {
    match generation {
        Generation::V0 => name.to_owned(),
        Generation::V1 if counter => format!("{}_total", without_reserved_suffix(name)),
        Generation::V1 => without_reserved_suffix(name).to_owned(),
    }
}
