//! The labels of a series.

use std::borrow::Borrow;
use std::sync::Arc;

/// Names and values in the order of names, without the name of the series. Cloning shares them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels(Arc<[(Arc<str>, Arc<str>)]>);

impl Default for Labels {
    fn default() -> Self {
        Self(Arc::from([]))
    }
}

impl Labels {
    /// Labels in any order; one with an empty value is as one that is not there.
    pub fn new(mut pairs: Vec<(Arc<str>, Arc<str>)>) -> Self {
        pairs.retain(|(_, value)| !value.is_empty());
        pairs.sort();
        pairs.dedup_by(|later, first| later.0 == first.0);
        Self(pairs.into())
    }

    /// The value of a label; empty when there is none.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(have, _)| &**have == name).map_or("", |(_, value)| value)
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Whether anyone else has them.
    pub(crate) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// Those that `keep` wants.
    pub(crate) fn only(&self, keep: impl Fn(&str) -> bool) -> Self {
        match self.0.iter().all(|(name, _)| keep(name)) {
            true => self.clone(),
            false => Self(self.0.iter().filter(|(name, _)| keep(name)).cloned().collect()),
        }
    }

    /// With others in place of those of the same names.
    pub(crate) fn with<N, V>(&self, others: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Borrow<str>,
        V: Borrow<str>,
    {
        let mut pairs = self.0.to_vec();
        for (name, value) in others {
            pairs.retain(|(have, _)| **have != *name.borrow());
            pairs.push((name.borrow().into(), value.borrow().into()));
        }
        Self::new(pairs)
    }
}
