//! Reads families by their labels: what lists are made of.

use std::collections::BTreeMap;

use pharos_metrics::{FamilyRow, Registry};

/// The series of a family whose first labels are these: the rest of their values, and the number.
pub(crate) fn below(
    registry: &Registry,
    row: &'static FamilyRow,
    first: &[&str],
) -> Vec<(Vec<Box<str>>, f64)> {
    let mut found = Vec::new();
    registry.family(row).numbers(|labels, number| {
        let (head, rest) = labels.split_at_checked(first.len()).unwrap_or((labels, &[]));
        if head.iter().map(AsRef::as_ref).eq(first.iter().copied()) {
            found.push((rest.to_vec(), number));
        }
    });
    found
}

/// A family of one label, by its value.
pub(crate) fn by_label(registry: &Registry, row: &'static FamilyRow) -> BTreeMap<Box<str>, f64> {
    let mut found = BTreeMap::new();
    registry.family(row).numbers(|labels, number| {
        if let Some(label) = labels.first() {
            found.insert(label.clone(), number);
        }
    });
    found
}

/// Of a family with one series for each choice, the choice that is 1, by the labels before it.
pub(crate) fn chosen(
    registry: &Registry,
    row: &'static FamilyRow,
) -> BTreeMap<Vec<Box<str>>, Box<str>> {
    let mut found = BTreeMap::new();
    registry.family(row).numbers(|labels, number| {
        if let (true, Some((choice, of))) = (number >= 1.0, labels.split_last()) {
            found.insert(of.to_vec(), choice.clone());
        }
    });
    found
}
