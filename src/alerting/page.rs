//! Reads the samples of a text page, one line each.

use std::borrow::Cow;

/// A sample as it stands on its line.
#[derive(Debug, PartialEq)]
pub(crate) struct Line<'a> {
    pub(crate) name: &'a str,
    /// Between the braces.
    labels: &'a str,
    pub(crate) value: f64,
}

/// The samples of the names that `wanted` knows.
pub(crate) fn samples<'a>(
    page: &'a str,
    wanted: impl Fn(&str) -> bool,
) -> impl Iterator<Item = Line<'a>> {
    page.lines().filter_map(move |line| {
        let end = line.find(['{', ' '])?;
        let (name, rest) = line.split_at_checked(end)?;
        if name == "#" || !wanted(name) {
            return None;
        }
        let (labels, number) = match rest.strip_prefix('{') {
            Some(rest) => rest.split_at_checked(closing(rest)?)?,
            None => ("", rest),
        };
        let number = number.strip_prefix('}').unwrap_or(number);
        let value = parse(number.split_ascii_whitespace().next()?)?;
        Some(Line { name, labels, value })
    })
}

impl Line<'_> {
    /// Names and values.
    pub(crate) fn labels(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        let mut rest = self.labels;
        std::iter::from_fn(move || {
            let (name, behind) = rest.split_once("=\"")?;
            let end = end_of_value(behind)?;
            let (value, after) = behind.split_at_checked(end)?;
            rest = after.strip_prefix('"')?;
            rest = rest.strip_prefix(',').unwrap_or(rest);
            Some((name, plain(value)))
        })
    }
}

/// Where the brace stands that ends the labels.
fn closing(text: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = text.get(at..)?;
        let next = rest.find(['"', '}'])?;
        if rest.as_bytes().get(next) == Some(&b'}') {
            return Some(at + next);
        }
        let inside = at + next + 1;
        at = inside + end_of_value(text.get(inside..)?)? + 1;
    }
}

/// Where the quote stands that ends the value of a label; `text` begins behind the one that opens it.
pub fn end_of_value(text: &str) -> Option<usize> {
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
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some(escaped) => out.push(escaped),
                None => {}
            },
            c => out.push(c),
        }
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
    fn lines_are_read_whatever_stands_in_values() {
        let page = "# HELP a x\n# TYPE a gauge\na 1\na{b=\"}\\\"{ ,\\\\\",c=\"x\\ny\"} 2.5\nb{} +Inf\na{broken\na x\n";
        let found: Vec<_> = samples(page, |name| name == "a" || name == "b")
            .map(|line| {
                let labels: Vec<_> =
                    line.labels().map(|(name, value)| format!("{name}={value}")).collect();
                (line.name.to_owned(), labels, line.value)
            })
            .collect();
        assert_eq!(
            found,
            [
                ("a".to_owned(), vec![], 1.0),
                ("a".to_owned(), vec!["b=}\"{ ,\\".to_owned(), "c=x\ny".to_owned()], 2.5),
                ("b".to_owned(), vec![], f64::INFINITY),
            ]
        );
        assert_eq!(samples(page, |name| name == "none").count(), 0);
    }

    proptest::proptest! {
        /// Pages are ours, but a value is a client's.
        #[test]
        fn nothing_panics(text in "[a-c{}\"\\\\=, \n0-9ü]{0,60}") {
            for line in samples(&text, |_| true) {
                let _ = line.labels().count();
            }
        }
    }
}
