//! Java's replacement syntax (`Matcher.appendReplacement`): `$1`, `${name}`, backslash escapes.

use super::pattern::{Groups, Pattern};

/// A text with references to the groups of its rule's pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    raw: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Group(u32),
    /// Java throws here, when the text is used.
    Bad,
}

/// A reference to a group that does not exist, or a `$` or backslash with nothing behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadReference;

impl Template {
    /// Reads a template; what is wrong in it shows when it is used, as in Java.
    pub(crate) fn new(raw: &str, pattern: Option<&Pattern>) -> Self {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut chars = raw.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some(next) => text.push(next),
                    None => parts.push(Part::Bad),
                },
                '$' => {
                    if !text.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut text)));
                    }
                    parts.push(reference(&mut chars, pattern));
                }
                c => text.push(c),
            }
        }
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Self { raw: raw.to_owned(), parts }
    }

    /// The text as written in the file.
    pub(crate) fn raw(&self) -> &str {
        &self.raw
    }

    /// The text with the groups in place.
    pub(crate) fn expand(&self, groups: Option<&Groups<'_>>) -> Result<String, BadReference> {
        let mut out = String::with_capacity(self.raw.len() + 16);
        for part in &self.parts {
            match (part, groups) {
                (Part::Text(text), _) => out.push_str(text),
                (Part::Group(group), Some(groups)) => out.push_str(groups.get(*group)),
                (Part::Group(_), None) | (Part::Bad, _) => return Err(BadReference),
            }
        }
        Ok(out)
    }
}

fn reference(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    pattern: Option<&Pattern>,
) -> Part {
    let groups = pattern.map_or(0, Pattern::groups);
    if chars.next_if_eq(&'{').is_some() {
        let mut name = String::new();
        loop {
            match chars.next() {
                Some('}') => break,
                Some(c) => name.push(c),
                None => return Part::Bad,
            }
        }
        return pattern.and_then(|p| p.group_of(&name)).map_or(Part::Bad, Part::Group);
    }
    let Some(mut group) = chars.next_if(char::is_ascii_digit).and_then(|c| c.to_digit(10)) else {
        return Part::Bad;
    };
    if group > groups {
        return Part::Bad;
    }
    // Digits belong to the number as long as such a group exists.
    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
        if group * 10 + digit > groups {
            break;
        }
        group = group * 10 + digit;
        chars.next();
    }
    Part::Group(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_follow_java() {
        let pattern = Pattern::new("(?<first>a)(b)(c)?").unwrap();
        let groups = pattern.matches("ab").unwrap().unwrap();
        for (raw, want) in [
            ("x", Ok("x")),
            ("$1$2", Ok("ab")),
            ("$10", Ok("a0")),
            ("[$3]", Ok("[]")),
            ("${first}!", Ok("a!")),
            ("$0", Ok("ab")),
            ("\\$1\\\\", Ok("$1\\")),
            ("$4", Err(BadReference)),
            ("${second}", Err(BadReference)),
            ("${first", Err(BadReference)),
            ("$", Err(BadReference)),
            ("a$b", Err(BadReference)),
            ("\\", Err(BadReference)),
        ] {
            let have = Template::new(raw, Some(&pattern)).expand(Some(&groups));
            assert_eq!(have, want.map(str::to_owned), "{raw}");
        }
    }
}
