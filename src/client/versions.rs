//! What one broker offers: API version ranges and features, from its ApiVersions answer.

use std::collections::BTreeMap;

use pharos_protocol::messages::ApiVersionsResponse;

/// Versions from `min` to `max`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiRange {
    /// Oldest version.
    pub min: i16,
    /// Newest version.
    pub max: i16,
}

impl ApiRange {
    /// The newest version that both ranges hold.
    pub fn newest_common(self, other: Self) -> Option<i16> {
        let newest = self.max.min(other.max);
        (newest >= self.min.max(other.min)).then_some(newest)
    }
}

/// A broker's APIs and features.
#[derive(Clone, Debug, Default)]
pub struct ApiVersions {
    ranges: BTreeMap<i16, ApiRange>,
    /// Features that the broker's software supports: name to range.
    pub supported_features: BTreeMap<String, ApiRange>,
    /// Features that the cluster has agreed on: name to level range.
    pub finalized_features: BTreeMap<String, ApiRange>,
    /// Epoch of the finalised features; -1 when unknown.
    pub finalized_epoch: i64,
}

impl ApiVersions {
    /// Reads an answer. Entries with a range upside down are kept: they match nothing.
    pub fn from_response(response: &ApiVersionsResponse) -> Self {
        let ranges = response
            .api_keys
            .iter()
            .map(|api| (api.api_key, ApiRange { min: api.min_version, max: api.max_version }));
        let supported = response.supported_features.iter().map(|feature| {
            (feature.name.clone(), ApiRange { min: feature.min_version, max: feature.max_version })
        });
        let finalized = response.finalized_features.iter().map(|feature| {
            let range = ApiRange { min: feature.min_version_level, max: feature.max_version_level };
            (feature.name.clone(), range)
        });
        Self {
            ranges: ranges.collect(),
            supported_features: supported.collect(),
            finalized_features: finalized.collect(),
            finalized_epoch: response.finalized_features_epoch,
        }
    }

    /// The range of one API, if the broker offers it.
    pub fn range(&self, api_key: i16) -> Option<ApiRange> {
        self.ranges.get(&api_key).copied()
    }

    /// All APIs by key.
    pub fn iter(&self) -> impl Iterator<Item = (i16, ApiRange)> {
        self.ranges.iter().map(|(key, range)| (*key, *range))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_common_version() {
        let range = |min, max| ApiRange { min, max };
        for (ours, theirs, expected) in [
            (range(0, 5), range(2, 9), Some(5)),
            (range(0, 9), range(2, 5), Some(5)),
            (range(0, 1), range(2, 5), None),
            (range(3, 9), range(0, 2), None),
            (range(0, 9), range(5, 2), None),
        ] {
            assert_eq!(ours.newest_common(theirs), expected);
        }
    }
}
