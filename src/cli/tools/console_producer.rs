//! `kafka-console-producer`: lines of the terminal become records
//! (org.apache.kafka.tools.ConsoleProducer).

use std::io::{BufRead, Write};

use anyhow::{Result, anyhow, bail};
use pharos_client::{Producer, ProducerConfig, ProducerRecord, Properties};
use tokio::sync::mpsc;

use crate::args::{Args, BOOTSTRAP, COMMAND_CONFIG, Spec, maybe, switch, value};
use crate::common::block_on;
use crate::console::LineReader;
use crate::io::Io;

/// Lines that may wait to be sent.
const LINES: usize = 1024;

/// What the tool takes.
pub const SPEC: Spec = Spec {
    about: "This tool helps to read data from standard input and publish it to Kafka.",
    commands: &[],
    flags: &[
        BOOTSTRAP,
        value("broker-list", "String: broker-list", "The old name of --bootstrap-server."),
        COMMAND_CONFIG,
        value("producer.config", "String: config file", "The old name of --command-config."),
        value("topic", "String: topic", "The topic to produce to."),
        value(
            "command-property",
            "String: producer_prop",
            "A property of the producer, key=value.",
        ),
        value("producer-property", "String: producer_prop", "The old name of --command-property."),
        value("reader-property", "String: prop", "A property of the reader, key=value."),
        value("property", "String: prop", "The old name of --reader-property."),
        value("reader-config", "String: config file", "File of properties for the reader."),
        value("line-reader", "String: reader_class", "Only the default reader is built in."),
        switch("sync", "Wait for each record before the next."),
        maybe("compression-codec", "String: compression-codec", "Codec; gzip when left out."),
        value("batch-size", "Integer: size", "Bytes of a batch (default: 16384)."),
        value("message-send-max-retries", "Integer", "Retries of a record (default: 3)."),
        value("retry-backoff-ms", "Long", "Wait before a retry (default: 100)."),
        value("timeout", "Long: timeout_ms", "How long a batch waits for more (default: 1000)."),
        value("request-required-acks", "String: request required acks", "Acks (default: -1)."),
        value(
            "request-timeout-ms",
            "Integer: request timeout ms",
            "Wait for acks (default: 1500).",
        ),
        value("metadata-expiry-ms", "Long: metadata expiration interval", "Age of metadata."),
        value("max-block-ms", "Long: max block on send", "Wait for memory (default: 60000)."),
        value("max-memory-bytes", "Long: total memory in bytes", "Memory for records."),
        value("max-partition-memory-bytes", "Integer", "Replaces --batch-size where given."),
        value("socket-buffer-size", "Integer: size", "The system sizes its buffers itself."),
    ],
};

/// Runs the tool.
pub fn run(args: &Args, io: &mut Io<'_>) -> Result<i32> {
    let topic = args.required("topic")?.to_owned();
    let properties = producer_properties(args)?;
    warn_of_old_names(args, io)?;
    let config = ProducerConfig::parse(&properties)?;
    let reader = LineReader::parse(&topic, &reader_properties(args)?)?;
    if let Some(class) = args.one("line-reader")?
        && !class.ends_with("LineMessageReader")
    {
        bail!("{class} is a Java class: only the default line reader is built in");
    }
    block_on(produce(config, reader, args.has("sync"), io))?;
    Ok(0)
}

/// Flags that stand for a property, with the tool's own default.
const AS_PROPERTIES: &[(&str, &str, Option<&str>)] = &[
    ("request-required-acks", "acks", Some("-1")),
    ("request-timeout-ms", "request.timeout.ms", Some("1500")),
    ("message-send-max-retries", "retries", Some("3")),
    ("retry-backoff-ms", "retry.backoff.ms", Some("100")),
    ("timeout", "linger.ms", Some("1000")),
    ("batch-size", "batch.size", Some("16384")),
    ("max-memory-bytes", "buffer.memory", Some("33554432")),
    ("max-block-ms", "max.block.ms", Some("60000")),
    ("metadata-expiry-ms", "metadata.max.age.ms", Some("300000")),
];

