//! The labels of a series.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// What stands behind each name and each value. No page holds it.
const END: char = '\0';

/// Names and values in the order of names, without the name of the series. Cloning shares them.
///
/// They are one text, since a node remembers some for each of its partitions.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels(Arc<str>);

impl Default for Labels {
    fn default() -> Self {
        Self(Arc::from(""))
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Borrow<str> for Labels {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Labels {
    /// Labels in any order; one with an empty value is as one that is not there, and of one name the
    /// first counts.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut text = String::new();
        write(&mut pairs.into_iter().collect::<Vec<_>>(), &mut text);
        Self::of_text(&text)
    }

    /// Those of a text that [`write`] wrote.
    pub(crate) fn of_text(text: &str) -> Self {
        Self(Arc::from(text))
    }

    /// The text that they are.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// The value of a label; empty when there is none.
    pub fn get(&self, name: &str) -> &str {
        self.iter().find(|(have, _)| *have == name).map_or("", |(_, value)| value)
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        pairs(&self.0)
    }

    /// Whether anyone else has them.
    pub(crate) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// Writes those that `keep` wants to `out`, in place of what is there.
    pub(crate) fn write_only(&self, keep: impl Fn(&str) -> bool, out: &mut String) {
        out.clear();
        for (name, value) in self.iter().filter(|(name, _)| keep(name)) {
            push(name, value, out);
        }
    }

    /// Those that `keep` wants.
    pub(crate) fn only(&self, keep: impl Fn(&str) -> bool) -> Self {
        let mut text = String::with_capacity(self.0.len());
        self.write_only(keep, &mut text);
        if text.len() == self.0.len() { self.clone() } else { Self::of_text(&text) }
    }

    /// With others in place of those of the same names.
    pub(crate) fn with<N, V>(&self, others: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Borrow<str>,
        V: Borrow<str>,
    {
        let others: Vec<_> = others.into_iter().collect();
        let others = others.iter().rev().map(|(name, value)| (name.borrow(), value.borrow()));
        Self::new(others.chain(self.iter()))
    }
}

/// Names and values of the text of labels.
pub(crate) fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (name, behind) = rest.split_once(END)?;
        let (value, behind) = behind.split_once(END)?;
        rest = behind;
        Some((name, value))
    })
}

/// Writes labels in any order as the text that [`Labels`] is, in place of what is there.
pub(crate) fn write(pairs: &mut [(&str, &str)], out: &mut String) {
    out.clear();
    // Of one name the first stays first.
    pairs.sort_by(|a, b| a.0.cmp(b.0));
    let mut before = None;
    for (name, value) in pairs.iter() {
        if before != Some(name) && !value.is_empty() {
            push(name, value, out);
        }
        before = Some(name);
    }
}

fn push(name: &str, value: &str, out: &mut String) {
    for text in [name, value] {
        match text.contains(END) {
            false => out.push_str(text),
            true => out.push_str(&text.replace(END, "\u{FFFD}")),
        }
        out.push(END);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_in_order_and_each_name_is_there_once() {
        let labels = Labels::new([("b", "2"), ("a", "1"), ("none", ""), ("b", "3")]);
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
        assert_eq!((labels.get("b"), labels.get("c")), ("2", ""));
        let with = labels.with([("a", ""), ("c", "4"), ("c", "5")]);
        assert_eq!(with.iter().collect::<Vec<_>>(), [("b", "2"), ("c", "5")]);
        assert_eq!(with.only(|name| name == "c"), Labels::new([("c", "5")]));
        assert_eq!(Labels::new([("a", "x\0y")]).get("a"), "x\u{FFFD}y");
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_lost(
            map in proptest::collection::btree_map("[a-c]{1,2}", "[^\0]{1,5}", 0..5),
        ) {
            let labels = Labels::new(map.iter().rev().map(|(name, value)| (&**name, &**value)));
            let back: Vec<_> = labels.iter().collect();
            let given: Vec<_> = map.iter().map(|(name, value)| (&**name, &**value)).collect();
            proptest::prop_assert_eq!(back, given);
        }
    }
}
