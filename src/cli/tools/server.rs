//! `kafka-server-start` and `kafka-server-stop`: the server of this same program.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::args::{Args, Spec, switch, value};
use crate::io::Io;

/// What `kafka-server-start` takes.
pub const START: Spec = Spec {
    about: "This tool starts the server: kafka-server-start [-daemon] server.properties \
            [--override property=value]*",
    commands: &[],
    flags: &[
        switch("daemon", "Go on in the background."),
        value("override", "String: property=value", "A property that wins over the file."),
        value("name", "String: name", "Name of the process; without effect here."),
        switch("loggc", "Without effect: there is no Java virtual machine."),
    ],
};

/// What `kafka-server-stop` takes.
pub const STOP: Spec = Spec {
    about: "This tool asks running servers to stop.",
    commands: &[],
    flags: &[
        value("process-role", "String: role", "Only servers with this role: broker or controller."),
        value("node-id", "Integer: id", "Only the server with this node.id."),
    ],
};

/// Words that start a server of this program.
const SERVERS: [&str; 3] = ["server", "up", "kafka-server-start"];

/// Becomes the server, or starts it in the background.
pub fn start(args: &Args, io: &mut Io<'_>) -> Result<i32> {
    let Some(file) = args.words.first() else {
        bail!("too few arguments: give the server.properties");
    };
    if !Path::new(file).is_file() {
        bail!("cannot read {file}");
    }
    let mut command = Command::new(program()?);
    command.arg("server").arg(file);
    for pair in args.values("override") {
        command.args(["--override", pair]);
    }
    if args.has("daemon") {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // A group of its own, so that the terminal's Ctrl-C does not reach it.
        command.process_group(0).spawn().context("the server cannot be started")?;
        return Ok(0);
    }
    io.out.flush()?;
    Err(command.exec()).context("the server cannot be started")
}

fn program() -> Result<PathBuf> {
    std::env::current_exe().context("the path of this program is not known")
}

/// Asks every matching server of this program to stop.
pub fn stop(args: &Args, _io: &mut Io<'_>) -> Result<i32> {
    let program = program()?;
    let mut found = 0;
    for (process, words) in processes(&program) {
        if is_server(&words) && matches(&words, args)? {
            found += 1;
            rustix::process::kill_process(process, rustix::process::Signal::TERM)
                .context("the server cannot be stopped")?;
        }
    }
    if found == 0 {
        bail!("No kafka server to stop");
    }
    Ok(0)
}

/// Processes that run `program`, with their arguments.
fn processes(program: &Path) -> Vec<(rustix::process::Pid, Vec<String>)> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let own = std::process::id();
    entries
        .flatten()
        .filter_map(|entry| {
            let id: u32 = entry.file_name().to_str()?.parse().ok()?;
            let same = std::fs::read_link(entry.path().join("exe")).ok()? == program;
            let words = std::fs::read(entry.path().join("cmdline")).ok()?;
            let words =
                words.split(|byte| *byte == 0).map(|w| String::from_utf8_lossy(w).into_owned());
            let pid = rustix::process::Pid::from_raw(i32::try_from(id).ok()?)?;
            (same && id != own).then(|| (pid, words.filter(|word| !word.is_empty()).collect()))
        })
        .collect()
}

fn is_server(words: &[String]) -> bool {
    let first = words.get(1).map(|word| super::bare_name(word));
    let by_name = words.first().map(|word| super::bare_name(word)) == Some("server-start");
    by_name
        || first.is_none()
        || first.is_some_and(|word| SERVERS.contains(&word) || word == "server-start")
}

/// Looks into the server's own properties for `--process-role` and `--node-id`.
fn matches(words: &[String], args: &Args) -> Result<bool> {
    let wanted = [("process.roles", args.one("process-role")?), ("node.id", args.one("node-id")?)];
    if wanted.iter().all(|(_, value)| value.is_none()) {
        return Ok(true);
    }
    let file = words.iter().skip(1).find(|word| word.ends_with(".properties"));
    let Some(file) = file else { return Ok(false) };
    let properties = pharos_client::Properties::read(file)?;
    Ok(wanted.iter().all(|(key, value)| match value {
        None => true,
        Some(value) => properties
            .get(key)
            .is_some_and(|found| found.split(',').any(|part| part.trim() == *value)),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_told_from_tools() {
        for (line, expected) in [
            ("pharos server x.properties", true),
            ("pharos up", true),
            ("pharos", true),
            ("kafka-server-start.sh x.properties", true),
            ("pharos kafka-topics --list", false),
            ("pharos server-stop", false),
        ] {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(is_server(&words), expected, "{line}");
        }
    }
}
