//! The boards and rules that are compiled in.

macro_rules! texts {
    ($folder:literal: $($file:literal)*) => {
        &[$((concat!($folder, "/", $file), include_str!(concat!("../../", $folder, "/", $file)))),*]
    };
}

/// Files and texts of boards.
pub(crate) const BOARDS: &[(&str, &str)] = texts!("grafana/dashboards":
    "clients.json"
    "disk.json"
    "groups.json"
    "home.json"
    "latency.json"
    "network.json"
    "replication.json"
    "scrape.json"
    "skew.json"
    "slo.json"
    "throughput.json"
    "topics.json"
);

/// Files and texts of Prometheus' rules.
pub const RULES: &[(&str, &str)] = texts!("prometheus/rules":
    "absence.yml"
    "brokers.yml"
    "controller.yml"
    "disk.yml"
    "groups.yml"
    "objectives.yml"
    "partitions.yml"
    "records.yml"
    "requests.yml"
    "scrape.yml"
    "slo.yml"
    "traffic.yml"
);
