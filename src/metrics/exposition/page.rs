//! One page: what a rule set makes of the beans, the native families, and what the page tells of
//! itself, written in one go, in any format.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use super::collector::{ABSENT, Collector};
use super::group::{Drops, Group};
use super::leaf::Origin;
use super::protobuf::ProtobufWriter;
use super::reader::Reader;
use super::text_writer::TextWriter;
use super::writer::{Head, PageWriter, Pairs};
use super::{Format, native};
use crate::bean::Bean;
use crate::catalog::native as rows;
use crate::instruments::StartTime;
use crate::registry::{Listener, Registry};
use crate::rules::evaluate::Reason;
use crate::rules::{Generation, Kind, RuleSet};

/// The page of native families alone.
pub(super) const NATIVE: &str = "native";
/// The page of `/metrics` in the label `page`.
pub(super) const MAIN: &str = "metrics";

/// When a node's pages were set up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Began {
    /// By the registry's clock.
    pub(super) at: Duration,
    pub(super) started: Option<StartTime>,
}

/// One rule set and what its scrapes did.
pub(super) struct Page {
    name: String,
    /// When the rule set begins to be shown, by the registry's clock.
    rules_from: Duration,
    /// Since when what is dropped is counted.
    started: Option<StartTime>,
    changes: Mutex<Vec<Change>>,
    state: Mutex<State>,
}

enum Change {
    Added(Arc<Bean>),
    Removed(u64),
}

struct State {
    collector: Option<Collector>,
    follows: bool,
    dropped: Drops,
    last_cached: u64,
    last_error: bool,
    /// Size of the last rendering, in bytes.
    size: usize,
    /// How long it took.
    last_seconds: Option<f64>,
}

impl Page {
    /// The page of a rule set, or of the native families without one.
    pub(super) fn new(name: &str, rules: Option<RuleSet>, began: Began) -> Arc<Self> {
        let delay = rules.as_ref().map_or(Duration::ZERO, RuleSet::start_delay);
        Arc::new(Self {
            name: name.to_owned(),
            rules_from: began.at.saturating_add(delay),
            started: began.started,
            changes: Mutex::default(),
            state: Mutex::new(State {
                collector: rules.map(|rules| Collector::new(Arc::new(rules))),
                follows: false,
                dropped: Drops::default(),
                last_cached: 0,
                last_error: false,
                size: 4096,
                last_seconds: None,
            }),
        })
    }

    /// Takes over what must not fall because rules were read anew.
    pub(super) fn go_on_from(&self, old: &Self) {
        let dropped = old.state.lock().dropped.clone();
        self.state.lock().dropped = dropped;
    }

    /// Follows the registry from now on.
    pub(super) fn follow(self: &Arc<Self>, registry: &Registry) {
        self.begin_to_follow(&mut self.state.lock(), registry);
    }

    fn begin_to_follow(self: &Arc<Self>, state: &mut State, registry: &Registry) {
        if state.follows || state.collector.is_none() {
            return;
        }
        state.follows = true;
        let listener: Arc<dyn Listener> = self.clone();
        registry.listen(&listener);
        self.take_in(state);
    }

    fn take_in(&self, state: &mut State) {
        let changes = std::mem::take(&mut *self.changes.lock());
        let Some(collector) = &mut state.collector else { return };
        for change in changes {
            match change {
                Change::Added(bean) => collector.add(bean.id, Origin::Live(bean)),
                Change::Removed(id) => collector.remove(id),
            }
        }
    }

    /// The whole page as it is now, with the native families or without.
    pub(super) fn render(
        self: &Arc<Self>,
        registry: &Registry,
        format: Format,
        with_native: bool,
    ) -> Bytes {
        let mut state = self.state.lock();
        let state = &mut *state;
        self.begin_to_follow(state, registry);
        let capacity = state.size + state.size / 8;
        let page = match format {
            Format::Text => {
                self.write(state, registry, with_native, TextWriter::new(capacity, false))
            }
            Format::OpenMetrics => {
                self.write(state, registry, with_native, TextWriter::new(capacity, true))
            }
            Format::Protobuf => {
                self.write(state, registry, with_native, ProtobufWriter::new(capacity))
            }
        };
        state.size = page.len();
        Bytes::from(page)
    }

    /// Shows the samples of the names that are `wanted` to `each`. What the page tells of its rendering
    /// is as of the last one.
    pub(super) fn read(
        self: &Arc<Self>,
        registry: &Registry,
        with_native: bool,
        wanted: &dyn Fn(&str) -> bool,
        each: &mut dyn FnMut(&str, &str, f64),
    ) {
        let mut state = self.state.lock();
        let state = &mut *state;
        self.begin_to_follow(state, registry);
        let last_seconds = state.last_seconds;
        let reader = Reader::new(state.size, last_seconds, wanted, each);
        self.write(state, registry, with_native, reader);
        state.last_seconds = last_seconds;
    }

