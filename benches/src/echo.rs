//! The 64-byte echo server: a runtime of the broker's shape that does nothing but answer.

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Size of a message.
pub(crate) const ECHO_BYTES: usize = 64;

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
