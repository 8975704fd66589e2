//! Kafka's command-line tools: same names, same flags, same output, over our own client.
//!
//! One file per tool. A tool is a table of flags and a function; it writes through [`Io`] and
//! fails with one sentence. It refuses to know the broker's insides (dump-log reads files).

mod args;
mod common;
mod console;
mod io;
mod stored;
mod table;
#[cfg(test)]
mod testing;
mod tools;

pub use args::{Args, Flag, Spec};
pub use io::Io;

/// True when `word` names a Kafka tool: `topics`, `kafka-topics`, `kafka-topics.sh`, also as the
/// last part of a path.
pub fn is_tool(word: &str) -> bool {
    let name = tools::bare_name(word);
    tools::find(name).is_some() || tools::of_later(name).is_some()
}

/// Names of all tools, bare, in order.
pub fn tool_names() -> impl Iterator<Item = &'static str> {
    tools::names()
}

/// Runs the tool that `word` names on the process's own input and output; returns the exit code.
pub fn run(word: &str, args: &[String]) -> i32 {
    io::with_process(|io| run_with(word, args, io))
}

/// Runs the tool that `word` names; returns the exit code: 0, or 1 with one sentence on `io.err`.
pub fn run_with(word: &str, args: &[String], io: &mut Io<'_>) -> i32 {
    let name = tools::bare_name(word);
    let outcome = match tools::find(name) {
        Some(tool) => tools::run(tool, args, io),
        None => Err(match tools::of_later(name) {
            Some(what) => anyhow::anyhow!("kafka-{name} is not here yet: {what} come later"),
            None => anyhow::anyhow!("{word} is no tool of Kafka's"),
        }),
    };
    match outcome {
        Ok(code) => code,
        Err(error) if io::is_broken_pipe(&error) => 0,
        Err(error) => {
            io.fail(&error);
            1
        }
    }
}
