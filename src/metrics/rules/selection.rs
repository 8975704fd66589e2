//! Which beans and attributes a rule file looks at: the keys that say so, read and asked.

use super::config::{Result, Written, expected};
use super::name_pattern::NamePattern;
use super::yaml::Yaml;
use crate::object_name::ObjectName;

/// What a rule file selects; everything unless it says otherwise.
#[derive(Debug)]
pub(super) struct Selection {
    include: Option<Vec<NamePattern>>,
    exclude: Vec<NamePattern>,
    exclude_attributes: Vec<(ObjectName, Vec<String>)>,
}

impl Selection {
    /// Reads the keys of a file, and notes in `written` what checks have to tell of.
    pub(super) fn read(yaml: &Yaml, written: &mut Written) -> Result<Self> {
        let (include, old_include) = ("includeObjectNames", "whitelistObjectNames");
        let selection = Self {
            include: patterns(yaml, include, old_include)?,
            exclude: patterns(yaml, "excludeObjectNames", "blacklistObjectNames")?
                .unwrap_or_default(),
            exclude_attributes: attributes(yaml, written)?,
        };
        written.include = names_of(yaml, include, old_include);
        Ok(selection)
    }

    /// True when the file looks at this bean at all; exclusion beats inclusion.
    pub(super) fn selects(&self, name: &ObjectName) -> bool {
        let matches = |list: &[NamePattern]| list.iter().any(|pattern| pattern.matches(name));
        self.include.as_deref().is_none_or(matches) && !matches(&self.exclude)
    }

    /// True when the file leaves this attribute of a selected bean out.
    pub(super) fn skips(&self, name: &ObjectName, attribute: &str) -> bool {
        self.exclude_attributes
            .iter()
            .any(|(bean, list)| bean.same(name) && list.iter().any(|have| have == attribute))
    }
}

/// The list of the new key, of the old one only when the new one is absent.
fn patterns(yaml: &Yaml, key: &str, old_key: &str) -> Result<Option<Vec<NamePattern>>> {
    let (key, list) = match (yaml.get(key), yaml.get(old_key)) {
        (Some(list), _) => (key, list),
        (None, Some(list)) => (old_key, list),
        (None, None) => return Ok(None),
    };
    let Yaml::List(list) = list else { return Err(expected(key, "a list", list)) };
    let read = |node: &Yaml| match node {
        Yaml::Text(text) => {
            NamePattern::parse(text).map_err(|reason| format!("{key}: {text:?} {reason}"))
        }
        other => Err(expected(key, "object names", other)),
    };
    list.iter().map(read).collect::<Result<_>>().map(Some)
}

/// The object names of a list that has been checked.
fn names_of(yaml: &Yaml, key: &str, old_key: &str) -> Vec<String> {
    let list = match yaml.get(key).or_else(|| yaml.get(old_key)) {
        Some(Yaml::List(list)) => list.as_slice(),
        _ => &[],
    };
    list.iter().filter_map(Yaml::scalar).collect()
}

/// The attributes that are left out, by bean.
fn attributes(yaml: &Yaml, written: &mut Written) -> Result<Vec<(ObjectName, Vec<String>)>> {
    const KEY: &str = "excludeObjectNameAttributes";
    let map = match yaml.get(KEY) {
        None => return Ok(Vec::new()),
        Some(map @ Yaml::Map(_)) => map,
        Some(other) => return Err(expected(KEY, "a map", other)),
    };
    let mut all = Vec::new();
    for (name, list) in map.entries() {
        let (Yaml::Text(name), Yaml::List(list)) = (name, list) else {
            return Err(expected(KEY, "object names and lists of attributes", list));
        };
        // A pattern is legal here, and equals no bean.
        NamePattern::parse(name).map_err(|reason| format!("{KEY}: {name:?} {reason}"))?;
        let text = |node: &Yaml| match node {
            Yaml::Text(text) => Ok(text.clone()),
            other => Err(expected(KEY, "names of attributes", other)),
        };
        let list: Vec<String> = list.iter().map(text).collect::<Result<_>>()?;
        written.without.push((name.clone(), list.clone()));
        let Ok(name) = ObjectName::parse(name) else { continue };
        all.push((name, list));
    }
    Ok(all)
}
