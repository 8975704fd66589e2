//! Who may ask: names of hosts, origins, and credentials by basic authentication.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use pharos_metrics::Registry;
use pharos_security::{Accounts, TlsServer, basic_credentials};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ErrorBody;
use crate::hosts::Hosts;
use crate::limits::{MAX_CHECKS, MAX_WAITING_CHECKS, MAX_WAITING_OF_AN_ADDRESS};
use crate::refusals::{Refusal, Refusals};

/// Pages that say whether the node lives and is ready, and nothing else: whoever probes it seldom has
/// a password.
const OPEN_PATHS: [&str; 4] = ["/health/live", "/health/ready", "/-/healthy", "/-/ready"];

/// A wrong password holds its turn for this many times what telling took, so that guessing takes no
/// more than a part of a core.
const PENANCE: u32 = 3;

/// What protects the listeners of a node. Without anything, whoever reaches them may read.
#[derive(Clone)]
pub struct Protection {
    pub(crate) refusals: Refusals,
    pub(crate) tls: Option<Arc<TlsServer>>,
    hosts: Arc<Hosts>,
    gate: Option<Gate>,
}

/// The users, and the turns of those whose password is hashed slowly.
#[derive(Clone)]
struct Gate {
    accounts: Arc<Accounts>,
    waiting: Waiting,
    turns: Arc<Semaphore>,
}

/// How many of each address wait for a turn, or have one.
#[derive(Clone, Default)]
struct Waiting(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A place among those who wait.
struct Place {
    waiting: Waiting,
    peer: IpAddr,
}

impl Waiting {
    /// A place, unless the address or all together have as many as they may: one that guesses must
    /// not keep the others out.
    fn enter(&self, peer: IpAddr) -> Option<Place> {
        let mut places = self.0.lock();
        let (all, own) = (places.values().sum::<usize>(), places.get(&peer).copied().unwrap_or(0));
        if all >= MAX_WAITING_CHECKS || own >= MAX_WAITING_OF_AN_ADDRESS {
            return None;
        }
        places.insert(peer, own + 1);
        Some(Place { waiting: self.clone(), peer })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Entry::Occupied(mut own) = self.waiting.0.lock().entry(self.peer) {
            *own.get_mut() -= 1;
            if *own.get() == 0 {
                own.remove();
            }
        }
    }
}

/// Who is at the other end of a request's connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

impl Protection {
    /// No TLS and no users; `hosts` are the node's names.
    pub fn new(registry: &Registry, hosts: Hosts) -> Self {
        let refusals = Refusals::new(registry);
        Self { refusals, hosts: Arc::new(hosts), tls: None, gate: None }
    }

    /// Asks for the credentials of a user.
    pub fn with_users(mut self, accounts: Arc<Accounts>) -> Self {
        let turns = Arc::new(Semaphore::new(MAX_CHECKS));
        self.gate = Some(Gate { accounts, waiting: Waiting::default(), turns });
        self
    }

    /// Speaks TLS where an address asks for it.
    pub fn with_tls(mut self, tls: Arc<TlsServer>) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Lets a request pass, or gives the answer that refuses it.
    pub(crate) async fn admit(&self, request: &Parts) -> Result<(), Response> {
        let refused = match self.hosts.check(&request.uri, &request.headers) {
            Err(refusal) => Err(refusal),
            Ok(()) => self.judge(request).await,
        };
        refused.map_err(|refusal| {
            self.refusals.note(refusal, peer(request));
            answer(refusal)
        })
    }

    async fn judge(&self, request: &Parts) -> Result<(), Refusal> {
        let Some(gate) = &self.gate else { return Ok(()) };
        if OPEN_PATHS.contains(&request.uri.path()) {
            return Ok(());
        }
        let header = request.headers.get(header::AUTHORIZATION);
        let header = header.ok_or(Refusal::NoCredentials)?;
        let credentials = basic_credentials(header.as_bytes());
        let (name, password) = credentials.ok_or(Refusal::WrongCredentials)?;
        match gate.knows(name, password, peer(request)).await? {
            true => Ok(()),
            false => Err(Refusal::WrongCredentials),
        }
    }
}

impl Gate {
    async fn knows(&self, name: Vec<u8>, password: Vec<u8>, peer: IpAddr) -> Result<bool, Refusal> {
        if self.accounts.remembers(&name, &password) {
            return Ok(true);
        }
        if !self.accounts.are_slow() {
            return Ok(self.accounts.verify(&name, &password));
        }
        let waiting = self.waiting.enter(peer).ok_or(Refusal::ManyAttempts)?;
        let turn = self.turns.clone().acquire_owned().await;
        let turn = turn.map_err(|_| Refusal::ManyAttempts)?;
        // Goes on when the client leaves: leaving does not spare the penance.
        let told = tokio::spawn(tell(self.accounts.clone(), name, password, (waiting, turn)));
        told.await.map_err(|_| Refusal::ManyAttempts)
    }
}

/// Whether the credentials are right, told after the penance when they are not.
async fn tell(
    accounts: Arc<Accounts>,
    name: Vec<u8>,
    password: Vec<u8>,
    _places: (Place, OwnedSemaphorePermit),
) -> bool {
    let began = Instant::now();
    // Another may have been right with the same while this one waited.
    let verify = move || accounts.remembers(&name, &password) || accounts.verify(&name, &password);
    let right = tokio::task::spawn_blocking(verify).await.unwrap_or(false);
    if !right {
        tokio::time::sleep(began.elapsed() * PENANCE).await;
    }
    right
}

fn peer(request: &Parts) -> IpAddr {
    let peer = request.extensions.get::<Peer>().map(|peer| peer.0.ip().to_canonical());
    peer.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED))
}

