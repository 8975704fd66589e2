//! Protobuf's wire format, as far as metric pages need it: writing without knowing lengths ahead,
//! and finding the families of a page again.

use bytes::Bytes;

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;

/// Longest varint.
const MAX_VARINT: usize = 10;

/// A varint and how many of its bytes count.
fn varint(mut number: u64) -> ([u8; MAX_VARINT], usize) {
    let mut bytes = [0; MAX_VARINT];
    let mut len = 0;
    for byte in &mut bytes {
        len += 1;
        let low = (number & 0x7f) as u8;
        number >>= 7;
        *byte = if number > 0 { low | 0x80 } else { low };
        if number == 0 {
            break;
        }
    }
    (bytes, len)
}

fn push_varint(out: &mut Vec<u8>, number: u64) {
    let (bytes, len) = varint(number);
    out.extend_from_slice(bytes.get(..len).unwrap_or_default());
}

fn push_tag(out: &mut Vec<u8>, field: u32, wire_type: u32) {
    push_varint(out, u64::from(field << 3 | wire_type));
}

/// Appends an unsigned number.
pub(super) fn push_uint(out: &mut Vec<u8>, field: u32, number: u64) {
    push_tag(out, field, VARINT);
    push_varint(out, number);
}

/// Appends a signed number of type `sint32` or `sint64`.
pub(super) fn push_sint(out: &mut Vec<u8>, field: u32, number: i64) {
    push_tag(out, field, VARINT);
    push_varint(out, zigzag(number));
}

/// Appends a list of `sint64`, packed.
pub(super) fn push_sints(out: &mut Vec<u8>, field: u32, numbers: &[i64]) {
    let start = open(out, field);
    numbers.iter().for_each(|number| push_varint(out, zigzag(*number)));
    close(out, start);
}

/// Appends a double.
pub(super) fn push_double(out: &mut Vec<u8>, field: u32, number: f64) {
    push_tag(out, field, FIXED64);
    out.extend_from_slice(&number.to_le_bytes());
}

/// Appends a text.
pub(super) fn push_text(out: &mut Vec<u8>, field: u32, text: &str) {
    push_tag(out, field, BYTES);
    push_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Begins a message in a message; gives what [`close`] needs.
pub(super) fn open(out: &mut Vec<u8>, field: u32) -> usize {
    push_tag(out, field, BYTES);
    open_bare(out)
}

/// Begins a message that has a length and no tag.
pub(super) fn open_bare(out: &mut Vec<u8>) -> usize {
    // Most lengths take one byte, and then nothing has to move.
    out.push(0);
    out.len()
}

/// Ends what began at `start`, and puts its length before it.
pub(super) fn close(out: &mut Vec<u8>, start: usize) {
    let (bytes, len) = varint(out.len().saturating_sub(start) as u64);
    let [first, more @ ..] = bytes;
    if let Some(place) = start.checked_sub(1).and_then(|at| out.get_mut(at)) {
        *place = first;
    }
    if len > 1 {
        out.extend_from_slice(more.get(..len - 1).unwrap_or_default());
        if let Some(message) = out.get_mut(start..) {
            message.rotate_right(len - 1);
        }
    }
}

/// Bytes of a text with tag and length, for a field below 16.
pub(super) fn text_len(text: &str) -> usize {
    1 + varint(text.len() as u64).1 + text.len()
}

/// Begins a message of `len` bytes in a message.
pub(super) fn push_head(out: &mut Vec<u8>, field: u32, len: usize) {
    push_tag(out, field, BYTES);
    push_varint(out, len as u64);
}

fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63).cast_unsigned()
}

/// What stands before the samples of a family.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct FamilyHead<'a> {
    pub(super) name: &'a [u8],
    pub(super) kind: u64,
}

/// The families of a page for which `wanted` says so, one after the other; of a page that is none,
/// what comes before its first oddity.
pub(super) fn keep(page: &[u8], wanted: impl Fn(&FamilyHead<'_>) -> bool) -> Bytes {
    let mut kept = Vec::new();
    let mut rest = page;
    while let Some((family, behind)) = take_bytes(rest) {
        if wanted(&head(family).unwrap_or_default()) {
            let whole = rest.len() - behind.len();
            kept.extend_from_slice(rest.get(..whole).unwrap_or_default());
        }
        rest = behind;
    }
    kept.into()
}

/// Name and type of a family; its samples are not looked at.
fn head(mut rest: &[u8]) -> Option<FamilyHead<'_>> {
    let mut found = FamilyHead::default();
    while !rest.is_empty() {
        let (tag, behind) = take_varint(rest)?;
        match (tag >> 3, tag & 7) {
            (1, 2) => (found.name, rest) = take_bytes(behind)?,
            (2, 2) => (_, rest) = take_bytes(behind)?,
            (3, 0) => (found.kind, rest) = take_varint(behind)?,
            _ => break,
        }
    }
    Some(found)
}

fn take_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (at, byte) in bytes.iter().take(MAX_VARINT).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((number, bytes.get(at + 1..)?));
        }
    }
    None
}

fn take_bytes(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = take_varint(bytes)?;
    rest.split_at_checked(usize::try_from(len).ok()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Numbers and lengths are written as prost writes them.
        #[test]
        fn numbers_read_back(unsigned: u64, signed: i64) {
            let mut out = Vec::new();
            push_varint(&mut out, unsigned);
            let mut want = Vec::new();
            prost::encoding::encode_varint(unsigned, &mut want);
            prop_assert_eq!(&out, &want);
            prop_assert_eq!(take_varint(&out), Some((unsigned, &[][..])));
            let mut out = Vec::new();
            push_sint(&mut out, 5, signed);
            let mut want = Vec::new();
            prost::encoding::sint64::encode(5, &signed, &mut want);
            prop_assert_eq!(out, want);
        }

        /// No bytes make the reader panic or read on for ever.
        #[test]
        fn any_bytes_are_read(page in prop::collection::vec(any::<u8>(), 0..200)) {
            keep(&page, |_| true);
        }
    }

    #[test]
    fn lengths_come_before_what_they_count() {
        for len in [0, 1, 127, 128, 20_000] {
            let mut out = b"before".to_vec();
            let start = open(&mut out, 4);
            out.resize(out.len() + len, b'x');
            close(&mut out, start);
            let mut want = b"before".to_vec();
            prost::encoding::bytes::encode(4, &vec![b'x'; len], &mut want);
            assert_eq!(out, want, "{len}");
        }
    }
}
