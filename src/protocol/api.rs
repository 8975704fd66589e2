//! The APIs of Kafka 4.3.1 as the tables know them: key, name, versions, listeners, flags.
//!
//! Which of them are served, and in which versions, is the broker's own table.

use std::fmt;

include!(concat!(env!("OUT_DIR"), "/api_key.rs"));

/// The facts of one API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiSpec {
    /// The API.
    pub key: ApiKey,
    /// Its name, also the value of the tag `request` of its metrics.
    pub name: &'static str,
    /// Oldest and newest version in the tables, `None` for what Kafka 4.0 removed.
    pub versions: Option<(i16, i16)>,
    /// The first version with tagged fields and compact lengths (KIP-482).
    pub flexible_since: Option<i16>,
    /// Whether brokers serve it.
    pub broker: bool,
    /// Whether controllers serve it.
    pub controller: bool,
    /// Whether Kafka demands CLUSTER_ACTION on the cluster.
    pub cluster_action: bool,
    /// Whether a broker forwards it to the controller.
    pub forwardable: bool,
    /// Whether the newest version is advertised only on demand.
    pub latest_version_unstable: bool,
}

impl ApiKey {
    /// All APIs in the order of their keys.
    pub fn all() -> impl Iterator<Item = Self> {
        ROWS.iter().map(|row| row.key)
    }

    /// The API of this key, `None` for an unknown one.
    pub fn from_i16(key: i16) -> Option<Self> {
        ROWS.get(usize::try_from(key).ok()?).map(|row| row.key)
    }

    /// Its key on the wire.
    pub fn as_i16(self) -> i16 {
        self as i16
    }

    /// Its name, such as `ApiVersions`.
    pub fn name(self) -> &'static str {
        self.spec().name
    }

    /// Its facts.
    pub fn spec(self) -> &'static ApiSpec {
        // The build script refuses tables whose keys leave a gap, so the fall-back is never taken.
        ROWS.get(self as usize).unwrap_or(&ROWS[0])
    }

    /// Whether a version has tagged fields and compact lengths, also beyond the newest.
    pub fn is_flexible(self, version: i16) -> bool {
        self.spec().flexible_since.is_some_and(|since| version >= since)
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back() {
        assert_eq!(ApiKey::all().count(), 93);
        for key in ApiKey::all() {
            assert_eq!(ApiKey::from_i16(key.as_i16()), Some(key));
            assert_eq!(key.spec().key, key);
        }
        for key in [-1, 93, i16::MAX, i16::MIN] {
            assert_eq!(ApiKey::from_i16(key), None);
        }
    }

    #[test]
    fn facts_are_kafkas() {
        let produce = ApiKey::Produce.spec();
        assert_eq!(produce.versions, Some((3, 13)));
        assert!(produce.broker && !produce.controller && !produce.forwardable);
        assert!(!ApiKey::Produce.is_flexible(8) && ApiKey::Produce.is_flexible(9));
        assert!(ApiKey::InitProducerId.spec().latest_version_unstable);
        assert!(ApiKey::CreateTopics.spec().forwardable);
        assert_eq!(ApiKey::LeaderAndIsr.spec().versions, None);
    }
}
