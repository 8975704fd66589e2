//! Which hot keys of a partition are shown: at most ten, those that surely have most, and each for
//! five minutes at least, so that a partition makes few series whatever its keys do.

use std::time::Duration;

use super::KeyName;
use super::window::Estimate;

/// Keys of a partition that are shown.
pub(super) const MAX_SHOWN: usize = 10;
/// How long a key stays at least.
pub(super) const SHOWN_FOR: Duration = Duration::from_secs(5 * 60);

/// A key that is shown, with whatever shows it.
#[derive(Debug)]
pub(super) struct Shown<S> {
    pub(super) name: KeyName,
    since: Duration,
    pub(super) series: S,
}

/// Brings what is shown to what is `hot` now, the surest first; `show` makes what shows a key.
pub(super) fn settle<S>(
    shown: &mut Vec<Shown<S>>,
    hot: &[(KeyName, Estimate)],
    now: Duration,
    mut show: impl FnMut(KeyName) -> S,
) {
    let stays = |it: &Shown<S>| now.saturating_sub(it.since) < SHOWN_FOR;
    let rank = |name: KeyName| hot.iter().position(|(hot, _)| *hot == name);
    shown.retain(|it| stays(it) || rank(it.name).is_some());
    for (at, (name, _)) in hot.iter().enumerate() {
        if shown.iter().any(|it| it.name == *name) {
            continue;
        }
        if shown.len() >= MAX_SHOWN {
            let last = shown
                .iter()
                .enumerate()
                .filter(|(_, it)| !stays(it))
                .max_by_key(|(_, it)| rank(it.name));
            match last {
                Some((place, it)) if rank(it.name) > Some(at) => drop(shown.swap_remove(place)),
                _ => return,
            }
        }
        shown.push(Shown { name: *name, since: now, series: show(*name) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settles at so many seconds, and tells which keys are shown.
    fn at(shown: &mut Vec<Shown<()>>, seconds: u64, hot: &[KeyName]) -> Vec<KeyName> {
        let estimate = Estimate { count: 1, error: 0 };
        let hot: Vec<_> = hot.iter().map(|name| (*name, estimate)).collect();
        settle(shown, &hot, Duration::from_secs(seconds), |_| ());
        let mut names: Vec<_> = shown.iter().map(|it| it.name).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_key_stays_five_minutes_and_as_long_as_it_is_hot() {
        let mut shown = Vec::new();
        assert_eq!(at(&mut shown, 0, &[1, 2]), [1, 2]);
        assert_eq!(at(&mut shown, 100, &[3]), [1, 2, 3]);
        assert_eq!(at(&mut shown, 299, &[1]), [1, 2, 3]);
        assert_eq!(at(&mut shown, 300, &[1]), [1, 3]);
        assert_eq!(at(&mut shown, 400, &[]), Vec::<KeyName>::new());
    }

    #[test]
    fn ten_at_most_and_who_has_more_takes_the_place_of_who_was_shown_long_enough() {
        let mut shown = Vec::new();
        let first: Vec<_> = (1..=12).collect();
        assert_eq!(at(&mut shown, 0, &first), Vec::from_iter(1..=10));
        // Hotter ones wait while each is younger than five minutes, then the least hot ones go.
        let hotter: Vec<_> = [20, 21].into_iter().chain(1..=12).collect();
        assert_eq!(at(&mut shown, 299, &hotter), Vec::from_iter(1..=10));
        let expected: Vec<_> = (1..=8).chain([20, 21]).collect();
        assert_eq!(at(&mut shown, 300, &hotter), expected);
        // Those that are no longer hot made room before.
        assert_eq!(at(&mut shown, 310, &[1, 30]), [1, 20, 21, 30]);
    }
}
