//! `kafka-consumer-perf-test`: reads records and measures
//! (org.apache.kafka.tools.ConsumerPerformance).

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use pharos_client::{Consumer, ConsumerConfig, ConsumerRecord, Properties};

use crate::args::{Args, BOOTSTRAP, COMMAND_CONFIG, Spec, maybe, switch, value};
use crate::common::block_on;
use crate::io::Io;

const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// What the tool takes.
pub const SPEC: Spec = Spec {
    about: "This tool is used to verify the consumer performance.",
    commands: &[],
    flags: &[
        BOOTSTRAP,
        value("broker-list", "String: broker-list", "The old name of --bootstrap-server."),
        COMMAND_CONFIG,
        value("consumer.config", "String: config file", "The old name of --command-config."),
        value("command-property", "String: prop", "A property of the consumer, key=value."),
        value("topic", "String: topic", "The topic to read."),
        value("include", "String: Java regex (String)", "A pattern of topics to read."),
        value("group", "String: gid", "The consumer group."),
        value("num-records", "Long: count", "Number of records."),
        value("messages", "Long: count", "The old name of --num-records."),
        value("fetch-size", "Integer: size", "Bytes per partition and fetch (default: 1048576)."),
        value("socket-buffer-size", "Integer: size", "The system sizes its buffers itself."),
        value("threads", "Integer", "Without effect, as in Kafka."),
        value("num-fetch-threads", "Integer", "Without effect, as in Kafka."),
        switch("from-latest", "Start behind the last record."),
        switch("show-detailed-stats", "Report at each interval."),
        value("reporting-interval", "Long: interval_ms", "Time between reports (default: 5000)."),
        maybe("timeout", "Long: milliseconds", "Longest wait for a record (default: 10000)."),
        value("date-format", "String: date format", "Only Kafka's default is built in."),
        switch("hide-header", "Leave the header out."),
        switch("print-metrics", "This client has no metrics of its own to print."),
    ],
};

/// Runs the tool.
pub fn run(args: &Args, io: &mut Io<'_>) -> Result<i32> {
    if args.has("messages") == args.has("num-records") {
        bail!("Exactly one of the following arguments is required: [messages], [num-records]");
    }
    if args.has("consumer.config") {
        io.line("Warning: --consumer.config is deprecated. Use --command-config instead.")?;
    }
    if args.has("messages") {
        io.line("Warning: --messages is deprecated. Use --num-records instead.")?;
    }
    let wanted: u64 = args.parsed("num-records")?.or(args.parsed("messages")?).unwrap_or(0);
    let timeout = Duration::from_millis(args.parsed("timeout")?.unwrap_or(10_000));
    let interval = Duration::from_millis(args.parsed("reporting-interval")?.unwrap_or(5000));
    let detailed = args.has("show-detailed-stats");
    let properties = properties(args)?;
    let mut consumer = ConsumerConfig::parse(&properties)?;
    if properties.get("max.poll.records").is_none() {
        consumer.max_poll_records = usize::MAX;
    }
    if args.has("print-metrics") {
        io.warn("--print-metrics: this client has no metrics of its own to print");
    }
    if !args.has("hide-header") {
        io.line(header(detailed))?;
    }
    block_on(async {
        let mut consumer = Consumer::new(consumer);
        match (args.one("topic")?, args.one("include")?) {
            (Some(topic), None) => consumer.subscribe([topic.to_owned()])?,
            (None, Some(pattern)) => consumer.subscribe_pattern(pattern)?,
            _ => bail!("Exactly one of the following arguments is required: [topic], [include]"),
        }
        let plan = Plan { wanted, timeout, interval, detailed };
        let stats = measure(&mut consumer, &plan, io).await?;
        consumer.close().await;
        if stats.records < wanted {
            io.warn(format!(
                "WARNING: Exiting before consuming the expected number of records: timeout ({} ms) \
                 exceeded. You can use the --timeout option to increase the timeout.",
                timeout.as_millis()
            ));
        }
        if !detailed {
            io.line(stats.total_line())?;
        }
        Ok(())
    })?;
    Ok(0)
}

