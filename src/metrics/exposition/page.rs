//! The pages of a node: `/metrics`, one per rule set, `native`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use metrics::Gauge;
use parking_lot::{Mutex, RwLock};

use super::collector::{ABSENT, Collector, Origin};
use super::group::{Drops, Group};
use super::native;
use super::{Format, text};
use crate::bean::Bean;
use crate::catalog::native as rows;
use crate::registry::{Listener, Registered, Registry};
use crate::rules::evaluate::Reason;
use crate::rules::{Generation, RuleError, RuleSet};
use crate::value::push_sample;

/// What a node serves.
#[derive(Debug)]
pub struct PagesOptions {
    /// Rule sets with the names of their pages; the first is served on `/metrics` too. Without
    /// one that is the built-in default.
    pub rule_sets: Vec<(String, RuleSet)>,
    /// Whose names the built-in rule sets make.
    pub generation: Generation,
    /// The commit that the program was built from.
    pub revision: String,
}

/// The pages. Clones share them.
#[derive(Clone)]
pub struct Pages(Arc<Inner>);

struct Inner {
    registry: Registry,
    main: String,
    pages: RwLock<BTreeMap<String, Arc<Page>>>,
    reloads: Mutex<BTreeMap<String, Reload>>,
    _always: Vec<Registered<()>>,
    _build: Registered<Gauge>,
}

struct Reload {
    successful: Registered<Gauge>,
    success_time: Registered<Gauge>,
}

const NATIVE: &str = "native";
/// The page of `/metrics` in the label `page`.
const MAIN: &str = "metrics";

impl Pages {
    /// Sets the pages up. The rules of the main page run at once, those of others with their
    /// first scrape.
    ///
    /// # Errors
    /// When a built-in rule file is broken.
    pub fn new(registry: &Registry, options: PagesOptions) -> Result<Self, RuleError> {
        let mut pages = BTreeMap::new();
        let mut main = "default".to_owned();
        for (file, text) in crate::rules::BUILT_IN {
            let rules = RuleSet::parse(text, file, options.generation)?;
            let name = file.trim_end_matches(".yml");
            pages.insert(name.to_owned(), Page::new(name, Some(rules)));
        }
        for (at, (name, rules)) in options.rule_sets.into_iter().enumerate() {
            if at == 0 {
                main.clone_from(&name);
            }
            pages.insert(name.clone(), Page::new(&name, Some(rules)));
        }
        pages.insert(NATIVE.to_owned(), Page::new(NATIVE, None));
        let build = registry.family(&rows::PHAROS_BUILD_INFO);
        let build = build.gauge(&[env!("CARGO_PKG_VERSION"), &options.revision]);
        build.set(1.0);
        if let Some(page) = pages.get(&main) {
            page.activate(registry);
        }
        let this = Self(Arc::new(Inner {
            registry: registry.clone(),
            main,
            reloads: Mutex::default(),
            _always: crate::process::register(registry),
            _build: build,
            pages: RwLock::new(pages),
        }));
        let names: Vec<String> = this.names();
        for name in names.iter().filter(|name| *name != NATIVE) {
            this.note_reload(name, true);
        }
        Ok(this)
    }

    /// Names below `/metrics/`.
    pub fn names(&self) -> Vec<String> {
        self.0.pages.read().keys().cloned().collect()
    }

    /// `/metrics`: the chosen rule set and the native families.
    pub fn render_main(&self, format: Format) -> Bytes {
        let page = self.0.pages.read().get(&self.0.main).cloned();
        page.map(|page| page.render(&self.0.registry, format, true)).unwrap_or_default()
    }

    /// `/metrics/<name>`: one rule set alone, or the native families; `None` for no such page.
    pub fn render(&self, name: &str, format: Format) -> Option<Bytes> {
        let page = self.0.pages.read().get(name).cloned()?;
        Some(page.render(&self.0.registry, format, name == NATIVE))
    }

    /// Replaces a rule set; a broken file keeps the old one and is shown by
    /// `pharos_rules_last_reload_successful`.
    ///
    /// # Errors
    /// The error that was passed in, for the caller to log.
    pub fn reload(&self, name: &str, rules: Result<RuleSet, RuleError>) -> Result<(), RuleError> {
        self.note_reload(name, rules.is_ok());
        let page = Page::new(name, Some(rules?));
        if name == self.0.main {
            page.activate(&self.0.registry);
        }
        self.0.pages.write().insert(name.to_owned(), page);
        Ok(())
    }

