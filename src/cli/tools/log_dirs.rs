//! `kafka-log-dirs`: what lies in the brokers' log directories, as JSON
//! (org.apache.kafka.tools.LogDirsCommand).

use std::collections::BTreeSet;

use anyhow::{Result, anyhow, bail};
use pharos_base::BrokerId;
use pharos_client::Admin;
use pharos_client::admin::DescribedLogDir;

use crate::args::{Args, BOOTSTRAP, COMMAND_CONFIG, Spec, switch, value};
use crate::common::{admin, block_on, exception, join_ids};
use crate::io::Io;

/// What the tool takes.
pub const SPEC: Spec = Spec {
    about: "This tool helps to query log directory usage on the specified brokers.",
    commands: &[],
    flags: &[
        BOOTSTRAP,
        COMMAND_CONFIG,
        switch("describe", "Describe the log directories."),
        value("topic-list", "String: Topic list", "Topics, separated by commas; all if left out."),
        value("broker-list", "String: Broker list", "Brokers, separated by commas."),
    ],
};

/// Runs the tool.
pub fn run(args: &Args, io: &mut Io<'_>) -> Result<i32> {
    args.required("bootstrap-server")?;
    if !args.has("describe") {
        bail!("Missing required argument \"[describe]\"");
    }
    let topics: BTreeSet<&str> = list(args, "topic-list")?.collect();
    let brokers: BTreeSet<BrokerId> = list(args, "broker-list")?
        .map(|id| id.trim().parse().map(BrokerId))
        .collect::<Result<_, _>>()
        .map_err(|_| anyhow!("--broker-list takes broker ids separated by commas"))?;
    let admin = admin(args)?;
    block_on(describe(&admin, &topics, brokers, io))?;
    Ok(0)
}

fn list<'a>(args: &'a Args, flag: &str) -> Result<impl Iterator<Item = &'a str> + use<'a>> {
    Ok(args.one(flag)?.unwrap_or("").split(',').filter(|entry| !entry.is_empty()))
}

async fn describe(
    admin: &Admin,
    topics: &BTreeSet<&str>,
    brokers: BTreeSet<BrokerId>,
    io: &mut Io<'_>,
) -> Result<()> {
    let live: BTreeSet<BrokerId> =
        admin.cluster().nodes().await?.into_iter().map(|node| node.id).collect();
    let missing: Vec<_> = brokers.difference(&live).copied().collect();
    let join = |ids: &BTreeSet<BrokerId>| join_ids(&ids.iter().copied().collect::<Vec<_>>());
    if !missing.is_empty() {
        bail!(
            "ERROR: The given brokers do not exist from --broker-list: {}. Current existent \
             brokers: {}",
            join_ids(&missing),
            join(&live)
        );
    }
    let asked = if brokers.is_empty() { live } else { brokers };
    io.line("Querying brokers for log directories information")?;
    let mut described = Vec::new();
    for broker in &asked {
        described.push((*broker, admin.describe_log_dirs(*broker, None).await?));
    }
    io.line(format!("Received log directory information from brokers {}", join(&asked)))?;
    Ok(io.line(json(&described, topics))?)
}

/// Kafka's fields in Kafka's order, which a map of another kind would not keep.
fn json(described: &[(BrokerId, Vec<DescribedLogDir>)], topics: &BTreeSet<&str>) -> String {
    let dir = |dir: &DescribedLogDir| {
        let mut partitions: Vec<_> = dir
            .partitions
            .iter()
            .filter(|(p, ..)| topics.is_empty() || topics.contains(&*p.topic))
            .collect();
        partitions.sort_by(|a, b| a.0.cmp(&b.0));
        let partitions: Vec<_> = partitions
            .into_iter()
            .map(|(name, size, lag, future)| {
                format!(
                    "{{\"partition\":{},\"size\":{size},\"offsetLag\":{lag},\"isFuture\":{future}}}",
                    quoted(&name.to_string())
                )
            })
            .collect();
        let error = dir.error.as_ref().and_then(pharos_client::ClientError::code);
        format!(
            "{{\"partitions\":[{}],\"error\":{},\"logDir\":{}}}",
            partitions.join(","),
            error.map_or_else(|| "null".to_owned(), |code| quoted(&exception(code))),
            quoted(&dir.path)
        )
    };
    let brokers: Vec<_> = described
        .iter()
        .map(|(id, dirs)| {
            let dirs: Vec<_> = dirs.iter().map(dir).collect();
            format!("{{\"broker\":{id},\"logDirs\":[{}]}}", dirs.join(","))
        })
        .collect();
    format!("{{\"brokers\":[{}],\"version\":1}}", brokers.join(","))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use pharos_base::TopicPartition;

    use super::*;

    #[test]
    fn the_json_has_kafkas_fields_in_kafkas_order() {
        let dir = DescribedLogDir {
            path: "/tmp/data".to_owned(),
            error: None,
            partitions: vec![
                (TopicPartition::new("t", 1), 5, 0, false),
                (TopicPartition::new("other", 0), 7, 0, false),
                (TopicPartition::new("t", 0), 83, 2, true),
            ],
        };
        let expected = "{\"brokers\":[{\"broker\":1,\"logDirs\":[{\"partitions\":[{\"partition\":\
             \"t-0\",\"size\":83,\"offsetLag\":2,\"isFuture\":true},{\"partition\":\"t-1\",\
             \"size\":5,\"offsetLag\":0,\"isFuture\":false}],\"error\":null,\"logDir\":\
             \"/tmp/data\"}]}],\"version\":1}";
        assert_eq!(json(&[(BrokerId(1), vec![dir])], &BTreeSet::from(["t"])), expected);
    }
}
