//! What is refused at the door: counted by reason, and told in the log once in a while.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pharos_metrics::catalog::native as rows;
use pharos_metrics::{Counter, Registered, Registry};
use tokio::time::Instant;

use crate::limits::{MAX_TOLD, TOLD_EVERY};

/// Why a connection or a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub(crate) enum Refusal {
    /// No credentials: what a browser does first.
    NoCredentials,
    /// Credentials that are wrong.
    WrongCredentials,
    /// More credentials to check than can be.
    ManyAttempts,
    /// A request that was sent to another's name.
    Host,
    /// A request of another's page.
    Origin,
    /// No certificate, or one that is not trusted.
    Certificate,
    /// Any other handshake that failed.
    Handshake,
    /// A handshake that took too long, or made room for others.
    SlowHandshake,
    /// A request without TLS where TLS is spoken.
    Plain,
    /// A page that is read too slowly to be kept.
    SlowReader,
}

impl Refusal {
    /// All of them, in the order of their discriminants.
    const ALL: [Self; 10] = [
        Self::NoCredentials,
        Self::WrongCredentials,
        Self::ManyAttempts,
        Self::Host,
        Self::Origin,
        Self::Certificate,
        Self::Handshake,
        Self::SlowHandshake,
        Self::Plain,
        Self::SlowReader,
    ];

    /// The label value.
    fn name(self) -> &'static str {
        match self {
            Self::NoCredentials => "no_credentials",
            Self::WrongCredentials => "wrong_credentials",
            Self::ManyAttempts => "many_attempts",
            Self::Host => "host",
            Self::Origin => "origin",
            Self::Certificate => "certificate",
            Self::Handshake => "handshake",
            Self::SlowHandshake => "slow_handshake",
            Self::Plain => "plain",
            Self::SlowReader => "slow_reader",
        }
    }

    /// What an operator is told; nothing for what says nothing.
    fn told(self) -> Option<&'static str> {
        match self {
            Self::WrongCredentials => Some("credentials are wrong"),
            Self::ManyAttempts => Some("more credentials come than can be checked"),
            Self::Host => Some(
                "the Host header names none of this node's names; admin.allowed.hosts adds some",
            ),
            Self::Origin => {
                Some("a page of another origin asks; admin.allowed.hosts allows its host")
            }
            Self::Certificate => Some("no certificate, or one that the trust store does not know"),
            Self::SlowReader => Some("its answer was not read while newer ones needed the room"),
            Self::NoCredentials | Self::Handshake | Self::SlowHandshake | Self::Plain => None,
        }
    }
}

/// The refusals of a node.
#[derive(Clone)]
pub(crate) struct Refusals(Arc<Inner>);

struct Inner {
    /// In the order of [`Refusal::ALL`].
    counters: [Registered<Counter>; Refusal::ALL.len()],
    /// When an address was told of last.
    told: Mutex<HashMap<(IpAddr, Refusal), Instant>>,
}

impl Refusals {
    /// Nothing refused yet; every reason is counted from 0.
    pub(crate) fn new(registry: &Registry) -> Self {
        let family = registry.family(&rows::PHAROS_ADMIN_REFUSED_TOTAL);
        let counters = Refusal::ALL.map(|refusal| family.counter(&[refusal.name()]));
        Self(Arc::new(Inner { counters, told: Mutex::default() }))
    }

    /// Counts, and tells the log unless it has been told of this address lately.
    pub(crate) fn note(&self, refusal: Refusal, peer: IpAddr) {
        if let Some(counter) = self.0.counters.get(refusal as usize) {
            counter.increment(1);
        }
        let Some(told) = refusal.told() else { return };
        if self.is_news((peer, refusal), TOLD_EVERY) {
            tracing::warn!(%peer, "refused at the admin listener: {told}");
        }
    }

    fn is_news(&self, what: (IpAddr, Refusal), every: Duration) -> bool {
        let now = Instant::now();
        let mut told = self.0.told.lock();
        if told.get(&what).is_some_and(|last| now.duration_since(*last) < every) {
            return false;
        }
        if told.len() >= MAX_TOLD {
            told.retain(|_, last| now.duration_since(*last) < every);
        }
        // From more addresses than can be remembered only the counters tell.
        if told.len() >= MAX_TOLD {
            return false;
        }
        told.insert(what, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use pharos_base::Clock;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn refusals_are_counted_and_told_once_in_a_while() {
        let registry = Registry::new(Clock::real());
        let refusals = Refusals::new(&registry);
        let peer = |number: u32| IpAddr::V4(Ipv4Addr::from(number));
        for _ in 0..3 {
            refusals.note(Refusal::WrongCredentials, peer(1));
        }
        refusals.note(Refusal::Plain, peer(1));
        let family = registry.family(&rows::PHAROS_ADMIN_REFUSED_TOTAL);
        let count = |reason| family.read(&[reason]);
        assert_eq!(count("wrong_credentials"), Some(3.0));
        assert_eq!((count("plain"), count("host")), (Some(1.0), Some(0.0)));

        let news = |number, refusal| refusals.is_news((peer(number), refusal), TOLD_EVERY);
        assert!(!news(1, Refusal::WrongCredentials));
        assert!(news(1, Refusal::Host) && news(2, Refusal::WrongCredentials));
        tokio::time::advance(TOLD_EVERY).await;
        assert!(news(1, Refusal::WrongCredentials) && !news(1, Refusal::WrongCredentials));
        let told = (0..2 * MAX_TOLD as u32).filter(|at| news(at + 10, Refusal::Host)).count();
        assert!(told < MAX_TOLD);
        assert_eq!(refusals.0.told.lock().len(), MAX_TOLD);
        tokio::time::advance(TOLD_EVERY).await;
        assert!(news(7, Refusal::Host));
        assert_eq!(refusals.0.told.lock().len(), 1);
    }
}
