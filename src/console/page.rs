//! `/`: the page. What is wrong now stands in it already, for who has no scripts; the rest is drawn
//! from the JSON answers.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use crate::answer::of_type;
use crate::limits::MAX_ALERTS;
use crate::now::{Now, state};
use crate::shared::Shared;

const SHELL: &str = include_str!("web/index.html");

/// `/`.
pub(crate) async fn answer(State(shared): State<Arc<Shared>>) -> Response {
    shared
        .work(|shared| {
            let page = SHELL
                .replace("{node}", &shared.node_id.to_string())
                .replace("{now}", &html(&Now::of(shared)));
            of_type("text/html; charset=utf-8", page, true)
        })
        .await
}

/// What is wrong now, as a list.
fn html(now: &Now) -> String {
    let mut out = String::new();
    let kinds = |word| {
        let such = now.alerts.iter().filter(|alert| state(alert) == word);
        such.map(|alert| &alert.name).collect::<BTreeSet<_>>().len()
    };
    let verdict = match (now.not_ready.is_empty(), now.pulse.at_ms) {
        (false, _) => "This broker is not ready.".to_owned(),
        (true, 0) => "The first look is under way.".to_owned(),
        (true, _) => verdict(kinds("firing"), kinds("pending")),
    };
    let _ = write!(out, "<h1 class=\"verdict\">{}</h1>\n<ol class=\"alerts\">\n", escape(&verdict));
    for it in &now.not_ready {
        let (condition, reason) = (escape(it.condition), escape(&it.reason));
        let _ = writeln!(out, "<li class=\"alert\"><b>Not ready: {condition}.</b> {reason}</li>");
    }
    for alert in now.alerts.iter().take(MAX_ALERTS) {
        let said = |name: &str| escape(alert.annotations.get(name).map_or("", String::as_str));
        let (name, severity) = (escape(&alert.name), escape(alert.labels.get("severity")));
        let _ = writeln!(
            out,
            "<li class=\"alert\" data-severity=\"{severity}\"><b>{}</b> <span>{severity}, {}, since \
             <time>{}</time></span><p>{}</p><a href=\"/runbooks/{name}\">Runbook</a></li>",
            said("summary"),
            state(alert),
            utc(alert.since_ms),
            said("description"),
        );
    }
    if let more @ 1.. = now.alerts.len().saturating_sub(MAX_ALERTS) {
        let _ = writeln!(out, "<li>{more} more.</li>");
    }
    out.push_str("</ol>\n");
    out
}

/// What kinds of alerts that fire and that are pending come to, in the words of `web/views.js`.
fn verdict(firing: usize, pending: usize) -> String {
    let are = |count| if count == 1 { "is" } else { "are" };
    let things = if firing == 1 { "thing" } else { "things" };
    match (firing, pending) {
        (0, 0) => "Nothing is wrong.".to_owned(),
        (0, _) => format!("No alert fires, {pending} {} building up.", are(pending)),
        (_, 0) => format!("{firing} {things} {} wrong.", are(firing)),
        _ => {
            let (wrong, building) = (are(firing), are(pending));
            format!("{firing} {things} {wrong} wrong, {pending} more {building} building up.")
        }
    }
}

/// Text that may stand in an element or between quotes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// `YYYY-MM-DD HH:MM:SS UTC`, by the calendar of Howard Hinnant's `civil_from_days`.
fn utc(ms: i64) -> String {
    let seconds = ms.div_euclid(1000);
    let (days, time) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_never_markup() {
        assert_eq!(
            escape("<img src=x onerror=\"a('&')\">"),
            "&lt;img src=x onerror=&quot;a(&#39;&amp;&#39;)&quot;&gt;"
        );
    }

    #[test]
    fn the_verdict_counts_kinds() {
        assert_eq!(verdict(0, 0), "Nothing is wrong.");
        assert_eq!(verdict(0, 1), "No alert fires, 1 is building up.");
        assert_eq!(verdict(1, 0), "1 thing is wrong.");
        assert_eq!(verdict(2, 3), "2 things are wrong, 3 more are building up.");
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(951_826_154_000), "2000-02-29 12:09:14 UTC");
        assert_eq!(utc(1_795_279_758_123), "2026-11-21 16:49:18 UTC");
    }
}
