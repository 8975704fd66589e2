//! Looks at the rules from time to time, and tells who waits that it did.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use pharos_alerting::{RuleError, Rules, Watch};
use pharos_base::in_background;
use pharos_explain::RULES;
use pharos_metrics::Format;

use crate::limits::{FIRST_PAUSE, LONGEST_PAUSE, PAUSE_PER_LOOK, WATCHER_PAUSE};
use crate::lines::{OWN_RULES, kept_lines};
use crate::shared::{Pulse, Shared};

/// Alerts that only those can see who scrape.
const OUTSIDE: [(&str, &str); 5] = [
    ("Watchdog", "it fires always, to show that alerts arrive"),
    ("BrokerDown", "only who scrapes a broker sees that it does not answer"),
    ("NoBrokers", "only Prometheus knows its targets"),
    ("BrokerNotScraped", "only Prometheus knows its targets"),
    ("ScrapeFailing", "only who scrapes a page sees that it does not answer"),
];

/// The jobs of the shipped prometheus.yml and the pages that they scrape.
const JOBS: [(&str, &str); 2] = [("pharos", "default"), ("pharos-native", "native")];

/// Looks until nobody holds the console any more; from the moment that somebody watches the node, by
/// a scrape or a visit: a node that nobody watches keeps no past.
pub(crate) async fn keep_looking(shared: Weak<Shared>) {
    let mut pause = FIRST_PAUSE;
    loop {
        tokio::time::sleep(pause).await;
        let Some(held) = shared.upgrade() else { return };
        if !held.is_watched() {
            pause = WATCHER_PAUSE;
            continue;
        }
        let held_every = held.every;
        let look = match in_background("look", move || look(&held)) {
            Ok(look) => look.await.map_err(|_| "it panicked".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        pause = look.unwrap_or_else(|why| {
            tracing::error!(why, "looking at the alert rules failed");
            held_every * LONGEST_PAUSE
        });
    }
}

/// Reads the pages and asks the rules. Gives the pause until the next look.
pub(crate) fn look(shared: &Arc<Shared>) -> Duration {
    if shared.pulse.borrow().at_ms == 0
        && let Err(error) = read_rules(shared)
    {
        tracing::error!(%error, "the console has no rules");
        return shared.every * LONGEST_PAUSE;
    }
    let (began, worked) = (Instant::now(), cpu_time());
    let pages = JOBS.map(|(job, page)| {
        let text = shared.pages.peek(page, Format::Text).unwrap_or_default();
        (job, text)
    });
    let pages: Vec<_> = pages
        .iter()
        .filter_map(|(job, text)| Some((*job, std::str::from_utf8(text).ok()?)))
        .collect();
    let at_ms = shared.registry.clock().now_ms();
    shared.watch.write().step(at_ms, &pages);
    let took = began.elapsed();
    // The clock on the wall tells of others on this machine, too.
    let cost = cpu_time().zip(worked).map_or(took, |(now, before)| now.saturating_sub(before));
    let pause = (cost * PAUSE_PER_LOOK).clamp(shared.every, shared.every * LONGEST_PAUSE);
    shared.pulse.send_replace(Pulse { at_ms, took, pause });
    pause
}

/// Reads the rules, which takes too long for the start of a node.
///
/// # Errors
/// When a rule file that is compiled in is broken.
fn read_rules(shared: &Shared) -> Result<(), RuleError> {
    let rules = Rules::parse(RULES.iter().copied().chain([OWN_RULES]))?;
    *shared.watch.write() = Watch::new(rules, shared.target.clone(), &OUTSIDE, &kept_lines());
    Ok(())
}

/// What this thread has worked so far, where the system tells it.
fn cpu_time() -> Option<Duration> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    told.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}
