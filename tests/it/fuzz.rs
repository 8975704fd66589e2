//! Every decoder of what comes from outside is fed its kept corpus, the goldens, and bytes that were
//! made of them by a seeded mutation: nothing panics, and nothing takes memory out of proportion.
//!
//! The long form (`PHAROS_FULL=1`) mutates a hundred times as often. What it finds is kept as a line
//! of `tests/golden/fuzz/<target>.tsv`. The same targets run under libFuzzer from `fuzz/`.

mod targets;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pharos_protocol::ApiKey;
use pharos_protocol::compression::{Codec, compress};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use self::targets::TARGETS;
use crate::tidy::root;

/// What a target may take beside a multiple of its input: buffers of codecs and their outputs.
const SLACK_BYTES: u64 = 16 << 20;
/// Owned messages take up to 25 times their bytes, and a target holds several.
const TIMES: u64 = 128;
/// Longest input that is made.
const MAX_LEN: usize = 16 << 10;
/// Numbers that decoders trip over.
const ODD: [u64; 9] = [0, 1, 0x7f, 0x80, 0xff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, u64::MAX];

fn hex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len() / 2).map(|at| digit(2 * at)).collect()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn golden(path: &str) -> String {
    fs::read_to_string(root().join("tests/golden").join(path)).unwrap()
}

/// The lines that are kept for a target: what each is, and its bytes.
fn kept(target: &str) -> Vec<Vec<u8>> {
    let text = golden(&format!("fuzz/{target}.tsv"));
    text.lines().skip(1).map(|line| hex(line.split_once('\t').unwrap().1)).collect()
}

/// Bytes of a column of a golden, where it is hexadecimal.
fn column(path: &str, column: usize) -> Vec<Vec<u8>> {
    let text = golden(path);
    text.lines().skip(1).map(|line| hex(line.split('\t').nth(column).unwrap())).collect()
}

/// The bodies of messages of APIs: key, version, whether it is a request, bytes.
fn bodies() -> Vec<(i16, i16, bool, Vec<u8>)> {
    let text = golden("messages/golden.tsv");
    let rows = text.lines().skip(1).filter_map(|line| {
        let fields: Vec<_> = line.split('\t').collect();
        let key = fields[0].parse().ok()?;
        let is_request = fields[1].ends_with("Request");
        Some((key, fields[3].parse().unwrap(), is_request, hex(fields[5])))
    });
    rows.collect()
}

fn request_frame(key: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let mut frame = [key.to_be_bytes(), version.to_be_bytes()].concat();
    frame.extend_from_slice(&[0, 0, 0, 1, 0, 2, b'i', b't']);
    if ApiKey::from_i16(key).unwrap().is_flexible(version) {
        frame.push(0);
    }
    [&frame[..], body].concat()
}

fn files(folder: &str, ending: &str) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        entries.filter(|path| path.to_str().unwrap().ends_with(ending)).collect();
    paths.sort();
    let files = paths.iter().map(|path| fs::read(path).unwrap());
    files.filter(|bytes| bytes.len() <= MAX_LEN).collect()
}

/// Lawful bytes for a target.
fn lawful(target: &str) -> Vec<Vec<u8>> {
    let text = "the quick brown fox ".repeat(50).into_bytes();
    let requests = || bodies().into_iter().filter(|(_, _, is_request, _)| *is_request);
    match target {
        "frames" => {
            requests().map(|(key, version, _, body)| request_frame(key, version, &body)).collect()
        }
        "messages" => bodies()
            .into_iter()
            .map(|(key, version, is_request, body)| {
                let [key, version] = [key, version].map(|of| u8::try_from(of).unwrap());
                [&[key, version, u8::from(!is_request)][..], &body].concat()
            })
            .collect(),
        "stored" => column("messages/framing.tsv", 4),
        "varints" => vec![vec![0], vec![0x80, 1], vec![0xff; 10]],
        "batches" => column("messages/batch-golden.tsv", 4),
        "codecs" => Codec::ALL
            .into_iter()
            .map(|codec| {
                let mut bytes = vec![codec.id()];
                compress(codec, None, &text, &mut bytes).unwrap();
                bytes
            })
            .collect(),
        "rules" => files("tests/golden/rules", ".yml"),
        "patterns" => [
            "\0kafka.server:type=BrokerTopicMetrics,name=\"a,b\",topic=t",
            "\x01kafka.(\\w+)<type=(.+), name=(.+)><>Value",
            "\x01(a+)+$",
            "\x01[a-z&&[^b]]{1,3}(?i:x|y)*?",
        ]
        .map(|text| text.as_bytes().to_vec())
        .to_vec(),
        "settings" => vec![
            b"listeners=PLAINTEXT://:9092,A://[::1]:1\nlog.dirs=a\\\n ,b\nx\\u0041=\xfc\n#c\n"
                .to_vec(),
            b"controller.quorum.voters=1@localhost:9093\nnode.id: 7\r\n".to_vec(),
        ],
        other => panic!("no seeds for {other}"),
    }
}

