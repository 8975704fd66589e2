//! Users and their passwords: a line `NAME=ALGORITHM:...` for each.
//!
//!     alice=PBKDF2WithHmacSHA256:600000:HASH:SALT
//!     bob=SHA-256:HASH:SALT
//!     carol=plaintext:PASSWORD
//!
//! The salt comes last, so that it may hold whatever it likes; hence no colons between the digits of
//! the hash: what stands before the first would be too short, and is refused.

use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::password::{Algorithm, Hashed, PasswordError, Verifier};

/// Most users of a listener.
const MAX_USERS: usize = 1000;

/// Users, at least one.
#[derive(Debug)]
pub struct Users(Vec<(String, Verifier)>);

/// Why users cannot be read. Nothing of a line but its number and its user is told.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsersError {
    /// A line of another form.
    #[error("line {0}: expected NAME=ALGORITHM:HASH:SALT or NAME=plaintext:PASSWORD")]
    Form(usize),
    /// A password that cannot be used.
    #[error("line {line}: {source}")]
    Password {
        /// Number of the line, from 1.
        line: usize,
        /// Why not.
        source: PasswordError,
    },
    /// A name that stands there twice.
    #[error("line {0}: the user stands there twice")]
    Twice(usize),
    /// No line at all.
    #[error("expected at least one user")]
    None,
    /// Too many.
    #[error("more than {MAX_USERS} users")]
    TooMany,
}

impl Users {
    /// Reads lines; empty ones and those that begin with `#` are left out.
    ///
    /// # Errors
    /// The first line that makes no sense.
    pub fn parse(text: &str) -> Result<Self, UsersError> {
        // Some editors put it in front; it is no part of the first user's name.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut users: Vec<(String, Verifier)> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let (number, line) = (number + 1, line.trim_start());
            if line.trim_end().is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, kept) = line.split_once('=').ok_or(UsersError::Form(number))?;
            let name = name.trim_end();
            if name.is_empty() || name.contains(':') {
                return Err(UsersError::Form(number));
            }
            if users.iter().any(|(known, _)| known == name) {
                return Err(UsersError::Twice(number));
            }
            if users.len() == MAX_USERS {
                return Err(UsersError::TooMany);
            }
            users.push((name.to_owned(), verifier(number, kept.trim_start())?));
        }
        if users.is_empty() { Err(UsersError::None) } else { Ok(Self(users)) }
    }

    /// [`Self::parse`] of what a file holds.
    ///
    /// # Errors
    /// The first line that makes no sense, or is not in UTF-8: read as something else, its password
    /// would be another.
    pub fn parse_bytes(bytes: &[u8]) -> Result<Self, UsersError> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            UsersError::Form(1 + before.iter().filter(|byte| **byte == b'\n').count())
        })?;
        Self::parse(text)
    }

    /// One user.
    pub fn one(name: String, verifier: Verifier) -> Self {
        Self(vec![(name, verifier)])
    }

    /// Whether they are the name and the password of a user. Who is not known costs what the first
    /// user costs.
    pub fn verify(&self, name: &[u8], password: &[u8]) -> bool {
        let mut at = 0_u64;
        let mut known = Choice::from(0);
        for (number, (user, _)) in (0_u64..).zip(&self.0) {
            let same = user.as_bytes().ct_eq(name);
            at.conditional_assign(&number, same);
            known |= same;
        }
        let found = usize::try_from(at).ok().and_then(|at| self.0.get(at));
        let right = found.is_some_and(|(_, verifier)| verifier.matches(password));
        (known & Choice::from(u8::from(right))).into()
    }

    /// Whether telling may take long on purpose.
    pub fn are_slow(&self) -> bool {
        self.0.iter().any(|(_, verifier)| verifier.is_slow())
    }
}

