//! What is remembered, for how long, and what is left out.

use super::*;

const SECOND: i64 = 1000;

fn history(keep_ms: i64) -> History {
    let mut history = History::new(1 << 20);
    history.want("a", &[], keep_ms, Use::Rules);
    history
}

fn labels(text: &str) -> Labels {
    Labels::new([("n", text)])
}

/// A look that shows these.
fn look(history: &mut History, at_ms: i64, shown: &[(&str, &str, f64)]) {
    history.begin(at_ms);
    for (name, of, value) in shown {
        history.add(name, labels(of).text(), *value);
    }
    history.end(|_| true);
    history.settle();
}

fn between(history: &History, from: i64, to: i64) -> Vec<(i64, f64)> {
    history.series("a").flat_map(|(_, past)| past.between(from, to).collect::<Vec<_>>()).collect()
}

fn values(history: &History, name: &str, at_ms: i64) -> Vec<(String, Option<f64>)> {
    let series = history.series(name);
    series.map(|(labels, past)| (labels.get("n").to_owned(), past.at(at_ms))).collect()
}

#[test]
fn what_stands_still_takes_no_room_and_reads_as_it_was() {
    let mut history = history(60 * SECOND);
    look(&mut history, 0, &[("a", "x", 1.0)]);
    let (first, _) = history.taken_of();
    for at in 1..8 {
        look(&mut history, at * SECOND, &[("a", "x", 1.0)]);
    }
    assert!(history.taken_of().0 < first + 8 * 16, "{:?}", history.taken_of());
    look(&mut history, 8 * SECOND, &[("a", "x", 2.0)]);
    look(&mut history, 9 * SECOND, &[("a", "x", 2.0)]);
    assert_eq!(between(&history, 6000, 8500), [(6000, 1.0), (7000, 1.0), (8000, 2.0)]);
    let (_, past) = history.series("a").next().unwrap();
    assert_eq!((past.at(7999), past.at(8000)), (Some(1.0), Some(2.0)));
    assert_eq!(past.at(9000 + LOOKBACK_MS), None);
    // A value that began before all that is kept is still known at the border.
    for at in 10..200 {
        look(&mut history, at * SECOND, &[("a", "x", 2.0)]);
    }
    assert_eq!(between(&history, 0, 140 * SECOND), [(139_000, 2.0), (140_000, 2.0)]);
}

#[test]
fn a_series_that_is_not_shown_ends_and_is_forgotten() {
    let mut history = history(60 * SECOND);
    look(&mut history, 0, &[("a", "x", 1.0), ("unasked", "x", 1.0)]);
    assert_eq!(history.series_count(), 1);
    look(&mut history, 1000, &[]);
    assert_eq!(values(&history, "a", 1000), [("x".to_owned(), None)]);
    assert_eq!(values(&history, "a", 999), [("x".to_owned(), Some(1.0))]);
    look(&mut history, 2000, &[("a", "x", 3.0)]);
    assert_eq!(between(&history, 0, 2000), [(0, 1.0), (2000, 3.0)]);
    look(&mut history, 3000, &[]);
    look(&mut history, 63_000, &[]);
    assert_eq!((history.series_count(), history.labels.len()), (0, 0));
}

#[test]
fn a_look_that_does_not_ask_says_nothing() {
    let mut history = history(60 * SECOND);
    for at in [0, 2] {
        history.begin(at * SECOND);
        history.add("a", "", 1.0);
        history.begin((at + 1) * SECOND);
    }
    assert_eq!(between(&history, 0, 3000), [(0, 1.0), (2000, 1.0)]);
    let (_, past) = history.series("a").next().unwrap();
    assert_eq!((past.at(1000), past.at(3000)), (Some(1.0), Some(1.0)));
}

#[test]
fn series_may_come_in_any_order() {
    let mut history = history(0);
    let orders: [&[&str]; 5] = [
        &["p", "q", "r", "s"],
        &["p", "new", "q", "r", "s"],
        &["s", "r", "q", "p", "new"],
        &["s", "q", "new"],
        &["x", "s", "y", "q", "s", "z"],
    ];
    for (at, order) in (0..).zip(orders) {
        let shown: Vec<_> = order.iter().map(|of| ("a", *of, f64::from(at))).collect();
        look(&mut history, i64::from(at) * SECOND, &shown);
        let mut found = values(&history, "a", i64::from(at) * SECOND);
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let mut wanted: Vec<_> =
            order.iter().map(|of| ((*of).to_owned(), Some(f64::from(at)))).collect();
        wanted.sort_by(|a, b| a.0.cmp(&b.0));
        wanted.dedup();
        assert_eq!(found, wanted);
    }
}

#[test]
fn a_budget_is_kept_and_what_matters_least_goes_first() {
    let mut history = History::new(30_000);
    for (name, of) in [("rule", Use::Rules), ("list", Use::Lists), ("chart", Use::Charts)] {
        history.want(name, &[], 10 * SECOND, of);
    }
    history.want("small chart", &[], 10 * SECOND, Use::Charts);
    let mut shown: Vec<(&str, String, f64)> = vec![("small chart", String::new(), 1.0)];
    let mut gone = Vec::new();
    let mut at_ms = 0;
    let mut step = |history: &mut History, shown: &[(&str, String, f64)]| {
        at_ms += 100;
        history.begin(at_ms);
        for (name, of, value) in shown {
            history.add(name, labels(of).text(), *value);
        }
        history.end(|_| true);
        history.settle();
        let (taken, budget) = history.taken_of();
        assert!(taken <= budget && budget == 30_000, "{taken}");
        at_ms
    };
    for at in 0..600 {
        shown.extend(["rule", "list", "chart"].map(|name| (name, at.to_string(), 1.0)));
        step(&mut history, &shown);
        let mut out: Vec<_> = history.left_out().map(|(name, _)| name.to_owned()).collect();
        out.retain(|name| !gone.contains(name));
        gone.extend(out);
        if history.lacks("rule") {
            break;
        }
        assert_eq!(values(&history, "rule", at_ms_of(&history)).len(), at + 1);
    }
    assert_eq!(gone, ["chart", "list", "rule"]);
    // What has become small comes back.
    shown.truncate(4);
    let began_ms = step(&mut history, &shown);
    while history.left_out().count() > 0 {
        let now_ms = step(&mut history, &shown);
        assert!(now_ms < began_ms + 2 * 60 * 60 * SECOND);
    }
    step(&mut history, &shown);
    assert_eq!(history.series_count(), 4);
}

fn at_ms_of(history: &History) -> i64 {
    history.looks.last_ms().unwrap()
}

#[test]
fn more_at_once_than_there_is_room_for_is_refused_and_told() {
    let mut history = History::new(20_000);
    history.want("rule", &[], 10 * SECOND, Use::Rules);
    history.begin(0);
    for at in 0..10_000 {
        history.add("rule", labels(&at.to_string()).text(), 1.0);
    }
    assert!(history.lacks("rule") && history.series_count() < 200);
    assert!(history.taken_of().0 <= 20_000);
    // Room is made, in turn by what is larger.
    history.end(|_| true);
    history.settle();
    assert_eq!(history.left_out().collect::<Vec<_>>(), [("rule", Use::Rules)]);
}
