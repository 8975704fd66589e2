//! `kafka-get-offsets`: offsets of partitions by time (org.apache.kafka.tools.GetOffsetShell).

use anyhow::{Result, anyhow, bail};
use pharos_base::TopicPartition;
use pharos_client::admin::OffsetSpec;
use pharos_client::{Admin, TopicMetadata};
use regex::Regex;

use crate::args::{Args, BOOTSTRAP, COMMAND_CONFIG, Spec, switch, value};
use crate::common::{admin_properties, block_on, include_list};
use crate::io::Io;

/// What the tool takes.
pub const SPEC: Spec = Spec {
    about: "An interactive shell for getting topic-partition offsets.",
    commands: &[],
    flags: &[
        BOOTSTRAP,
        value("broker-list", "String: broker-list", "The old name of --bootstrap-server."),
        COMMAND_CONFIG,
        value("topic", "String: topic", "A regular expression of topics."),
        value("topic-partitions", "String: topic1:1,topic2:0-3,...", "Patterns of partitions."),
        value("partitions", "String: partition ids", "Partitions, separated by commas."),
        value(
            "time",
            "String: timestamp or -1/latest, -2/earliest, -3/max-timestamp, -4/earliest-local, \
             -5/latest-tiered, -6/earliest-pending-upload",
            "Which offset (default: latest).",
        ),
        switch("exclude-internal-topics", "Leave the cluster's own topics out."),
    ],
};

/// Runs the tool.
pub fn run(args: &Args, io: &mut Io<'_>) -> Result<i32> {
    if !args.has("broker-list") {
        args.required("bootstrap-server")?;
    }
    block_on(print(args, io)).map_err(|error| anyhow!("Error occurred: {error:#}"))?;
    Ok(0)
}

async fn print(args: &Args, io: &mut Io<'_>) -> Result<()> {
    let spec = time(args.one("time")?.unwrap_or("latest"))?;
    let filter = Filter::parse(args)?;
    let mut properties = match args.one("broker-list")? {
        Some(servers) if !args.has("bootstrap-server") => {
            let mut properties = match args.one("command-config")? {
                Some(file) => pharos_client::Properties::read(file)?,
                None => pharos_client::Properties::new(),
            };
            properties.set("bootstrap.servers", servers);
            properties
        }
        _ => admin_properties(args)?,
    };
    properties.set_default("client.id", "GetOffsetShell");
    let admin = Admin::from_properties(&properties)?;
    let cluster = admin.cluster();
    let metadata = cluster.retry("listing topics", || cluster.refresh(None, false)).await?;
    let mut wanted: Vec<(TopicPartition, OffsetSpec)> = Vec::new();
    for (name, topic) in &metadata.topics {
        let of_topic = topic.partitions.iter().map(|p| p.partition.0);
        let matching = of_topic.filter(|partition| filter.takes(name, topic, *partition));
        wanted.extend(matching.map(|p| (TopicPartition::new(name.as_str(), p), spec)));
    }
    if wanted.is_empty() {
        bail!("Could not match any topic-partitions with the specified filters");
    }
    // Kafka orders by the text of the partition: 1, 10, 2.
    wanted.sort_by_cached_key(|(p, _)| (p.topic.clone(), p.partition.to_string()));
    let found = admin.list_offsets(&wanted, false).await;
    for (partition, _) in wanted {
        match found.get(&partition) {
            Some(Ok(listed)) if listed.offset.0 >= 0 => {
                io.line(format!("{}:{}:{}", partition.topic, partition.partition, listed.offset))?
            }
            Some(Err(error)) => io.warn(format!(
                "Skip getting offsets for topic-partition {partition} due to error: {error}"
            )),
            Some(Ok(_)) | None => {}
        }
    }
    Ok(())
}

