//! TLS of a connection: from the first byte to the end of the handshake, within a time and a number.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pharos_security::TlsServer;
use pharos_security::rustls::Error as RustlsError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::guard::Guarded;
use crate::limits::{HANDSHAKE_DEADLINE, MAX_HANDSHAKES};
use crate::refusals::{Refusal, Refusals};

/// The first byte of a TLS connection: a record of a handshake.
const HANDSHAKE_RECORD: u8 = 0x16;
/// Answer to a request in the clear.
const NOT_PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n\
    content-length: 60\r\nconnection: close\r\n\r\n\
    {\"error_code\":400,\"message\":\"this port is spoken to by TLS\"}";
/// Most bytes of such a request that are read away, so that its sender sees the answer.
const MAX_READ_AWAY: u64 = 64 * 1024;
/// Longest time that this may take.
const READ_AWAY_TIME: Duration = Duration::from_secs(1);

/// Handshakes under way.
#[derive(Clone, Default)]
pub(crate) struct Handshakes(Arc<Mutex<Open>>);

#[derive(Default)]
struct Open {
    last: u64,
    /// The oldest first.
    handshakes: VecDeque<Entry>,
}

struct Entry {
    number: u64,
    peer: IpAddr,
    token: CancellationToken,
}

/// One handshake; over when it drops.
pub(crate) struct Handshake {
    number: u64,
    token: CancellationToken,
    all: Handshakes,
}

impl Open {
    /// The oldest handshake of the address that has most of them.
    fn in_the_way(&self) -> Option<usize> {
        let of = |peer| self.handshakes.iter().filter(|entry| entry.peer == peer).count();
        let most = self.handshakes.iter().map(|entry| of(entry.peer)).max()?;
        self.handshakes.iter().position(|entry| of(entry.peer) == most)
    }
}

impl Handshakes {
    /// Begins one. Beyond the limit the oldest of the address that has most of them makes room: who is
    /// in earnest takes milliseconds.
    pub(crate) fn begin(&self, peer: IpAddr) -> Handshake {
        let mut open = self.0.lock();
        if open.handshakes.len() == MAX_HANDSHAKES
            && let Some(entry) = open.in_the_way().and_then(|at| open.handshakes.remove(at))
        {
            entry.token.cancel();
        }
        open.last += 1;
        let (number, token) = (open.last, CancellationToken::new());
        open.handshakes.push_back(Entry { number, peer, token: token.clone() });
        Handshake { number, token, all: self.clone() }
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.all.0.lock().handshakes.retain(|entry| entry.number != self.number);
    }
}

impl Handshake {
    /// Runs what belongs to the handshake, unless it takes too long or has to make room.
    pub(crate) async fn run<T>(&self, work: impl Future<Output = Option<T>>) -> Result<T, Slow> {
        let timed = tokio::time::timeout(HANDSHAKE_DEADLINE, work);
        match self.token.run_until_cancelled(timed).await {
            Some(Ok(Some(done))) => Ok(done),
            Some(Ok(None)) => Err(Slow(false)),
            Some(Err(_)) | None => Err(Slow(true)),
        }
    }
}

/// A handshake that came to nothing; true when that was for its slowness.
pub(crate) struct Slow(pub(crate) bool);

/// Shakes hands. `None` when it failed, which has been counted.
pub(crate) async fn shake_hands(
    stream: TcpStream,
    peer: IpAddr,
    tls: &TlsServer,
    refusals: &Refusals,
) -> Option<TlsStream<Guarded>> {
    let mut first = [0];
    match stream.peek(&mut first).await {
        Ok(1) if first == [HANDSHAKE_RECORD] => {}
        Ok(1) => {
            refusals.note(Refusal::Plain, peer);
            tell_of_tls(stream).await;
            return None;
        }
        _ => return None,
    }
    let acceptor = TlsAcceptor::from(tls.current().config.clone());
    match acceptor.accept(Guarded::new(stream)).await {
        Ok(stream) => Some(stream),
        Err(error) => {
            let why = error.get_ref().and_then(|inner| inner.downcast_ref::<RustlsError>());
            tracing::debug!(%peer, %error, "TLS handshake of an admin connection failed");
            refusals.note(refusal(why), peer);
            None
        }
    }
}

fn refusal(error: Option<&RustlsError>) -> Refusal {
    match error {
        Some(RustlsError::NoCertificatesPresented | RustlsError::InvalidCertificate(_)) => {
            Refusal::Certificate
        }
        _ => Refusal::Handshake,
    }
}

/// Answers a request in the clear, and closes so that the answer arrives.
async fn tell_of_tls(mut stream: TcpStream) {
    let telling = async {
        stream.write_all(NOT_PLAIN).await?;
        stream.shutdown().await?;
        let mut rest = stream.take(MAX_READ_AWAY);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
    };
    if tokio::time::timeout(READ_AWAY_TIME, telling).await.is_err() {
        tracing::debug!("a plain request to a TLS port goes on and on");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_oldest_makes_room_and_none_lasts() {
        let all = Handshakes::default();
        let peer = |last| IpAddr::from([10, 0, 0, last]);
        let other = all.begin(peer(2));
        let first = all.begin(peer(1));
        let others: Vec<_> = (2..MAX_HANDSHAKES).map(|_| all.begin(peer(1))).collect();
        assert!(!first.token.is_cancelled());
        let one_more = all.begin(peer(1));
        assert!(first.token.is_cancelled() && !others[0].token.is_cancelled());
        assert!(!other.token.is_cancelled(), "one of another address is in nobody's way");
        let slow = first.run(std::future::pending::<Option<()>>()).await;
        assert!(slow.is_err_and(|slow| slow.0));
        drop((first, other, others));
        assert_eq!(all.0.lock().handshakes.len(), 1);
        assert!(matches!(one_more.run(async { Some(5) }).await, Ok(5)));
        let late = one_more.run(std::future::pending::<Option<()>>()).await;
        assert!(late.is_err_and(|slow| slow.0));
    }

    #[test]
    fn the_plain_answer_is_as_long_as_it_says() {
        let text = std::str::from_utf8(NOT_PLAIN).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{}", body.len());
    }
}
