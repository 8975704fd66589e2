//! Patterns that match nothing, match too late, cost too much or capture too little.

use std::collections::BTreeSet;

use super::{Class, Finding, Survey};
use crate::rules::config::Rule;
use crate::rules::pattern::{Pattern, Stop};
use crate::rules::survey::{self, Example, ExampleLeaf};

/// Most properties whose orders are tried.
const MAX_PERMUTED: usize = 4;

/// Rules that decide for nothing, each with the reason that can be told.
pub(super) fn idle(seen: &Survey<'_>) -> Vec<Finding> {
    let decided: BTreeSet<_> = seen.traces.iter().filter_map(|trace| trace.rule).collect();
    let idle = seen.rules.rules.iter().enumerate().filter(|(at, _)| !decided.contains(at));
    idle.map(|(at, rule)| why_idle(seen, at, rule)).collect()
}

fn why_idle(seen: &Survey<'_>, at: usize, rule: &Rule) -> Finding {
    let finding = |class, why| seen.finding(class, at + 1, why);
    let Some(pattern) = &rule.pattern else {
        let why = "an earlier rule decides for every bean that is left".to_owned();
        return finding(Class::ShadowedRule, why);
    };
    let matches = |text: &str| matches!(pattern.matches(text), Ok(Some(_)));
    let mut earlier = BTreeSet::new();
    let mut place = None;
    for trace in seen.traces {
        let Some(example) = seen.examples.get(trace.example) else { continue };
        let Some(leaf) = example.leaves.get(trace.leaf) else { continue };
        let Some(value) = leaf.values.get(trace.value) else { continue };
        if matches(&example.text(leaf, value)) {
            earlier.extend(trace.rule);
            place.get_or_insert_with(|| seen.place(trace));
        }
    }
    if let (Some(place), Some(first)) = (place, earlier.first()) {
        let why =
            format!("rule {} decides before it wherever it matches, as for {place}", first + 1);
        return finding(Class::ShadowedRule, why);
    }
    if is_object_name(&rule.pattern_text) {
        let why = "the text that rules see has '<' behind the domain, not ':', so that it matches \
                   nothing"
            .to_owned();
        return finding(Class::ObjectNameForm, why);
    }
    if let Some(text) = in_another_order(seen.examples, pattern) {
        let why = format!("it matches nothing in Kafka's order of properties, which is {text}");
        return finding(Class::PropertyOrder, why);
    }
    finding(Class::DeadRule, "it matches no bean".to_owned())
}

/// True for `domain:key=...`.
fn is_object_name(pattern: &str) -> bool {
    let head = pattern.split(['<', '=']).next().unwrap_or_default();
    let mut before = ' ';
    let mut colon = None;
    for (at, c) in head.char_indices() {
        if c == ':' && before != '?' {
            colon = Some(at);
        }
        before = c;
    }
    let Some((domain, key)) = colon.and_then(|at| head.split_at_checked(at)) else { return false };
    let key = key.trim_start_matches([':', '(', '?']);
    pattern.len() > head.len()
        && pattern.get(head.len()..).is_some_and(|rest| rest.starts_with('='))
        && !domain.is_empty()
        && !key.is_empty()
        && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

/// The order that a bean has its properties in, when the pattern matches it in another one.
fn in_another_order(examples: &[Example], pattern: &Pattern) -> Option<String> {
    for example in examples {
        for leaf in &example.leaves {
            let properties = example.properties(leaf);
            if !(2..=MAX_PERMUTED).contains(&properties.len()) {
                continue;
            }
            let Some(value) = leaf.values.first() else { continue };
            let given = example.text(leaf, value);
            // Every order has the same letters.
            if !pattern.literals().iter().all(|literal| could_hold(&given, literal)) {
                continue;
            }
            let mut order = properties.clone();
            if permuted(&mut order, 0, &mut |order| {
                let text = survey::text(example.name.domain(), order, leaf, value);
                matches!(pattern.matches(&text), Ok(Some(_)))
            }) {
                return Some(example.name.to_string());
            }
        }
    }
    None
}

/// Whether the parts of a literal between properties are in the text.
fn could_hold(text: &str, literal: &str) -> bool {
    literal.split(['<', '>', ',']).all(|part| text.contains(part.trim()))
}

fn permuted<'a>(
    order: &mut Vec<(&'a str, &'a str)>,
    from: usize,
    found: &mut impl FnMut(&[(&'a str, &'a str)]) -> bool,
) -> bool {
    if from == order.len() {
        return found(order);
    }
    for at in from..order.len() {
        order.swap(from, at);
        if permuted(order, from + 1, found) {
            return true;
        }
        order.swap(from, at);
    }
    false
}

