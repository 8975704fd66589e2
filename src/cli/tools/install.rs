//! `tools install DIR`: links with the names of Kafka's tools.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::args::{Args, Spec};
use crate::io::Io;

/// What the tool takes.
pub const SPEC: Spec = Spec {
    about: "This tool makes links with the names of Kafka's tools: tools install DIR",
    commands: &[("install", "Make the links in a directory.")],
    flags: &[],
};

/// Runs the tool.
pub fn run(args: &Args, io: &mut Io<'_>) -> Result<i32> {
    super::command(args, &SPEC)?;
    let Some(dir) = args.words.get(1) else {
        bail!("too few arguments: give the directory for the links");
    };
    let program = std::env::current_exe().context("the path of this program is not known")?;
    let made = install(Path::new(dir), &program)?;
    io.line(format!("Installed {made} links in {dir}."))?;
    Ok(0)
}

/// Makes links to `program` in `dir`, with and without `.sh`; links of an earlier time are replaced,
/// other files are left alone.
fn install(dir: &Path, program: &Path) -> Result<usize> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let mut made = 0;
    for name in super::names().filter(|name| *name != "tools") {
        for suffix in ["", ".sh"] {
            let link = dir.join(format!("kafka-{name}{suffix}"));
            match std::fs::symlink_metadata(&link) {
                Ok(found) if found.is_symlink() => std::fs::remove_file(&link)
                    .with_context(|| format!("cannot replace {}", link.display()))?,
                Ok(_) => bail!("{} exists and is no link", link.display()),
                Err(_) => {}
            }
            std::os::unix::fs::symlink(program, &link)
                .with_context(|| format!("cannot make {}", link.display()))?;
            made += 1;
        }
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_made_and_replaced_but_files_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let program = Path::new("/opt/pharos");
        let made = install(folder.path(), program).unwrap();
        assert_eq!(install(folder.path(), program).unwrap(), made);
        for name in ["kafka-topics", "kafka-topics.sh", "kafka-console-consumer.sh"] {
            assert_eq!(std::fs::read_link(folder.path().join(name)).unwrap(), program);
        }
        let file = folder.path().join("kafka-topics");
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, "mine").unwrap();
        let refused = install(folder.path(), program).unwrap_err().to_string();
        assert!(refused.ends_with("kafka-topics exists and is no link"), "{refused}");
    }
}
