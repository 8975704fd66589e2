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

/// The rule files that `metrics.rules` names.
fn sources(config: &BrokerConfig) -> Vec<RuleSource> {
    let source = |entry: &String| {
        let (page, file) = entry.split_once('=').unwrap_or(("custom", entry.as_str()));
        RuleSource { page: page.to_owned(), file: file.to_owned(), server: None }
    };
    config.get(&rows::METRICS_RULES).iter().map(source).collect()
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
    let mut sources = sources(config);
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
