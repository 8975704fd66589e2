//! The keys of a rule file: which there are, which mean nothing here, and which are refused.

use super::config::{Result, Written};
use super::yaml::Yaml;

/// One of the addresses of a remote machine is ignored; two contradict each other.
pub(super) fn remote(yaml: &Yaml, warnings: &mut Vec<String>) -> Result<()> {
    let given: Vec<_> =
        ["hostPort", "jmxUrl"].into_iter().filter(|key| yaml.get(key).is_some()).collect();
    match given.as_slice() {
        [] => Ok(()),
        [key] => {
            warnings.push(format!("{key} is ignored: rules read this process's own beans"));
            Ok(())
        }
        _ => Err("hostPort and jmxUrl exclude each other".into()),
    }
}

/// Keys that mean nothing here, each with the reason.
const WITHOUT_MEANING: [(&str, &str); 12] = [
    ("username", "no connection is made to read beans"),
    ("password", "no connection is made to read beans"),
    ("ssl", "no connection is made to read beans"),
    ("scrapeTimeoutSeconds", "the scraper tells how long it waits"),
    ("excludeJvmMetrics", "there are no beans of a JVM"),
    ("autoExcludeObjectNameAttributes", "what makes no sample is left out anyway"),
    ("inferCounterTypeFromName", "it is younger than the exporters whose names are made"),
    ("includeObjectNameAttributes", "it is younger than the exporters whose names are made"),
    ("metricCustomizers", "it is younger than the exporters whose names are made"),
    ("openTelemetry", "pages are fetched, not pushed"),
    ("hostname", "admin.listeners says where pages are served"),
    ("port", "admin.listeners says where pages are served"),
];

/// Says which keys mean nothing.
pub(super) fn without_meaning(yaml: &Yaml, warnings: &mut Vec<String>) {
    for (key, why) in WITHOUT_MEANING {
        if yaml.get(key).is_some() {
            warnings.push(format!("{key} is ignored: {why}"));
        }
    }
}

/// Keys at the top.
pub(super) const TOP_KEYS: [&str; 24] = [
    "startDelaySeconds",
    "scrapeTimeoutSeconds",
    "hostPort",
    "jmxUrl",
    "username",
    "password",
    "ssl",
    "lowercaseOutputName",
    "lowercaseOutputLabelNames",
    "inferCounterTypeFromName",
    "includeObjectNames",
    "whitelistObjectNames",
    "excludeObjectNames",
    "blacklistObjectNames",
    "excludeJvmMetrics",
    "excludeObjectNameAttributes",
    "includeObjectNameAttributes",
    "autoExcludeObjectNameAttributes",
    "metricCustomizers",
    "rules",
    "httpServer",
    "openTelemetry",
    "hostname",
    "port",
];

/// Keys of a rule.
pub(super) const RULE_KEYS: [&str; 9] = [
    "pattern",
    "name",
    "value",
    "valueFactor",
    "labels",
    "help",
    "type",
    "cache",
    "attrNameSnakeCase",
];

/// Takes note of keys that are none of `known`; `rule` is the number of their rule, 0 for the top.
pub(super) fn known_keys(yaml: &Yaml, known: &[&str], rule: usize, written: &mut Written) {
    for (key, _) in yaml.entries() {
        let key = key.scalar().unwrap_or_default();
        if !known.contains(&key.as_str()) {
            written.unknown_keys.push((rule, key));
        }
    }
}
