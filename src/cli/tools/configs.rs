//! `kafka-configs`: configurations of topics, brokers, groups and client metrics
//! (kafka.admin.ConfigCommand).

mod quotas;

use std::collections::HashSet;

use anyhow::{Result, anyhow, bail};
use pharos_client::admin::{
    AlterConfig, AlterOp, ConfigEntry, ConfigResource, ConfigSource, ResourceKind,
};
use pharos_client::{Admin, Properties};

use crate::args::{Args, BOOTSTRAP, COMMAND_CONFIG, CONTROLLER, Spec, switch, value};
use crate::common::{admin_properties, block_on};
use crate::io::Io;

/// What the tool takes.
pub const SPEC: Spec = Spec {
    about: "This tool helps to manipulate and describe entity config for a topic, client, user, \
            broker, ip, client-metrics or group",
    commands: &[],
    flags: &[
        BOOTSTRAP,
        CONTROLLER,
        COMMAND_CONFIG,
        switch("describe", "List the configurations of an entity."),
        switch("alter", "Alter the configuration of an entity."),
        switch("all", "List all configurations, not only what was set."),
        value("entity-type", "String", "topics, brokers, groups, client-metrics, users, ..."),
        value("entity-name", "String", "Name of the entity."),
        switch("entity-default", "The default of all entities of the type."),
        value("add-config", "String", "Pairs to set: 'k1=v1,k2=[v1,v2]'."),
        value("add-config-file", "String", "File of pairs to set."),
        value("delete-config", "String", "Keys to reset: 'k1,k2'."),
        value("topic", "String", "The topic's name."),
        value("broker", "String", "The broker's id."),
        switch("broker-defaults", "The default of all brokers."),
        value("broker-logger", "String", "The broker's id, for its loggers."),
        value("group", "String", "The group's id."),
        value("client-metrics", "String", "The subscription's name."),
        value("user", "String", "The user's principal name."),
        switch("user-defaults", "The default of all users."),
        value("client", "String", "The client's id."),
        switch("client-defaults", "The default of all clients."),
        value("ip", "String", "The IP address."),
        switch("ip-defaults", "The default of all IP addresses."),
        switch("force", "Suppress questions."),
    ],
};

/// Types of entities, with the kind of resource that they are; quotas hang on the others.
const TYPES: [(&str, Option<ResourceKind>); 8] = [
    ("topics", Some(ResourceKind::Topic)),
    ("clients", None),
    ("users", None),
    ("brokers", Some(ResourceKind::Broker)),
    ("ips", None),
    ("client-metrics", Some(ResourceKind::ClientMetrics)),
    ("groups", Some(ResourceKind::Group)),
    ("broker-loggers", None),
];

/// Flags that name type and entity in one, in the order in which Kafka looks at them.
const SHORT: [(&str, &str); 8] = [
    ("topic", "topics"),
    ("client", "clients"),
    ("user", "users"),
    ("broker", "brokers"),
    ("broker-logger", "broker-loggers"),
    ("ip", "ips"),
    ("client-metrics", "client-metrics"),
    ("group", "groups"),
];

/// Flags that name the default of a type.
const DEFAULTS: [(&str, &str); 4] = [
    ("client-defaults", "clients"),
    ("user-defaults", "users"),
    ("broker-defaults", "brokers"),
    ("ip-defaults", "ips"),
];

/// What the flags name: types in the plural and names, empty for the default of a type.
struct Named {
    types: Vec<&'static str>,
    names: Vec<String>,
}

