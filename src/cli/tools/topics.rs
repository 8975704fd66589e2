//! `kafka-topics`: create, list, describe, alter and delete topics
//! (org.apache.kafka.tools.TopicCommand).

mod view;

use std::collections::{BTreeSet, HashMap};

use anyhow::{Result, anyhow, bail};
use pharos_base::{BrokerId, TopicId};
use pharos_client::Admin;
use pharos_client::admin::{
    ConfigResource, NewTopic, PartitionDescription, ResourceKind, TopicDescription, TopicName,
};
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::list_partition_reassignments_response::OngoingPartitionReassignment;

use self::view::View;
use crate::args::{Args, BOOTSTRAP, COMMAND_CONFIG, Spec, switch, value};
use crate::common::{admin, block_on, include_list, join_ids};
use crate::io::Io;

/// Partitions per answer unless told otherwise.
const PAGE: i32 = 2000;

/// Reports of `--describe` that show only some partitions.
const REPORTS: [&str; 4] = [
    "under-replicated-partitions",
    "unavailable-partitions",
    "under-min-isr-partitions",
    "at-min-isr-partitions",
];

/// What the tool takes.
pub const SPEC: Spec = Spec {
    about: "This tool helps to create, delete, describe, or change a topic.",
    commands: &[],
    flags: &[
        BOOTSTRAP,
        COMMAND_CONFIG,
        switch("list", "List all available topics."),
        switch("create", "Create a new topic."),
        switch("delete", "Delete a topic."),
        switch("alter", "Alter the number of partitions and their replicas."),
        switch("describe", "List details of the given topics."),
        value("topic", "String: topic", "The topic; a regular expression except with --create."),
        value("topic-id", "String: topic-id", "The id of the topic to describe."),
        value("config", "String: name=value", "A configuration of the topic being created."),
        value("delete-config", "String: name", "No longer supported: use kafka-configs."),
        value("partitions", "Integer: # of partitions", "The number of partitions."),
        value("replication-factor", "Integer: replication factor", "Replicas of each partition."),
        value(
            "replica-assignment",
            "String: broker:broker,broker:broker,...",
            "Brokers of each partition by hand.",
        ),
        switch("under-replicated-partitions", "Describe only partitions that lack replicas."),
        switch("unavailable-partitions", "Describe only partitions without a live leader."),
        switch("under-min-isr-partitions", "Describe only partitions below min.insync.replicas."),
        switch("at-min-isr-partitions", "Describe only partitions at min.insync.replicas."),
        switch("topics-with-overrides", "Describe only topics with a configuration of their own."),
        switch("if-exists", "Do nothing when the topic does not exist."),
        switch("if-not-exists", "Do not fail when the topic exists already."),
        switch("exclude-internal", "Leave the cluster's own topics out."),
        value(
            "partition-size-limit-per-response",
            "Integer: maximum number of partitions per response",
            "Partitions of one answer.",
        ),
    ],
};

/// Runs the tool.
pub fn run(args: &Args, io: &mut Io<'_>) -> Result<i32> {
    let action = check(args, io)?;
    let admin = admin(args)?;
    let work = async {
        match action {
            "create" => create(args, &admin, io).await,
            "alter" => alter(args, &admin).await,
            "list" => list(args, &admin, io).await,
            "describe" => describe(args, &admin, io).await,
            _ => delete(args, &admin).await,
        }
    };
    block_on(work).map_err(|error| anyhow!("Error while executing topic command : {error:#}"))?;
    Ok(0)
}

