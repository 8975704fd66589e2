//! `kafka-console-consumer`: records become lines
//! (org.apache.kafka.tools.consumer.ConsoleConsumer).

use std::time::Duration;

use anyhow::{Context, Result, bail};
use pharos_base::{Offset, TopicPartition};
use pharos_client::{Consumer, ConsumerConfig, ConsumerRecord, Properties};
use tokio::time::Instant;

use crate::args::{Args, BOOTSTRAP, COMMAND_CONFIG, Spec, switch, value};
use crate::common::block_on;
use crate::console::Formatter;
use crate::io::Io;

/// What the tool takes.
pub const SPEC: Spec = Spec {
    about: "This tool helps to read data from Kafka topics and outputs it to standard output.",
    commands: &[],
    flags: &[
        BOOTSTRAP,
        COMMAND_CONFIG,
        value("consumer.config", "String: config file", "The old name of --command-config."),
        value(
            "command-property",
            "String: consumer_prop",
            "A property of the consumer, key=value.",
        ),
        value("consumer-property", "String: consumer_prop", "The old name of --command-property."),
        value("topic", "String: topic", "The topic to consume from."),
        value("include", "String: Java regex (String)", "A pattern of topics to consume from."),
        value("whitelist", "String: Java regex (String)", "The old name of --include."),
        value("partition", "Integer: partition", "The partition to consume from."),
        value("offset", "String: consume offset", "A number, earliest or latest (the default)."),
        value("group", "String: consumer group id", "The consumer group."),
        switch("from-beginning", "Start with the first record when nothing is committed."),
        value("max-messages", "Integer: num_messages", "Records to read before the end."),
        value("timeout-ms", "Long: timeout_ms", "End when no record comes for so long."),
        value("formatter", "String: class", "How records are shown."),
        value("formatter-property", "String: prop", "A property of the formatter, key=value."),
        value("property", "String: prop", "The old name of --formatter-property."),
        value("formatter-config", "String: config file", "File of properties for the formatter."),
        value("key-deserializer", "String: deserializer for keys", "How keys are read."),
        value("value-deserializer", "String: deserializer for values", "How values are read."),
        value("isolation-level", "String", "read_committed or read_uncommitted (the default)."),
        switch("skip-message-on-error", "Go on after a record that cannot be shown."),
        switch("enable-systest-events", "Tell when the consumer has ended."),
    ],
};

/// Where to start in the one partition of `--partition`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Earliest,
    Latest,
    At(i64),
}

/// How records are shown, and how many.
struct View {
    formatter: Formatter,
    /// Negative for all.
    limit: i64,
    /// Go on behind a record that cannot be shown.
    skip_errors: bool,
}

/// What is to be read.
enum Source {
    Topic(String),
    Pattern(String),
    Partition(TopicPartition, Start),
}

/// Runs the tool.
pub fn run(args: &Args, io: &mut Io<'_>) -> Result<i32> {
    let source = source(args)?;
    warn_of_old_names(args, io)?;
    let config = ConsumerConfig::parse(&consumer_properties(args, &source)?)?;
    let view = View {
        formatter: formatter(args)?,
        limit: args.parsed("max-messages")?.unwrap_or(-1),
        skip_errors: args.has("skip-message-on-error"),
    };
    let timeout: Option<i64> = args.parsed("timeout-ms")?;
    let timeout = timeout.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis);
    let mut shown = 0;
    let work = async {
        let mut consumer = Consumer::new(config);
        begin(&mut consumer, &source)?;
        let outcome = read(&mut consumer, &view, timeout, &mut shown, io).await;
        consumer.close().await;
        outcome
    };
    let outcome = block_on(work);
    // Nothing can be done when it fails: the failure is told by the next write.
    let _ = io.out.flush();
    io.warn(format!("Processed a total of {shown} messages"));
    if args.has("enable-systest-events") {
        io.line("shutdown_complete")?;
    }
    outcome.map(|()| 0)
}

