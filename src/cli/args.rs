//! Flags as Kafka's tools take them: a table of rows, parsed by the rules of jopt-simple.
//!
//! `--flag value`, `--flag=value`, any unambiguous beginning of a name, values that may be left
//! out, repeated flags. No parser of the shelf knows all of these, so this one is ours.

use std::fmt::Write as _;
use std::str::FromStr;

use anyhow::{Result, anyhow, bail};

/// Whether a flag takes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// None: it is there or not.
    Nothing,
    /// One each time; the words describe it in the help.
    Value(&'static str),
    /// One, or none when a flag or nothing follows.
    Maybe(&'static str),
}

/// One flag.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// Its name without the dashes.
    pub name: &'static str,
    /// Whether it takes a value.
    pub takes: Takes,
    /// What it does, in one sentence.
    pub doc: &'static str,
}

/// A flag without a value.
pub const fn switch(name: &'static str, doc: &'static str) -> Flag {
    Flag { name, takes: Takes::Nothing, doc }
}

/// A flag with a value.
pub const fn value(name: &'static str, what: &'static str, doc: &'static str) -> Flag {
    Flag { name, takes: Takes::Value(what), doc }
}

/// A flag whose value may be left out.
pub const fn maybe(name: &'static str, what: &'static str, doc: &'static str) -> Flag {
    Flag { name, takes: Takes::Maybe(what), doc }
}

/// `--bootstrap-server`.
pub const BOOTSTRAP: Flag = value(
    "bootstrap-server",
    "String: server to connect to",
    "Brokers to connect to, as host:port,host:port.",
);
/// `--bootstrap-controller`.
pub const CONTROLLER: Flag = value(
    "bootstrap-controller",
    "String: controller to connect to",
    "Controllers to connect to, as host:port,host:port.",
);
/// `--command-config`.
pub const COMMAND_CONFIG: Flag =
    value("command-config", "String: file", "File of properties for the client.");

const HELP: Flag = switch("help", "Print usage information.");
const VERSION: Flag = switch("version", "Display Kafka version.");

/// Letters that stand for a flag, where a tool has that flag.
const LETTERS: [(&str, &str); 13] = [
    ("h", "help"),
    ("b", "bootstrap-server"),
    ("C", "bootstrap-controller"),
    ("c", "config"),
    ("t", "cluster-id"),
    ("g", "ignore-formatted"),
    ("s", "standalone"),
    ("i", "id"),
    ("r", "release-version"),
    ("f", "feature"),
    ("S", "add-scram"),
    ("N", "no-initial-controllers"),
    ("I", "initial-controllers"),
];

/// What a tool takes.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// What it is for, in one sentence.
    pub about: &'static str,
    /// Its flags, without `--help` and `--version`.
    pub flags: &'static [Flag],
    /// Words of which the first argument that is no flag must be one; empty for tools without.
    pub commands: &'static [(&'static str, &'static str)],
}

/// Parsed arguments.
#[derive(Clone, Debug, Default)]
pub struct Args {
    given: Vec<(&'static str, Option<String>)>,
    /// Arguments that are no flags, in order.
    pub words: Vec<String>,
}

impl Spec {
    /// Parses arguments.
    ///
    /// # Errors
    /// One sentence that names the flag.
    pub fn parse(&self, arguments: &[String]) -> Result<Args> {
        let mut args = Args::default();
        let mut rest = arguments.iter().peekable();
        while let Some(argument) = rest.next() {
            if argument == "--" {
                args.words.extend(rest.cloned());
                break;
            }
            let Some(body) = flag_body(argument) else {
                args.words.push(argument.clone());
                continue;
            };
            let (name, inline) = match body.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (body, None),
            };
            let flag = self.find(name)?;
            let value = match flag.takes {
                Takes::Nothing if inline.is_some() => {
                    bail!("Option {} takes no argument", flag.name)
                }
                Takes::Nothing => None,
                Takes::Value(_) => Some(match inline.or_else(|| rest.next().cloned()) {
                    Some(value) => value,
                    None => bail!("Option {} requires an argument", flag.name),
                }),
                Takes::Maybe(_) => {
                    inline.or_else(|| rest.next_if(|next| flag_body(next).is_none()).cloned())
                }
            };
            args.given.push((flag.name, value));
        }
        Ok(args)
    }