impl Named {
    fn read(args: &Args) -> Result<Self> {
        let known = |name: &str| TYPES.iter().find(|(known, _)| *known == name);
        let short = || SHORT.iter().chain(&DEFAULTS).filter(|(flag, _)| args.has(flag));
        let long: Vec<&str> = args.values("entity-type").collect();
        let all: Vec<&str> =
            long.iter().copied().chain(short().map(|(_, plural)| *plural)).collect();
        let mut seen = HashSet::new();
        let twice: Vec<&str> = all.iter().filter(|one| !seen.insert(**one)).copied().collect();
        if !twice.is_empty() {
            bail!("Duplicate entity type(s) specified: {}", twice.join(","));
        }
        let mut types = Vec::new();
        for name in &all {
            let Some((plural, _)) = known(name) else {
                let all: Vec<_> = TYPES.iter().map(|(name, _)| *name).collect();
                bail!(
                    "Invalid entity type {name}, the entity type must be one of {} with a \
                     --bootstrap-server or --bootstrap-controller argument",
                    all.join(", ")
                )
            };
            types.push(*plural);
        }
        let mut sorted = types.clone();
        sorted.sort_unstable();
        match sorted.len() {
            0 => bail!("At least one entity type must be specified"),
            1 => {}
            _ if sorted == ["clients", "users"] => {}
            _ => bail!("Only 'users' and 'clients' entity types may be specified together"),
        }
        let mixed = ["entity-type", "entity-name", "entity-default"].iter().any(|it| args.has(it));
        if mixed && short().next().is_some() {
            bail!(
                "--entity-{{type,name,default}} should not be used in conjunction with specific \
                 entity flags"
            );
        }
        let mut names: Vec<String> = args
            .each_of(&["entity-name", "entity-default"])
            .map(|name| name.unwrap_or_default().to_owned())
            .collect();
        for (flag, _) in SHORT {
            names.extend(args.one(flag)?.map(str::to_owned));
        }
        let defaults = DEFAULTS.iter().filter(|(flag, _)| args.has(flag));
        names.extend(defaults.map(|_| String::new()));
        Ok(Self { types, names })
    }

    fn has(&self, plural: &str) -> bool {
        self.types.contains(&plural)
    }
}

/// A resource that the flags are about.
struct Entity {
    kind: ResourceKind,
    /// The type's name, in the plural.
    plural: &'static str,
    /// None for all entities of the type, empty for the default.
    name: Option<String>,
}

/// Runs the tool.
pub fn run(args: &Args, io: &mut Io<'_>) -> Result<i32> {
    let action = args.action(
        &["describe", "alter"],
        "Command must include exactly one action: --describe, --alter",
    )?;
    let named = Named::read(args)?;
    if named.has("broker-loggers") {
        bail!("broker-loggers are not here yet: loggers that can be changed come later");
    }
    if !args.has("bootstrap-server") && !args.has("bootstrap-controller") {
        bail!("Either --bootstrap-server or --bootstrap-controller must be specified.");
    }
    let quotas = named.types.iter().any(|plural| quotas::concerns(plural));
    let resource = (!quotas).then(|| entity(&named)).flatten();
    match &resource {
        Some(entity) => check(action, entity)?,
        None => quotas::check(action, &named)?,
    }
    if action == "alter" {
        check_changes(args)?;
    }
    let admin = Admin::from_properties(&admin_properties(args)?)?;
    block_on(async {
        match (action, &resource) {
            ("describe", Some(entity)) => describe(args, &admin, entity, io).await,
            (_, Some(entity)) => alter(args, &admin, entity, io).await,
            ("describe", None) => quotas::describe(&admin, &named, io).await,
            (_, None) => quotas::alter(args, &admin, &named, io).await,
        }
    })?;
    Ok(0)
}

fn entity(named: &Named) -> Option<Entity> {
    let plural = *named.types.first()?;
    let (_, kind) = TYPES.iter().find(|(known, _)| *known == plural)?;
    Some(Entity { kind: (*kind)?, plural, name: named.names.first().cloned() })
}

fn check(action: &str, entity: &Entity) -> Result<()> {
    if entity.kind == ResourceKind::Broker
        && let Some(name) = entity.name.as_deref().filter(|name| !name.is_empty())
        && name.parse::<i32>().is_err()
    {
        bail!("The entity name for brokers must be a valid integer broker id, but it is: {name}");
    }
    if action == "alter" && entity.name.is_none() {
        bail!("An entity name must be specified with --alter of {}", entity.plural);
    }
    if entity.name.as_deref() == Some("") && entity.kind != ResourceKind::Broker {
        bail!("--entity-default must not be specified with --{action} of {}", entity.plural);
    }
    Ok(())
}

fn check_changes(args: &Args) -> Result<()> {
    if args.has("add-config") && args.has("add-config-file") {
        bail!("Only one of --add-config or --add-config-file must be specified");
    }
    if !["add-config", "add-config-file", "delete-config"].iter().any(|flag| args.has(flag)) {
        bail!(
            "At least one of --add-config, --add-config-file, or --delete-config must be specified \
             with --alter"
        );
    }
    Ok(())
}

