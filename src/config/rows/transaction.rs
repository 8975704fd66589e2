//! Rows of transactions and of producer ids.

use super::reasons::TRANSACTIONS;
use crate::row::broker_rows;

broker_rows! {
    /// Longest pause before a partition is offered to a transaction again.
    ADD_PARTITIONS_TO_TXN_RETRY_BACKOFF_MAX_MS: i32 = key("add.partitions.to.txn.retry.backoff.max.ms")
        .default("100").at_least(0).high().no_meaning(TRANSACTIONS);
    /// Pause before a partition is offered to a transaction again.
    ADD_PARTITIONS_TO_TXN_RETRY_BACKOFF_MS: i32 = key("add.partitions.to.txn.retry.backoff.ms")
        .default("20").at_least(1).high().no_meaning(TRANSACTIONS);
    /// Milliseconds between two searches for expired producer ids.
    PRODUCER_ID_EXPIRATION_CHECK_INTERVAL_MS: i32 = key("producer.id.expiration.check.interval.ms")
        .default("600000").at_least(1).low().internal();
    /// Milliseconds after its last write for which a producer id is remembered.
    PRODUCER_ID_EXPIRATION_MS: i32 = key("producer.id.expiration.ms")
        .default("86400000").at_least(1).low().cluster_wide();
    /// Milliseconds between two searches for timed-out transactions.
    TRANSACTION_ABORT_TIMED_OUT_TRANSACTION_CLEANUP_INTERVAL_MS: i32 = key("transaction.abort.timed.out.transaction.cleanup.interval.ms")
        .default("10000").at_least(1).low().no_meaning(TRANSACTIONS);
    /// Longest time-out that a transaction may ask for.
    TRANSACTION_MAX_TIMEOUT_MS: i32 = key("transaction.max.timeout.ms")
        .default("900000").at_least(1).high().no_meaning(TRANSACTIONS);
    /// Whether a partition checks that a transaction knows it.
    TRANSACTION_PARTITION_VERIFICATION_ENABLE: bool = key("transaction.partition.verification.enable")
        .default("true").low().cluster_wide().no_meaning(TRANSACTIONS);
    /// Milliseconds between two searches for expired transactional ids.
    TRANSACTION_REMOVE_EXPIRED_TRANSACTION_CLEANUP_INTERVAL_MS: i32 = key("transaction.remove.expired.transaction.cleanup.interval.ms")
        .default("3600000").at_least(1).low().no_meaning(TRANSACTIONS);
    /// Bytes read at once while transaction state is loaded.
    TRANSACTION_STATE_LOG_LOAD_BUFFER_SIZE: i32 = key("transaction.state.log.load.buffer.size")
        .default("5242880").at_least(1).high().no_meaning(TRANSACTIONS);
    /// In-sync replicas that the transaction state topic needs.
    TRANSACTION_STATE_LOG_MIN_ISR: i32 = key("transaction.state.log.min.isr")
        .default("2").at_least(1).high().no_meaning(TRANSACTIONS);
    /// Partitions of the transaction state topic.
    TRANSACTION_STATE_LOG_NUM_PARTITIONS: i32 = key("transaction.state.log.num.partitions")
        .default("50").at_least(1).high().no_meaning(TRANSACTIONS);
    /// Replicas of the transaction state topic.
    TRANSACTION_STATE_LOG_REPLICATION_FACTOR: i16 = key("transaction.state.log.replication.factor")
        .default("3").at_least(1).high().no_meaning(TRANSACTIONS);
    /// Segment size of the transaction state topic.
    TRANSACTION_STATE_LOG_SEGMENT_BYTES: i32 = key("transaction.state.log.segment.bytes")
        .default("104857600").at_least(1).high().no_meaning(TRANSACTIONS);
    /// Whether transactions may be prepared by an outside coordinator.
    TRANSACTION_TWO_PHASE_COMMIT_ENABLE: bool = key("transaction.two.phase.commit.enable")
        .default("false").low().refused("two-phase commit", &[]);
    /// Milliseconds that an unused transactional id is remembered.
    TRANSACTIONAL_ID_EXPIRATION_MS: i32 = key("transactional.id.expiration.ms")
        .default("604800000").at_least(1).high().no_meaning(TRANSACTIONS);
}
