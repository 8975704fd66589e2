//! The 64-byte echo server: a runtime of the broker's shape that does nothing but answer.

use std::net::SocketAddr;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::broker::free_port;
use crate::machine::{self, Place};

/// Size of a message.
pub(crate) const ECHO_BYTES: usize = 64;

/// Longest wait until it listens, and between two tries.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);

/// The server as a process; it ends with this.
pub(crate) struct EchoServer {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl EchoServer {
    /// Starts it where the broker that it is compared with runs. It may not listen yet.
    pub(crate) fn start(place: Place) -> anyhow::Result<Self> {
        let address = free_port()?;
        let program = std::env::current_exe()?;
        let start = move || {
            let mut command = Command::new(program);
            command.arg("echo-server").env("PHAROS_BENCH_ECHO", address.to_string()).spawn()
        };
        Ok(Self { child: machine::at(place, start)??, address })
    }

    /// A connection, as soon as it listens.
    pub(crate) fn connect(&self) -> anyhow::Result<std::net::TcpStream> {
        let begin = Instant::now();
        loop {
            match std::net::TcpStream::connect(self.address) {
                Err(_) if begin.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
                done => return Ok(done?),
            }
        }
    }
}

impl Drop for EchoServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves on the address in `PHAROS_BENCH_ECHO` until killed.
pub(crate) fn serve() -> anyhow::Result<()> {
    let address = std::env::var("PHAROS_BENCH_ECHO").context("PHAROS_BENCH_ECHO is not set")?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    // As in the broker the thread that started it serves nothing.
    runtime.block_on(async move {
        tokio::spawn(accept(TcpListener::bind(address).await?)).await??;
        Ok(())
    })
}

async fn accept(listener: TcpListener) -> std::io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(echo(stream));
    }
}

async fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    let mut message = [0; ECHO_BYTES];
    loop {
        stream.read_exact(&mut message).await?;
        stream.write_all(&message).await?;
    }
}
