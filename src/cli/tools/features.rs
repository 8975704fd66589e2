//! `kafka-features`: features of the cluster and their levels
//! (org.apache.kafka.tools.FeatureCommand).

mod versions;

use anyhow::{Result, anyhow, bail};
use pharos_base::BrokerId;
use pharos_client::admin::FeatureUpdate;
use pharos_client::{Admin, ApiRange, Target};

pub use self::versions::{
    FEATURES, METADATA_VERSION, level_name, metadata_version, newest_metadata,
};
use super::command;
use crate::args::{Args, BOOTSTRAP, COMMAND_CONFIG, CONTROLLER, Spec, switch, value};
use crate::common::{admin, block_on};
use crate::io::Io;
use crate::table::pad;

/// What the tool takes.
pub const SPEC: Spec = Spec {
    about: "This tool manages feature flags in Kafka.",
    commands: &[
        ("describe", "Describe the current active feature flags."),
        ("upgrade", "Upgrade one or more feature flags."),
        ("downgrade", "Downgrade one or more feature flags."),
        ("disable", "Disable one or more feature flags."),
        ("version-mapping", "The levels that belong to a metadata version."),
        ("feature-dependencies", "What a level of a feature needs."),
    ],
    flags: &[
        value("node-id", "Integer: id", "The broker whose features are described."),
        BOOTSTRAP,
        CONTROLLER,
        COMMAND_CONFIG,
        value("feature", "String: feature=level", "A feature and its level."),
        value("metadata", "String: version", "The old way to name a level of metadata.version."),
        value("release-version", "String: version", "A metadata version, as 4.3 or 4.3-IV0."),
        switch("dry-run", "Only say what would be done."),
        switch("unsafe", "Allow a downgrade that may lose metadata."),
    ],
};

/// Runs the tool.
pub fn run(args: &Args, io: &mut Io<'_>) -> Result<i32> {
    let command = command(args, &SPEC)?;
    match command {
        "version-mapping" => return version_mapping(args, io).map(|()| 0),
        "feature-dependencies" => return dependencies(args, io).map(|()| 0),
        _ => {}
    }
    if !args.has("bootstrap-server") && !args.has("bootstrap-controller") {
        bail!("You must specify either --bootstrap-controller or --bootstrap-server.");
    }
    let admin = admin(args)?;
    match command {
        "describe" => {
            let node: Option<i32> = args.parsed("node-id")?;
            block_on(describe(&admin, node.map(BrokerId), io)).map(|()| 0)
        }
        "upgrade" => {
            let updates = levels(args, command, io)?;
            block_on(update(&admin, "upgrade", 1, updates, args.has("dry-run"), io))
        }
        "downgrade" => {
            let updates = levels(args, command, io)?;
            let kind = if args.has("unsafe") { 3 } else { 2 };
            block_on(update(&admin, "downgrade", kind, updates, args.has("dry-run"), io))
        }
        _ => {
            let kind = if args.has("unsafe") { 3 } else { 2 };
            let updates: Vec<_> = args.values("feature").map(|name| (name.to_owned(), 0)).collect();
            if updates.is_empty() {
                bail!("You must specify at least one feature to disable");
            }
            block_on(update(&admin, "disable", kind, updates, args.has("dry-run"), io))
        }
    }
}

async fn describe(admin: &Admin, node: Option<BrokerId>, io: &mut Io<'_>) -> Result<()> {
    let versions = match node {
        Some(id) => {
            // Where it is must be known before it can be asked.
            admin.cluster().nodes().await?;
            admin.api_versions(Target::Broker(id)).await?
        }
        None => admin.features().await?,
    };
    let none = ApiRange { min: 0, max: 0 };
    for (name, supported) in &versions.supported_features {
        let level = versions.finalized_features.get(name).copied().unwrap_or(none).max;
        io.line(feature_line(name, *supported, level, versions.finalized_epoch))?;
    }
    Ok(())
}

fn feature_line(name: &str, supported: ApiRange, level: i16, epoch: i64) -> String {
    let shown = |level| pad(&level_name(name, level), 16);
    let epoch = if epoch < 0 { "-".to_owned() } else { epoch.to_string() };
    format!(
        "Feature: {} SupportedMinVersion: {} SupportedMaxVersion: {} FinalizedVersionLevel: {} \
         Epoch: {epoch}",
        pad(name, 41),
        shown(supported.min),
        shown(supported.max),
        shown(level)
    )
}

/// The features of the flags with their levels.
fn levels(args: &Args, verb: &str, io: &mut Io<'_>) -> Result<Vec<(String, i16)>> {
    if let Some(release) = args.one("release-version")? {
        if args.has("feature") || args.has("metadata") {
            bail!("Can not specify `release-version` with other feature flags.");
        }
        let version = metadata_version(release)?;
        let mut levels: Vec<_> = FEATURES
            .iter()
            .map(|feature| (feature.name.to_owned(), feature.default_at(version)))
            .filter(|(_, level)| *level > 0)
            .collect();
        levels.push((METADATA_VERSION.to_owned(), version));
        levels.sort();
        return Ok(levels);
    }
    let mut levels = Vec::new();
    if let Some(version) = args.one("metadata")? {
        io.line(" `metadata` flag is deprecated and may be removed in a future release.")?;
        levels.push((METADATA_VERSION.to_owned(), metadata_version(version)?));
    }
    for text in args.values("feature") {
        levels.push(name_and_level(text)?);
    }
    if levels.is_empty() {
        bail!("You must specify at least one feature to {verb}");
    }
    Ok(levels)
}

