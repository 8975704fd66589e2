//! Variables of the environment that `httpServer` of a rule file names, as `${NAME}`. Whether they are
//! set is asked by whoever has an environment.

use super::http_server::{HttpServer, SslIdentity};

impl HttpServer {
    /// The variables, each behind the part that needs it: `ssl` or `authentication`.
    pub fn variables(&self) -> Vec<(&'static str, &str)> {
        let mut texts = Vec::new();
        if let Some(ssl) = &self.ssl {
            match &ssl.identity {
                SslIdentity::Store { store, .. } => texts.push(("ssl", store.password.reveal())),
                SslIdentity::Pem { password, .. } => {
                    texts.extend(password.iter().map(|it| ("ssl", it.reveal())));
                }
            }
            texts.extend(ssl.trust_store.iter().map(|it| ("ssl", it.password.reveal())));
        }
        if let Some(user) = &self.basic {
            // What is hashed is taken as it stands.
            if user.algorithm.eq_ignore_ascii_case("plaintext") {
                texts.push(("authentication", user.password.reveal()));
            }
            texts.push(("authentication", &user.username));
        }
        texts.into_iter().filter_map(|(part, text)| Some((part, variable(text)?))).collect()
    }

    /// The files of its keys and certificates.
    pub fn files(&self) -> Vec<&str> {
        let Some(ssl) = &self.ssl else { return Vec::new() };
        let mut files = match &ssl.identity {
            SslIdentity::Store { store, .. } => vec![store.filename.as_str()],
            SslIdentity::Pem { certificate, key, .. } => vec![certificate.as_str(), key.as_str()],
        };
        files.extend(ssl.trust_store.iter().map(|store| store.filename.as_str()));
        files
    }
}

/// The name in `${NAME}`; `${}` names nothing.
fn variable(text: &str) -> Option<&str> {
    let name = text.trim().strip_prefix("${")?.strip_suffix('}')?;
    (!name.is_empty()).then_some(name.trim())
}

#[cfg(test)]
mod tests {
    use crate::rules::{Generation, RuleSet};

    #[test]
    fn variables_and_files_are_told_by_their_part() {
        let check = |server: &str, variables: &[(&str, &str)], files: &[&str]| {
            let text = format!("httpServer: {{{server}}}\n");
            let rules = RuleSet::parse(&text, "f.yml", Generation::V1).unwrap();
            let server = rules.http_server().unwrap();
            assert_eq!(server.variables(), variables, "{text}");
            assert_eq!(server.files(), files, "{text}");
        };
        let user = "authentication: {basic: {username: ' ${ ME } '";
        check(
            &format!("{user}, password: '${{WORD}}'}}}}"),
            &[("authentication", "WORD"), ("authentication", "ME")],
            &[],
        );
        check(
            &format!("{user}, algorithm: SHA-256, salt: '${{S}}', passwordHash: '${{H}}'}}}}"),
            &[("authentication", "ME")],
            &[],
        );
        check("authentication: {basic: {username: '${}', password: '$WORD'}}", &[], &[]);
        check(
            "ssl: {mutualTLS: true, keyStore: {filename: s, password: '${A}'}, \
             trustStore: {filename: t, password: '${B}'}}",
            &[("ssl", "A"), ("ssl", "B")],
            &["s", "t"],
        );
        check(
            "ssl: {pem: {certificate: {filename: c}, privateKey: {filename: k, password: '${C}'}}}",
            &[("ssl", "C")],
            &["c", "k"],
        );
    }
}
