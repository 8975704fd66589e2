//! The series of one rule set: made when beans come, read on a scrape.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use smallvec::SmallVec;

use super::group::{Drops, Group, Sample};
use super::leaf::{LeafView, Origin};
use crate::bean::Scratch;
use crate::rules::evaluate::{Buffers, Evaluated, Made, Outcome, Reason, Seen, object_label};
use crate::rules::names::without_reserved_suffix;
use crate::rules::{Generation, RuleSet, Stop};
use crate::value::Value;

/// Series of one family that rules may make.
const FAMILY_LIMIT: usize = 200_000;

/// A slot without a sample in this scrape: a NaN that arithmetic does not make.
pub(super) const ABSENT: u64 = 0x7ff8_dead_beef_0001;

/// The beans and series of a rule set.
pub(crate) struct Collector {
    rules: Arc<RuleSet>,
    /// Boxed: a map has up to twice as many places as it needs.
    entries: HashMap<u64, Box<Entry>>,
    groups: BTreeMap<Arc<str>, Group>,
    /// The groups' names by their numbers; `None` for a number that is free.
    names: Vec<Option<Arc<str>>>,
    /// The numbers that are free: there may be as many families as series, and to look for one in
    /// `names` would make the whole quadratic.
    free_names: Vec<u32>,
    /// Groups that changed, and whether they lost samples.
    dirty: BTreeMap<u32, bool>,
    /// The numbers of this scrape, by slot.
    values: Vec<f64>,
    free: Vec<u32>,
    /// Slots of series that are gone, whose samples may still stand in a changed group: a slot names
    /// one series until then.
    freed: Vec<u32>,
    /// Samples that the rules drop now, by reason.
    drops: Drops,
    /// Cached rules tried per scrape.
    cached: u64,
    buffers: Buffers,
    scratch: Scratch,
    read: Vec<Value>,
}

struct Entry {
    origin: Origin,
    /// Few beans make more than one series.
    tracked: SmallVec<[Tracked; 1]>,
    /// What attributes that are not tracked count for; nothing for nearly all beans.
    aside: Option<Box<Aside>>,
}

/// What rules made of attributes that are not read again.
struct Aside {
    /// Samples dropped.
    dropped: Vec<Reason>,
    /// Cached rules tried.
    cached: u32,
}

/// An attribute that is read on every scrape.
struct Tracked {
    leaf: u32,
    series: Option<Series>,
    /// For attributes whose value decides: the value that the series was made for.
    memo: Option<Box<Memo>>,
}

struct Memo {
    value: Value,
    cached: u32,
    dropped: Option<Reason>,
}

/// Where a series is, and how its number comes about.
#[derive(Clone, Copy)]
struct Series {
    family: u32,
    slot: u32,
    factor: f64,
    /// The rule gave the number, and the slot holds it.
    constant: bool,
}

/// The rules' answers for one bean while it is taken in.
struct Found {
    id: u64,
    origin: Origin,
    tracked: SmallVec<[Tracked; 1]>,
    aside: Aside,
}

impl Collector {
    pub(crate) fn new(rules: Arc<RuleSet>) -> Self {
        Self {
            rules,
            entries: HashMap::new(),
            groups: BTreeMap::new(),
            names: Vec::new(),
            free_names: Vec::new(),
            dirty: BTreeMap::new(),
            values: Vec::new(),
            free: Vec::new(),
            freed: Vec::new(),
            drops: Drops::default(),
            cached: 0,
            buffers: Buffers::default(),
            scratch: Scratch::default(),
            read: Vec::new(),
        }
    }

    pub(crate) fn rules(&self) -> &RuleSet {
        &self.rules
    }

    pub(crate) fn rules_shared(&self) -> Arc<RuleSet> {
        self.rules.clone()
    }

