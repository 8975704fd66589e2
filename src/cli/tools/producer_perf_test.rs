//! `kafka-producer-perf-test`: sends records and measures
//! (org.apache.kafka.tools.ProducerPerformance).

use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use bytes::Bytes;
use pharos_client::producer::Delivery;
use pharos_client::{Producer, ProducerConfig, ProducerRecord, Properties};
use tokio::sync::mpsc;

use crate::args::{Args, BOOTSTRAP, COMMAND_CONFIG, Spec, switch, value};
use crate::common::block_on;
use crate::io::Io;

/// Records whose outcome is awaited; sending waits beyond it.
const OUTSTANDING: usize = 200_000;
const MEBIBYTE: f64 = 1024.0 * 1024.0;

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

/// What was sent when, and whether it counts for the steady state.
struct Sent {
    at: Instant,
    bytes: usize,
    steady: bool,
    delivery: Delivery,
}

/// What became of a record.
struct Outcome {
    /// Milliseconds until it was acknowledged, or why it was not.
    latency: Result<f64, String>,
    bytes: usize,
    steady: bool,
}

async fn measure(plan: Plan, config: ProducerConfig, io: &mut Io<'_>) -> Result<()> {
    let producer = Producer::new(config);
    let (sent, waiting) = mpsc::channel::<Sent>(OUTSTANDING);
    let (told, mut outcomes) = mpsc::unbounded_channel::<Outcome>();
    let collector = tokio::spawn(collect(waiting, told));
    let random = plan.payload.letters();
    if plan.warmup > 0 {
        io.line(format!(
            "Warmup first {} records. Steady state results will print after the complete test \
             summary.",
            plan.warmup
        ))?;
    }
    let mut stats = Stats::new(plan.interval, plan.warmup > 0);
    let started = Instant::now();
    for number in 0..plan.records {
        if number == plan.warmup {
            stats.steady.started = Instant::now();
        }
        let payload = plan.payload.next(number, &random);
        let bytes = payload.len();
        let at = Instant::now();
        let delivery = producer.send(ProducerRecord::new(plan.topic.as_str(), payload)).await?;
        let steady = number >= plan.warmup;
        if sent.send(Sent { at, bytes, steady, delivery }).await.is_err() {
            break;
        }
        while let Ok(outcome) = outcomes.try_recv() {
            stats.add(outcome, io)?;
        }
        if plan.throughput > 0.0 {
            let due = started + Duration::from_secs_f64((number + 1) as f64 / plan.throughput);
            tokio::time::sleep_until(due.into()).await;
        }
    }
    drop(sent);
    producer.flush().await;
    while let Some(outcome) = outcomes.recv().await {
        stats.add(outcome, io)?;
    }
    collector.await?;
    io.line(stats.all.line(""))?;
    if plan.warmup > 0 {
        io.line(stats.steady.line(" steady state"))?;
    }
    Ok(())
}

/// Awaits outcomes in the order of sending, which is the order of completion within a partition.
async fn collect(mut waiting: mpsc::Receiver<Sent>, told: mpsc::UnboundedSender<Outcome>) {
    while let Some(Sent { at, bytes, steady, delivery }) = waiting.recv().await {
        let latency = match delivery.await {
            Ok(_) => Ok(at.elapsed().as_secs_f64() * 1000.0),
            Err(error) => Err(error.to_string()),
        };
        if told.send(Outcome { latency, bytes, steady }).is_err() {
            return;
        }
    }
}

/// Latencies and bytes since a moment.
struct Window {
    started: Instant,
    latencies_ms: Vec<f64>,
    bytes: usize,
}

impl Window {
    fn new() -> Self {
        Self { started: Instant::now(), latencies_ms: Vec::new(), bytes: 0 }
    }

    fn add(&mut self, latency_ms: f64, bytes: usize) {
        self.latencies_ms.push(latency_ms);
        self.bytes += bytes;
    }

    fn line(&mut self, what: &str) -> String {
        self.latencies_ms.sort_by(f64::total_cmp);
        total_line(&self.latencies_ms, self.bytes, self.started.elapsed().as_secs_f64(), what)
    }
}

/// Counts of the whole run, of its steady state, and of the time that is being reported.
struct Stats {
    interval: Duration,
    keeps_steady: bool,
    all: Window,
    steady: Window,
    reported: Window,
}

impl Stats {
    fn new(interval: Duration, keeps_steady: bool) -> Self {
        let window = Window::new;
        Self { interval, keeps_steady, all: window(), steady: window(), reported: window() }
    }

    fn add(&mut self, outcome: Outcome, io: &mut Io<'_>) -> Result<()> {
        match outcome.latency {
            Ok(latency_ms) => {
                self.all.add(latency_ms, outcome.bytes);
                self.reported.add(latency_ms, outcome.bytes);
                if outcome.steady && self.keeps_steady {
                    self.steady.add(latency_ms, outcome.bytes);
                }
            }
            Err(error) => io.warn(format!("Error when sending message: {error}")),
        }
        if self.reported.started.elapsed() >= self.interval {
            let Window { started, latencies_ms, bytes } = &self.reported;
            io.line(window_line(latencies_ms, *bytes, started.elapsed().as_secs_f64()))?;
            io.out.flush()?;
            self.reported = Window::new();
        }
        Ok(())
    }
}

fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

fn window_line(latencies_ms: &[f64], bytes: usize, seconds: f64) -> String {
    format!(
        "{} records sent, {:.1} records/sec ({:.2} MB/sec), {:.1} ms avg latency, {:.1} ms max \
         latency.",
        latencies_ms.len(),
        latencies_ms.len() as f64 / seconds,
        bytes as f64 / MEBIBYTE / seconds,
        mean(latencies_ms),
        latencies_ms.iter().copied().fold(0.0, f64::max)
    )
}

fn total_line(sorted_ms: &[f64], bytes: usize, seconds: f64, what: &str) -> String {
    let at = |quantile: f64| {
        let index = (quantile * sorted_ms.len() as f64) as usize;
        sorted_ms.get(index.min(sorted_ms.len().saturating_sub(1))).copied().unwrap_or(0.0) as u64
    };
    format!(
        "{}{what} records sent, {:.6} records/sec ({:.2} MB/sec), {:.2} ms avg latency, {:.2} ms max \
         latency, {} ms 50th, {} ms 95th, {} ms 99th, {} ms 99.9th.",
        sorted_ms.len(),
        sorted_ms.len() as f64 / seconds,
        bytes as f64 / MEBIBYTE / seconds,
        mean(sorted_ms),
        sorted_ms.last().copied().unwrap_or(0.0),
        at(0.5),
        at(0.95),
        at(0.99),
        at(0.999)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_look_as_kafka_prints_them() {
        let sorted: Vec<f64> = (1..=1000).map(f64::from).collect();
        assert_eq!(
            total_line(&sorted, 2 * 1024 * 1024, 2.0, ""),
            "1000 records sent, 500.000000 records/sec (1.00 MB/sec), 500.50 ms avg latency, \
             1000.00 ms max latency, 501 ms 50th, 951 ms 95th, 991 ms 99th, 1000 ms 99.9th."
        );
        assert_eq!(
            window_line(&[1.0, 3.0], 1024 * 1024, 1.0),
            "2 records sent, 2.0 records/sec (1.00 MB/sec), 2.0 ms avg latency, 3.0 ms max latency."
        );
    }
}
