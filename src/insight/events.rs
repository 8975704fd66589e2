//! What happened on this node and in its cluster, in order: a bounded memory for the timeline, and
//! `pharos_events_total` by kind.
//!
//! Every event is remembered and counted once. It refuses to explain: whoever records an event
//! says in one sentence what happened to which thing.

mod metadata;

use std::collections::VecDeque;

use parking_lot::Mutex;
use pharos_base::Clock;
use pharos_metrics::catalog::native as rows;
use pharos_metrics::{Counter, Registered, Registry};

pub use self::metadata::of_metadata;

/// Events remembered; older ones are forgotten.
pub const MAX_EVENTS: usize = 10_000;
/// Bytes of a subject or a text that are kept: names come from clients.
const MAX_TEXT_BYTES: usize = 256;

/// The kind of an event; its name is the label value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum EventKind {
    /// A partition has another leader.
    Election,
    /// A leader was elected outside the in-sync replicas: records may be lost.
    UncleanElection,
    /// A broker was fenced or came back.
    Fencing,
    /// A group began to share its partitions out anew.
    Rebalance,
    /// The configuration of something changed.
    ConfigChange,
    /// A topic was created, deleted or given more partitions.
    Topic,
    /// This node started, and what it had to recover.
    Recovery,
    /// A log directory went offline.
    LogDirectory,
    /// A file was read anew: rules, certificates, users.
    Reload,
}

impl EventKind {
    /// All of them, in the order of their discriminants.
    pub const ALL: [Self; 9] = [
        Self::Election,
        Self::UncleanElection,
        Self::Fencing,
        Self::Rebalance,
        Self::ConfigChange,
        Self::Topic,
        Self::Recovery,
        Self::LogDirectory,
        Self::Reload,
    ];

    /// The label value.
    pub fn name(self) -> &'static str {
        match self {
            Self::Election => "election",
            Self::UncleanElection => "unclean_election",
            Self::Fencing => "fencing",
            Self::Rebalance => "rebalance",
            Self::ConfigChange => "config_change",
            Self::Topic => "topic",
            Self::Recovery => "recovery",
            Self::LogDirectory => "log_directory",
            Self::Reload => "reload",
        }
    }
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Grows by one with each event since the start of the process, from 1.
    pub id: u64,
    /// In ms since 1970.
    pub time_ms: i64,
    /// Its kind.
    pub kind: EventKind,
    /// The thing it happened to: a topic, a partition, a group, a broker, a file.
    pub subject: String,
    /// What happened, in one sentence.
    pub text: String,
}

/// An event before it is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    /// Its kind.
    pub kind: EventKind,
    /// The thing it happened to.
    pub subject: String,
    /// What happened.
    pub text: String,
}

/// The events of a node.
#[derive(Debug)]
pub struct Events {
    clock: Clock,
    /// In the order of [`EventKind::ALL`].
    counters: [Registered<Counter>; EventKind::ALL.len()],
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    last_id: u64,
    events: VecDeque<Event>,
}

impl Events {
    /// No events yet; every kind is counted from 0.
    pub fn new(registry: &Registry) -> Self {
        let family = registry.family(&rows::PHAROS_EVENTS_TOTAL);
        Self {
            clock: registry.clock().clone(),
            counters: EventKind::ALL.map(|kind| family.counter(&[kind.name()])),
            log: Mutex::default(),
        }
    }

    /// Remembers and counts an event of now.
    pub fn record(&self, happened: Happened) {
        let Happened { kind, subject, text } = happened;
        let mut log = self.log.lock();
        log.last_id += 1;
        if log.events.len() == MAX_EVENTS {
            log.events.pop_front();
        }
        let event = Event {
            id: log.last_id,
            time_ms: self.clock.now_ms(),
            kind,
            subject: shortened(subject),
            text: shortened(text),
        };
        log.events.push_back(event);
        drop(log);
        if let Some(counter) = self.counters.get(kind as usize) {
            counter.increment(1);
        }
    }

    /// Up to `limit` events with ids above `after`, oldest first. A gap between `after` and the
    /// first id says that events were forgotten.
    pub fn after(&self, after: u64, limit: usize) -> Vec<Event> {
        let log = self.log.lock();
        let from = log.events.partition_point(|event| event.id <= after);
        log.events.range(from..).take(limit).cloned().collect()
    }
}

fn shortened(mut text: String) -> String {
    if text.len() > MAX_TEXT_BYTES {
        let end = (0..=MAX_TEXT_BYTES - '…'.len_utf8()).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn happened(kind: EventKind, subject: &str) -> Happened {
        Happened { kind, subject: subject.to_owned(), text: "something".to_owned() }
    }

    #[test]
    fn an_event_is_remembered_and_counted_once() {
        let (clock, hand) = Clock::simulated(1000);
        let registry = Registry::new(clock);
        let events = Events::new(&registry);
        let family = registry.family(&rows::PHAROS_EVENTS_TOTAL);
        for kind in EventKind::ALL {
            assert_eq!(family.read(&[kind.name()]), Some(0.0));
        }
        events.record(happened(EventKind::Election, "t-0"));
        hand.advance(std::time::Duration::from_millis(5));
        events.record(happened(EventKind::Reload, "mine.yml"));
        assert_eq!(family.read(&["election"]), Some(1.0));
        assert_eq!(family.read(&["reload"]), Some(1.0));
        let found = events.after(1, 10);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].id, found[0].time_ms, &*found[0].subject), (2, 1005, "mine.yml"));
        assert_eq!(events.after(0, 1)[0].id, 1);
        assert_eq!(events.after(2, 10), []);
    }

    #[test]
    fn the_oldest_are_forgotten_and_long_names_are_cut() {
        let events = Events::new(&Registry::new(Clock::simulated(0).0));
        for _ in 0..MAX_EVENTS + 7 {
            events.record(happened(EventKind::Topic, &"ü".repeat(300)));
        }
        let all = events.after(0, usize::MAX);
        assert_eq!((all.len(), all[0].id), (MAX_EVENTS, 8));
        assert!(all[0].subject.len() <= MAX_TEXT_BYTES && all[0].subject.ends_with('…'));
    }
}