    /// Runs the rules on a new bean.
    pub(crate) fn add(&mut self, id: u64, origin: Origin) {
        if !self.rules.selects(origin.name()) {
            return;
        }
        let aside = Aside { dropped: Vec::new(), cached: 0 };
        let mut found = Found { id, origin, tracked: SmallVec::new(), aside };
        for (view, leaf) in found.origin.leaves().into_iter().zip(0_u32..) {
            if self.rules.skips(found.origin.name(), &view.attribute) {
                continue;
            }
            self.track(&mut found, &view, leaf);
        }
        let Found { origin, mut tracked, aside, .. } = found;
        self.cached += u64::from(aside.cached);
        for reason in &aside.dropped {
            self.drops.add(*reason, 1);
        }
        let aside = (aside.cached > 0 || !aside.dropped.is_empty()).then(|| Box::new(aside));
        if !tracked.is_empty() || aside.is_some() {
            tracked.shrink_to_fit();
            self.entries.insert(id, Box::new(Entry { origin, tracked, aside }));
        }
    }

    fn track(&mut self, found: &mut Found, view: &LeafView, leaf: u32) {
        let depends = || Tracked { leaf, series: None, memo: Some(Memo::new()) };
        let seen = match &view.fixed {
            Some(value) => Seen::Value(value),
            None if view.number => Seen::Number,
            None => {
                found.tracked.push(depends());
                return;
            }
        };
        let rules = self.rules.clone();
        let made =
            view.with(&found.origin, |subject| rules.evaluate(subject, seen, &mut self.buffers));
        match made {
            Err(Stop::Depends | Stop::Steps) => found.tracked.push(depends()),
            Ok(Evaluated { outcome, cached_tried, .. }) => {
                found.aside.cached += cached_tried;
                match outcome {
                    Outcome::Nothing => {}
                    Outcome::Dropped(reason) => found.aside.dropped.push(reason),
                    Outcome::Made(made) => {
                        if view.fixed.is_some() && made.constant.is_none() {
                            return;
                        }
                        match self.insert(found.id, &found.origin, leaf, made) {
                            Ok(series) => {
                                let series = Some(series);
                                found.tracked.push(Tracked { leaf, series, memo: None });
                            }
                            Err(reason) => found.aside.dropped.push(reason),
                        }
                    }
                }
            }
        }
    }

