//! Panels and alerts that wait for what never comes, and alerts that say less than they mean to.

use std::collections::BTreeSet;
use std::fmt;

use crate::facts::{Comes, Facts};
use crate::known::Known;
use crate::readers::{Asker, Queries, Query};
use crate::world::{Records, World};

/// A class of defects; its name is stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// A query that cannot be read.
    UnreadableQuery,
    /// A panel or a variable of a board that never has data.
    PanelWithoutData,
    /// An alert that reads what there never is.
    AlertWithoutData,
    /// A recording rule that reads what there never is.
    RecordWithoutData,
    /// An alert whose comparison cannot hold.
    AlertNeverFires,
    /// An alert that does not depend on values, or on one that never goes back.
    AlertNeverResolves,
    /// An annotation that names a label which the query drops.
    EmptyAnnotation,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::UnreadableQuery,
        Self::PanelWithoutData,
        Self::AlertWithoutData,
        Self::RecordWithoutData,
        Self::AlertNeverFires,
        Self::AlertNeverResolves,
        Self::EmptyAnnotation,
    ];

    /// The name to search for.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnreadableQuery => "unreadable-query",
            Self::PanelWithoutData => "panel-without-data",
            Self::AlertWithoutData => "alert-without-data",
            Self::RecordWithoutData => "record-without-data",
            Self::AlertNeverFires => "alert-never-fires",
            Self::AlertNeverResolves => "alert-never-resolves",
            Self::EmptyAnnotation => "empty-annotation",
        }
    }
}

/// A defect: where it is and why it is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its class.
    pub class: Class,
    /// The file.
    pub file: String,
    /// Its line, where it can be told.
    pub line: Option<usize>,
    /// The panel, alert or recording rule.
    pub asker: String,
    /// One sentence.
    pub why: String,
}

impl fmt::Display for Finding {
    /// `FILE:LINE: CLASS: WHO: WHY`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}: {}: {}", self.class.name(), self.asker, self.why)
    }
}

/// Holds the queries against the series that there can be.
pub fn check(known: &Known, queries: &Queries) -> Vec<Finding> {
    let world = World::new(known, records(queries));
    let mut findings = Vec::new();
    for query in &queries.all {
        let mut add = |class, why: String| {
            let (file, line) = (query.file.clone(), query.line);
            findings.push(Finding { class, file, line, asker: query.asker.told(), why });
        };
        match &query.expr {
            Err(why) => add(Class::UnreadableQuery, why.clone()),
            Ok(expr) => judge(query, &world.facts(expr), &mut add),
        }
    }
    findings
}

/// Recording rules by the name that they record.
pub(crate) fn records(queries: &Queries) -> Records<'_> {
    let mut records = Records::new();
    for query in &queries.all {
        if let (Asker::Record { name, labels }, Ok(expr)) = (&query.asker, &query.expr) {
            records.entry(name.as_str()).or_default().push((expr, labels));
        }
    }
    records
}

fn judge(query: &Query, facts: &Facts, add: &mut impl FnMut(Class, String)) {
    let without_data = match query.asker {
        Asker::Board { .. } => Class::PanelWithoutData,
        Asker::Alert { .. } => Class::AlertWithoutData,
        Asker::Record { .. } => Class::RecordWithoutData,
    };
    if let Some(why) = &facts.dead {
        add(without_data, why.clone());
        return;
    }
    let Asker::Alert { annotations, .. } = &query.asker else { return };
    match &facts.comes {
        Comes::Never(why) => add(Class::AlertNeverFires, why.clone()),
        // What reads no series is there to fire always.
        Comes::Always(why) if !facts.constant => {
            add(Class::AlertNeverResolves, (*why).to_owned());
        }
        Comes::Always(_) | Comes::Sometimes => {}
    }
    let mut told = BTreeSet::new();
    for (name, text) in annotations {
        for label in labels_of(text) {
            if !facts.labels.has(label) && told.insert((name, label)) {
                let why = format!("{name} names the label {label}, which the query drops");
                add(Class::EmptyAnnotation, why);
            }
        }
    }
}

/// The labels that a template names: `$labels.x` and `.Labels.x`.
fn labels_of(template: &str) -> impl Iterator<Item = &str> {
    let inside = template.split("{{").skip(1).filter_map(|part| part.split("}}").next());
    inside.flat_map(|part| {
        let parts = part.split("$labels.").skip(1).chain(part.split(".Labels.").skip(1));
        parts.filter_map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            rest.get(..end.unwrap_or(rest.len())).filter(|label| !label.is_empty())
        })
    })
}
