//! `kafka-storage`: ids, and the metadata of log directories (kafka.tools.StorageTool).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use pharos_base::TopicId;
use pharos_client::Properties;
use pharos_storage::MetaProperties;
use pharos_storage::fs::RealFs;

use super::command;
use super::features::{
    self, FEATURES, METADATA_VERSION, level_name, metadata_version, name_and_level, newest_metadata,
};
use crate::args::{Args, Spec, switch, value};
use crate::io::Io;

/// What the tool takes.
pub const SPEC: Spec = Spec {
    about: "The Kafka storage tool.",
    commands: &[
        ("info", "Get information about the Kafka log directories on this node."),
        ("format", "Format the Kafka log directories."),
        ("version-mapping", "The levels that belong to a metadata version."),
        ("feature-dependencies", "What a level of a feature needs."),
        ("random-uuid", "Print a random UUID."),
    ],
    flags: &[
        value("config", "CONFIG", "The server.properties."),
        value("cluster-id", "CLUSTER_ID", "The id of the cluster."),
        switch("ignore-formatted", "Leave directories alone that are formatted already."),
        switch("standalone", "The node is the only controller at first."),
        switch("no-initial-controllers", "The node joins controllers that run already."),
        value("initial-controllers", "CONTROLLERS", "Several first controllers come later."),
        value("add-scram", "ADD_SCRAM", "SCRAM comes later."),
        value("release-version", "VERSION", "The metadata version; only the newest is served."),
        value("feature", "FEATURE=LEVEL", "A feature and its level."),
    ],
};

/// Runs the tool.
pub fn run(args: &Args, io: &mut Io<'_>) -> Result<i32> {
    match command(args, &SPEC)? {
        "random-uuid" => io.line(TopicId::random().to_string())?,
        "version-mapping" => features::version_mapping(args, io)?,
        "feature-dependencies" => features::dependencies(args, io)?,
        "info" => return info(&directories(args)?, io),
        _ => format(args, io)?,
    }
    Ok(0)
}

/// The directories of `log.dirs` (or `log.dir`) and `metadata.log.dir`, and the node's id.
struct Directories {
    all: Vec<PathBuf>,
    /// The one of them that holds the metadata log.
    metadata: PathBuf,
    node_id: i32,
    /// A controller that is told its voters by the file.
    has_voters: bool,
    is_controller: bool,
}

fn directories(args: &Args) -> Result<Directories> {
    let file = args.one("config")?.ok_or_else(|| anyhow!("argument --config/-c is required"))?;
    let properties = Properties::read(file)?;
    let list = properties.get("log.dirs").or(properties.get("log.dir"));
    let list = list.ok_or_else(|| anyhow!("{file} names no log.dirs"))?;
    let dirs = list.split(',').map(str::trim).filter(|dir| !dir.is_empty());
    let mut all: Vec<PathBuf> = dirs.map(PathBuf::from).collect();
    let own = properties.get("metadata.log.dir").map(PathBuf::from);
    let metadata = own.or_else(|| all.first().cloned()).unwrap_or_default();
    all.push(metadata.clone());
    all.sort();
    all.dedup();
    let id = properties.get("node.id").or(properties.get("broker.id")).unwrap_or("-1");
    let node_id = id.trim().parse().map_err(|_| {
        anyhow!("invalid value {id} for configuration node.id: expected a whole number")
    })?;
    let given = |key: &str| properties.get(key).is_some_and(|value| !value.trim().is_empty());
    let roles = properties.get("process.roles").unwrap_or_default();
    Ok(Directories {
        all,
        metadata,
        node_id,
        has_voters: given("controller.quorum.voters"),
        is_controller: roles.split(',').any(|role| role.trim() == "controller"),
    })
}

