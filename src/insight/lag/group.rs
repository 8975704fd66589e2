//! The series of one group.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use pharos_coordinator::{GroupState, RebalanceCause, RebalanceReason, Rebalances};
use pharos_metrics::{Counter, Gauge, Registered};

use super::families::Families;
use super::position::seconds;
use super::snapshot::GroupSnapshot;
use super::topic::{Standing, Surroundings, TopicSeries, Watched};
use crate::events::{EventKind, Events, Happened};

/// Kafka's names of states. A dead group is one that is not there, so it never has that state.
const STATES: [&str; 7] = [
    "Assigning",
    "CompletingRebalance",
    "Dead",
    "Empty",
    "PreparingRebalance",
    "Reconciling",
    "Stable",
];

/// The series of one group.
#[derive(Debug)]
pub(super) struct GroupSeries {
    id: Arc<str>,
    members: Registered<Gauge>,
    generation: Registered<Gauge>,
    states: [Registered<Gauge>; STATES.len()],
    info: Option<Info>,
    rebalances: Vec<(RebalanceReason, Registered<Counter>)>,
    rebalanced: Arc<Mutex<Rebalances>>,
    _rebalance_seconds: Registered<()>,
    topics: BTreeMap<Arc<str>, TopicSeries>,
}

#[derive(Debug)]
struct Info {
    protocol: &'static str,
    assignor: String,
    _series: Registered<Gauge>,
}

impl GroupSeries {
    pub(super) fn new(families: &Families, around: &Surroundings, id: &Arc<str>) -> Self {
        let rebalances = RebalanceReason::ALL
            .map(|reason| (reason, families.rebalances.counter(&[id, reason.name()])));
        let rebalanced = Arc::<Mutex<Rebalances>>::default();
        let (clock, read) = (around.clock.clone(), rebalanced.clone());
        let rebalance_seconds = families.rebalance_seconds.gauge_fn(&[id], move || {
            let now_ms = i64::try_from(clock.monotonic().as_millis()).unwrap_or(i64::MAX);
            seconds(read.lock().total_ms(now_ms))
        });
        Self {
            id: id.clone(),
            members: families.members.gauge(&[id]),
            generation: families.generation.gauge(&[id]),
            states: STATES.map(|state| families.state.gauge(&[id, state])),
            info: None,
            rebalances: rebalances.into(),
            rebalanced,
            _rebalance_seconds: rebalance_seconds,
            topics: BTreeMap::new(),
        }
    }

    /// Takes over what the coordinator knows now.
    pub(super) fn follow(
        &mut self,
        families: &Families,
        around: &Surroundings,
        snapshot: &GroupSnapshot,
    ) {
        let group = &snapshot.group;
        self.members.set(group.members as f64);
        self.generation.set(f64::from(group.generation));
        for (name, series) in STATES.iter().zip(&self.states) {
            series.set(if *name == group.state.name() { 1.0 } else { 0.0 });
        }
        self.describe(families, group.state, &group.protocol);
        self.count(group.rebalances, group.last_cause.as_ref(), &around.events);
        let of_topics = || snapshot.offsets.chunk_by(|a, b| a.topic == b.topic);
        for offsets in of_topics() {
            let Some(first) = offsets.first() else { continue };
            if !self.topics.contains_key(&first.topic) {
                let series = TopicSeries::new(families, &self.id, &first.topic);
                self.topics.insert(first.topic.clone(), series);
            }
            if let Some(series) = self.topics.get_mut(&first.topic) {
                series.follow(families, around, offsets);
            }
        }
        if self.topics.len() > of_topics().count() {
            let topics = of_topics().filter_map(|of| Some(&of.first()?.topic));
            let stay: BTreeSet<&Arc<str>> = topics.collect();
            self.topics.retain(|topic, _| stay.contains(topic));
        }
    }

    fn describe(&mut self, families: &Families, state: GroupState, assignor: &str) {
        let protocol = if state.is_classic() { "classic" } else { "consumer" };
        let same = |info: &Info| info.protocol == protocol && info.assignor == assignor;
        if !self.info.as_ref().is_some_and(same) {
            let series = families.info.gauge(&[&self.id, protocol, assignor]);
            series.set(1.0);
            self.info = Some(Info { protocol, assignor: assignor.to_owned(), _series: series });
        }
    }

    fn count(&mut self, now: Rebalances, last: Option<&RebalanceCause>, events: &Events) {
        let before = std::mem::replace(&mut *self.rebalanced.lock(), now);
        for (reason, series) in &self.rebalances {
            let more = now.count(*reason).saturating_sub(before.count(*reason));
            series.increment(more);
            if more > 0 {
                let times = if more > 1 { format!(" {more} times") } else { String::new() };
                // Who set off earlier ones is no longer known.
                let member = last.filter(|last| last.reason == *reason && more == 1);
                let member = member.and_then(|last| last.member.as_ref());
                let of = member.map_or_else(String::new, |id| format!(" of {id}"));
                events.record(Happened {
                    kind: EventKind::Rebalance,
                    subject: self.id.to_string(),
                    text: format!("rebalanced{times}: {}{of}", reason.name()),
                });
            }
        }
    }

    /// How each partition stands, by topic and number.
    pub(super) fn standings(&self, now_ms: i64) -> impl Iterator<Item = Standing> {
        self.topics.values().flat_map(move |topic| topic.standings(now_ms))
    }

    pub(super) fn watched(&self) -> impl Iterator<Item = Watched> {
        self.topics.values().map(TopicSeries::watched)
    }
}
