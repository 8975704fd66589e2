//! What a person sees at the start: where things are served, and what differs from Kafka.

use std::io::{IsTerminal, Write, stderr, stdout};

use pharos_broker::Node;
use pharos_config::{BrokerConfig, Mode, UP_DEFAULTS};

/// Styles text for a terminal, and leaves it alone elsewhere.
struct Ink(bool);

impl Ink {
    fn bold(&self, text: &str) -> String {
        if self.0 { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn faint(&self, text: &str) -> String {
        if self.0 { format!("\x1b[2m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Prints where the node is served. A closed output is no reason to stop.
pub fn print(config: &BrokerConfig, node: &Node, elapsed_ms: u128) {
    let out = stdout();
    let ink = Ink(out.is_terminal());
    let mut out = out.lock();
    let _ = write!(out, "{}", text(config, node, elapsed_ms, &ink));
    let _ = out.flush();
}

fn text(config: &BrokerConfig, node: &Node, elapsed_ms: u128, ink: &Ink) -> String {
    let mut lines = vec![format!(
        "{} {} is up in {elapsed_ms} ms, node {} of cluster {}",
        ink.bold("Pharos"),
        env!("CARGO_PKG_VERSION"),
        config.node_id(),
        node.cluster_id()
    )];
    let mut row = |name: &str, value: String| lines.push(format!("  {name:<8} {value}"));
    for listener in node.listeners().iter().filter(|listener| !listener.controller) {
        row("kafka", format!("{}:{}  {}", listener.host, listener.port, ink.faint(&listener.name)));
    }
    for url in node.admin_urls() {
        row("metrics", format!("{url}/metrics"));
    }
    let dirs: Vec<_> = config.log_dirs().iter().map(|dir| dir.display().to_string()).collect();
    row("data", dirs.join(", "));
    let recovery = node.recovery();
    if recovery.unclean_dirs > 0 && recovery.logs > 0 {
        row(
            "recovery",
            format!(
                "{} logs, {} bytes scanned, {} bytes cut off, {} ms",
                recovery.logs,
                recovery.recovered_bytes,
                recovery.truncated_bytes,
                recovery.elapsed_ms
            ),
        );
    }
    if config.mode() == Mode::Up {
        lines.push(String::new());
        lines.push(ink.faint("  Unlike Apache Kafka, unless you say otherwise:"));
        let width = UP_DEFAULTS.iter().map(|row| row.key.len()).max().unwrap_or(0);
        let mut differs = |key: &str, value: &str, why: &str| {
            lines.push(ink.faint(&format!("    {key:<width$}  {value:<13}  {why}")));
        };
        for row in UP_DEFAULTS {
            differs(row.key, row.value, row.why);
        }
        differs("advertised.listeners", "localhost", "clients on this machine find it");
        differs("listeners", "[::] and IPv4", "localhost may be either");
    }
    lines.push(String::new());
    lines.join("\n")
}

/// Prints why nothing was started, in one line.
pub fn error(error: &anyhow::Error) {
    let err = stderr();
    let ink = Ink(err.is_terminal());
    let _ = writeln!(err.lock(), "{} {}", ink.bold("pharos:"), sentence(error));
}

/// An error with its causes, without those that it quotes itself.
fn sentence(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| {
        match (said.is_empty(), said.ends_with(&cause)) {
            (true, _) => cause,
            (false, true) => said,
            (false, false) => format!("{said}: {cause}"),
        }
    })
}

/// Prints a page as it is.
pub fn page(text: &str) {
    let _ = stdout().lock().write_all(text.as_bytes());
}

/// Prints remarks beside a page.
pub fn notes<'a>(lines: impl Iterator<Item = &'a String>) {
    let mut err = stderr().lock();
    for line in lines {
        let _ = writeln!(err, "{line}");
    }
}
