//! The attributes of a bean as rules see them: a live bean's, or those of a dump.

use std::borrow::Cow;
use std::sync::Arc;

use crate::bean::{Bean, Scratch};
use crate::instruments::StartTime;
use crate::object_name::ObjectName;
use crate::row::AttributeInfo;
use crate::rules::dump::DumpBean;
use crate::rules::evaluate::Subject;
use crate::value::{Value, ValueType};

/// Where a bean comes from.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    Live(Arc<Bean>),
    Dump(Arc<DumpBean>),
}

/// One attribute as rules see it.
pub(super) struct LeafView {
    extra: Vec<(String, String)>,
    path: Vec<String>,
    /// The bean's attribute, which exclusions name.
    pub(super) attribute: Cow<'static, str>,
    name: Cow<'static, str>,
    description: Cow<'static, str>,
    /// The value is a number, whatever number.
    pub(super) number: bool,
    /// The value, when it never changes.
    pub(super) fixed: Option<Value>,
}

impl Origin {
    pub(super) fn name(&self) -> &ObjectName {
        match self {
            Self::Live(bean) => bean.name(),
            Self::Dump(bean) => &bean.name,
        }
    }

    /// Its attributes, in the order in which [`Self::read`] gives their values.
    pub(super) fn leaves(&self) -> Vec<LeafView> {
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
                let view = |(at, info): (usize, &AttributeInfo)| LeafView {
                    extra: Vec::new(),
                    path: Vec::new(),
                    attribute: info.name.into(),
                    name: info.name.into(),
                    description: info.description.into(),
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
                    attribute: leaf.attribute.clone().into(),
                    name: leaf.name.clone().into(),
                    description: leaf.description.clone().into(),
                    number: matches!(
                        leaf.value,
                        Value::Long(_) | Value::Double(_) | Value::Number { .. }
                    ),
                    fixed: None,
                })
                .collect(),
        }
    }

    /// When the number of the attribute `leaf` began to count; `None` for what does not, and when it
    /// is not known.
    pub(super) fn started(&self, leaf: u32) -> Option<StartTime> {
        match self {
            Self::Live(bean) => bean.started(leaf as usize),
            Self::Dump(_) => None,
        }
    }

    /// Appends the value of every attribute.
    pub(super) fn read(&self, scratch: &mut Scratch, out: &mut Vec<Value>) {
        match self {
            Self::Live(bean) => bean.read(scratch, out),
            Self::Dump(bean) => out.extend(bean.leaves.iter().map(|leaf| leaf.value.clone())),
        }
    }
}

impl LeafView {
    /// Shows it to `use_it` as an attribute of that bean.
    pub(super) fn with<T>(&self, origin: &Origin, use_it: impl FnOnce(&Subject<'_>) -> T) -> T {
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