fn info(directories: &Directories, io: &mut Io<'_>) -> Result<i32> {
    let mut found = Vec::new();
    let mut problems = Vec::new();
    let mut metadata: Option<BTreeMap<&str, String>> = None;
    for dir in &directories.all {
        if !dir.is_dir() {
            let what = if dir.exists() { "is not a directory" } else { "does not exist" };
            problems.push(format!("{} {what}", dir.display()));
            continue;
        }
        found.push(dir);
        match MetaProperties::read(&RealFs, dir)? {
            None => problems.push(format!("{} is not formatted.", dir.display())),
            Some(properties) => {
                metadata.get_or_insert_with(|| fields(&properties));
            }
        }
    }
    list(
        if found.len() == 1 { "Found log directory:" } else { "Found log directories:" },
        &found,
        io,
    )?;
    if let Some(fields) = metadata {
        let shown: Vec<_> = fields.iter().map(|(key, value)| format!("{key}={value}")).collect();
        io.line(format!("Found metadata: {{{}}}\n", shown.join(", ")))?;
    }
    if problems.is_empty() {
        return Ok(0);
    }
    io.line(if problems.len() == 1 { "Found problem:" } else { "Found problems:" })?;
    for problem in problems {
        io.line(format!("  {problem}"))?;
    }
    io.line("")?;
    Ok(1)
}

fn list(heading: &str, dirs: &[&PathBuf], io: &mut Io<'_>) -> Result<()> {
    if dirs.is_empty() {
        return Ok(());
    }
    io.line(heading)?;
    for dir in dirs {
        io.line(format!("  {}", dir.display()))?;
    }
    Ok(io.line("")?)
}

fn fields(properties: &MetaProperties) -> BTreeMap<&'static str, String> {
    let mut fields = BTreeMap::from([
        ("cluster.id", properties.cluster_id.clone()),
        ("node.id", properties.node_id.to_string()),
        ("version", "1".to_owned()),
    ]);
    if let Some(id) = properties.directory_id {
        fields.insert("directory.id", id.to_string());
    }
    fields
}

fn format(args: &Args, io: &mut Io<'_>) -> Result<()> {
    for later in ["initial-controllers", "add-scram"] {
        if args.has(later) {
            bail!("--{later} is not here yet: it comes later");
        }
    }
    only_newest_levels(args)?;
    let directories = directories(args)?;
    let cluster_id =
        args.one("cluster-id")?.ok_or_else(|| anyhow!("argument --cluster-id/-t is required"))?;
    let by_flag = args.has("standalone") || args.has("no-initial-controllers");
    if directories.is_controller && !directories.has_voters && !by_flag {
        bail!(
            "Because controller.quorum.voters is not set on this controller, you must specify one \
             of the following: --standalone, --initial-controllers, or --no-initial-controllers."
        );
    }
    let mut fresh = Vec::new();
    for dir in &directories.all {
        match MetaProperties::read(&RealFs, dir) {
            Ok(Some(found)) if found.cluster_id != cluster_id => bail!(
                "Invalid cluster.id in: {}. Expected {cluster_id}, but read {}",
                dir.join("meta.properties").display(),
                found.cluster_id
            ),
            Ok(Some(_)) if !args.has("ignore-formatted") => bail!(
                "Log directory {} is already formatted. Use --ignore-formatted to ignore this \
                 directory and format the others.",
                dir.display()
            ),
            Ok(Some(_)) => {}
            Ok(None) => fresh.push(dir),
            Err(_) if !dir.exists() => fresh.push(dir),
            Err(error) => return Err(error.into()),
        }
    }
    if fresh.is_empty() {
        io.line("All of the log directories are already formatted.")?;
    }
    fresh.sort_by_key(|dir| **dir == directories.metadata);
    for dir in fresh {
        let what = match (*dir == directories.metadata, args.has("standalone")) {
            (false, _) => "data",
            (true, false) => "metadata",
            (true, true) => "dynamic metadata voter",
        };
        io.line(format!(
            "Formatting {what} directory {} with metadata.version 4.3-IV0.",
            dir.display()
        ))?;
        write(dir, cluster_id, directories.node_id)?;
    }
    Ok(())
}