fn warn_of_old_names(args: &Args, io: &mut Io<'_>) -> Result<()> {
    let names = [
        ("property", "formatter-property"),
        ("consumer-property", "command-property"),
        ("consumer.config", "command-config"),
    ];
    for (old, new) in names.into_iter().filter(|(old, _)| args.has(old)) {
        io.line(format!(
            "Option --{old} is deprecated and will be removed in a future version. Use --{new} \
             instead."
        ))?;
    }
    Ok(())
}

fn source(args: &Args) -> Result<Source> {
    if !args.has("bootstrap-server") {
        bail!("Missing required argument \"[bootstrap-server]\"");
    }
    let pattern = args.one("include")?.or(args.one("whitelist")?);
    let partition: Option<i32> = args.parsed("partition")?;
    let offset = args.one("offset")?;
    let source = match (args.one("topic")?, pattern, partition) {
        (Some(topic), None, Some(partition)) => Source::Partition(
            TopicPartition::new(topic, partition),
            start(offset, args.has("from-beginning"))?,
        ),
        (Some(topic), None, None) => Source::Topic(topic.to_owned()),
        (None, Some(pattern), None) => Source::Pattern(pattern.to_owned()),
        (Some(_), Some(_), _) | (None, None, _) => {
            bail!("Exactly one of the following arguments is required: [topic], [include]")
        }
        (None, Some(_), Some(_)) => bail!("The topic is required when partition is specified."),
    };
    if offset.is_some() && partition.is_none() {
        bail!("The partition is required when offset is specified.");
    }
    if offset.is_some() && args.has("from-beginning") {
        bail!("Options from-beginning and offset cannot be specified together.");
    }
    Ok(source)
}

fn start(offset: Option<&str>, from_beginning: bool) -> Result<Start> {
    let Some(text) = offset else {
        return Ok(if from_beginning { Start::Earliest } else { Start::Latest });
    };
    match text.to_ascii_lowercase().as_str() {
        "earliest" => Ok(Start::Earliest),
        "latest" => Ok(Start::Latest),
        _ => match text.parse() {
            Ok(offset) if offset >= 0 => Ok(Start::At(offset)),
            _ => bail!(
                "The provided offset value '{text}' is incorrect. Valid values are 'earliest', \
                 'latest', or a non-negative long."
            ),
        },
    }
}

fn consumer_properties(args: &Args, source: &Source) -> Result<Properties> {
    let mut properties = Properties::new();
    for flag in ["consumer.config", "command-config"] {
        if let Some(file) = args.one(flag)? {
            properties.merge(&Properties::read(file)?);
        }
    }
    for flag in ["consumer-property", "command-property"] {
        args.values(flag).try_for_each(|pair| properties.set_pair(pair))?;
    }
    let reset = match (source, args.has("from-beginning")) {
        (Source::Partition(_, Start::Earliest), _) | (_, true) => "earliest",
        _ => "latest",
    };
    if args.has("from-beginning") && properties.get("auto.offset.reset") == Some("latest") {
        bail!(
            "Can't simultaneously specify --from-beginning and 'auto.offset.reset=latest', please \
             remove one option"
        );
    }
    properties.set_default("auto.offset.reset", reset);
    properties.set("bootstrap.servers", args.required("bootstrap-server")?);
    if let Some(level) = args.one("isolation-level")? {
        properties.set("isolation.level", level);
    }
    group(args, &mut properties)?;
    properties.set_default("client.id", "console-consumer");
    Ok(properties)
}

/// The group of the flags and properties, which must agree; a made-up one otherwise, whose offsets
/// nobody needs.
fn group(args: &Args, properties: &mut Properties) -> Result<()> {
    let by_flag = args.one("group")?.map(str::to_owned);
    let by_property = properties.get("group.id").map(str::to_owned);
    match (by_flag, by_property) {
        (Some(flag), Some(property)) if flag != property => bail!(
            "The group ids provided in different places (directly using '--group', via \
             '--consumer-property', or via '--consumer.config') do not match. Detected group ids: \
             '{flag}', '{property}'"
        ),
        (Some(group), _) | (None, Some(group)) => properties.set("group.id", group),
        (None, None) => {
            let made_up = format!("console-consumer-{}", rand::random_range(0..100_000));
            properties.set("group.id", made_up);
            properties.set_default("enable.auto.commit", "false");
        }
    }
    Ok(())
}

