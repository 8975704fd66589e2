//! What a series is: where it comes from, what it means, which test proves it, and who reads it.

use std::collections::BTreeSet;
use std::fmt;

use pharos_base::nearest;
use pharos_metrics::Owner;
use pharos_metrics::truth::{Proof, Standing, TABLE, Table, tests_of_families};
use promql_parser::parser::{Expr, VectorSelector};

use crate::findings::records;
use crate::known::{Known, Series, Source, is_of_prometheus};
use crate::labels::{Made, is_of_target};
use crate::query::{self, fits};
use crate::readers::{Asker, Queries};
use crate::world::Records;

/// The label that tells series of 1.x apart whose rules do not.
const APART: &str = "_objectname";

/// One thing that a series may be.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// The name of its samples.
    pub name: String,
    /// Its labels, with the value of those that are always the same.
    pub labels: Vec<(String, Option<String>)>,
    /// Where it comes from.
    pub source: Source,
    /// What it tells.
    pub meaning: String,
    /// What it counts.
    pub unit: &'static str,
    /// Which node shows it.
    pub owner: &'static str,
    /// The test that moves it by a known amount, or why none does.
    pub truth: Option<String>,
    /// Who reads it.
    pub readers: Vec<Reader>,
}

/// A panel, alert or recording rule that reads a series.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reader {
    /// The file.
    pub file: String,
    /// The panel, alert or recording rule.
    pub what: String,
    /// The recording rule that stands between.
    pub through: Option<String>,
}

/// Nothing that is known makes such a series.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// It cannot be read.
    #[error("{0:?} is no series: {1}")]
    NoSeries(String, String),
    /// Nothing makes it; what is said of the name that is most like it.
    #[error("no rule, no native family and no recording rule makes {0}{1}")]
    NotMade(String, String),
    /// No broker makes it.
    #[error("Prometheus itself makes {0}, of its targets and alerts")]
    OfPrometheus(String),
}

/// Explains a name, or a name with labels.
///
/// # Errors
/// When nothing that is known makes it.
pub fn explain(known: &Known, queries: &Queries, asked: &str) -> Result<Vec<Explained>, Unknown> {
    let no_series =
        |why: &str| Unknown::NoSeries(asked.chars().take(200).collect(), why.to_owned());
    let expr = query::parse(asked).map_err(|why| no_series(&why))?;
    let Expr::VectorSelector(asked_for) = &expr else {
        return Err(no_series("a name, with or without labels, is wanted"));
    };
    let mut found: Vec<&Series> =
        known.series().iter().filter(|series| is_asked(asked_for, series)).collect();
    // Of labels that are given, those with as many and no more are meant.
    let given =
        query::matchers(asked_for).filter(|it| !is_of_target(&it.name) && it.name != APART).count();
    if given > 0 && found.iter().any(|series| series.labels.len() == given) {
        found.retain(|series| series.labels.len() == given);
    }
    let records = records(queries);
    if found.is_empty() {
        let recorded = recorded(asked_for, queries, &records);
        return match recorded.is_empty() {
            true => Err(unknown(known, &records, asked_for, asked)),
            false => Ok(recorded),
        };
    }
    // The table is compiled in, and its tests read it.
    let table = Table::parse(TABLE).ok();
    let made = Made::of(known);
    let of = |series: &Series| {
        let readers = readers_of(queries, &records, |selector| reads(selector, series, &made));
        explained(series, table.as_ref(), readers)
    };
    Ok(found.into_iter().map(of).collect())
}

/// Why nothing is known of it.
fn unknown(
    known: &Known,
    records: &Records<'_>,
    asked_for: &VectorSelector,
    asked: &str,
) -> Unknown {
    let said = asked.chars().take(200).collect();
    let name = asked_for.name.as_deref().unwrap_or_default();
    if is_of_prometheus(name) {
        return Unknown::OfPrometheus(said);
    }
    let made = known.series().iter().map(|series| series.name.as_str());
    let like = match known.series().iter().any(|series| is_called(asked_for, series)) {
        true => ", with such labels".to_owned(),
        false => nearest(name, made.chain(records.keys().copied()))
            .map_or_else(String::new, |like| format!(", did you mean {like}?")),
    };
    Unknown::NotMade(said, like)
}

