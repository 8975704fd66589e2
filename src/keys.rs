//! `pharos keys hash TOPIC KEY`: what figures of hot keys call a key. A broker is asked, since only
//! the cluster knows the secret that names are made with.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::banner;
use crate::roles::USAGE;

/// Where the admin listener is when nobody says.
const ADMIN: &str = "localhost:9404";
/// Longest time that a broker may take.
const LIMIT: Duration = Duration::from_secs(10);
/// Most that is read of an answer, in bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

const HELP: &str = "usage: pharos keys hash TOPIC KEY [--hex] [--admin HOST:PORT]\n
Prints what figures of hot keys call a key; a broker is asked.\n
  --hex                the key is written in hexadecimal digits
  --admin HOST:PORT    the admin listener that is asked; localhost:9404 when it is not said
  --                   what follows is topic or key, whatever it begins with\n";

/// Runs the second word.
///
/// # Errors
/// Why there is nothing to tell.
pub fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    if asks_for_help(arguments) {
        banner::page(HELP);
        return Ok(ExitCode::SUCCESS);
    }
    let asked = Asked::parse(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answered = runtime.block_on(async { tokio::time::timeout(LIMIT, asked.ask()).await });
    let late = || format!("{} did not answer within {} s", asked.admin, LIMIT.as_secs());
    banner::page(&format!("{}\n", answered.with_context(late)??));
    Ok(ExitCode::SUCCESS)
}

/// Whether help is asked for: a key may be called `-h`.
fn asks_for_help(arguments: &[String]) -> bool {
    let mut words = arguments.iter().map(String::as_str);
    words.clone().take_while(|word| *word != "--").any(|word| word == "--help")
        || words.len() < 3 && words.any(|word| word == "-h")
}

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    admin: String,
    topic: String,
    key: Vec<u8>,
}

impl Asked {
    fn parse(arguments: &[String]) -> anyhow::Result<Self> {
        let (mut words, mut admin, mut hexadecimal) = (Vec::new(), ADMIN.to_owned(), false);
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--admin" => {
                    let address =
                        rest.next().with_context(|| format!("--admin needs a value\n{USAGE}"))?;
                    let address = address.strip_prefix("http://").unwrap_or(address);
                    admin = address.trim_end_matches('/').to_owned();
                }
                "--hex" => hexadecimal = true,
                // A key may begin with anything.
                "--" => words.extend(rest.by_ref().map(String::as_str)),
                name if name.starts_with("--") => bail!("unknown argument {name:?}\n{USAGE}"),
                word => words.push(word),
            }
        }
        let ["hash", topic, key] = words.as_slice() else { bail!("{USAGE}") };
        let key = if hexadecimal {
            from_hexadecimal(key).with_context(|| format!("{key:?} is not hexadecimal"))?
        } else {
            key.as_bytes().to_vec()
        };
        // What needs to be escaped in an address is no name of a topic.
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if topic.is_empty() || !topic.bytes().all(allowed) {
            bail!("no topic is called {topic:?}");
        }
        Ok(Self { admin, topic: (*topic).to_owned(), key })
    }

    /// The name of the key.
    async fn ask(&self) -> anyhow::Result<String> {
        let failed = || format!("cannot ask the admin listener at {}", self.admin);
        let stream = TcpStream::connect(&self.admin).await.with_context(failed)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let request = Request::post(format!("/api/keys/hash?topic={}", self.topic))
            .header(header::HOST, &self.admin)
            .body(Full::new(Bytes::from(self.key.clone())))?;
        let answer = sender.send_request(request).await.with_context(failed)?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
        connection.abort();
        let body = body.map_err(|error| anyhow::anyhow!("{error}")).with_context(failed)?;
        let told: Value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
        let text = |field: &str| told.get(field).and_then(Value::as_str);
        match text("hash") {
            Some(hash) if status.is_success() => Ok(hash.to_owned()),
            _ => bail!("{} answers: {}", self.admin, text("message").unwrap_or(status.as_str())),
        }
    }
}

fn from_hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> anyhow::Result<Asked> {
        Asked::parse(&words.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn help_is_no_key() {
        let check = |words: &[&str], expected: bool| {
            let words: Vec<_> = words.iter().map(ToString::to_string).collect();
            assert_eq!(asks_for_help(&words), expected, "{words:?}");
        };
        check(&["hash", "--help"], true);
        check(&["hash", "t", "k", "--help"], true);
        check(&["hash", "-h"], true);
        check(&["hash", "t", "-h"], false);
        check(&["hash", "--", "t", "--help"], false);
    }

    #[test]
    fn keys_are_bytes() {
        let check = |words: &[&str], admin: &str, key: &[u8]| {
            let expected =
                Asked { admin: admin.to_owned(), topic: "t".to_owned(), key: key.to_vec() };
            assert_eq!(parse(words).unwrap(), expected);
        };
        check(&["hash", "t", "ä"], ADMIN, "ä".as_bytes());
        check(&["hash", "t", ""], ADMIN, b"");
        check(&["hash", "--hex", "t", "00fF"], ADMIN, &[0, 255]);
        check(&["hash", "t", "k", "--admin", "http://b:1/"], "b:1", b"k");
        check(&["hash", "--", "t", "--hex"], ADMIN, b"--hex");
        for wrong in [
            &["hash", "t"][..],
            &["hash", "t", "k", "l"],
            &["hush", "t", "k"],
            &["hash", "t", "k", "--admin"],
            &["hash", "t", "k", "--nonsense"],
            &["hash", "t", "0", "--hex"],
            &["hash", "t", "0g", "--hex"],
            &["hash", "t&topic=u", "k"],
            &["hash", "", "k"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