fn formatter(args: &Args) -> Result<Formatter> {
    let mut properties = match args.one("formatter-config")? {
        Some(file) => Properties::read(file)?,
        None => Properties::new(),
    };
    for flag in ["property", "formatter-property"] {
        args.values(flag).try_for_each(|pair| properties.set_pair(pair))?;
    }
    for (flag, name) in
        [("key-deserializer", "key.deserializer"), ("value-deserializer", "value.deserializer")]
    {
        if let Some(class) = args.one(flag)? {
            properties.set(name, class);
        }
    }
    Formatter::parse(args.one("formatter")?.unwrap_or("DefaultMessageFormatter"), &properties)
}

fn begin(consumer: &mut Consumer, source: &Source) -> Result<()> {
    match source {
        Source::Topic(topic) => consumer.subscribe([topic.clone()])?,
        Source::Pattern(pattern) => consumer.subscribe_pattern(pattern)?,
        Source::Partition(partition, start) => {
            consumer.assign([partition.clone()]);
            match start {
                Start::At(offset) => consumer.seek(partition, Offset(*offset)),
                // The group's committed offset does not count here.
                Start::Earliest | Start::Latest => consumer.seek_by_policy(partition),
            }
        }
    }
    Ok(())
}

async fn read(
    consumer: &mut Consumer,
    view: &View,
    timeout: Option<Duration>,
    shown: &mut i64,
    io: &mut Io<'_>,
) -> Result<()> {
    let mut last = Instant::now();
    let mut stop = std::pin::pin!(stop_signal());
    while view.limit < 0 || *shown < view.limit {
        let wait = timeout.unwrap_or(Duration::from_secs(1));
        let records = tokio::select! {
            records = consumer.poll(wait) => records.context("Error processing message, terminating consumer process")?,
            () = &mut stop => return Ok(()),
        };
        if records.is_empty() {
            if timeout.is_some_and(|timeout| last.elapsed() >= timeout) {
                io.warn(
                    "Error processing message, terminating consumer process: \
                     org.apache.kafka.common.errors.TimeoutException",
                );
                return Ok(());
            }
            continue;
        }
        last = Instant::now();
        if !show(consumer, records, view, shown, io)? {
            return Ok(());
        }
    }
    Ok(())
}

/// Shows records up to the limit; those beyond it are not committed. False when nobody reads.
fn show(
    consumer: &mut Consumer,
    records: Vec<ConsumerRecord>,
    view: &View,
    shown: &mut i64,
    io: &mut Io<'_>,
) -> Result<bool> {
    let View { formatter, limit, skip_errors } = view;
    let (limit, skip_errors) = (*limit, *skip_errors);
    let mut left_over = std::collections::BTreeMap::new();
    for record in records {
        if limit >= 0 && *shown >= limit {
            let partition = TopicPartition::new(record.topic.clone(), record.partition);
            left_over.entry(partition).or_insert(record.offset);
            continue;
        }
        *shown += 1;
        match formatter.write(&record, io.out, io.err) {
            Ok(()) => {}
            Err(error) if error.is::<std::io::Error>() => {
                io.warn("Unable to write to standard out, closing consumer.");
                return Ok(false);
            }
            Err(error) if skip_errors => {
                io.warn(format!("Error processing message, skipping this message: {error:#}"));
            }
            Err(error) => return Err(error.context("Unknown error when running consumer")),
        }
    }
    for (partition, offset) in left_over {
        consumer.seek(&partition, offset);
    }
    if io.out.flush().is_err() {
        io.warn("Unable to write to standard out, closing consumer.");
        return Ok(false);
    }
    Ok(true)
}

/// Ends with Ctrl-C or a polite request of the system.
async fn stop_signal() {
    let mut terminate =
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(terminate) => terminate,
            Err(_) => return std::future::pending().await,
        };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