fn producer_properties(args: &Args) -> Result<Properties> {
    let mut properties = Properties::new();
    for flag in ["producer.config", "command-config"] {
        if let Some(file) = args.one(flag)? {
            properties.merge(&Properties::read(file)?);
        }
    }
    for flag in ["producer-property", "command-property"] {
        args.values(flag).try_for_each(|pair| properties.set_pair(pair))?;
    }
    match (args.one("bootstrap-server")?, args.one("broker-list")?) {
        (Some(servers), _) | (None, Some(servers)) => properties.set("bootstrap.servers", servers),
        (None, None) => bail!("Missing required argument \"[bootstrap-server]\""),
    }
    if args.has("compression-codec") {
        properties.set("compression.type", args.one("compression-codec")?.unwrap_or("gzip"));
    }
    for (flag, name, default) in AS_PROPERTIES {
        match (args.one(flag)?, default) {
            (Some(given), _) => properties.set(*name, given),
            (None, Some(default)) => properties.set_default(name, *default),
            (None, None) => {}
        }
    }
    if let Some(size) = args.one("max-partition-memory-bytes")? {
        properties.set("batch.size", size);
    }
    properties.set_default("client.id", "console-producer");
    Ok(properties)
}

fn warn_of_old_names(args: &Args, io: &mut Io<'_>) -> Result<()> {
    let names = [
        ("property", "a future version", "reader-property"),
        ("producer-property", "a future version", "command-property"),
        ("producer.config", "a future version", "command-config"),
        ("max-partition-memory-bytes", "Apache Kafka 5.0", "batch-size"),
    ];
    for (old, when, new) in names.into_iter().filter(|(old, ..)| args.has(old)) {
        io.line(format!(
            "Warning: --{old} is deprecated and will be removed in {when}. Use --{new} instead."
        ))?;
    }
    Ok(())
}

fn reader_properties(args: &Args) -> Result<Properties> {
    let mut properties = match args.one("reader-config")? {
        Some(file) => Properties::read(file)?,
        None => Properties::new(),
    };
    for flag in ["property", "reader-property"] {
        args.values(flag).try_for_each(|pair| properties.set_pair(pair))?;
    }
    Ok(properties)
}

async fn produce(
    config: ProducerConfig,
    mut reader: LineReader,
    sync: bool,
    io: &mut Io<'_>,
) -> Result<()> {
    let producer = Producer::new(config);
    let mut lines = read_lines(io)?;
    let (failures, mut failed) = mpsc::unbounded_channel();
    let outcome = loop {
        prompt(io)?;
        let line = tokio::select! {
            line = lines.recv() => line,
            _ = tokio::signal::ctrl_c() => None,
        };
        let Some(line) = line else { break Ok(()) };
        let record = line.map_err(Into::into).and_then(|line| reader.read(&line));
        let sent = match record {
            Ok(record) => send(&producer, record, sync, &failures).await,
            Err(error) => Err(error),
        };
        if sent.is_err() {
            break sent;
        }
        while let Ok(error) = failed.try_recv() {
            io.warn(error);
        }
    };
    // Lines before one that cannot be sent are sent.
    producer.close().await;
    drop(failures);
    while let Some(error) = failed.recv().await {
        io.warn(error);
    }
    outcome
}

async fn send(
    producer: &Producer,
    record: ProducerRecord,
    sync: bool,
    failures: &mpsc::UnboundedSender<String>,
) -> Result<()> {
    let topic = record.topic.clone();
    let failed = move |error: &pharos_client::ClientError| {
        format!("Error when sending message to topic {topic}: {error}")
    };
    let delivery = producer.send(record).await.map_err(|error| anyhow!(failed(&error)))?;
    if sync {
        delivery.await.map_err(|error| anyhow!(failed(&error)))?;
        return Ok(());
    }
    let failures = failures.clone();
    tokio::spawn(async move {
        if let Err(error) = delivery.await {
            // The tool tells it when it next has a turn.
            let _ = failures.send(failed(&error));
        }
    });
    Ok(())
}

fn prompt(io: &mut Io<'_>) -> Result<()> {
    if io.input_is_terminal {
        io.out.write_all(b">")?;
        Write::flush(io.out)?;
    }
    Ok(())
}

/// Reads lines on a thread of its own: the terminal cannot be waited for otherwise.
fn read_lines(io: &mut Io<'_>) -> Result<mpsc::Receiver<std::io::Result<String>>> {
    let input = io.input.take().ok_or_else(|| anyhow!("there is no input"))?;
    let (lines, received) = mpsc::channel(LINES);
    std::thread::spawn(move || {
        let mut input = input;
        loop {
            let mut bytes = Vec::new();
            let line = match input.read_until(b'\n', &mut bytes) {
                Ok(0) => return,
                Ok(_) => Ok(without_end(&bytes)),
                Err(error) => Err(error),
            };
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    });
    Ok(received)
}

/// The line without its end; bytes that are no UTF-8 become U+FFFD, as in Java.
fn without_end(bytes: &[u8]) -> String {
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    String::from_utf8_lossy(line).into_owned()
}