/// Refuses other levels than those that a fresh cluster has here.
fn only_newest_levels(args: &Args) -> Result<()> {
    let newest = newest_metadata();
    let shown = level_name(METADATA_VERSION, newest);
    if let Some(release) = args.one("release-version")?
        && metadata_version(release)? != newest
    {
        bail!("--release-version {release} is not here: clusters are formatted with {shown}");
    }
    for text in args.values("feature") {
        let (name, level) = name_and_level(text)?;
        let feature = FEATURES.iter().find(|feature| feature.name == name);
        let default = match feature {
            _ if name == METADATA_VERSION => newest,
            Some(feature) => feature.default_at(newest),
            None => bail!("Unsupported feature: {name}."),
        };
        if level != default {
            bail!("--feature {text} is not here: with {shown}, {name} is {default}");
        }
    }
    Ok(())
}

fn write(dir: &Path, cluster_id: &str, node_id: i32) -> Result<()> {
    std::fs::create_dir_all(dir)
        .map_err(|error| anyhow!("cannot make {}: {error}", dir.display()))?;
    let properties = MetaProperties {
        cluster_id: cluster_id.to_owned(),
        node_id,
        directory_id: Some(TopicId::random()),
    };
    Ok(properties.write(&RealFs, dir)?)
}

#[cfg(test)]
mod tests {
    use crate::testing::run;

    #[test]
    fn directories_are_formatted_once_and_described() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("data");
        let file = folder.path().join("server.properties");
        std::fs::write(&file, format!("node.id=1\nlog.dirs={}\n", dir.display())).unwrap();
        let line = |rest: &str| format!("storage {rest} -c {}", file.display());
        assert_eq!(run(&line("info"), "").code, 1);
        let made = run(&line("format -t MkU3OEVBNTcwNTJENDM2Qk"), "");
        assert_eq!(
            (made.code, made.out),
            (
                0,
                format!(
                    "Formatting metadata directory {} with metadata.version 4.3-IV0.\n",
                    dir.display()
                )
            )
        );
        let again = run(&line("format -t MkU3OEVBNTcwNTJENDM2Qk"), "");
        assert!(again.code == 1 && again.err.contains("is already formatted"), "{again:?}");
        let other = run(&line("format -t AAAAAAAAAAAAAAAAAAAAAA -g"), "");
        assert!(other.err.starts_with("Invalid cluster.id in: "), "{other:?}");
        for (levels, why) in [
            ("-r 4.0", "--release-version 4.0 is not here: clusters are formatted with 4.3-IV0"),
            ("-r 1.0", "Unknown metadata.version '1.0'."),
            ("-f group.version=0", "--feature group.version=0 is not here: with 4.3-IV0,"),
            ("-f nothing=1", "Unsupported feature: nothing."),
        ] {
            let refused = run(&line(&format!("format -t AAAAAAAAAAAAAAAAAAAAAA {levels}")), "");
            assert!(refused.code == 1 && refused.err.starts_with(why), "{refused:?}");
        }
        let same = line("format -g -t MkU3OEVBNTcwNTJENDM2Qk -r 4.3 -f group.version=1");
        assert_eq!(run(&same, "").code, 0);
        let info = run(&line("info"), "");
        assert_eq!(info.code, 0);
        let start = format!(
            "Found log directory:\n  {}\n\nFound metadata: {{cluster.id=MkU3OEVBNTcwNTJENDM2Qk, directory.id=",
            dir.display()
        );
        assert!(info.out.starts_with(&start), "{}", info.out);
        assert!(info.out.ends_with(", node.id=1, version=1}\n\n"), "{}", info.out);
    }

    #[test]
    fn random_ids_have_22_characters() {
        assert_eq!(run("storage random-uuid", "").out.trim_end().len(), 22);
    }
}
