//! One sample through the rules: the first whose pattern matches decides.

use super::config::{Generation, Kind, Rule, RuleSet};
use super::names::{is_label_name, java_double, safe_name, snake_case};
use super::pattern::{Groups, Stop};
use super::prefilter::Candidates;
pub(crate) use super::reason::Reason;
use super::template::BadReference;
use crate::value::Value;

/// What rules see of a sample besides its value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) domain: &'a str,
    /// Properties in order of registration, then index columns of tables.
    pub(crate) properties: &'a [(&'a str, &'a str)],
    /// Attribute names on the way into composite data.
    pub(crate) path: &'a [String],
    pub(crate) attribute: &'a str,
    pub(crate) description: &'a str,
}

/// What rules see of the value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Seen<'a> {
    /// This value.
    Value(&'a Value),
    /// Some number, not known yet.
    Number,
}

/// The result of a sample.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// No rule wants it.
    Nothing,
    /// A line.
    Made(Made),
    /// It is dropped, and counted.
    Dropped(Reason),
}

/// A sample as the rules make it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Made {
    pub(crate) name: String,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) help: Option<String>,
    pub(crate) kind: Kind,
    /// The rule's own number, already multiplied; `None` takes the bean's.
    pub(crate) constant: Option<f64>,
    /// What the bean's number is multiplied with.
    pub(crate) factor: f64,
    /// The attribute in snake case, for `_objectname`.
    pub(crate) snake_case: bool,
    /// The rule saw `<cache>` instead of the value.
    pub(crate) cached: bool,
}

impl From<BadReference> for Outcome {
    fn from(_: BadReference) -> Self {
        Self::Dropped(Reason::BadReference)
    }
}

/// An outcome and how many cached rules were tried for it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Evaluated {
    pub(crate) outcome: Outcome,
    pub(crate) cached_tried: u32,
    /// The rule that decided, counted from 0.
    pub(crate) rule: Option<usize>,
}

/// Buffers that one thread reuses.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    texts: Texts,
    candidates: Candidates,
    /// Whether [`Made::help`] is wanted where the rule has none of its own.
    pub(crate) with_help: bool,
}

/// `DOMAIN<K=V, K=V><PATH>ATTR: VALUE` in its variants.
#[derive(Debug, Default)]
struct Texts {
    plain: String,
    snake: String,
    cached: String,
    /// Length of the plain text up to the attribute.
    head: usize,
}

/// Writes `DOMAIN<K1=V1, K2=V2><A1, A2>`.
pub(super) fn push_head(out: &mut String, subject: &Subject<'_>) {
    out.push_str(subject.domain);
    out.push('<');
    for (at, (key, value)) in subject.properties.iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        out.push_str(key);
        out.push('=');
        out.push_str(value);
    }
    out.push_str("><");
    for (at, part) in subject.path.iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        out.push_str(part);
    }
    out.push('>');
}

/// The label `_objectname` that tells duplicates apart: the text of the sample up to its last
/// colon.
pub(crate) fn object_label(subject: &Subject<'_>, made: &Made, value: &Value) -> String {
    let mut text = String::new();
    push_head(&mut text, subject);
    if made.snake_case {
        text.push_str(&snake_case(subject.attribute));
    } else {
        text.push_str(subject.attribute);
    }
    text.push_str(": ");
    if made.cached {
        text.push_str("<cache>");
    } else {
        value.write_java(&mut text);
    }
    let end = text.rfind(':').unwrap_or(text.len());
    text.truncate(end);
    text
}

impl RuleSet {
    /// Walks the rules. [`Stop::Depends`] when the number has to be known.
    pub(crate) fn evaluate(
        &self,
        subject: &Subject<'_>,
        seen: Seen<'_>,
        buffers: &mut Buffers,
    ) -> Result<Evaluated, Stop> {
        let snake = self.rules.iter().any(|rule| rule.snake_case);
        buffers.texts.fill(subject, seen, snake);
        let Buffers { texts, candidates, with_help } = buffers;
        let second = if snake { texts.snake.as_str() } else { "" };
        self.prefilter.scan([&texts.plain, second], candidates);
        let mut cached_tried = 0;
        for at in candidates.rules.iter().copied() {
            let Some(rule) = self.rules.get(at) else { continue };
            cached_tried += u32::from(rule.cache);
            let groups = match matched(rule, texts, seen, subject) {
                Ok(Some(groups)) => groups,
                Ok(None) => continue,
                Err(Stop::Depends) => return Err(Stop::Depends),
                Err(Stop::Steps) => {
                    let outcome = Outcome::Dropped(Reason::PatternSteps);
                    return Ok(Evaluated { outcome, cached_tried, rule: Some(at) });
                }
            };
            let outcome = self.make(rule, subject, groups.as_ref(), *with_help);
            let outcome = outcome.unwrap_or_else(|early| early);
            return Ok(Evaluated { outcome, cached_tried, rule: Some(at) });
        }
        Ok(Evaluated { outcome: Outcome::Nothing, cached_tried, rule: None })
    }

