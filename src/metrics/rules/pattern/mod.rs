//! Java's patterns as jmx_exporter uses them: `^.*(?:PATTERN).*$` must match the whole text.
//!
//! The text of a sample ends in its value. For a number the value need not be known: the machine
//! says when the answer depends on it, so that all other patterns run once, when a bean appears.

mod class;
mod machine;
mod parse;
mod program;

use std::cell::RefCell;

pub use machine::Stop;
use machine::{Input, Machine};
use parse::{Node, Parsed};
use program::Program;

/// A compiled pattern.
#[derive(Debug)]
pub(crate) struct Pattern {
    program: Program,
    groups: u32,
    names: Vec<(String, u32)>,
    /// Texts that every match contains, outside a printed number.
    literals: Vec<String>,
}

/// The groups of a match. Group 0 is the whole text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Groups<'t> {
    text: &'t str,
    groups: Vec<Option<&'t str>>,
}

thread_local! {
    static MACHINE: RefCell<Machine> = RefCell::default();
}

impl Pattern {
    /// Compiles.
    ///
    /// # Errors
    /// A sentence that goes on after the pattern, when the syntax is wrong, not supported or
    /// beyond a limit.
    pub(crate) fn new(pattern: &str) -> Result<Self, String> {
        let Parsed { node, groups, names } = parse::parse(pattern)?;
        let program = program::compile(&node, groups)?;
        let mut literals = Literals::default();
        literals.walk(&node);
        literals.cut();
        Ok(Self { program, groups, names, literals: literals.all })
    }

    /// Matches a text that is wholly known.
    pub(crate) fn matches<'t>(&self, text: &'t str) -> Result<Option<Groups<'t>>, Stop> {
        self.search(Input { text, number_follows: false })
    }

    /// Matches a text that goes on with a number; [`Stop::Depends`] when the number matters.
    pub(crate) fn matches_before_number<'t>(
        &self,
        text: &'t str,
    ) -> Result<Option<Groups<'t>>, Stop> {
        self.search(Input { text, number_follows: true })
    }

    fn search<'t>(&self, input: Input<'t>) -> Result<Option<Groups<'t>>, Stop> {
        MACHINE.with_borrow_mut(|machine| {
            Ok(machine.search(&self.program, input)?.then(|| Groups {
                text: input.text,
                groups: (1..=self.groups as usize).map(|n| machine.group(input.text, n)).collect(),
            }))
        })
    }

    /// Number of groups.
    pub(crate) fn groups(&self) -> u32 {
        self.groups
    }

    /// The number of a named group.
    pub(crate) fn group_of(&self, name: &str) -> Option<u32> {
        self.names.iter().find(|(have, _)| have == name).map(|(_, group)| *group)
    }

    /// Texts without any one of which there is no match; no two are equal.
    pub(crate) fn literals(&self) -> &[String] {
        &self.literals
    }
}

impl Groups<'_> {
    /// The text of a group; empty when it took no part.
    pub(crate) fn get(&self, group: u32) -> &str {
        match (group as usize).checked_sub(1) {
            None => self.text,
            Some(at) => self.groups.get(at).copied().flatten().unwrap_or_default(),
        }
    }

    /// Where the groups that took part begin and end in the text.
    pub(crate) fn spans(&self) -> impl Iterator<Item = (usize, usize)> {
        let text = self.text.as_ptr().addr();
        self.groups.iter().flatten().map(move |group| {
            let from = group.as_ptr().addr().saturating_sub(text);
            (from, from + group.len())
        })
    }
}

/// Finds the runs of plain characters that every match contains.
#[derive(Default)]
struct Literals {
    current: String,
    all: Vec<String>,
}

/// Shorter runs are in nearly every text.
const MIN_LITERAL: usize = 3;

