//! The users of a listener, and who has shown the right password before: what is hashed slowly is
//! hashed once, not with each request.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use pharos_base::Secret;
use ring::hmac;
use ring::rand::SystemRandom;
use subtle::ConstantTimeEq;

use crate::users::{Users, UsersError};
use crate::watched::{Contents, FileError, Reading, Watched};

/// Right credentials that are remembered.
const REMEMBERED: usize = 64;

/// Why users cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// What it says.
    #[error("{}{source}", place(.path.as_ref()))]
    Users {
        /// The file, if it is one.
        path: Option<PathBuf>,
        /// Why not.
        source: UsersError,
    },
    /// The system has no randomness to give.
    #[error("the system gives no random numbers")]
    Random,
}

fn place(path: Option<&PathBuf>) -> String {
    path.map_or_else(String::new, |path| format!("{}: ", path.display()))
}

/// The users of a listener.
pub struct Accounts {
    users: Watched<Users, AccountsError>,
    /// Of this process alone: what is remembered says nothing outside of it.
    key: hmac::Key,
    remembered: Mutex<Remembered>,
}

/// Tags of credentials that were right.
#[derive(Default)]
struct Remembered {
    /// Whose they are; others make them void.
    users: Option<Arc<Users>>,
    tags: VecDeque<hmac::Tag>,
}

impl Accounts {
    /// The users of a text of lines.
    ///
    /// # Errors
    /// A line that makes no sense.
    pub fn of_text(text: &Secret) -> Result<Self, AccountsError> {
        let users = Users::parse(text.reveal());
        Self::of(users.map_err(|source| AccountsError::Users { path: None, source })?)
    }

    /// The users of a file, read anew when it changes.
    ///
    /// # Errors
    /// The file cannot be read, or a line makes no sense.
    pub fn of_file(path: PathBuf) -> Result<Self, AccountsError> {
        let file = path.clone();
        let make = move |contents: &Contents| {
            let bytes = contents.get(&file).map_or(&[][..], Vec::as_slice);
            Users::parse_bytes(bytes)
                .map_err(|source| AccountsError::Users { path: Some(file.clone()), source })
        };
        Self::over(Watched::open(vec![path], Box::new(make))?)
    }

    /// These users, for good.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn of(users: Users) -> Result<Self, AccountsError> {
        let users = Mutex::new(Some(users));
        let make = move |_: &Contents| {
            let none = AccountsError::Users { path: None, source: UsersError::None };
            users.lock().take().ok_or(none)
        };
        Self::over(Watched::open(Vec::new(), Box::new(make))?)
    }

    fn over(users: Watched<Users, AccountsError>) -> Result<Self, AccountsError> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        let key = key.map_err(|_| AccountsError::Random)?;
        Ok(Self { users, key, remembered: Mutex::default() })
    }

    /// Whether these credentials were right before.
    pub fn remembers(&self, name: &[u8], password: &[u8]) -> bool {
        let tag = self.tag(name, password);
        let remembered = self.remembered.lock();
        let current = self.users.current();
        remembered.users.as_ref().is_some_and(|users| Arc::ptr_eq(users, &current))
            && remembered.tags.iter().any(|known| known.as_ref().ct_eq(tag.as_ref()).into())
    }

    /// Whether these credentials are right. It may take long on purpose.
    pub fn verify(&self, name: &[u8], password: &[u8]) -> bool {
        let users = self.users.current();
        let right = users.verify(name, password);
        if right {
            let tag = self.tag(name, password);
            let mut remembered = self.remembered.lock();
            if !remembered.users.as_ref().is_some_and(|known| Arc::ptr_eq(known, &users)) {
                *remembered = Remembered { users: Some(users), tags: VecDeque::new() };
            }
            // Many requests at once may show the same.
            let known = |have: &hmac::Tag| bool::from(have.as_ref().ct_eq(tag.as_ref()));
            if !remembered.tags.iter().any(known) {
                if remembered.tags.len() == REMEMBERED {
                    remembered.tags.pop_front();
                }
                remembered.tags.push_back(tag);
            }
        }
        right
    }

    /// Whether [`Self::verify`] may take long on purpose.
    pub fn are_slow(&self) -> bool {
        self.users.current().are_slow()
    }

    /// Reads the file if it has changed; true when other users are in force.
    ///
    /// # Errors
    /// It cannot be used; the old users stay.
    pub fn refresh(&self, reading: Reading) -> Result<bool, AccountsError> {
        self.users.refresh(reading)
    }

    fn tag(&self, name: &[u8], password: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&(name.len() as u64).to_le_bytes());
        context.update(name);
        context.update(password);
        context.sign()
    }
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accounts").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_what_was_right_is_remembered_and_only_while_it_is() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("users");
        fs::write(&file, "a=plaintext:one\n").unwrap();
        let accounts = Accounts::of_file(file.clone()).unwrap();
        assert!(!accounts.remembers(b"a", b"one"));
        assert!(!accounts.verify(b"a", b"two") && !accounts.remembers(b"a", b"two"));
        assert!(accounts.verify(b"a", b"one") && accounts.remembers(b"a", b"one"));
        assert!(!accounts.remembers(b"ao", b"ne") && !accounts.remembers(b"a", b"on"));
        fs::write(&file, "a=plaintext:two\n").unwrap();
        assert!(accounts.refresh(Reading::Now).unwrap());
        assert!(!accounts.remembers(b"a", b"one") && !accounts.verify(b"a", b"one"));
        assert!(accounts.verify(b"a", b"two"));
        fs::write(&file, "hunter2\n").unwrap();
        let told = accounts.refresh(Reading::Asked).unwrap_err().to_string();
        assert!(
            told.ends_with(
                "users: line 1: expected NAME=ALGORITHM:HASH:SALT or NAME=plaintext:PASSWORD"
            ),
            "{told}"
        );
        assert!(accounts.verify(b"a", b"two"));
    }

    #[test]
    fn the_memory_is_bounded() {
        let lines: String = (0..2 * REMEMBERED).map(|at| format!("u{at}=plaintext:x\n")).collect();
        let accounts = Accounts::of_text(&Secret::new(lines)).unwrap();
        for at in 0..2 * REMEMBERED {
            assert!(accounts.verify(format!("u{at}").as_bytes(), b"x"));
        }
        assert_eq!(accounts.remembered.lock().tags.len(), REMEMBERED);
        assert!(!accounts.remembers(b"u0", b"x"));
        assert!(accounts.remembers(format!("u{}", 2 * REMEMBERED - 1).as_bytes(), b"x"));
        assert!(!accounts.refresh(Reading::Asked).unwrap());
        let others = format!("u{}", REMEMBERED + 1);
        for _ in 0..2 * REMEMBERED {
            assert!(accounts.verify(others.as_bytes(), b"x"));
        }
        let last = format!("u{}", 2 * REMEMBERED - 1);
        assert!(accounts.remembers(last.as_bytes(), b"x"), "one user takes one place");
    }
}
