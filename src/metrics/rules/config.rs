//! A rule file of jmx_exporter: its rules and keys, their types and what is refused.

use std::time::Duration;

use super::http_server::{self, HttpServer};
use super::keys::{RULE_KEYS, TOP_KEYS, known_keys, remote, without_meaning};
use super::lines;
use super::names::java_double;
use super::pattern::Pattern;
use super::prefilter::Prefilter;
use super::selection::Selection;
use super::template::Template;
use super::yaml::{self, Yaml};
use crate::object_name::ObjectName;

/// Most rules in a file.
const MAX_RULES: usize = 10_000;

/// Whose names and texts a rule set makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// jmx_exporter 0.x, as 0.20.0 does.
    V0,
    /// jmx_exporter 1.x, as 1.0.1 does.
    V1,
}

/// The type that a rule gives its samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Unknown,
    Gauge,
    Counter,
    /// 0.x only, as is the next.
    Histogram,
    Summary,
    /// `type:` without a value: every sample of the rule is dropped.
    Missing,
}

/// Why a rule file is refused: one line that names the file, the place and the thing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {message}")]
pub struct RuleError {
    /// The file.
    pub file: String,
    /// The rest of the line.
    pub message: String,
}

/// A rule file, checked and compiled.
#[derive(Debug)]
pub struct RuleSet {
    pub(crate) generation: Generation,
    pub(crate) lowercase_name: bool,
    pub(crate) lowercase_labels: bool,
    start_delay: Duration,
    selection: Selection,
    pub(crate) rules: Vec<Rule>,
    pub(crate) prefilter: Prefilter,
    pub(crate) written: Written,
    warnings: Vec<String>,
    http_server: Option<HttpServer>,
}

/// What the file says, where checks have to tell of it.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// The line of each rule; empty when they cannot be told.
    pub(crate) lines: Vec<usize>,
    /// Keys that mean nothing, each with the number of its rule, or 0 for the top.
    pub(crate) unknown_keys: Vec<(usize, String)>,
    /// The lines of those at the top.
    pub(crate) top_lines: Vec<(String, usize)>,
    /// The object names of `includeObjectNames`.
    pub(crate) include: Vec<String>,
    /// The object names of `excludeObjectNameAttributes` and their attributes.
    pub(crate) without: Vec<(String, Vec<String>)>,
}

#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) pattern: Option<Pattern>,
    /// The pattern as written.
    pub(crate) pattern_text: String,
    pub(crate) name: Option<Template>,
    pub(crate) value: Option<Template>,
    pub(crate) factor: f64,
    /// In order of the raw label name; a value that is null spoils every sample of the rule.
    pub(crate) labels: Vec<(Template, Option<Template>)>,
    pub(crate) help: Option<Template>,
    pub(crate) kind: Kind,
    pub(crate) cache: bool,
    pub(crate) snake_case: bool,
}

/// The error is a sentence that names the key.
pub(super) type Result<T> = std::result::Result<T, String>;

impl RuleSet {
    /// Reads a rule file. `file` names it in errors.
    ///
    /// # Errors
    /// Whatever makes jmx_exporter of that generation refuse to start, but for `hostPort` and
    /// `jmxUrl`: rules run beside the beans here, so one of them is ignored with a warning.
    pub fn parse(
        text: &str,
        file: &str,
        generation: Generation,
    ) -> std::result::Result<Self, RuleError> {
        Self::build(text, generation).map_err(|message| {
            let message = lines::readable(&message);
            let key = message.split_once(':').map_or("", |(key, _)| key);
            let message = match lines::of_key(text, key) {
                Some(line) => format!("line {line}: {message}"),
                None => message,
            };
            RuleError { file: file.to_owned(), message }
        })
    }

