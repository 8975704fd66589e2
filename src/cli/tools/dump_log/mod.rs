//! `kafka-dump-log`: what lies in segment files (org.apache.kafka.tools.DumpLogSegments).

mod batches;
mod decoder;
mod index;
mod log;
mod state;
#[cfg(test)]
mod tests;

use std::path::Path;

use anyhow::{Context, Result, bail};

use self::decoder::Decoder;
use crate::args::{Args, Spec, maybe, switch, value};
use crate::io::Io;

/// What the tool takes.
pub const SPEC: Spec = Spec {
    about: "This tool helps to parse a log file and dump its contents to the console, useful for \
            debugging a seemingly corrupt log segment.",
    commands: &[],
    flags: &[
        value("files", "String: file1, file2, ...", "The files, separated by commas."),
        switch("print-data-log", "Show the records too."),
        switch("deep-iteration", "Look into the records of each batch."),
        value("max-bytes", "Integer: size", "Read at most so many bytes of each log."),
        value("max-message-size", "Integer: size", "Without effect: batches of any size are read."),
        switch("index-sanity-check", "Only check that the index files may be believed."),
        switch("verify-index-only", "Only check the index files against the log."),
        switch("skip-record-metadata", "Leave out all of a record but its key and payload."),
        switch("offsets-decoder", "Decode records of __consumer_offsets."),
        switch("transaction-log-decoder", "Decode records of __transaction_state."),
        switch("cluster-metadata-decoder", "Decode records of the metadata log."),
        switch("remote-log-metadata-decoder", "Decode records of tiered storage (comes later)."),
        switch("share-group-state-decoder", "Decode records of share groups (comes later)."),
        maybe("key-decoder-class", "String", "The decoder of keys: String, Integer or Long."),
        maybe("value-decoder-class", "String", "The decoder of values: String, Integer or Long."),
    ],
};

/// What is told when all files have been read: per file, what does not fit.
#[derive(Default)]
struct Findings {
    sections: Vec<(String, Vec<String>)>,
}

impl Findings {
    fn add(&mut self, heading: String, line: String) {
        match self.sections.iter_mut().find(|(known, _)| *known == heading) {
            Some((_, lines)) => lines.push(line),
            None => self.sections.push((heading, vec![line])),
        }
    }
}

/// Runs the tool.
pub fn run(args: &Args, io: &mut Io<'_>) -> Result<i32> {
    for (decoder, what) in [
        ("remote-log-metadata-decoder", "tiered storage"),
        ("share-group-state-decoder", "share groups"),
    ] {
        if args.has(decoder) {
            bail!("--{decoder} is not here yet: {what} comes later");
        }
    }
    let files = args.required("files")?;
    let options = log::Options::parse(args)?;
    let mut findings = Findings::default();
    for file in files.split(',') {
        let path = Path::new(file);
        io.line(format!("Dumping {file}"))?;
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("log" | "checkpoint") => log::dump(path, &options, &mut findings, io)?,
            Some("index") => index::dump(path, args, &mut findings, io)?,
            Some("timeindex") => index::dump_times(path, args, &mut findings, io)?,
            Some("snapshot") => state::dump_producers(path, io)?,
            Some("txnindex") => state::dump_aborted(path, io)?,
            _ => io.warn(format!("Ignoring unknown file {file}")),
        }
    }
    for (heading, lines) in findings.sections {
        io.warn(heading);
        lines.into_iter().for_each(|line| io.warn(line));
    }
    Ok(0)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The offset that the file's name begins with.
fn base_offset(path: &Path) -> Result<i64> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match name.split('.').next().unwrap_or_default().parse() {
        Ok(offset) => Ok(offset),
        Err(_) => bail!("{} is no segment: its name does not begin with an offset", path.display()),
    }
}

/// The path from the root, as findings name files.
fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()).display().to_string()
}
