//! `meta.properties`: to which cluster and node a log directory belongs
//! (`MetaProperties` in apache/kafka, version 1).

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use pharos_base::TopicId;

use crate::error::{Context, StorageError};
use crate::fs::{Fs, read_file, replace_file};
use crate::names;

const MAX_BYTES: u64 = 64 << 10;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaProperties {
    /// `cluster.id`
    pub cluster_id: String,
    /// `node.id`
    pub node_id: i32,
    /// `directory.id`; older files have none.
    pub directory_id: Option<TopicId>,
}

impl MetaProperties {
    /// Reads the file of a log directory; `None` when there is none: the directory is not formatted.
    ///
    /// # Errors
    /// [`StorageError::Damaged`] when it is of another version, or a key is missing or malformed.
    pub fn read(fs: &dyn Fs, dir: &Path) -> Result<Option<Self>, StorageError> {
        let path = dir.join(names::META_PROPERTIES);
        let bytes = match read_file(fs, &path, MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StorageError::io("read", &path, error)),
        };
        let text = String::from_utf8_lossy(&bytes);
        Self::parse(&text).map(Some).map_err(|what| StorageError::damaged(&path, what))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut found: [Option<&str>; 4] = [None; 4];
        const KEYS: [&str; 4] = ["version", "cluster.id", "node.id", "directory.id"];
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', '!'])) {
            let Some((key, value)) = line.split_once('=') else { continue };
            for (slot, name) in found.iter_mut().zip(KEYS) {
                if key.trim() == name {
                    *slot = Some(value.trim());
                }
            }
        }
        let [version, cluster_id, node_id, directory_id] = found;
        if version != Some("1") {
            return Err(format!("version {} where 1 is expected", version.unwrap_or("(none)")));
        }
        let cluster_id = cluster_id.filter(|id| !id.is_empty()).ok_or("cluster.id is missing")?;
        let node_id = node_id.ok_or("node.id is missing")?;
        let node_id = node_id.parse().map_err(|_| format!("node.id {node_id:?} is no number"))?;
        let directory_id = match directory_id {
            Some(text) => {
                Some(TopicId::parse(text).ok_or(format!("directory.id {text:?} is no id"))?)
            }
            None => None,
        };
        Ok(Self { cluster_id: cluster_id.to_owned(), node_id, directory_id })
    }

    /// Writes the file, durably; the directory is made when it does not exist.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, fs: &dyn Fs, dir: &Path) -> Result<(), StorageError> {
        fs.create_dir_all(dir).context("create", dir)?;
        let mut text = format!("#\nversion=1\ncluster.id={}\n", self.cluster_id);
        let _ = writeln!(text, "node.id={}", self.node_id);
        if let Some(id) = self.directory_id {
            let _ = writeln!(text, "directory.id={id}");
        }
        let path = dir.join(names::META_PROPERTIES);
        replace_file(fs, &path, text.as_bytes()).context("write", &path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::SimFs;

    #[test]
    fn it_reads_what_it_writes_and_what_kafka_wrote() {
        let fs = SimFs::new();
        let dir = Path::new("/d");
        fs.create_dir_all(dir).unwrap();
        assert_eq!(MetaProperties::read(&fs, dir).unwrap(), None);
        let meta = MetaProperties {
            cluster_id: "MkU3OEVBNTcwNTJENDM2Qk".into(),
            node_id: 1,
            directory_id: TopicId::parse("YEvteb4LFYZOrZcVkDQ05Q"),
        };
        meta.write(&fs, dir).unwrap();
        assert_eq!(MetaProperties::read(&fs, dir).unwrap().unwrap(), meta);
        let kafka = "#\n#Sat Nov 21 08:29:59 UTC 2026\nnode.id=1\n\
            directory.id=YEvteb4LFYZOrZcVkDQ05Q\nversion=1\ncluster.id=MkU3OEVBNTcwNTJENDM2Qk\n";
        assert_eq!(MetaProperties::parse(kafka).unwrap(), meta);
        for bad in ["", "version=2\n", "version=1\nnode.id=1", "version=1\ncluster.id=x\nnode.id=y"]
        {
            MetaProperties::parse(bad).unwrap_err();
        }
    }
}