    /// What a rule that matches makes of the sample. The error is an outcome too, that comes
    /// early.
    fn make(
        &self,
        rule: &Rule,
        subject: &Subject<'_>,
        groups: Option<&Groups<'_>>,
        with_help: bool,
    ) -> Result<Outcome, Outcome> {
        let constant = match &rule.value {
            None => None,
            Some(_) if rule.pattern.is_none() => {
                return Err(Outcome::Dropped(Reason::ValueWithoutPattern));
            }
            Some(value) => match java_double(&value.expand(groups)?) {
                Some(number) => Some(number * rule.factor),
                None => return Err(Outcome::Nothing),
            },
        };
        let (name, labels) = match &rule.name {
            None => self.default_export(rule, subject),
            Some(template) => {
                let name = self.name_case(safe_name(&template.expand(groups)?));
                if name.is_empty() {
                    return Err(Outcome::Nothing);
                }
                (name, self.labels(rule, groups)?)
            }
        };
        let help = match &rule.help {
            Some(help) => help.expand(groups)?,
            None if with_help => default_help(subject),
            None => String::new(),
        };
        if rule.kind == Kind::Missing {
            return Err(Outcome::Dropped(Reason::TypeWithoutValue));
        }
        check_labels(&labels).map_err(Outcome::Dropped)?;
        let help = (!help.is_empty() || self.generation == Generation::V0).then_some(help);
        Ok(Outcome::Made(Made {
            name,
            labels,
            help,
            kind: rule.kind,
            constant,
            factor: rule.factor,
            snake_case: rule.snake_case,
            cached: rule.cache,
        }))
    }

    fn name_case(&self, name: String) -> String {
        if self.lowercase_name { name.to_lowercase() } else { name }
    }

    fn label_case(&self, name: String) -> String {
        if self.lowercase_labels { name.to_lowercase() } else { name }
    }

    fn labels(
        &self,
        rule: &Rule,
        groups: Option<&Groups<'_>>,
    ) -> Result<Vec<(String, String)>, Outcome> {
        let mut labels = Vec::with_capacity(rule.labels.len());
        for (name, value) in &rule.labels {
            let name = self.label_case(safe_name(&name.expand(groups)?));
            let Some(value) = value else {
                return Err(Outcome::Dropped(Reason::LabelWithoutValue));
            };
            let value = value.expand(groups)?;
            if !name.is_empty() && !value.is_empty() {
                labels.push((name, value));
            }
        }
        Ok(labels)
    }

    fn default_export(
        &self,
        rule: &Rule,
        subject: &Subject<'_>,
    ) -> (String, Vec<(String, String)>) {
        let mut name = subject.domain.to_owned();
        let mut properties = subject.properties.iter();
        let first = properties.next().map(|(_, value)| *value);
        for part in first.into_iter().chain(subject.path.iter().map(String::as_str)) {
            name.push('_');
            name.push_str(part);
        }
        name.push('_');
        if rule.snake_case {
            name.push_str(&snake_case(subject.attribute));
        } else {
            name.push_str(subject.attribute);
        }
        let labels = properties
            .map(|(key, value)| (self.label_case(safe_name(key)), (*value).to_owned()))
            .collect();
        (self.name_case(safe_name(&name)), labels)
    }
}

/// `Some(None)` is a rule without a pattern, which matches everything.
#[expect(clippy::option_option, reason = "no match, a match, a match without groups")]
fn matched<'t>(
    rule: &Rule,
    texts: &'t mut Texts,
    seen: Seen<'_>,
    subject: &Subject<'_>,
) -> Result<Option<Option<Groups<'t>>>, Stop> {
    let Some(pattern) = &rule.pattern else { return Ok(Some(None)) };
    if rule.cache {
        texts.cache(rule.snake_case, subject);
        return Ok(pattern.matches(&texts.cached)?.map(Some));
    }
    let text = if rule.snake_case { &texts.snake } else { &texts.plain };
    Ok(match seen {
        Seen::Number => pattern.matches_before_number(text)?,
        Seen::Value(_) => pattern.matches(text)?,
    }
    .map(Some))
}

impl Texts {
    fn fill(&mut self, subject: &Subject<'_>, seen: Seen<'_>, snake: bool) {
        self.plain.clear();
        push_head(&mut self.plain, subject);
        self.head = self.plain.len();
        self.plain.push_str(subject.attribute);
        self.plain.push_str(": ");
        if let Seen::Value(value) = seen {
            value.write_java(&mut self.plain);
        }
        self.snake.clear();
        if snake {
            self.snake.push_str(self.plain.get(..self.head).unwrap_or_default());
            self.snake.push_str(&snake_case(subject.attribute));
            self.snake.push_str(": ");
            if let Seen::Value(value) = seen {
                value.write_java(&mut self.snake);
            }
        }
    }

    fn cache(&mut self, snake: bool, subject: &Subject<'_>) {
        self.cached.clear();
        self.cached.push_str(self.plain.get(..self.head).unwrap_or_default());
        if snake {
            self.cached.push_str(&snake_case(subject.attribute));
        } else {
            self.cached.push_str(subject.attribute);
        }
        self.cached.push_str(": <cache>");
    }
}

fn default_help(subject: &Subject<'_>) -> String {
    let property = |key: &str| {
        let found = subject.properties.iter().find(|(have, _)| *have == key);
        found.map_or("null", |(_, value)| *value)
    };
    let facts = format!(
        "{}:name={},type={},attribute={}",
        subject.domain,
        property("name"),
        property("type"),
        subject.attribute
    );
    if subject.description == subject.attribute {
        facts
    } else {
        format!("{} {facts}", subject.description)
    }
}

/// Label names that no scrape could carry.
fn check_labels(labels: &[(String, String)]) -> Result<(), Reason> {
    for (at, (name, _)) in labels.iter().enumerate() {
        if !is_label_name(name) {
            return Err(Reason::IllegalLabel);
        }
        if labels.iter().skip(at + 1).any(|(other, _)| other == name) {
            return Err(Reason::DuplicateLabel);
        }
    }
    Ok(())
}
