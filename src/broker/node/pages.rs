//! The metric pages of a node: its rule files are read and checked before anything starts.

use pharos_config::{BrokerConfig, rows};
use pharos_metrics::{Generation, Pages, PagesOptions, Registry, RuleSet};

use super::StartError;
use crate::reload::{RuleSource, read};

/// Whose names the rules make.
pub fn generation(config: &BrokerConfig) -> Generation {
    match config.get(&rows::METRICS_RULES_EXPORTER) {
        "0.x" => Generation::V0,
        _ => Generation::V1,
    }
}

/// The page of the file that is given without one; `/metrics` shows it.
const UNNAMED: &str = "custom";
/// Pages that are there whatever is configured: boards and alerts read them.
const BUILT_IN: [&str; 3] = ["default", "confluent", "native"];
/// Longest name of a page.
const MAX_PAGE_NAME: usize = 64;

/// The rule files that `metrics.rules` names, the one that `/metrics` shows first: the one without a
/// name, else the first.
fn sources(entries: &[String]) -> Result<Vec<RuleSource>, String> {
    let mut sources = Vec::<RuleSource>::new();
    for entry in entries {
        let (page, file) = entry.split_once('=').unwrap_or((UNNAMED, entry.as_str()));
        let refused = |why: &str| Err(format!("{entry}: {why}"));
        if BUILT_IN.contains(&page) {
            return refused(&format!("/metrics/{page} is built in: choose another name"));
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if page.is_empty() || page.len() > MAX_PAGE_NAME || !page.bytes().all(allowed) {
            return refused("a page has a name of letters, digits, '.', '_' and '-'");
        }
        if file.is_empty() {
            return refused("no file is named");
        }
        if let Some(other) = sources.iter().find(|other| other.page == page) {
            return refused(&match page {
                UNNAMED => format!("{} is on /metrics already: give it a name", other.file),
                _ => format!("{} is on /metrics/{page} already", other.file),
            });
        }
        let source = RuleSource { page: page.to_owned(), file: file.to_owned(), server: None };
        match page {
            UNNAMED => sources.insert(0, source),
            _ => sources.push(source),
        }
    }
    Ok(sources)
}

/// The pages that `metrics.rules` asks for, over `registry`, and the files that they come from.
///
/// # Errors
/// When a rule file cannot be read or used.
pub fn pages(
    config: &BrokerConfig,
    registry: &Registry,
    revision: String,
) -> Result<(Pages, Vec<RuleSource>), StartError> {
    let generation = generation(config);
    let refused = |error: pharos_metrics::RuleError| StartError::Rules(error.to_string());
    let mut rule_sets = Vec::new();
    let mut sources = sources(config.get(&rows::METRICS_RULES)).map_err(StartError::Rules)?;
    for RuleSource { page, file, server } in &mut sources {
        let rules = RuleSet::parse(&read(file).map_err(refused)?, file, generation);
        let rules = rules.map_err(refused)?;
        *server = rules.http_server().cloned();
        for warning in rules.warnings() {
            tracing::warn!("{file}: {warning}");
        }
        rule_sets.push((page.clone(), rules));
    }
    let options = PagesOptions { rule_sets, generation, revision };
    Ok((Pages::new(registry, options).map_err(refused)?, sources))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(entries: &[&str]) -> Result<Vec<(String, String)>, String> {
        let entries: Vec<_> = entries.iter().map(ToString::to_string).collect();
        let pairs = |sources: Vec<RuleSource>| sources.into_iter().map(|it| (it.page, it.file));
        sources(&entries).map(|sources| pairs(sources).collect())
    }

    #[test]
    fn the_file_without_a_name_is_the_one_of_metrics() {
        let check = |entries: &[&str], expected: &[(&str, &str)]| {
            let expected = expected.iter().map(|(page, file)| (page.to_string(), file.to_string()));
            assert_eq!(of(entries), Ok(expected.collect()), "{entries:?}");
        };
        check(&[], &[]);
        check(&["a=x.yml", "b=y=1.yml"], &[("a", "x.yml"), ("b", "y=1.yml")]);
        check(&["a=x.yml", "y.yml"], &[("custom", "y.yml"), ("a", "x.yml")]);
    }

    #[test]
    fn a_page_is_neither_hidden_nor_lost() {
        let check = |entries: &[&str], why: &str| assert_eq!(of(entries), Err(why.to_owned()));
        check(
            &["default=x.yml"],
            "default=x.yml: /metrics/default is built in: choose another name",
        );
        check(&["a=x", "native=y"], "native=y: /metrics/native is built in: choose another name");
        let name = "a page has a name of letters, digits, '.', '_' and '-'";
        check(&["a/b=x"], &format!("a/b=x: {name}"));
        check(&["=x"], &format!("=x: {name}"));
        check(&["a="], "a=: no file is named");
        check(&["a=x", "a=y"], "a=y: x is on /metrics/a already");
        check(&["x", "y"], "y: x is on /metrics already: give it a name");
        check(&["x", "custom=y"], "custom=y: x is on /metrics already: give it a name");
    }
}
