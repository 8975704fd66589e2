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
    /// Samples that were dropped, by the reason's name.
    pub dropped: BTreeMap<&'static str, u64>,
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
            self.unwanted += usize::from(outcome == Outcome::Nothing);
        }
    }

    /// Keeps the beginning of the page, without what it says of itself, and tells what it lacks.
    fn write(&mut self, collector: &mut Collector, lines: usize) {
        let family = |line: &str| {
            let rest = line.strip_prefix("# TYPE ")?;
            Some(rest.split(' ').next().unwrap_or_default().to_owned())
        };
        let mut nothing = Collector::new(collector.rules_shared());
        let (own, _) = render_rules(&mut nothing, Format::Text, false);
        let own: HashSet<_> = String::from_utf8_lossy(&own).lines().filter_map(family).collect();
        let (page, dropped) = render_rules(collector, Format::Text, false);
        self.dropped = dropped.iter().map(|(reason, count)| (reason.name(), count)).collect();
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pharos_base::Clock;

    use super::*;
    use crate::catalog::{broker_topics, log};
    use crate::registry::Registry;
    use crate::rules::Generation;

    fn registry() -> Registry {
        Registry::new(Clock::simulated(1_700_000_000_000).0)
    }

    fn rules(text: &str, generation: Generation) -> RuleSet {
        RuleSet::parse(text, "rules", generation).unwrap()
    }

    fn limits() -> AttemptLimits {
        let deadline = Instant::now() + Duration::from_secs(3600);
        AttemptLimits { beans_of_a_row: 10, lines: 100, deadline }
    }

    const TOPICS: [&str; 3] = ["a", "b", "c"];

    /// Meters of three topics, each of which has counted 1.
    fn topics(registry: &Registry) -> Vec<impl Sized> {
        let row = &broker_topics::BYTES_IN_PER_SEC_BY_TOPIC;
        let meter = |topic| {
            let meter = registry.meter(row, &[("topic", topic)]);
            meter.mark(1);
            meter
        };
        TOPICS.map(meter).into_iter().collect()
    }

    #[test]
    fn each_rule_tells_how_many_attributes_it_decided() {
        let registry = registry();
        let _topics = topics(&registry);
        let text = "rules:\n- pattern: 'name=BytesInPerSec, topic=(.+)><>Count'\n  name: bytes\n  \
            type: COUNTER\n  labels:\n    topic: $1\n- pattern: nothing\n- pattern: '.*MeanRate'\n  \
            name: mean\n  labels:\n    topic: all\n    x: $0\n";
        let tried = attempt(rules(text, Generation::V1), registry.beans(""), &limits());
        let decided: Vec<_> = tried.decided.iter().map(|it| (it.line, it.attributes)).collect();
        assert_eq!(decided, [(Some(2), 3), (Some(7), 0), (Some(8), 3)]);
        assert_eq!((tried.beans, tried.beans_left, tried.cut), (3, 0, false));
        assert_eq!(tried.attributes, 3 * registry.beans("")[0].attributes().len());
        assert_eq!(tried.unwanted, tried.attributes - 6);
        assert_eq!((tried.samples, tried.dropped.len()), (6, 0));
        let bytes: Vec<_> = tried.page.iter().filter(|it| it.starts_with("bytes_total")).collect();
        let expected = TOPICS.map(|topic| format!("bytes_total{{topic=\"{topic}\"}} 1.0"));
        assert_eq!(bytes, expected.iter().collect::<Vec<_>>());
        let of_itself = |line: &String| line.contains("jmx_scrape");
        assert!(!tried.page.iter().any(of_itself), "{:?}", tried.page);
    }

    #[test]
    fn limits_bound_beans_lines_and_time() {
        let registry = registry();
        let _topics = topics(&registry);
        let everything = || rules("rules: [{pattern: '.*'}]", Generation::V1);
        let few = AttemptLimits { beans_of_a_row: 2, lines: 3, ..limits() };
        let tried = attempt(everything(), registry.beans(""), &few);
        assert_eq!((tried.beans, tried.beans_left, tried.cut), (2, 1, false));
        assert_eq!(tried.page.len(), 3);
        assert!(tried.samples > 3, "all are counted: {}", tried.samples);
        let late = AttemptLimits { deadline: Instant::now(), ..limits() };
        let tried = attempt(everything(), registry.beans(""), &late);
        assert_eq!((tried.beans, tried.beans_left, tried.cut), (0, 3, true));
        assert_eq!((tried.samples, tried.attributes), (0, 0));
    }

    #[test]
    fn what_no_page_can_hold_is_told_by_reason() {
        let registry = registry();
        let _topics = topics(&registry);
        let dropped = |text: &str, generation| {
            let tried = attempt(rules(text, generation), registry.beans(""), &limits());
            (tried.dropped.into_iter().collect::<Vec<_>>(), tried.samples)
        };
        let same = "rules: [{pattern: '.*><>Count', name: bytes}]";
        assert_eq!(dropped(same, Generation::V0), (vec![("duplicate_series", 2)], 1));
        assert_eq!(dropped(same, Generation::V1), (vec![], 3), "told apart by their object names");
        let lacks = "rules: [{pattern: '.*><>Count', name: bytes, labels: {topic: }}]";
        assert_eq!(dropped(lacks, Generation::V1), (vec![("label_without_value", 3)], 0));
        let below = "rules: [{pattern: '.*><>Count', name: b, type: COUNTER, valueFactor: -1}]";
        assert_eq!(dropped(below, Generation::V1), (vec![("negative_counter", 3)], 0));
        let taken = "rules: [{pattern: '.*topic=(.+)><>Count', name: jmx_scrape_error, \
            labels: {t: $1}}]";
        assert_eq!(dropped(taken, Generation::V1).0, [("family_taken", 1)]);
    }

    /// Each way to divide sixty letters would be tried.
    #[test]
    fn a_pattern_that_would_take_for_ever_is_given_up_and_told() {
        let registry = registry();
        let row = &broker_topics::BYTES_IN_PER_SEC_BY_TOPIC;
        let _meter = registry.meter(row, &[("topic", &"a".repeat(60))]);
        let text = "rules:\n- pattern: 'topic=(a+)+$'\n  name: x\n";
        let tried = attempt(rules(text, Generation::V1), registry.beans(""), &limits());
        let all = tried.attributes as u64;
        assert_eq!(tried.dropped.into_iter().collect::<Vec<_>>(), [("pattern_steps", all)]);
        assert_eq!((tried.samples, tried.decided[0].attributes as u64), (0, all));
    }

    #[test]
    fn what_the_file_leaves_out_is_not_wanted() {
        let registry = registry();
        let _topics = topics(&registry);
        let _size = registry.gauge(&log::LOG_SIZE, &[("topic", "a"), ("partition", "0")]);
        let text = "excludeObjectNames: ['kafka.server:*']\nrules:\n- pattern: '.*'\n";
        let tried = attempt(rules(text, Generation::V1), registry.beans(""), &limits());
        assert_eq!((tried.beans, tried.attributes - tried.unwanted, tried.samples), (4, 1, 1));
        assert_eq!(tried.decided, [Decided { line: Some(3), attributes: 1 }]);
    }
}