impl Literals {
    fn walk(&mut self, node: &Node) {
        match node {
            Node::Set(class) => match class.single() {
                Some(c) => self.current.push(c),
                None => self.cut(),
            },
            Node::Concat(nodes) => nodes.iter().for_each(|node| self.walk(node)),
            Node::Capture(_, node) | Node::Atomic(node) => self.walk(node),
            Node::Repeat { node, min, .. } if *min > 0 => {
                self.walk(node);
                self.cut();
            }
            Node::Empty => {}
            // It takes nothing: what stands on its two sides is adjacent in the text.
            Node::Assert(_) => {}
            Node::Alternation(_) | Node::Repeat { .. } | Node::Look { .. } | Node::Back { .. } => {
                self.cut();
            }
        }
    }

    /// Ends a run. Only the part before `: ` counts, since a value may follow it, and only when
    /// it could not lie in a number.
    fn cut(&mut self) {
        let run = std::mem::take(&mut self.current);
        for part in run.split(": ") {
            // Nor must it reach over the blank before a value.
            let part = part.trim_matches([':', ' ']);
            let telling = part.len() >= MIN_LITERAL && part.chars().any(|c| !is_number_char(c));
            if telling && !self.all.iter().any(|have| have == part) {
                self.all.push(part.to_owned());
            }
        }
    }
}

