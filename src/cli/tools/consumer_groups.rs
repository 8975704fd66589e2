//! `kafka-consumer-groups`: list, describe, reset and delete groups of consumers
//! (org.apache.kafka.tools.consumer.group.ConsumerGroupCommand).

mod delete;
mod describe;
mod list;
mod reset;
mod scope;

use anyhow::{Result, anyhow, bail};
use pharos_client::{Admin, ClientError};

use crate::args::{Args, BOOTSTRAP, COMMAND_CONFIG, Spec, maybe, switch, value};
use crate::common::{admin_properties, block_on, with_exception};
use crate::io::Io;

/// What stands in a column without a value.
const MISSING: &str = "-";

/// What the tool takes.
pub const SPEC: Spec = Spec {
    about: "This tool helps to list all consumer groups, describe a consumer group, delete consumer \
            group info, or reset consumer group offsets.",
    commands: &[],
    flags: &[
        BOOTSTRAP,
        COMMAND_CONFIG,
        switch("list", "List all consumer groups."),
        switch("describe", "Describe groups and how far they are."),
        switch("delete", "Delete groups."),
        switch("reset-offsets", "Set the offsets of inactive groups."),
        switch("delete-offsets", "Delete offsets of a group."),
        value("validate-regex", "String: regex", "Check a regular expression of RE2 syntax."),
        value("group", "String: consumer group", "The group."),
        switch("all-groups", "All groups."),
        value("topic", "String: topic", "A topic, or some of its partitions: topic:0,1,2."),
        switch("all-topics", "All topics of the group."),
        value("timeout", "Long: timeout (ms)", "Longest time to wait (default: 30000)."),
        switch("offsets", "Describe offsets and lag (the default)."),
        switch("members", "Describe members."),
        maybe("state", "String", "Describe the state; with --list, show or filter states."),
        maybe("type", "String", "With --list, show or filter types."),
        switch("verbose", "Describe more."),
        switch("dry-run", "Only show what would be set."),
        switch("execute", "Set the offsets."),
        switch("export", "Show the offsets as CSV."),
        value("to-offset", "Long: offset", "Reset to this offset."),
        value("from-file", "String: path to CSV file", "Reset to the offsets in a file."),
        value("to-datetime", "String: datetime", "Reset to a time: YYYY-MM-DDThh:mm:ss.sss."),
        value("by-duration", "String: duration", "Reset to an age: PnDTnHnMnS."),
        switch("to-earliest", "Reset to the first records."),
        switch("to-latest", "Reset behind the last records."),
        value("shift-by", "Long: number-of-offsets", "Move the offsets; may be negative."),
        switch("to-current", "Reset to the current offsets."),
    ],
};

/// Actions, of which one must be given.
const ACTIONS: [&str; 6] =
    ["list", "describe", "delete", "reset-offsets", "delete-offsets", "validate-regex"];

/// Runs the tool.
pub fn run(args: &Args, io: &mut Io<'_>) -> Result<i32> {
    let action = check(args)?;
    if let Some(regex) = args.one("validate-regex")? {
        return validate_regex(regex, io).map(|()| 0);
    }
    let mut properties = admin_properties(args)?;
    if let Some(timeout) = args.parsed::<u32>("timeout")? {
        properties.set("default.api.timeout.ms", timeout.to_string());
    }
    let admin = Admin::from_properties(&properties)?;
    let work = async {
        match action {
            "list" => list::run(args, &admin, io).await.map(|()| 0),
            "describe" => describe::run(args, &admin, io).await.map(|()| 0),
            "delete" => delete::groups(args, &admin, io).await,
            "delete-offsets" => delete::offsets(args, &admin, io).await,
            _ => reset::run(args, &admin, io).await,
        }
    };
    block_on(work).map_err(explain)
}

/// Failures of the cluster are told as Kafka does; those of the flags as they are.
fn explain(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<ClientError>() {
        Some(cause) => anyhow!(
            "Error: Executing consumer group command failed due to {}",
            with_exception(cause)
        ),
        None => error,
    }
}

fn check(args: &Args) -> Result<&'static str> {
    if args.has("describe") {
        need_group(args, "describe")?;
    }
    let action = args.action(
        &ACTIONS,
        "Command must include exactly one action: --list, --describe, --delete, --reset-offsets, \
         --delete-offsets, --validate-regex",
    )?;
    if action != "validate-regex" {
        args.required("bootstrap-server")?;
    }
    match action {
        "describe" => {
            let views = ["members", "offsets", "state"].iter().filter(|view| args.has(view));
            if views.count() > 1 {
                bail!(
                    "Option [describe] takes at most one of these options: [members], [offsets], \
                     [state]"
                );
            }
            if args.one("state")?.is_some() {
                bail!("Option [describe] does not take a value for [state]");
            }
        }
        "delete" => {
            need_group(args, action)?;
            if args.has("topic") {
                bail!(
                    "The consumer does not support topic-specific offset deletion from a consumer \
                     group."
                );
            }
        }
        "delete-offsets" if !args.has("group") || !args.has("topic") => {
            bail!("Option [delete-offsets] takes the following options: [group], [topic]")
        }
        "reset-offsets" => reset::check(args)?,
        _ => {}
    }
    let places: [(&str, &[&str]); 4] = [
        ("members", &["describe"]),
        ("offsets", &["describe"]),
        ("state", &["describe", "list"]),
        ("type", &["list"]),
    ];
    for (option, actions) in places {
        if args.has(option) && !actions.contains(&action) {
            bail!("Option(s) [{option}] are unavailable given other options on the command line");
        }
    }
    args.refuse_beside("group", &["all-groups"])?;
    Ok(action)
}

fn need_group(args: &Args, action: &str) -> Result<()> {
    if !args.has("group") && !args.has("all-groups") {
        bail!("Option [{action}] takes one of these options: [group], [all-groups]");
    }
    Ok(())
}

fn validate_regex(regex: &str, io: &mut Io<'_>) -> Result<()> {
    match regex::Regex::new(regex) {
        Ok(_) => Ok(io.line(format!("The regular expression `{regex}` is valid."))?),
        Err(error) => {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default();
            bail!("The regular expression `{regex}` is invalid: {reason}")
        }
    }
}

/// The groups of the flags, in order.
async fn groups_of(args: &Args, admin: &Admin) -> Result<Vec<String>> {
    let mut groups: Vec<String> = if args.has("all-groups") {
        let listed = admin.list_groups(&[], &[]).await?;
        listed.into_iter().filter(list::is_of_consumers).map(|group| group.group_id).collect()
    } else {
        args.values("group").map(str::to_owned).collect()
    };
    groups.sort();
    groups.dedup();
    Ok(groups)
}

/// The widest of `cells`, at least `least`.
fn widest<'a>(cells: impl Iterator<Item = &'a str>, least: usize) -> usize {
    cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(least)
}
