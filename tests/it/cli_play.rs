//! Plays transcripts with our tools against our broker and compares what they wrote.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::Instant;

use regex::Regex;

use crate::cli_script::{Call, Step, read, words};
use crate::start_process::{HANG_GUARD, Launch, Server};
use crate::tidy::root;

/// Plays a transcript; all differences are told at once.
pub fn check(name: &str) {
    let steps = read(name);
    let mut stage = Stage::new(&steps);
    let mut faults = Vec::new();
    for step in &steps {
        match step {
            Step::File { name, lines } => stage.write(name, lines),
            Step::Background(line) => stage.start(line),
            Step::Stop => stage.stop(),
            Step::Call(call) => {
                let ran = stage.call(call);
                if let Err(fault) = compare(call, &ran) {
                    faults.push(format!("$ {}\n{fault}\n{ran}", call.line));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{} of {name} differ:\n\n{}", faults.len(), faults.join("\n\n"));
}

/// What a tool did.
#[derive(Debug, Default)]
struct Ran {
    code: i32,
    out: Vec<String>,
    err: Vec<String>,
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "ours: = {}", self.code)?;
        self.out.iter().try_for_each(|line| writeln!(f, "ours: 1 {line}"))?;
        self.err.iter().try_for_each(|line| writeln!(f, "ours: 2 {line}"))
    }
}

/// A broker, a folder of files, tools in the background.
struct Stage {
    files: PathBuf,
    /// Names that stand for paths and addresses in transcripts.
    names: BTreeMap<&'static str, String>,
    /// Ports by what stands for them in output.
    ports: BTreeMap<&'static str, String>,
    background: Vec<Child>,
    _server: Option<Server>,
    _home: tempfile::TempDir,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Stage {
    fn new(steps: &[Step]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let files = home.path().join("files");
        fs::create_dir(&files).unwrap();
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        let mut names = BTreeMap::from([
            ("DIR", text(files.clone())),
            ("SEGMENTS", text(root().join("tests/golden/segments"))),
        ]);
        let mut ports = BTreeMap::new();
        let needs_broker = steps.iter().any(|step| match step {
            Step::Call(call) => call.line.contains("BROKER"),
            _ => false,
        });
        let server = needs_broker.then(|| {
            let data = text(home.path().join("data"));
            let server = Launch::up(home.path())
                .with("node.id=1")
                .with("offsets.topic.num.partitions=4")
                .with(&format!("log.dirs={data}"))
                .env("CLUSTER_ID", "MkU3OEVBNTcwNTJENDM2Qk")
                .start();
            let controller = server.listener("CONTROLLER").rsplit_once(':').unwrap().1.to_owned();
            names.insert("DATA", data);
            names.insert("BROKER", format!("127.0.0.1:{}", server.port()));
            names.insert("CONTROLLER", format!("127.0.0.1:{controller}"));
            ports.insert("PPPPP", server.port().to_string());
            ports.insert("CCCCC", controller);
            server
        });
        Self { files, names, ports, background: Vec::new(), _server: server, _home: home }
    }

    /// The text with addresses and paths for their names.
    fn filled(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (name, value)| {
            let whole = Regex::new(&format!(r"\b{name}\b")).unwrap();
            whole.replace_all(&text, regex::NoExpand(value)).into_owned()
        })
    }

    fn write(&self, name: &str, lines: &[String]) {
        let lines: Vec<_> = lines.iter().map(|line| self.filled(line) + "\n").collect();
        fs::write(self.files.join(name), lines.concat()).unwrap();
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pharos"));
        command.args(words(line).iter().map(|word| self.filled(word)));
        command.current_dir(&self.files).env_clear();
        command
    }

    fn start(&mut self, line: &str) {
        let mut command = self.command(line);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.background.push(command.spawn().unwrap());
    }

    /// Asks the tools in the background to end, so that they leave their groups.
    fn stop(&mut self) {
        for child in &self.background {
            let _ = Command::new("kill").arg(child.id().to_string()).status();
        }
        for mut child in self.background.drain(..) {
            let _ = child.wait();
        }
    }

    fn call(&self, call: &Call) -> Ran {
        let began = Instant::now();
        loop {
            let ran = self.run(call);
            let text = ran.out.join("\n");
            let met = call.until.iter().all(|wanted| text.contains(wanted.as_str()))
                && !call.until_not.iter().any(|other| text.contains(other.as_str()));
            if met || began.elapsed() > HANG_GUARD {
                return ran;
            }
        }
    }

    fn run(&self, call: &Call) -> Ran {
        let mut command = self.command(&call.line);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A tool that does not read has closed its end.
        let _ = child.stdin.take().unwrap().write_all(call.stdin.as_bytes());
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let lines = |bytes: Vec<u8>| self.cleaned(&String::from_utf8(bytes).unwrap());
        Ran { code: status.code().unwrap_or(-1), out: lines(stdout), err: lines(stderr) }
    }

    /// Lines with names for paths and ports, without the log of the client.
    fn cleaned(&self, text: &str) -> Vec<String> {
        static LOGGED: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"^\d{4}-\d{2}-\d{2}T\S+ +(WARN|ERROR) ").unwrap());
        let mut text = text.to_owned();
        for (name, value) in self.names.iter().filter(|(_, value)| value.contains('/')) {
            text = text.replace(value.as_str(), name);
        }
        for (name, port) in &self.ports {
            let whole = Regex::new(&format!(r"\b{port}\b")).unwrap();
            text = whole.replace_all(&text, *name).into_owned();
        }
        text.lines().filter(|line| !LOGGED.is_match(line)).map(str::to_owned).collect()
    }
}

