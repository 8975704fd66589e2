//! Transcripts of Kafka's tools (`tests/golden/cli/README.md`): what was typed, and what came back.

use std::fs;

use crate::tidy::root;

/// One line of a transcript with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A file for the tools to read.
    File { name: String, lines: Vec<String> },
    /// A tool that goes on in the background.
    Background(String),
    /// The end of all tools in the background.
    Stop,
    /// A tool that is waited for.
    Call(Call),
}

/// A call of a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// The tool's bare name and its arguments.
    pub line: String,
    /// What it reads.
    pub stdin: String,
    /// Exit code of Kafka's tool.
    pub code: i32,
    /// What Kafka's tool wrote.
    pub out: Vec<String>,
    pub err: Vec<String>,
    /// Kafka prints the lines in the order of a hash map.
    pub any_order: bool,
    /// Numbers differ from run to run.
    pub numbers: bool,
    /// The words of a line come in the order of a hash map.
    pub any_words: bool,
    /// Only the first word of each line is compared: the rest differs between brokers.
    pub first_words: bool,
    /// The area comes later: one sentence says so.
    pub later: bool,
    /// Ours ends with 1 where Kafka tells of a failure and ends with 0.
    pub fails_here: bool,
    /// Called again until the output has all of these and none of those.
    pub until: Vec<String>,
    pub until_not: Vec<String>,
    /// Where ours differs by intention: its own lines, each with the stream's number in front.
    pub ours: Option<Vec<String>>,
}

/// Reads a transcript.
pub fn read(name: &str) -> Vec<Step> {
    let path = root().join("tests/golden/cli").join(name);
    let text = fs::read_to_string(&path).unwrap();
    let mut steps = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        match kind {
            "file" => {
                let mut words = rest.split(' ').map(str::to_owned);
                steps.push(Step::File { name: words.next().unwrap(), lines: words.collect() });
            }
            "&" => steps.push(Step::Background(rest.to_owned())),
            "stop" => steps.push(Step::Stop),
            "$" => steps.push(Step::Call(Call { line: rest.to_owned(), ..Call::default() })),
            _ => match steps.last_mut() {
                Some(Step::Call(call)) => call.add(kind, rest),
                _ => panic!("{name}: {line} belongs to no call"),
            },
        }
    }
    steps
}

impl Call {
    fn add(&mut self, kind: &str, rest: &str) {
        match kind {
            "<" => self.stdin.push_str(&format!("{rest}\n")),
            "=" => self.code = rest.parse().unwrap(),
            "1" => self.out.push(rest.to_owned()),
            "2" => self.err.push(rest.to_owned()),
            "+" => self.ours.get_or_insert_default().push(rest.to_owned()),
            "~" => match rest.split_once(' ').unwrap_or((rest, "")) {
                ("any-order", "") => self.any_order = true,
                ("numbers", "") => self.numbers = true,
                ("any-words", "") => self.any_words = true,
                ("first-words", "") => self.first_words = true,
                ("later", "") => self.later = true,
                ("fails-here", "") => self.fails_here = true,
                ("until", text) => self.until.push(text.to_owned()),
                ("until-not", text) => self.until_not.push(text.to_owned()),
                ("ours", why) => {
                    assert!(!why.is_empty(), "{}: say why it differs", self.line);
                    self.ours.get_or_insert_default();
                }
                _ => panic!("{}: {rest} is no rule", self.line),
            },
            _ => panic!("{}: {kind} is no mark", self.line),
        }
    }
}

/// Words as a shell splits them: at blanks, but not within single quotes.
pub fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[test]
fn words_are_split_as_by_a_shell() {
    assert_eq!(words("a 'b|c d' '' e=f"), ["a", "b|c d", "", "e=f"]);
}
