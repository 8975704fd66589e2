//! `kafka-producer-perf-test`: sends records and measures
//! (org.apache.kafka.tools.ProducerPerformance).

mod measure;
mod stats;

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use bytes::Bytes;
use pharos_client::{ProducerConfig, Properties};

use self::measure::measure;
use crate::args::{Args, BOOTSTRAP, COMMAND_CONFIG, Spec, switch, value};
use crate::common::block_on;
use crate::io::Io;

/// What the tool takes.
pub const SPEC: Spec = Spec {
    about: "This tool is used to verify the producer performance.",
    commands: &[],
    flags: &[
        BOOTSTRAP,
        COMMAND_CONFIG,
        value("topic", "TOPIC", "The topic to produce to."),
        value("num-records", "NUM-RECORDS", "Number of records."),
        value("record-size", "RECORD-SIZE", "Bytes of a record."),
        value(
            "payload-file",
            "PAYLOAD-FILE",
            "File of payloads, of which one is chosen each time.",
        ),
        value("payload-delimiter", "PAYLOAD-DELIMITER", "What separates payloads (default: \\n)."),
        switch("payload-monotonic", "The payload is the number of the record."),
        value("throughput", "THROUGHPUT", "Records per second; -1 for no limit."),
        value("producer-props", "PROP-NAME=PROP-VALUE", "The old name of --command-property."),
        value("command-property", "PROP-NAME=PROP-VALUE", "Properties of the producer."),
        value("producer.config", "CONFIG-FILE", "The old name of --command-config."),
        switch("print-metrics", "This client has no metrics of its own to print."),
        value("transactional-id", "TRANSACTIONAL-ID", "Transactions come later."),
        value("transaction-duration-ms", "TRANSACTION-DURATION", "Transactions come later."),
        value("warmup-records", "WARMUP-RECORDS", "Records that are sent first and not counted."),
        value("reporting-interval", "INTERVAL-MS", "Time between reports (default: 5000)."),
    ],
};

/// What to send.
struct Plan {
    topic: String,
    records: u64,
    warmup: u64,
    throughput: f64,
    payload: Payload,
    interval: Duration,
}

enum Payload {
    Random(usize),
    OneOf(Vec<Bytes>),
    Number,
}

/// Runs the tool.
pub fn run(args: &Args, io: &mut Io<'_>) -> Result<i32> {
    if args.has("transactional-id") || args.has("transaction-duration-ms") {
        bail!("transactions are not here yet: they come later");
    }
    let properties = properties(args, io)?;
    let plan = plan(args, io)?;
    let config = ProducerConfig::parse(&properties)?;
    if args.has("print-metrics") {
        io.warn("--print-metrics: this client has no metrics of its own to print");
    }
    block_on(measure(plan, config, io))?;
    Ok(0)
}

fn plan(args: &Args, io: &mut Io<'_>) -> Result<Plan> {
    let needed = |name: &str| anyhow!("argument --{name} is required");
    let sources = ["record-size", "payload-file", "payload-monotonic"];
    if sources.iter().filter(|source| args.has(source)).count() != 1 {
        bail!("one of the arguments --record-size --payload-file --payload-monotonic is required");
    }
    let topic = args.one("topic")?.ok_or_else(|| needed("topic"))?.to_owned();
    let records: u64 = number(args, "num-records", "Long")?.ok_or_else(|| needed("num-records"))?;
    if records == 0 {
        bail!("--num-records should be greater than zero.");
    }
    let throughput: f64 =
        number(args, "throughput", "Double")?.ok_or_else(|| needed("throughput"))?;
    let warmup: u64 = number(args, "warmup-records", "Long")?.unwrap_or(0);
    let interval: u64 = number(args, "reporting-interval", "Long")?.unwrap_or(5000);
    let payload = match (number(args, "record-size", "Integer")?, args.one("payload-file")?) {
        (Some(0), _) => bail!("--record-size should be greater than zero."),
        (Some(size), _) => Payload::Random(size),
        (None, Some(file)) => {
            let delimiter = args.one("payload-delimiter")?.unwrap_or("\n").replace("\\n", "\n");
            payloads(file, &delimiter, io)?
        }
        (None, None) => Payload::Number,
    };
    if interval == 0 {
        bail!("--reporting-interval should be greater than zero.");
    }
    if warmup >= records {
        bail!(
            "The value for --warmup-records must be strictly fewer than the number of records in \
             the test, --num-records."
        );
    }
    let interval = Duration::from_millis(interval);
    Ok(Plan { topic, records, warmup, throughput, payload, interval })
}

/// A number, in the words of Kafka's parser when it is none.
fn number<T: FromStr>(args: &Args, name: &str, kind: &str) -> Result<Option<T>> {
    let Some(text) = args.one(name)? else { return Ok(None) };
    text.trim().parse().map(Some).map_err(|_| {
        anyhow!(
            "argument --{name}: could not convert '{text}' to {kind} (For input string: \"{text}\")"
        )
    })
}

fn payloads(file: &str, delimiter: &str, io: &mut Io<'_>) -> Result<Payload> {
    let path = std::path::absolute(file)?;
    io.line(format!("Reading payloads from: {}", path.display()))?;
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines = text.split(delimiter).filter(|line| !line.is_empty());
    let payloads: Vec<_> = lines.map(|line| Bytes::from(line.to_owned())).collect();
    if payloads.is_empty() {
        bail!("File does not exist or empty file provided.");
    }
    io.line(format!("Number of records read: {}", payloads.len()))?;
    Ok(Payload::OneOf(payloads))
}

fn properties(args: &Args, io: &mut Io<'_>) -> Result<Properties> {
    let mut properties = Properties::new();
    for flag in ["producer.config", "command-config"] {
        if let Some(file) = args.one(flag)? {
            properties.merge(&Properties::read(file)?);
        }
    }
    if args.has("producer-props") {
        io.line(
            "Option --producer-props has been deprecated and will be removed in a future version. \
             Use --command-property instead.",
        )?;
    }
    // The flags take several values: those behind the first look like plain words.
    let words = args.words.iter().map(String::as_str);
    let pairs = args.values("producer-props").chain(args.values("command-property")).chain(words);
    for pair in pairs {
        properties.set_pair(pair)?;
    }
    if let Some(servers) = args.one("bootstrap-server")? {
        properties.set("bootstrap.servers", servers);
    }
    if properties.get("bootstrap.servers").is_none() {
        bail!(
            "At least one of --bootstrap-server, --command-property, --producer-props, \
             --producer.config or --command-config must be specified."
        );
    }
    properties.set_default("client.id", "perf-producer-client");
    Ok(properties)
}

impl Payload {
    fn next(&self, number: u64, random: &Bytes) -> Bytes {
        match self {
            Self::Random(_) => random.clone(),
            Self::OneOf(list) => {
                let index = rand::random_range(0..list.len().max(1));
                list.get(index).cloned().unwrap_or_default()
            }
            Self::Number => Bytes::from(number.to_string()),
        }
    }

    /// One payload of random capital letters, as Kafka's tool makes them.
    fn letters(&self) -> Bytes {
        match self {
            Self::Random(size) => (0..*size).map(|_| rand::random_range(b'A'..=b'Z')).collect(),
            Self::OneOf(_) | Self::Number => Bytes::new(),
        }
    }
}
