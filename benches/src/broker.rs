//! The broker under measurement: a process of its own.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::machine::{self, Place};

/// Longest time that a start or a stop may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A broker that uses less of a processor than this share for that long has settled.
const SETTLED: Duration = Duration::from_secs(1);
const SETTLED_SHARE: f64 = 0.5;

/// How a broker is started.
pub(crate) struct Start<'a> {
    pub(crate) binary: &'a Path,
    pub(crate) directory: PathBuf,
    pub(crate) overrides: &'a [&'a str],
    pub(crate) place: Place,
}

/// What Prometheus 3 asks for.
const SCRAPE_ACCEPT: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
    text/plain;version=0.0.4;q=0.3,*/*;q=0.2";

/// Seconds of a scrape for who asks and for the broker, and the samples that it brought.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scrape {
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
    pub(crate) series: usize,
}

/// A running broker; killed when dropped.
pub(crate) struct Broker {
    child: Child,
    pub(crate) address: SocketAddr,
    admin: SocketAddr,
    pub(crate) spawned: Instant,
}

impl Broker {
    /// Starts the process, and does not wait for it.
    pub(crate) fn spawn(start: &Start<'_>) -> anyhow::Result<Self> {
        fs::create_dir_all(&start.directory)?;
        let (address, admin) = (free_port()?, free_port()?);
        let mut command = Command::new(start.binary);
        command.arg("up").current_dir(&start.directory);
        let fixed = [
            format!("listeners=PLAINTEXT://{address},CONTROLLER://127.0.0.1:0"),
            format!("admin.listeners=HTTP://{admin}"),
            format!("log.dirs={}/data", start.directory.display()),
        ];
        let given = start.overrides.iter().map(|one| (*one).to_owned());
        for one in fixed.into_iter().chain(given) {
            command.args(["--override", &one]);
        }
        let log = File::options().create(true).append(true).open(start.directory.join("log"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let place = start.place;
        // The process inherits the cores of the thread that starts it.
        let (child, spawned) = machine::at(place, move || (command.spawn(), Instant::now()))?;
        let child = child.with_context(|| format!("cannot start {}", start.binary.display()))?;
        Ok(Self { child, address, admin, spawned })
    }

    /// Starts the process and waits until it listens.
    pub(crate) fn start(start: &Start<'_>) -> anyhow::Result<Self> {
        let mut broker = Self::spawn(start)?;
        broker.connect()?;
        Ok(broker)
    }

    /// The first connection that it accepts.
    pub(crate) fn connect(&mut self) -> anyhow::Result<TcpStream> {
        let begin = Instant::now();
        loop {
            if let Ok(stream) = TcpStream::connect(self.address) {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the broker ended with {status}");
            }
            if begin.elapsed() > PATIENCE {
                bail!("the broker does not listen on {}", self.address);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Numeric attribute of a bean, by `/beans`.
    pub(crate) fn bean(&self, name: &str, attribute: &str) -> anyhow::Result<f64> {
        let mut stream = TcpStream::connect(self.admin)?;
        let path = name.replace('=', "%3D");
        write!(stream, "GET /beans?name={path} HTTP/1.0\r\nHost: bench\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let all: serde_json::Value = serde_json::from_str(body).context("/beans is no JSON")?;
        let value = all
            .get("beans")
            .and_then(|beans| beans.get(name))
            .and_then(|bean| bean.get(attribute))
            .and_then(|attribute| attribute.get("value"))
            .and_then(serde_json::Value::as_f64);
        value.with_context(|| format!("there is no {attribute} of {name}"))
    }

    /// Waits until it has no more to do of what it was told.
    pub(crate) fn settle(&self) -> anyhow::Result<()> {
        let begin = Instant::now();
        loop {
            let before = machine::process_cpu(self.pid());
            std::thread::sleep(SETTLED);
            let used = machine::process_cpu(self.pid()) - before;
            if used < SETTLED.as_secs_f64() * SETTLED_SHARE {
                return Ok(());
            }
            anyhow::ensure!(begin.elapsed() < PATIENCE, "the broker works on and on");
        }
    }

    /// A page as Prometheus asks for it.
    pub(crate) fn scrape(&self, path: &str) -> anyhow::Result<Scrape> {
        scrape(self.admin, path, self.pid())
    }

    /// An answer with its head; it costs who asks nearly nothing.
    pub(crate) fn page(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        page(self.admin, path)
    }

    /// Has the rule files read anew; needs `admin.lifecycle.enable`.
    pub(crate) fn reload(&self) -> anyhow::Result<()> {
        let mut stream = TcpStream::connect(self.admin)?;
        write!(stream, "POST /-/reload HTTP/1.0\r\nHost: bench\r\nContent-Length: 0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        anyhow::ensure!(answer.starts_with("HTTP/1.0 200"), "the reload was refused: {answer}");
        Ok(())
    }

    /// Kills the process as `kill -9` does.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        self.end()
    }

    /// The same, of one that is not given away.
    pub(crate) fn end(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Stops the process in order.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        machine::signal(self.pid(), rustix::process::Signal::TERM);
        self.child.wait()?;
        Ok(())
    }
}

/// A page of a process as Prometheus asks for it: OpenMetrics, compressed.
pub(crate) fn scrape(address: SocketAddr, path: &str, pid: u32) -> anyhow::Result<Scrape> {
    let cpu = machine::process_cpu(pid);
    let begin = Instant::now();
    let mut answer = page(address, path)?;
    let wall = begin.elapsed().as_secs_f64();
    let cpu = machine::process_cpu(pid) - cpu;
    let head = answer.windows(4).position(|it| it == b"\r\n\r\n").context("no head")? + 4;
    let body = answer.split_off(head);
    let mut text = String::new();
    flate2::read::GzDecoder::new(body.as_slice()).read_to_string(&mut text)?;
    anyhow::ensure!(text.ends_with("# EOF\n"), "{path} was cut");
    Ok(Scrape { wall, cpu, series: text.lines().filter(|it| !it.starts_with('#')).count() })
}

fn page(address: SocketAddr, path: &str) -> anyhow::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "GET {path} HTTP/1.0\r\nHost: bench\r\nAccept: {SCRAPE_ACCEPT}\r\n\
         Accept-Encoding: gzip\r\nX-Prometheus-Scrape-Timeout-Seconds: 60\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let served = answer.starts_with(b"HTTP/1.") && answer.get(8..12) == Some(b" 200");
    anyhow::ensure!(served, "{path} was refused");
    Ok(answer)
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address of this machine that nobody listens on.
pub(crate) fn free_port() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// As [`free_port`], where the next port is free as well.
pub(crate) fn two_free_ports() -> anyhow::Result<SocketAddr> {
    loop {
        let mut address = free_port()?;
        let first = address;
        address.set_port(first.port().saturating_add(1));
        if TcpListener::bind(address).is_ok() {
            return Ok(first);
        }
    }
}