struct Plan {
    wanted: u64,
    timeout: Duration,
    interval: Duration,
    detailed: bool,
}

fn properties(args: &Args) -> Result<Properties> {
    let mut properties = Properties::new();
    for flag in ["consumer.config", "command-config"] {
        if let Some(file) = args.one(flag)? {
            properties.merge(&Properties::read(file)?);
        }
    }
    args.values("command-property").try_for_each(|pair| properties.set_pair(pair))?;
    match args.one("bootstrap-server")?.or(args.one("broker-list")?) {
        Some(servers) => properties.set("bootstrap.servers", servers),
        None => bail!("Missing required argument \"[bootstrap-server]\""),
    }
    let group = match args.one("group")? {
        Some(group) => group.to_owned(),
        None => format!("perf-consumer-{}", rand::random_range(0..100_000)),
    };
    properties.set("group.id", group);
    properties.set("max.partition.fetch.bytes", args.one("fetch-size")?.unwrap_or("1048576"));
    let reset = if args.has("from-latest") { "latest" } else { "earliest" };
    properties.set("auto.offset.reset", reset);
    properties.set("check.crcs", "false");
    properties.set_default("client.id", "perf-consumer-client");
    Ok(properties)
}

fn header(detailed: bool) -> String {
    let first = if detailed { "time, threadId" } else { "start.time, end.time" };
    format!(
        "{first}, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, \
         fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec"
    )
}

/// What was read since the start.
struct Stats {
    started: Instant,
    started_at: jiff::Zoned,
    records: u64,
    bytes: u64,
    rebalance: Option<Duration>,
    ended: Instant,
}

impl Stats {
    fn numbers(&self, records: u64, bytes: u64, elapsed: Duration) -> String {
        let rebalance = self.rebalance.unwrap_or(elapsed).min(elapsed);
        let fetching = elapsed.saturating_sub(rebalance);
        let mib = bytes as f64 / MEBIBYTE;
        // Nothing in no time is no number, as in Java.
        let per = |amount: f64, time: Duration| amount / time.as_secs_f64();
        format!(
            "{mib:.4}, {:.4}, {records}, {:.4}, {}, {}, {:.4}, {:.4}",
            per(mib, elapsed),
            per(records as f64, elapsed),
            rebalance.as_millis(),
            fetching.as_millis(),
            per(mib, fetching),
            per(records as f64, fetching)
        )
    }

    fn total_line(&self) -> String {
        let elapsed = self.ended.saturating_duration_since(self.started);
        let numbers = self.numbers(self.records, self.bytes, elapsed);
        format!("{}, {}, {numbers}", date(&self.started_at), date(&jiff::Zoned::now()))
    }
}

/// `yyyy-MM-dd HH:mm:ss:SSS`.
fn date(at: &jiff::Zoned) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S:%3f").to_string()
}

async fn measure(consumer: &mut Consumer, plan: &Plan, io: &mut Io<'_>) -> Result<Stats> {
    let now = Instant::now();
    let mut stats = Stats {
        started: now,
        started_at: jiff::Zoned::now(),
        records: 0,
        bytes: 0,
        rebalance: None,
        ended: now,
    };
    let mut last = now;
    let mut reported = now;
    while stats.records < plan.wanted && last.elapsed() <= plan.timeout {
        let records = consumer.poll(Duration::from_millis(100)).await?;
        if stats.rebalance.is_none() && !consumer.assignment().is_empty() {
            stats.rebalance = Some(stats.started.elapsed());
        }
        if !records.is_empty() {
            last = Instant::now();
            stats.ended = last;
        }
        stats.records += records.len() as u64;
        stats.bytes += records.iter().map(size).sum::<u64>();
        if plan.detailed && reported.elapsed() >= plan.interval {
            reported = Instant::now();
            let numbers = stats.numbers(stats.records, stats.bytes, stats.started.elapsed());
            io.line(format!("{}, 0, {numbers}", date(&jiff::Zoned::now())))?;
        }
    }
    Ok(stats)
}

fn size(record: &ConsumerRecord) -> u64 {
    let len = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, bytes::Bytes::len) as u64;
    len(&record.key) + len(&record.value)
}
