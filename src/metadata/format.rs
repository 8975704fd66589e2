//! Log directories before anything is opened in them: which cluster and node they belong to, and
//! the first formatting of fresh ones. Nothing unknown is ever formatted over.

use std::io;
use std::path::{Path, PathBuf};

use pharos_base::{BrokerId, TopicId};
use pharos_storage::MetaProperties;
use pharos_storage::fs::Fs;
use thiserror::Error;

use crate::bootstrap::{self, BOOTSTRAP_FILE};
use crate::quorum::{METADATA_DIRECTORY, STATE_FILE};

/// Longest cluster id.
const MAX_CLUSTER_ID_BYTES: usize = 255;
/// What may lie in a directory that was not formatted yet: locks, and the rest of a formatting
/// that was interrupted.
const IGNORED: [&str; 6] = [
    ".lock",
    "lost+found",
    BOOTSTRAP_FILE,
    "bootstrap.checkpoint.tmp",
    "meta.properties.tmp",
    ".kafka_cleanshutdown",
];

/// Why log directories are refused: one line that names the directory.
#[derive(Debug, Error)]
pub enum FormatError {
    /// A directory cannot be read or written.
    #[error("log directory {dir}: {source}")]
    Io {
        /// The directory.
        dir: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// `meta.properties` cannot be read or written.
    #[error(transparent)]
    MetaProperties(#[from] pharos_storage::StorageError),
    /// The directory belongs to another cluster.
    #[error("log directory {dir} belongs to cluster {found}, not {expected}")]
    OtherCluster {
        /// The directory.
        dir: PathBuf,
        /// Cluster of the directory.
        found: String,
        /// Cluster of the configuration, or of the other directories.
        expected: String,
    },
    /// The directory belongs to another node.
    #[error("log directory {dir} belongs to node {found}, not {expected} (node.id)")]
    OtherNode {
        /// The directory.
        dir: PathBuf,
        /// Node of the directory.
        found: i32,
        /// `node.id`.
        expected: BrokerId,
    },
    /// The directory holds the metadata log of an Apache Kafka node.
    #[error(
        "log directory {dir} holds the metadata log of Apache Kafka, which cannot be imported: \
         use an empty directory"
    )]
    KafkaMetadata {
        /// The directory.
        dir: PathBuf,
    },
    /// The directory is not formatted, yet not empty.
    #[error("log directory {dir} is not formatted, yet it holds {name}: use an empty directory")]
    NotEmpty {
        /// The directory.
        dir: PathBuf,
        /// What it holds.
        name: String,
    },
    /// Two directories with one id.
    #[error("log directories {first} and {second} have the same directory.id: one is a copy")]
    SameDirectory {
        /// One directory.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// The wanted cluster id is none.
    #[error("cluster id {0:?} is not valid: expected 1 to 255 visible ASCII characters")]
    BadClusterId(String),
    /// The bootstrap records cannot be made.
    #[error("the bootstrap records cannot be written: {0}")]
    Bootstrap(String),
}

/// What directories are opened for.
#[derive(Clone, Debug)]
pub struct FormatOptions {
    /// `node.id`.
    pub node_id: BrokerId,
    /// The cluster id that is asked for (CLUSTER_ID); `None` takes the directories' own, or a new
    /// one.
    pub cluster_id: Option<String>,
    /// `log.dirs`.
    pub log_dirs: Vec<PathBuf>,
    /// `metadata.log.dir`, or the first of `log.dirs`.
    pub metadata_log_dir: PathBuf,
    /// `min.insync.replicas`, which a new cluster keeps as a default of its own: it is one value for
    /// all brokers from then on (`ConfigurationControlManager.maybeGenerateElrSafetyRecords`).
    pub min_insync_replicas: i32,
}

/// Formatted directories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormattedDirectories {
    /// Id of the cluster.
    pub cluster_id: String,
    /// Directories with their ids, in the order of the configuration.
    pub directories: Vec<(PathBuf, TopicId)>,
    /// Whether none was formatted before.
    pub fresh: bool,
}

impl FormattedDirectories {
    /// The id of a directory.
    pub fn directory_id(&self, dir: &Path) -> Option<TopicId> {
        self.directories.iter().find(|(path, _)| path == dir).map(|(_, id)| *id)
    }
}

