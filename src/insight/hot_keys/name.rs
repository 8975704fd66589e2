//! What a key is called: the first 64 bits of HMAC-SHA256 over topic and key, with a secret of the
//! cluster. So all brokers call it the same, and who has only the name cannot try keys.

use std::fmt;

use ring::hmac;

/// A key by its name.
pub(super) type KeyName = u64;

/// Names keys.
pub(super) struct Namer {
    secret: hmac::Key,
}

impl Namer {
    pub(super) fn new(secret: &str) -> Self {
        Self { secret: hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()) }
    }

    /// The name of a key of a topic: of the topic's name, a zero byte, which no name has, and the key.
    pub(super) fn name(&self, topic: &str, key: &[u8]) -> KeyName {
        let mut context = hmac::Context::with_key(&self.secret);
        context.update(topic.as_bytes());
        context.update(&[0]);
        context.update(key);
        let tag = context.sign();
        tag.as_ref().first_chunk().map_or(0, |first| KeyName::from_be_bytes(*first))
    }
}

impl fmt::Debug for Namer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Namer")
    }
}

/// A name as it is shown: 16 hexadecimal digits.
pub(super) fn shown(name: KeyName) -> String {
    format!("{name:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_hmac_sha256() {
        // printf 'orders\0customer-17' | openssl dgst -sha256 -hmac 's3cret'
        let name = |topic: &str, key: &[u8]| shown(Namer::new("s3cret").name(topic, key));
        assert_eq!(name("orders", b"customer-17"), "b8910c10c1a91290");
        assert_eq!(name("orders", b""), "ec22b8e368326d72");
        assert_ne!(name("order", b"scustomer-17"), name("orders", b"customer-17"));
        assert_ne!(name("payments", b"customer-17"), name("orders", b"customer-17"));
        assert_ne!(shown(Namer::new("other").name("orders", b"")), name("orders", b""));
        assert_eq!(format!("{:?}", Namer::new("s3cret")), "Namer");
    }
}
