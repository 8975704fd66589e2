//! The series of one rule set: made when beans come, read on a scrape.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::group::{Drops, Group, Sample};
use crate::bean::{Bean, Scratch};
use crate::rules::dump::DumpBean;
use crate::rules::evaluate::{
    Buffers, Evaluated, Made, Outcome, Reason, Seen, Subject, object_label,
};
use crate::rules::names::without_reserved_suffix;
use crate::rules::{Generation, RuleSet, Stop};
use crate::value::{Value, ValueType};

/// Series of one family that rules may make.
const FAMILY_LIMIT: usize = 200_000;

/// A slot without a sample in this scrape: a NaN that arithmetic does not make.
pub(super) const ABSENT: u64 = 0x7ff8_dead_beef_0001;

/// The beans and series of a rule set.
pub(crate) struct Collector {
    rules: Arc<RuleSet>,
    entries: HashMap<u64, Entry>,
    groups: BTreeMap<Arc<str>, Group>,
    dirty: BTreeSet<Arc<str>>,
    /// The numbers of this scrape, by slot.
    values: Vec<f64>,
    free: Vec<u32>,
    next_token: u64,
    /// Samples that the rules drop now, by reason.
    drops: Drops,
    /// Cached rules tried per scrape.
    cached: u64,
    buffers: Buffers,
    scratch: Scratch,
    read: Vec<Value>,
}

/// Where a bean comes from.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    Live(Arc<Bean>),
    Dump(Arc<DumpBean>),
}

struct Entry {
    origin: Origin,
    name: Arc<str>,
    tracked: Vec<Tracked>,
    /// Cached rules tried for attributes that are not tracked.
    cached: u64,
    dropped: Vec<Reason>,
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
    cached: u64,
    dropped: Option<Reason>,
}

struct Series {
    family: Arc<str>,
    token: u64,
    slot: u32,
    factor: f64,
    /// The rule gave the number, and the slot holds it.
    constant: bool,
}

/// One attribute as rules see it.
struct LeafView {
    extra: Vec<(String, String)>,
    path: Vec<String>,
    attribute: String,
    name: String,
    description: String,
    /// The value is a number, whatever number.
    number: bool,
    /// The value, when it never changes.
    fixed: Option<Value>,
}

impl Origin {
    fn name(&self) -> &crate::object_name::ObjectName {
        match self {
            Self::Live(bean) => bean.name(),
            Self::Dump(bean) => &bean.name,
        }
    }

    fn leaves(&self) -> Vec<LeafView> {
        match self {
            Self::Live(bean) => {
                let mut now = Vec::new();
                let fixed = |value_type, name: &str| {
                    value_type == ValueType::TimeUnit || name == "EventType"
                };
                let attributes = bean.attributes();
                if attributes.iter().any(|info| fixed(info.value_type, info.name)) {
                    bean.read(&mut Scratch::default(), &mut now);
                }
                let view = |(at, info): (usize, &crate::row::AttributeInfo)| LeafView {
                    extra: Vec::new(),
                    path: Vec::new(),
                    attribute: info.name.to_owned(),
                    name: info.name.to_owned(),
                    description: info.description.to_owned(),
                    number: !matches!(info.value_type, ValueType::Text | ValueType::TimeUnit),
                    fixed: fixed(info.value_type, info.name)
                        .then(|| now.get(at).cloned())
                        .flatten(),
                };
                attributes.iter().enumerate().map(view).collect()
            }
            Self::Dump(bean) => bean
                .leaves
                .iter()
                .map(|leaf| LeafView {
                    extra: leaf.extra.clone(),
                    path: leaf.path.clone(),
                    attribute: leaf.attribute.clone(),
                    name: leaf.name.clone(),
                    description: leaf.description.clone(),
                    number: matches!(
                        leaf.value,
                        Value::Long(_) | Value::Double(_) | Value::Number { .. }
                    ),
                    fixed: None,
                })
                .collect(),
        }
    }

    fn read(&self, scratch: &mut Scratch, out: &mut Vec<Value>) {
        match self {
            Self::Live(bean) => bean.read(scratch, out),
            Self::Dump(bean) => out.extend(bean.leaves.iter().map(|leaf| leaf.value.clone())),
        }
    }
}