async fn describe(args: &Args, admin: &Admin, entity: &Entity, io: &mut Io<'_>) -> Result<()> {
    let names = match &entity.name {
        Some(name) => {
            if !exists(admin, entity.kind, name).await? {
                let singular = singular(entity.plural);
                return Ok(io.line(format!(
                    "The {singular} '{name}' doesn't exist and doesn't have dynamic config."
                ))?);
            }
            vec![name.clone()]
        }
        None => all_names(admin, entity.kind).await?,
    };
    let all = args.has("all");
    for name in names {
        let heading = match (name.as_str(), all) {
            ("", _) => format!("Default configs for {} in the cluster are:", entity.plural),
            (name, true) => format!("All configs for {} {name} are:", singular(entity.plural)),
            (name, false) => format!("Dynamic configs for {} {name} are:", singular(entity.plural)),
        };
        io.line(heading)?;
        let wanted = if all { None } else { Some(own_source(entity.kind, &name)) };
        let resource = ConfigResource::new(entity.kind, name);
        for (_, outcome) in admin.describe_configs(&[resource]).await? {
            let mut entries = outcome?;
            entries.sort_by(|a, b| a.name.cmp(&b.name));
            for entry in entries.iter().filter(|e| wanted.is_none_or(|source| e.source == source)) {
                io.line(entry_line(entry))?;
            }
        }
    }
    Ok(())
}

/// Topics, groups and subscriptions that nobody knows have no configuration to show.
async fn exists(admin: &Admin, kind: ResourceKind, name: &str) -> Result<bool> {
    Ok(match kind {
        ResourceKind::Topic => admin.list_topics().await?.iter().any(|(topic, _)| topic == name),
        ResourceKind::Group => {
            let listed = admin.list_config_resources(kind).await.unwrap_or_default();
            listed.iter().any(|group| group == name)
                || admin.list_groups(&[], &[]).await?.iter().any(|g| g.group_id == name)
        }
        ResourceKind::ClientMetrics => {
            admin.list_config_resources(kind).await?.iter().any(|found| found == name)
        }
        ResourceKind::Broker | ResourceKind::BrokerLogger => {
            let nodes = admin.cluster().nodes().await?;
            name.is_empty() || nodes.iter().any(|node| node.id.to_string() == name)
        }
    })
}

async fn all_names(admin: &Admin, kind: ResourceKind) -> Result<Vec<String>> {
    Ok(match kind {
        ResourceKind::Topic => {
            admin.list_topics().await?.into_iter().map(|(topic, _)| topic).collect()
        }
        ResourceKind::Broker | ResourceKind::BrokerLogger => {
            let nodes = admin.cluster().nodes().await?;
            nodes.iter().map(|node| node.id.to_string()).chain([String::new()]).collect()
        }
        ResourceKind::Group => {
            let groups = admin.list_groups(&[], &[]).await?;
            let mut names: Vec<String> = groups.into_iter().map(|group| group.group_id).collect();
            names.extend(admin.list_config_resources(kind).await.unwrap_or_default());
            names.sort();
            names.dedup();
            names
        }
        ResourceKind::ClientMetrics => admin.list_config_resources(kind).await?,
    })
}

/// Where values that were set on the entity itself come from.
fn own_source(kind: ResourceKind, name: &str) -> ConfigSource {
    match (kind, name) {
        (ResourceKind::Topic, _) => ConfigSource::TOPIC,
        (ResourceKind::Broker, "") => ConfigSource::DYNAMIC_DEFAULT_BROKER,
        (ResourceKind::Broker, _) => ConfigSource::DYNAMIC_BROKER,
        (ResourceKind::BrokerLogger, _) => ConfigSource::DYNAMIC_BROKER_LOGGER,
        (ResourceKind::ClientMetrics, _) => ConfigSource::CLIENT_METRICS,
        (ResourceKind::Group, _) => ConfigSource::GROUP,
    }
}

/// As Kafka does it, `client-metrics` becomes `client-metric`.
fn singular(plural: &str) -> &str {
    plural.strip_suffix('s').unwrap_or(plural)
}

