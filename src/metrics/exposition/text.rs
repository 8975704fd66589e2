//! Escaping and the two text formats.

use std::borrow::Cow;

/// Longest label value; longer ones end in `~` and 8 hexadecimal digits of their hash.
pub const MAX_LABEL_VALUE: usize = 256;

/// A label value as pages show it: cut, not escaped.
pub(super) fn shown(value: &str) -> Cow<'_, str> {
    if value.len() <= MAX_LABEL_VALUE {
        return value.into();
    }
    // FNV-1a: short, and the same in every version of this program.
    let step = |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let hash = value.bytes().fold(0x811c_9dc5_u32, step);
    let mut end = MAX_LABEL_VALUE - 9;
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}~{hash:08x}", value.get(..end).unwrap_or_default()).into()
}

/// Appends a label value, escaped and cut.
pub(super) fn push_label_value(out: &mut Vec<u8>, value: &str) {
    escape(out, &shown(value), true);
}

/// Appends a HELP line. OpenMetrics escapes quotes as well.
pub(super) fn push_help(out: &mut Vec<u8>, name: &str, help: &str, open_metrics: bool) {
    out.extend_from_slice(b"# HELP ");
    out.extend_from_slice(name.as_bytes());
    out.push(b' ');
    escape(out, help, open_metrics);
    out.push(b'\n');
}

fn escape(out: &mut Vec<u8>, text: &str, quotes: bool) {
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'"' if quotes => out.extend_from_slice(b"\\\""),
            // A NUL ends the page for Prometheus' reader of text, wherever it stands.
            0 => out.extend_from_slice("\u{FFFD}".as_bytes()),
            byte => out.push(byte),
        }
    }
}

/// Bytes as a label value: what is not UTF-8 is written as the text `\xNN`.
pub fn label_text(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

/// A bound as `le` shows it: as Go prints it, with a point. So does a scraper that reads protobuf,
/// and the series are the same whatever it reads.
pub fn bound_text(bound: f64) -> String {
    if bound.is_infinite() {
        return if bound > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    if bound == 0.0 || (1e-4..1e6).contains(&bound.abs()) {
        return format!("{bound:?}");
    }
    let text = format!("{bound:e}");
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    let (sign, size) = exponent.strip_prefix('-').map_or(('+', exponent), |size| ('-', size));
    format!("{digits}e{sign}{size:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_are_escaped_and_cut() {
        let text = |value: &str| {
            let mut out = Vec::new();
            push_label_value(&mut out, value);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text("a\"b\\c\nd\te"), "a\\\"b\\\\c\\nd\te");
        assert_eq!(text("a\0b"), "a\u{FFFD}b");
        let long = "é".repeat(200);
        let cut = text(&long);
        assert!(cut.len() <= MAX_LABEL_VALUE && cut.contains('~'));
        assert_ne!(cut, text(&format!("{long}x")));
        assert_eq!(label_text(b"a\xffb"), "a\\xffb");
    }

    /// What Prometheus makes of the same number in protobuf.
    #[test]
    fn bounds_read_as_go_prints_them() {
        for (number, text) in [
            (0.0, "0.0"),
            (1.0, "1.0"),
            (-2.5, "-2.5"),
            (0.0005, "0.0005"),
            (0.000_01, "1e-05"),
            (300.0, "300.0"),
            (262_144.0, "262144.0"),
            (999_999.0, "999999.0"),
            (1e6, "1e+06"),
            (1_048_576.0, "1.048576e+06"),
            (67_108_864.0, "6.7108864e+07"),
            (1e100, "1e+100"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(bound_text(number), text);
        }
    }
}
