//! How often and how long a group rebalanced, and why. Not stored: it counts since this
//! coordinator has the group.

use std::sync::Arc;

/// What set off a rebalance; the names are label values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RebalanceReason {
    /// A member joined.
    Join,
    /// A member left.
    Leave,
    /// A member was not heard of in time.
    SessionTimeout,
    /// A member did not join, sync or give up its partitions in time.
    RebalanceTimeout,
    /// A member reads other topics, or brings other metadata.
    Subscription,
    /// Topics changed, or a classic leader asked for it.
    Metadata,
    /// An administrator removed a member.
    Admin,
    /// The coordinator lost or could not store what it had begun.
    Load,
}

impl RebalanceReason {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Join,
        Self::Leave,
        Self::SessionTimeout,
        Self::RebalanceTimeout,
        Self::Subscription,
        Self::Metadata,
        Self::Admin,
        Self::Load,
    ];

    /// The label value.
    pub fn name(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Leave => "leave",
            Self::SessionTimeout => "session_timeout",
            Self::RebalanceTimeout => "rebalance_timeout",
            Self::Subscription => "subscription",
            Self::Metadata => "metadata",
            Self::Admin => "admin",
            Self::Load => "load",
        }
    }
}

/// What set off a rebalance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RebalanceCause {
    /// What happened.
    pub reason: RebalanceReason,
    /// The id of the member that it happened to; none where it was no member.
    pub member: Option<Arc<str>>,
}

/// The rebalances of one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rebalances {
    counts: [u64; RebalanceReason::ALL.len()],
    finished_ms: i64,
    /// Monotonic.
    began_ms: Option<i64>,
}

impl Rebalances {
    /// Rebalances that `reason` set off.
    pub fn count(&self, reason: RebalanceReason) -> u64 {
        self.counts.get(reason as usize).copied().unwrap_or(0)
    }

    /// Milliseconds spent in rebalances up to `now_ms`, monotonic time; the present one counts.
    pub fn total_ms(&self, now_ms: i64) -> i64 {
        let present = self.began_ms.map_or(0, |began_ms| now_ms.saturating_sub(began_ms).max(0));
        self.finished_ms.saturating_add(present)
    }

    /// A rebalance began; one that was under way goes on.
    pub fn begin(&mut self, reason: RebalanceReason, now_ms: i64) {
        if let Some(count) = self.counts.get_mut(reason as usize) {
            *count = count.saturating_add(1);
        }
        self.began_ms.get_or_insert(now_ms);
    }

    /// Everybody has its assignment, or nobody is left. Returns how long that took, if one was
    /// under way.
    pub(crate) fn end(&mut self, now_ms: i64) -> Option<i64> {
        let took_ms = now_ms.saturating_sub(self.began_ms.take()?).max(0);
        self.finished_ms = self.finished_ms.saturating_add(took_ms);
        Some(took_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumer::tests::{Client, prompt};
    use crate::testing::{Rig, config, join_request, leave_request, sync_request};

    #[test]
    fn the_places_of_the_reasons_are_their_order() {
        for (index, reason) in RebalanceReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
        }
    }

    fn seen(rig: &Rig, group: &str) -> String {
        let rebalances = rig.shard.group(group).unwrap().rebalances;
        let counted = RebalanceReason::ALL.into_iter().filter(|one| rebalances.count(*one) > 0);
        let text: Vec<String> =
            counted.map(|one| format!("{}:{}", one.name(), rebalances.count(one))).collect();
        format!("{} {}ms", text.join(" "), rebalances.total_ms(rig.now.monotonic_ms))
    }

    fn last(rig: &Rig) -> (RebalanceReason, Option<String>) {
        let cause = rig.shard.group("g").unwrap().last_cause.unwrap();
        (cause.reason, cause.member.map(|id| id.to_string()))
    }

    #[test]
    fn classic_rebalances_are_counted_and_timed() {
        let mut rig = Rig::new(config());
        let (id, token) = rig.join_new("g", &["a"]);
        let generation = rig.joined(token).unwrap().generation_id;
        rig.advance(700);
        rig.ask(sync_request("g", &id, generation, &[(&id, "x")]));
        assert_eq!(seen(&rig, "g"), "join:1 700ms");
        assert_eq!(last(&rig), (RebalanceReason::Join, Some(id.to_string())));
        let token = rig.join(join_request("g", &id, &["a"]));
        let generation = rig.joined(token).unwrap().generation_id;
        rig.advance(300);
        rig.ask(sync_request("g", &id, generation, &[(&id, "x")]));
        assert_eq!(seen(&rig, "g"), "join:1 metadata:1 1000ms");
        assert_eq!(last(&rig), (RebalanceReason::Metadata, Some(id.to_string())));
        rig.advance(11_000);
        assert_eq!(seen(&rig, "g"), "join:1 session_timeout:1 metadata:1 1000ms");
        assert_eq!(last(&rig), (RebalanceReason::SessionTimeout, Some(id.to_string())));
        let (id, _) = rig.join_new("g", &["a"]);
        rig.ask(leave_request("g", &[(&id, None)]));
        assert_eq!(last(&rig), (RebalanceReason::Leave, Some(id.to_string())));
        assert_eq!(seen(&rig, "g"), "join:2 leave:1 session_timeout:1 metadata:1 1000ms");
    }

    #[test]
    fn consumer_rebalances_are_counted_and_timed() {
        let mut rig = Rig::new(prompt());
        let mut one = Client::new("g", "one", &["a"]);
        let mut two = Client::new("g", "two", &["a"]);
        one.beat(&mut rig);
        assert_eq!(seen(&rig, "g"), "join:1 0ms");
        two.beat(&mut rig);
        rig.advance(500);
        for client in [&mut one, &mut two] {
            client.beat(&mut rig);
        }
        one.beat(&mut rig);
        two.beat(&mut rig);
        assert_eq!(seen(&rig, "g"), "join:2 500ms");
        assert_eq!(last(&rig), (RebalanceReason::Join, Some("two".to_owned())));
        two.topics = vec!["b".to_owned()];
        two.beat(&mut rig);
        assert_eq!(last(&rig), (RebalanceReason::Subscription, Some("two".to_owned())));
        two.leave(&mut rig, -1);
        assert_eq!(last(&rig), (RebalanceReason::Leave, Some("two".to_owned())));
        rig.advance(45_001);
        let counts = "join:2 leave:1 session_timeout:1 subscription:1";
        assert!(seen(&rig, "g").starts_with(counts), "{}", seen(&rig, "g"));
    }
}
