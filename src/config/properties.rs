//! Reads Java's `.properties` syntax (`java.util.Properties.load`): `=`, `:` or a blank ends the
//! key, a backslash at the end of a line continues it, `\uXXXX`, `\t`, `\n`, `\r`, `\f` escape.

/// One key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// The key, escapes resolved.
    pub key: String,
    /// The value, escapes resolved; empty when the line has none.
    pub value: String,
    /// The line on which it begins, from 1.
    pub line: usize,
}

/// The text of a properties file: UTF-8 if it is, else ISO 8859-1 as Java takes it.
pub fn decode(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// The properties of a text, in order, repeated keys included. Every text is lawful; an unfinished
/// `\u` escape stands for its own characters.
pub fn parse(text: &str) -> Vec<Property> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines =
        text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).enumerate();
    let mut found = Vec::new();
    while let Some((index, line)) = lines.next() {
        let start = trim(line);
        if start.is_empty() || start.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = start.to_owned();
        while continues(&logical) {
            logical.pop();
            match lines.next() {
                Some((_, next)) => logical.push_str(trim(next)),
                None => break,
            }
        }
        let (key, value) = split(&logical);
        found.push(Property { key: unescape(key), value: unescape(value), line: index + 1 });
    }
    found
}

const BLANKS: [char; 3] = [' ', '\t', '\u{c}'];

fn trim(line: &str) -> &str {
    line.trim_start_matches(BLANKS)
}

/// An odd number of backslashes at the end.
fn continues(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    for (index, char) in line.char_indices() {
        let ends = !escaped && (char == '=' || char == ':' || BLANKS.contains(&char));
        if ends {
            let (key, rest) = line.split_at(index);
            let rest = trim(rest);
            return (key, trim(rest.strip_prefix(['=', ':']).unwrap_or(rest)));
        }
        escaped = char == '\\' && !escaped;
    }
    (line, "")
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            out.push(char);
            continue;
        }
        match chars.next() {
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\u{c}'),
            Some('u') => {
                let code =
                    chars.as_str().get(..4).and_then(|hex| u32::from_str_radix(hex, 16).ok());
                match code.and_then(char::from_u32) {
                    Some(unescaped) => {
                        out.push(unescaped);
                        chars.by_ref().take(4).for_each(drop);
                    }
                    None => out.push('u'),
                }
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn properties_are_read_as_java_reads_them() {
        // Expected pairs are those of java.util.Properties.
        let check = |text: &str, expected: &[(&str, &str)]| {
            let found = parse(text);
            let found: Vec<_> = found.iter().map(|p| (p.key.as_str(), p.value.as_str())).collect();
            assert_eq!(found, expected, "{text:?}");
        };
        check("a=1\nb:2\nc 3\nd", &[("a", "1"), ("b", "2"), ("c", "3"), ("d", "")]);
        check("  a  =  1  ", &[("a", "1  ")]);
        check("# no\n! no\n\n   # no\na==b", &[("a", "=b")]);
        check("a = x\\\n   y\\\r\n  z\r\nb=1", &[("a", "xyz"), ("b", "1")]);
        check("a = x\\\\\nb=1", &[("a", "x\\"), ("b", "1")]);
        check("a\\=b\\ c=d\\te\\u0041\\q", &[("a=b c", "d\teAq")]);
        check("a=\\u12", &[("a", "u12")]);
        check("a=x\\", &[("a", "x")]);
        check("\u{feff}a=1", &[("a", "1")]);
        check("a=1\na=2", &[("a", "1"), ("a", "2")]);
        check("listeners=PLAINTEXT://:9092", &[("listeners", "PLAINTEXT://:9092")]);
    }

    #[test]
    fn lines_are_counted_from_one() {
        let lines: Vec<_> = parse("#\na=1\\\n2\nb=3").iter().map(|p| p.line).collect();
        assert_eq!(lines, [2, 4]);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_latin1() {
        assert_eq!(decode(b"a=\xe9"), "a=é");
        assert_eq!(decode("a=é".as_bytes()), "a=é");
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in "[\\\\ua0=:#! \t\r\né-]{0,40}") {
            parse(&text);
        }
    }
}
