//! Runs tools in tests, against scripted brokers and captured output of Kafka's.

use std::io::Cursor;

use crate::io::Io;

/// What a tool did.
#[derive(Debug, PartialEq, Eq)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs `line` (split at blanks) with `input` on a thread of its own, so that the tool may start a
/// runtime while the test has one.
pub fn run(line: &str, input: &str) -> Ran {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let input = input.to_owned();
    let tool = std::thread::spawn(move || {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let (name, args) = words.split_first().unwrap();
        let mut io = Io {
            out: &mut out,
            err: &mut err,
            input: Some(Box::new(Cursor::new(input.into_bytes()))),
            input_is_terminal: false,
            err_is_terminal: false,
        };
        let code = crate::run_with(name, args, &mut io);
        Ran { code, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
    });
    tool.join().unwrap()
}
