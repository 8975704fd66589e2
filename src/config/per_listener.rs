//! Values of one listener: `listener.name.NAME.KEY`, the name in lower case as Kafka has it.
//!
//! Of what Kafka knows per listener, the limits of connections act; what belongs to TLS and SASL is
//! judged by the row of the key behind the prefix.

use crate::broker::{BrokerConfig, read};
use crate::row::{Key, Row};
use crate::rows;
use crate::value::Typed;

const PREFIX: &str = "listener.name.";

/// Keys that a listener may have a value of its own for (`SocketServer.ListenerReconfigurableConfigs`).
const ACTING: [&Row; 2] = [&rows::MAX_CONNECTIONS.row, &rows::MAX_CONNECTION_CREATION_RATE.row];

/// The row of the key behind the prefix of a listener, and of a SASL mechanism if there is one.
pub(crate) fn row(key: &str) -> Option<&'static Row> {
    let (_, rest) = split(key)?;
    let of_mechanism = || rest.split_once('.').and_then(|(_, rest)| rows::broker_row(rest));
    rows::broker_row(rest).or_else(|| of_mechanism().filter(|row| row.name.starts_with("sasl.")))
}

/// The row, if a listener's own value acts.
pub(crate) fn acting(key: &str) -> Option<&'static Row> {
    let (_, rest) = split(key)?;
    ACTING.into_iter().find(|row| row.name == rest).and_then(|row| rows::broker_row(row.name))
}

/// Name of the listener that a key is meant for.
pub(crate) fn listener(key: &str) -> Option<&str> {
    split(key).map(|(name, _)| name)
}

fn split(key: &str) -> Option<(&str, &str)> {
    key.strip_prefix(PREFIX)?.split_once('.')
}

impl BrokerConfig {
    /// The value that `listener` has of its own for `key`; dynamic values come first.
    pub fn of_listener(&self, listener: &str, key: &Key<i32>) -> Option<i32> {
        let name = format!("{PREFIX}{}.{}", listener.to_lowercase(), key.row.name);
        let given = || self.given().get(&name).map(|setting| &setting.text);
        let text = self
            .broker_overrides()
            .get(&name)
            .or_else(|| self.cluster_overrides().get(&name))
            .or_else(given)?;
        read(&key.row, text).as_ref().map(i32::read)
    }
}
