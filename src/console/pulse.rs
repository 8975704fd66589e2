//! Looks at the rules from time to time, and tells who waits that it did.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use pharos_alerting::{RuleError, Rules, Watch, WatchOptions};
use pharos_base::in_background;
use pharos_explain::RULES;

use crate::allowance::cpu_time;
use crate::limits::{FIRST_PAUSE, LONGEST_PAUSE, LONGEST_STRETCHED, PAUSE_PER_LOOK, WATCHER_PAUSE};
use crate::lines::{kept_names, own_rules};
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
            longest_pause(held_every)
        });
    }
}

/// Reads the pages and asks the rules. Gives the pause until the next look.
pub(crate) fn look(shared: &Arc<Shared>) -> Duration {
    if shared.pulse.borrow().at_ms == 0
        && let Err(error) = read_rules(shared)
    {
        tracing::error!(%error, "the console has no rules");
        return longest_pause(shared.every);
    }
    let (began, worked) = (Instant::now(), cpu_time());
    let at_ms = shared.registry.clock().now_ms();
    let mut watch = shared.watch.write();
    let wanted = watch.names();
    watch.begin(at_ms);
    for (job, page) in JOBS {
        let mut taking = watch.page(job);
        let mut each = |name: &str, labels: &str, value| taking.sample(name, labels, value);
        shared.pages.read(page, &|name| wanted.contains(name), &mut each);
    }
    watch.ask();
    drop(watch);
    let took = began.elapsed();
    // The clock on the wall tells of others on this machine, too.
    let cost = cpu_time().zip(worked).map_or(took, |(now, before)| now.saturating_sub(before));
    let pause = (cost * PAUSE_PER_LOOK).clamp(shared.every, longest_pause(shared.every));
    shared.pulse.send_replace(Pulse { at_ms, took, cost, pause });
    pause
}

/// The longest pause where looks cost much. The rules take rates of 5 minutes: it is not stretched
/// beyond what leaves two looks for them.
pub(crate) fn longest_pause(every: Duration) -> Duration {
    (every * LONGEST_PAUSE).min(LONGEST_STRETCHED).max(every)
}

/// Reads the rules, which takes too long for the start of a node.
///
/// # Errors
/// When a rule file that is compiled in is broken.
fn read_rules(shared: &Shared) -> Result<(), RuleError> {
    let longest_pause = longest_pause(shared.every);
    let own = own_rules(longest_pause);
    let rules = Rules::parse(RULES.iter().copied().chain([("own.yml", own.as_str())]))?;
    *shared.watch.write() = Watch::new(
        rules,
        WatchOptions {
            target: shared.target.clone(),
            outside: &OUTSIDE,
            kept: &kept_names(),
            budget_bytes: shared.memory_bytes,
            pause_ms: i64::try_from(longest_pause.as_millis()).unwrap_or(i64::MAX),
        },
    );
    Ok(())
}
