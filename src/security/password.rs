//! Passwords and what they are compared with: in the clear or hashed, by the algorithms that
//! jmx_exporter knows. No comparison takes less time for a password that is nearly right.

use std::fmt;
use std::num::NonZeroU32;

use pharos_base::HIDDEN;
use ring::{digest, pbkdf2};
use subtle::ConstantTimeEq;

/// Most iterations of PBKDF2: a check of one password takes seconds with more.
const MAX_ITERATIONS: u32 = 10_000_000;
/// Longest hash, in bytes.
const MAX_HASH_BYTES: usize = 512;
/// Shortest derived key, in bytes, of which nobody says how long it should be: the exporters' default.
/// A part of a key would take many a password for the right one.
const MIN_KEY_BYTES: usize = 16;
/// The same where its length is given.
const MIN_ASKED_BYTES: usize = 8;
/// Most zeros that a digest may lack in front: one in four milliards lacks more.
const MAX_LACKING_BYTES: usize = 4;

/// How a password is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// In the clear.
    Plaintext,
    /// SHA-1 of `salt:password`.
    Sha1,
    /// SHA-256 of the same.
    Sha256,
    /// SHA-512 of the same.
    Sha512,
    /// PBKDF2 with SHA-1.
    Pbkdf2Sha1,
    /// PBKDF2 with SHA-256.
    Pbkdf2Sha256,
    /// PBKDF2 with SHA-512.
    Pbkdf2Sha512,
}

/// Why a kept password cannot be used; the password and its hash are never told.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// No such algorithm.
    #[error(
        "expected one of plaintext, SHA-1, SHA-256, SHA-512, PBKDF2WithHmacSHA1, \
         PBKDF2WithHmacSHA256, PBKDF2WithHmacSHA512 as algorithm"
    )]
    Algorithm,
    /// The text of the hash.
    #[error("expected a hash in hexadecimal digits")]
    Hex,
    /// The hash is not as long as the algorithm makes it.
    #[error("the hash has {found} bytes, expected {expected}")]
    Length {
        /// Bytes of the hash.
        found: usize,
        /// Bytes that were expected.
        expected: String,
    },
    /// No salt.
    #[error("expected a salt")]
    Salt,
    /// No password.
    #[error("expected a password that is not empty")]
    Empty,
    /// The number of iterations.
    #[error("expected from 1 to {MAX_ITERATIONS} iterations")]
    Iterations,
}

impl Algorithm {
    /// The algorithm of a name, as jmx_exporter spells it.
    ///
    /// # Errors
    /// There is none.
    pub fn named(name: &str) -> Result<Self, PasswordError> {
        Ok(match name {
            plain if plain.eq_ignore_ascii_case("plaintext") => Self::Plaintext,
            "SHA-1" => Self::Sha1,
            "SHA-256" => Self::Sha256,
            "SHA-512" => Self::Sha512,
            "PBKDF2WithHmacSHA1" => Self::Pbkdf2Sha1,
            "PBKDF2WithHmacSHA256" => Self::Pbkdf2Sha256,
            "PBKDF2WithHmacSHA512" => Self::Pbkdf2Sha512,
            _ => return Err(PasswordError::Algorithm),
        })
    }

    /// Iterations where none are given, as in jmx_exporter; `None` for what is hashed once.
    pub fn default_iterations(self) -> Option<u32> {
        match self {
            Self::Pbkdf2Sha1 => Some(1_300_000),
            Self::Pbkdf2Sha256 => Some(600_000),
            Self::Pbkdf2Sha512 => Some(210_000),
            Self::Plaintext | Self::Sha1 | Self::Sha256 | Self::Sha512 => None,
        }
    }
}

