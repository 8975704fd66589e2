//! K: side by side with Apache Kafka, with its own Java clients: throughput, p99, processor time
//! and memory of the broker.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use crate::Plan;
use crate::broker::{Broker, Start, two_free_ports};
use crate::load::{self, Topic};
use crate::machine::{self, Place};
use crate::report::{Better, Report, Row};
use crate::stats::{abba, ratios};

const START_PATIENCE: Duration = Duration::from_secs(120);
const RECORD_BYTES: u64 = 1024;
/// Records per second at which latency is taken.
const STEADY_RATE: &str = "10000";
const STEADY_RECORDS: u64 = 100_000;

/// Figures of one side: produce MB/s, p99 ms, produce CPU s/GB, consume MB/s, consume CPU s/GB,
/// resident bytes under load.
type Figures = [f64; 6];

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let Some(script) = fetched("K", "fetch", report)? else { return Ok(()) };
    let mut turn = 0;
    let mut directory = |side: &str| {
        turn += 1;
        plan.directory.join(format!("{side}-{turn}"))
    };
    let directory = std::cell::RefCell::new(&mut directory);
    let found = abba(
        plan.repeats,
        || {
            let directory = directory.borrow_mut()("pharos");
            let broker = Broker::start(&Start {
                binary: &plan.binary,
                directory: directory.clone(),
                overrides: &[],
                place: Place::Anywhere,
            })?;
            let done = figures(plan, &script, broker.address, broker.pid());
            broker.stop()?;
            fs::remove_dir_all(directory)?;
            done
        },
        || {
            let directory = directory.borrow_mut()("kafka");
            let kafka = Kafka::start(&script, &directory, None)?;
            let done = figures(plan, &script, kafka.address, kafka.pid());
            drop(kafka);
            fs::remove_dir_all(directory)?;
            done
        },
    )?;
    report.sample("K: pharos, pharos, kafka, kafka", serde_json::json!(found));
    let rows = [
        ("produce throughput", 0.95, 1.2, Better::Higher),
        ("produce p99 at 10,000 records/s", 1.0, 0.5, Better::Lower),
        ("broker CPU s/GB produced", 0.7, 0.4, Better::Lower),
        ("consume throughput", 0.95, 1.2, Better::Higher),
        ("broker CPU s/GB consumed", 0.7, 0.4, Better::Lower),
        ("resident memory under load", 0.2, 0.1, Better::Lower),
    ];
    for (figure, (what, floor, target, better)) in rows.into_iter().enumerate() {
        let what = format!("{what}, Pharos / Apache Kafka");
        let row = Row { id: "K", what, floor, target, better, unit: "" };
        report.add(&row, &ratios(&found, figure));
    }
    Ok(())
}

/// The script that starts Apache Kafka, once `what` is there; says in the report why it is not.
pub(crate) fn fetched(
    id: &'static str,
    what: &str,
    report: &mut Report,
) -> anyhow::Result<Option<PathBuf>> {
    if Command::new("java").arg("-version").stderr(Stdio::null()).status().is_err() {
        report.skip(id, "no Java");
        return Ok(None);
    }
    let script: PathBuf =
        std::env::var_os("PHAROS_BENCH_KAFKA").context("PHAROS_BENCH_KAFKA is not set")?.into();
    let fetched = Command::new(&script).arg(what).status()?;
    if !fetched.success() {
        report.skip(id, "Apache Kafka could not be fetched");
    }
    Ok(fetched.success().then_some(script))
}

