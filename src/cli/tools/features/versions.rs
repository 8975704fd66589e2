//! Metadata versions by name, and the levels of other features that belong to them
//! (`MetadataVersion` and `Feature` in org.apache.kafka.server.common, 4.3.1).

use anyhow::{Result, bail};

/// The feature that all others hang on.
pub const METADATA_VERSION: &str = "metadata.version";

/// Names of the metadata versions from level 7 on; the last one is the newest in production.
const NAMES: [&str; 24] = [
    "3.3-IV3", "3.4-IV0", "3.5-IV0", "3.5-IV1", "3.5-IV2", "3.6-IV0", "3.6-IV1", "3.6-IV2",
    "3.7-IV0", "3.7-IV1", "3.7-IV2", "3.7-IV3", "3.7-IV4", "3.8-IV0", "3.9-IV0", "4.0-IV0",
    "4.0-IV1", "4.0-IV2", "4.0-IV3", "4.1-IV0", "4.1-IV1", "4.2-IV0", "4.2-IV1", "4.3-IV0",
];
const FIRST: i16 = 7;

/// A feature other than metadata.version.
pub struct Feature {
    /// Its name.
    pub name: &'static str,
    /// The metadata version with which level 1, 2, ... became the default.
    pub since: &'static [i16],
    /// Level and the metadata version that it needs.
    depends: Option<(i16, i16)>,
}

/// Features in Kafka's order.
pub const FEATURES: &[Feature] = &[
    Feature { name: "kraft.version", since: &[21], depends: None },
    Feature { name: "transaction.version", since: &[24, 24], depends: None },
    Feature { name: "group.version", since: &[22], depends: None },
    Feature { name: "eligible.leader.replicas.version", since: &[26], depends: Some((1, 23)) },
    Feature { name: "share.version", since: &[28], depends: None },
    Feature { name: "streams.version", since: &[29], depends: None },
];

impl Feature {
    /// The default level under a metadata version.
    pub fn default_at(&self, metadata: i16) -> i16 {
        let reached = self.since.iter().filter(|since| **since <= metadata).count();
        i16::try_from(reached).unwrap_or(i16::MAX)
    }

    /// The metadata version that a level needs, if any.
    pub fn needs(&self, level: i16) -> Option<i16> {
        self.depends.filter(|(of, _)| *of == level).map(|(_, metadata)| metadata)
    }
}

/// The newest metadata version in production.
pub fn newest_metadata() -> i16 {
    FIRST + i16::try_from(NAMES.len()).unwrap_or(0) - 1
}

/// The level of `4.3`, `4.3-IV0` or the like; without `-IV` the newest of that release.
///
/// # Errors
/// When there is no such version.
pub fn metadata_version(text: &str) -> Result<i16> {
    let fits = |name: &&str| **name == *text || name.split("-IV").next() == Some(text);
    match NAMES.iter().rposition(fits) {
        Some(index) => Ok(FIRST + i16::try_from(index).unwrap_or(0)),
        None => bail!(
            "Unknown metadata.version '{text}'. Supported metadata.version are: {}",
            NAMES.join(", ")
        ),
    }
}

/// How a level of a feature is shown: by name for metadata.version.
pub fn level_name(feature: &str, level: i16) -> String {
    let index = level.checked_sub(FIRST).and_then(|index| usize::try_from(index).ok());
    match index.and_then(|index| NAMES.get(index)) {
        Some(name) if feature == METADATA_VERSION => (*name).to_owned(),
        _ => level.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_by_name() {
        assert_eq!(newest_metadata(), 30);
        for (text, level) in [("4.3", 30), ("4.0", 25), ("4.0-IV0", 22), ("3.3-IV3", 7)] {
            assert_eq!(metadata_version(text).unwrap(), level);
        }
        assert!(metadata_version("2.8").is_err());
        assert_eq!(level_name(METADATA_VERSION, 25), "4.0-IV3");
        // Whatever a broker says.
        for level in [0, i16::MIN, i16::MAX] {
            assert_eq!(level_name(METADATA_VERSION, level), level.to_string());
        }
    }

    #[test]
    fn defaults_follow_the_metadata_version() {
        let at = |metadata| FEATURES.iter().map(|f| f.default_at(metadata)).collect::<Vec<_>>();
        // Captured from kafka-features.sh version-mapping of 4.3.1.
        assert_eq!(at(25), [1, 2, 1, 0, 0, 0]);
        assert_eq!(at(30), [1, 2, 1, 1, 1, 1]);
    }
}
