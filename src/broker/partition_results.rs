//! `pharos_partition_results_total`: how single partitions of produce and fetch requests fared.
//!
//! An availability objective needs to tell what this node failed to do from what the client asked
//! in vain; Kafka's beans count errors by code and leave that to the reader.

use pharos_metrics::catalog::native as rows;
use pharos_metrics::{Counter, Registered, Registry};
use pharos_protocol::ErrorCode;

/// Results of one kind of request.
#[derive(Debug)]
pub struct PartitionResults {
    ok: Registered<Counter>,
    client_error: Registered<Counter>,
    server_error: Registered<Counter>,
}

impl PartitionResults {
    /// Registers the three counters of `request`, a name of `RequestMetrics`.
    pub fn new(registry: &Registry, request: &str) -> Self {
        let family = registry.family(&rows::PHAROS_PARTITION_RESULTS_TOTAL);
        let counter = |outcome| family.counter(&[request, outcome]);
        Self {
            ok: counter("ok"),
            client_error: counter("client_error"),
            server_error: counter("server_error"),
        }
    }

    /// Counts the results of one answer, an error code for each partition.
    pub fn count(&self, codes: impl IntoIterator<Item = i16>) {
        let (mut ok, mut client, mut server) = (0, 0, 0);
        for code in codes {
            match ErrorCode::from_code(code) {
                Some(ErrorCode::None) => ok += 1,
                Some(code) if !is_fault_of_server(code) => client += 1,
                _ => server += 1,
            }
        }
        for (counter, count) in
            [(&self.ok, ok), (&self.client_error, client), (&self.server_error, server)]
        {
            if count > 0 {
                counter.increment(count);
            }
        }
    }
}

/// Whether a well-behaved client could not have avoided the error: data or brokers that should be
/// there are not, or something broke. A client with old metadata is told the new and goes on.
pub fn is_fault_of_server(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::UnknownServerError
            | ErrorCode::LeaderNotAvailable
            | ErrorCode::RequestTimedOut
            | ErrorCode::BrokerNotAvailable
            | ErrorCode::ReplicaNotAvailable
            | ErrorCode::NotEnoughReplicas
            | ErrorCode::NotEnoughReplicasAfterAppend
            | ErrorCode::KafkaStorageError
            | ErrorCode::OffsetNotAvailable
    )
}

#[cfg(test)]
mod tests {
    use pharos_base::Clock;

    use super::*;

    #[test]
    fn each_partition_counts_once_by_whose_fault_it_was() {
        let registry = Registry::new(Clock::simulated(0).0);
        let results = PartitionResults::new(&registry, "Produce");
        let codes = [
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::NotLeaderOrFollower,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::CorruptMessage,
            ErrorCode::KafkaStorageError,
        ];
        results.count(codes.map(ErrorCode::code));
        results.count([12345]);
        let read = |outcome| {
            registry.family(&rows::PHAROS_PARTITION_RESULTS_TOTAL).read(&["Produce", outcome])
        };
        assert_eq!(["ok", "client_error", "server_error"].map(read), [2.0, 3.0, 2.0].map(Some));
    }
}
