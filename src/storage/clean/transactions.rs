//! Which batches of transactions a cleaning may drop. Pure.
//!
//! `CleanedTransactionMetadata` in apache/kafka: data of aborted transactions goes at once, a marker
//! goes when no data of its transaction is left.

use std::collections::{HashMap, HashSet};

use pharos_protocol::batch::BatchHeader;

use crate::index::AbortedTxn;
use crate::producer::Marker;

/// Transactions on the way through a log.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    /// By falling first offset, so that the next one is at the end.
    coming: Vec<AbortedTxn>,
    aborted: HashMap<i64, (AbortedTxn, bool)>,
    committed: HashSet<i64>,
}

/// What a marker ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MarkerVerdict {
    /// No data of the transaction is left: the marker may go when its time has come.
    pub(crate) is_empty: bool,
    /// The aborted transaction, to be kept in the index of what the marker is written to.
    pub(crate) aborted: Option<AbortedTxn>,
}

impl Transactions {
    /// With the aborted transactions that touch what will be walked.
    pub(crate) fn new(mut aborted: Vec<AbortedTxn>) -> Self {
        aborted.sort_by_key(|txn| std::cmp::Reverse(txn.first_offset));
        Self { coming: aborted, ..Self::default() }
    }

    fn reach(&mut self, offset: i64) {
        while let Some(txn) = self.coming.pop_if(|txn| txn.first_offset <= offset) {
            self.aborted.entry(txn.producer_id).or_insert((txn, false));
        }
    }

    /// Whether a data batch belongs to an aborted transaction.
    pub(crate) fn is_aborted(&mut self, header: &BatchHeader) -> bool {
        self.reach(header.last_offset());
        if !header.is_transactional() {
            return false;
        }
        if let Some((_, seen)) = self.aborted.get_mut(&header.producer_id) {
            *seen = true;
            return true;
        }
        self.committed.insert(header.producer_id);
        false
    }

    /// Takes a marker; other control batches are never empty.
    pub(crate) fn end(&mut self, header: &BatchHeader, marker: Option<Marker>) -> MarkerVerdict {
        self.reach(header.last_offset());
        match marker {
            None => MarkerVerdict { is_empty: false, aborted: None },
            Some(marker) if marker.aborted => {
                let ended = self.aborted.remove(&header.producer_id);
                let kept = ended.filter(|(_, seen)| *seen).map(|(txn, _)| txn);
                MarkerVerdict { is_empty: kept.is_none(), aborted: kept }
            }
            Some(_) => {
                let had_data = self.committed.remove(&header.producer_id);
                MarkerVerdict { is_empty: !had_data, aborted: None }
            }
        }
    }
}