    fn find(&self, name: &str) -> Result<Flag> {
        let all = || self.flags.iter().copied().chain([HELP, VERSION]);
        if let Some(exact) = all().find(|flag| flag.name == name) {
            return Ok(exact);
        }
        let long = LETTERS.iter().find(|(letter, _)| *letter == name).map(|(_, long)| *long);
        if let Some(flag) = all().find(|flag| long == Some(flag.name)) {
            return Ok(flag);
        }
        let mut begun = all().filter(|flag| flag.name.starts_with(name));
        match (begun.next(), begun.next()) {
            (Some(flag), None) => Ok(flag),
            (Some(_), Some(_)) => Err(anyhow!("{name} is ambiguous")),
            // Kafka's tools with commands have another parser, with other words.
            (None, _) if !self.commands.is_empty() => {
                Err(anyhow!("unrecognized arguments: '--{name}'"))
            }
            (None, _) => Err(anyhow!("{name} is not a recognized option")),
        }
    }

    /// The text of `--help`.
    pub fn help(&self) -> String {
        const COLUMN: usize = 41;
        let mut out = format!("{}\n", self.about);
        if !self.commands.is_empty() {
            out.push_str("\nCommand\n-------\n");
            for (name, doc) in self.commands {
                let _ = writeln!(out, "{name:<COLUMN$}{doc}");
            }
            out.push('\n');
        }
        let _ = writeln!(out, "{:<COLUMN$}Description", "Option");
        let _ = writeln!(out, "{:<COLUMN$}-----------", "------");
        let mut flags: Vec<Flag> = self.flags.iter().copied().chain([HELP, VERSION]).collect();
        flags.sort_by_key(|flag| flag.name);
        for flag in flags {
            let shown = match flag.takes {
                Takes::Nothing => format!("--{}", flag.name),
                Takes::Value(what) => format!("--{} <{what}>", flag.name),
                Takes::Maybe(what) => format!("--{} [{what}]", flag.name),
            };
            let gap = COLUMN.saturating_sub(1).max(shown.chars().count());
            let _ = writeln!(out, "{shown:<gap$} {}", flag.doc);
        }
        out
    }
}

/// What follows the dashes; none for what is no flag. A lone dash and negative numbers are values.
fn flag_body(argument: &str) -> Option<&str> {
    if let Some(body) = argument.strip_prefix("--") {
        return (!body.is_empty()).then_some(body);
    }
    let body = argument.strip_prefix('-')?;
    let letter = body.chars().next()?;
    letter.is_ascii_alphabetic().then_some(body)
}

impl Args {
    /// True when the flag was given.
    pub fn has(&self, name: &str) -> bool {
        self.given.iter().any(|(given, _)| *given == name)
    }

    /// The value of a flag that may be given once.
    ///
    /// # Errors
    /// When it was given more than once.
    pub fn one(&self, name: &str) -> Result<Option<&str>> {
        let mut values = self.values(name);
        match (values.next(), values.next()) {
            (_, Some(_)) => {
                bail!("Found multiple arguments for option {name}, but you asked for only one")
            }
            (value, None) => Ok(value),
        }
    }

    /// The value of a flag that must be given.
    ///
    /// # Errors
    /// When it was not, or more than once.
    pub fn required(&self, name: &str) -> Result<&str> {
        self.one(name)?.ok_or_else(|| anyhow!("Missing required argument \"[{name}]\""))
    }