fn is_number_char(c: char) -> bool {
    program::NUMBER.contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(pattern: &str, text: &str) -> Option<Vec<String>> {
        let pattern = Pattern::new(pattern).unwrap();
        let found = pattern.matches(text).unwrap()?;
        Some((1..=pattern.groups()).map(|n| found.get(n).to_owned()).collect())
    }

    /// Expected groups as `java.util.regex` (JDK 17) gives them for `^.*(?:PATTERN).*$`.
    #[test]
    fn java_semantics() {
        for (pattern, text, want) in [
            ("(\\d+)><>Value", "np=12><>Value: 1", Some(vec!["2"])),
            ("<>(.+-count|.+-max)", "<>a-count-max: 1", Some(vec!["a-count"])),
            ("(a|ab)(c|bcd)(d*)", "abcd", Some(vec!["a", "bcd", ""])),
            ("^(a*)*b", "aab", Some(vec![""])),
            ("^(a?)*?b", "ab", Some(vec!["a"])),
            ("x(?=(\\w))", "xy", Some(vec!["y"])),
            ("(?<!a)b(.)", "abcbd", Some(vec!["d"])),
            ("(?<=a{1,3})b", "aab", Some(vec![])),
            ("(\\w+)=\\1", "ab=b", Some(vec!["b"])),
            ("^(?>a|ab)c", "abc", None),
            ("^(\\w++)c", "abc", None),
            ("^((?i)AbC)d", "abcd", Some(vec!["abc"])),
            ("^((?i)AbC)D", "abcd", None),
            ("\\Qa.b\\E+", "a.bbb", Some(vec![])),
            ("[a-c&&[^b]]$", "b", None),
            ("[]a]$", "]", Some(vec![])),
            ("[\\w-]+$", "a-b", Some(vec![])),
            ("^.{2,3}?(.)$", "abc", Some(vec!["c"])),
            ("a\\.b\\x41\\u0042\\0101", "a.bABA", Some(vec![])),
            ("(?x) a b # c\n c", "abc", Some(vec![])),
            ("(?<n>a)\\k<n>", "aa", Some(vec!["a"])),
            ("a\nb", "a\nb", Some(vec![])),
            ("a", "a\nb", None),
            ("\\bfoo\\b", "a foo b", Some(vec![])),
            ("", "anything", Some(vec![])),
        ] {
            let have = groups(pattern, text);
            let want = want.map(|list| list.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(have, want, "{pattern} on {text}");
        }
    }

    #[test]
    fn what_java_refuses_is_refused() {
        for pattern in [
            "(",
            ")",
            "a)",
            "[a",
            "*a",
            "a**",
            "{1}",
            "a{2,1}",
            "(?<1a>x)",
            "(?<a>x)(?<a>y)",
            "\\",
            "\\y",
            "(?<=a*)b",
            "\\k<x>",
            "[b-a]",
            "(?q)a",
            "\\p{Nope}",
            "\\xZ",
            "a{99999}",
        ] {
            assert!(Pattern::new(pattern).is_err(), "{pattern}");
        }
        assert!(Pattern::new(&"(".repeat(5000)).is_err());
        assert!(Pattern::new("((a{1000}){1000}){1000}").is_err());
    }

    #[test]
    fn what_would_take_long_to_compile_is_refused_or_does_not() {
        let nothing = format!("{}(?:){}", "(?:".repeat(9), "{1000})".repeat(9));
        assert!(Pattern::new(&nothing).is_err());
        assert!(Pattern::new(&"\\p{L}".repeat(1000)).is_ok());
        assert!(Pattern::new(&format!("(?iu){}", "\\W".repeat(300))).is_ok());
        let letters: String = ('a'..='z').cycle().take(15_000).collect();
        assert!(Pattern::new(&format!("[{letters}]")).is_ok());
    }

    #[test]
    fn a_catastrophic_pattern_stops() {
        let pattern = Pattern::new("^(a+)+$").unwrap();
        let text = format!("{}b", "a".repeat(60));
        assert_eq!(pattern.matches(&text), Err(Stop::Steps));
    }

    #[test]
    fn numbers_that_do_not_matter_need_not_be_known() {
        let text = "kafka.server<type=A, name=B><>Count: ";
        for (pattern, want) in [
            ("kafka.server<type=(.+), name=(.+)><>Count", Ok(true)),
            ("(.+)<type=(.+)><>Count", Ok(true)),
            (".*", Ok(true)),
            ("", Ok(true)),
            ("><>(\\w+)", Ok(true)),
            ("><>(.+)Rate", Ok(false)),
            ("Count$", Ok(false)),
            ("Count: 1", Err(Stop::Depends)),
            ("Count: (\\d+)$", Err(Stop::Depends)),
            ("(\\d+)", Err(Stop::Depends)),
            ("><>(.+)", Err(Stop::Depends)),
            ("(.+)-total", Ok(false)),
            ("Count(?!: 0)", Err(Stop::Depends)),
            ("^kafka\\.(\\w+)<", Ok(true)),
            ("<>(.*?):", Ok(true)),
            ("Count: true", Ok(false)),
        ] {
            let have = Pattern::new(pattern).unwrap();
            let have = have.matches_before_number(text).map(|groups| groups.is_some());
            assert_eq!(have, want, "{pattern}");
        }
    }

    proptest::proptest! {
        /// An answer given before the number is known holds for every number.
        #[test]
        fn early_answers_are_right(
            pattern in "(kafka|[.]|k|<|>|:| |type|Count|[.][*]|[.][+]|\\\\w[+]|\\\\d|[(]|[)]|[|]|[$]|\\^|1|-|\\[\\^,\\]|[?]){0,7}",
            number in "(-?[0-9]{1,3}\\.[0-9]|NaN|Infinity|[0-9]{1,4}|1\\.0E7)",
        ) {
            let Ok(pattern) = Pattern::new(&pattern) else { return Ok(()) };
            let text = "kafka.server<type=A><>Count: ";
            if let Ok(early) = pattern.matches_before_number(text) {
                let whole = format!("{text}{number}");
                let late = pattern.matches(&whole).unwrap();
                let list = |groups: &Groups<'_>| (1..=pattern.groups())
                    .map(|n| groups.get(n).to_owned()).collect::<Vec<_>>();
                proptest::prop_assert_eq!(early.as_ref().map(list), late.as_ref().map(list));
                for literal in pattern.literals() {
                    proptest::prop_assert!(late.is_none() || text.contains(literal.as_str()));
                }
            }
        }
    }
}
