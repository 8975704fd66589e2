//! The table of proofs: one line for each attribute that needs a test of its own, one for each
//! figure of a kind of instrument, and one for what no test can move, with the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use crate::row::{AttributeRow, BeanRow, Origin, Shape};

/// Where it lies, from the top of the checkout.
const FILE: &str = "src/metrics/catalog/truth.tsv";
/// The table as it was when the program was built.
pub const TABLE: &str = include_str!("../catalog/truth.tsv");
const HEAD: &str = "# Bean or kind of instrument, attribute or figure, the test that moves it by a \
known amount and reads it back.\n# `still VALUE`: nothing here can move it; `absent`: no bean of \
that template is shown. Both say why.\n";

/// The table, over its text.
#[derive(Debug)]
pub struct Table<'a>(BTreeMap<(&'a str, &'a str), Line<'a>>);

/// One line of it.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// Template of a bean, or kind of an instrument.
    pub subject: &'a str,
    /// Attribute; of a kind, its figure.
    pub attribute: &'a str,
    /// What proves it.
    pub standing: Standing<'a>,
}

/// How an attribute stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing<'a> {
    /// The test that moves it.
    Test(&'a str),
    /// Nothing that is built moves it: it reads this value.
    Still {
        /// The value.
        value: &'a str,
        /// The reason.
        why: &'a str,
    },
    /// No such bean is shown.
    Absent {
        /// The reason.
        why: &'a str,
    },
}

/// What proves one attribute of a bean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof<'a> {
    /// A line of its own.
    Own(Standing<'a>),
    /// A figure of an instrument: one test proves the figure for all instruments of the kind,
    /// another one that the bean's instrument is fed with what the bean is about.
    Figure {
        /// The kind's test.
        figure: &'a str,
        /// What stands for the instrument of this bean.
        feed: Standing<'a>,
    },
}

/// Native families and the tests that read them back.
const FAMILIES: &str = include_str!("../catalog/families.tsv");

/// The families that have a test of their own, each with its test.
pub fn tests_of_families() -> impl Iterator<Item = (&'static str, &'static str)> {
    FAMILIES.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('\t'))
}

impl<'a> Table<'a> {
    /// Reads the text of the file.
    ///
    /// # Errors
    /// The first line that makes no sense.
    pub fn parse(text: &'a str) -> Result<Self, String> {
        let mut lines = BTreeMap::new();
        for text in text.lines().filter(|line| !line.starts_with('#')) {
            let bad = || format!("not a line of truths: {text}");
            let mut parts = text.split('\t');
            let mut next = || parts.next().ok_or_else(bad);
            let (subject, attribute, proof) = (next()?, next()?, next()?);
            let standing = match (proof.strip_prefix("still "), parts.next()) {
                (Some(value), Some(why)) => Standing::Still { value, why },
                (None, Some(why)) if proof == "absent" => Standing::Absent { why },
                (None, None) if proof != "absent" => Standing::Test(proof),
                _ => return Err(bad()),
            };
            let line = Line { subject, attribute, standing };
            if lines.insert((subject, attribute), line).is_some() {
                return Err(format!("twice: {text}"));
            }
        }
        Ok(Self(lines))
    }

    /// All lines, in order.
    pub fn lines(&self) -> impl Iterator<Item = &Line<'a>> {
        self.0.values()
    }

    /// What a line says of a bean's attribute or a kind's figure.
    pub fn standing(&self, subject: &str, attribute: &str) -> Option<Standing<'a>> {
        self.0.get(&(subject, attribute)).map(|line| line.standing)
    }

    /// What proves an attribute of a bean; `None` when nothing does.
    pub fn proof(&self, row: &BeanRow, attribute: &str) -> Option<Proof<'a>> {
        if let Some(own) = self.standing(row.template, "*") {
            return Some(Proof::Own(own));
        }
        if let Some(own) = self.standing(row.template, attribute) {
            return Some(Proof::Own(own));
        }
        let feeds = feeds(row, attribute);
        if feeds.contains(&attribute) && feeds.len() == 1 {
            return None;
        }
        let feed = feeds.iter().find_map(|feed| self.standing(row.template, feed))?;
        let figure = match row.shape {
            Shape::Attributes(rows) => rows.iter().find(|row| row.name == attribute)?.from.figure(),
            _ => attribute,
        };
        match self.standing(kind_of(row), figure)? {
            Standing::Test(figure) => Some(Proof::Figure { figure, feed }),
            _ => None,
        }
    }

    /// The file, from a directory in the checkout.
    pub fn path(inside: &Path) -> PathBuf {
        let found = inside.ancestors().map(|top| top.join(FILE)).find(|path| path.exists());
        found.unwrap_or_else(|| inside.join(FILE))
    }

    /// Writes the lines of one test anew; what another test proves already stays its own.
    pub(super) fn update(
        path: &Path,
        test: &str,
        proven: &BTreeSet<(String, String)>,
    ) -> io::Result<()> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let old = text.lines().filter(|line| !line.starts_with('#'));
        let others = old.filter(|line| line.split('\t').nth(2) != Some(test));
        let mut lines: BTreeMap<(String, String), String> = BTreeMap::new();
        for line in others {
            let mut parts = line.splitn(3, '\t').map(str::to_owned);
            if let (Some(subject), Some(attribute), Some(rest)) =
                (parts.next(), parts.next(), parts.next())
            {
                lines.insert((subject, attribute), rest);
            }
        }
        for subject in proven {
            lines.entry(subject.clone()).or_insert_with(|| test.to_owned());
        }
        let lines = lines
            .iter()
            .map(|((subject, attribute), rest)| format!("{subject}\t{attribute}\t{rest}\n"));
        std::fs::write(path, HEAD.to_owned() + &lines.collect::<String>())
    }
}

/// The kind of instrument of a bean, as the table calls it.
pub fn kind_of(row: &BeanRow) -> &'static str {
    match row.shape {
        Shape::Meter { .. } => "Meter",
        Shape::Histogram => "Histogram",
        Shape::Timer { .. } => "Timer",
        Shape::Gauge(_) => "Gauge",
        Shape::Attributes(_) => "Sensor",
    }
}

/// The attributes of which one, proven by itself, shows that what stands behind `attribute` is fed
/// right. An attribute that is alone among them needs a line of its own.
pub fn feeds(row: &BeanRow, attribute: &str) -> Vec<&'static str> {
    match row.shape {
        Shape::Meter { .. } => vec!["Count"],
        // How often says nothing of what: the count and the largest value need lines of their own.
        Shape::Histogram | Shape::Timer { .. } if attribute == "Count" => vec!["Count"],
        Shape::Histogram | Shape::Timer { .. } => vec!["Max"],
        Shape::Gauge(_) => vec!["Value"],
        Shape::Attributes(rows) => {
            let origin = rows.iter().find(|row| row.name == attribute).map(|row| row.from);
            let Some(Origin::Sensor(sensor, _)) = origin else {
                return rows.iter().map(|row| row.name).filter(|it| *it == attribute).collect();
            };
            let mut all: Vec<_> = rows
                .iter()
                .filter(|row| matches!(row.from, Origin::Sensor(name, _) if name == sensor))
                .collect();
            // What only counts values does not show that they are the right ones.
            let counts = |row: &AttributeRow| matches!(row.from.figure(), "Count" | "CountRate");
            if !all.iter().all(|row| counts(row)) {
                all.retain(|row| !counts(row));
            }
            all.iter().map(|row| row.name).collect()
        }
    }
}
