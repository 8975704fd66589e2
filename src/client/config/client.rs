//! What producer, consumer and admin have in common.

use std::time::Duration;

use super::address::HostPort;
use super::properties::Properties;
use super::rows;
use crate::backoff::Backoff;
use crate::error::{ClientError, Result};

/// Responses beyond this size are refused unless fetch.max.bytes allows more; the broker's
/// socket.request.max.bytes has the same default (100 MiB).
pub const MAX_RESPONSE_BYTES: usize = 104_857_600;

/// Parsed settings of a connection to a cluster.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Where to ask first.
    pub bootstrap: Vec<HostPort>,
    /// True when `bootstrap` names controllers (KIP-919).
    pub bootstrap_controllers: bool,
    /// `client.id`.
    pub client_id: String,
    /// `request.timeout.ms`.
    pub request_timeout: Duration,
    /// `default.api.timeout.ms`.
    pub api_timeout: Duration,
    /// `socket.connection.setup.timeout.ms`.
    pub connect_timeout: Duration,
    /// `metadata.max.age.ms`.
    pub metadata_max_age: Duration,
    /// Most bytes of one response.
    pub max_response_bytes: usize,
    pub(crate) retry: Backoff,
    pub(crate) reconnect: Backoff,
}

impl ClientConfig {
    /// Parses `properties`; every known property is checked, not only those read here.
    ///
    /// # Errors
    /// The first property whose value is not allowed, or a missing bootstrap list.
    pub fn parse(properties: &Properties) -> Result<Self> {
        properties.check()?;
        let controllers = properties.some(rows::BOOTSTRAP_CONTROLLERS);
        let row = if controllers.is_some() {
            rows::BOOTSTRAP_CONTROLLERS
        } else {
            rows::BOOTSTRAP_SERVERS
        };
        let Some(list) = properties.some(row) else {
            return Err(ClientError::Config {
                key: row.name.to_owned(),
                value: "(empty)".to_owned(),
                expected: "host:port,host:port,...".to_owned(),
            });
        };
        let fetch = usize::try_from(properties.amount(rows::FETCH_MAX_BYTES)?).unwrap_or(0);
        Ok(Self {
            bootstrap: HostPort::parse_list(row.name, &list)?,
            bootstrap_controllers: controllers.is_some(),
            client_id: properties.text(rows::CLIENT_ID).to_owned(),
            request_timeout: duration(properties, rows::REQUEST_TIMEOUT_MS)?,
            api_timeout: duration(properties, rows::DEFAULT_API_TIMEOUT_MS)?,
            connect_timeout: duration(properties, rows::CONNECT_TIMEOUT_MS)?,
            metadata_max_age: duration(properties, rows::METADATA_MAX_AGE_MS)?,
            max_response_bytes: MAX_RESPONSE_BYTES.max(fetch.saturating_mul(2)),
            retry: Backoff {
                initial_ms: properties.amount(rows::RETRY_BACKOFF_MS)?,
                max_ms: properties.amount(rows::RETRY_BACKOFF_MAX_MS)?,
            },
            reconnect: Backoff {
                initial_ms: properties.amount(rows::RECONNECT_BACKOFF_MS)?,
                max_ms: properties.amount(rows::RECONNECT_BACKOFF_MAX_MS)?,
            },
        })
    }

    /// Settings with all defaults for a bootstrap list.
    ///
    /// # Errors
    /// When the list is malformed.
    pub fn bootstrap(servers: &str) -> Result<Self> {
        let mut properties = Properties::new();
        properties.set(rows::BOOTSTRAP_SERVERS.name, servers);
        Self::parse(&properties)
    }
}

/// A row in milliseconds.
pub(crate) fn duration(properties: &Properties, row: &'static rows::Row) -> Result<Duration> {
    properties.amount(row).map(Duration::from_millis)
}