impl LeafView {
    fn with<T>(&self, origin: &Origin, use_it: impl FnOnce(&Subject<'_>) -> T) -> T {
        let name = origin.name();
        let extra = self.extra.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let properties: Vec<_> = name.properties().chain(extra).collect();
        use_it(&Subject {
            domain: name.domain(),
            properties: &properties,
            path: &self.path,
            attribute: &self.name,
            description: &self.description,
        })
    }
}

impl Collector {
    pub(crate) fn new(rules: Arc<RuleSet>) -> Self {
        Self {
            rules,
            entries: HashMap::new(),
            groups: BTreeMap::new(),
            dirty: BTreeSet::new(),
            values: Vec::new(),
            free: Vec::new(),
            next_token: 0,
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

    /// Runs the rules on a new bean.
    pub(crate) fn add(&mut self, id: u64, origin: Origin) {
        if !self.rules.selects(origin.name()) {
            return;
        }
        let name = origin.name().shared();
        let mut entry = Entry { origin, name, tracked: Vec::new(), cached: 0, dropped: Vec::new() };
        for (view, leaf) in entry.origin.leaves().into_iter().zip(0_u32..) {
            if self.rules.skips(entry.origin.name(), &view.attribute) {
                continue;
            }
            self.track(id, &mut entry, &view, leaf);
        }
        self.cached += entry.cached;
        for reason in &entry.dropped {
            self.drops.add(*reason, 1);
        }
        if !entry.tracked.is_empty() || entry.cached > 0 || !entry.dropped.is_empty() {
            entry.tracked.shrink_to_fit();
            self.entries.insert(id, entry);
        }
    }

    fn track(&mut self, id: u64, entry: &mut Entry, view: &LeafView, leaf: u32) {
        let seen = match &view.fixed {
            Some(value) => Seen::Value(value),
            None if view.number => Seen::Number,
            None => {
                entry.tracked.push(Tracked { leaf, series: None, memo: Some(Memo::new()) });
                return;
            }
        };
        let rules = self.rules.clone();
        let made =
            view.with(&entry.origin, |subject| rules.evaluate(subject, seen, &mut self.buffers));
        match made {
            Err(Stop::Depends | Stop::Steps) => {
                entry.tracked.push(Tracked { leaf, series: None, memo: Some(Memo::new()) });
            }
            Ok(Evaluated { outcome, cached_tried, .. }) => {
                entry.cached += u64::from(cached_tried);
                match outcome {
                    Outcome::Nothing => {}
                    Outcome::Dropped(reason) => entry.dropped.push(reason),
                    Outcome::Made(made) => {
                        if view.fixed.is_some() && made.constant.is_none() {
                            return;
                        }
                        match self.insert(id, &entry.name, leaf, made) {
                            Ok(series) => {
                                let series = Some(series);
                                entry.tracked.push(Tracked { leaf, series, memo: None });
                            }
                            Err(reason) => entry.dropped.push(reason),
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
        name: &Arc<str>,
        leaf: u32,
        made: Made,
    ) -> Result<Series, Reason> {
        let family = match self.rules.generation {
            Generation::V0 => made.name.as_str(),
            Generation::V1 => without_reserved_suffix(&made.name),
        };
        let family: Arc<str> = match self.groups.get_key_value(family) {
            Some((known, _)) => known.clone(),
            None => family.into(),
        };
        let group = self.groups.entry(family.clone()).or_default();
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
        self.next_token += 1;
        let token = self.next_token;
        self.dirty.insert(family.clone());
        let sorted = self.rules.generation == Generation::V1;
        group.push(Sample::new(bean, name.clone(), leaf, token, slot, &made, sorted));
        Ok(Series { family, token, slot, factor: made.factor, constant: made.constant.is_some() })
    }

    /// Takes a bean's series away.
    pub(crate) fn remove(&mut self, id: u64) {
        let Some(entry) = self.entries.remove(&id) else { return };
        self.cached -= entry.cached;
        for reason in &entry.dropped {
            self.drops.remove(*reason, 1);
        }
        for tracked in entry.tracked {
            if let Some(memo) = tracked.memo {
                self.cached -= memo.cached;
                memo.dropped.into_iter().for_each(|reason| self.drops.remove(reason, 1));
            }
            if let Some(series) = tracked.series {
                self.free.push(series.slot);
                self.dirty.insert(series.family);
            }
        }
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
        let name = entry.name.clone();
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
                self.free.push(old.slot);
                self.dirty.insert(old.family);
            }
            self.cached -= memo.cached;
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
            memo.cached = u64::from(cached_tried);
            self.cached += memo.cached;
            let dropped = match outcome {
                Outcome::Nothing => None,
                Outcome::Dropped(reason) => Some(reason),
                // A text makes no number by itself.
                Outcome::Made(made) if made.constant.is_none() && value.as_f64().is_none() => None,
                Outcome::Made(made) => match self.insert(id, &name, tracked.leaf, made) {
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
        for family in std::mem::take(&mut self.dirty) {
            let Some(mut group) = self.groups.remove(&family) else { continue };
            group.retain(|bean, leaf, token| {
                self.entries.get(&bean).is_some_and(|entry| {
                    let tracked = entry.tracked.iter().find(|tracked| tracked.leaf == leaf);
                    tracked.and_then(|t| t.series.as_ref()).is_some_and(|s| s.token == token)
                })
            });
            self.drops.take_away(group.drops());
            if group.len() == 0 {
                continue;
            }
            let help = group.first().and_then(|(bean, leaf)| self.made(bean, leaf)?.help);
            let generation = self.rules.generation;
            group.rebuild(&family, generation, help.as_deref(), |bean, leaf| {
                self.object_label(bean, leaf).unwrap_or_default()
            });
            self.drops.add_all(group.drops());
            self.groups.insert(family, group);
        }
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
        let entry = self.entries.get(&bean)?;
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
