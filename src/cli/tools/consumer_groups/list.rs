//! `--list`, with `--state` and `--type`.

use anyhow::{Result, bail};
use pharos_client::Admin;
use pharos_client::admin::GroupListing;

use super::widest;
use crate::args::Args;
use crate::common::type_name;
use crate::io::Io;
use crate::table::pad;

/// States that a group of consumers may be in.
const STATES: [&str; 7] = [
    "PreparingRebalance",
    "Empty",
    "CompletingRebalance",
    "Dead",
    "Stable",
    "Reconciling",
    "Assigning",
];
const TYPES: [&str; 2] = ["Consumer", "Classic"];

pub async fn run(args: &Args, admin: &Admin, io: &mut Io<'_>) -> Result<()> {
    let states = names(args.one("state")?, &STATES, ("state", "states"))?;
    let types = names(args.one("type")?, &TYPES, ("types", "types"))?;
    let mut groups = admin.list_groups(&states, &types).await?;
    // Brokers of old versions do not filter.
    groups.retain(|group| {
        is_of_consumers(group)
            && (states.is_empty() || states.contains(&group.state))
            && (types.is_empty() || types.contains(&type_name(group)))
    });
    lines(&groups, args.has("type"), args.has("state"))
        .iter()
        .try_for_each(|line| io.line(line))?;
    Ok(())
}

/// True for groups of consumers, and those that only hold offsets.
pub fn is_of_consumers(group: &GroupListing) -> bool {
    let of_type = matches!(type_name(group).as_str(), "Classic" | "Consumer" | "Unknown");
    of_type && (group.protocol_type.is_empty() || group.protocol_type == "consumer")
}

/// Reads a list of names, whatever their case.
fn names(text: Option<&str>, known: &[&str], what: (&str, &str)) -> Result<Vec<String>> {
    let Some(text) = text else { return Ok(Vec::new()) };
    let mut names = Vec::new();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match known.iter().find(|known| known.eq_ignore_ascii_case(name)) {
            Some(known) => names.push((*known).to_owned()),
            None => {
                let (one, all) = what;
                bail!("Invalid {one} list '{text}'. Valid {all} are: {}", known.join(", "))
            }
        }
    }
    Ok(names)
}

fn lines(groups: &[GroupListing], with_type: bool, with_state: bool) -> Vec<String> {
    if !with_type && !with_state {
        return groups.iter().map(|group| group.group_id.clone()).collect();
    }
    let width = widest(groups.iter().map(|group| group.group_id.as_str()), 15) + 10;
    let line = |id: &str, kind: &str, state: &str| {
        let mut cells = vec![pad(id, width)];
        cells.extend(with_type.then(|| pad(kind, 20)));
        cells.extend(with_state.then(|| pad(state, 20)));
        cells.join(" ")
    };
    let mut lines = vec![line("GROUP", "TYPE", "STATE")];
    lines.extend(groups.iter().map(|group| line(&group.group_id, &type_name(group), &group.state)));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(id: &str, kind: &str, state: &str) -> GroupListing {
        GroupListing {
            group_id: id.to_owned(),
            protocol_type: "consumer".to_owned(),
            state: state.to_owned(),
            group_type: kind.to_owned(),
        }
    }

    #[test]
    fn lists_look_as_kafka_prints_them() {
        // Captured from kafka-consumer-groups.sh --list of 4.3.1.
        let groups = [
            group("console-consumer-58", "classic", "Empty"),
            group("live848", "consumer", "Stable"),
        ];
        let expected = [
            "GROUP                         TYPE                 STATE               ",
            "console-consumer-58           Classic              Empty               ",
            "live848                       Consumer             Stable              ",
        ];
        assert_eq!(lines(&groups, true, true), expected);
        let expected = [
            "GROUP                     STATE               ",
            "live848                   Stable              ",
        ];
        assert_eq!(lines(&groups[1..], false, true), expected);
        assert_eq!(lines(&groups, false, false), ["console-consumer-58", "live848"]);
    }

    #[test]
    fn unknown_states_are_named() {
        assert_eq!(
            names(Some("stable,empty"), &STATES, ("state", "states")).unwrap(),
            ["Stable", "Empty"]
        );
        let refused = names(Some("bogus"), &STATES, ("state", "states")).unwrap_err().to_string();
        assert!(refused.starts_with("Invalid state list 'bogus'. Valid states are: "));
    }
}
