//! Quotas of users, clients and addresses.

use std::net::ToSocketAddrs;

use anyhow::{Result, anyhow, bail};
use pharos_base::java_double;
use pharos_client::Admin;
use pharos_client::admin::{DescribedQuota, QuotaEntity, QuotaKind, QuotaMatch};

use super::{Named, added, deleted, singular};
use crate::args::Args;
use crate::io::Io;

const USER_KEYS: [&str; 4] =
    ["producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate"];
const IP_KEY: &str = "connection_creation_rate";
const SCRAM: [&str; 2] = ["SCRAM-SHA-256", "SCRAM-SHA-512"];

/// Whether quotas hang on entities of this type.
pub fn concerns(plural: &str) -> bool {
    kind_of(plural).is_some()
}

fn kind_of(plural: &str) -> Option<QuotaKind> {
    match plural {
        "users" => Some(QuotaKind::User),
        "clients" => Some(QuotaKind::ClientId),
        "ips" => Some(QuotaKind::Ip),
        _ => None,
    }
}

/// What is wrong with the flags for these entities.
pub fn check(action: &str, named: &Named) -> Result<()> {
    if named.has("ips") {
        for name in named.names.iter().filter(|name| !name.is_empty()) {
            if (name.as_str(), 0).to_socket_addrs().is_err() {
                bail!(
                    "The entity name for ips must be a valid IP or resolvable host, but it is: {name}"
                );
            }
        }
    }
    if action == "alter" && named.names.is_empty() {
        bail!(
            "An entity-name or default entity must be specified with --alter of users, clients, \
             brokers or ips"
        );
    }
    if action == "alter" && named.types.len() != named.names.len() {
        bail!("An entity name must be specified for every entity type");
    }
    Ok(())
}

/// Shows quotas, and of users alone their SCRAM credentials too.
pub async fn describe(admin: &Admin, named: &Named, io: &mut Io<'_>) -> Result<()> {
    for quota in described(admin, named).await? {
        io.line(line(&quota))?;
    }
    if named.types != ["users"] || named.names.iter().any(String::is_empty) {
        return Ok(());
    }
    for (user, credentials) in admin.describe_scram_credentials(&named.names).await? {
        match credentials {
            Ok(infos) => {
                let infos: Vec<_> = infos
                    .iter()
                    .map(|(mechanism, iterations)| format!("{mechanism}=iterations={iterations}"))
                    .collect();
                let infos = infos.join(", ");
                io.line(format!(
                    "SCRAM credential configs for user-principal '{user}' are {infos}"
                ))?;
            }
            Err(error) => io.line(format!(
                "Error retrieving SCRAM credential configs for user-principal '{user}': {error}"
            ))?,
        }
    }
    Ok(())
}

fn line((entity, values): &DescribedQuota) -> String {
    let parts = entity.iter().map(|(kind, name)| {
        let kind = match kind {
            QuotaKind::User => "user-principal",
            QuotaKind::ClientId => "client-id",
            QuotaKind::Ip => "ip",
        };
        match name {
            Some(name) => format!("{kind} '{name}'"),
            None => format!("the default {kind}"),
        }
    });
    let values = values.iter().map(|(key, value)| format!("{key}={}", java_double(*value)));
    format!(
        "Quota configs for {} are {}",
        parts.collect::<Vec<_>>().join(", "),
        values.collect::<Vec<_>>().join(", ")
    )
}

/// The quotas of entities of exactly these types.
async fn described(admin: &Admin, named: &Named) -> Result<Vec<DescribedQuota>> {
    if named.names.len() > named.types.len() {
        bail!("More entity names specified than entity types");
    }
    let names = named.names.iter().map(Some).chain(std::iter::repeat(None));
    let filter: Vec<_> = named
        .types
        .iter()
        .filter_map(|plural| kind_of(plural))
        .zip(names)
        .map(|(kind, name)| match name.map(String::as_str) {
            Some("") => (kind, QuotaMatch::Default),
            Some(name) => (kind, QuotaMatch::Exact(name.to_owned())),
            None => (kind, QuotaMatch::Any),
        })
        .collect();
    Ok(admin.describe_client_quotas(&filter, true).await?)
}