    fn build(text: &str, generation: Generation) -> Result<Self> {
        let yaml = yaml::read(text)?;
        if !matches!(yaml, Yaml::Map(_)) {
            return Err(format!("expected a map of keys, found {}", yaml.kind()));
        }
        let mut warnings = Vec::new();
        let mut written = Written::default();
        known_keys(&yaml, &TOP_KEYS, 0, &mut written);
        remote(&yaml, &mut warnings)?;
        without_meaning(&yaml, &mut warnings);
        let http_server = http_server::read(&yaml, &mut warnings)?.map(|server| HttpServer {
            line: lines::of_key(text, "httpServer").unwrap_or(0),
            ..server
        });
        let rules = rules(&yaml, text, generation, &mut written)?;
        let top = written.unknown_keys.iter().filter(|(rule, _)| *rule == 0);
        let lines = top.filter_map(|(_, key)| Some((key.clone(), lines::of_key(text, key)?)));
        written.top_lines = lines.collect();
        let selection = Selection::read(&yaml, &mut written)?;
        let unknown = written.unknown_keys.iter().map(|(n, key)| {
            let place = if *n == 0 { String::new() } else { format!("rule {n}: ") };
            lines::readable(&format!("{place}the key {key:?} is unknown and ignored"))
        });
        warnings.extend(unknown);
        Ok(Self {
            generation,
            lowercase_name: flag(&yaml, "lowercaseOutputName")?,
            lowercase_labels: flag(&yaml, "lowercaseOutputLabelNames")?,
            start_delay: start_delay(&yaml)?,
            selection,
            prefilter: Prefilter::new(&rules)?,
            rules,
            written,
            warnings,
            http_server,
        })
    }

    /// What is ignored in the file: unknown keys and the like, a line each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Who may read its pages, and by what TLS, as the file says.
    pub fn http_server(&self) -> Option<&HttpServer> {
        self.http_server.as_ref()
    }

    /// The generation that it was read for.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// How long after the start of the program its series are not shown yet.
    pub(crate) fn start_delay(&self) -> Duration {
        self.start_delay
    }

    /// True when the file looks at this bean at all.
    pub(crate) fn selects(&self, name: &ObjectName) -> bool {
        self.selection.selects(name)
    }

    /// True when the file leaves this attribute of a selected bean out.
    pub(crate) fn skips(&self, name: &ObjectName, attribute: &str) -> bool {
        self.selection.skips(name, attribute)
    }
}

impl Rule {
    fn everything() -> Self {
        Self {
            pattern: None,
            pattern_text: String::new(),
            name: None,
            value: None,
            factor: 1.0,
            labels: Vec::new(),
            help: None,
            kind: Kind::Unknown,
            cache: false,
            snake_case: false,
        }
    }

    fn build(yaml: &Yaml, generation: Generation, n: usize, written: &mut Written) -> Result<Self> {
        if !matches!(yaml, Yaml::Map(_)) {
            return Err(format!("expected a map of keys, found {}", yaml.kind()));
        }
        known_keys(yaml, &RULE_KEYS, n, written);
        let scalar = |key: &str| match yaml.get(key) {
            None => Ok(None),
            Some(node) => node.scalar().map(Some).ok_or_else(|| expected(key, "a text", node)),
        };
        let mut pattern_text = String::new();
        let pattern = match scalar("pattern")? {
            None => None,
            Some(text) => {
                pattern_text.clone_from(&text);
                let pattern = Pattern::new(&text);
                Some(pattern.map_err(|error| format!("pattern {text:?} {error}"))?)
            }
        };
        let template = |text: &str| Template::new(text, pattern.as_ref());
        let text = |key: &str| match yaml.get(key) {
            None | Some(Yaml::Null) => Ok(None),
            Some(Yaml::Text(text)) => Ok(Some(template(text))),
            Some(other) => Err(expected(key, "a text", other)),
        };
        let (name, help) = (text("name")?, text("help")?);
        let value = scalar("value")?.filter(|text| !text.is_empty());
        let value = value.map(|text| template(&text));
        let labels = labels(yaml, &template)?;
        if name.is_none() && (help.is_some() || yaml.get("labels").is_some()) {
            return Err("help and labels need a name".into());
        }
        if name.is_some() && pattern.is_none() {
            return Err("a name needs a pattern".into());
        }
        let factor = match yaml.get("valueFactor") {
            None | Some(Yaml::Null) => 1.0,
            Some(_) => scalar("valueFactor")?.and_then(|text| java_double(&text)).unwrap_or(1.0),
        };
        Ok(Self {
            name,
            value,
            factor,
            labels,
            help,
            kind: kind(yaml.get("type"), generation)?,
            cache: flag(yaml, "cache")?,
            snake_case: flag(yaml, "attrNameSnakeCase")?,
            pattern,
            pattern_text,
        })
    }
}