    /// Puts a sample into its family.
    fn insert(
        &mut self,
        bean: u64,
        origin: &Origin,
        leaf: u32,
        made: Made,
    ) -> Result<Series, Reason> {
        let family = match self.rules.generation {
            Generation::V0 => made.name.as_str(),
            Generation::V1 => without_reserved_suffix(&made.name),
        };
        if !self.groups.contains_key(family) {
            self.add_group(family.into());
        }
        let Some(group) = self.groups.get_mut(family) else { return Err(Reason::SeriesLimit) };
        if group.len() >= FAMILY_LIMIT {
            return Err(Reason::SeriesLimit);
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.values.push(f64::from_bits(ABSENT));
            u32::try_from(self.values.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(value) = self.values.get_mut(slot as usize) {
            *value = made.constant.unwrap_or(f64::from_bits(ABSENT));
        }
        let family = group.id();
        self.dirty.entry(family).or_default();
        let sorted = self.rules.generation == Generation::V1;
        let sample = Sample::new(bean, origin.name().shared(), leaf, slot, &made, sorted);
        group.push(sample.since(origin.started(leaf)));
        Ok(Series { family, slot, factor: made.factor, constant: made.constant.is_some() })
    }

    fn add_group(&mut self, name: Arc<str>) {
        let id = self.free_names.pop().unwrap_or_else(|| {
            self.names.push(None);
            u32::try_from(self.names.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(place) = self.names.get_mut(id as usize) {
            *place = Some(name.clone());
        }
        self.groups.insert(name, Group::new(id));
    }

    /// Takes a bean's series away.
    pub(crate) fn remove(&mut self, id: u64) {
        let Some(entry) = self.entries.remove(&id) else { return };
        if let Some(aside) = entry.aside {
            self.cached -= u64::from(aside.cached);
            aside.dropped.into_iter().for_each(|reason| self.drops.remove(reason, 1));
        }
        for tracked in entry.tracked {
            if let Some(memo) = tracked.memo {
                self.cached -= u64::from(memo.cached);
                memo.dropped.into_iter().for_each(|reason| self.drops.remove(reason, 1));
            }
            if let Some(series) = tracked.series {
                self.take_away(series);
            }
        }
    }

    fn take_away(&mut self, series: Series) {
        self.freed.push(series.slot);
        self.dirty.insert(series.family, true);
    }

    /// Reads every number that a series shows, remakes series that depend on a value which
    /// changed, and brings changed families in order.
    pub(crate) fn refresh(&mut self) {
        let mut ids: Vec<u64> = Vec::new();
        let mut values = std::mem::take(&mut self.read);
        for (id, entry) in &self.entries {
            values.clear();
            entry.origin.read(&mut self.scratch, &mut values);
            let mut changed = false;
            for tracked in &entry.tracked {
                let value = values.get(tracked.leaf as usize).unwrap_or(&Value::Null);
                if tracked.memo.as_ref().is_some_and(|memo| !same(&memo.value, value)) {
                    changed = true;
                    continue;
                }
                if let Some(series) = &tracked.series
                    && !series.constant
                    && let Some(slot) = self.values.get_mut(series.slot as usize)
                {
                    *slot = series.sample(value);
                }
            }
            if changed {
                ids.push(*id);
            }
        }
        for id in ids {
            self.remake(id, &mut values);
        }
        self.read = values;
        self.rebuild();
    }

    /// Runs the rules again on the attributes of a bean whose values decide.
    fn remake(&mut self, id: u64, values: &mut Vec<Value>) {
        let Some(mut entry) = self.entries.remove(&id) else { return };
        values.clear();
        entry.origin.read(&mut self.scratch, values);
        let views = entry.origin.leaves();
        let origin = entry.origin.clone();
        for tracked in &mut entry.tracked {
            let (Some(memo), Some(value)) = (&mut tracked.memo, values.get(tracked.leaf as usize))
            else {
                continue;
            };
            if same(&memo.value, value) {
                continue;
            }
            if let Some(old) = tracked.series.take() {
                self.take_away(old);
            }
            self.cached -= u64::from(memo.cached);
            memo.dropped.take().into_iter().for_each(|reason| self.drops.remove(reason, 1));
            memo.value = value.clone();
            memo.cached = 0;
            let (Some(view), false) = (views.get(tracked.leaf as usize), *value == Value::Null)
            else {
                continue;
            };
            let rules = self.rules.clone();
            let made = view.with(&origin, |subject| {
                rules.evaluate(subject, Seen::Value(value), &mut self.buffers)
            });
            let Ok(Evaluated { outcome, cached_tried, .. }) = made else { continue };
            memo.cached = cached_tried;
            self.cached += u64::from(cached_tried);
            let dropped = match outcome {
                Outcome::Nothing => None,
                Outcome::Dropped(reason) => Some(reason),
                // A text makes no number by itself.
                Outcome::Made(made) if made.constant.is_none() && value.as_f64().is_none() => None,
                Outcome::Made(made) => match self.insert(id, &origin, tracked.leaf, made) {
                    Ok(series) => {
                        if !series.constant
                            && let Some(slot) = self.values.get_mut(series.slot as usize)
                        {
                            *slot = series.sample(value);
                        }
                        tracked.series = Some(series);
                        None
                    }
                    Err(reason) => Some(reason),
                },
            };
            dropped.into_iter().for_each(|reason| self.drops.add(reason, 1));
            memo.dropped = dropped;
        }
        self.entries.insert(id, entry);
    }

    /// Sorts, tells duplicates apart and writes the prefixes of families that changed.
    pub(crate) fn rebuild(&mut self) {
        for (id, lost) in std::mem::take(&mut self.dirty) {
            let Some(name) = self.names.get_mut(id as usize) else { continue };
            let Some(family) = name.take() else { continue };
            let Some(mut group) = self.groups.remove(&family) else { continue };
            if lost {
                group.retain(|bean, leaf, slot| self.shows(bean, leaf, slot));
            }
            self.drops.take_away(group.drops());
            if group.len() == 0 {
                self.free_names.push(id);
                continue;
            }
            if let Some(name) = self.names.get_mut(id as usize) {
                *name = Some(family.clone());
            }
            let help = group.first().and_then(|(bean, leaf)| self.made(bean, leaf)?.help);
            let generation = self.rules.generation;
            group.rebuild(&family, generation, help.as_deref(), |bean, leaf| {
                self.object_label(bean, leaf).unwrap_or_default()
            });
            self.drops.add_all(group.drops());
            self.groups.insert(family, group);
        }
        self.free.append(&mut self.freed);
    }

    /// Whether that attribute's series is still the one in that slot.
    fn shows(&self, bean: u64, leaf: u32, slot: u32) -> bool {
        self.entries.get(&bean).is_some_and(|entry| {
            let tracked = entry.tracked.iter().find(|tracked| tracked.leaf == leaf);
            tracked.and_then(|it| it.series).is_some_and(|series| series.slot == slot)
        })
    }

    /// What the rules make of an attribute as things stand.
    fn made(&self, bean: u64, leaf: u32) -> Option<Made> {
        let (entry, view, value) = self.view(bean, leaf)?;
        let seen = value.as_ref().map_or(Seen::Number, Seen::Value);
        let mut buffers = Buffers::default();
        buffers.with_help = true;
        let evaluated =
            view.with(&entry.origin, |subject| self.rules.evaluate(subject, seen, &mut buffers));
        match evaluated {
            Ok(Evaluated { outcome: Outcome::Made(made), .. }) => Some(made),
            _ => None,
        }
    }

    fn object_label(&self, bean: u64, leaf: u32) -> Option<String> {
        let made = self.made(bean, leaf)?;
        let (entry, view, value) = self.view(bean, leaf)?;
        let value = value.unwrap_or(Value::Long(0));
        Some(view.with(&entry.origin, |subject| object_label(subject, &made, &value)))
    }

    fn view(&self, bean: u64, leaf: u32) -> Option<(&Entry, LeafView, Option<Value>)> {
        let entry = &**self.entries.get(&bean)?;
        let view = entry.origin.leaves().into_iter().nth(leaf as usize)?;
        let tracked = entry.tracked.iter().find(|tracked| tracked.leaf == leaf)?;
        let value = tracked.memo.as_ref().map(|memo| memo.value.clone()).or(view.fixed.clone());
        Some((entry, view, value))
    }

    /// Families in order of their names.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (&str, &Group)> {
        self.groups.iter().map(|(name, group)| (&**name, group))
    }

    pub(crate) fn has_family(&self, name: &str) -> bool {
        self.groups.contains_key(name)
    }

    pub(crate) fn values(&self) -> &[f64] {
        &self.values
    }

    pub(crate) fn drops(&self) -> &Drops {
        &self.drops
    }

    pub(crate) fn cached(&self) -> u64 {
        self.cached
    }
}

impl Memo {
    /// A memo that no value equals.
    fn new() -> Box<Self> {
        Box::new(Self { value: Value::Null, cached: 0, dropped: None })
    }
}

impl Series {
    fn sample(&self, value: &Value) -> f64 {
        match value {
            Value::Bool(_) => value.as_f64().unwrap_or_default(),
            other => other.as_f64().map_or(f64::from_bits(ABSENT), |number| number * self.factor),
        }
    }
}

/// Equal as texts: NaN equals NaN.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Double(a), Value::Double(b)) => a.to_bits() == b.to_bits(),
        (Value::Text(a), Value::Text(b)) => Arc::ptr_eq(a, b) || a == b,
        _ => a == b,
    }
}