/// Sets and removes limits of one entity.
pub async fn alter(args: &Args, admin: &Admin, named: &Named, io: &mut Io<'_>) -> Result<()> {
    let (added, deleted) = (added(args)?, deleted(args)?);
    let names: Vec<&str> = added.iter().map(|(name, _)| name.as_str()).collect();
    check_keys(named, &names, &deleted)?;
    let before = described(admin, named).await?.into_iter().next().unwrap_or_default().1;
    let unset: Vec<&str> = deleted
        .iter()
        .filter(|key| !before.iter().any(|(have, _)| have == *key))
        .map(String::as_str)
        .collect();
    if !unset.is_empty() {
        bail!("Invalid config(s): {}", unset.join(","));
    }
    let mut changes = Vec::new();
    for (key, value) in added {
        let number = value
            .trim()
            .parse::<f64>()
            .map_err(|_| anyhow!("Cannot parse quota configuration value for {key}: {value}"))?;
        changes.push((key, Some(number)));
    }
    changes.extend(deleted.into_iter().map(|key| (key, None)));
    let entity: QuotaEntity = named
        .types
        .iter()
        .filter_map(|plural| kind_of(plural))
        .zip(&named.names)
        .map(|(kind, name)| (kind, (!name.is_empty()).then(|| name.clone())))
        .collect();
    admin.alter_client_quotas(&entity, &changes).await?;
    let plural = named.types.first().copied().unwrap_or_default();
    Ok(io.line(match named.names.first().map_or("", String::as_str) {
        "" => format!("Completed updating default config for {plural} in the cluster."),
        name => format!("Completed updating config for {} {name}.", singular(plural)),
    })?)
}

fn check_keys(named: &Named, added: &[&str], deleted: &[String]) -> Result<()> {
    let deleted: Vec<&str> = deleted.iter().map(String::as_str).collect();
    if named.has("ips") {
        let unknown: Vec<_> =
            added.iter().chain(&deleted).filter(|key| **key != IP_KEY).copied().collect();
        if !unknown.is_empty() {
            bail!(
                "Only connection quota configs can be added for 'ips' using --bootstrap-server. \
                 Unexpected config names: {}",
                unknown.join(",")
            );
        }
        return Ok(());
    }
    let of_users = named.types == ["users"];
    // Kafka shows the collections as its language does.
    for (keys, done, shown) in [(added, "added", "Set"), (&deleted[..], "deleted", "ArrayBuffer")] {
        let is_known = |key: &&str| USER_KEYS.contains(key) || (of_users && SCRAM.contains(key));
        let unknown: Vec<_> = keys.iter().filter(|key| !is_known(key)).copied().collect();
        let (what, plural) = if of_users {
            ("quota and SCRAM credential configs", "users")
        } else {
            ("quota configs", "clients")
        };
        if !unknown.is_empty() {
            bail!(
                "Only {what} can be {done} for '{plural}' using --bootstrap-server. Unexpected \
                 config names: {shown}({})",
                unknown.join(", ")
            );
        }
    }
    if added.iter().chain(&deleted).any(|key| SCRAM.contains(key)) {
        if named.names.iter().any(String::is_empty) {
            bail!(
                "The use of --entity-default or --user-defaults is not allowed with User SCRAM \
                 Credentials using --bootstrap-server."
            );
        }
        if added.iter().chain(&deleted).any(|key| USER_KEYS.contains(key)) {
            bail!(
                "Cannot alter both quota and SCRAM credential configs simultaneously for 'users' \
                 using --bootstrap-server."
            );
        }
        bail!("SCRAM credentials are not here yet: they come later");
    }
    Ok(())
}