/// One change, or a few, to bytes.
fn mutated(random: &mut StdRng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[random.random_range(0..seeds.len())].clone();
    for _ in 0..random.random_range(1..4) {
        let at = random.random_range(0..=bytes.len());
        let end = (at + random.random_range(0..16)).min(bytes.len());
        match random.random_range(0..8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8),
            1 if at < bytes.len() => bytes[at] = random.random(),
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let again = bytes[at..end].repeat(random.random_range(1..100));
                bytes.splice(at..at, again);
            }
            5 => {
                let odd = ODD[random.random_range(0..ODD.len())].to_be_bytes();
                let width = [1, 2, 4, 8][random.random_range(0..4)];
                let end = (at + width).min(bytes.len());
                bytes.splice(at..end, odd[8 - width..].iter().copied());
            }
            6 => {
                // The forms of a varint that is as long as it may be, or longer.
                let len = random.random_range(1..12);
                let last = [0x00, 0x01, 0x07, 0x0f, 0x7f][random.random_range(0..5)];
                let long = std::iter::repeat_n(0xff, len).chain([last]);
                bytes.splice(at..(at + 1).min(bytes.len()), long);
            }
            _ => {
                let other = &seeds[random.random_range(0..seeds.len())];
                let from = random.random_range(0..=other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
        }
    }
    bytes.truncate(MAX_LEN);
    bytes
}

/// Runs a target on bytes; what is wrong with that, if anything.
fn run(run: fn(&[u8]), bytes: &[u8]) -> Result<(), String> {
    let mut outcome = Ok(());
    let used = allocation_counter::measure(|| {
        outcome = catch_unwind(AssertUnwindSafe(|| run(bytes)));
    });
    if outcome.is_err() {
        return Err("it panics".to_owned());
    }
    let allowed = SLACK_BYTES + TIMES * bytes.len() as u64;
    if used.bytes_max > allowed {
        return Err(format!("it takes {} bytes of memory, {allowed} are allowed", used.bytes_max));
    }
    Ok(())
}

/// How often a target's seeds are changed; rules are the slowest by far.
fn rounds(target: &str) -> usize {
    let rounds = match target {
        "rules" | "patterns" => 200,
        _ => 4_000,
    };
    if std::env::var_os("PHAROS_FULL").is_some() { rounds * 100 } else { rounds }
}

#[test]
fn what_comes_from_outside_is_read_or_refused() {
    let mut wrong = Vec::new();
    for (name, target) in TARGETS {
        let began = std::time::Instant::now();
        let seeds = [kept(name), lawful(name)].concat();
        let mut random = StdRng::seed_from_u64(7);
        let changed = std::iter::repeat_with(|| mutated(&mut random, &seeds)).take(rounds(name));
        let mut count = 0;
        for bytes in seeds.iter().cloned().chain(changed) {
            count += 1;
            if let Err(error) = run(target, &bytes) {
                wrong.push(format!("{name}: {error}: {}", to_hex(&bytes)));
                break;
            }
        }
        println!("{name}: {count} inputs in {:?}", began.elapsed());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A target without a shim would never run under libFuzzer, and the other way round.
#[test]
fn every_target_has_its_shim() {
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    let mut shims: Vec<_> = fs::read_dir(root().join("fuzz/targets"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    shims.sort();
    let mut names: Vec<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    names.sort();
    assert_eq!(shims, names);
    for name in names {
        let shim = fs::read_to_string(root().join(format!("fuzz/targets/{name}.rs"))).unwrap();
        assert!(shim.contains(&format!("targets::run(\"{name}\", data)")), "{shim}");
        assert!(manifest.contains(&format!("path = \"targets/{name}.rs\"")), "{name}");
    }
}
