//! `pharos rules check`: what a rule file says in vain, measured against the bean catalogue.

use std::collections::BTreeSet;

use super::config::{Generation, RuleError, RuleSet};
use super::evaluate::{Buffers, Outcome, Seen, Subject};
use crate::catalog::rows_of_beans;
use crate::object_name::{ObjectName, push_tag_value};
use crate::row::{AttributeInfo, BeanRow};
use crate::value::{Value, ValueType};

/// Reads a rule file and lists what it says in vain: unknown keys, rules that decide for no bean
/// of this program, rules whose samples would be dropped. An empty list is a clean file.
///
/// # Errors
/// When the file is refused.
pub fn check(text: &str, file: &str, generation: Generation) -> Result<Vec<String>, RuleError> {
    let rules = RuleSet::parse(text, file, generation)?;
    let mut findings: Vec<String> =
        rules.warnings().iter().map(|warning| format!("{file}: {warning}")).collect();
    let mut decided = BTreeSet::new();
    let mut dropped = BTreeSet::new();
    let mut buffers = Buffers::default();
    for row in rows_of_beans() {
        let Some(name) = example(row).filter(|name| rules.selects(name)) else { continue };
        let properties: Vec<_> = name.properties().collect();
        for info in row.attributes() {
            if rules.skips(&name, info.name) {
                continue;
            }
            let subject = Subject {
                domain: name.domain(),
                properties: &properties,
                path: &[],
                attribute: info.name,
                description: info.description,
            };
            for value in values(&info) {
                // A value that is known leaves nothing to depend on.
                let Ok(found) = rules.evaluate(&subject, Seen::Value(&value), &mut buffers) else {
                    continue;
                };
                let Some(rule) = found.rule else { continue };
                decided.insert(rule);
                if let Outcome::Dropped(reason) = found.outcome {
                    dropped.insert((rule, reason.name(), format!("{name} {}", info.name)));
                }
            }
        }
    }
    for at in (0..rules.rules.len()).filter(|at| !decided.contains(at)) {
        findings.push(format!("{file}: rule {} decides for no bean of this program", at + 1));
    }
    let mut told = BTreeSet::new();
    for (rule, reason, place) in dropped {
        if told.insert((rule, reason)) {
            findings.push(format!("{file}: rule {}: {reason} for {place}", rule + 1));
        }
    }
    Ok(findings)
}

/// An object name of the row with tags that real ones could have.
fn example(row: &BeanRow) -> Option<ObjectName> {
    let mut text = String::new();
    let mut rest = row.template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let (tag, after) = after.split_once('}')?;
        let value = match tag {
            "topic" => "orders",
            "partition" | "networkProcessor" | "processor" | "threadNum" => "0",
            "request" => "Produce",
            "version" => "9",
            "error" => "NONE",
            "listener" => "PLAINTEXT",
            "logDirectory" | "dir" => "/data",
            "delayedOperation" => "Fetch",
            "protocol" => "consumer",
            "brokerHost" | "brokerPort" | "broker" | "id" | "BrokerId" | "broker-id" => "1",
            other => other,
        };
        push_tag_value(&mut text, value);
        rest = after;
    }
    text.push_str(rest);
    ObjectName::parse(&text).ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_files_say_nothing_in_vain() {
        for (file, text) in crate::rules::BUILT_IN {
            for generation in [Generation::V0, Generation::V1] {
                let findings = check(text, file, generation).unwrap();
                assert!(findings.is_empty(), "{findings:#?}");
            }
        }
    }

    #[test]
    fn findings_name_the_rule() {
        let text = "rules:\n- pattern: 'kafka.server<type=ReplicaManger'\n- pattern: 'name=(LeaderCount)'\n  nmae: x\n  name: a_$2\n";
        let findings = check(text, "f.yml", Generation::V1).unwrap();
        assert_eq!(findings.len(), 3, "{findings:#?}");
        assert!(findings[0].contains("\"nmae\""), "{findings:#?}");
        assert!(findings[1].contains("rule 1 decides for no bean"), "{findings:#?}");
        assert!(findings[2].contains("rule 2: bad_reference for kafka.server:"), "{findings:#?}");
        assert!(check("rules: 5", "f.yml", Generation::V1).is_err());
    }
}