/// A hashed password as it is written down.
#[derive(Clone, Copy)]
pub struct Hashed<'a> {
    /// How it was made; not plaintext.
    pub algorithm: Algorithm,
    /// The salt's text.
    pub salt: &'a str,
    /// The hash in hexadecimal digits, pairs of them possibly separated by colons.
    pub hash: &'a str,
    /// Of PBKDF2; the default where not given.
    pub iterations: Option<u32>,
    /// Length of the derived key in bits or, as exporters up to 1.0 read it, in bytes; where not
    /// given the hash tells.
    pub key_length: Option<u32>,
}

/// What a password is compared with. It does not print.
#[derive(Clone)]
pub struct Verifier(Kept);

#[derive(Clone)]
enum Kept {
    Digest { algorithm: &'static digest::Algorithm, prefix: Vec<u8>, hash: Vec<u8> },
    Pbkdf2 { algorithm: pbkdf2::Algorithm, iterations: NonZeroU32, salt: Vec<u8>, hash: Vec<u8> },
}

impl Verifier {
    /// Of a password in the clear. Its digest is kept, so that a comparison does not tell its length.
    ///
    /// # Errors
    /// It is empty.
    pub fn plaintext(password: &str) -> Result<Self, PasswordError> {
        if password.is_empty() {
            return Err(PasswordError::Empty);
        }
        let algorithm = &digest::SHA256;
        let hash = digest::digest(algorithm, password.as_bytes()).as_ref().to_vec();
        Ok(Self(Kept::Digest { algorithm, prefix: Vec::new(), hash }))
    }

    /// Of a hashed password.
    ///
    /// # Errors
    /// The hash cannot be one of that algorithm.
    pub fn hashed(hashed: &Hashed<'_>) -> Result<Self, PasswordError> {
        if hashed.salt.is_empty() {
            return Err(PasswordError::Salt);
        }
        let hash = hex(hashed.hash)?;
        let kept = match hashed.algorithm {
            Algorithm::Plaintext => return Err(PasswordError::Algorithm),
            Algorithm::Sha1 => digested(&digest::SHA1_FOR_LEGACY_USE_ONLY, hashed.salt, hash)?,
            Algorithm::Sha256 => digested(&digest::SHA256, hashed.salt, hash)?,
            Algorithm::Sha512 => digested(&digest::SHA512, hashed.salt, hash)?,
            Algorithm::Pbkdf2Sha1 => derived(pbkdf2::PBKDF2_HMAC_SHA1, hashed, hash)?,
            Algorithm::Pbkdf2Sha256 => derived(pbkdf2::PBKDF2_HMAC_SHA256, hashed, hash)?,
            Algorithm::Pbkdf2Sha512 => derived(pbkdf2::PBKDF2_HMAC_SHA512, hashed, hash)?,
        };
        Ok(Self(kept))
    }

    /// Whether `password` is the right one.
    pub fn matches(&self, password: &[u8]) -> bool {
        match &self.0 {
            Kept::Digest { algorithm, prefix, hash } => {
                let mut context = digest::Context::new(algorithm);
                context.update(prefix);
                context.update(password);
                context.finish().as_ref().ct_eq(hash).into()
            }
            Kept::Pbkdf2 { algorithm, iterations, salt, hash } => {
                pbkdf2::verify(*algorithm, *iterations, salt, password, hash).is_ok()
            }
        }
    }

