//! The metric pages of a node: its rule files are read and checked before anything starts.

use pharos_config::{BrokerConfig, rows};
use pharos_metrics::{Generation, Pages, PagesOptions, Registry, RuleSet};

use super::StartError;

/// The pages that `metrics.rules` asks for, over `registry`.
///
/// # Errors
/// When a rule file cannot be read or used.
pub fn pages(
    config: &BrokerConfig,
    registry: &Registry,
    revision: String,
) -> Result<Pages, StartError> {
    let generation = match config.get(&rows::METRICS_RULES_EXPORTER) {
        "0.x" => Generation::V0,
        _ => Generation::V1,
    };
    let mut rule_sets = Vec::new();
    for entry in config.get(&rows::METRICS_RULES) {
        let (name, file) = match entry.split_once('=') {
            Some((name, file)) => (name.to_owned(), file),
            None => ("custom".to_owned(), entry.as_str()),
        };
        let text = std::fs::read_to_string(file)
            .map_err(|error| StartError::Rules(format!("cannot read {file}: {error}")))?;
        let rules = RuleSet::parse(&text, file, generation)
            .map_err(|error| StartError::Rules(error.to_string()))?;
        rule_sets.push((name, rules));
    }
    let options = PagesOptions { rule_sets, generation, revision };
    Pages::new(registry, options).map_err(|error| StartError::Rules(error.to_string()))
}
