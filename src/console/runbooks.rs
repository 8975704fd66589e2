//! `/runbooks/<alert>`: what to do, also when nothing else can be reached.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use pharos_admin::ErrorBody;

use crate::answer::of_type;

macro_rules! runbooks {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../../docs/runbooks/", $name, ".md")))),*]
    };
}

/// Alerts and their runbooks, in order of names.
const RUNBOOKS: &[(&str, &str)] = runbooks! {
    "AuthenticationFailures"
    "BrokerDown"
    "BrokerFenced"
    "BrokerNotScraped"
    "BrokerRestarting"
    "BrokersSkewed"
    "BytesRejected"
    "CertificateExpires"
    "ClientsMuted"
    "ConnectionsTurnedAway"
    "ConsumerLagGrowing"
    "ConsumerLagSeconds"
    "FailedFetchRequests"
    "FailedIsrUpdates"
    "FailedProduceRequests"
    "FetchLatencyHigh"
    "GroupCoordinatorFailed"
    "GroupLostRecords"
    "GroupRebalancing"
    "GroupStalled"
    "GroupWithoutMembers"
    "HotPartition"
    "IsrShrinking"
    "LeadersFlapping"
    "LogCleanerStalled"
    "LogDirFillsSoon"
    "LogDirFull"
    "LogDirOffline"
    "MetadataErrors"
    "MetadataLag"
    "NetworkProcessorsBusy"
    "NoActiveController"
    "NoBrokers"
    "OfflinePartitions"
    "OffsetDecreased"
    "OpenFilesNearLimit"
    "PartitionsAtMinIsr"
    "PartitionsUnderMinIsr"
    "PreferredReplicaImbalance"
    "ProduceAvailabilityBurn"
    "ProduceLatencyBurn"
    "QuorumUnstable"
    "QuorumWithoutLeader"
    "RebalanceStorm"
    "ReplicaLag"
    "RequestErrors"
    "RequestHandlersBusy"
    "RuleSetFailing"
    "RulesReloadFailed"
    "SamplesDropped"
    "ScrapeFailing"
    "ScrapeSlow"
    "SeriesAbsent"
    "SeriesFolded"
    "ServerErrors"
    "SpansDropped"
    "TooManyControllers"
    "TopicWithoutTraffic"
    "UncleanLeaderElection"
    "UncleanablePartitions"
    "UnderReplicatedPartitions"
    "Watchdog"
};

/// Whether an alert has a runbook.
pub(crate) fn is_there(alert: &str) -> bool {
    RUNBOOKS.iter().any(|(name, _)| *name == alert)
}

/// `/runbooks/<alert>`.
pub(crate) async fn answer(Path(name): Path<String>) -> Response {
    match RUNBOOKS.iter().find(|(have, _)| *have == name) {
        Some((_, text)) => of_type("text/plain; charset=utf-8", *text, false),
        None => ErrorBody::new(StatusCode::NOT_FOUND, "no such runbook").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_runbook_is_there() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/runbooks");
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter_map(|name| name.strip_suffix(".md").map(str::to_owned))
            .collect();
        names.sort();
        let have: Vec<_> = RUNBOOKS.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(have, names);
    }
}