    fn write(
        &self,
        state: &mut State,
        registry: &Registry,
        with_native: bool,
        mut out: impl PageWriter,
    ) -> Vec<u8> {
        let started = registry.clock().monotonic();
        self.take_in(state);
        let mut samples = 0;
        let mut dropped = Drops::default();
        let waits = started < self.rules_from;
        if let Some(collector) = state.collector.as_mut().filter(|_| !waits) {
            collector.refresh();
            let seconds = (registry.clock().monotonic().saturating_sub(started)).as_secs_f64();
            let own = Own::of(collector, state.last_cached, state.last_error, Some(seconds));
            samples += write_rules(&mut out, collector, &own, &mut dropped);
            (state.last_cached, state.last_error) = now(collector);
        } else if waits {
            samples += Own::new(0, true, Some(0.0)).write(&mut out);
        }
        if with_native {
            let shown = state.collector.as_ref().filter(|_| !waits);
            let taken = |name: &str| shown.is_some_and(|collector| takes(collector, name));
            let (written, left_out) = native::write(&mut out, registry.families(), taken);
            samples += written;
            dropped.add(Reason::FamilyTaken, left_out);
            limits(&mut out, registry, &mut samples);
        }
        self.count(&mut state.dropped, &dropped);
        let elapsed = registry.clock().monotonic().saturating_sub(started).as_secs_f64();
        let elapsed = out.last_seconds().unwrap_or(elapsed);
        state.last_seconds = Some(elapsed);
        self.about(&mut out, with_native, &state.dropped, samples, elapsed);
        out.finish()
    }

    /// The page about itself, up to here.
    #[expect(clippy::cast_precision_loss, reason = "samples are doubles")]
    fn about(
        &self,
        out: &mut impl PageWriter,
        with_native: bool,
        dropped: &Drops,
        samples: u64,
        seconds: f64,
    ) {
        let page = if with_native && self.name != NATIVE { MAIN } else { &self.name };
        let row = &rows::PHAROS_SCRAPE_DROPPED_SAMPLES_TOTAL;
        out.begin(row.into());
        for reason in Reason::ALL {
            let count = dropped.iter().find(|(have, _)| *have == reason).map_or(0, |(_, n)| n);
            let labels = [page, reason.name()];
            out.sample(Pairs::new(row, &labels), count as f64, self.started);
        }
        let samples = samples + Reason::ALL.len() as u64;
        for (row, number) in [
            (&rows::PHAROS_SCRAPE_DURATION_SECONDS, seconds),
            (&rows::PHAROS_SCRAPE_SERIES, samples as f64),
        ] {
            out.begin(row.into());
            out.sample(Pairs::new(row, &[page]), number, None);
        }
        let row = &rows::PHAROS_SCRAPE_SIZE_BYTES;
        out.begin(row.into());
        let size = out.len() as f64;
        out.sample(Pairs::new(row, &[page]), size, None);
    }

    /// Adds this scrape's drops to the page's counters; the first of a kind is logged.
    fn count(&self, all: &mut Drops, now: &Drops) {
        for (reason, count) in now.iter() {
            if !all.iter().any(|(have, _)| have == reason) {
                let reason = reason.name();
                tracing::warn!(page = %self.name, reason, count, "samples are not written");
            }
            all.add(reason, count);
        }
    }
}

impl Listener for Page {
    fn added(&self, bean: &Arc<Bean>) {
        self.changes.lock().push(Change::Added(bean.clone()));
    }

    fn removed(&self, id: u64) {
        self.changes.lock().push(Change::Removed(id));
    }

    fn settle(&self) {
        self.take_in(&mut self.state.lock());
    }
}

/// The exporter's families about itself.
struct Own(Vec<(&'static str, &'static str, f64)>);

impl Own {
    /// 0.x tells of this scrape, 1.x of the one before.
    fn of(collector: &Collector, cached: u64, error: bool, seconds: Option<f64>) -> Self {
        let (cached, error) = match collector.rules().generation() {
            Generation::V0 => now(collector),
            Generation::V1 => (cached, error),
        };
        Self::new(cached, error, seconds)
    }

