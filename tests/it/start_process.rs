//! The built binary as a child: started on free ports, watched, killed. It refuses to guess when
//! the child is up: the child says so.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pharos_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::start_wire::Wire;

/// Longest time for anything that a test waits for: a guard against hanging, not a measure.
pub const HANG_GUARD: Duration = Duration::from_secs(30);

/// What a server is started with.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The working directory; data, log and ready file lie in it.
    pub home: PathBuf,
    /// The first word.
    pub role: &'static str,
    /// `--override` arguments.
    pub overrides: Vec<String>,
    /// The environment, besides the path.
    pub environment: Vec<(String, String)>,
}

impl Launch {
    /// `pharos up` on free ports, data in `home`.
    pub fn up(home: &Path) -> Self {
        Self {
            home: home.to_path_buf(),
            role: "up",
            overrides: ["listeners=PLAINTEXT://127.0.0.1:0", "admin.listeners=HTTP://127.0.0.1:0"]
                .map(str::to_owned)
                .to_vec(),
            environment: Vec::new(),
        }
    }

    /// Sets one more key.
    pub fn with(mut self, pair: &str) -> Self {
        self.overrides.push(pair.to_owned());
        self
    }

    /// Sets a variable of the environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pharos"));
        command.arg(self.role).current_dir(&self.home).stdin(Stdio::null());
        for pair in &self.overrides {
            command.args(["--override", pair]);
        }
        command.env_clear().envs(self.environment.iter().cloned());
        command
    }

    /// Starts the process, not waiting for anything.
    pub fn spawn(&self) -> Starting {
        let ready = self.home.join("ready.json");
        let _ = fs::remove_file(&ready);
        let log = self.home.join("stderr.log");
        let mut command = self.command();
        command.arg("--ready-file").arg(&ready);
        command.stdout(Stdio::piped()).stderr(File::create(&log).unwrap());
        let mut child = command.spawn().unwrap();
        let banner = BufReader::new(child.stdout.take().unwrap());
        Starting { child: Guard(child), banner, ready, log }
    }

    /// Starts the process and waits until it serves.
    pub fn start(&self) -> Server {
        self.spawn().wait()
    }

    /// Runs a process that is expected to end by itself: its exit code and what it wrote to stderr.
    pub fn refused(&self) -> (Option<i32>, String) {
        let log = self.home.join("stderr.log");
        let mut command = self.command();
        let child = command.stdout(Stdio::null()).stderr(File::create(&log).unwrap()).spawn();
        let mut child = Guard(child.unwrap());
        let began = Instant::now();
        let status = loop {
            if let Some(status) = child.0.try_wait().unwrap() {
                break status;
            }
            assert!(began.elapsed() < HANG_GUARD, "{:?} serves: {self:?}", log);
            std::thread::yield_now();
        };
        (status.code(), fs::read_to_string(&log).unwrap())
    }
}

/// A child that does not outlive its test.
#[derive(Debug)]
pub struct Guard(Child);

impl Guard {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.id()).unwrap()).unwrap()
    }

    /// SIGSTOP; returns once every thread has left the kernel and stands still. A system call that
    /// was under way is through by then, but its caller does not know yet.
    pub fn stop(&self) {
        kill_process(self.pid(), Signal::STOP).unwrap();
        let wait = || waitid(WaitId::Pid(self.pid()), WaitIdOptions::STOPPED);
        let status = retry_on_intr(wait).unwrap();
        assert!(status.is_some_and(|status| status.stopped()), "the process ended by itself");
    }

    /// SIGCONT.
    pub fn resume(&self) {
        kill_process(self.pid(), Signal::CONT).unwrap();
    }

    /// SIGHUP.
    pub fn hang_up(&self) {
        kill_process(self.pid(), Signal::HUP).unwrap();
    }

    /// SIGTERM; the exit code, once the process has ended.
    fn end(&mut self) -> Option<i32> {
        kill_process(self.pid(), Signal::TERM).unwrap();
        let mut status = None;
        until("the process to end", || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().code()
    }

    /// SIGKILL; what the kernel does for it may take a moment to end.
    pub fn strike(&mut self) {
        self.0.kill().unwrap();
    }

    /// Waits until nothing of it is left.
    pub fn bury(&mut self) {
        self.0.wait().unwrap();
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process that may not serve yet.
#[derive(Debug)]
pub struct Starting {
    child: Guard,
    banner: BufReader<std::process::ChildStdout>,
    ready: PathBuf,
    log: PathBuf,
}

impl Starting {
    /// Waits until the banner says that it serves.
    pub fn wait(mut self) -> Server {
        let mut banner = String::new();
        let mut line = String::new();
        while !line.contains(" is up in ") {
            line.clear();
            let count = self.banner.read_line(&mut line).unwrap();
            let log = || fs::read_to_string(&self.log).unwrap_or_default();
            assert!(count > 0, "the process ended at its start: {banner}{}", log());
            banner.push_str(&line);
        }
        let text = fs::read_to_string(&self.ready).unwrap();
        let ready = serde_json::from_str(&text).unwrap();
        Server { child: self.child, _banner: self.banner, ready, log: self.log }
    }

    /// The process.
    pub fn process(&self) -> &Guard {
        &self.child
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.strike();
        self.child.bury();
    }

    /// SIGTERM; the exit code, once the process has ended.
    pub fn end(mut self) -> Option<i32> {
        self.child.end()
    }

    /// Whether it has said that it serves.
    pub fn is_ready(&self) -> bool {
        self.ready.exists()
    }

    /// What the process has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Kills the process once it has made `calls` reads and writes, or serves.
    pub fn kill_after_calls(mut self, calls: u64) {
        while calls_of(&self.child.0) < calls && !self.is_ready() {
            std::thread::yield_now();
        }
        self.kill();
    }
}

/// Reads and writes that a process has made.
fn calls_of(child: &Child) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/io", child.id())).unwrap();
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|count| count.trim().parse::<u64>().ok()).unwrap()
    };
    of("syscr:") + of("syscw:")
}

