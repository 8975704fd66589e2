//! `metrics.rules.exporter` chooses whose names a rule file makes.

use std::fs;

use crate::start_process::Launch;

/// The 1.x exporter takes `_total` off a gauge, the 0.x one leaves it.
const RULES: &str = "rules:
- pattern: 'kafka.server<type=KafkaServer, name=BrokerState><>Value'
  name: broker_state_total
  type: GAUGE
";

#[test]
fn rules_make_the_names_of_either_exporter() {
    let home = tempfile::tempdir().unwrap();
    let rules = home.path().join("rules.yml");
    fs::write(&rules, RULES).unwrap();
    for (exporter, series) in [("0.x", "broker_state_total 3.0"), ("1.x", "broker_state 3.0")] {
        let server = Launch::up(home.path())
            .with(&format!("metrics.rules=own={}", rules.display()))
            .with(&format!("metrics.rules.exporter={exporter}"))
            .start();
        for page in ["/metrics", "/metrics/own"] {
            let text = server.page(page);
            assert!(text.lines().any(|line| line == series), "{exporter} {page}: {text}");
        }
    }
}
