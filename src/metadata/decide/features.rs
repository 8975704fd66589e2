//! UpdateFeatures (API 57): which levels the cluster agreed on.

use std::collections::BTreeMap;

use super::{ApiError, Decision, Facts, outcome};
use crate::image::{METADATA_VERSION, VersionRange, feature_record};
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::update_features_request::FeatureUpdateKey;
use pharos_protocol::messages::update_features_response::UpdatableFeatureResult;
use pharos_protocol::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};

const UPGRADE: i8 = 1;
const SAFE_DOWNGRADE: i8 = 2;
const UNSAFE_DOWNGRADE: i8 = 3;

/// Decides a request, all or nothing. Version 0 has `allow_downgrade` in place of the type, and
/// versions 0 and 1 answer per feature. Of a feature that is named twice the last mention counts
/// (`QuorumController.updateFeatures`), so there are no more records than features.
pub(crate) fn decide(
    facts: &Facts<'_>,
    request: &UpdateFeaturesRequest,
    version: i16,
) -> Decision<UpdateFeaturesResponse> {
    let mut records = Vec::new();
    let mut failure = None;
    let updates: BTreeMap<&str, &FeatureUpdateKey> =
        request.feature_updates.iter().map(|update| (update.feature.as_str(), update)).collect();
    for update in updates.values() {
        let upgrade_type = match (version, update.allow_downgrade) {
            (0, true) => SAFE_DOWNGRADE,
            (0, false) => UPGRADE,
            _ => update.upgrade_type,
        };
        if let Err(error) = check(facts, update, upgrade_type) {
            failure = Some(error);
            records.clear();
            break;
        }
        records.push(feature_record(&update.feature, update.max_version_level));
    }
    let mut response = UpdateFeaturesResponse::default();
    let (error_code, error_message) = outcome(failure.map_or(Ok(()), Err));
    if version <= 1 {
        // All or nothing: each feature bears the outcome of the request.
        let results = updates.keys().map(|feature| UpdatableFeatureResult {
            feature: (*feature).to_owned(),
            error_code,
            error_message: error_message.clone(),
        });
        response.results = results.collect();
    }
    response.error_code = error_code;
    response.error_message = match version {
        0 | 1 => error_message,
        // There is but one place for it, and several features may have been asked for.
        _ => error_message.map(|message| {
            format!(
                "The update failed for all features since the following feature had an error: \
                 {message}"
            )
        }),
    };
    if request.validate_only {
        records.clear();
    }
    Decision { records, response }
}

fn check(facts: &Facts<'_>, update: &FeatureUpdateKey, upgrade_type: i8) -> Result<(), ApiError> {
    let (name, level) = (&update.feature, update.max_version_level);
    let invalid = |reason: &str| {
        let message = format!("Invalid update version {level} for feature {name}. {reason}");
        Err(ApiError::new(ErrorCode::InvalidUpdateVersion, message))
    };
    if ![UPGRADE, SAFE_DOWNGRADE, UNSAFE_DOWNGRADE].contains(&upgrade_type) {
        return invalid("The controller does not support the given upgrade type.");
    }
    if level < 0 {
        return invalid("A feature version cannot be less than 0.");
    }
    if let Some(reason) = reason_unsupported(facts, name, level) {
        return invalid(&reason);
    }
    let current = facts.image.feature(name);
    if level < current && upgrade_type == UPGRADE {
        return invalid(
            "Can't downgrade the version of this feature without setting the upgrade type to \
             either safe or unsafe downgrade.",
        );
    }
    if level > current && upgrade_type != UPGRADE {
        return invalid("Can't downgrade to a newer version.");
    }
    if name == METADATA_VERSION && level < current {
        // Records of this version cannot be written in the shape of an older one here.
        let message = format!(
            "Invalid metadata.version {level}. Refusing to perform the requested downgrade \
             because it might delete metadata information."
        );
        return Err(ApiError::new(ErrorCode::InvalidUpdateVersion, message));
    }
    Ok(())
}

/// Why some node cannot work with a level; `None` when all can.
fn reason_unsupported(facts: &Facts<'_>, name: &str, level: i16) -> Option<String> {
    let local = facts.settings.supported_features.iter().find(|range| range.name == name);
    let node = facts.settings.node_id;
    let of_brokers =
        facts.image.brokers().map(|broker| (format!("Broker {}", broker.id), broker.feature(name)));
    let of_controllers =
        facts.image.controllers().filter(|controller| controller.id != node).map(|controller| {
            let range = controller.features.iter().find(|range| range.name == name);
            (format!("Controller {}", controller.id), range)
        });
    std::iter::once((format!("Local controller {node}"), local))
        .chain(of_brokers)
        .chain(of_controllers)
        .find_map(|(who, range)| reason(&who, range, level))
}

fn reason(who: &str, range: Option<&VersionRange>, level: i16) -> Option<String> {
    let (min, max) = range.map_or((0, 0), |range| (range.min, range.max));
    match (min..=max).contains(&level) {
        true => None,
        false if max == 0 => Some(format!("{who} does not support this feature.")),
        false => Some(format!("{who} only supports versions {min}-{max}")),
    }
}
