//! JMX object name patterns.

use crate::object_name::{ObjectName, split_properties};

/// A JMX object name pattern: `*` and `?` in the domain and in property values, further
/// properties only with a final `,*`, order of properties without meaning.
#[derive(Debug, Clone)]
pub(crate) struct NamePattern {
    domain: String,
    properties: Vec<(String, String)>,
    open: bool,
}

impl NamePattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// A sentence that goes on after the pattern.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text == "*" || text.is_empty() {
            return Ok(Self { domain: "*".into(), properties: Vec::new(), open: true });
        }
        let (domain, list) = text.split_once(':').ok_or("has no domain")?;
        let domain = if domain.is_empty() { "*" } else { domain };
        let mut pattern = Self { domain: domain.into(), properties: Vec::new(), open: false };
        if list.is_empty() {
            return Err("has no properties");
        }
        for property in split_properties(list)? {
            if property == "*" {
                if pattern.open {
                    return Err("has two '*' in place of properties");
                }
                pattern.open = true;
                continue;
            }
            let (key, value) = property.split_once('=').ok_or("has a property without '='")?;
            if key.is_empty() || pattern.properties.iter().any(|(have, _)| have == key) {
                return Err("has an empty or repeated key");
            }
            pattern.properties.push((key.into(), value.into()));
        }
        Ok(pattern)
    }

    pub(crate) fn matches(&self, name: &ObjectName) -> bool {
        wildcard(&self.domain, name.domain())
            && self.properties.iter().all(|(key, pattern)| {
                name.property(key).is_some_and(|value| wildcard(pattern, value))
            })
            && (self.open || name.properties().count() == self.properties.len())
    }
}

/// `*` stands for any text, `?` for one character; nothing escapes them but a backslash inside
/// quotes, which stands before the same character in the name.
fn wildcard(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(c) if *c == '?' || Some(c) == text.get(t) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((after, from)) => {
                    p = after;
                    t = from + 1;
                    star = Some((after, t));
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_select_as_jmx_does() {
        let name = ObjectName::parse("kafka.server:type=A,name=Bytes,topic=\"a/b\"").unwrap();
        for (pattern, want) in [
            ("kafka*:*", true),
            ("kafka.server:*", true),
            ("*:type=A,*", true),
            ("kafka.?erver:name=B*,type=A,*", true),
            ("kafka.server:name=Bytes,topic=\"a*\",type=A", true),
            ("kafka.server:type=A", false),
            ("kafka.server:type=A,name=Bytes", false),
            ("kafka:*", false),
            ("*:*", true),
            (":type=?,*", true),
        ] {
            assert_eq!(NamePattern::parse(pattern).unwrap().matches(&name), want, "{pattern}");
        }
        for bad in ["x", "x:", "x:y", "x:a=1,a=2", "x:*,*"] {
            assert!(NamePattern::parse(bad).is_err(), "{bad}");
        }
    }
}