/// A process that serves.
#[derive(Debug)]
pub struct Server {
    child: Guard,
    _banner: BufReader<std::process::ChildStdout>,
    ready: serde_json::Value,
    log: PathBuf,
}

impl Server {
    /// The port of the listener that every broker has here.
    pub fn port(&self) -> u16 {
        self.port_of("PLAINTEXT")
    }

    /// The port of a listener.
    pub fn port_of(&self, listener: &str) -> u16 {
        self.listener(listener).rsplit_once(':').unwrap().1.parse().unwrap()
    }

    /// The address of a listener as it is handed out.
    pub fn listener(&self, name: &str) -> &str {
        self.ready["listeners"][name].as_str().unwrap()
    }

    /// The address of the HTTP listener.
    pub fn admin(&self) -> &str {
        self.ready["admin"].as_str().unwrap()
    }

    /// Connections closed so far for a reason.
    pub fn closed(&self, reason: &str) -> f64 {
        self.metric("pharos_connections_closed_total", &format!("reason=\"{reason}\""))
    }

    /// A connection to the client listener.
    pub fn connect(&self) -> Wire {
        Wire::connect(self.port()).unwrap()
    }

    /// A plain socket to the client listener.
    pub fn socket(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port())).unwrap();
        stream.set_read_timeout(Some(HANG_GUARD)).unwrap();
        stream.set_write_timeout(Some(HANG_GUARD)).unwrap();
        stream
    }

    /// What the process has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Bytes of the process that are resident.
    pub fn resident_bytes(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/statm", self.child.0.id())).unwrap();
        let pages: u64 = text.split(' ').nth(1).unwrap().parse().unwrap();
        pages * 4096
    }

    /// Lets [`Self::peak_bytes`] begin at what is resident now, which it returns.
    pub fn reset_peak(&self) -> u64 {
        fs::write(format!("/proc/{}/clear_refs", self.child.0.id()), "5").unwrap();
        self.peak_bytes()
    }

    /// Most bytes of the process that were resident at a time.
    pub fn peak_bytes(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.0.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// What the admin listener answers: status and body.
    pub fn answer(&self, method: &str, path: &str) -> (u16, String) {
        answer_at(self.admin(), method, path)
    }

    /// The body that the admin listener answers at `path`.
    pub fn page(&self, path: &str) -> String {
        let (status, body) = self.answer("GET", path);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// SIGHUP.
    pub fn hang_up(&self) {
        self.child.hang_up();
    }

    /// The sum of all series of `/metrics` whose text before the value starts with `prefix` and
    /// has `label` in it.
    pub fn metric(&self, prefix: &str, label: &str) -> f64 {
        let page = self.page("/metrics");
        let series = page.lines().filter_map(|line| line.rsplit_once(' '));
        let of = series.filter(|(name, _)| name.starts_with(prefix) && name.contains(label));
        of.map(|(_, value)| value.parse::<f64>().unwrap()).sum()
    }

    /// Whether the process has not ended.
    pub fn is_alive(&mut self) -> bool {
        self.child.0.try_wait().unwrap().is_none()
    }

    /// Fails when the process is gone, answers no more, or has complained: hostile input is the
    /// client's trouble and no reason to wake anyone.
    pub fn is_unharmed(&mut self) {
        assert!(self.is_alive(), "{}", self.log());
        let answer: ApiVersionsResponse =
            self.connect().call(&ApiVersionsRequest::default(), 0).unwrap();
        assert_eq!(answer.error_code, 0);
        let complaints = self.complaints();
        assert!(complaints.is_empty(), "{complaints:#?}");
    }

    /// Lines of the log that would wake someone; that a start takes long on a busy machine is none.
    pub fn complaints(&self) -> Vec<String> {
        let loud = ["panicked", " WARN ", " ERROR "];
        let is_one = |line: &&str| {
            loud.iter().any(|word| line.contains(word))
                && !line.contains("logs are still to be opened")
        };
        self.log().lines().filter(is_one).map(str::to_owned).collect()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.strike();
        self.child.bury();
    }

    /// SIGTERM; the exit code, once the process has ended.
    pub fn end(mut self) -> Option<i32> {
        self.child.end()
    }

    /// The process.
    pub fn process(&mut self) -> &mut Guard {
        &mut self.child
    }

    /// Reads and writes that the process has made.
    pub fn calls(&self) -> u64 {
        calls_of(&self.child.0)
    }
}

/// A failing test tells what its server said.
impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let told = log.lines().filter(|line| !line.contains("openraft"));
            println!("{}", told.collect::<Vec<_>>().join("\n"));
        }
    }
}

/// What an HTTP listener answers: status and body.
pub fn answer_at(address: &str, method: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(HANG_GUARD)).unwrap();
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: 0\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

/// Waits for `met`, with the guard against hanging.
pub fn until(what: &str, mut met: impl FnMut() -> bool) {
    let began = Instant::now();
    while !met() {
        assert!(began.elapsed() < HANG_GUARD, "waited too long for {what}");
        std::thread::yield_now();
    }
}
