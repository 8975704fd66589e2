//! Sizes and durations as people write them: `64KiB`, `1.5 GB`, `250ms`, `1h30m`.

use std::time::Duration;

use thiserror::Error;

/// A text that is no size or duration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum QuantityError {
    /// Not a size.
    #[error("{0:?} is no size: expected a number and B, KB, MB, GB, TB, KiB, MiB, GiB or TiB")]
    Size(String),
    /// Not a duration.
    #[error("{0:?} is no duration: expected numbers with us, ms, s, m, h or d")]
    Duration(String),
}

const SIZES: &[(&str, u64)] = &[
    ("", 1),
    ("b", 1),
    ("k", 1 << 10),
    ("kb", 1000),
    ("kib", 1 << 10),
    ("m", 1 << 20),
    ("mb", 1_000_000),
    ("mib", 1 << 20),
    ("g", 1 << 30),
    ("gb", 1_000_000_000),
    ("gib", 1 << 30),
    ("t", 1 << 40),
    ("tb", 1_000_000_000_000),
    ("tib", 1 << 40),
];

const DURATIONS_US: &[(&str, u64)] = &[
    ("us", 1),
    ("ms", 1000),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
];

/// Reads a size in bytes. `KB` is 1,000 bytes, `KiB` and a bare `K` are 1,024.
///
/// # Errors
/// When the text is no size, is negative, or does not fit.
pub fn parse_size(text: &str) -> Result<u64, QuantityError> {
    let refused = || QuantityError::Size(text.chars().take(40).collect());
    let (number, unit, rest) = part(text.trim()).ok_or_else(refused)?;
    let factor = factor(SIZES, unit).filter(|_| rest.is_empty()).ok_or_else(refused)?;
    scaled(number, factor).ok_or_else(refused)
}

/// Reads a duration of one or several parts, as `90s` or `1h30m`.
///
/// # Errors
/// When the text is no duration, is negative, or does not fit.
pub fn parse_duration(text: &str) -> Result<Duration, QuantityError> {
    let refused = || QuantityError::Duration(text.chars().take(40).collect());
    let mut rest = text.trim();
    let mut total_us = 0u64;
    loop {
        let (number, unit, next) = part(rest).ok_or_else(refused)?;
        let factor = factor(DURATIONS_US, unit).ok_or_else(refused)?;
        let part_us = scaled(number, factor).ok_or_else(refused)?;
        total_us = total_us.checked_add(part_us).ok_or_else(refused)?;
        rest = next.trim_start();
        if rest.is_empty() {
            return Ok(Duration::from_micros(total_us));
        }
    }
}

/// Splits a number, a unit and the rest off a text.
fn part(text: &str) -> Option<(&str, &str, &str)> {
    let after_number = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at(after_number);
    let rest = rest.trim_start();
    let after_unit = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(after_unit);
    (!number.is_empty()).then_some((number, unit, rest))
}

fn factor(units: &[(&str, u64)], unit: &str) -> Option<u64> {
    units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, factor)| *factor)
}

/// Whole numbers exactly, fractions rounded to the unit's base.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor);
    }
    let value = number.parse::<f64>().ok()? * factor as f64;
    // 2^63 is exact in f64; beyond it a fraction makes no sense anyway.
    (value.is_finite() && value < 9.2e18).then_some(value.round() as u64)
}

/// Writes a number of bytes for people: `512 B`, `1.5 KiB`, `64 MiB`.
pub fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut units = UNITS.iter().peekable();
    while let Some(unit) = units.next() {
        if value < 1023.95 || units.peek().is_none() {
            let text = format!("{value:.1}");
            return format!("{} {unit}", text.strip_suffix(".0").unwrap_or(&text));
        }
        value /= 1024.0;
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read() {
        let cases = [
            ("0", 0),
            ("123", 123),
            ("1k", 1024),
            ("1KB", 1000),
            (" 1.5 GiB ", 1_610_612_736),
            ("64mib", 67_108_864),
            ("18446744073709551615", u64::MAX),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_size(text), Ok(expected), "{text}");
        }
        for bad in ["", "k", "-1", "1kk", "1.2.3", "1 2", "99999999999T", "1e3", "1s"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_are_read() {
        let cases = [
            ("0s", 0),
            ("250ms", 250_000),
            ("1.5s", 1_500_000),
            ("1h30m", 5_400_000_000),
            ("1d 2h", 93_600_000_000),
            ("7us", 7),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_duration(text), Ok(Duration::from_micros(expected)), "{text}");
        }
        for bad in ["", "5", "ms", "-1s", "1s2", "99999999999999d", "1y"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn bytes_are_written_for_people() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (1 << 26, "64 MiB"),
            (u64::MAX, "16 EiB"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(human_bytes(bytes), expected);
        }
        assert_eq!(human_bytes((1 << 20) - 1), "1 MiB");
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_readers(text in "\\PC{0,20}") {
            let _ = parse_size(&text);
            let _ = parse_duration(&text);
        }
    }
}
