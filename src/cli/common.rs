//! What the tools share: properties from flags, a runtime, an admin, names of errors.

use std::future::Future;

use anyhow::{Context, Result, bail};
use pharos_base::BrokerId;
use pharos_client::admin::GroupListing;
use pharos_client::consumer::TimestampType;
use pharos_client::{Admin, ClientError, Properties};
use pharos_protocol::ErrorCode;
use regex::Regex;

use crate::args::Args;

/// Runs async work of a tool to its end.
///
/// # Errors
/// Those of the work, or of the system when no runtime can be had.
pub fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start")?;
    let outcome = runtime.block_on(work);
    // A thread that still waits for the terminal's next line must not hold the end up.
    runtime.shutdown_background();
    outcome
}

/// The properties of `--command-config` with the bootstrap list of the flags.
///
/// # Errors
/// When the file cannot be read or no bootstrap flag was given.
pub fn admin_properties(args: &Args) -> Result<Properties> {
    let mut properties = match args.one("command-config")? {
        Some(file) => Properties::read(file)?,
        None => Properties::new(),
    };
    match (args.one("bootstrap-server")?, args.one("bootstrap-controller")?) {
        (Some(_), Some(_)) => {
            bail!("--bootstrap-server and --bootstrap-controller cannot be given together")
        }
        (Some(servers), None) => properties.set("bootstrap.servers", servers),
        (None, Some(controllers)) => properties.set("bootstrap.controllers", controllers),
        (None, None) if properties.get("bootstrap.servers").is_some() => {}
        (None, None) => bail!("--bootstrap-server must be specified"),
    }
    properties.set_default("client.id", "adminclient-1");
    Ok(properties)
}

/// An admin for the flags.
///
/// # Errors
/// As [`admin_properties`], or a property that is not allowed.
pub fn admin(args: &Args) -> Result<Admin> {
    Ok(Admin::from_properties(&admin_properties(args)?)?)
}

/// A pattern of topic names as Kafka's `IncludeList` reads it: a list separated by commas or `|`,
/// quotes and blanks left out, each a regular expression for the whole name.
///
/// # Errors
/// When it is no regular expression.
pub fn include_list(raw: &str) -> Result<Regex> {
    let cleaned: String = raw.chars().filter(|c| !matches!(c, '"' | '\'' | ' ')).collect();
    let pattern = cleaned.replace(',', "|");
    Regex::new(&format!("^(?:{pattern})$")).with_context(|| format!("{raw} is an invalid regex"))
}

/// Ids joined by commas.
pub fn join_ids(ids: &[BrokerId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// `Classic`, `Consumer`, ..., from whatever the broker says of a group.
pub fn type_name(group: &GroupListing) -> String {
    let mut letters = group.group_type.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters.flat_map(char::to_lowercase)).collect(),
        None => "Unknown".to_owned(),
    }
}

/// What kind of time a record has.
pub fn timestamp_name(kind: TimestampType) -> &'static str {
    match kind {
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    }
}

/// The name of Kafka's exception for a code, as its tools print it.
pub fn exception(code: ErrorCode) -> String {
    let special = match code {
        ErrorCode::NonEmptyGroup => Some("GroupNotEmptyException"),
        ErrorCode::TopicAlreadyExists => Some("TopicExistsException"),
        ErrorCode::UnknownServerError => Some("UnknownServerException"),
        ErrorCode::RequestTimedOut => Some("TimeoutException"),
        ErrorCode::MessageTooLarge => Some("RecordTooLargeException"),
        ErrorCode::InvalidConfig => Some("InvalidConfigurationException"),
        _ => None,
    };
    let derived = || {
        let camel: String = code
            .name()
            .split('_')
            .map(|word| {
                let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
                format!("{first}{}", rest.to_ascii_lowercase())
            })
            .collect();
        format!("{}Exception", camel.strip_suffix("Exception").unwrap_or(&camel))
    };
    let name = special.map_or_else(derived, str::to_owned);
    format!("org.apache.kafka.common.errors.{name}")
}

/// What Kafka's tools say of a code that came without words.
pub fn sentence(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::UnknownTopicOrPartition => "This server does not host this topic-partition.",
        ErrorCode::GroupIdNotFound => "The group id does not exist.",
        ErrorCode::NonEmptyGroup => "The group is not empty.",
        ErrorCode::GroupSubscribedToTopic => {
            "Deleting offsets of a topic is forbidden while the consumer group is actively \
             subscribed to it."
        }
        ErrorCode::OffsetOutOfRange => {
            "The requested offset is not within the range of offsets maintained by the server."
        }
        code => code.message(),
    }
}

/// What Kafka's tools say of an error.
pub fn told(error: &ClientError) -> String {
    match error {
        ClientError::Broker { code, message: None } => sentence(*code).to_owned(),
        error => error.to_string(),
    }
}

/// An error with the name of Kafka's exception in front, where a broker answered one.
pub fn with_exception(error: &ClientError) -> String {
    match error.code() {
        Some(code) => format!("{}: {}", exception(code), told(error)),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_named_as_in_java() {
        for (code, expected) in [
            (ErrorCode::UnknownTopicOrPartition, "UnknownTopicOrPartitionException"),
            (ErrorCode::GroupSubscribedToTopic, "GroupSubscribedToTopicException"),
            (ErrorCode::NonEmptyGroup, "GroupNotEmptyException"),
            (ErrorCode::InvalidTopicException, "InvalidTopicException"),
        ] {
            assert_eq!(exception(code), format!("org.apache.kafka.common.errors.{expected}"));
        }
    }

    #[test]
    fn include_lists_match_whole_names() {
        let list = include_list("a.*, b").unwrap();
        for (name, expected) in [("abc", true), ("b", true), ("bc", false), ("xa", false)] {
            assert_eq!(list.is_match(name), expected, "{name}");
        }
        assert!(include_list("(").is_err());
    }
}
