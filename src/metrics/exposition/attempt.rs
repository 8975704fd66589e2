//! A rule set tried on beans that are there, to see what it would make of them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use super::collector::Collector;
use super::format::Format;
use super::leaf::Origin;
use super::page::render_rules;
use crate::bean::{Bean, Scratch};
use crate::rules::RuleSet;
use crate::rules::evaluate::{Buffers, Evaluated, Outcome, Seen};
use crate::value::Value;

/// How far an attempt goes.
#[derive(Debug, Clone, Copy)]
pub struct AttemptLimits {
    /// Beans of one row of the catalogue that are tried: one more topic tells nothing new.
    pub beans_of_a_row: usize,
    /// Lines of the page that are kept.
    pub lines: usize,
    /// When it ends, whatever is left.
    pub deadline: Instant,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Attempt {
    /// Beans that were tried.
    pub beans: usize,
    /// Beans that were not: others of their row were, or time was up.
    pub beans_left: usize,
    /// Attributes of those tried.
    pub attributes: usize,
    /// Attributes that no rule wanted, or that the file leaves out.
    pub unwanted: usize,
    /// Attributes whose sample was dropped, by the reason's name.
    pub dropped: BTreeMap<&'static str, usize>,
    /// The rules, in the order of the file.
    pub decided: Vec<Decided>,
    /// Samples that the page has.
    pub samples: usize,
    /// The first lines of the page in the text format.
    pub page: Vec<String>,
    /// Time was up before all beans were tried.
    pub cut: bool,
}

/// What one rule did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decided {
    /// Its line in the file, where it can be told.
    pub line: Option<usize>,
    /// Attributes that it matched first.
    pub attributes: usize,
}

/// Tries a rule set on beans.
pub fn attempt(
    rules: RuleSet,
    beans: impl IntoIterator<Item = Arc<Bean>>,
    limits: &AttemptLimits,
) -> Attempt {
    let rules = Arc::new(rules);
    let decided =
        (1..=rules.rules.len()).map(|rule| Decided { line: rules.line_of(rule), attributes: 0 });
    let mut tried = Attempt { decided: decided.collect(), ..Attempt::default() };
    let mut collector = Collector::new(rules.clone());
    let (mut buffers, mut scratch) = (Buffers::default(), Scratch::default());
    let mut of_row: HashMap<&str, usize> = HashMap::new();
    for (bean, id) in beans.into_iter().zip(0_u64..) {
        tried.cut = tried.cut || Instant::now() >= limits.deadline;
        let of_row = of_row.entry(bean.row().template).or_default();
        if tried.cut || *of_row >= limits.beans_of_a_row {
            tried.beans_left += 1;
            continue;
        }
        *of_row += 1;
        tried.beans += 1;
        let origin = Origin::Live(bean);
        tried.take_in(&rules, &origin, &mut buffers, &mut scratch);
        collector.add(id, origin);
    }
    tried.write(&mut collector, limits.lines);
    tried
}

impl Attempt {
    /// Asks the rules about each attribute of a bean.
    fn take_in(
        &mut self,
        rules: &RuleSet,
        origin: &Origin,
        buffers: &mut Buffers,
        scratch: &mut Scratch,
    ) {
        let mut values = Vec::new();
        origin.read(scratch, &mut values);
        let selected = rules.selects(origin.name());
        for (view, value) in origin.leaves().into_iter().zip(&values) {
            self.attributes += 1;
            if !selected || rules.skips(origin.name(), &view.attribute) || *value == Value::Null {
                self.unwanted += 1;
                continue;
            }
            let seen = Seen::Value(value);
            let found = view.with(origin, |subject| rules.evaluate(subject, seen, buffers));
            // A value that is known leaves nothing to depend on.
            let Ok(Evaluated { outcome, rule, .. }) = found else { continue };
            if let Some(decided) = rule.and_then(|rule| self.decided.get_mut(rule)) {
                decided.attributes += 1;
            }
            match outcome {
                Outcome::Made(_) => {}
                Outcome::Nothing => self.unwanted += 1,
                Outcome::Dropped(reason) => *self.dropped.entry(reason.name()).or_default() += 1,
            }
        }
    }

    /// Keeps the beginning of the page, without what it says of itself.
    fn write(&mut self, collector: &mut Collector, lines: usize) {
        let family = |line: &str| {
            let rest = line.strip_prefix("# TYPE ")?;
            Some(rest.split(' ').next().unwrap_or_default().to_owned())
        };
        let mut nothing = Collector::new(collector.rules_shared());
        let (own, _) = render_rules(&mut nothing, Format::Text, false);
        let own: HashSet<_> = String::from_utf8_lossy(&own).lines().filter_map(family).collect();
        let (page, _) = render_rules(collector, Format::Text, false);
        let page = String::from_utf8_lossy(&page);
        let name = |line: &str| {
            let rest = line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE "));
            let end = |c: char| c == ' ' || c == '{';
            rest.unwrap_or(line).split(end).next().unwrap_or_default().to_owned()
        };
        for line in page.lines().filter(|line| !own.contains(&name(line))) {
            self.samples += usize::from(!line.starts_with('#'));
            if self.page.len() < lines {
                self.page.push(line.to_owned());
            }
        }
    }
}