    /// All values of a flag in order.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.given
            .iter()
            .filter(move |(given, _)| *given == name)
            .filter_map(|(_, value)| value.as_deref())
    }

    /// Each time that one of these flags was given, in order: its value, if it has one.
    pub fn each_of(&self, names: &[&str]) -> impl Iterator<Item = Option<&str>> {
        let given = self.given.iter().filter(|(given, _)| names.contains(given));
        given.map(|(_, value)| value.as_deref())
    }

    /// The value of a flag as a number or the like.
    ///
    /// # Errors
    /// When it cannot be read as one.
    pub fn parsed<T: FromStr>(&self, name: &str) -> Result<Option<T>> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        let parsed = text.trim().parse();
        parsed.map(Some).map_err(|_| anyhow!("Cannot parse argument '{text}' of option {name}"))
    }

    /// Refuses `name` beside any of `others`.
    ///
    /// # Errors
    /// When both were given.
    pub fn refuse_beside(&self, name: &str, others: &[&str]) -> Result<()> {
        match others.iter().find(|other| self.has(other)) {
            Some(other) if self.has(name) => {
                bail!("Option \"[{name}]\" can't be used with option \"[{other}]\"")
            }
            _ => Ok(()),
        }
    }

    /// Refuses `name` without one of `needed`.
    ///
    /// # Errors
    /// When it was given alone.
    pub fn only_beside(&self, name: &str, needed: &[&str]) -> Result<()> {
        if self.has(name) && !needed.iter().any(|other| self.has(other)) {
            let needed: Vec<_> = needed.iter().map(|name| format!("[{name}]")).collect();
            bail!("Option \"[{name}]\" takes one of these options: {}", needed.join(", "));
        }
        Ok(())
    }

    /// The one of `actions` that was given.
    ///
    /// # Errors
    /// `message` when none or several were.
    pub fn action(&self, actions: &[&'static str], message: &str) -> Result<&'static str> {
        let mut given = actions.iter().filter(|action| self.has(action));
        match (given.next(), given.next()) {
            (Some(action), None) => Ok(action),
            _ => bail!("{message}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: Spec = Spec {
        about: "A tool.",
        flags: &[
            BOOTSTRAP,
            switch("list", "List."),
            value("topic", "String: topic", "A topic."),
            value("shift-by", "Long: n", "A shift."),
            maybe("state", "String", "A state."),
            switch("topics-with-overrides", "Overrides."),
        ],
        commands: &[],
    };

    fn parse(line: &str) -> Result<Args> {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        SPEC.parse(&words)
    }

    #[test]
    fn values_come_behind_a_blank_or_an_equals_sign() {
        let args = parse("--topic a --topic=b=c --shift-by -3 word").unwrap();
        assert_eq!(args.values("topic").collect::<Vec<_>>(), ["a", "b=c"]);
        assert_eq!(args.parsed::<i64>("shift-by").unwrap(), Some(-3));
        assert_eq!(args.words, ["word"]);
        assert!(args.one("topic").unwrap_err().to_string().contains("multiple arguments"));
    }

    #[test]
    fn a_value_may_be_left_out_where_the_row_says_so() {
        assert_eq!(parse("--state --list").unwrap().one("state").unwrap(), None);
        assert!(parse("--state").unwrap().has("state"));
        assert_eq!(parse("--state Stable --list").unwrap().one("state").unwrap(), Some("Stable"));
    }

    #[test]
    fn names_may_be_cut_short_while_they_are_clear() {
        assert!(parse("--li").unwrap().has("list"));
        assert!(parse("--topic x").unwrap().has("topic"));
        for (line, expected) in [
            ("--to x", "to is ambiguous"),
            ("--nonsense", "nonsense is not a recognized option"),
            ("--topic", "Option topic requires an argument"),
            ("--list=1", "Option list takes no argument"),
        ] {
            assert_eq!(parse(line).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn the_help_lists_every_flag_in_order() {
        let help = SPEC.help();
        let names: Vec<_> = help
            .lines()
            .filter(|line| line.starts_with("--") && !line.starts_with("---"))
            .collect();
        assert_eq!(names.len(), SPEC.flags.len() + 2);
        assert!(names.is_sorted());
        assert!(help.contains("--topic <String: topic>                  A topic."));
    }
}