    fn note_reload(&self, name: &str, successful: bool) {
        let registry = &self.0.registry;
        let mut reloads = self.0.reloads.lock();
        let reload = reloads.entry(name.to_owned()).or_insert_with(|| {
            let time = &rows::PHAROS_RULES_LAST_RELOAD_SUCCESS_TIMESTAMP_SECONDS;
            Reload {
                successful: registry
                    .family(&rows::PHAROS_RULES_LAST_RELOAD_SUCCESSFUL)
                    .gauge(&[name]),
                success_time: registry.family(time).gauge(&[name]),
            }
        });
        reload.successful.set(f64::from(u8::from(successful)));
        if successful {
            #[expect(clippy::cast_precision_loss, reason = "times are below 2^53 milliseconds")]
            reload.success_time.set(registry.clock().now_ms() as f64 / 1000.0);
        }
    }
}

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pages({:?})", self.names())
    }
}

/// One rule set and what its scrapes did.
struct Page {
    name: String,
    changes: Mutex<Vec<Change>>,
    state: Mutex<State>,
    /// Renderings begun; a scrape that waited for one begun after it came shares it.
    begun: AtomicU64,
    /// Scrapes that wait.
    waiting: AtomicU64,
}

enum Change {
    Added(Arc<Bean>),
    Removed(u64),
}

struct State {
    collector: Option<Collector>,
    active: bool,
    dropped: Drops,
    last_cached: u64,
    last_error: bool,
    last: BTreeMap<(bool, bool), (u64, Bytes)>,
    size: usize,
}

impl Page {
    fn new(name: &str, rules: Option<RuleSet>) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            changes: Mutex::default(),
            state: Mutex::new(State {
                collector: rules.map(|rules| Collector::new(Arc::new(rules))),
                active: false,
                dropped: Drops::default(),
                last_cached: 0,
                last_error: false,
                last: BTreeMap::new(),
                size: 4096,
            }),
            begun: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
        })
    }

    /// Starts to follow the registry.
    fn activate(self: &Arc<Self>, registry: &Registry) {
        let mut state = self.state.lock();
        if state.active || state.collector.is_none() {
            return;
        }
        state.active = true;
        let listener: Arc<dyn Listener> = self.clone();
        registry.listen(&listener);
        self.take_in(&mut state);
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

    fn render(self: &Arc<Self>, registry: &Registry, format: Format, with_native: bool) -> Bytes {
        let came = self.begun.load(Ordering::Acquire);
        self.activate(registry);
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let mut state = self.state.lock();
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        let key = (format == Format::OpenMetrics, with_native);
        if let Some((begun, body)) = state.last.get(&key)
            && *begun > came
        {
            return body.clone();
        }
        let begun = self.begun.fetch_add(1, Ordering::AcqRel) + 1;
        let started = registry.clock().monotonic();
        self.take_in(&mut state);
        let state = &mut *state;
        let mut out = Vec::with_capacity(state.size + state.size / 8);
        let open = format == Format::OpenMetrics;
        let mut samples = 0;
        let mut dropped = Drops::default();
        if let Some(collector) = &mut state.collector {
            collector.refresh();
            let seconds = (registry.clock().monotonic().saturating_sub(started)).as_secs_f64();
            let own = Own::of(collector, state.last_cached, state.last_error, Some(seconds));
            samples += write_rules(&mut out, collector, open, &own, &mut dropped);
            (state.last_cached, state.last_error) = now(collector);
        }
        if with_native {
            let taken = |name: &str| state.collector.as_ref().is_some_and(|c| takes(c, name));
            let (written, left_out) = native::write(&mut out, registry.families(), open, taken);
            samples += written;
            dropped.add(Reason::FamilyTaken, left_out);
            limits(&mut out, registry, open, &mut samples);
        }
        self.count(&mut state.dropped, &dropped);
        let page = if with_native && self.name != NATIVE { MAIN } else { &self.name };
        let elapsed = registry.clock().monotonic().saturating_sub(started).as_secs_f64();
        about(&mut out, page, open, &state.dropped, samples, elapsed);
        if open {
            out.extend_from_slice(b"# EOF\n");
        }
        state.size = out.len();
        let body = Bytes::from(out);
        // Kept for those alone who wait: it may be large.
        state.last.clear();
        if self.waiting.load(Ordering::Acquire) > 0 {
            state.last.insert(key, (begun, body.clone()));
        }
        body
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
    #[expect(clippy::cast_precision_loss, reason = "samples are doubles")]
    fn of(collector: &Collector, cached: u64, error: bool, seconds: Option<f64>) -> Self {
        let (cached, error) = match collector.rules().generation() {
            Generation::V0 => now(collector),
            Generation::V1 => (cached, error),
        };
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
    out: &mut Vec<u8>,
    collector: &Collector,
    open: bool,
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
            samples += write_own(out, open, mine, help, *number);
        }
        samples += write_group(out, collector, group, open, dropped);
    }
    for (mine, help, number) in own {
        samples += write_own(out, open, mine, help, *number);
    }
    dropped.add_all(collector.drops());
    samples
}