fn answer(refusal: Refusal) -> Response {
    let (status, message) = match refusal {
        Refusal::Host => (
            StatusCode::MISDIRECTED_REQUEST,
            "the Host header names none of this node's names; admin.allowed.hosts adds some",
        ),
        Refusal::Origin => (
            StatusCode::FORBIDDEN,
            "a page of another origin may not ask; admin.allowed.hosts allows its host",
        ),
        Refusal::ManyAttempts => {
            (StatusCode::TOO_MANY_REQUESTS, "more credentials come than can be checked")
        }
        _ => (StatusCode::UNAUTHORIZED, "name and password of a user are asked for"),
    };
    let mut response = ErrorBody::new(status, message).into_response();
    if status == StatusCode::UNAUTHORIZED {
        let asked = HeaderValue::from_static("Basic realm=\"pharos\", charset=\"UTF-8\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, asked);
    }
    response
}

#[cfg(test)]
mod tests {
    use pharos_base::{Clock, Secret};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn guesses_take_turns_and_only_so_many_wait() {
        // `secret`, by one iteration.
        let line = "a=PBKDF2WithHmacSHA1:1:7f1e61a5c9a702d9e2d320be9353819c:salt";
        let accounts = Arc::new(Accounts::of_text(&Secret::new(line)).unwrap());
        let registry = Registry::new(Clock::real());
        let protection = Protection::new(&registry, Hosts::default()).with_users(accounts);
        let gate = protection.gate.unwrap();
        let ask = |password: &'static [u8], address: usize| {
            let (gate, peer) = (gate.clone(), IpAddr::from([10, 0, 0, address as u8]));
            async move { gate.knows(b"a".to_vec(), password.to_vec(), peer).await }
        };
        let waiting = || gate.waiting.0.lock().values().sum::<usize>();
        assert_eq!(ask(b"secret", 0).await, Ok(true));
        let turn = gate.turns.clone().acquire_owned().await.unwrap();
        assert_eq!(ask(b"secret", 0).await, Ok(true), "who was right once waits for nobody");
        let mut guesses = Vec::new();
        for number in 0..MAX_WAITING_CHECKS {
            let address = number / MAX_WAITING_OF_AN_ADDRESS;
            guesses.push(tokio::spawn(ask(b"guess", address)));
            while waiting() <= number {
                tokio::task::yield_now().await;
            }
            if waiting() == MAX_WAITING_OF_AN_ADDRESS {
                assert_eq!(ask(b"guess", 0).await, Err(Refusal::ManyAttempts), "of one address");
            }
        }
        assert_eq!(ask(b"guess", 99).await, Err(Refusal::ManyAttempts), "of all");
        drop(turn);
        for guess in guesses {
            assert_eq!(guess.await.unwrap(), Ok(false));
        }
        assert!(gate.waiting.0.lock().is_empty());
        assert_eq!(ask(b"guess", 0).await, Ok(false));
    }
}
