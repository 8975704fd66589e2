//! Reads labels and numbers as a text page shows them.

use std::borrow::Cow;

/// Names and values of what stands between the braces of a line.
pub(crate) fn labels(written: &str) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    let mut rest = written;
    std::iter::from_fn(move || {
        let (name, behind) = rest.split_once("=\"")?;
        let end = end_of_value(behind)?;
        let (value, after) = behind.split_at_checked(end)?;
        rest = after.strip_prefix('"')?;
        rest = rest.strip_prefix(',').unwrap_or(rest);
        Some((name, plain(value)))
    })
}

/// Where the quote stands that ends the value of a label; `text` begins behind the one that opens it.
pub fn end_of_value(text: &str) -> Option<usize> {
    let first = text.find('"')?;
    if !text.get(..first)?.contains('\\') {
        return Some(first);
    }
    let mut escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

fn plain(written: &str) -> Cow<'_, str> {
    if !written.contains('\\') {
        return Cow::Borrowed(written);
    }
    let mut out = String::with_capacity(written.len());
    let mut chars = written.chars();
    while let Some(c) = chars.next() {
        out.push(match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => '\n',
            ('\\', Some(escaped)) => escaped,
            _ => c,
        });
    }
    Cow::Owned(out)
}

/// A number as Prometheus writes it.
pub(crate) fn parse(text: &str) -> Option<f64> {
    match text {
        "+Inf" | "Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_whatever_stands_in_values() {
        let read = |written| -> Vec<String> {
            labels(written).map(|(name, value)| format!("{name}={value}")).collect()
        };
        assert_eq!(read(""), [""; 0]);
        assert_eq!(read("b=\"}\\\"{ ,\\\\\",c=\"x\\ny\",d=\"\""), ["b=}\"{ ,\\", "c=x\ny", "d="]);
        assert_eq!(read("a=\"1\",b=\"broken"), ["a=1"]);
    }

    proptest::proptest! {
        /// Pages are ours, but a value is a client's.
        #[test]
        fn nothing_panics(text in "[a-c\"\\\\=, \n0-9ü]{0,60}") {
            let _ = labels(&text).count();
        }
    }
}