fn check(args: &Args, io: &mut Io<'_>) -> Result<&'static str> {
    let action = args.action(
        &["create", "list", "alter", "describe", "delete"],
        "Command must include exactly one action: --list, --describe, --create, --alter or --delete",
    )?;
    if args.has("delete-config") {
        io.warn("delete-config is no longer supported: use kafka-configs");
    }
    if !args.has("bootstrap-server") {
        bail!("--bootstrap-server must be specified");
    }
    if action == "describe" && args.has("if-exists") && !args.has("topic") && !args.has("topic-id")
    {
        bail!("--topic or --topic-id is required to describe a topic");
    }
    if !matches!(action, "list" | "describe") {
        args.required("topic")?;
    }
    if action == "alter" {
        if args.has("config") {
            bail!(
                "Option combination \"[[bootstrap-server], [config]]\" can't be used with option \
                 \"[alter]\" (To alter topic configurations, the kafka-configs tool can be used.)"
            );
        }
        args.required("partitions")?;
    }
    let rows: [(&str, &[&str]); 8] = [
        ("config", &["list", "describe", "delete"]),
        ("partitions", &["list", "describe", "delete"]),
        ("replication-factor", &["list", "describe", "delete", "alter"]),
        ("replica-assignment", &["list", "describe", "delete"]),
        ("if-exists", &["list", "create"]),
        ("if-not-exists", &["list", "describe", "delete", "alter"]),
        ("exclude-internal", &["create", "delete", "alter"]),
        ("topics-with-overrides", &["create", "list", "delete", "alter"]),
    ];
    rows.iter().try_for_each(|(name, others)| args.refuse_beside(name, others))?;
    if action == "create" {
        args.refuse_beside("replica-assignment", &["partitions", "replication-factor"])?;
    }
    for report in REPORTS {
        args.refuse_beside(report, &["create", "list", "delete", "alter"])?;
        args.refuse_beside(report, &["topics-with-overrides"])?;
    }
    Ok(action)
}

/// A topic that the flags describe.
fn new_topic(args: &Args) -> Result<NewTopic> {
    let replication_factor: Option<i64> = args.parsed("replication-factor")?;
    let replication_factor = match replication_factor.map(i16::try_from) {
        None => None,
        Some(Ok(factor)) if factor >= 1 => Some(factor),
        Some(_) => bail!("The replication factor must be between 1 and {} inclusive", i16::MAX),
    };
    let partitions: Option<i32> = args.parsed("partitions")?;
    if partitions.is_some_and(|count| count < 1) {
        bail!("The partitions must be greater than 0");
    }
    let mut configs = Vec::new();
    for pair in args.values("config") {
        match pair.split_once('=') {
            Some((name, value)) => configs.push((name.trim().into(), value.trim().into())),
            None => bail!(
                "requirement failed: Invalid topic config: all configs to be added must be in the \
                 format \"key=val\"."
            ),
        }
    }
    Ok(NewTopic {
        name: args.required("topic")?.to_owned(),
        partitions,
        replication_factor,
        assignments: match args.one("replica-assignment")? {
            Some(text) => parse_assignment(text)?,
            None => Vec::new(),
        },
        configs,
    })
}

/// Reads `1:2,2:3`: the brokers of partition 0, of partition 1, ...
fn parse_assignment(text: &str) -> Result<Vec<Vec<BrokerId>>> {
    let mut partitions: Vec<Vec<BrokerId>> = Vec::new();
    for (index, list) in text.split(',').enumerate() {
        let brokers: Vec<BrokerId> = list
            .split(':')
            .map(|id| id.trim().parse().map(BrokerId))
            .collect::<Result<_, _>>()
            .map_err(|_| anyhow!("{list} is no list of broker ids separated by colons"))?;
        let twice: BTreeSet<_> = brokers
            .iter()
            .filter(|broker| brokers.iter().filter(|other| other == broker).count() > 1)
            .collect();
        if !twice.is_empty() {
            let twice: Vec<BrokerId> = twice.into_iter().copied().collect();
            bail!(
                "Partition replica lists may not contain duplicate entries: {}",
                join_ids(&twice)
            );
        }
        if partitions.first().is_some_and(|first| first.len() != brokers.len()) {
            bail!(
                "Partition {index} has different replication factor: [{}]",
                join_ids(&brokers).replace(',', ", ")
            );
        }
        partitions.push(brokers);
    }
    Ok(partitions)
}

async fn create(args: &Args, admin: &Admin, io: &mut Io<'_>) -> Result<()> {
    let topic = new_topic(args)?;
    if topic.name.contains(['.', '_']) {
        io.line(
            "WARNING: Due to limitations in metric names, topics with a period ('.') or \
             underscore ('_') could collide. To avoid issues it is best to use either, but not both.",
        )?;
    }
    let name = topic.name.clone();
    for (_, outcome) in admin.create_topics(&[topic], false).await? {
        match outcome {
            Err(error)
                if error.code() == Some(ErrorCode::TopicAlreadyExists)
                    && args.has("if-not-exists") => {}
            Err(error) => return Err(error.into()),
            Ok(()) => io.line(format!("Created topic {name}."))?,
        }
    }
    Ok(())
}

/// Topics that `--topic` selects: all of them without it.
async fn select(args: &Args, admin: &Admin) -> Result<Vec<String>> {
    let all = admin.list_topics().await?;
    let exclude = args.has("exclude-internal");
    let pattern = args.one("topic")?.map(include_list).transpose()?;
    let wanted = all.into_iter().filter(|(name, internal)| {
        !(exclude && *internal) && pattern.as_ref().is_none_or(|pattern| pattern.is_match(name))
    });
    Ok(wanted.map(|(name, _)| name).collect())
}

async fn select_existing(args: &Args, admin: &Admin) -> Result<Vec<String>> {
    let topics = select(args, admin).await?;
    match args.one("topic")? {
        Some(topic) if topics.is_empty() && !args.has("if-exists") => {
            bail!("Topic '{topic}' does not exist as expected")
        }
        _ => Ok(topics),
    }
}

async fn list(args: &Args, admin: &Admin, io: &mut Io<'_>) -> Result<()> {
    Ok(io.line(select(args, admin).await?.join("\n"))?)
}

async fn alter(args: &Args, admin: &Admin) -> Result<()> {
    let wanted = new_topic(args)?;
    let count = wanted.partitions.unwrap_or_default();
    for topic in select_existing(args, admin).await? {
        let assignments = if wanted.assignments.is_empty() {
            None
        } else {
            let described = admin.describe_topics(std::slice::from_ref(&topic), PAGE).await?;
            let mut existing = 0;
            for (_, outcome) in described {
                existing = outcome?.partitions.len();
            }
            Some(wanted.assignments.iter().skip(existing).cloned().collect())
        };
        admin.create_partitions(&topic, count, assignments).await?;
    }
    Ok(())
}

async fn delete(args: &Args, admin: &Admin) -> Result<()> {
    let topics = select_existing(args, admin).await?;
    let topics: Vec<_> = topics.into_iter().map(TopicName::Name).collect();
    if topics.is_empty() {
        return Ok(());
    }
    for (_, outcome) in admin.delete_topics(&topics).await? {
        outcome?;
    }
    Ok(())
}

async fn describe(args: &Args, admin: &Admin, io: &mut Io<'_>) -> Result<()> {
    let topics = described(args, admin, io).await?;
    let resources: Vec<_> = topics
        .iter()
        .map(|topic| ConfigResource::new(ResourceKind::Topic, topic.name.clone()))
        .collect();
    let mut configs = HashMap::new();
    if !resources.is_empty() {
        for (resource, outcome) in admin.describe_configs(&resources).await? {
            configs.insert(resource.name, outcome?);
        }
    }
    let live = admin.cluster().nodes().await?.into_iter().map(|node| node.id).collect();
    let moving = reassignments(admin).await?;
    let view = View {
        reports: REPORTS.into_iter().filter(|report| args.has(report)).collect(),
        overrides_only: args.has("topics-with-overrides"),
        live,
    };
    for topic in &topics {
        let configs = configs.get(&topic.name).map_or(&[][..], Vec::as_slice);
        let moves = |partition: &PartitionDescription| {
            moving.get(&(topic.name.clone(), partition.partition.0))
        };
        for line in view.lines(topic, configs, moves) {
            io.line(line)?;
        }
    }
    Ok(())
}

async fn described(args: &Args, admin: &Admin, io: &mut Io<'_>) -> Result<Vec<TopicDescription>> {
    if args.has("topic") && args.has("topic-id") && args.has("if-exists") {
        io.line(
            "Only topic id will be used when both --topic and --topic-id are specified and topicId \
             is not Uuid.ZERO_UUID",
        )?;
    }
    if let Some(text) = args.one("topic-id")? {
        let id = TopicId::parse(text).ok_or_else(|| {
            anyhow!(
                "Input string `{text}` decoded as {} bytes, which is not equal to the expected 16 \
                 bytes of a base64-encoded UUID",
                text.len() * 3 / 4
            )
        })?;
        if id != TopicId::ZERO {
            return match admin.describe_topics_by_id(&[id]).await {
                Err(error) if error.code() == Some(ErrorCode::UnknownTopicId) => {
                    if args.has("if-exists") {
                        return Ok(Vec::new());
                    }
                    bail!("TopicId '{text}' does not exist as expected")
                }
                outcome => Ok(outcome?),
            };
        }
    }
    let names = select_existing(args, admin).await?;
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let page = args.parsed("partition-size-limit-per-response")?.unwrap_or(PAGE);
    let mut topics = Vec::new();
    for (_, outcome) in admin.describe_topics(&names, page).await? {
        topics.push(outcome?);
    }
    Ok(topics)
}

type Moves = HashMap<(String, i32), OngoingPartitionReassignment>;

/// Partitions that are being moved; a broker that cannot tell moves none.
async fn reassignments(admin: &Admin) -> Result<Moves> {
    let Ok(response) = admin.list_reassignments().await else { return Ok(Moves::new()) };
    let mut moves = Moves::new();
    for topic in response.topics {
        for partition in topic.partitions {
            moves.insert((topic.name.clone(), partition.partition_index), partition);
        }
    }
    Ok(moves)
}