fn write_own(out: &mut Vec<u8>, open: bool, name: &str, help: &str, number: f64) -> u64 {
    if open {
        super::group::push_type(out, name, "gauge");
        text::push_help(out, name, help, true);
    } else {
        text::push_help(out, name, help, false);
        super::group::push_type(out, name, "gauge");
    }
    out.extend_from_slice(name.as_bytes());
    out.push(b' ');
    push_sample(out, number);
    out.push(b'\n');
    1
}

fn write_group(
    out: &mut Vec<u8>,
    collector: &Collector,
    group: &Group,
    open: bool,
    dropped: &mut Drops,
) -> u64 {
    let first_generation = collector.rules().generation() == Generation::V0;
    let mut samples = 0;
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
            out.extend_from_slice(group.header(open));
        }
        samples += 1;
        group.push_prefix(out, labels, open);
        push_sample(out, number);
        out.push(b'\n');
    }
    samples
}

/// Limits and folded series of the native families.
#[expect(clippy::cast_precision_loss, reason = "samples are doubles")]
fn limits(out: &mut Vec<u8>, registry: &Registry, open: bool, samples: &mut u64) {
    let families = registry.families().all();
    native::header(out, &rows::PHAROS_SERIES_LIMIT, open);
    for family in &families {
        let (name, limit) = (family.row().name, family.row().limit);
        native::line(out, &rows::PHAROS_SERIES_LIMIT, "", &[name], None, limit as f64);
    }
    native::header(out, &rows::PHAROS_SERIES_FOLDED, open);
    for family in &families {
        let (name, folded) = (family.row().name, family.folded());
        native::line(out, &rows::PHAROS_SERIES_FOLDED, "", &[name], None, folded as f64);
    }
    *samples += 2 * families.len() as u64;
}

/// The page about itself, up to here.
#[expect(clippy::cast_precision_loss, reason = "samples are doubles")]
fn about(out: &mut Vec<u8>, page: &str, open: bool, dropped: &Drops, samples: u64, seconds: f64) {
    let row = &rows::PHAROS_SCRAPE_DROPPED_SAMPLES_TOTAL;
    native::header(out, row, open);
    for reason in Reason::ALL {
        let count = dropped.iter().find(|(have, _)| *have == reason).map_or(0, |(_, n)| n);
        native::line(out, row, "", &[page, reason.name()], None, count as f64);
    }
    let samples = samples + Reason::ALL.len() as u64;
    for (row, number) in [
        (&rows::PHAROS_SCRAPE_DURATION_SECONDS, seconds),
        (&rows::PHAROS_SCRAPE_SERIES, samples as f64),
    ] {
        native::header(out, row, open);
        native::line(out, row, "", &[page], None, number);
    }
    let size = out.len() as f64;
    native::header(out, &rows::PHAROS_SCRAPE_SIZE_BYTES, open);
    native::line(out, &rows::PHAROS_SCRAPE_SIZE_BYTES, "", &[page], None, size);
}

/// The text that a rule set makes of what is in `collector`, as the exporter's first scrape or
/// its second.
pub(crate) fn render_rules(
    collector: &mut Collector,
    format: Format,
    second: bool,
) -> (String, Vec<String>) {
    collector.refresh();
    let (cached, error) = if second { now(collector) } else { (0, false) };
    let mut out = Vec::new();
    let mut dropped = Drops::default();
    let open = format == Format::OpenMetrics;
    let own = Own::of(collector, cached, error, None);
    write_rules(&mut out, collector, open, &own, &mut dropped);
    let drops = dropped.iter().map(|(reason, n)| format!("{}: {n}", reason.name())).collect();
    (String::from_utf8_lossy(&out).into_owned(), drops)
}
