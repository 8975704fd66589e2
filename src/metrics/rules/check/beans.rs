//! Which beans the file selects and which rule decides for them, and what comes to nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::{Class, Finding, Survey};
use crate::object_name::ObjectName;
use crate::rules::evaluate::{Outcome, Reason};
use crate::rules::name_pattern::NamePattern;

/// Keys that mean nothing, and what becomes of them.
pub(super) fn keys(seen: &Survey<'_>, fate: &str) -> Vec<Finding> {
    let written = &seen.rules.written;
    let unknown = |(rule, key): &(usize, String)| {
        let why = format!("the key {key:?} is unknown{fate}");
        let found = seen.finding(Class::UnknownKey, *rule, why);
        let top = written.top_lines.iter().find(|(have, _)| *rule == 0 && have == key);
        Finding { line: found.line.or(top.map(|(_, line)| *line)), ..found }
    };
    written.unknown_keys.iter().map(unknown).collect()
}

/// Selections that select nothing.
pub(super) fn selections(seen: &Survey<'_>) -> Vec<Finding> {
    let written = &seen.rules.written;
    let mut findings = Vec::new();
    let selected = |text: &str| {
        let Ok(pattern) = NamePattern::parse(text) else { return true };
        seen.examples.iter().any(|example| pattern.matches(&example.name))
    };
    for text in written.include.iter().filter(|text| !selected(text)) {
        let why = format!("includeObjectNames: {text:?} selects no bean");
        findings.push(seen.finding(Class::EmptySelection, 0, why));
    }
    for (text, attributes) in &written.without {
        let bean = match ObjectName::parse(text) {
            Ok(name) if !text.contains(['*', '?']) => {
                seen.examples.iter().find(|example| example.name.same(&name))
            }
            _ => {
                let why = format!(
                    "excludeObjectNameAttributes: {text:?} equals no bean, since patterns mean \
                     nothing there"
                );
                findings.push(seen.finding(Class::EmptySelection, 0, why));
                continue;
            }
        };
        // Tags are free: only what no template could be is known to be no bean.
        let Some(bean) = bean else { continue };
        for attribute in attributes {
            if !bean.leaves.iter().any(|leaf| leaf.attribute == *attribute) {
                let why =
                    format!("excludeObjectNameAttributes: {text:?} has no attribute {attribute:?}");
                findings.push(seen.finding(Class::EmptySelection, 0, why));
            }
        }
    }
    findings
}

/// For each rule the templates that it decides for.
pub(super) fn matches(seen: &Survey<'_>) -> Vec<Vec<(String, usize)>> {
    let mut found: Vec<BTreeMap<String, BTreeSet<usize>>> =
        seen.rules.rules.iter().map(|_| BTreeMap::new()).collect();
    for trace in seen.traces {
        let Some(by_template) = trace.rule.and_then(|rule| found.get_mut(rule)) else { continue };
        let Some(example) = seen.examples.get(trace.example) else { continue };
        let template = example.row.map_or(example.name.as_str(), |row| row.template);
        by_template.entry(template.to_owned()).or_default().insert(trace.leaf);
    }
    let counts = |by_template: BTreeMap<String, BTreeSet<usize>>| {
        by_template.into_iter().map(|(template, leaves)| (template, leaves.len())).collect()
    };
    found.into_iter().map(counts).collect()
}

/// Rules whose samples are dropped, or that make none.
pub(super) fn drops(seen: &Survey<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut told = BTreeSet::new();
    let mut decided = BTreeMap::new();
    let mut made = BTreeSet::new();
    for trace in seen.traces {
        let Some(rule) = trace.rule else { continue };
        decided.entry(rule).or_insert(trace);
        let value = seen
            .examples
            .get(trace.example)
            .and_then(|example| example.leaves.get(trace.leaf))
            .and_then(|leaf| leaf.values.get(trace.value));
        match &trace.outcome {
            Outcome::Made(sample) => {
                if sample.constant.is_some() || value.is_some_and(|value| value.as_f64().is_some())
                {
                    made.insert(rule);
                }
            }
            Outcome::Dropped(reason) => {
                made.insert(rule);
                if let Some((class, why)) = of_reason(*reason)
                    && told.insert((rule, class))
                {
                    let why = format!("{why}, for {}", seen.place(trace));
                    findings.push(seen.finding(class, rule + 1, why));
                }
            }
            Outcome::Nothing => {}
        }
    }
    for (rule, trace) in decided.into_iter().filter(|(rule, _)| !made.contains(rule)) {
        // A rule with an empty name, or without one, is there to make nothing.
        let named = seen.rules.rules.get(rule).and_then(|rule| rule.name.as_ref());
        if named.is_none_or(|name| name.raw().is_empty()) {
            continue;
        }
        let why = format!(
            "what it matches is text or no number and it gives no number, so that it makes no \
             sample, for {}",
            seen.place(trace)
        );
        findings.push(seen.finding(Class::NoSample, rule + 1, why));
    }
    findings
}

fn of_reason(reason: Reason) -> Option<(Class, &'static str)> {
    Some(match reason {
        Reason::BadReference => {
            (Class::BadReference, "a template refers to a group that the pattern does not have")
        }
        Reason::ValueWithoutPattern => (Class::NoSample, "a value needs a pattern"),
        Reason::TypeWithoutValue => (Class::NoSample, "type has no value"),
        Reason::LabelWithoutValue => (Class::BadLabel, "a label has no value"),
        Reason::DuplicateLabel => (Class::BadLabel, "two labels have the same name"),
        Reason::IllegalLabel => (Class::BadLabel, "the name of a label is not legal"),
        _ => return None,
    })
}
