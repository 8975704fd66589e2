//! For tests: collects WARN and ERROR lines, and fails the test that did not expect them.

use std::fmt::Write as _;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// Lines kept; later ones are dropped: the first fail the test already.
const LINES_KEPT: usize = 1000;

/// Captures what this thread logs until it is dropped, and then fails on WARN and ERROR lines that
/// were not expected.
///
/// Only the thread that made it is watched: a test uses it with a current-thread runtime.
pub struct Capture {
    lines: Lines,
    expected: Vec<&'static str>,
    _default: DefaultGuard,
}

/// The layer behind [`Capture`], for a subscriber of one's own. Cloning shares the lines.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<String>>>);

impl Capture {
    /// Starts to watch this thread.
    pub fn start() -> Self {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::registry().with(lines.clone());
        let default = tracing::subscriber::set_default(subscriber);
        Self { lines, expected: Vec::new(), _default: default }
    }

    /// Expects lines that contain `part`.
    pub fn expect(&mut self, part: &'static str) {
        self.expected.push(part);
    }

    /// The WARN and ERROR lines so far, as `WARN target: message field=value`.
    pub fn lines(&self) -> Vec<String> {
        self.lines.all()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let unexpected = unexpected(&self.lines.all(), &self.expected);
        assert!(
            unexpected.is_empty() || std::thread::panicking(),
            "unexpected log lines:\n{}",
            unexpected.join("\n")
        );
    }
}

impl Lines {
    /// The WARN and ERROR lines so far.
    pub fn all(&self) -> Vec<String> {
        self.0.lock().clone()
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let metadata = event.metadata();
        if *metadata.level() > Level::WARN {
            return;
        }
        let mut text = Text(format!("{} {}:", metadata.level(), metadata.target()));
        event.record(&mut text);
        let mut lines = self.0.lock();
        if lines.len() < LINES_KEPT {
            lines.push(text.0);
        }
    }
}

struct Text(String);

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a String does not fail.
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

/// Those of `lines` that are WARN or ERROR lines and contain none of `expected`: for the output of
/// a process as well as for captured lines.
pub fn unexpected<'a>(
    lines: impl IntoIterator<Item = &'a String>,
    expected: &[&str],
) -> Vec<String> {
    let loud =
        |line: &str| line.split_whitespace().take(3).any(|word| matches!(word, "WARN" | "ERROR"));
    let lines = lines.into_iter().filter(|line| loud(line));
    lines.filter(|line| !expected.iter().any(|part| line.contains(part))).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expected_lines_pass_and_quiet_ones_are_not_looked_at() {
        let mut capture = Capture::start();
        capture.expect("disk is full");
        tracing::info!("hello");
        tracing::warn!(target: "pharos_storage", dir = "/data", "the disk is full");
        assert_eq!(capture.lines(), ["WARN pharos_storage: the disk is full dir=/data"]);
    }

    #[test]
    fn an_unexpected_line_fails_the_test() {
        let outcome = std::panic::catch_unwind(|| {
            let _capture = Capture::start();
            tracing::error!("boom");
        });
        let words = *outcome.unwrap_err().downcast::<String>().unwrap();
        assert!(words.starts_with("unexpected log lines:\nERROR "), "{words}");
    }

    #[test]
    fn lines_of_a_process_are_judged_by_their_level() {
        let lines = [
            "2023-11-14T22:13:20.123Z WARN  storage: disk slow".to_owned(),
            "2023-11-14T22:13:20.123Z INFO  storage: ERROR is only a word here".to_owned(),
            "22:13:20 ERROR net: no port".to_owned(),
        ];
        assert_eq!(unexpected(&lines, &["disk slow"]), [lines[2].clone()]);
        assert_eq!(unexpected(&lines, &[]).len(), 2);
    }
}
