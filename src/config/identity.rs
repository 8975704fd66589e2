//! Who this node is: its number, its roles, the quorum, the cluster, the admin addresses.

use std::collections::BTreeMap;

use crate::endpoints::Roles;
use crate::error::{ConfigError, Origin};
use crate::listener::{ADDRESS, Address, Voter};
use crate::row::Row;
use crate::rows;
use crate::sources::Setting;

pub(crate) fn node_id(settings: &BTreeMap<String, Setting>) -> Result<i32, ConfigError> {
    let read = |row: &Row| {
        let setting = settings.get(row.name)?;
        let id = setting.text.trim().parse::<i32>().ok().filter(|id| *id >= 0)?;
        Some((id, setting))
    };
    match (read(&rows::NODE_ID.row), read(&rows::BROKER_ID.row)) {
        (Some((node, _)), Some((broker, given))) if node != broker => {
            let expected = format!("expected the same number as node.id, {node}");
            Err(ConfigError::rule(rows::BROKER_ID.row.name, broker, expected, &given.origin))
        }
        (Some((id, _)), _) | (None, Some((id, _))) => Ok(id),
        (None, None) => Ok(0),
    }
}

/// Either name of the node's number stands for both, as in Kafka.
pub(crate) fn twin_ids(settings: &mut BTreeMap<String, Setting>) {
    let (node, broker) = (rows::NODE_ID.row.name, rows::BROKER_ID.row.name);
    for (from, to) in [(node, broker), (broker, node)] {
        let given = settings.get(from).filter(|setting| !setting.text.trim().starts_with('-'));
        if let Some(setting) = given.cloned() {
            settings.entry(to.to_owned()).or_insert(setting);
        }
    }
}

pub(crate) fn roles(settings: &BTreeMap<String, Setting>) -> Result<Roles, ConfigError> {
    let Some(given) = settings.get(rows::PROCESS_ROLES.row.name) else {
        return Ok(Roles { broker: true, controller: true });
    };
    let has = |role: &str| given.text.split(',').any(|entry| entry.trim() == role);
    let roles = Roles { broker: has("broker"), controller: has("controller") };
    // ZooKeeper-era and half-filled files leave the key empty.
    if !roles.broker && !roles.controller {
        return Ok(Roles { broker: true, controller: true });
    }
    Ok(roles)
}

pub(crate) fn voters(settings: &BTreeMap<String, Setting>) -> Result<Vec<Voter>, ConfigError> {
    let key = rows::CONTROLLER_QUORUM_VOTERS.row.name;
    let Some(given) = settings.get(key) else { return Ok(Vec::new()) };
    let refused = |entry: &str, expected: &str| {
        Err(ConfigError::rule(key, entry, expected.to_owned(), &given.origin))
    };
    let mut voters: Vec<Voter> = Vec::new();
    for entry in given.text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        match Voter::parse(entry) {
            None => return refused(entry, "expected id@host:port"),
            Some(voter) if voters.iter().any(|known| known.id == voter.id) => {
                return refused(entry, "expected each id once");
            }
            Some(voter) => voters.push(voter),
        }
    }
    Ok(voters)
}

pub(crate) fn admin(settings: &BTreeMap<String, Setting>) -> Result<Vec<Address>, ConfigError> {
    let row = &rows::ADMIN_LISTENERS.row;
    let default = Setting {
        text: row.default.text().unwrap_or_default().to_owned(),
        origin: Origin::Default,
    };
    let given = settings.get(row.name).unwrap_or(&default);
    let addresses = crate::endpoints::addresses(row.name, given)?;
    match addresses.iter().find(|address| !matches!(address.name.as_str(), "HTTP" | "HTTPS")) {
        Some(other) => {
            let expected = ADDRESS.replace("NAME://", "HTTP:// or HTTPS://");
            Err(ConfigError::rule(row.name, other, expected, &given.origin))
        }
        None => Ok(addresses),
    }
}

pub(crate) fn cluster_id_text(given: Setting) -> Result<String, ConfigError> {
    let text = given.text.trim();
    let sound = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if text.len() == 22 && text.bytes().all(sound) {
        return Ok(text.to_owned());
    }
    let expected = "expected 22 characters of URL-safe base64";
    Err(ConfigError::rule("CLUSTER_ID", text, expected, &given.origin))
}
