//! Entries of the consensus log as Kafka's batches: a proposal is a batch of metadata records, the
//! blank entry of a new leader a LeaderChange, a change of the voters a Voters record.
//!
//! What Kafka's schemas have no place for (the term, openraft's membership) stands in a record
//! header that Kafka's tools show by its key and skip.

use bytes::{Bytes, BytesMut};
use openraft::EntryPayload;
use pharos_base::TopicId;
use pharos_protocol::batch::{
    BatchBuilder, BatchOptions, BuildError, ControlRecord, NewRecord, RecordBatch,
};
use pharos_protocol::messages::leader_change_message::Voter;
use pharos_protocol::messages::voters_record::{self, KRaftVersionFeature};
use pharos_protocol::messages::{LeaderChangeMessage, NoOpRecord, VotersRecord};
use pharos_protocol::{EncodeError, encode_to_bytes};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Entry, LogId, Proposal};
use crate::record::{MetadataRecord, RecordError, encode_batch};

/// Key of the record header that holds what only the quorum reads.
const HEADER_KEY: &str = "pharos.quorum";
/// Longest value of that header that is read.
const MAX_HEADER_BYTES: usize = 64 << 10;

/// Why an entry cannot be written as a batch, or a batch be read as an entry.
#[derive(Debug, Error)]
pub(crate) enum EntryError {
    /// The batch is none that this log writes.
    #[error("it holds a {0} record, which does not belong here")]
    Unexpected(&'static str),
    /// A control record without what the quorum needs.
    #[error("its control record lacks the quorum's header")]
    NoHeader,
    /// The header says another term than the batch.
    #[error("its epoch {epoch} is not its leader's term {term}")]
    Term { epoch: i32, term: u64 },
    /// The header is not what was written.
    #[error("its quorum header cannot be read: {0}")]
    Header(#[from] serde_json::Error),
    /// The term does not fit an epoch.
    #[error("term {0} is beyond the range of an epoch")]
    TermRange(u64),
    #[error(transparent)]
    Records(#[from] RecordError),
    #[error(transparent)]
    Batch(#[from] pharos_protocol::batch::BatchError),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// What the header of a control record says.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    term: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    membership: Option<openraft::Membership<u64, openraft::BasicNode>>,
}

/// The batch of an entry at `base_offset`. `leader` is who leads in the entry's term.
pub(super) fn to_batch(
    entry: &Entry,
    base_offset: i64,
    leader: u64,
    now_ms: i64,
) -> Result<Bytes, EntryError> {
    let term = entry.log_id.leader_id.term;
    let epoch = i32::try_from(term).map_err(|_| EntryError::TermRange(term))?;
    let batch = match &entry.payload {
        EntryPayload::Normal(proposal) if proposal.term == term => proposal.batch.clone(),
        EntryPayload::Normal(_) => {
            encode_batch(&[MetadataRecord::NoOp(NoOpRecord::default())], now_ms)?
        }
        EntryPayload::Blank => {
            let leader_id = i32::try_from(leader).unwrap_or(-1);
            let value = encode_to_bytes(&leader_change(leader_id), 0)?;
            let header = Header { term, membership: None };
            control_batch(ControlRecord::LeaderChange(&value), Some(&header), now_ms)?
        }
        EntryPayload::Membership(membership) => {
            let value = encode_to_bytes(&voters(membership), 0)?;
            let header = Header { term, membership: Some(membership.clone()) };
            control_batch(ControlRecord::Voters(&value), Some(&header), now_ms)?
        }
    };
    placed(&batch, base_offset, epoch)
}

/// A copy of a batch with its place in the log: these fields lie outside the checksum.
fn placed(batch: &[u8], base_offset: i64, epoch: i32) -> Result<Bytes, EntryError> {
    let (view, _) = RecordBatch::split(batch)?;
    let mut header = *view.header();
    header.assign(base_offset, epoch);
    let mut bytes = BytesMut::with_capacity(view.total_len());
    bytes.extend_from_slice(&header.to_bytes());
    bytes.extend_from_slice(view.body());
    Ok(bytes.freeze())
}

fn leader_change(leader_id: i32) -> LeaderChangeMessage {
    let voter = || Voter { voter_id: leader_id, ..Voter::default() };
    LeaderChangeMessage {
        version: 0,
        leader_id,
        voters: vec![voter()],
        granting_voters: vec![voter()],
    }
}

fn voters(membership: &openraft::Membership<u64, openraft::BasicNode>) -> VotersRecord {
    let voters = membership.voter_ids().map(|id| voters_record::Voter {
        voter_id: i32::try_from(id).unwrap_or(-1),
        voter_directory_id: TopicId::ZERO,
        endpoints: Vec::new(),
        kraft_version_feature: KRaftVersionFeature::default(),
    });
    VotersRecord { version: 0, voters: voters.collect() }
}

/// A batch of one control record.
pub(crate) fn control_batch(
    record: ControlRecord<'_>,
    header: Option<&impl Serialize>,
    now_ms: i64,
) -> Result<Bytes, EntryError> {
    let header = header.map(serde_json::to_vec).transpose()?;
    let headers: Vec<_> = header.iter().map(|json| (HEADER_KEY, Some(&json[..]))).collect();
    let mut builder = BatchBuilder::new(BatchOptions { control: true, ..BatchOptions::default() });
    builder.push(&NewRecord {
        timestamp: now_ms,
        key: Some(&record.key()),
        value: Some(&record.value()),
        headers: &headers,
    })?;
    Ok(builder.build()?)
}

/// The quorum's header of the only record of a control batch, with that record's kind.
pub(super) fn read_control<H: DeserializeOwned>(
    batch: &RecordBatch<'_>,
) -> Result<(i16, Option<H>), EntryError> {
    let open = batch.open(MAX_HEADER_BYTES as u64)?;
    let Some(record) = open.records().next() else {
        return Err(EntryError::Unexpected("missing"));
    };
    let record = record?;
    let control = ControlRecord::read(record.key, record.value)
        .map_err(|_| EntryError::Unexpected("malformed control"))?;
    let header = record.headers.iter().find(|header| header.key == HEADER_KEY.as_bytes());
    let header = header.and_then(|header| header.value).map(serde_json::from_slice).transpose()?;
    Ok((control.kind(), header))
}

/// The entry that a batch of the log holds, at `index`.
pub(super) fn from_batch(bytes: &Bytes, index: u64) -> Result<Entry, EntryError> {
    let (batch, _) = RecordBatch::split(bytes)?;
    let epoch = batch.header().partition_leader_epoch;
    let term = u64::try_from(epoch).map_err(|_| EntryError::Term { epoch, term: 0 })?;
    let log_id = LogId::new(openraft::CommittedLeaderId::new(term, 0), index);
    if !batch.header().is_control() {
        let proposal = Proposal { term, batch: bytes.clone() };
        return Ok(Entry { log_id, payload: EntryPayload::Normal(proposal) });
    }
    let (kind, header) = read_control::<Header>(&batch)?;
    let header = header.ok_or(EntryError::NoHeader)?;
    if header.term != term {
        return Err(EntryError::Term { epoch, term: header.term });
    }
    let payload = match (kind, header.membership) {
        (2, _) => EntryPayload::Blank,
        (6, Some(membership)) => EntryPayload::Membership(membership),
        (6, None) => return Err(EntryError::NoHeader),
        _ => return Err(EntryError::Unexpected("foreign control")),
    };
    Ok(Entry { log_id, payload })
}

/// Whether a new term may begin with this batch: only a leader's first entry raises the epoch.
pub(super) fn begins_term(batch: &RecordBatch<'_>) -> bool {
    batch.header().is_control()
}
