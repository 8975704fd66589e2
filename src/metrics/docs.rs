//! docs/metrics.md, made of the catalogue's rows.

use std::fmt::Write;

use crate::catalog::{rows_of_beans, rows_of_families};
use crate::native::{FamilyKind, Owner};
use crate::row::{BeanRow, RateUnit, Shape};
use crate::truth::{Standing, Table};

/// The page: native families, then beans, each with the tests of its truth.
pub fn markdown(truth: &Table<'_>) -> String {
    let mut out = String::from(
        "# Metrics\n\nMade from the catalogue in `src/metrics/catalog`; do not edit.\n\n\
         ## Native families\n\nOwner: who shows a series. Beyond its limit a family folds into \
         `(other)`.\n\n| family | type | labels | unit | owner | limit | meaning |\n\
         |---|---|---|---|---|---|---|\n",
    );
    let mut families: Vec<_> = rows_of_families().collect();
    families.sort_by_key(|row| row.name);
    for row in families {
        let kind = match row.kind {
            FamilyKind::Counter => "counter",
            FamilyKind::Gauge => "gauge",
            FamilyKind::Histogram(_) => "histogram",
        };
        let owner = match row.owner {
            Owner::Node => "each node",
            Owner::Leader => "partition leader",
            Owner::Coordinator => "group coordinator",
            Owner::ActiveController => "active controller",
        };
        let labels = row.labels.join(", ");
        let (name, unit, limit, meaning) = (row.name, row.unit, row.limit, row.meaning);
        // Writing to a string does not fail.
        let _ = writeln!(
            out,
            "| `{name}` | {kind} | {labels} | {unit} | {owner} | {limit} | {meaning} |"
        );
    }
    out.push_str(
        "\n## Beans\n\nNames are Kafka's. A tag in braces is filled in; a meter, a histogram and a \
         timer have the attributes that Yammer's have. The last column names the test that moves the \
         bean by a known amount and reads it back, or says why nothing does.\n\n\
         | bean | attributes | unit | meaning | truth |\n|---|---|---|---|---|\n",
    );
    let mut beans: Vec<_> = rows_of_beans().collect();
    beans.sort_by_key(|row| row.template);
    for row in beans {
        let (template, unit, meaning) = (row.template, cell(row.unit), cell(row.meaning));
        let (attributes, truth) = (attributes(row), truths(row, truth));
        let _ = writeln!(out, "| `{template}` | {attributes} | {unit} | {meaning} | {truth} |");
    }
    out.push_str(
        "\n## Figures of instruments\n\nWhat all meters, histograms, timers and sensors have in \
         common is proven once for the kind; the column above names the test of what a bean's own \
         instrument is fed with.\n\n| kind | figure | truth |\n|---|---|---|\n",
    );
    for line in truth.lines().filter(|line| !line.subject.contains(':')) {
        let (kind, figure) = (line.subject, line.attribute);
        let _ = writeln!(out, "| {kind} | {figure} | {} |", standing(line.standing));
    }
    out
}

/// The tests of a bean's attributes; which of them only where there are several.
fn truths(row: &BeanRow, table: &Table<'_>) -> String {
    let mut by_truth: Vec<(String, Vec<&str>)> = Vec::new();
    for line in table.lines().filter(|line| line.subject == row.template) {
        let truth = standing(line.standing);
        match by_truth.iter_mut().find(|(have, _)| *have == truth) {
            Some((_, attributes)) => attributes.push(line.attribute),
            None => by_truth.push((truth, vec![line.attribute])),
        }
    }
    if let [(only, _)] = by_truth.as_slice() {
        return only.clone();
    }
    let list =
        by_truth.iter().map(|(truth, attributes)| format!("{}: {truth}", attributes.join(", ")));
    list.collect::<Vec<_>>().join("; ")
}

fn standing(standing: Standing<'_>) -> String {
    match standing {
        Standing::Test(test) => format!("`{test}`"),
        Standing::Still { value, why } => format!("always {value}: {why}"),
        Standing::Absent { why } => format!("not shown: {why}"),
    }
}

fn attributes(row: &BeanRow) -> String {
    match row.shape {
        Shape::Meter { rate_unit: RateUnit::Seconds, .. } => "meter".into(),
        Shape::Meter { .. } => "meter of nanoseconds".into(),
        Shape::Histogram => "histogram".into(),
        Shape::Timer { .. } => "timer".into(),
        Shape::Gauge(value_type) => format!("Value ({})", value_type.name()),
        Shape::Attributes(rows) => {
            let list: Vec<_> =
                rows.iter().map(|row| format!("{}: {}", row.name, cell(row.meaning))).collect();
            list.join("; ")
        }
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `UPDATE=1 cargo test -p pharos-metrics docs` writes the page.
    #[test]
    fn the_page_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
        let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let truth = std::fs::read_to_string(Table::path(directory)).unwrap();
        let want = markdown(&Table::parse(&truth).unwrap());
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &want).unwrap();
        }
        let have = std::fs::read_to_string(path).unwrap_or_default();
        assert!(have == want, "docs/metrics.md is not what the catalogue says: UPDATE=1");
    }
}
