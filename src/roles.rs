//! What each first word starts.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use pharos_admin::Section;
use pharos_base::{Clock, Spawners, raise_open_file_limit};
use pharos_broker::{Node, NodeOptions, NodeParts};
use pharos_config::{BrokerConfig, Mode, Sources, Warning, rows};
use pharos_console::ConsoleOptions;
use pharos_telemetry as telemetry;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{banner, help, keys, rules};

/// Longest time that a stop may take before the process ends anyway.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// Threads of the control plane.
const CONTROL_THREADS: usize = 2;

/// The commit that the program was built from.
pub const REVISION: Option<&str> = option_env!("PHAROS_REVISION");

/// What may be asked for.
pub const USAGE: &str = "usage: pharos [up | server [server.properties]] [--override key=value]... \
     [--ready-file FILE]\n       pharos rules eval FILE --beans DUMP [--exporter 0.x|1.x]\n       \
     pharos rules check FILE... [--beans DUMP] [--exporter 0.x|1.x] [--verbose]\n           \
     [--dashboards DIR] [--alerts FILE...]\n       \
     pharos explain SERIES [--rules FILE...] [--exporter 0.x|1.x] [--dashboards DIR]\n           \
     [--alerts FILE...]\n       \
     pharos keys hash TOPIC KEY [--hex] [--admin HOST:PORT]\n       \
     pharos TOOL ...";

/// Runs the role of `called` or of the first argument.
///
/// # Errors
/// Why nothing was started.
pub fn run(called: &str, arguments: Vec<String>) -> anyhow::Result<ExitCode> {
    let name = Path::new(called).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if name != "pharos" && pharos_cli::is_tool(name) {
        return Ok(tool(name, &arguments));
    }
    if let [word, ..] = arguments.as_slice()
        && matches!(word.as_str(), "--version" | "-V" | "version")
    {
        banner::page(&help::version());
        return Ok(ExitCode::SUCCESS);
    }
    let (first, rest) = match arguments.split_first() {
        Some((first, rest)) if !first.starts_with('-') => (first.as_str(), rest),
        _ => ("up", arguments.as_slice()),
    };
    let own = matches!(first, "up" | "server" | "keys" | "rules");
    let asked = |word: &String| matches!(word.as_str(), "--help" | "-h");
    if first == "help" || own && rest.first().is_some_and(asked) {
        banner::page(&help::text());
        return Ok(ExitCode::SUCCESS);
    }
    match first {
        "up" => serve(Mode::Up, rest),
        "server" => serve(Mode::Server, rest),
        "explain" => rules::explain(rest),
        "keys" => keys::run(rest),
        "rules" => rules::run(rest),
        word if pharos_cli::is_tool(word) => Ok(tool(word, rest)),
        other => bail!("there is no command {other:?}\n{USAGE}"),
    }
}

fn tool(name: &str, arguments: &[String]) -> ExitCode {
    ExitCode::from(u8::try_from(pharos_cli::run(name, arguments)).unwrap_or(1))
}

/// What was asked for on the command line of a server.
#[derive(Debug, Default)]
struct ServeArguments {
    file: Option<PathBuf>,
    overrides: Vec<String>,
    ready_file: Option<PathBuf>,
}

impl ServeArguments {
    fn parse(mode: Mode, arguments: &[String]) -> anyhow::Result<Self> {
        let mut parsed = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let (name, inline) = match argument.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
                _ => (argument.as_str(), None),
            };
            let mut value = || {
                inline
                    .clone()
                    .or_else(|| rest.next().cloned())
                    .with_context(|| format!("{name} needs a value\n{USAGE}"))
            };
            match name {
                "--override" => parsed.overrides.push(value()?),
                "--ready-file" => parsed.ready_file = Some(PathBuf::from(value()?)),
                file if mode == Mode::Server && parsed.file.is_none() && !file.starts_with('-') => {
                    parsed.file = Some(PathBuf::from(file));
                }
                other => bail!("unknown argument {other:?}\n{USAGE}"),
            }
        }
        Ok(parsed)
    }

    fn config(&self, mode: Mode) -> anyhow::Result<(BrokerConfig, Vec<Warning>)> {
        let mut sources = Sources::new(mode);
        if let Some(file) = &self.file {
            sources = sources.file(file)?;
        }
        let overrides = self.overrides.iter().map(String::as_str);
        let sources = sources.process_environment().overrides(overrides)?;
        Ok(BrokerConfig::load(sources)?)
    }
}

fn serve(mode: Mode, arguments: &[String]) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let arguments = ServeArguments::parse(mode, arguments)?;
    let (config, warnings) = arguments.config(mode)?;
    let control = runtime("control", CONTROL_THREADS)?;
    let data = runtime("data", std::thread::available_parallelism().map_or(1, usize::from))?;
    let logging = telemetry::start(telemetry_options(&config, &control))?;
    raise_open_file_limit();
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    if pharos_metrics::BLIND {
        tracing::warn!("this build is for measurements: what it shows does not move");
    }
    // Before anything can ask for them: what comes earlier ends the process as if nothing handled it.
    let mut signals = {
        let _inside = control.enter();
        Signals::listen().context("signals cannot be received")?
    };
    let spawners = Spawners { data: data.handle().clone(), control: control.handle().clone() };
    let revision = REVISION.unwrap_or("unknown").to_owned();
    let options = NodeOptions::new(config.clone(), spawners, revision);
    let options = NodeOptions { add_pages: console, tracer: logging.tracer(), ..options };
    let code = match control.block_on(started(options, &mut signals.ends))? {
        Some(node) => {
            if let Some(file) = &arguments.ready_file {
                write_ready_file(file, &node)?;
            }
            banner::print(&config, &node, began.elapsed().as_millis());
            control.block_on(until_stopped(node, signals))
        }
        None => ExitCode::SUCCESS,
    };
    drop(logging);
    data.shutdown_timeout(Duration::from_secs(1));
    control.shutdown_timeout(Duration::from_secs(1));
    Ok(code)
}