/// The rules in order, with their lines; without the key one that exports everything.
fn rules(
    yaml: &Yaml,
    text: &str,
    generation: Generation,
    written: &mut Written,
) -> Result<Vec<Rule>> {
    let list = match yaml.get("rules") {
        None => return Ok(vec![Rule::everything()]),
        Some(Yaml::List(list)) if list.len() <= MAX_RULES => list,
        Some(Yaml::List(_)) => return Err(format!("rules: more than {MAX_RULES}")),
        Some(other) => return Err(expected("rules", "a list", other)),
    };
    written.lines = lines::of_rules(text, list.len());
    let mut rules = Vec::with_capacity(list.len());
    for (rule, n) in list.iter().zip(1..) {
        let rule = Rule::build(rule, generation, n, written).map_err(|error| {
            let line = written.lines.get(n - 1);
            let line = line.map_or_else(String::new, |line| format!("line {line}: "));
            format!("{line}rule {n}: {error}")
        })?;
        rules.push(rule);
    }
    Ok(rules)
}

/// A delay below 0 is none, as in the exporter.
fn start_delay(yaml: &Yaml) -> Result<Duration> {
    match yaml.get("startDelaySeconds") {
        None | Some(Yaml::Null) => Ok(Duration::ZERO),
        Some(Yaml::Int(seconds)) => Ok(Duration::from_secs(u64::try_from(*seconds).unwrap_or(0))),
        Some(other) => Err(expected("startDelaySeconds", "a whole number", other)),
    }
}

fn labels(
    yaml: &Yaml,
    template: &impl Fn(&str) -> Template,
) -> Result<Vec<(Template, Option<Template>)>> {
    let entries = match yaml.get("labels") {
        None => return Ok(Vec::new()),
        Some(Yaml::Map(entries)) => entries,
        Some(other) => return Err(expected("labels", "a map", other)),
    };
    let mut labels: Vec<(Template, Option<Template>)> = Vec::new();
    for (key, value) in entries {
        let Yaml::Text(key) = key else { return Err(expected("a label's name", "a text", key)) };
        let value = match value {
            Yaml::Text(text) => Some(template(text)),
            Yaml::Null => None,
            other => return Err(expected(&format!("label {key}"), "a text", other)),
        };
        labels.retain(|(have, _)| have.raw() != key);
        labels.push((template(key), value));
    }
    labels.sort_by(|(a, _), (b, _)| utf16(a.raw(), b.raw()));
    Ok(labels)
}

fn kind(yaml: Option<&Yaml>, generation: Generation) -> Result<Kind> {
    let text = match yaml {
        None => return Ok(Kind::Unknown),
        Some(Yaml::Null) if generation == Generation::V1 => return Ok(Kind::Missing),
        Some(Yaml::Text(text)) => text,
        Some(other) => return Err(expected("type", "a text", other)),
    };
    Ok(match (text.as_str(), generation) {
        ("GAUGE", _) => Kind::Gauge,
        ("COUNTER", _) => Kind::Counter,
        ("HISTOGRAM", Generation::V0) => Kind::Histogram,
        ("SUMMARY", Generation::V0) => Kind::Summary,
        ("UNTYPED" | "UNKNOWN", _) | (_, Generation::V1) => Kind::Unknown,
        (other, Generation::V0) => {
            return Err(format!(
                "type: expected COUNTER, GAUGE, UNTYPED, HISTOGRAM or SUMMARY, found {other:?}"
            ));
        }
    })
}

fn flag(yaml: &Yaml, key: &str) -> Result<bool> {
    match yaml.get(key) {
        None => Ok(false),
        Some(Yaml::Bool(flag)) => Ok(*flag),
        Some(other) => Err(expected(key, "a boolean", other)),
    }
}

pub(super) fn expected(key: &str, what: &str, found: &Yaml) -> String {
    let found = match found.scalar().filter(|_| !matches!(found, Yaml::Null)) {
        Some(text) => format!("{} ({:?})", found.kind(), text.chars().take(60).collect::<String>()),
        None => found.kind().to_owned(),
    };
    format!("{key}: expected {what}, found {found}")
}

/// Java's order of strings: by UTF-16 units.
pub(crate) fn utf16(a: &str, b: &str) -> std::cmp::Ordering {
    if a.is_ascii() && b.is_ascii() { a.cmp(b) } else { a.encode_utf16().cmp(b.encode_utf16()) }
}