    #[expect(clippy::cast_precision_loss, reason = "samples are doubles")]
    fn new(cached: u64, error: bool, seconds: Option<f64>) -> Self {
        let cached_help = "Number of beans with their matching rule cached";
        let mut own = vec![("jmx_scrape_cached_beans", cached_help, cached as f64)];
        if let Some(seconds) = seconds {
            let help = "Time this JMX scrape took, in seconds.";
            own.push(("jmx_scrape_duration_seconds", help, seconds));
        }
        let error_help = "Non-zero if this scrape failed.";
        own.push(("jmx_scrape_error", error_help, f64::from(u8::from(error))));
        Self(own)
    }

    /// Writes them alone.
    fn write(&self, out: &mut impl PageWriter) -> u64 {
        self.0.iter().map(|(name, help, number)| write_own(out, name, help, *number)).sum()
    }
}

/// Cached rules tried, and whether a sample would have ended the exporter's scrape.
fn now(collector: &Collector) -> (u64, bool) {
    (collector.cached(), collector.drops().iter().any(|(reason, _)| reason.ends_a_scrape()))
}

/// True when the rules made a family of that name.
fn takes(collector: &Collector, name: &str) -> bool {
    collector.has_family(name)
        || name.strip_suffix("_total").is_some_and(|base| collector.has_family(base))
}

/// Writes the rule set's families and the exporter's own, in order of names.
fn write_rules(
    out: &mut impl PageWriter,
    collector: &Collector,
    own: &Own,
    dropped: &mut Drops,
) -> u64 {
    let mut samples = 0;
    let mut own = own.0.iter().peekable();
    for (name, group) in collector.groups() {
        while let Some((mine, help, number)) = own.next_if(|(mine, ..)| *mine <= name) {
            if *mine == name {
                dropped.add(Reason::FamilyTaken, 1);
                continue;
            }
            samples += write_own(out, mine, help, *number);
        }
        samples += write_group(out, collector, group, dropped);
    }
    for (mine, help, number) in own {
        samples += write_own(out, mine, help, *number);
    }
    dropped.add_all(collector.drops());
    samples
}

fn write_own(out: &mut impl PageWriter, name: &str, help: &str, number: f64) -> u64 {
    out.begin(Head { name, help, kind: Kind::Gauge });
    out.sample(Pairs::NONE, number, None);
    1
}

fn write_group(
    out: &mut impl PageWriter,
    collector: &Collector,
    group: &Group,
    dropped: &mut Drops,
) -> u64 {
    let first_generation = collector.rules().generation() == Generation::V0;
    let mut samples = 0;
    if out.skips(group.sample_name()) {
        return samples;
    }
    for (sample, labels) in group.samples() {
        let number = collector.values().get(sample.slot()).copied().unwrap_or(f64::NAN);
        if number.to_bits() == ABSENT {
            continue;
        }
        if number < 0.0 && group.is_counter() && !first_generation {
            dropped.add(Reason::NegativeCounter, 1);
            continue;
        }
        if samples == 0 {
            out.begin_group(group);
        }
        samples += 1;
        out.group_sample(group, sample, labels, number);
    }
    samples
}

/// Limits and folded series of the native families.
#[expect(clippy::cast_precision_loss, reason = "samples are doubles")]
fn limits(out: &mut impl PageWriter, registry: &Registry, samples: &mut u64) {
    let families = registry.families().all();
    let row = &rows::PHAROS_SERIES_LIMIT;
    out.begin(row.into());
    for family in &families {
        let (name, limit) = (family.row().name, family.row().limit);
        out.sample(Pairs::new(row, &[name]), limit as f64, None);
    }
    let row = &rows::PHAROS_SERIES_FOLDED;
    out.begin(row.into());
    for family in &families {
        let (name, folded) = (family.row().name, family.folded());
        out.sample(Pairs::new(row, &[name]), folded as f64, None);
    }
    *samples += 2 * families.len() as u64;
}

/// What a rule set makes of what is in `collector`, as the exporter's first scrape or its second;
/// and what it drops.
pub(crate) fn render_rules(
    collector: &mut Collector,
    format: Format,
    second: bool,
) -> (Vec<u8>, Drops) {
    collector.refresh();
    let (cached, error) = if second { now(collector) } else { (0, false) };
    let mut dropped = Drops::default();
    let own = Own::of(collector, cached, error, None);
    let page = match format {
        Format::Text => rules_alone(TextWriter::new(0, false), collector, &own, &mut dropped),
        Format::OpenMetrics => rules_alone(TextWriter::new(0, true), collector, &own, &mut dropped),
        Format::Protobuf => rules_alone(ProtobufWriter::new(0), collector, &own, &mut dropped),
    };
    (page, dropped)
}

fn rules_alone(
    mut out: impl PageWriter,
    collector: &Collector,
    own: &Own,
    dropped: &mut Drops,
) -> Vec<u8> {
    write_rules(&mut out, collector, own, dropped);
    out.finish()
}
