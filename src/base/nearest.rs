//! The known name that an unknown one was most likely meant to be.

/// The candidate that `name` differs least from, when it is near enough to be a slip: at most a
/// third of the name's characters inserted, removed, replaced or swapped. Names of more than 200
/// bytes have none, so that the work stays bounded.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > 200 {
        return None;
    }
    let limit = (name.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edit distance with swaps of neighbours (optimal string alignment), capitals not counted.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().map(|c| c.to_ascii_lowercase()).collect();
    let right: Vec<char> = right.chars().map(|c| c.to_ascii_lowercase()).collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (row, a) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, b) in right.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX);
            let replaced = at(&last, column).saturating_add(usize::from(a != b));
            let removed = at(&last, column + 1).saturating_add(1);
            let inserted = at(&current, column).saturating_add(1);
            let mut best = replaced.min(removed).min(inserted);
            let swapped = row > 0
                && column > 0
                && left.get(row - 1) == Some(b)
                && right.get(column - 1) == Some(a);
            if swapped {
                best = best.min(at(&before_last, column - 1).saturating_add(1));
            }
            current.push(best);
        }
        before_last = last;
        last = current;
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_their_name() {
        let names = ["num.partitions", "num.io.threads", "log.dirs", "log.dir"];
        let cases = [
            ("num.partition", Some("num.partitions")),
            ("nmu.partitions", Some("num.partitions")),
            ("Log.Dirs", Some("log.dirs")),
            ("log.dris", Some("log.dirs")),
            ("zzz", None),
            ("", None),
        ];
        for (name, expected) in cases {
            assert_eq!(nearest(name, names), expected, "{name}");
        }
        assert_eq!(nearest(&"x".repeat(201), names), None);
    }

    #[test]
    fn distances_count_edits() {
        for (left, right, expected) in
            [("", "abc", 3), ("abc", "abc", 0), ("ab", "ba", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(left, right), expected, "{left} {right}");
        }
    }
}