/// Apache Kafka's broker; killed when dropped.
pub(crate) struct Kafka {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Kafka {
    /// Starts it, with the agent of jmx_exporter as `PORT:RULES` when that is given.
    pub(crate) fn start(
        script: &PathBuf,
        directory: &PathBuf,
        agent: Option<&str>,
    ) -> anyhow::Result<Self> {
        fs::create_dir_all(directory)?;
        let address = two_free_ports()?;
        let log = fs::File::create(directory.join("log"))?;
        let mut command = Command::new(script);
        command.arg("broker").arg(directory).arg(address.port().to_string());
        command.stdout(log.try_clone()?).stderr(log);
        command.envs(agent.map(|agent| ("JMX_AGENT", agent)));
        let mut kafka = Self { child: command.spawn()?, address };
        let begin = Instant::now();
        while load::Client::connect(address).is_err() {
            if let Some(status) = kafka.child.try_wait()? {
                bail!("Apache Kafka ended with {status}");
            }
            ensure!(begin.elapsed() < START_PATIENCE, "Apache Kafka does not listen");
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(kafka)
    }
}

impl Kafka {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn figures(
    plan: &Plan,
    script: &PathBuf,
    address: SocketAddr,
    pid: u32,
) -> anyhow::Result<Figures> {
    load::create_topic(address, &Topic { name: "perf", partitions: 16, configs: &[] })?;
    let tools = Tools { script, address };
    // Both sides and the client's JVM begin warm.
    tools.produce(STEADY_RECORDS, "-1")?;
    let records = plan.bytes / RECORD_BYTES;
    #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
    let gb = (records * RECORD_BYTES) as f64 / 1e9;
    let (produced, produce_cpu) = costs(pid, || tools.produce(records, "-1"))?;
    let memory = machine::resident(pid);
    let steady = tools.produce(STEADY_RECORDS, STEADY_RATE)?;
    let (consumed, consume_cpu) = costs(pid, || tools.consume(records))?;
    Ok([
        produced.mb_per_second,
        steady.p99_ms,
        produce_cpu / gb,
        consumed,
        consume_cpu / gb,
        memory,
    ])
}

/// What `act` gives, and the processor seconds that `pid` used meanwhile.
fn costs<T>(pid: u32, act: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<(T, f64)> {
    let before = machine::process_cpu(pid);
    let done = act()?;
    Ok((done, machine::process_cpu(pid) - before))
}

/// Kafka's performance tools against one broker.
struct Tools<'a> {
    script: &'a PathBuf,
    address: SocketAddr,
}

struct Produced {
    mb_per_second: f64,
    p99_ms: f64,
}

impl Tools<'_> {
    fn run(&self, class: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(self.script);
        command.args(["class", class]).args(arguments).stderr(Stdio::null());
        let output = command.output()?;
        ensure!(output.status.success(), "{class} ended with {}", output.status);
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Reads the last line: `N records sent, X records/sec (Y MB/sec), ..., Z ms 99th, ...`.
    fn produce(&self, records: u64, rate: &str) -> anyhow::Result<Produced> {
        let bootstrap = format!("bootstrap.servers={}", self.address);
        let (records, size) = (records.to_string(), RECORD_BYTES.to_string());
        let text = self.run(
            "org.apache.kafka.tools.ProducerPerformance",
            &[
                "--topic",
                "perf",
                "--num-records",
                &records,
                "--record-size",
                &size,
                "--throughput",
                rate,
                "--producer-props",
                &bootstrap,
                "acks=1",
            ],
        )?;
        let line = text.lines().rfind(|line| line.contains("99th")).context("no summary")?;
        let number = |before: &str| -> anyhow::Result<f64> {
            let head = line.split(before).next().unwrap_or_default();
            let word = head.rsplit([' ', '(']).next().unwrap_or_default();
            word.parse().with_context(|| format!("no number before {before:?} in {line:?}"))
        };
        Ok(Produced { mb_per_second: number(" MB/sec")?, p99_ms: number(" ms 99th")? })
    }

    /// Reads MB/s without the time to join, column `fetch.MB.sec`.
    fn consume(&self, records: u64) -> anyhow::Result<f64> {
        let (records, address) = (records.to_string(), self.address.to_string());
        let text = self.run(
            "org.apache.kafka.tools.ConsumerPerformance",
            &[
                "--topic",
                "perf",
                "--num-records",
                &records,
                "--bootstrap-server",
                &address,
                "--timeout",
                "60000",
            ],
        )?;
        let mut lines = text.lines().filter(|line| line.contains(','));
        let names = lines.next().context("no heading")?;
        let values = lines.next_back().context("no figures")?;
        let at = names.split(", ").position(|name| name == "fetch.MB.sec");
        let at = at.with_context(|| format!("no fetch.MB.sec in {names:?}"))?;
        let value = values.split(", ").nth(at).context("too few figures")?;
        value.trim().parse().with_context(|| format!("{value:?} is no number"))
    }
}
