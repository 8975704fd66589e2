//! Native families as text.

use super::group::push_type;
use super::labels::push_label;
use super::text::push_help;
use crate::native::{Cell, Families, Family, FamilyKind, FamilyRow};
use crate::value::push_sample;

/// Writes the families that `taken` does not name; returns samples written and families left
/// out.
pub(super) fn write(
    out: &mut Vec<u8>,
    families: &Families,
    open_metrics: bool,
    taken: impl Fn(&str) -> bool,
) -> (u64, u64) {
    let (mut samples, mut left_out) = (0, 0);
    for family in families.all() {
        let row = family.row();
        if taken(row.name) {
            left_out += 1;
            continue;
        }
        samples += write_family(out, &family, open_metrics);
    }
    (samples, left_out)
}

fn write_family(out: &mut Vec<u8>, family: &Family, open_metrics: bool) -> u64 {
    let row = family.row();
    let mut samples = 0;
    family.each(|labels, cell| {
        if samples == 0 {
            header(out, row, open_metrics);
        }
        match cell {
            Cell::Histogram(histogram) => {
                let mut below = 0;
                let bounds = histogram.bounds.iter().map(|bound| format!("{bound:?}"));
                let bounds = bounds.chain(std::iter::once("+Inf".to_owned()));
                for (bound, count) in bounds.zip(histogram.counts()) {
                    below += count;
                    line(out, row, "_bucket", labels, Some(&bound), count_of(below));
                    samples += 1;
                }
                line(out, row, "_sum", labels, None, histogram.sum());
                line(out, row, "_count", labels, None, count_of(below));
                samples += 2;
            }
            cell => {
                line(out, row, "", labels, None, cell.number());
                samples += 1;
            }
        }
    });
    samples
}

#[expect(clippy::cast_precision_loss, reason = "samples are doubles")]
fn count_of(count: u64) -> f64 {
    count as f64
}

/// HELP and TYPE of a family; a counter's carry no `_total` in OpenMetrics.
pub(super) fn header(out: &mut Vec<u8>, row: &FamilyRow, open_metrics: bool) {
    let word = match row.kind {
        FamilyKind::Counter => "counter",
        FamilyKind::Gauge => "gauge",
        FamilyKind::Histogram(_) => "histogram",
    };
    if open_metrics {
        let base = row.name.strip_suffix("_total").unwrap_or(row.name);
        push_type(out, base, word);
        push_help(out, base, row.meaning, true);
    } else {
        push_help(out, row.name, row.meaning, false);
        push_type(out, row.name, word);
    }
}

/// One sample line.
pub(super) fn line(
    out: &mut Vec<u8>,
    row: &FamilyRow,
    suffix: &str,
    labels: &[impl AsRef<str>],
    le: Option<&str>,
    number: f64,
) {
    out.extend_from_slice(row.name.as_bytes());
    out.extend_from_slice(suffix.as_bytes());
    let mut any = false;
    let values = labels.iter().map(AsRef::as_ref);
    for (name, value) in row.labels.iter().copied().zip(values).chain(le.map(|le| ("le", le))) {
        out.push(if any { b',' } else { b'{' });
        any = true;
        push_label(out, name, value);
    }
    if any {
        out.push(b'}');
    }
    out.push(b' ');
    push_sample(out, number);
    out.push(b'\n');
}
