//! The files that protect the admin listener: looked at from time to time and when someone asks. What
//! is broken leaves the old in place.

use std::sync::Arc;
use std::time::Duration;

use pharos_base::Clock;
use pharos_insight::{EventKind, Events, Happened};
use pharos_metrics::catalog::native as rows;
use pharos_metrics::{Registered, Registry};
use pharos_security::{Accounts, Reading, TlsServer};

/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Certificates and users that lie in files.
#[derive(Clone)]
pub struct SecurityFiles(Arc<Inner>);

struct Inner {
    clock: Clock,
    tls: Option<Arc<TlsServer>>,
    accounts: Option<Arc<Accounts>>,
    /// Shows when the certificate expires.
    _expiry: Option<Registered<()>>,
}

impl std::fmt::Debug for SecurityFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecurityFiles").finish_non_exhaustive()
    }
}

impl SecurityFiles {
    /// What has been read just now.
    pub fn new(
        registry: &Registry,
        tls: Option<Arc<TlsServer>>,
        accounts: Option<Arc<Accounts>>,
    ) -> Self {
        let expiry = tls.clone().map(|tls| {
            let family = registry.family(&rows::PHAROS_CERTIFICATE_EXPIRY_TIMESTAMP_SECONDS);
            // Exact up to the year 285 million.
            #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are below 2^53")]
            family.gauge_fn(&["admin"], move || tls.current().not_after as f64)
        });
        let files = Inner { clock: registry.clock().clone(), tls, accounts, _expiry: expiry };
        let files = Self(Arc::new(files));
        files.warn_of_time();
        files
    }

    /// Looks at the files for good.
    pub async fn watch(self, events: Arc<Events>) {
        if self.0.tls.is_none() && self.0.accounts.is_none() {
            return;
        }
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let (files, events) = (self.clone(), events.clone());
            let looked = tokio::task::spawn_blocking(move || files.refresh(Reading::Now, &events));
            if let Err(error) = looked.await {
                tracing::error!(%error, "certificates and users were not looked at");
            }
        }
    }

    /// Reads what has changed; the lines say what is broken. It may wait for a disk.
    pub fn refresh(&self, reading: Reading, events: &Events) -> Vec<String> {
        let mut broken = Vec::new();
        if let Some(tls) = &self.0.tls {
            let found = tls.refresh(reading).map_err(|error| error.to_string());
            if found == Ok(true) {
                self.warn_of_time();
            }
            broken.extend(told(("certificate is", "certificate stays"), found, events));
        }
        if let Some(accounts) = &self.0.accounts {
            let found = accounts.refresh(reading).map_err(|error| error.to_string());
            broken.extend(told(("users are", "users stay"), found, events));
        }
        broken
    }

    /// A certificate out of its time is shown all the same; most clients refuse it.
    fn warn_of_time(&self) {
        let Some(tls) = &self.0.tls else { return };
        let (now, shown, place) = (self.0.clock.now_ms() / 1000, tls.current(), tls.place());
        if now > shown.not_after {
            tracing::warn!("{place}: the certificate has expired");
        } else if now < shown.not_before {
            tracing::warn!("{place}: the certificate is not valid yet");
        }
    }
}

/// Tells of what was read anew, or could not be.
fn told((new, old): (&str, &str), found: Result<bool, String>, events: &Events) -> Option<String> {
    let (text, broken) = match found {
        Ok(false) => return None,
        Ok(true) => {
            tracing::info!("the admin listener's {new} read anew");
            (format!("the {new} read anew"), None)
        }
        Err(error) => {
            tracing::error!("the admin listener's old {old}: {error}");
            (format!("the old {old}: {error}"), Some(error))
        }
    };
    let subject = "admin listener".to_owned();
    events.record(Happened { kind: EventKind::Reload, subject, text });
    broken
}
