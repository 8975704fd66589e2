//! Round trips, joined streams, bombs and broken bytes.

use proptest::prelude::*;

use super::*;

const LIMIT: u64 = 1 << 20;

fn compressed(codec: Codec, input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    compress(codec, None, input, &mut out).unwrap();
    out
}

fn codec() -> impl Strategy<Value = Codec> {
    proptest::sample::select(Codec::ALL.to_vec())
}

proptest! {
    #[test]
    fn data_comes_back(codec in codec(), data in proptest::collection::vec(0u8..8, 0..40_000)) {
        let packed = compressed(codec, &data);
        prop_assert_eq!(decompress(codec, &packed, LIMIT).unwrap(), data);
    }

    #[test]
    fn arbitrary_bytes_never_break_a_decoder(
        codec in codec(),
        data in proptest::collection::vec(any::<u8>(), 0..400),
        keep_header in 0usize..20,
    ) {
        let mut input = compressed(codec, b"hello");
        input.truncate(keep_header);
        input.extend_from_slice(&data);
        let _ = decompress(codec, &input, LIMIT);
    }
}

#[test]
fn ids_and_names_are_kafkas() {
    let names = ["none", "gzip", "snappy", "lz4", "zstd"];
    for (id, name) in names.into_iter().enumerate() {
        let codec = Codec::from_id(id as u8).unwrap();
        assert_eq!((codec.id(), codec.name()), (id as u8, name));
        assert_eq!(Codec::from_name(name), Some(codec));
    }
    assert_eq!(Codec::from_id(5), None);
    assert_eq!(Codec::from_name("lzma"), None);
}

#[test]
fn a_bomb_stops_at_the_limit() {
    let zeros = vec![0u8; 4 << 20];
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let packed = compressed(codec, &zeros);
        let mut decoder = Decompressor::new(codec, &packed, 100_000).unwrap();
        let mut buffer = [0u8; 4096];
        let error = loop {
            match decoder.read(&mut buffer) {
                Ok(0) => panic!("{codec} went past the limit"),
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert!(matches!(error, CompressionError::OutputLimit { limit: 100_000, .. }), "{error}");
        assert!(decoder.produced() <= 100_000 + 4096);
    }
}

#[test]
fn exactly_the_limit_is_allowed() {
    for codec in Codec::ALL {
        let packed = compressed(codec, &[7; 5000]);
        assert_eq!(decompress(codec, &packed, 5000).unwrap().len(), 5000);
        assert!(matches!(
            decompress(codec, &packed, 4999),
            Err(CompressionError::OutputLimit { .. })
        ));
    }
}

#[test]
fn truncation_is_malformed_or_short_but_never_a_panic() {
    let data: Vec<u8> = (0..2000u32).flat_map(|n| (n % 97).to_be_bytes()).collect();
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let packed = compressed(codec, &data);
        for len in 0..packed.len() {
            if let Ok(out) = decompress(codec, &packed[..len], LIMIT) {
                assert!(data.starts_with(&out), "{codec} cut to {len}");
            }
        }
    }
}

#[test]
fn snappy_reads_bare_blocks_and_joined_streams() {
    let bare = snap::raw::Encoder::new().compress_vec(b"bare block").unwrap();
    assert_eq!(decompress(Codec::Snappy, &bare, LIMIT).unwrap(), b"bare block");
    let mut joined = compressed(Codec::Snappy, b"one ");
    joined.extend(compressed(Codec::Snappy, b"two"));
    assert_eq!(decompress(Codec::Snappy, &joined, LIMIT).unwrap(), b"one two");
}

#[test]
fn snappy_lengths_that_lie_allocate_nothing() {
    // A block of 5 bytes that declares 2^32 - 1.
    let block = [0xff, 0xff, 0xff, 0xff, 0x0f];
    assert!(matches!(
        decompress(Codec::Snappy, &block, u64::MAX),
        Err(CompressionError::Malformed { .. })
    ));
    let mut framed = MAGIC_AND_VERSIONS.to_vec();
    framed.extend_from_slice(&u32::MAX.to_be_bytes());
    framed.extend_from_slice(&block);
    assert!(decompress(Codec::Snappy, &framed, u64::MAX).is_err());
}

const MAGIC_AND_VERSIONS: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";

#[test]
fn levels_out_of_range_are_refused() {
    assert!(compress(Codec::Gzip, Some(10), b"x", &mut Vec::new()).is_err());
    assert!(compress(Codec::Gzip, Some(-1), b"x", &mut Vec::new()).is_err());
    let mut out = Vec::new();
    compress(Codec::Zstd, Some(19), b"some text", &mut out).unwrap();
    assert_eq!(decompress(Codec::Zstd, &out, LIMIT).unwrap(), b"some text");
}

#[test]
fn zstd_decoders_are_used_again_after_an_error_and_read_several_frames() {
    let packed = compressed(Codec::Zstd, &[b'x'; 10_000]);
    for _ in 0..5 {
        assert!(decompress(Codec::Zstd, &packed[..packed.len() - 1], LIMIT).is_err());
        assert!(decompress(Codec::Zstd, &packed, 5).is_err());
        assert_eq!(decompress(Codec::Zstd, &packed, LIMIT).unwrap().len(), 10_000);
    }
    let two = [&packed[..], &packed[..]].concat();
    assert_eq!(decompress(Codec::Zstd, &two, LIMIT).unwrap().len(), 20_000);
    assert!(compress(Codec::Zstd, Some(23), b"x", &mut Vec::new()).is_err());
}
