//! `kafka-client-metrics`: subscriptions to the metrics of clients, KIP-714
//! (org.apache.kafka.tools.ClientMetricsCommand).

use anyhow::{Result, anyhow, bail};
use pharos_base::TopicId;
use pharos_client::Admin;
use pharos_client::admin::{AlterConfig, AlterOp, ConfigResource, ResourceKind};

use crate::args::{Args, BOOTSTRAP, COMMAND_CONFIG, Spec, switch, value};
use crate::common::{admin, block_on};
use crate::io::Io;

/// Keys of a subscription, by the flag that sets each.
const KEYS: [(&str, &str); 3] =
    [("interval", "interval.ms"), ("match", "match"), ("metrics", "metrics")];

/// What the tool takes.
pub const SPEC: Spec = Spec {
    about: "This tool helps to manipulate and describe client metrics configurations.",
    commands: &[],
    flags: &[
        BOOTSTRAP,
        COMMAND_CONFIG,
        switch("alter", "Create or change a subscription."),
        switch("delete", "Delete a subscription."),
        switch("describe", "Describe subscriptions."),
        switch("list", "List the names of subscriptions."),
        value("name", "String: name", "Name of the subscription."),
        switch("generate-name", "Make a name up."),
        value("interval", "String: push interval", "Time between pushes in milliseconds."),
        value("match", "String: k1=v1,k2=v2", "Which clients; empty for all."),
        value("metrics", "String: m1,m2", "Prefixes of the metrics' names."),
    ],
};

/// Runs the tool.
pub fn run(args: &Args, io: &mut Io<'_>) -> Result<i32> {
    let action = args.action(
        &["alter", "delete", "describe", "list"],
        "Command must include exactly one action: --alter, --delete, --describe or --list.",
    )?;
    if !args.has("bootstrap-server") {
        bail!("--bootstrap-server must be specified.");
    }
    check(args, action)?;
    let admin = admin(args)?;
    let work = async {
        match action {
            "alter" => alter(args, &admin, io).await,
            "delete" => delete(args, &admin, io).await,
            "describe" => describe(args, &admin, io).await,
            _ => {
                let names = admin.list_config_resources(ResourceKind::ClientMetrics).await?;
                Ok(io.line(names.join("\n"))?)
            }
        }
    };
    block_on(work)
        .map_err(|error| anyhow!("Error while executing client metrics command : {error:#}"))?;
    Ok(0)
}

fn check(args: &Args, action: &str) -> Result<()> {
    match action {
        "alter" => {
            if args.has("name") == args.has("generate-name") {
                bail!("One of --name or --generate-name must be specified with --alter.");
            }
            if let Some(interval) = args.one("interval")?
                && !interval.is_empty()
                && interval.parse::<u32>().is_err()
            {
                bail!("Invalid interval value. Enter an integer, or leave empty to reset.");
            }
        }
        "delete" if !args.has("name") => {
            bail!("A client metrics resource name must be specified with --delete.")
        }
        _ => {}
    }
    args.refuse_beside("generate-name", &["delete", "describe", "list"])?;
    KEYS.iter().try_for_each(|(flag, _)| args.refuse_beside(flag, &["delete", "describe", "list"]))
}

fn resource(name: &str) -> ConfigResource {
    ConfigResource::new(ResourceKind::ClientMetrics, name)
}

async fn alter(args: &Args, admin: &Admin, io: &mut Io<'_>) -> Result<()> {
    let name = match args.one("name")? {
        Some(name) => name.to_owned(),
        None => TopicId::random().to_string(),
    };
    let mut changes = Vec::new();
    for (flag, key) in KEYS {
        // An empty value resets the key.
        let Some(text) = args.one(flag)? else { continue };
        let (op, value) = match text {
            "" => (AlterOp::Delete, None),
            text => (AlterOp::Set, Some(text.to_owned())),
        };
        changes.push(AlterConfig { name: key.to_owned(), op, value });
    }
    admin.alter_configs(&resource(&name), &changes).await?;
    Ok(io.line(format!("Altered client metrics config for {name}."))?)
}

async fn delete(args: &Args, admin: &Admin, io: &mut Io<'_>) -> Result<()> {
    let name = args.required("name")?;
    let described = admin.describe_configs(&[resource(name)]).await?;
    let mut changes = Vec::new();
    for (_, outcome) in described {
        changes.extend(outcome?.into_iter().map(|entry| AlterConfig {
            name: entry.name,
            op: AlterOp::Delete,
            value: None,
        }));
    }
    admin.alter_configs(&resource(name), &changes).await?;
    Ok(io.line(format!("Deleted client metrics config for {name}."))?)
}

async fn describe(args: &Args, admin: &Admin, io: &mut Io<'_>) -> Result<()> {
    let existing = admin.list_config_resources(ResourceKind::ClientMetrics).await?;
    let names = match args.one("name")? {
        Some(name) if !existing.iter().any(|found| found == name) => {
            return Ok(io.line(format!(
                "The client metric resource {name} doesn't exist and doesn't have dynamic config."
            ))?);
        }
        Some(name) => vec![name.to_owned()],
        None => existing,
    };
    for name in names {
        io.line(format!("Client metrics configs for {name} are:"))?;
        for (_, outcome) in admin.describe_configs(&[resource(&name)]).await? {
            let mut entries = outcome?;
            entries.sort_by(|a, b| a.name.cmp(&b.name));
            for entry in entries {
                io.line(format!("  {}={}", entry.name, entry.value.unwrap_or_default()))?;
            }
        }
    }
    Ok(())
}