/// Reads what follows the name.
fn verifier(line: usize, kept: &str) -> Result<Verifier, UsersError> {
    let form = || UsersError::Form(line);
    let password = |source| UsersError::Password { line, source };
    let (algorithm, rest) = kept.split_once(':').ok_or_else(form)?;
    let algorithm = Algorithm::named(algorithm).map_err(password)?;
    if algorithm == Algorithm::Plaintext {
        return Verifier::plaintext(rest).map_err(password);
    }
    let (iterations, rest) = match algorithm.default_iterations() {
        None => (None, rest),
        Some(_) => {
            let (count, rest) = rest.split_once(':').ok_or_else(form)?;
            (Some(count.parse().map_err(|_| password(PasswordError::Iterations))?), rest)
        }
    };
    let (hash, salt) = rest.split_once(':').ok_or_else(form)?;
    Verifier::hashed(&Hashed { algorithm, salt, hash, iterations, key_length: None })
        .map_err(password)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHA256: &str = "2bf7ed4906ac065bde39f7508d6102a6cdd7153a929ea883ff6cd04442772c99";
    const SALT: &str = "U9i%=N+m]#i9yvUV:bA/3n4X9JdPXf=n";

    #[test]
    fn users_are_told_apart() {
        let text = format!(
            "# who may read\n\n alice = SHA-256:{SHA256}:{SALT}\nbob=plaintext:a:b=c #d\n\
             carol=PBKDF2WithHmacSHA1:1:3bcf2cb1b21e0e2030d10d24982a0aaf:x\n"
        );
        let users = Users::parse(&text).unwrap();
        assert!(users.are_slow());
        let check = |name: &str, password: &str, expected| {
            let found = users.verify(name.as_bytes(), password.as_bytes());
            assert_eq!(found, expected, "{name} {password}");
        };
        check("alice", "secret", true);
        check("bob", "a:b=c #d", true);
        check("alice", "a:b=c #d", false);
        check("bob", "secret", false);
        check("Alice", "secret", false);
        check("nobody", "secret", false);
        check("", "", false);
        assert!(!format!("{users:?}").contains(SHA256));
    }

    #[test]
    fn lines_of_another_form_are_refused_without_being_told() {
        for (text, expected) in [
            ("", "expected at least one user"),
            ("# nobody\n\n", "expected at least one user"),
            ("hunter2", "line 1: expected NAME=ALGORITHM:HASH:SALT or NAME=plaintext:PASSWORD"),
            ("a=hunter2", "line 1: expected NAME="),
            ("a:b=plaintext:hunter2", "line 1: expected NAME="),
            ("=plaintext:hunter2", "line 1: expected NAME="),
            ("a=MD5:hunter2", "line 1: expected one of plaintext, SHA-1"),
            ("a=plaintext:", "line 1: expected a password that is not empty"),
            ("a=plaintext:b\na=plaintext:hunter2", "line 2: the user stands there twice"),
            ("a=SHA-256:hunter2:salt", "line 1: expected a hash in hexadecimal digits"),
            ("a=SHA-256:00ff", "line 1: expected NAME="),
            ("a=PBKDF2WithHmacSHA1:00ff:salt", "line 1: expected from 1 to 10000000 iterations"),
            ("a=PBKDF2WithHmacSHA1:5:00ff:", "line 1: expected a salt"),
            ("a=PBKDF2WithHmacSHA256:1000:E1:46:51:salt", "line 1: the hash has 1 bytes, expected"),
            ("a=SHA-256:23:salt", "line 1: the hash has 1 bytes, expected 32"),
        ] {
            let told = Users::parse(text).map(|_| ()).unwrap_err().to_string();
            assert!(told.starts_with(expected), "{told}");
            assert!(!told.contains("hunter2"), "{told}");
        }
        let latin = Users::parse_bytes(b"a=plaintext:x\nb=plaintext:caf\xe9\n").map(|_| ());
        assert_eq!(latin, Err(UsersError::Form(2)));
        let many: String = (0..=MAX_USERS).map(|at| format!("u{at}=plaintext:x\n")).collect();
        assert_eq!(Users::parse(&many).map(|_| ()), Err(UsersError::TooMany));
    }

    #[test]
    fn what_editors_of_windows_write_is_read() {
        let users = Users::parse_bytes(b"\xef\xbb\xbfa=plaintext:x\r\nb=plaintext:y\r\n").unwrap();
        assert!(users.verify(b"a", b"x") && users.verify(b"b", b"y"));
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in "\\PC{0,60}") {
            let _ = Users::parse(&text);
            let _ = Users::parse(&format!("a={text}"));
        }
    }
}
