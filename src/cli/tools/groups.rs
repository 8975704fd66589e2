//! `kafka-groups`: lists groups of all types (org.apache.kafka.tools.GroupsCommand).

use anyhow::{Result, bail};
use pharos_client::admin::GroupListing;

use crate::args::{Args, BOOTSTRAP, COMMAND_CONFIG, Spec, switch, value};
use crate::common::{admin, block_on, type_name};
use crate::io::Io;
use crate::table::pad;

/// What the tool takes.
pub const SPEC: Spec = Spec {
    about: "This tool helps to list groups of all types.",
    commands: &[],
    flags: &[
        BOOTSTRAP,
        COMMAND_CONFIG,
        switch("list", "List the groups."),
        value(
            "group-type",
            "String: type",
            "Only groups of type classic, consumer, share or streams.",
        ),
        value("protocol", "String: protocol", "Only groups of this protocol type."),
        switch("consumer", "Only groups of consumers, whatever their type."),
        switch("share", "Only share groups."),
        switch("streams", "Only streams groups."),
    ],
};

/// Runs the tool.
pub fn run(args: &Args, io: &mut Io<'_>) -> Result<i32> {
    if !args.has("bootstrap-server") {
        bail!("Missing required option(s) [bootstrap-server]");
    }
    if !args.has("list") {
        bail!("Command must include exactly one action: --list.");
    }
    args.refuse_beside("consumer", &["group-type", "protocol", "share", "streams"])?;
    args.refuse_beside("share", &["group-type", "protocol", "streams"])?;
    args.refuse_beside("streams", &["group-type", "protocol"])?;
    let wanted_type = match args.one("group-type")? {
        Some(name) => Some(group_type(name)?),
        None if args.has("share") => Some("Share"),
        None if args.has("streams") => Some("Streams"),
        None => None,
    };
    let protocol = args.one("protocol")?;
    let of_consumers = args.has("consumer");
    let admin = admin(args)?;
    let groups = block_on(async { Ok(admin.list_groups(&[], &[]).await?) })?;
    let shown = groups.iter().filter(|group| {
        let kind = type_name(group);
        let consumers = kind == "Consumer"
            || (kind == "Classic" && matches!(&*group.protocol_type, "" | "consumer"));
        wanted_type.is_none_or(|wanted| wanted == kind)
            && protocol.is_none_or(|wanted| wanted == group.protocol_type)
            && (!of_consumers || consumers)
    });
    for line in lines(shown) {
        io.line(line)?;
    }
    Ok(0)
}

fn group_type(name: &str) -> Result<&'static str> {
    Ok(match name.to_ascii_lowercase().as_str() {
        "classic" => "Classic",
        "consumer" => "Consumer",
        "share" => "Share",
        "streams" => "Streams",
        _ => bail!("--group-type must be a valid group type."),
    })
}

fn lines<'a>(groups: impl Iterator<Item = &'a GroupListing>) -> Vec<String> {
    let groups: Vec<_> = groups.collect();
    let width =
        groups.iter().map(|group| group.group_id.chars().count()).max().unwrap_or(0).max(20);
    let mut lines =
        vec![format!("{} {} {}", pad("GROUP", width), pad("TYPE", 20), pad("PROTOCOL", 20))];
    lines.extend(groups.iter().map(|group| {
        // The blank at the end is Kafka's.
        format!(
            "{} {} {} ",
            pad(&group.group_id, width),
            pad(&type_name(group), 20),
            pad(&group.protocol_type, 20)
        )
    }));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_look_as_kafka_prints_them() {
        let group = |id: &str, kind: &str| GroupListing {
            group_id: id.to_owned(),
            protocol_type: "consumer".to_owned(),
            state: "Stable".to_owned(),
            group_type: kind.to_owned(),
        };
        // Captured from kafka-groups.sh --list of 4.3.1.
        let expected = [
            "GROUP                TYPE                 PROTOCOL            ",
            "live848              Consumer             consumer             ",
            "live                 Classic              consumer             ",
        ];
        let groups = [group("live848", "consumer"), group("live", "classic")];
        assert_eq!(lines(groups.iter()), expected);
    }
}