    /// Whether a comparison takes long on purpose.
    pub fn is_slow(&self) -> bool {
        matches!(self.0, Kept::Pbkdf2 { .. })
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// A digest of `salt:password`. Exporters up to 1.0 print it as a number, without zeros in front.
fn digested(
    algorithm: &'static digest::Algorithm,
    salt: &str,
    mut hash: Vec<u8>,
) -> Result<Kept, PasswordError> {
    let expected = algorithm.output_len();
    if hash.len() > expected || hash.len() + MAX_LACKING_BYTES < expected {
        return Err(PasswordError::Length { found: hash.len(), expected: expected.to_string() });
    }
    let missing = expected - hash.len();
    hash.splice(0..0, std::iter::repeat_n(0, missing));
    Ok(Kept::Digest { algorithm, prefix: format!("{salt}:").into_bytes(), hash })
}

fn derived(
    algorithm: pbkdf2::Algorithm,
    hashed: &Hashed<'_>,
    hash: Vec<u8>,
) -> Result<Kept, PasswordError> {
    let found = hash.len();
    let length = |expected: String| PasswordError::Length { found, expected };
    if let Some(key_length) = hashed.key_length {
        let (bytes, bits) = (key_length as usize, key_length as usize / 8);
        if found != bytes && found != bits {
            return Err(length(format!("{bits} or {bytes}")));
        }
    }
    let least = if hashed.key_length.is_some() { MIN_ASKED_BYTES } else { MIN_KEY_BYTES };
    if !(least..=MAX_HASH_BYTES).contains(&found) {
        return Err(length(format!("from {least} to {MAX_HASH_BYTES}")));
    }
    let iterations = hashed.iterations.or(hashed.algorithm.default_iterations()).unwrap_or(0);
    let iterations = NonZeroU32::new(iterations).filter(|count| count.get() <= MAX_ITERATIONS);
    let iterations = iterations.ok_or(PasswordError::Iterations)?;
    Ok(Kept::Pbkdf2 { algorithm, iterations, salt: hashed.salt.as_bytes().to_vec(), hash })
}

/// Bytes of hexadecimal digits; an odd number of them lacks a zero in front.
fn hex(text: &str) -> Result<Vec<u8>, PasswordError> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .filter(|char| *char != ':')
        .map(|char| char.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let mut digits = digits.ok_or(PasswordError::Hex)?;
    if digits.len() % 2 == 1 {
        digits.insert(0, 0);
    }
    Ok(digits
        .chunks_exact(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Salt and hashes of jmx_exporter's own documentation, of the password `secret`.
    const SALT: &str = "U9i%=N+m]#i9yvUV:bA/3n4X9JdPXf=n";
    const SHA256: &str = "2bf7ed4906ac065bde39f7508d6102a6cdd7153a929ea883ff6cd04442772c99";
    const PBKDF2: &str = "A1:0E:4E:62:F7:1E:0B:59:0A:32:EA:CC:7C:65:37:1F:6D:A6:F1:F1:ED:3F:73:ED:\
        C9:65:19:37:21:5B:6D:4E:9D:C6:61:DF:B5:BF:BB:16:B8:9A:50:14:57:CE:3D:14:67:73:A3:71:1B:87:\
        3B:C4:B1:0E:DC:2D:0B:10:65:D6:F5:B6:DA:07:DD:EE:DA:AC:9C:60:CD:B4:59:0C:C9:CB:A7:3D:7E:30:\
        3E:43:83:E9:E4:13:34:A1:F1:87:5C:24:46:8E:13:90:A6:66:E1:A6:F3:0B:5A:E7:14:8A:98:6A:81:2B:\
        B6:F8:EF:95:D4:82:7E:FB:5E:2D:D3:24:FE:96";

    fn hashed<'a>(algorithm: &str, hash: &'a str) -> Hashed<'a> {
        let algorithm = Algorithm::named(algorithm).unwrap();
        Hashed { algorithm, salt: SALT, hash, iterations: None, key_length: None }
    }

    #[test]
    fn the_exporters_own_examples_are_understood() {
        for (algorithm, hash) in [("SHA-256", SHA256), ("PBKDF2WithHmacSHA256", PBKDF2)] {
            let verifier =
                Verifier::hashed(&Hashed { key_length: Some(128), ..hashed(algorithm, hash) });
            let verifier = verifier.unwrap();
            assert!(verifier.matches(b"secret"), "{algorithm}");
            assert!(!verifier.matches(b"Secret") && !verifier.matches(b""), "{algorithm}");
            assert_eq!(format!("{verifier:?}"), HIDDEN);
        }
    }

    /// Hashes made by Python's hashlib: `sha1(b"salt:pass")`, `pbkdf2_hmac("sha1", b"pass", b"salt",
    /// 1000, 16)` and their like.
    #[test]
    fn every_algorithm_tells_right_from_wrong() {
        for (algorithm, hash) in [
            ("SHA-1", "8b2ab8dc2b9f5d020ae0511073aa4d4dbe512c5f"),
            (
                "SHA-512",
                "80b17cca30ee55d63bab061b1431766ac550fd7509ed12f89afb5e19db063c5d64cee49dfae5936f64ed8d058c18cb5ab4fc3fce288f4f363ba68551781d541a",
            ),
            ("PBKDF2WithHmacSHA1", "3bcf2cb1b21e0e2030d10d24982a0aaf"),
            (
                "PBKDF2WithHmacSHA512",
                "be9f9b741fdb999754113a39f2402255185ef699103480c977f3f2b53e116a4ab93ea4578eb0363d6de6a7cadb3a3868fb3c84cbadbd7781600cc485ad4a478b",
            ),
        ] {
            let kept = Hashed {
                salt: "salt",
                iterations: algorithm.starts_with("PBKDF2").then_some(1000),
                ..hashed(algorithm, hash)
            };
            let verifier = Verifier::hashed(&kept).unwrap();
            assert!(verifier.matches(b"pass"), "{algorithm}");
            assert!(!verifier.matches(b"pas") && !verifier.matches(b"passs"), "{algorithm}");
            assert_eq!(verifier.is_slow(), algorithm.starts_with("PBKDF2"));
        }
        let plain = Verifier::plaintext("pass").unwrap();
        assert!(plain.matches(b"pass") && !plain.matches(b"past") && !plain.is_slow());
    }

    /// `sha256(b"salt:word324")` begins with a zero, which older exporters leave out.
    #[test]
    fn a_hash_without_its_first_zero_is_the_same_number() {
        let full = "008147c731f0ea3095d60cda862ba9132dacc91164fda43098efc8ed38e19967";
        for hash in [full, full.trim_start_matches('0')] {
            let kept = Hashed { salt: "salt", ..hashed("SHA-256", hash) };
            assert!(Verifier::hashed(&kept).unwrap().matches(b"word324"), "{hash}");
        }
    }

    #[test]
    fn what_can_never_match_is_refused() {
        let refused = |kept: Hashed<'_>| Verifier::hashed(&kept).map(|_| ()).unwrap_err();
        let pbkdf2 = hashed("PBKDF2WithHmacSHA1", "3bcf2cb1b21e0e2030d10d24982a0aaf");
        assert_eq!(refused(hashed("SHA-256", "xyz")), PasswordError::Hex);
        assert_eq!(refused(Hashed { salt: "", ..pbkdf2 }), PasswordError::Salt);
        for iterations in [0, MAX_ITERATIONS + 1] {
            let kept = Hashed { iterations: Some(iterations), ..pbkdf2 };
            assert_eq!(refused(kept), PasswordError::Iterations);
        }
        let length =
            |found, expected: &str| PasswordError::Length { found, expected: expected.into() };
        assert_eq!(refused(hashed("SHA-1", SHA256)), length(32, "20"));
        assert_eq!(refused(hashed("SHA-1", "")), length(0, "20"));
        assert_eq!(refused(hashed("SHA-1", &SHA256[..30])), length(15, "20"));
        let kept = Hashed { key_length: Some(160), ..pbkdf2 };
        assert_eq!(refused(kept), length(16, "20 or 160"));
        for (found, hash) in [(0, ":"), (1, "23"), (15, &SHA256[..30])] {
            let kept = hashed("PBKDF2WithHmacSHA1", hash);
            assert_eq!(refused(kept), length(found, "from 16 to 512"));
        }
        assert_eq!(Verifier::plaintext("").map(|_| ()), Err(PasswordError::Empty));
        assert_eq!(Algorithm::named("MD5"), Err(PasswordError::Algorithm));
    }
}