fn time(text: &str) -> Result<OffsetSpec> {
    Ok(match text {
        "latest" | "-1" => OffsetSpec::Latest,
        "earliest" | "-2" => OffsetSpec::Earliest,
        "max-timestamp" | "-3" => OffsetSpec::MaxTimestamp,
        "earliest-local" | "-4" => OffsetSpec::EarliestLocal,
        "latest-tiered" | "-5" => OffsetSpec::LatestTiered,
        "earliest-pending-upload" | "-6" => OffsetSpec::EarliestPendingUpload,
        _ => OffsetSpec::Timestamp(text.parse().map_err(|_| {
            anyhow!(
                "Malformed time argument {text}. Please use -1 or latest / -2 or earliest / -3 or \
                 max-timestamp / -4 or earliest-local / -5 or latest-tiered / -6 or \
                 earliest-pending-upload, or a specified long format timestamp"
            )
        })?),
    })
}

/// Which partitions are shown.
struct Filter {
    rules: Vec<(Option<Regex>, Partitions)>,
    exclude_internal: bool,
}

/// Indexes from `from` up to, but not including, `to`.
struct Partitions {
    from: i32,
    to: i32,
}

impl Partitions {
    const ALL: Self = Self { from: 0, to: i32::MAX };
}

impl Filter {
    fn parse(args: &Args) -> Result<Self> {
        if args.has("topic-partitions") && (args.has("topic") || args.has("partitions")) {
            bail!("--topic-partitions cannot be used with --topic or --partitions");
        }
        let rules = match args.one("topic-partitions")? {
            Some(text) => text.split(',').map(rule).collect::<Result<_>>()?,
            None => {
                let topic = args.one("topic")?;
                let pattern = || topic.map(include_list).transpose();
                match args.one("partitions")? {
                    None | Some("") => vec![(pattern()?, Partitions::ALL)],
                    Some(list) => list
                        .split(',')
                        .map(|id| {
                            let id: i32 = id.trim().parse().map_err(|_| {
                                anyhow!(
                                    "--partitions expects a comma separated list of numeric \
                                     partition ids, but received: {list}"
                                )
                            })?;
                            Ok((pattern()?, Partitions { from: id, to: id.saturating_add(1) }))
                        })
                        .collect::<Result<_>>()?,
                }
            }
        };
        Ok(Self { rules, exclude_internal: args.has("exclude-internal-topics") })
    }

    fn takes(&self, name: &str, topic: &TopicMetadata, partition: i32) -> bool {
        !(self.exclude_internal && topic.internal)
            && self.rules.iter().any(|(pattern, range)| {
                pattern.as_ref().is_none_or(|pattern| pattern.is_match(name))
                    && (range.from..range.to).contains(&partition)
            })
    }
}

/// Reads `pattern`, `pattern:5`, `pattern:1-3`, `pattern:-3`, `pattern:1-`, `:5`.
fn rule(text: &str) -> Result<(Option<Regex>, Partitions)> {
    let (pattern, range) = text.split_once(':').unwrap_or((text, ""));
    let invalid = || anyhow!("Invalid rule specification: {text}");
    let number = |text: &str, default: i32| match text {
        "" => Ok(default),
        digits => digits.parse().map_err(|_| invalid()),
    };
    let pattern = if pattern.is_empty() { None } else { Some(include_list(pattern)?) };
    let range = match range.split_once('-') {
        Some((from, to)) => Partitions { from: number(from, 0)?, to: number(to, i32::MAX)? },
        None if range.is_empty() => Partitions::ALL,
        None => {
            let only: i32 = range.parse().map_err(|_| invalid())?;
            Partitions { from: only, to: only.saturating_add(1) }
        }
    };
    Ok((pattern, range))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_partitions() {
        for (text, inside, outside) in [
            ("t:1-3", ("t", 2), ("t", 3)),
            ("t:5", ("t", 5), ("t", 4)),
            ("t.*:-2", ("tt", 0), ("tt", 2)),
            ("t:1-", ("t", 9), ("t", 0)),
            (":5", ("any", 5), ("any", 6)),
            ("t", ("t", 0), ("u", 0)),
        ] {
            let (pattern, range) = rule(text).unwrap();
            let takes = |(name, partition): (&str, i32)| {
                pattern.as_ref().is_none_or(|p| p.is_match(name))
                    && (range.from..range.to).contains(&partition)
            };
            assert!(takes(inside) && !takes(outside), "{text}");
        }
        assert!(rule("t:x").is_err());
    }
}
