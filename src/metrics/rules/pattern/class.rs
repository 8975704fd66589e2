//! Sets of characters.

use std::sync::LazyLock;

/// Characters with the ones that are their other case.
static CASES: LazyLock<Vec<(char, char)>> = LazyLock::new(|| {
    let others = |c: char| c.to_lowercase().chain(c.to_uppercase()).map(move |other| (c, other));
    let all = (0..=LAST).filter_map(char::from_u32);
    all.flat_map(others).filter(|(c, other)| c != other).collect()
});

/// A set of code points as sorted, disjoint ranges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Class {
    ranges: Vec<(u32, u32)>,
    ascii: u128,
}

const LAST: u32 = 0x10_FFFF;

impl Class {
    pub(super) fn new(mut ranges: Vec<(u32, u32)>) -> Self {
        ranges.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (low, high) in ranges {
            match merged.last_mut() {
                Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
                _ => merged.push((low, high)),
            }
        }
        let mut ascii = 0_u128;
        for code in 0..128_u32 {
            if contains(&merged, code) {
                ascii |= 1 << code;
            }
        }
        Self { ranges: merged, ascii }
    }

    pub(super) fn empty() -> Self {
        Self::new(Vec::new())
    }

    pub(super) fn of(chars: &str) -> Self {
        Self::new(chars.chars().map(|c| (c as u32, c as u32)).collect())
    }

    /// Its ranges, in order.
    pub(super) fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges
    }

    pub(super) fn has(&self, c: char) -> bool {
        let code = c as u32;
        if code < 128 { self.ascii >> code & 1 == 1 } else { contains(&self.ranges, code) }
    }

    /// The only character of the set.
    pub(super) fn single(&self) -> Option<char> {
        match self.ranges.as_slice() {
            [(low, high)] if low == high => char::from_u32(*low),
            _ => None,
        }
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        !self.and(other).ranges.is_empty()
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        let mut both = Vec::new();
        for &(a, b) in &self.ranges {
            for &(c, d) in &other.ranges {
                if a.max(c) <= b.min(d) {
                    both.push((a.max(c), b.min(d)));
                }
            }
        }
        Self::new(both)
    }

    pub(super) fn not(&self) -> Self {
        let mut rest = Vec::with_capacity(self.ranges.len() + 1);
        let mut next = 0;
        for &(low, high) in &self.ranges {
            if low > next {
                rest.push((next, low - 1));
            }
            next = high + 1;
        }
        if next <= LAST {
            rest.push((next, LAST));
        }
        Self::new(rest)
    }

    /// With both cases of every letter; ASCII only unless `unicode`.
    pub(super) fn fold(&self, unicode: bool) -> Self {
        let cased = CASES
            .iter()
            .filter(|(c, other)| self.has(*c) && (unicode || (c.is_ascii() && other.is_ascii())));
        let more = cased.map(|(_, other)| (*other as u32, *other as u32));
        Self::new(self.ranges.iter().copied().chain(more).collect())
    }

    /// All characters that satisfy `keep`.
    fn all(keep: impl Fn(char) -> bool) -> Self {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for c in (0..=LAST).filter_map(char::from_u32).filter(|c| keep(*c)) {
            match ranges.last_mut() {
                Some(last) if last.1 + 1 == c as u32 => last.1 = c as u32,
                _ => ranges.push((c as u32, c as u32)),
            }
        }
        Self::new(ranges)
    }

    /// `\d`, `\w`, `\s`, `\h`, `\v` and their negations: ASCII, as in Java.
    pub(super) fn escape(letter: char) -> Option<Self> {
        let class = match letter.to_ascii_lowercase() {
            'd' => Self::new(vec![(48, 57)]),
            'w' => Self::new(vec![(48, 57), (65, 90), (95, 95), (97, 122)]),
            's' => Self::new(vec![(9, 13), (32, 32)]),
            'h' => Self::new(vec![
                (9, 9),
                (32, 32),
                (0xA0, 0xA0),
                (0x1680, 0x1680),
                (0x180E, 0x180E),
                (0x2000, 0x200A),
                (0x202F, 0x202F),
                (0x205F, 0x205F),
                (0x3000, 0x3000),
            ]),
            'v' => Self::new(vec![(10, 13), (0x85, 0x85), (0x2028, 0x2029)]),
            _ => return None,
        };
        Some(if letter.is_ascii_uppercase() { class.not() } else { class })
    }

    /// What `\p{NAME}` stands for: POSIX names in ASCII, a few Unicode categories.
    pub(super) fn property(name: &str) -> Option<Self> {
        let ascii = |keep: fn(&char) -> bool| {
            Self::new(
                (0..128)
                    .filter_map(char::from_u32)
                    .filter(keep)
                    .map(|c| (c as u32, c as u32))
                    .collect(),
            )
        };
        Some(match name {
            "Lower" => ascii(char::is_ascii_lowercase),
            "Upper" => ascii(char::is_ascii_uppercase),
            "ASCII" => ascii(|_| true),
            "Alpha" => ascii(char::is_ascii_alphabetic),
            "Digit" => ascii(char::is_ascii_digit),
            "Alnum" => ascii(char::is_ascii_alphanumeric),
            "Punct" => ascii(char::is_ascii_punctuation),
            "Graph" => ascii(char::is_ascii_graphic),
            "Print" => ascii(|c| c.is_ascii_graphic() || *c == ' '),
            "Blank" => Self::of(" \t"),
            "Cntrl" => ascii(char::is_ascii_control),
            "XDigit" => ascii(char::is_ascii_hexdigit),
            "Space" => return Self::escape('s'),
            "L" | "IsL" | "IsAlphabetic" | "javaLetter" | "IsLetter" => {
                Self::all(char::is_alphabetic)
            }
            "Lu" | "IsLu" | "IsUppercase" | "javaUpperCase" => Self::all(char::is_uppercase),
            "Ll" | "IsLl" | "IsLowercase" | "javaLowerCase" => Self::all(char::is_lowercase),
            "N" | "IsN" | "Nd" | "IsNd" | "IsDigit" | "javaDigit" => Self::all(char::is_numeric),
            "IsWhite_Space" | "IsWhiteSpace" | "javaWhitespace" => Self::all(char::is_whitespace),
            _ => return None,
        })
    }
}

fn contains(ranges: &[(u32, u32)], code: u32) -> bool {
    let at = ranges.partition_point(|range| range.1 < code);
    ranges.get(at).is_some_and(|range| range.0 <= code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_combine() {
        let letters = Class::new(vec![(97, 122)]);
        let some = letters.and(&Class::of("x").not());
        assert!(some.has('a') && !some.has('x') && !some.has('A'));
        assert!(some.fold(false).has('A') && !some.fold(false).has('X'));
        assert!(some.not().has('x') && some.not().has('\u{10FFFF}'));
        assert!(!Class::empty().overlaps(&letters) && some.overlaps(&letters));
    }
}
