//! Variable-length integers: unsigned LEB128 of flexible messages, zigzag ones of record batches.
//!
//! It follows `org.apache.kafka.common.utils.ByteUtils`: at most 5 bytes for 32 bits and 10 for
//! 64, longer forms of a small number are read, bits above the width are dropped. It refuses to
//! read past the slice it is given.

/// Longest form of a 32-bit varint, in bytes.
pub const MAX_VARINT_LEN: usize = 5;
/// Longest form of a 64-bit varint, in bytes.
pub const MAX_VARLONG_LEN: usize = 10;

/// Why a variable-length integer cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VarintError {
    /// The bytes end inside the number.
    #[error("the bytes end inside a variable-length integer")]
    Truncated,
    /// The number has more bytes than its width allows.
    #[error("a variable-length integer of {bits} bits is longer than {max} bytes")]
    TooLong {
        /// Width of the number.
        bits: u32,
        /// Bytes that the width allows.
        max: usize,
    },
}

/// Reads an unsigned 32-bit varint from the front of `input` and moves `input` behind it.
///
/// # Errors
/// [`VarintError`] when the bytes end early or the number is longer than 5 bytes.
#[inline]
pub fn read_u32(input: &mut &[u8]) -> Result<u32, VarintError> {
    match input.split_first() {
        Some((&byte, rest)) if byte < 0x80 => {
            *input = rest;
            Ok(u32::from(byte))
        }
        _ => read_u32_slow(input),
    }
}

fn read_u32_slow(input: &mut &[u8]) -> Result<u32, VarintError> {
    let mut value = 0u32;
    for (index, &byte) in input.iter().take(MAX_VARINT_LEN).enumerate() {
        value |= u32::from(byte & 0x7f) << (7 * index as u32);
        if byte < 0x80 {
            *input = input.get(index + 1..).unwrap_or_default();
            return Ok(value);
        }
    }
    Err(if input.len() < MAX_VARINT_LEN {
        VarintError::Truncated
    } else {
        VarintError::TooLong { bits: 32, max: MAX_VARINT_LEN }
    })
}

/// Reads an unsigned 64-bit varint from the front of `input` and moves `input` behind it.
///
/// # Errors
/// [`VarintError`] when the bytes end early or the number is longer than 10 bytes.
#[inline]
pub fn read_u64(input: &mut &[u8]) -> Result<u64, VarintError> {
    match input.split_first() {
        Some((&byte, rest)) if byte < 0x80 => {
            *input = rest;
            Ok(u64::from(byte))
        }
        _ => read_u64_slow(input),
    }
}

fn read_u64_slow(input: &mut &[u8]) -> Result<u64, VarintError> {
    let mut value = 0u64;
    for (index, &byte) in input.iter().take(MAX_VARLONG_LEN).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index as u32);
        if byte < 0x80 {
            *input = input.get(index + 1..).unwrap_or_default();
            return Ok(value);
        }
    }
    Err(if input.len() < MAX_VARLONG_LEN {
        VarintError::Truncated
    } else {
        VarintError::TooLong { bits: 64, max: MAX_VARLONG_LEN }
    })
}

/// Reads a zigzag 32-bit varint from the front of `input` and moves `input` behind it.
///
/// # Errors
/// As [`read_u32`].
#[inline]
pub fn read_i32(input: &mut &[u8]) -> Result<i32, VarintError> {
    read_u32(input).map(unzigzag_32)
}

/// Reads a zigzag 64-bit varint from the front of `input` and moves `input` behind it.
///
/// # Errors
/// As [`read_u64`].
#[inline]
pub fn read_i64(input: &mut &[u8]) -> Result<i64, VarintError> {
    read_u64(input).map(unzigzag_64)
}

/// Appends `value` as an unsigned varint of at most 5 bytes.
#[inline]
pub fn write_u32(out: &mut Vec<u8>, value: u32) {
    write_u64(out, u64::from(value));
}

/// Appends `value` as an unsigned varint of at most 10 bytes.
#[inline]
pub fn write_u64(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends `value` as a zigzag varint of at most 5 bytes.
#[inline]
pub fn write_i32(out: &mut Vec<u8>, value: i32) {
    write_u32(out, zigzag_32(value));
}

/// Appends `value` as a zigzag varint of at most 10 bytes.
#[inline]
pub fn write_i64(out: &mut Vec<u8>, value: i64) {
    write_u64(out, zigzag_64(value));
}

/// Bytes that [`write_u32`] appends for `value`.
#[inline]
pub fn len_u32(value: u32) -> usize {
    len_u64(u64::from(value))
}

/// Bytes that [`write_u64`] appends for `value`.
#[inline]
pub fn len_u64(value: u64) -> usize {
    (70 - (value | 1).leading_zeros() as usize) / 7
}

/// Bytes that [`write_i32`] appends for `value`.
#[inline]
pub fn len_i32(value: i32) -> usize {
    len_u32(zigzag_32(value))
}

/// Bytes that [`write_i64`] appends for `value`.
#[inline]
pub fn len_i64(value: i64) -> usize {
    len_u64(zigzag_64(value))
}

#[inline]
pub(crate) fn unzigzag_32(value: u32) -> i32 {
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

#[inline]
pub(crate) fn unzigzag_64(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[inline]
fn zigzag_32(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

#[inline]
fn zigzag_64(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(a: u32, b: u64, c: i32, d: i64, shift_b in 0u32..64, shift_d in 0u32..64) {
            let (b, d) = (b >> shift_b, d >> shift_d);
            let mut out = Vec::new();
            write_u32(&mut out, a);
            prop_assert_eq!(out.len(), len_u32(a));
            write_u64(&mut out, b);
            write_i32(&mut out, c);
            write_i64(&mut out, d);
            prop_assert_eq!(out.len(), len_u32(a) + len_u64(b) + len_i32(c) + len_i64(d));
            let mut input = out.as_slice();
            prop_assert_eq!(read_u32(&mut input), Ok(a));
            prop_assert_eq!(read_u64(&mut input), Ok(b));
            prop_assert_eq!(read_i32(&mut input), Ok(c));
            prop_assert_eq!(read_i64(&mut input), Ok(d));
            prop_assert!(input.is_empty());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..16)) {
            let mut input = bytes.as_slice();
            if read_u64(&mut input).is_err() {
                prop_assert_eq!(input.len(), bytes.len(), "a refusal moves nothing");
            }
        }
    }

    #[test]
    fn limits_are_kafkas() {
        let cases: [(&[u8], Result<u32, VarintError>); 6] = [
            (&[], Err(VarintError::Truncated)),
            (&[0x80], Err(VarintError::Truncated)),
            (&[0x81, 0x80, 0x80, 0x80, 0x00], Ok(1)),
            (&[0xff, 0xff, 0xff, 0xff, 0x0f], Ok(u32::MAX)),
            (&[0xff, 0xff, 0xff, 0xff, 0x7f], Ok(u32::MAX)),
            (
                &[0x80, 0x80, 0x80, 0x80, 0x80, 0x00],
                Err(VarintError::TooLong { bits: 32, max: MAX_VARINT_LEN }),
            ),
        ];
        for (bytes, expected) in cases {
            let mut input = bytes;
            assert_eq!(read_u32(&mut input), expected, "{bytes:02x?}");
        }
    }
}
