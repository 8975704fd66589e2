//! The value of an `Authorization` header of the basic scheme (RFC 7617).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Name and password of a header's value; `None` when it is something else.
pub fn basic_credentials(header: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, rest) = header.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let mut name = STANDARD.decode(rest.trim_ascii()).ok()?;
    let colon = name.iter().position(|byte| *byte == b':')?;
    let password = name.split_off(colon).split_off(1);
    Some((name, password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read() {
        let check = |header: &str, expected: Option<(&str, &str)>| {
            let expected = expected.map(|(name, word)| (name.into(), word.into()));
            assert_eq!(basic_credentials(header.as_bytes()), expected, "{header}");
        };
        check("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", Some(("Aladdin", "open sesame")));
        check("basic  Og==", Some(("", "")));
        check("Basic YTpiOmM=", Some(("a", "b:c")));
        for other in ["", "Basic", "Basic ", "Basic !", "Basic YQ==", "Bearer YTpi", "BasicYTpi"] {
            check(other, None);
        }
    }
}
