//! The table of tools.

mod broker_api_versions;
mod client_metrics;
mod cluster;
mod configs;
mod console_consumer;
mod console_producer;
mod consumer_groups;
mod consumer_perf_test;
mod delete_records;
mod dump_log;
mod features;
mod get_offsets;
mod groups;
#[cfg(test)]
mod hostile_tests;
mod install;
mod log_dirs;
mod metadata_quorum;
mod producer_perf_test;
mod server;
mod storage;
mod topics;

use std::path::Path;

use anyhow::{Result, bail};

use crate::args::{Args, Spec};
use crate::io::Io;

/// Version of Kafka whose tools these are.
const KAFKA_VERSION: &str = "4.3.1";

/// One tool.
pub struct Tool {
    name: &'static str,
    spec: &'static Spec,
    run: fn(&Args, &mut Io<'_>) -> Result<i32>,
}

const TOOLS: &[Tool] = &[
    Tool {
        name: "broker-api-versions",
        spec: &broker_api_versions::SPEC,
        run: broker_api_versions::run,
    },
    Tool { name: "client-metrics", spec: &client_metrics::SPEC, run: client_metrics::run },
    Tool { name: "cluster", spec: &cluster::SPEC, run: cluster::run },
    Tool { name: "configs", spec: &configs::SPEC, run: configs::run },
    Tool { name: "console-consumer", spec: &console_consumer::SPEC, run: console_consumer::run },
    Tool { name: "console-producer", spec: &console_producer::SPEC, run: console_producer::run },
    Tool { name: "consumer-groups", spec: &consumer_groups::SPEC, run: consumer_groups::run },
    Tool {
        name: "consumer-perf-test",
        spec: &consumer_perf_test::SPEC,
        run: consumer_perf_test::run,
    },
    Tool { name: "delete-records", spec: &delete_records::SPEC, run: delete_records::run },
    Tool { name: "dump-log", spec: &dump_log::SPEC, run: dump_log::run },
    Tool { name: "features", spec: &features::SPEC, run: features::run },
    Tool { name: "get-offsets", spec: &get_offsets::SPEC, run: get_offsets::run },
    Tool { name: "groups", spec: &groups::SPEC, run: groups::run },
    Tool { name: "log-dirs", spec: &log_dirs::SPEC, run: log_dirs::run },
    Tool { name: "metadata-quorum", spec: &metadata_quorum::SPEC, run: metadata_quorum::run },
    Tool {
        name: "producer-perf-test",
        spec: &producer_perf_test::SPEC,
        run: producer_perf_test::run,
    },
    Tool { name: "server-start", spec: &server::START, run: server::start },
    Tool { name: "server-stop", spec: &server::STOP, run: server::stop },
    Tool { name: "storage", spec: &storage::SPEC, run: storage::run },
    Tool { name: "tools", spec: &install::SPEC, run: install::run },
    Tool { name: "topics", spec: &topics::SPEC, run: topics::run },
];

/// Tools of Kafka that are not here yet, and what they wait for.
const LATER: &[(&str, &str)] = &[
    ("acls", "access control lists"),
    ("connect-mirror-maker", "mirrored clusters"),
    ("console-share-consumer", "share groups"),
    ("delegation-tokens", "delegation tokens"),
    ("leader-election", "several brokers"),
    ("preferred-replica-election", "several brokers"),
    ("reassign-partitions", "several brokers"),
    ("replica-verification", "several brokers"),
    ("share-groups", "share groups"),
    ("streams-groups", "streams groups"),
    ("transactions", "transactions"),
];

/// The name without folder, `kafka-` and `.sh`.
pub fn bare_name(word: &str) -> &str {
    let file = Path::new(word).file_name().and_then(|name| name.to_str()).unwrap_or(word);
    let file = file.strip_suffix(".sh").unwrap_or(file);
    file.strip_prefix("kafka-").unwrap_or(file)
}

/// The tool of that bare name.
pub fn find(name: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.name == name)
}

/// What a tool that is not here yet waits for.
pub fn of_later(name: &str) -> Option<&'static str> {
    LATER.iter().find(|(later, _)| *later == name).map(|(_, what)| *what)
}

/// Bare names in order.
pub fn names() -> impl Iterator<Item = &'static str> {
    TOOLS.iter().map(|tool| tool.name)
}

/// The command of a tool that has commands: its first word.
///
/// # Errors
/// When there is none, or one that the table does not know.
pub fn command(args: &Args, spec: &Spec) -> Result<&'static str> {
    let names: Vec<&str> = spec.commands.iter().map(|(name, _)| *name).collect();
    let Some(word) = args.words.first() else {
        bail!("too few arguments: give one of {}", names.join(", "))
    };
    match spec.commands.iter().find(|(name, _)| name == word) {
        Some((name, _)) => Ok(name),
        None => bail!("invalid choice: '{word}' (choose from '{}')", names.join("', '")),
    }
}

/// Parses and runs; `--help` and `--version` are answered here.
///
/// # Errors
/// One sentence for the user.
pub fn run(tool: &Tool, arguments: &[String], io: &mut Io<'_>) -> Result<i32> {
    if arguments.is_empty() && tool.spec.commands.is_empty() {
        // Kafka's tools answer a bare name with their usage, as a failure.
        let help = tool.spec.help();
        io.warn(help.trim_end());
        return Ok(1);
    }
    let args = tool.spec.parse(arguments)?;
    if args.has("help") {
        io.out.write_all(tool.spec.help().as_bytes())?;
        return Ok(0);
    }
    if args.has("version") {
        io.line(KAFKA_VERSION)?;
        return Ok(0);
    }
    (tool.run)(&args, io)
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod table_tests {
    use super::*;

    #[test]
    fn every_way_to_name_a_tool() {
        for word in ["topics", "kafka-topics", "kafka-topics.sh", "/opt/kafka/bin/kafka-topics.sh"]
        {
            assert_eq!(bare_name(word), "topics");
        }
    }

    #[test]
    fn the_tables_are_sorted_and_disjoint() {
        assert!(TOOLS.iter().map(|tool| tool.name).is_sorted());
        assert!(LATER.iter().map(|(name, _)| name).is_sorted());
        assert!(TOOLS.iter().all(|tool| of_later(tool.name).is_none()));
    }

    #[test]
    fn every_flag_of_kafkas_tools_is_here() {
        // Written by tests/golden/cli/capture/flags.py from the help of Kafka's tools.
        let rows = include_str!("../../../tests/golden/cli/flags.tsv").lines().skip(1);
        for row in rows.filter(|row| !row.contains("\thelp\t") && !row.contains("\tversion\t")) {
            let fields: Vec<_> = row.split('\t').collect();
            let flags = find(fields[0]).unwrap().spec.flags;
            let found = flags.iter().find(|flag| flag.name == fields[1]);
            let takes = match found.unwrap_or_else(|| panic!("{row} is missing")).takes {
                crate::args::Takes::Nothing => "no",
                crate::args::Takes::Value(_) => "yes",
                crate::args::Takes::Maybe(_) => "maybe",
            };
            assert_eq!(takes, fields[2], "{row}");
        }
    }

    #[test]
    fn every_flag_has_a_sentence() {
        for tool in TOOLS {
            for flag in tool.spec.flags {
                assert!(flag.doc.ends_with('.'), "{} --{}", tool.name, flag.name);
                let same = tool.spec.flags.iter().filter(|other| other.name == flag.name);
                assert_eq!(same.count(), 1, "{} --{}", tool.name, flag.name);
            }
        }
    }
}
