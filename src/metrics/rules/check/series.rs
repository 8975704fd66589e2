//! Series that several beans share, and families of several types.

use std::collections::{BTreeMap, BTreeSet};

use super::{Class, Finding, Survey};
use crate::row::{BeanRow, METER_ATTRIBUTES, Origin, Shape, Stat};
use crate::rules::config::Kind;
use crate::rules::evaluate::{Made, Outcome};
use crate::rules::survey::{Trace, sample_name};

/// A series and what was made for it.
type Series<'a> = BTreeMap<(bool, String, Vec<(String, String)>), Vec<(&'a Trace, &'a Made)>>;

/// Samples with the name and labels of another one. One finding for each pair of rules.
pub(super) fn collisions(seen: &Survey<'_>) -> Vec<Finding> {
    let mut series: Series<'_> = BTreeMap::new();
    for (trace, made) in samples(seen).filter(|(trace, _)| trace.value == 0) {
        let mut labels = made.labels.clone();
        labels.sort();
        let name = sample_name(&made.name, false, seen.rules.generation);
        // A bean of a dump may be one of the catalogue's again.
        let dumped = seen.examples.get(trace.example).is_some_and(|it| it.row.is_none());
        series.entry((dumped, name, labels)).or_default().push((trace, made));
    }
    let mut findings = Vec::new();
    let mut told = BTreeSet::new();
    for ((_, name, _), samples) in series {
        let Some(((first, _), others)) = samples.split_first() else { continue };
        for (other, _) in others {
            let (Some(one), Some(two)) = (first.rule, other.rule) else { continue };
            let prefix = one == two && first.example == other.example;
            let class = if prefix { Class::AttributePrefix } else { Class::SeriesCollision };
            if !told.insert((one, two, class)) {
                continue;
            }
            let (one, two) = (seen.place(first), seen.place(other));
            let why = match class {
                Class::AttributePrefix => format!(
                    "the pattern leaves open how an attribute's name goes on, so that {one} and {two} are \
                     both {name}"
                ),
                _ => format!("{one} and {two} are the same series {name}"),
            };
            let rule = other.rule.map_or(0, |rule| rule + 1);
            findings.push(seen.finding(class, rule, why));
        }
    }
    findings
}

/// What is written: a number of the rule's or of the bean's.
fn samples<'a>(seen: &'a Survey<'_>) -> impl Iterator<Item = (&'a Trace, &'a Made)> {
    seen.traces.iter().filter_map(|trace| {
        let Outcome::Made(made) = &trace.outcome else { return None };
        let leaf = seen.examples.get(trace.example)?.leaves.get(trace.leaf)?;
        let number = leaf.values.get(trace.value)?.as_f64();
        (made.constant.is_some() || number.is_some()).then_some((trace, made))
    })
}

/// Counters that are none, and counters that lose their type to others of the family.
pub(super) fn types(seen: &Survey<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut told = BTreeSet::new();
    let mut kinds: BTreeMap<String, BTreeMap<bool, (usize, String)>> = BTreeMap::new();
    for (trace, made) in samples(seen) {
        let Some(rule) = trace.rule else { continue };
        let counter = made.kind == Kind::Counter;
        // What 0.x keeps apart, 1.x takes for one family.
        let family = sample_name(&made.name, false, seen.rules.generation);
        kinds
            .entry(family)
            .or_default()
            .entry(counter)
            .or_insert_with(|| (rule, seen.place(trace)));
        if counter && made.constant.is_none() && falls(seen, trace) && told.insert(rule) {
            let why = format!("a counter never falls, but {} does", seen.place(trace));
            findings.push(seen.finding(Class::CounterOfGauge, rule + 1, why));
        }
    }
    for (family, kinds) in kinds {
        let (Some((counter, one)), Some((other, two))) = (kinds.get(&true), kinds.get(&false))
        else {
            continue;
        };
        let why = format!(
            "the family {family} has {one} as a counter and {two} as none, by rule {}, so that one \
             of them is shown as what it is not",
            other + 1
        );
        findings.push(seen.finding(Class::MixedTypes, counter + 1, why));
    }
    findings
}

/// Whether an attribute is known to fall at times.
fn falls(seen: &Survey<'_>, trace: &Trace) -> bool {
    let Some(example) = seen.examples.get(trace.example) else { return false };
    let Some(leaf) = example.leaves.get(trace.leaf) else { return false };
    let Some(row) = example.row else {
        // Of beans that are not ours the names of Yammer's attributes are known.
        let rates = METER_ATTRIBUTES.iter().filter(|(name, _)| name.ends_with("Rate"));
        return leaf.name.ends_with("Percentile") || rates.into_iter().any(|it| it.0 == leaf.name);
    };
    falls_in(row, &leaf.name)
}

fn falls_in(row: &BeanRow, attribute: &str) -> bool {
    match row.shape {
        Shape::Meter { .. } | Shape::Histogram | Shape::Timer { .. } => attribute != "Count",
        // What a gauge holds is told by its name alone.
        Shape::Gauge(_) => {
            let counts = ["Count", "Total", "Errors", "Failures", "Epoch", "Offset", "Timestamp"];
            !counts.iter().any(|word| row.template.contains(word))
        }
        Shape::Attributes(rows) => rows.iter().any(|row| {
            row.name == attribute
                && matches!(row.from, Origin::Sensor(_, stat) if !matches!(stat, Stat::Total | Stat::Count))
        }),
    }
}
