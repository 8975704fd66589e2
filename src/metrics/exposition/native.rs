//! Native families on a page.

use super::writer::{PageWriter, Pairs};
use crate::native::{Cell, Families, Family, FamilyKind};

/// Writes the families that `taken` does not name; returns samples written and families left
/// out.
pub(super) fn write(
    out: &mut impl PageWriter,
    families: &Families,
    taken: impl Fn(&str) -> bool,
) -> (u64, u64) {
    let (mut samples, mut left_out) = (0, 0);
    for family in families.all() {
        if taken(family.row().name) {
            left_out += 1;
            continue;
        }
        if !out.skips(family.row().name) {
            samples += write_family(out, &family);
        }
    }
    (samples, left_out)
}

fn write_family(out: &mut impl PageWriter, family: &Family) -> u64 {
    let row = family.row();
    let each = match row.kind {
        // The buckets, the one without a bound, sum and count.
        FamilyKind::Histogram(bounds) => bounds.len() as u64 + 3,
        FamilyKind::Counter | FamilyKind::Gauge => 1,
    };
    let mut samples = 0;
    family.each(|labels, cell| {
        if samples == 0 {
            out.begin(row.into());
        }
        let labels = Pairs::new(row, labels);
        match cell {
            Cell::Histogram(histogram) => out.histogram(labels, histogram),
            cell => out.sample(labels, cell.number(), cell.started()),
        }
        samples += each;
    });
    samples
}
