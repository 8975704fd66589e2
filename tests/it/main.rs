//! The one integration binary: what is true of the whole checkout and of the running binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers stand outside of `#[test]` functions; a panic, and what was printed before it, \
              is how they report"
)]

mod admin_rule_files;
mod admin_secrets;
mod admin_security;
mod cli_play;
mod cli_script;
mod cli_server;
mod cli_tools;
mod client_quotas;
#[allow(dead_code, reason = "each suite uses a part")]
mod collector;
mod controller_listener;
mod cordoned;
mod crash;
mod crash_aim;
mod crash_check;
mod crash_disk;
mod crash_groups;
mod crash_leftovers;
mod crash_model;
mod crash_topics;
mod crash_writers;
mod damaged_reads;
mod explain;
mod facts;
mod fuzz;
mod gated_disk;
mod hostile_batches;
mod hostile_connections;
mod hostile_fetch;
mod hostile_floods;
mod hostile_frames;
mod hostile_generated;
mod hostile_groups;
mod hostile_http;
mod hostile_telemetry;
mod hostile_topics;
mod hot_keys;
mod life_cycle;
mod listener_limits;
mod native_series;
mod pki;
mod recovery_threads;
mod reload;
mod rule_names;
mod rules_check;
mod settings;
mod signals;
mod slow_disk;
#[allow(dead_code, reason = "each suite uses a part")]
mod start_process;
mod start_refusals;
#[allow(dead_code, reason = "each suite uses a part")]
mod start_wire;
mod tables;
mod tidy;
mod topic_settings;
mod tracing;
mod truth;
