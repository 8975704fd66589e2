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
        let error = loop {
            match decoder.fill() {
                Ok(false) => panic!("{codec} went past the limit"),
                Ok(true) => decoder.consume(decoder.ready().len()),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, CompressionError::OutputLimit { limit: 100_000, .. }), "{error}");
        assert!(decoder.produced() <= 100_000);
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

/// Text with repeats near and far, as long as `len`.
fn repetitive(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed | 1;
    let mut out: Vec<u8> = Vec::with_capacity(len);
    while out.len() < len {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let back = (state >> 8) as usize % 90_000;
        let run = (state >> 24) as usize + 1;
        match out.len().checked_sub(back) {
            Some(start) if state & 3 > 0 && back > 0 => {
                for at in start..start + run {
                    out.push(out[at]);
                }
            }
            _ => out.extend((0..run).map(|at| (state >> (at % 24)) as u8)),
        }
    }
    out.truncate(len);
    out
}

#[test]
fn large_snappy_blocks_are_decoded_piece_by_piece() {
    for (len, seed) in [(262_144, 1), (262_145, 2), (400_000, 3), (1_500_000, 4)] {
        let data = repetitive(len, seed);
        let bare = snap::raw::Encoder::new().compress_vec(&data).unwrap();
        assert!(decompress(Codec::Snappy, &bare, 2 * LIMIT).unwrap() == data, "{len}");
        let limited = decompress(Codec::Snappy, &bare, len as u64 - 1);
        assert!(matches!(limited, Err(CompressionError::OutputLimit { .. })));
        for cut in [1, 2, 100, bare.len() / 2, bare.len() - 6] {
            assert!(decompress(Codec::Snappy, &bare[..bare.len() - cut], 2 * LIMIT).is_err());
        }
        let more = [&bare[..], &[0, b'x']].concat();
        assert!(decompress(Codec::Snappy, &more, 2 * LIMIT).is_err());
    }
}

#[test]
fn a_large_snappy_block_takes_constant_memory() {
    let bare = snap::raw::Encoder::new().compress_vec(&vec![0; 8 << 20]).unwrap();
    let used = allocation_counter::measure(|| {
        let mut decoder = Decompressor::new(Codec::Snappy, &bare, u64::MAX).unwrap();
        while decoder.fill().unwrap() {
            decoder.consume(decoder.ready().len());
        }
        assert_eq!(decoder.produced(), 8 << 20);
    });
    assert!(used.bytes_max < 512 * 1024, "{}", used.bytes_max);
}

proptest! {
    #[test]
    fn damaged_large_snappy_blocks_are_refused_or_read(
        seed: u32,
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..5),
    ) {
        let mut bare = snap::raw::Encoder::new().compress_vec(&repetitive(270_000, seed)).unwrap();
        for (at, byte) in damage {
            // Behind the length.
            let at = 5 + at.index(bare.len() - 5);
            bare[at] = byte;
        }
        let whole = snap::raw::Decoder::new().decompress_vec(&bare);
        match (decompress(Codec::Snappy, &bare, LIMIT), whole) {
            (Ok(found), Ok(expected)) => prop_assert!(found == expected),
            (Ok(_), Err(error)) => prop_assert!(false, "snap says {error}"),
            // A copy that reaches too far back is ours to refuse.
            (Err(_), _) => {}
        }
    }
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

#[test]
fn lz4_windows_are_bounded_by_the_format() {
    for (size, most) in [(BlockSize::Max64KB, 420_000), (BlockSize::Max4MB, 13 << 20)] {
        let info = FrameInfo::new().block_size(size).block_mode(BlockMode::Linked);
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(b"tiny").unwrap();
        let packed = encoder.finish().unwrap();
        let used = allocation_counter::measure(|| {
            assert_eq!(decompress(Codec::Lz4, &packed, LIMIT).unwrap(), b"tiny");
        });
        assert!(used.bytes_max < most, "{}", used.bytes_max);
    }
}