/// Whether ours did what Kafka's did, as far as the call's rules ask for it.
fn compare(call: &Call, ran: &Ran) -> Result<(), String> {
    if let Some(ours) = &call.ours {
        let mut wrote = vec![format!("= {}", ran.code)];
        wrote.extend(ran.out.iter().map(|line| format!("1 {line}")));
        wrote.extend(ran.err.iter().map(|line| format!("2 {line}")));
        let expected: Vec<String> = ours.iter().map(|line| masked(line, call.numbers)).collect();
        let wrote: Vec<String> = wrote.iter().map(|line| masked(line, call.numbers)).collect();
        return same("", &expected, &wrote);
    }
    if call.later {
        let tells = ran.err.iter().any(|line| line.contains("later"));
        return sentence(ran).and_then(|_| if tells { Ok(()) } else { Err("who tells?".into()) });
    }
    if call.code != 0 {
        return refused(call, ran);
    }
    if call.fails_here && ran.out.is_empty() {
        return refused(call, ran);
    }
    let expected = i32::from(call.fails_here);
    if ran.code != expected {
        return Err(format!("it ends with {} instead of {expected}", ran.code));
    }
    same("1 ", &prepared(call, &call.out), &prepared(call, &ran.out))?;
    same("2 ", &prepared(call, &call.err), &prepared(call, &ran.err))
}

/// A failure is told in one sentence, which is Kafka's.
fn refused(call: &Call, ran: &Ran) -> Result<(), String> {
    if call.err.is_empty() && ran.err.is_empty() {
        return match ran.code {
            1 => same("1 ", &prepared(call, &call.out), &prepared(call, &ran.out)),
            code => Err(format!("a failure ends with {code}")),
        };
    }
    let told = sentence(ran)?;
    if call.any_words && call.err.iter().any(|line| sorted_words(line) == sorted_words(told)) {
        return Ok(());
    }
    let dense = |text: &str| text.split_whitespace().collect::<String>();
    let all: String = call.out.iter().chain(&call.err).map(|line| dense(line)).collect();
    let told = dense(told);
    // Ours may say more than a parser of arguments, whose sentence stands behind its usage.
    let parser = all.rsplit_once("error:").and_then(|(_, sentence)| sentence.split('.').next());
    if all.contains(&told) || parser.is_some_and(|sentence| told.contains(sentence)) {
        return Ok(());
    }
    let kafka: Vec<_> = call.out.iter().chain(&call.err).map(|line| format!("  {line}")).collect();
    Err(format!("Kafka says:\n{}", kafka.join("\n")))
}

/// The one sentence of a failure, besides the count that a consumer ends with.
fn sentence(ran: &Ran) -> Result<&str, String> {
    let counts = |line: &&String| line.starts_with("Processed a total of ");
    let lines: Vec<&String> = ran.err.iter().filter(|line| !counts(line)).collect();
    match (ran.code, lines.as_slice()) {
        (1, [line]) => Ok(line),
        (1, lines) => Err(format!("{} lines tell of a failure", lines.len())),
        (code, _) => Err(format!("a failure ends with {code}")),
    }
}

fn prepared(call: &Call, lines: &[String]) -> Vec<String> {
    let cut = |line: &String| {
        let first = line.split_whitespace().next().filter(|_| call.first_words);
        let line = masked(first.unwrap_or(line), call.numbers);
        if call.any_words { sorted_words(&line) } else { line }
    };
    let mut lines: Vec<String> = lines.iter().map(cut).collect();
    if call.any_order {
        lines.sort();
    }
    lines
}

fn sorted_words(line: &str) -> String {
    let mut words: Vec<&str> = line.split(|c: char| !c.is_alphanumeric()).collect();
    words.sort_unstable();
    words.join(" ")
}

/// What differs from run to run is hidden, in its width.
fn masked(line: &str, numbers: bool) -> String {
    static IDS: LazyLock<[Regex; 3]> = LazyLock::new(|| {
        [
            Regex::new(r"()([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})()").unwrap(),
            Regex::new(r"(^|[^\w-])([\w-]{22})($|[^\w-])").unwrap(),
            Regex::new(r"(^|\D)(1\d{12})($|\D)").unwrap(),
        ]
    });
    static NUMBER: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"-?\d[\d.]*|NaN").unwrap());
    let hide = |found: &regex::Captures<'_>| {
        format!("{}{}{}", &found[1], "*".repeat(found[2].len()), &found[3])
    };
    // A topic's configurations stand in the order of a hash map.
    if let Some((front, configs)) = line.split_once("\tConfigs: ") {
        let mut configs: Vec<&str> = configs.split(',').collect();
        configs.sort_unstable();
        return format!("{}\tConfigs: {}", masked(front, numbers), configs.join(","));
    }
    // An exception without a message has none to tell.
    let line = line
        .strip_suffix("Exception: null")
        .map_or(line.to_owned(), |l| l.to_owned() + "Exception");
    let line = IDS.iter().fold(line, |line, id| id.replace_all(&line, hide).into_owned());
    if !numbers {
        return line;
    }
    let line = NUMBER.replace_all(&line, "#");
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn same(stream: &str, expected: &[String], found: &[String]) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    let missing = expected.iter().filter(|line| !found.contains(line));
    let extra = found.iter().filter(|line| !expected.contains(line));
    let told: Vec<String> = missing
        .map(|line| format!("- {stream}{line}"))
        .chain(extra.map(|line| format!("+ {stream}{line}")))
        .collect();
    Err(if told.is_empty() { format!("{stream}: another order") } else { told.join("\n") })
}
