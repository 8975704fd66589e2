//! The labels of a series as they stand on a page: `a="x",b="y"`, values escaped and cut.
//!
//! This one text is all that a series keeps of them; who needs a name or a value finds it there.

use std::borrow::Cow;

use super::text::push_label_value;
use crate::rules::utf16;

/// What stands in a sort key where a list ends, what an item begins with, and what it ends with. No
/// byte of an item is below [`ESCAPE`] but behind one.
const END_OF_LIST: u8 = 0;
const ITEM: u8 = 1;
const END_OF_ITEM: u8 = 0;
const ESCAPE: u8 = 1;

/// Names and values in their order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Labels(Box<str>);

impl Labels {
    /// Labels in the order in which they come.
    pub(crate) fn in_order<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut out = Vec::new();
        for (name, value) in labels {
            if !out.is_empty() {
                out.push(b',');
            }
            push_label(&mut out, name, value);
        }
        Self(String::from_utf8_lossy(&out).into())
    }

    /// Labels in the order of their names, as Java compares them.
    pub(crate) fn sorted<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut labels: Vec<_> = labels.collect();
        labels.sort_by(|(a, _), (b, _)| utf16(a, b));
        Self::in_order(labels.into_iter())
    }

    /// The same with one more, in the order of names.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut own = Vec::new();
        push_label_value(&mut own, value);
        let own = String::from_utf8_lossy(&own);
        let mut all: Vec<_> = self.pairs().chain([(name, &*own)]).collect();
        all.sort_by(|(a, _), (b, _)| utf16(a, b));
        let written: Vec<_> =
            all.into_iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        Self(written.join(",").into_boxed_str())
    }

    /// True without any.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is one of that name.
    pub(crate) fn holds(&self, name: &str) -> bool {
        self.pairs().any(|(have, _)| have == name)
    }

    /// The text between the braces.
    pub(crate) fn as_written(&self) -> &str {
        &self.0
    }

    /// What orders them: as bytes, by the list of names, then by the list of values; a shorter list
    /// first, and each text as Java compares it.
    pub(crate) fn sort_key(&self) -> Box<[u8]> {
        let mut key = Vec::with_capacity(2 * self.0.len());
        self.pairs().for_each(|(name, _)| push_key(&mut key, name));
        key.push(END_OF_LIST);
        self.pairs().for_each(|(_, value)| push_key(&mut key, &plain(value)));
        key.push(END_OF_LIST);
        key.into_boxed_slice()
    }

    /// Names and values, without what writing added.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        self.pairs().map(|(name, written)| (name, plain(written)))
    }

    /// Names, and values as written.
    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            // No name holds the sign.
            let (name, behind) = rest.split_at_checked(rest.bytes().position(|it| it == b'=')?)?;
            let behind = behind.get(2..)?;
            let end = end_of_value(behind);
            rest = behind.get(end + 1..).unwrap_or_default();
            rest = rest.strip_prefix(',').unwrap_or(rest);
            Some((name, behind.get(..end).unwrap_or_default()))
        })
    }
}

/// Appends `name="value"`, escaped and cut.
pub(super) fn push_label(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    push_label_value(out, value);
    out.push(b'"');
}

/// Where the quote stands that ends a written value.
fn end_of_value(text: &str) -> usize {
    let quote = text.find('"').unwrap_or(text.len());
    if !text.get(..quote).is_some_and(|before| before.contains('\\')) {
        return quote;
    }
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at,
            _ => {}
        }
    }
    text.len()
}

/// Appends an item to a sort key, in the order of its UTF-16 code units: what lies beyond the basic
/// plane is written as two surrogates of three bytes each, which stand below U+E000.
fn push_key(key: &mut Vec<u8>, item: &str) {
    key.push(ITEM);
    if item.bytes().all(|byte| byte > ESCAPE && byte < 0xf0) {
        key.extend_from_slice(item.as_bytes());
    } else {
        for unit in item.encode_utf16() {
            match unit {
                0 | 1 => key.extend([ESCAPE, ESCAPE + unit as u8]),
                2..=0x7f => key.push(unit as u8),
                0x80..=0x7ff => key.extend([0xc0 | (unit >> 6) as u8, continuation(unit)]),
                _ => key.extend([
                    0xe0 | (unit >> 12) as u8,
                    continuation(unit >> 6),
                    continuation(unit),
                ]),
            }
        }
    }
    key.push(END_OF_ITEM);
}

fn continuation(bits: u16) -> u8 {
    0x80 | (bits & 0x3f) as u8
}

/// A value without its escapes.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Names and values come back from the text, and it orders as they do.
        #[test]
        fn nothing_is_lost_in_writing(
            a in prop::collection::btree_map("[a-c_]{1,3}", "\\PC{0,3}|[\\\\\"\n ,={}!]{0,4}|[\u{1}a\u{2}\u{d7ff}\u{e000}\u{ffff}\u{10000}]{0,3}", 0..4),
            b in prop::collection::btree_map("[a-c_]{1,3}", "\\PC{0,3}|[\\\\\"\n ,={}!]{0,4}|[\u{1}a\u{2}\u{d7ff}\u{e000}\u{ffff}\u{10000}]{0,3}", 0..4),
        ) {
            let labels = |map: &std::collections::BTreeMap<String, String>| {
                Labels::sorted(map.iter().map(|(name, value)| (&**name, &**value)))
            };
            let (x, y) = (labels(&a), labels(&b));
            let back: Vec<_> =
                x.values().map(|(name, value)| (name.to_owned(), value.into_owned())).collect();
            prop_assert_eq!(back, a.clone().into_iter().collect::<Vec<_>>());
            let names = |map: &std::collections::BTreeMap<String, String>| {
                map.keys().cloned().collect::<Vec<_>>()
            };
            let values = |map: &std::collections::BTreeMap<String, String>| {
                map.values().map(|it| it.encode_utf16().collect::<Vec<_>>()).collect::<Vec<_>>()
            };
            let expected = names(&a).cmp(&names(&b)).then(values(&a).cmp(&values(&b)));
            prop_assert_eq!(x.sort_key().cmp(&y.sort_key()), expected);
            prop_assert_eq!(x == y, a == b);
        }
    }

    #[test]
    fn one_more_label_takes_its_place() {
        let labels = Labels::sorted([("topic", "a\"b"), ("Z", "1")].into_iter());
        assert_eq!(labels.as_written(), "Z=\"1\",topic=\"a\\\"b\"");
        let more = labels.with("_objectname", "d:x=\"y\"");
        assert_eq!(more.as_written(), "Z=\"1\",_objectname=\"d:x=\\\"y\\\"\",topic=\"a\\\"b\"");
        assert!(more.holds("_objectname") && !labels.holds("_objectname"));
    }
}