/// What recording rules make of that name.
fn recorded(asked: &VectorSelector, queries: &Queries, records: &Records<'_>) -> Vec<Explained> {
    let mut found = Vec::new();
    for query in &queries.all {
        let (Asker::Record { name, .. }, Ok(expr)) = (&query.asker, &query.expr) else { continue };
        if asked.name.as_deref() != Some(name) {
            continue;
        }
        let mut reads: Vec<_> =
            query::selectors(expr).into_iter().filter_map(|it| it.name.clone()).collect();
        reads.sort();
        reads.dedup();
        found.push(Explained {
            name: name.clone(),
            labels: Vec::new(),
            source: Source::Record { file: query.file.clone(), line: query.line, reads },
            meaning: expr.to_string(),
            unit: "",
            owner: "Prometheus",
            truth: None,
            readers: readers_of(queries, records, |selector| query::names(selector, name)),
        });
    }
    found
}

/// Whether the name asked for is that of the series, or of the family that it is a part of.
fn is_called(asked: &VectorSelector, series: &Series) -> bool {
    let family = || match series.source {
        Source::Native(row) => asked.name.as_deref() == Some(row.name),
        _ => false,
    };
    query::names(asked, &series.name) || family()
}

fn is_asked(asked: &VectorSelector, series: &Series) -> bool {
    is_called(asked, series)
        && query::matchers(asked).filter(|it| it.name != APART).all(|matcher| {
            match series.labels.iter().find(|(name, _)| *name == matcher.name) {
                Some((_, Some(value))) => fits(matcher, value),
                Some((_, None)) => true,
                None => fits(matcher, "") || is_of_target(&matcher.name),
            }
        })
}

fn explained(series: &Series, table: Option<&Table<'_>>, readers: Vec<Reader>) -> Explained {
    let (meaning, unit, owner, truth) = match &series.source {
        Source::Rule { row, attribute, .. } => {
            let info = row.attributes().into_iter().find(|info| info.name == attribute);
            let own = info.map(|info| info.meaning).filter(|meaning| *meaning != row.meaning);
            let meaning =
                own.map_or(row.meaning.to_owned(), |own| format!("{own} {}", row.meaning));
            let proof = table.and_then(|table| table.proof(row, attribute));
            (meaning, row.unit, "the node that has the bean", proof.map(told))
        }
        Source::Native(row) => {
            let owner = match row.owner {
                Owner::Node => "each node",
                Owner::Leader => "the partition's leader",
                Owner::Coordinator => "the group's coordinator",
                Owner::ActiveController => "the active controller",
            };
            let test = tests_of_families().find(|(family, _)| *family == row.name);
            let truth = test.map_or("no test of its own", |(_, test)| test);
            (row.meaning.to_owned(), row.unit, owner, Some(truth.to_owned()))
        }
        Source::Own(meaning) => ((*meaning).to_owned(), "", "each node", None),
        Source::Record { .. } => (String::new(), "", "Prometheus", None),
    };
    let (name, labels, source) =
        (series.name.clone(), series.labels.clone(), series.source.clone());
    Explained { name, labels, source, meaning, unit, owner, truth, readers }
}

fn told(proof: Proof<'_>) -> String {
    let standing = |standing: Standing<'_>| match standing {
        Standing::Test(test) => test.to_owned(),
        Standing::Still { value, why } => format!("nothing moves it, it reads {value}: {why}"),
        Standing::Absent { why } => format!("no such bean is shown: {why}"),
    };
    match proof {
        Proof::Own(own) => standing(own),
        Proof::Figure { figure, feed } => {
            format!("{}, and for the figure {figure}", standing(feed))
        }
    }
}

