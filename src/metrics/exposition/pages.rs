//! The pages of a node: `/metrics`, one per rule set, `native`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use metrics::{Counter, Gauge};
use parking_lot::{Mutex, RwLock};

use super::Format;
use super::page::{Began, MAIN, NATIVE, Page};
use crate::catalog::native as rows;
use crate::instruments::StartTime;
use crate::registry::{Registered, Registry};
use crate::rules::{Generation, RuleError, RuleSet};

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
    /// When they were set up: what `startDelaySeconds` counts from, as in the exporter also for rules
    /// that are read anew.
    began: Began,
    pages: RwLock<BTreeMap<String, Arc<Page>>>,
    figures: Mutex<BTreeMap<String, Figures>>,
    main_timeouts: Registered<Counter>,
    /// Somebody has asked for a page.
    asked: AtomicBool,
    _always: Vec<Registered<()>>,
    _build: Registered<Gauge>,
}

/// What is told of one page beside the page itself.
struct Figures {
    reload_successful: Registered<Gauge>,
    reload_success_time: Registered<Gauge>,
    timeouts: Registered<Counter>,
}

impl Pages {
    /// Sets the pages up. The rules of the main page run at once, those of others with their
    /// first scrape.
    ///
    /// # Errors
    /// When a built-in rule file is broken.
    pub fn new(registry: &Registry, options: PagesOptions) -> Result<Self, RuleError> {
        let clock = registry.clock();
        let began = Began { at: clock.monotonic(), started: StartTime::now(clock) };
        let mut pages = BTreeMap::new();
        let mut main = "default".to_owned();
        for (file, text) in crate::rules::BUILT_IN {
            let rules = RuleSet::parse(text, file, options.generation)?;
            let name = file.trim_end_matches(".yml");
            pages.insert(name.to_owned(), Page::new(name, Some(rules), began));
        }
        for (at, (name, rules)) in options.rule_sets.into_iter().enumerate() {
            if at == 0 {
                main.clone_from(&name);
            }
            pages.insert(name.clone(), Page::new(&name, Some(rules), began));
        }
        pages.insert(NATIVE.to_owned(), Page::new(NATIVE, None, began));
        let build = registry.family(&rows::PHAROS_BUILD_INFO);
        let build = build.gauge(&[env!("CARGO_PKG_VERSION"), &options.revision]);
        build.set(1.0);
        if let Some(page) = pages.get(&main) {
            page.follow(registry);
        }
        let this = Self(Arc::new(Inner {
            registry: registry.clone(),
            main,
            began,
            figures: Mutex::default(),
            asked: AtomicBool::new(false),
            main_timeouts: registry.family(&rows::PHAROS_SCRAPE_TIMEOUTS_TOTAL).counter(&[MAIN]),
            _always: crate::process::register(registry),
            _build: build,
            pages: RwLock::new(pages),
        }));
        for name in this.names() {
            this.note_reload(&name, true);
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
        let text = page.map(|page| page.render(&self.0.registry, format, true));
        self.0.asked.store(true, Ordering::Relaxed);
        text.unwrap_or_default()
    }

    /// `/metrics/<name>`: one rule set alone, or the native families; `None` for no such page.
    pub fn render(&self, name: &str, format: Format) -> Option<Bytes> {
        let page = self.0.pages.read().get(name).cloned()?;
        self.0.asked.store(true, Ordering::Relaxed);
        Some(page.render(&self.0.registry, format, name == NATIVE))
    }

    /// Reads `/metrics/<name>` for the node itself, without a text being made of it: `each` is shown
    /// name, labels as text has them between the braces, and number of the samples whose name is
    /// `wanted`. This is nobody's scrape.
    pub fn read(
        &self,
        name: &str,
        wanted: &dyn Fn(&str) -> bool,
        each: &mut dyn FnMut(&str, &str, f64),
    ) {
        let page = self.0.pages.read().get(name).cloned();
        if let Some(page) = page {
            page.read(&self.0.registry, name == NATIVE, wanted, each);
        }
    }

    /// Whether anybody has got a page since the start: who begins to work when it is true is not in
    /// the way of the first.
    pub fn is_asked(&self) -> bool {
        self.0.asked.load(Ordering::Relaxed)
    }

    /// Counts a scrape of `/metrics/<name>`, or of `/metrics`, that was refused because its page was
    /// not there in time. What is no page is not counted: its name is the scraper's.
    pub fn timed_out(&self, name: Option<&str>) {
        match name {
            None => self.0.main_timeouts.increment(1),
            Some(name) => {
                if let Some(figures) = self.0.figures.lock().get(name) {
                    figures.timeouts.increment(1);
                }
            }
        }
    }

    /// Replaces a rule set; a broken file keeps the old one and is shown by
    /// `pharos_rules_last_reload_successful`.
    ///
    /// # Errors
    /// The error that was passed in, for the caller to log.
    pub fn reload(&self, name: &str, rules: Result<RuleSet, RuleError>) -> Result<(), RuleError> {
        self.note_reload(name, rules.is_ok());
        let page = Page::new(name, Some(rules?), self.0.began);
        if let Some(old) = self.0.pages.read().get(name) {
            page.go_on_from(old);
        }
        if name == self.0.main {
            page.follow(&self.0.registry);
        }
        self.0.pages.write().insert(name.to_owned(), page);
        Ok(())
    }

    fn note_reload(&self, name: &str, successful: bool) {
        let registry = &self.0.registry;
        let mut figures = self.0.figures.lock();
        let figures = figures.entry(name.to_owned()).or_insert_with(|| {
            let time = &rows::PHAROS_RULES_LAST_RELOAD_SUCCESS_TIMESTAMP_SECONDS;
            Figures {
                reload_successful: registry
                    .family(&rows::PHAROS_RULES_LAST_RELOAD_SUCCESSFUL)
                    .gauge(&[name]),
                reload_success_time: registry.family(time).gauge(&[name]),
                timeouts: registry.family(&rows::PHAROS_SCRAPE_TIMEOUTS_TOTAL).counter(&[name]),
            }
        });
        figures.reload_successful.set(f64::from(u8::from(successful)));
        if successful {
            #[expect(clippy::cast_precision_loss, reason = "times are below 2^53 milliseconds")]
            figures.reload_success_time.set(registry.clock().now_ms() as f64 / 1000.0);
        }
    }
}

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pages({:?})", self.names())
    }
}
