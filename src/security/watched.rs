//! What is made of files, and made anew when they change. What cannot be used leaves the old in place.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use ring::digest::{Context, SHA256};

/// Largest file with certificates, keys or users, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// What the system said.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// Too large.
    #[error("{}: larger than {MAX_FILE_BYTES} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

/// What files hold.
pub(crate) type Contents = BTreeMap<PathBuf, Vec<u8>>;

/// Makes something of the contents of files.
type Make<T, E> = Box<dyn Fn(&Contents) -> Result<T, E> + Send + Sync>;

/// How eagerly files are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// From time to time: what cannot be used is told when it is still there the next time, since
    /// files may be replaced one by one.
    Now,
    /// Because someone asked: what cannot be used is told at once.
    Asked,
}

/// What is made of files.
pub(crate) struct Watched<T, E> {
    files: Vec<PathBuf>,
    make: Make<T, E>,
    current: ArcSwap<T>,
    seen: Mutex<Seen>,
}

/// Digests of what has been seen.
#[derive(Default)]
struct Seen {
    /// What is in force.
    good: Vec<u8>,
    /// What could not be used the last time, and whether that has been told.
    bad: Option<(Vec<u8>, bool)>,
}

impl<T, E: From<FileError>> Watched<T, E> {
    /// Reads the files and makes something of them.
    pub(crate) fn open(files: Vec<PathBuf>, make: Make<T, E>) -> Result<Self, E> {
        let contents = read(&files)?;
        let current = ArcSwap::from_pointee(make(&contents)?);
        let seen = Mutex::new(Seen { good: digest(&contents), bad: None });
        Ok(Self { files, make, current, seen })
    }

    /// What is in force.
    pub(crate) fn current(&self) -> Arc<T> {
        self.current.load_full()
    }

    /// Reads files that have changed. True when something new is in force.
    pub(crate) fn refresh(&self, reading: Reading) -> Result<bool, E> {
        let mut seen = self.seen.lock();
        let found = read(&self.files);
        let digest = match &found {
            Ok(contents) => digest(contents),
            Err(error) => error.to_string().into_bytes(),
        };
        if digest == seen.good {
            seen.bad = None;
            return Ok(false);
        }
        let known = seen.bad.as_ref().filter(|(bad, _)| *bad == digest).map(|(_, told)| *told);
        if known == Some(true) && reading == Reading::Now {
            return Ok(false);
        }
        match found.map_err(E::from).and_then(|contents| (self.make)(&contents)) {
            Ok(made) => {
                self.current.store(Arc::new(made));
                *seen = Seen { good: digest, bad: None };
                Ok(true)
            }
            Err(error) => {
                let tell = reading == Reading::Asked || known == Some(false);
                seen.bad = Some((digest, tell));
                if tell { Err(error) } else { Ok(false) }
            }
        }
    }
}

fn read(files: &[PathBuf]) -> Result<Contents, FileError> {
    files.iter().map(|path| Ok((path.clone(), read_file(path)?))).collect()
}

fn read_file(path: &Path) -> Result<Vec<u8>, FileError> {
    let unreadable = |source| FileError::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(FileError::TooLarge { path: path.to_owned() });
    }
    Ok(bytes)
}

fn digest(contents: &Contents) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    for (path, bytes) in contents {
        context.update(path.as_os_str().as_encoded_bytes());
        context.update(&(bytes.len() as u64).to_le_bytes());
        context.update(bytes);
    }
    context.finish().as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[derive(Debug)]
    enum Wrong {
        File(FileError),
        Number,
    }

    impl From<FileError> for Wrong {
        fn from(error: FileError) -> Self {
            Self::File(error)
        }
    }

    fn number(path: &Path) -> Result<Watched<u32, Wrong>, Wrong> {
        let of = path.to_owned();
        let make = move |contents: &Contents| {
            let text = String::from_utf8(contents[&of].clone()).unwrap();
            text.trim().parse().map_err(|_| Wrong::Number)
        };
        Watched::open(vec![path.to_owned()], Box::new(make))
    }

    #[test]
    fn what_is_bad_leaves_the_old_in_place_and_is_told_once() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("number");
        assert!(matches!(number(&file), Err(Wrong::File(FileError::Unreadable { .. }))));
        fs::write(&file, "1").unwrap();
        let watched = number(&file).unwrap();
        assert!(!watched.refresh(Reading::Now).unwrap());
        fs::write(&file, "2").unwrap();
        assert!(watched.refresh(Reading::Now).unwrap());
        assert_eq!(*watched.current(), 2);

        fs::write(&file, "x").unwrap();
        assert!(!watched.refresh(Reading::Now).unwrap(), "it may be half of a change");
        assert!(matches!(watched.refresh(Reading::Now), Err(Wrong::Number)));
        assert!(!watched.refresh(Reading::Now).unwrap(), "it has been told");
        assert!(matches!(watched.refresh(Reading::Asked), Err(Wrong::Number)));
        fs::remove_file(&file).unwrap();
        assert!(matches!(watched.refresh(Reading::Asked), Err(Wrong::File(_))));
        fs::write(&file, vec![b'1'; 2 << 20]).unwrap();
        let found = watched.refresh(Reading::Asked);
        assert!(matches!(found, Err(Wrong::File(FileError::TooLarge { .. }))));
        assert_eq!(*watched.current(), 2);

        fs::write(&file, "2").unwrap();
        assert!(!watched.refresh(Reading::Asked).unwrap(), "the old is back");
        fs::write(&file, "x").unwrap();
        assert!(!watched.refresh(Reading::Now).unwrap(), "a new trouble");
        fs::write(&file, "3").unwrap();
        assert!(watched.refresh(Reading::Now).unwrap());
        assert_eq!(*watched.current(), 3);
    }
}