/// Patterns that are given up, on names as long as clients may choose them; `fate` says what becomes
/// of them.
pub(super) fn costly(seen: &Survey<'_>, fate: &str) -> Vec<Finding> {
    let long = survey::long_examples();
    let texts: Vec<(String, String)> = long
        .iter()
        .filter(|example| seen.rules.selects(&example.name))
        .flat_map(|example| {
            let text = |leaf: &ExampleLeaf| {
                let value = leaf.values.first()?;
                let template = example.row.map_or("", |row| row.template);
                Some((format!("{template} {}", leaf.name), example.text(leaf, value)))
            };
            // What the attribute is changes little.
            example.leaves.first().into_iter().chain(example.leaves.last()).filter_map(text)
        })
        .collect();
    let mut findings = Vec::new();
    for (at, rule) in seen.rules.rules.iter().enumerate() {
        let Some(pattern) = &rule.pattern else { continue };
        // The others are never tried.
        let tried = texts.iter().filter(|(_, text)| {
            rule.cache || pattern.literals().iter().all(|literal| text.contains(literal))
        });
        let stopped = tried.into_iter().find(|(_, text)| pattern.matches(text) == Err(Stop::Steps));
        if let Some((place, text)) = stopped {
            let why = format!(
                "the pattern takes too many steps{fate}, for {place} with names that make {} \
                 characters",
                text.chars().count()
            );
            findings.push(seen.finding(Class::CostlyPattern, at + 1, why));
        }
    }
    findings
}

/// Captures that begin in the middle of a number or a word.
pub(super) fn cut_captures(seen: &Survey<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut told = BTreeSet::new();
    for trace in seen.traces {
        let Some(at) = trace.rule.filter(|at| !told.contains(at)) else { continue };
        let Some(rule) = seen.rules.rules.get(at) else { continue };
        let Some(pattern) = rule.pattern.as_ref().filter(|_| !rule.cache && !rule.snake_case)
        else {
            continue;
        };
        let Some(example) = seen.examples.get(trace.example) else { continue };
        let Some(leaf) = example.leaves.get(trace.leaf) else { continue };
        let Some(value) = leaf.values.get(trace.value) else { continue };
        let text = example.text(leaf, value);
        let Ok(Some(groups)) = pattern.matches(&text) else { continue };
        let spans: Vec<_> = groups.spans().collect();
        let leads = rule.pattern_text.starts_with('(') && !rule.pattern_text.starts_with("(?");
        for (n, (from, to)) in spans.iter().enumerate() {
            let behind = spans.iter().any(|(_, end)| end == from && from != to);
            let before = text.get(..*from).and_then(|text| text.chars().next_back());
            let first = text.get(*from..*to).and_then(|text| text.chars().next());
            let (Some(before), Some(first)) = (before, first) else { continue };
            let number = before.is_ascii_digit() && first.is_ascii_digit();
            let word = leads && n == 0 && before.is_alphanumeric() && first.is_alphanumeric();
            if !behind && (number || word) {
                told.insert(at);
                let have = text.get(*from..*to).unwrap_or_default();
                let why = format!(
                    "group {} captures {have:?} alone, since what stands before it takes as much \
                     as it can, for {}",
                    n + 1,
                    seen.place(trace)
                );
                findings.push(seen.finding(Class::GreedyCapture, at + 1, why));
                break;
            }
        }
    }
    findings
}