/// Checks the directories and formats those that are empty. Blocks on the disk.
///
/// # Errors
/// [`FormatError`] when one belongs elsewhere, or holds what is not ours.
pub fn open_directories(
    fs: &dyn Fs,
    options: &FormatOptions,
) -> Result<FormattedDirectories, FormatError> {
    let mut cluster_id = options.cluster_id.clone();
    if let Some(id) = &cluster_id {
        check_cluster_id(id)?;
    }
    let mut dirs = options.log_dirs.clone();
    if !dirs.contains(&options.metadata_log_dir) {
        dirs.push(options.metadata_log_dir.clone());
    }
    let mut found = Vec::with_capacity(dirs.len());
    for dir in &dirs {
        let properties = inspect(fs, dir, options.node_id)?;
        if let Some(properties) = &properties {
            let expected = cluster_id.get_or_insert_with(|| properties.cluster_id.clone());
            if *expected != properties.cluster_id {
                let (found, expected) = (properties.cluster_id.clone(), expected.clone());
                return Err(FormatError::OtherCluster { dir: dir.clone(), found, expected });
            }
        }
        found.push(properties);
    }
    let fresh = found.iter().all(Option::is_none);
    let cluster_id = cluster_id.unwrap_or_else(|| TopicId::random().to_string());
    if fresh {
        bootstrap::write(fs, &options.metadata_log_dir, options.min_insync_replicas)?;
    }
    let mut directories: Vec<(PathBuf, TopicId)> = Vec::with_capacity(dirs.len());
    for (dir, properties) in dirs.into_iter().zip(found) {
        let id = directory_id(fs, &dir, properties, &cluster_id, options.node_id)?;
        if let Some((first, _)) = directories.iter().find(|(_, other)| *other == id) {
            let first = first.clone();
            return Err(FormatError::SameDirectory { first, second: dir });
        }
        directories.push((dir, id));
    }
    Ok(FormattedDirectories { cluster_id, directories, fresh })
}

fn check_cluster_id(id: &str) -> Result<(), FormatError> {
    let visible = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic());
    if visible && id.len() <= MAX_CLUSTER_ID_BYTES {
        return Ok(());
    }
    Err(FormatError::BadClusterId(id.chars().take(MAX_CLUSTER_ID_BYTES).collect()))
}

/// What a directory says of itself; `None` when it is empty and can be formatted.
fn inspect(
    fs: &dyn Fs,
    dir: &Path,
    node_id: BrokerId,
) -> Result<Option<MetaProperties>, FormatError> {
    let io = |source| FormatError::Io { dir: dir.to_owned(), source };
    fs.create_dir_all(dir).map_err(io)?;
    let listing = fs.list(dir).map_err(io)?;
    if listing.iter().any(|entry| entry.name == METADATA_DIRECTORY) {
        let files = fs.list(&dir.join(METADATA_DIRECTORY)).map_err(io)?;
        let ours = files.iter().any(|entry| entry.name == STATE_FILE);
        // A kill while the very first file was written leaves only the beginning of our own.
        if !ours && files.iter().any(|entry| !entry.name.starts_with(STATE_FILE)) {
            return Err(FormatError::KafkaMetadata { dir: dir.to_owned() });
        }
    }
    if let Some(properties) = MetaProperties::read(fs, dir)? {
        if properties.node_id != node_id.0 {
            return Err(FormatError::OtherNode {
                dir: dir.to_owned(),
                found: properties.node_id,
                expected: node_id,
            });
        }
        return Ok(Some(properties));
    }
    match listing.into_iter().find(|entry| !IGNORED.contains(&entry.name.as_str())) {
        Some(entry) => Err(FormatError::NotEmpty { dir: dir.to_owned(), name: entry.name }),
        None => Ok(None),
    }
}