/// Who reads what `reads` tells of a selector, by itself or through recording rules.
fn readers_of(
    queries: &Queries,
    records: &Records<'_>,
    reads: impl Fn(&VectorSelector) -> bool,
) -> Vec<Reader> {
    let made_of_it = made_of(&reads, records);
    let mut found = Vec::new();
    for query in &queries.all {
        let Ok(expr) = &query.expr else { continue };
        let selectors = query::selectors(expr);
        let through = match selectors.iter().any(|it| reads(it)) {
            true => None,
            false => {
                let selected = |name: &&&str| selectors.iter().any(|it| query::names(it, name));
                let Some(name) = made_of_it.iter().find(selected) else { continue };
                Some((*name).to_owned())
            }
        };
        let what = match &query.asker {
            Asker::Board { what } => what.clone(),
            asker => asker.told(),
        };
        found.push(Reader { file: query.file.clone(), what, through });
    }
    found.sort();
    found.dedup();
    found
}

/// The recording rules that read it, by themselves or through others.
fn made_of<'a>(
    reads: &impl Fn(&VectorSelector) -> bool,
    records: &Records<'a>,
) -> BTreeSet<&'a str> {
    let mut found: BTreeSet<&str> = BTreeSet::new();
    loop {
        let before = found.len();
        for (name, exprs) in records {
            let reads_it = |selector: &&VectorSelector| {
                reads(selector) || found.iter().any(|it| query::names(selector, it))
            };
            if exprs.iter().any(|(expr, _)| query::selectors(expr).iter().any(reads_it)) {
                found.insert(name);
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

fn reads(selector: &VectorSelector, series: &Series, made: &Made<'_>) -> bool {
    query::names(selector, &series.name)
        && query::matchers(selector).all(|matcher| {
            match series.labels.iter().find(|(name, _)| *name == matcher.name) {
                Some((_, Some(value))) => fits(matcher, value),
                Some((_, None)) => query::fits_some(matcher),
                None => {
                    fits(matcher, "") || made.leaves_to_target(matcher, made.of_name(&series.name))
                }
            }
        })
}

impl fmt::Display for Explained {
    /// A line for each fact, greppable by its first word.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels: Vec<_> = self
            .labels
            .iter()
            .map(|(name, value)| match value {
                Some(value) => format!("{name}={value:?}"),
                None => name.clone(),
            })
            .collect();
        match labels.is_empty() {
            true => writeln!(f, "{}", self.name)?,
            false => writeln!(f, "{}{{{}}}", self.name, labels.join(", "))?,
        }
        match &self.source {
            Source::Rule { file, rule: (rule, line), row, attribute } => {
                writeln!(f, "  bean       {}", row.template)?;
                writeln!(f, "  attribute  {attribute}")?;
                let line = line.map_or_else(String::new, |line| format!(", line {line}"));
                writeln!(f, "  rule       {file}, rule {rule}{line}")?;
                writeln!(f, "  kafka      {}", row.source)?;
            }
            Source::Native(row) => writeln!(f, "  native     {}", row.name)?,
            Source::Own(_) => writeln!(f, "  page       about itself, as jmx_exporter does")?,
            Source::Record { file, line, reads } => {
                let line = line.map_or_else(String::new, |line| format!(", line {line}"));
                writeln!(f, "  record     {file}{line}")?;
                for name in reads {
                    writeln!(f, "  made of    {name}")?;
                }
            }
        }
        writeln!(f, "  meaning    {}", self.meaning)?;
        if !self.unit.is_empty() {
            writeln!(f, "  unit       {}", self.unit)?;
        }
        writeln!(f, "  owner      {}", self.owner)?;
        if let Some(truth) = &self.truth {
            writeln!(f, "  truth      {truth}")?;
        }
        for reader in &self.readers {
            write!(f, "  read by    {}: {}", reader.file, reader.what)?;
            match &reader.through {
                Some(record) => writeln!(f, " through {record}")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}