fn entry_line(entry: &ConfigEntry) -> String {
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".to_owned());
    let synonyms: Vec<_> = entry
        .synonyms
        .iter()
        .map(|synonym| {
            format!("{}:{}={}", synonym.source.name(), synonym.name, shown(&synonym.value))
        })
        .collect();
    format!(
        "  {}={} sensitive={} synonyms={{{}}}",
        entry.name,
        shown(&entry.value),
        entry.sensitive,
        synonyms.join(", ")
    )
}

async fn alter(args: &Args, admin: &Admin, entity: &Entity, io: &mut Io<'_>) -> Result<()> {
    let name = entity.name.clone().unwrap_or_default();
    let resource = ConfigResource::new(entity.kind, name.as_str());
    let mut changes: Vec<AlterConfig> = added(args)?
        .into_iter()
        .map(|(name, value)| AlterConfig { name, op: AlterOp::Set, value: Some(value) })
        .collect();
    changes.extend(deleted(args)?.into_iter().map(|name| AlterConfig {
        name,
        op: AlterOp::Delete,
        value: None,
    }));
    admin.alter_configs(&resource, &changes).await?;
    Ok(io.line(match name.as_str() {
        "" => format!("Completed updating default config for {} in the cluster.", entity.plural),
        name => format!("Completed updating config for {} {name}.", singular(entity.plural)),
    })?)
}

fn added(args: &Args) -> Result<Vec<(String, String)>> {
    if let Some(file) = args.one("add-config-file")? {
        let properties = Properties::read(file)?;
        return Ok(properties.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect());
    }
    match args.one("add-config")? {
        Some(text) => parse_pairs(text),
        None => Ok(Vec::new()),
    }
}

fn deleted(args: &Args) -> Result<Vec<String>> {
    let keys = args.one("delete-config")?.unwrap_or_default().split(',').map(str::trim);
    Ok(keys.filter(|key| !key.is_empty()).map(str::to_owned).collect())
}

/// Reads `k1=v1,k2=[v1,v2]`: brackets keep the commas of a value together.
fn parse_pairs(text: &str) -> Result<Vec<(String, String)>> {
    let mut pairs: Vec<String> = Vec::new();
    let mut depth = 0;
    let mut current = String::new();
    for c in text.chars() {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            ',' if depth == 0 => {
                pairs.push(std::mem::take(&mut current));
                continue;
            }
            _ => {}
        }
        current.push(c);
    }
    pairs.push(current);
    pairs
        .iter()
        .map(|pair| pair.trim())
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').ok_or_else(|| {
                anyhow!(
                    "requirement failed: Invalid entity config: all configs to be added must be in \
                     the format \"key=val\" or  \"key=[val1,val2]\" to group values which contain \
                     commas."
                )
            })?;
            let value = value.trim();
            let bare = value.strip_prefix('[').and_then(|value| value.strip_suffix(']'));
            Ok((key.trim().to_owned(), bare.unwrap_or(value).to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use pharos_client::admin::ConfigSynonym;

    use super::*;

    #[test]
    fn entries_look_as_kafka_prints_them() {
        let synonym = |source, name: &str, value: &str| ConfigSynonym {
            name: name.to_owned(),
            value: Some(value.to_owned()),
            source,
        };
        let entry = ConfigEntry {
            name: "cleanup.policy".to_owned(),
            value: Some("compact,delete".to_owned()),
            source: ConfigSource::TOPIC,
            read_only: false,
            sensitive: false,
            synonyms: vec![
                synonym(ConfigSource::TOPIC, "cleanup.policy", "compact,delete"),
                synonym(ConfigSource::DEFAULT, "log.cleanup.policy", "delete"),
            ],
        };
        // Captured from kafka-configs.sh --describe of 4.3.1.
        let expected = "  cleanup.policy=compact,delete sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:cleanup.policy=compact,delete, DEFAULT_CONFIG:log.cleanup.policy=delete}";
        assert_eq!(entry_line(&entry), expected);
    }

    #[test]
    fn pairs_may_hold_lists() {
        let pairs = parse_pairs("retention.ms=1,cleanup.policy=[compact,delete],x=").unwrap();
        let expected = [("retention.ms", "1"), ("cleanup.policy", "compact,delete"), ("x", "")];
        assert!(pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())).eq(expected));
        assert!(parse_pairs("novalue").is_err());
    }
}