/// The live page, which takes the place of the list of pages.
fn console(parts: NodeParts<'_>) -> Vec<Section> {
    let every_ms = parts.config.get(&rows::ADMIN_CONSOLE_INTERVAL_MS);
    let memory_bytes = parts.config.get(&rows::ADMIN_CONSOLE_MEMORY_BYTES);
    let section = pharos_console::section(ConsoleOptions {
        registry: parts.registry,
        pages: parts.pages,
        readiness: parts.readiness,
        node_id: parts.node_id.0,
        cluster_id: parts.cluster_id,
        instance: parts.admin,
        every: Duration::from_millis(u64::try_from(every_ms).unwrap_or(15_000)),
        memory_bytes: usize::try_from(memory_bytes).unwrap_or(usize::MAX),
        generation: parts.generation,
        runtime: parts.control,
    });
    vec![section]
}

fn runtime(name: &str, threads: usize) -> anyhow::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name(name)
        .enable_all()
        .build()
        .with_context(|| format!("cannot start the {name} threads"))
}

/// A number that the configuration keeps from being negative.
fn number(value: i32) -> usize {
    usize::try_from(value).unwrap_or(0)
}

fn millis(value: i32) -> Duration {
    Duration::from_millis(u64::try_from(value).unwrap_or(0))
}

fn telemetry_options(config: &BrokerConfig, control: &Runtime) -> telemetry::Options {
    let otlp = config.get(&rows::OTEL_EXPORTER_OTLP_ENDPOINT).map(|endpoint| telemetry::Otlp {
        endpoint: endpoint.to_owned(),
        service_name: config.get(&rows::OTEL_SERVICE_NAME).to_owned(),
        instance: format!("node-{}", config.node_id()),
        sampled_ratio: config.get(&rows::OTEL_TRACES_SAMPLER_ARG),
        batching: telemetry::Batching {
            queue_spans: number(config.get(&rows::OTEL_BSP_MAX_QUEUE_SIZE)),
            batch_spans: number(config.get(&rows::OTEL_BSP_MAX_EXPORT_BATCH_SIZE)),
            delay: millis(config.get(&rows::OTEL_BSP_SCHEDULE_DELAY)),
            timeout: millis(config.get(&rows::OTEL_EXPORTER_OTLP_TIMEOUT)),
        },
        runtime: control.handle().clone(),
    });
    let format = match config.get(&rows::LOGGING_FORMAT) {
        "json" => telemetry::Format::Json,
        _ => telemetry::Format::Text,
    };
    // At a terminal the block that `up` prints is all that a newcomer needs to see.
    let quiet = config.mode() == Mode::Up;
    telemetry::Options { format, clock: Clock::real(), quiet, otlp }
}

/// Writes the bound addresses as JSON, whole or not at all: whoever waits for the file may read it
/// as soon as it is there.
fn write_ready_file(file: &Path, node: &Node) -> anyhow::Result<()> {
    let listeners: serde_json::Map<_, _> = node
        .listeners()
        .iter()
        .map(|listener| {
            (listener.name.clone(), format!("{}:{}", listener.host, listener.port).into())
        })
        .collect();
    let admin = node.admin().next().map(|(host, port)| {
        let host = if host.is_empty() { "localhost" } else { host };
        format!("{host}:{port}")
    });
    let text = serde_json::json!({ "listeners": listeners, "admin": admin }).to_string();
    let temporary = file.with_extension("tmp");
    std::fs::write(&temporary, text)
        .and_then(|()| std::fs::rename(&temporary, file))
        .with_context(|| format!("cannot write {}", file.display()))
}

/// What the process may be asked for from outside; what comes while nobody looks is not lost.
struct Signals {
    ends: Ends,
    hangup: Signal,
}

/// What ends the process.
struct Ends {
    term: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Within a runtime.
    fn listen() -> std::io::Result<Self> {
        let (term, interrupt) = (SignalKind::terminate(), SignalKind::interrupt());
        let ends = Ends { term: signal(term)?, interrupt: signal(interrupt)? };
        Ok(Self { ends, hangup: signal(SignalKind::hangup())? })
    }
}

impl Ends {
    /// Waits for one of them.
    async fn one(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// The node, or nothing when the process is to end before it is up: that leaves what a crash leaves,
/// which the next start recovers. SIGHUP waits until the node is there.
async fn started(options: NodeOptions, ends: &mut Ends) -> anyhow::Result<Option<Node>> {
    tokio::select! {
        node = Node::start(options) => Ok(Some(node?)),
        () = ends.one() => {
            tracing::warn!("the start was broken off by a signal");
            Ok(None)
        }
    }
}

/// Serves until a signal or a failure; a second signal, or the limit, ends the process at once.
/// SIGHUP lets rule files be read anew.
async fn until_stopped(node: Node, mut signals: Signals) -> ExitCode {
    let failure = loop {
        tokio::select! {
            () = signals.ends.one() => break None,
            failure = node.failure() => break Some(failure),
            _ = signals.hangup.recv() => node.reload_rules().await,
        }
    };
    if let Some(failure) = failure {
        tracing::error!("the node ends: {failure}");
        return ExitCode::from(1);
    }
    let stop = tokio::time::timeout(STOP_LIMIT, node.stop());
    tokio::select! {
        stopped = stop => match stopped {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => {
                tracing::error!("the node did not stop within {} s", STOP_LIMIT.as_secs());
                ExitCode::from(1)
            }
        },
        () = signals.ends.one() => ExitCode::from(1),
    }
}