fn directory_id(
    fs: &dyn Fs,
    dir: &Path,
    properties: Option<MetaProperties>,
    cluster_id: &str,
    node_id: BrokerId,
) -> Result<TopicId, FormatError> {
    if let Some(id) = properties.and_then(|properties| properties.directory_id) {
        return Ok(id);
    }
    let id = TopicId::random();
    let properties = MetaProperties {
        cluster_id: cluster_id.to_owned(),
        node_id: node_id.0,
        directory_id: Some(id),
    };
    properties.write(fs, dir)?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use pharos_storage::fs::{Open, SimFs, replace_file};

    use super::*;

    fn options(cluster_id: Option<&str>, dirs: &[&str]) -> FormatOptions {
        FormatOptions {
            node_id: BrokerId(1),
            cluster_id: cluster_id.map(str::to_owned),
            log_dirs: dirs.iter().map(PathBuf::from).collect(),
            metadata_log_dir: PathBuf::from("/a"),
            min_insync_replicas: 2,
        }
    }

    fn put(fs: &SimFs, path: &str, text: &str) {
        let path = Path::new(path);
        fs.create_dir_all(path.parent().unwrap()).unwrap();
        let file = fs.open(path, Open::Create).unwrap();
        file.write_at(&mut [io::IoSlice::new(text.as_bytes())], 0).unwrap();
    }

    #[test]
    fn fresh_directories_are_formatted_once() {
        let fs = SimFs::new();
        let options_of_first = options(Some("mine"), &["/a", "/b"]);
        let first = open_directories(&fs, &options_of_first).unwrap();
        assert!(first.fresh);
        assert_eq!(first.cluster_id, "mine");
        let records = bootstrap::read(&fs, Path::new("/a")).unwrap();
        assert_eq!(records.len(), 3);
        let again = open_directories(&fs, &options(None, &["/a", "/b"])).unwrap();
        assert!(!again.fresh);
        assert_eq!(
            (&again.cluster_id, &again.directories),
            (&first.cluster_id, &first.directories)
        );
        // A directory that is added later joins the cluster.
        let more = open_directories(&fs, &options(None, &["/a", "/b", "/c"])).unwrap();
        assert_eq!(more.directories.len(), 3);
        let other = SimFs::new();
        let made = open_directories(&other, &options(None, &["/a"])).unwrap();
        assert_eq!(
            TopicId::parse(&made.cluster_id).map(|id| id.to_string()),
            Some(made.cluster_id)
        );
    }

    #[test]
    fn directories_that_belong_elsewhere_are_refused_with_one_line() {
        let properties = |cluster: &str, node: i32, id: &str| {
            format!("version=1\ncluster.id={cluster}\nnode.id={node}\ndirectory.id={id}\n")
        };
        let (one, two) = (TopicId::random().to_string(), TopicId::random().to_string());
        type Case<'a> = (Vec<(&'a str, String)>, Option<&'a str>, &'a str);
        let cases: Vec<Case<'_>> = vec![
            (
                vec![("/a/meta.properties", properties("x", 1, &one))],
                Some("y"),
                "log directory /a belongs to cluster x, not y",
            ),
            (
                vec![
                    ("/a/meta.properties", properties("x", 1, &one)),
                    ("/b/meta.properties", properties("y", 1, &two)),
                ],
                None,
                "log directory /b belongs to cluster y, not x",
            ),
            (
                vec![("/b/meta.properties", properties("x", 2, &one))],
                None,
                "log directory /b belongs to node 2, not 1 (node.id)",
            ),
            (
                vec![
                    ("/a/meta.properties", properties("x", 1, &one)),
                    ("/b/meta.properties", properties("x", 1, &one)),
                ],
                None,
                "log directories /a and /b have the same directory.id: one is a copy",
            ),
            (
                vec![
                    ("/a/meta.properties", properties("x", 1, &one)),
                    ("/a/__cluster_metadata-0/00000000000000000000.log", String::new()),
                    ("/a/__cluster_metadata-0/quorum-state", String::new()),
                ],
                None,
                "log directory /a holds the metadata log of Apache Kafka, which cannot be \
                 imported: use an empty directory",
            ),
            (
                vec![("/b/orders-0/00000000000000000000.log", String::new())],
                None,
                "log directory /b is not formatted, yet it holds orders-0: use an empty directory",
            ),
            (
                Vec::new(),
                Some("not visible"),
                "cluster id \"not visible\" is not valid: expected 1 to 255 visible ASCII \
                 characters",
            ),
        ];
        for (files, cluster_id, expected) in cases {
            let fs = SimFs::new();
            for (path, text) in files {
                put(&fs, path, &text);
            }
            let refused = open_directories(&fs, &options(cluster_id, &["/a", "/b"])).unwrap_err();
            assert_eq!(refused.to_string(), expected);
        }
    }

    #[test]
    fn damaged_meta_properties_are_refused_with_one_line() {
        for content in
            ["", "\0\0\0\0", "version=1\nclus", "version=1\ncluster.id=x\nnode.id=", "\u{fffd}"]
        {
            let fs = SimFs::new();
            open_directories(&fs, &options(None, &["/a", "/b"])).unwrap();
            replace_file(&fs, Path::new("/b/meta.properties"), content.as_bytes()).unwrap();
            let refused = open_directories(&fs, &options(None, &["/a", "/b"])).unwrap_err();
            let line = refused.to_string();
            let told = line.starts_with("/b/meta.properties is damaged: ") && !line.contains('\n');
            assert!(told, "{content:?}: {line}");
        }
        // Without the file the directory is not ours to format as soon as it holds anything.
        let fs = SimFs::new();
        open_directories(&fs, &options(None, &["/a", "/b"])).unwrap();
        put(&fs, "/b/t-0/00000000000000000000.log", "");
        fs.remove_file(Path::new("/b/meta.properties")).unwrap();
        let refused = open_directories(&fs, &options(None, &["/a", "/b"])).unwrap_err();
        assert!(matches!(refused, FormatError::NotEmpty { .. }), "{refused}");
    }
}
