//! The first records of a new cluster: written when its directories are formatted, read when its
//! metadata log begins (Kafka's `bootstrap.checkpoint`).

use std::io;
use std::path::Path;

use bytes::Bytes;
use pharos_protocol::batch::{ControlRecord, batches};
use pharos_protocol::encode_to_bytes;
use pharos_protocol::messages::{ConfigRecord, SnapshotFooterRecord, SnapshotHeaderRecord};
use pharos_storage::fs::{Fs, read_file, replace_file};

use crate::format::FormatError;
use crate::image::{ConfigResourceType, GROUP_VERSION, METADATA_VERSION, feature_record};
use crate::quorum::{QuorumError, control_batch, joined};
use crate::record::{MetadataRecord, decode_batch, encode_batch};

/// Kafka's file with the records of a cluster's first entry.
pub(crate) const BOOTSTRAP_FILE: &str = "bootstrap.checkpoint";
/// Longest such file that is read.
const MAX_BOOTSTRAP_BYTES: u64 = 1 << 20;

/// Writes the file of a new cluster into `dir`.
///
/// # Errors
/// When the disk refuses it.
pub(crate) fn write(fs: &dyn Fs, dir: &Path, min_insync_replicas: i32) -> Result<(), FormatError> {
    let bytes = encoded(&first_records(min_insync_replicas)).map_err(FormatError::Bootstrap)?;
    let written = replace_file(fs, &dir.join(BOOTSTRAP_FILE), &bytes);
    written.map_err(|source| FormatError::Io { dir: dir.to_owned(), source })
}

/// The records of a directory's bootstrap file; the default ones when it has none.
///
/// # Errors
/// When the file cannot be read or is damaged.
pub(crate) fn read(fs: &dyn Fs, dir: &Path) -> Result<Vec<MetadataRecord>, QuorumError> {
    let path = dir.join(BOOTSTRAP_FILE);
    let bytes = match read_file(fs, &path, MAX_BOOTSTRAP_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(default_records()),
        Err(error) => return Err(QuorumError::io(path)(error)),
    };
    let decoded = || -> Result<Vec<MetadataRecord>, String> {
        let mut records = Vec::new();
        for batch in batches(&bytes) {
            let batch = batch.map_err(|error| error.to_string())?;
            batch.check_crc().map_err(|error| error.to_string())?;
            if !batch.header().is_control() {
                records.extend(decode_batch(&batch).map_err(|error| error.to_string())?);
            }
        }
        Ok(records)
    };
    decoded().map_err(|reason| QuorumError::DamagedFile { path, reason })
}

/// The features that this build finalizes.
fn default_records() -> Vec<MetadataRecord> {
    vec![feature_record(METADATA_VERSION, 30), feature_record(GROUP_VERSION, 1)]
}

/// The records that a new cluster begins with. It keeps `min.insync.replicas` as a default of its
/// own: it is one value for all brokers from then on
/// (`ConfigurationControlManager.maybeGenerateElrSafetyRecords`).
fn first_records(min_insync_replicas: i32) -> Vec<MetadataRecord> {
    let mut records = default_records();
    records.push(MetadataRecord::Config(ConfigRecord {
        resource_type: ConfigResourceType::Broker.code(),
        resource_name: String::new(),
        name: "min.insync.replicas".to_owned(),
        value: Some(min_insync_replicas.to_string()),
    }));
    records
}

fn encoded(records: &[MetadataRecord]) -> Result<Bytes, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let none: Option<&()> = None;
    let header = encode_to_bytes(&SnapshotHeaderRecord::default(), 0).map_err(|it| text(&it))?;
    let footer = encode_to_bytes(&SnapshotFooterRecord::default(), 0).map_err(|it| text(&it))?;
    let control = |record| control_batch(record, none, 0).map_err(|it| text(&it));
    let parts = [
        control(ControlRecord::SnapshotHeader(&header))?,
        encode_batch(records, 0).map_err(|it| text(&it))?,
        control(ControlRecord::SnapshotFooter(&footer))?,
    ];
    joined(&parts).map_err(|it| text(&it))
}

#[cfg(test)]
mod tests {
    use pharos_storage::fs::SimFs;

    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let fs = SimFs::new();
        fs.create_dir_all(Path::new("/a")).unwrap();
        assert_eq!(read(&fs, Path::new("/a")).unwrap(), default_records());
        write(&fs, Path::new("/a"), 2).unwrap();
        assert_eq!(read(&fs, Path::new("/a")).unwrap(), first_records(2));
    }

    #[test]
    fn the_bootstrap_file_of_kafka_is_read_and_a_damaged_one_refused() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/golden/metadata/bootstrap.checkpoint"
        );
        let bytes = std::fs::read(path).unwrap();
        let fs = SimFs::new();
        fs.create_dir_all(Path::new("/a")).unwrap();
        replace_file(&fs, Path::new("/a/bootstrap.checkpoint"), &bytes).unwrap();
        assert_eq!(read(&fs, Path::new("/a")).unwrap().len(), 6);
        fs.flip(Path::new("/a/bootstrap.checkpoint"), 150, 3).unwrap();
        let error = read(&fs, Path::new("/a")).unwrap_err().to_string();
        assert!(error.starts_with("/a/bootstrap.checkpoint is damaged"), "{error}");
    }
}
