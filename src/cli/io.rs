//! Where a tool reads and writes: the process's streams, or buffers in tests.

use std::io::{self, BufRead, IsTerminal, Write};

/// A tool's streams.
pub struct Io<'a> {
    /// Results.
    pub out: &'a mut dyn Write,
    /// Errors and warnings.
    pub err: &'a mut dyn Write,
    /// What the user types; taken by the tool that reads it.
    pub input: Option<Box<dyn BufRead + Send>>,
    /// True when `input` is a terminal: only then is there a prompt.
    pub input_is_terminal: bool,
    /// True when `err` is a terminal: only then is progress shown.
    pub err_is_terminal: bool,
}

impl Io<'_> {
    /// Writes one line of results.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub fn line(&mut self, text: impl AsRef<str>) -> io::Result<()> {
        self.out.write_all(text.as_ref().as_bytes())?;
        self.out.write_all(b"\n")
    }

    /// Writes one line of warning; nothing can be done when that fails.
    pub fn warn(&mut self, text: impl AsRef<str>) {
        let _ = self.err.write_all(text.as_ref().as_bytes());
        let _ = self.err.write_all(b"\n");
    }

    /// Tells why the tool failed, in one sentence.
    pub fn fail(&mut self, error: &anyhow::Error) {
        let _ = self.out.flush();
        let mut text = error.to_string();
        for cause in error.chain().skip(1).map(ToString::to_string) {
            if !text.contains(&cause) {
                text = format!("{text}: {cause}");
            }
        }
        self.warn(sentence(&text));
    }
}

/// Characters of a sentence; what a broker says may be of any length.
const MAX_SENTENCE: usize = 4096;

/// One line without what would move a terminal's cursor: brokers may say anything.
fn sentence(text: &str) -> String {
    let line = text.lines().collect::<Vec<_>>().join(" ");
    let mut shown: String = line
        .chars()
        .take(MAX_SENTENCE)
        .map(|of| if of.is_control() { char::REPLACEMENT_CHARACTER } else { of })
        .collect();
    if shown.len() < line.len() && line.chars().nth(MAX_SENTENCE).is_some() {
        shown.push_str("...");
    }
    shown
}

/// Runs `work` on the process's streams.
pub fn with_process(work: impl FnOnce(&mut Io<'_>) -> i32) -> i32 {
    let stdin = io::stdin();
    let input_is_terminal = stdin.is_terminal();
    let mut out = io::BufWriter::new(io::stdout().lock());
    let stderr = io::stderr();
    let err_is_terminal = stderr.is_terminal();
    let mut err = stderr;
    log_to_stderr();
    let code = work(&mut Io {
        out: &mut out,
        err: &mut err,
        input: Some(Box::new(io::BufReader::new(stdin))),
        input_is_terminal,
        err_is_terminal,
    });
    match out.flush() {
        Err(error) if code == 0 && error.kind() != io::ErrorKind::BrokenPipe => 1,
        _ => code,
    }
}

/// Warnings of the client go to stderr, unless the process logs elsewhere already.
fn log_to_stderr() {
    let _ = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(io::stderr)
        .with_target(false)
        .with_ansi(false)
        .try_init();
}

/// True when the reader of the output has gone: `| head` is no failure.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
