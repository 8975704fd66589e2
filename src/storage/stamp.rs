//! Small things about the 61 bytes in front of a batch that only a log needs.

use pharos_protocol::batch::{BatchHeader, CRC_RANGE, HEADER_LEN, TimestampType};

const LOG_APPEND_TIME: i16 = 0x08;

/// Whether every field can be true of a batch that a log holds.
pub(crate) fn is_sane(header: &BatchHeader) -> bool {
    header.base_offset >= 0
        && header.last_offset_delta >= 0
        && header.count >= 0
        && header.base_offset.checked_add(i64::from(header.last_offset_delta) + 1).is_some()
}

/// Sets timestamp type and largest timestamp, and the checksum with them: those bytes lie in the
/// header, so the checksum of the records behind it is carried over instead of computed again.
pub(crate) fn set_max_timestamp(header: &mut BatchHeader, kind: TimestampType, timestamp: i64) {
    if header.timestamp_type() == kind && header.max_timestamp == timestamp {
        return;
    }
    let body_len = header.total_len().saturating_sub(HEADER_LEN);
    let body = header.crc ^ crc32c::crc32c_combine(crc_of_header(header), 0, body_len);
    match kind {
        TimestampType::LogAppendTime => header.attributes |= LOG_APPEND_TIME,
        TimestampType::CreateTime => header.attributes &= !LOG_APPEND_TIME,
    }
    header.max_timestamp = timestamp;
    header.crc = crc32c::crc32c_combine(crc_of_header(header), body, body_len);
}

fn crc_of_header(header: &BatchHeader) -> u32 {
    crc32c::crc32c(header.to_bytes().get(CRC_RANGE.end..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pharos_protocol::batch::{BatchBuilder, BatchOptions, NewRecord, RecordBatch};

    #[test]
    fn the_checksum_follows_a_changed_timestamp() {
        for value in [&b""[..], b"x", &[7; 5000]] {
            let mut builder = BatchBuilder::new(BatchOptions::default());
            let record = NewRecord { timestamp: 5, value: Some(value), ..NewRecord::default() };
            builder.push(&record).unwrap();
            let mut bytes = builder.build().unwrap().to_vec();
            let mut header = *RecordBatch::split(&bytes).unwrap().0.header();
            set_max_timestamp(&mut header, TimestampType::LogAppendTime, 123_456);
            bytes[..HEADER_LEN].copy_from_slice(&header.to_bytes());
            let (batch, _) = RecordBatch::split(&bytes).unwrap();
            batch.check_crc().unwrap();
            assert_eq!(batch.header().timestamp_type(), TimestampType::LogAppendTime);
            assert_eq!(batch.header().max_timestamp, 123_456);
        }
    }
}