/// Reads `feature=level`; the level of metadata.version may be its name.
///
/// # Errors
/// In Kafka's words when there is no level.
pub fn name_and_level(text: &str) -> Result<(String, i16)> {
    let (name, level) = text.split_once('=').ok_or_else(|| {
        anyhow!("Can't parse feature=level string {text}: equals sign not found.")
    })?;
    let parsed = level.trim().parse();
    let level = match parsed {
        Ok(level) => level,
        Err(_) if name.trim() == METADATA_VERSION => metadata_version(level.trim())?,
        Err(_) => {
            bail!("Can't parse feature=level string {text}: unable to parse {level} as a short.")
        }
    };
    Ok((name.trim().to_owned(), level))
}

/// All changes go in one request: they are made together or not at all.
async fn update(
    admin: &Admin,
    verb: &str,
    upgrade_type: i8,
    levels: Vec<(String, i16)>,
    dry_run: bool,
    io: &mut Io<'_>,
) -> Result<i32> {
    let updates: Vec<_> = levels
        .iter()
        .map(|(name, level)| FeatureUpdate { name: name.clone(), level: *level, upgrade_type })
        .collect();
    let outcome = admin.update_features(&updates, dry_run).await;
    for (name, level) in &levels {
        let to = if verb == "disable" { String::new() } else { format!(" to {level}") };
        let done = if verb == "disable" { "disabled".to_owned() } else { format!("{verb}d") };
        io.line(match (&outcome, dry_run) {
            (Ok(()), true) => format!("{name} can be {done}{to}."),
            (Ok(()), false) => format!("{name} was {done}{to}."),
            (Err(error), true) => format!("Can not {verb} {name}{to}. {error}"),
            (Err(error), false) => format!("Could not {verb} {name}{to}. {error}"),
        })?;
    }
    if outcome.is_err() {
        bail!("{0} out of {0} operation(s) failed.", levels.len());
    }
    Ok(0)
}

/// The levels of all features that belong to `--release-version`.
pub fn version_mapping(args: &Args, io: &mut Io<'_>) -> Result<()> {
    let version = match args.one("release-version")? {
        Some(release) => metadata_version(release)?,
        None => newest_metadata(),
    };
    io.line(format!("metadata.version={version} ({})", level_name(METADATA_VERSION, version)))?;
    for feature in FEATURES {
        io.line(format!("{}={}", feature.name, feature.default_at(version)))?;
    }
    Ok(())
}

/// What each `--feature` needs.
pub fn dependencies(args: &Args, io: &mut Io<'_>) -> Result<()> {
    if !args.has("feature") {
        bail!("argument --feature/-f is required");
    }
    for text in args.values("feature") {
        let (name, level) = name_and_level(text)?;
        if name == METADATA_VERSION {
            let shown = level_name(&name, level);
            io.line(format!("{name}={level} ({shown}) has no dependencies."))?;
            continue;
        }
        let feature = FEATURES.iter().find(|feature| feature.name == name);
        let Some(feature) = feature else { bail!("Unknown feature: {name}") };
        if level < 0 || usize::try_from(level).is_ok_and(|l| l > feature.since.len()) {
            bail!("No feature:{name} with feature level {level}");
        }
        match feature.needs(level) {
            None => io.line(format!("{name}={level} has no dependencies."))?,
            Some(metadata) => {
                io.line(format!("{name}={level} requires:"))?;
                let shown = level_name(METADATA_VERSION, metadata);
                io.line(format!("    {METADATA_VERSION}={metadata} ({shown})"))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_look_as_kafka_prints_them() {
        // Captured from kafka-features.sh describe of 4.3.1.
        let expected = "Feature: metadata.version                          SupportedMinVersion: 3.3-IV3          SupportedMaxVersion: 4.3-IV0          FinalizedVersionLevel: 4.3-IV0          Epoch: 1030";
        assert_eq!(
            feature_line("metadata.version", ApiRange { min: 7, max: 30 }, 30, 1030),
            expected
        );
        let expected = "Feature: group.version                             SupportedMinVersion: 0                SupportedMaxVersion: 1                FinalizedVersionLevel: 1                Epoch: 1030";
        assert_eq!(feature_line("group.version", ApiRange { min: 0, max: 1 }, 1, 1030), expected);
    }

    #[test]
    fn levels_are_read_by_number_or_name() {
        assert_eq!(name_and_level("group.version=1").unwrap(), ("group.version".into(), 1));
        assert_eq!(name_and_level("metadata.version=4.0-IV3").unwrap().1, 25);
        assert!(name_and_level("group.version").is_err());
    }
}
