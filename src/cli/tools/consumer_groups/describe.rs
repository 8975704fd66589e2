//! `--describe`: offsets and lag, members, state.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Result, bail};
use pharos_base::TopicPartition;
use pharos_client::Admin;
use pharos_client::admin::{GroupDescription, GroupMember, OffsetSpec};
use pharos_client::consumer::Committed;

use super::{MISSING, groups_of, widest};
use crate::args::Args;
use crate::io::Io;
use crate::table::pad;

pub async fn run(args: &Args, admin: &Admin, io: &mut Io<'_>) -> Result<()> {
    let verbose = args.has("verbose");
    let mut groups = Vec::new();
    for group in groups_of(args, admin).await? {
        groups.push(admin.describe_group(&group).await?);
    }
    for group in groups {
        tell_state(&group, io)?;
        let lines = if args.has("members") {
            member_lines(&group, verbose)
        } else if args.has("state") {
            let coordinator = coordinator(admin, &group);
            state_lines(&group, &coordinator, verbose)
        } else {
            let rows = offset_rows(admin, &group).await?;
            if rows.is_empty() {
                continue;
            }
            offset_lines(&group.group_id, &rows, verbose)
        };
        io.line("")?;
        lines.iter().try_for_each(|line| io.line(line))?;
    }
    Ok(())
}

/// What the state means for the reader, on stderr.
fn tell_state(group: &GroupDescription, io: &mut Io<'_>) -> Result<()> {
    let name = &group.group_id;
    match group.state.as_str() {
        "Dead" => bail!("Error: Consumer group '{name}' does not exist."),
        "Empty" => io.warn(format!("\nConsumer group '{name}' has no active members.")),
        "PreparingRebalance" | "CompletingRebalance" | "Assigning" | "Reconciling" => {
            io.warn(format!("\nWarning: Consumer group '{name}' is rebalancing."));
        }
        _ => {}
    }
    Ok(())
}

/// One partition, by whom it is read and how far.
struct OffsetRow {
    partition: TopicPartition,
    committed: Option<Committed>,
    end: Option<i64>,
    consumer: String,
    host: String,
    client: String,
}

async fn offset_rows(admin: &Admin, group: &GroupDescription) -> Result<Vec<OffsetRow>> {
    let mut committed = admin.group_offsets(&group.group_id, None).await?;
    let assigned = group.members.iter().flat_map(|member| member.assignment.iter().cloned());
    let all: BTreeSet<TopicPartition> = assigned.chain(committed.keys().cloned()).collect();
    let asked: Vec<_> = all.into_iter().map(|p| (p, OffsetSpec::Latest)).collect();
    let listed = admin.list_offsets(&asked, false).await;
    let ends: HashMap<TopicPartition, i64> = listed
        .into_iter()
        .filter_map(|(partition, found)| Some((partition, found.ok()?.offset.0)))
        .collect();
    let mut rows = Vec::new();
    let mut members: Vec<&GroupMember> = group.members.iter().collect();
    members.sort_by_key(|member| std::cmp::Reverse(member.assignment.len()));
    for member in members {
        let mut partitions = member.assignment.clone();
        partitions.sort();
        rows.extend(partitions.into_iter().map(|partition| OffsetRow {
            committed: committed.remove(&partition),
            end: ends.get(&partition).copied(),
            partition,
            consumer: member.member_id.clone(),
            host: member.host.clone(),
            client: member.client_id.clone(),
        }));
    }
    let unassigned: BTreeMap<_, _> = committed.into_iter().collect();
    rows.extend(unassigned.into_iter().map(|(partition, committed)| OffsetRow {
        end: ends.get(&partition).copied(),
        committed: Some(committed),
        partition,
        consumer: MISSING.to_owned(),
        host: MISSING.to_owned(),
        client: MISSING.to_owned(),
    }));
    Ok(rows)
}

fn offset_lines(group: &str, rows: &[OffsetRow], verbose: bool) -> Vec<String> {
    let widths = [
        widest([group].into_iter(), 15),
        widest(rows.iter().map(|row| &*row.partition.topic), 15),
        widest(rows.iter().map(|row| row.consumer.as_str()), 15),
        widest(rows.iter().map(|row| row.host.as_str()), 15),
    ];
    let [of_group, of_topic, of_consumer, of_host] = widths;
    let line = |cells: [&str; 10]| {
        let [group, topic, partition, epoch, current, end, lag, consumer, host, client] = cells;
        let mut line =
            format!("{} {} {} ", pad(group, of_group), pad(topic, of_topic), pad(partition, 10));
        if verbose {
            line.push_str(&format!("{} ", pad(epoch, 15)));
        }
        for cell in [current, end, lag] {
            line.push_str(&format!("{} ", pad(cell, 15)));
        }
        line + &format!("{} {} {client}", pad(consumer, of_consumer), pad(host, of_host))
    };
    let mut lines = vec![line([
        "GROUP",
        "TOPIC",
        "PARTITION",
        "LEADER-EPOCH",
        "CURRENT-OFFSET",
        "LOG-END-OFFSET",
        "LAG",
        "CONSUMER-ID",
        "HOST",
        "CLIENT-ID",
    ])];
    for row in rows {
        let shown = |value: Option<i64>| value.map_or_else(|| MISSING.into(), |v| v.to_string());
        let current = row.committed.as_ref().map(|committed| committed.offset.0);
        let epoch = row.committed.as_ref().map(|c| i64::from(c.leader_epoch)).filter(|e| *e >= 0);
        let lag = current.zip(row.end).map(|(current, end)| end.saturating_sub(current));
        lines.push(line([
            group,
            &row.partition.topic,
            &row.partition.partition.to_string(),
            &shown(epoch),
            &shown(current),
            &shown(row.end),
            &shown(lag),
            &row.consumer,
            &row.host,
            &row.client,
        ]));
    }
    lines
}

fn member_lines(group: &GroupDescription, verbose: bool) -> Vec<String> {
    let members = &group.members;
    let instance =
        |member: &GroupMember| member.instance_id.clone().unwrap_or_else(|| MISSING.to_owned());
    let instances: Vec<String> = members.iter().map(instance).collect();
    let with_instances = members.iter().any(|member| member.instance_id.is_some());
    let current: Vec<String> = members.iter().map(|m| assignment(&m.assignment)).collect();
    let target: Vec<String> = members
        .iter()
        .map(|m| m.target.as_deref().map_or_else(|| MISSING.to_owned(), assignment))
        .collect();
    let of_group = widest([group.group_id.as_str()].into_iter(), 15);
    let of_id = widest(members.iter().map(|m| m.member_id.as_str()), 15);
    let of_instance = widest(instances.iter().map(String::as_str), 17);
    let of_host = widest(members.iter().map(|m| m.host.as_str()), 15);
    let of_client = widest(members.iter().map(|m| m.client_id.as_str()), 15);
    let of_current = widest(current.iter().map(String::as_str), 20);
    let of_target = widest(target.iter().map(String::as_str), 20);
    let line = |cells: [&str; 9], first: &str| {
        let [id, instance, host, client, count, epoch, now, target_epoch, goal] = cells;
        let mut line = format!("{} {} ", pad(first, of_group), pad(id, of_id));
        if with_instances {
            line.push_str(&format!("{} ", pad(instance, of_instance)));
        }
        let tail = [pad(host, of_host), pad(client, of_client), pad(count, 15)].join(" ");
        line.push_str(&tail);
        line.push(' ');
        if verbose {
            let more =
                [pad(epoch, 15), pad(now, of_current), pad(target_epoch, 15), pad(goal, of_target)];
            line.push_str(&more.join(" "));
        }
        line
    };
    let header = [
        "CONSUMER-ID",
        "GROUP-INSTANCE-ID",
        "HOST",
        "CLIENT-ID",
        "#PARTITIONS",
        "CURRENT-EPOCH",
        "CURRENT-ASSIGNMENT",
        "TARGET-EPOCH",
        "TARGET-ASSIGNMENT",
    ];
    let mut lines = vec![line(header, "GROUP")];
    for (((member, instance), now), goal) in
        members.iter().zip(&instances).zip(&current).zip(&target)
    {
        let epoch = |epoch: Option<i32>| epoch.map_or_else(|| MISSING.into(), |e| e.to_string());
        let goal_epoch = epoch(group.target_epoch.filter(|_| member.target.is_some()));
        lines.push(line(
            [
                &member.member_id,
                instance,
                &member.host,
                &member.client_id,
                &member.assignment.len().to_string(),
                &epoch(member.epoch),
                now,
                &goal_epoch,
                goal,
            ],
            &group.group_id,
        ));
    }
    lines
}

/// `t:0,1;u:0`, or a dash for nothing.
fn assignment(partitions: &[TopicPartition]) -> String {
    let mut topics: BTreeMap<&str, BTreeSet<i32>> = BTreeMap::new();
    for partition in partitions {
        topics.entry(&partition.topic).or_default().insert(partition.partition.0);
    }
    if topics.is_empty() {
        return MISSING.to_owned();
    }
    let topic = |(topic, partitions): (&str, BTreeSet<i32>)| {
        let ids: Vec<_> = partitions.iter().map(ToString::to_string).collect();
        format!("{topic}:{}", ids.join(","))
    };
    topics.into_iter().map(topic).collect::<Vec<_>>().join(";")
}

/// `host:port  (id)` of the coordinator; the two blanks are Kafka's.
fn coordinator(admin: &Admin, group: &GroupDescription) -> String {
    let metadata = admin.cluster().metadata();
    let node = metadata.brokers.get(&group.coordinator);
    let address = node.map_or_else(|| MISSING.to_owned(), |node| node.address.to_string());
    format!("{address}  ({})", group.coordinator)
}

fn state_lines(group: &GroupDescription, coordinator: &str, verbose: bool) -> Vec<String> {
    let of_group = widest([group.group_id.as_str()].into_iter(), 15);
    let of_coordinator = widest([coordinator].into_iter(), 25);
    let line = |cells: [&str; 7]| {
        let [name, coordinator, strategy, state, epoch, target, members] = cells;
        let mut line = format!(
            "{} {} {} {} ",
            pad(name, of_group),
            pad(coordinator, of_coordinator),
            pad(strategy, 20),
            pad(state, 20)
        );
        if verbose {
            line.push_str(&format!("{} {} ", pad(epoch, 15), pad(target, 25)));
        }
        line + members
    };
    let epoch = |epoch: Option<i32>| epoch.map_or_else(|| MISSING.to_owned(), |e| e.to_string());
    let strategy = if group.assignor.is_empty() { MISSING } else { &group.assignor };
    vec![
        line([
            "GROUP",
            "COORDINATOR (ID)",
            "ASSIGNMENT-STRATEGY",
            "STATE",
            "GROUP-EPOCH",
            "TARGET-ASSIGNMENT-EPOCH",
            "#MEMBERS",
        ]),
        line([
            &group.group_id,
            coordinator,
            strategy,
            &group.state,
            &epoch(group.epoch),
            &epoch(group.target_epoch),
            &group.members.len().to_string(),
        ]),
    ]
}

#[cfg(test)]
mod tests {
    use pharos_base::{BrokerId, Offset};

    use super::*;

    const ID: &str = "5W2O9wf5Q-a6jpDRmIHyeg";

    fn partitions() -> Vec<TopicPartition> {
        (0..3).map(|p| TopicPartition::new("t3", p)).collect()
    }

    fn group() -> GroupDescription {
        GroupDescription {
            group_id: "live848".to_owned(),
            group_type: "Consumer",
            state: "Stable".to_owned(),
            assignor: "uniform".to_owned(),
            members: vec![GroupMember {
                member_id: ID.to_owned(),
                client_id: "lc8".to_owned(),
                host: "/127.0.0.1".to_owned(),
                assignment: partitions(),
                target: Some(partitions()),
                epoch: Some(2),
                ..GroupMember::default()
            }],
            coordinator: BrokerId(1),
            epoch: Some(2),
            target_epoch: Some(2),
            of_consumers: true,
        }
    }

    // All expected lines were captured from kafka-consumer-groups.sh --describe of 4.3.1.

    #[test]
    fn offsets_look_as_kafka_prints_them() {
        let row = |consumer: &str, host: &str, client: &str| OffsetRow {
            partition: TopicPartition::new("t3", 0),
            committed: Some(Committed {
                offset: Offset(2),
                leader_epoch: 0,
                metadata: String::new(),
            }),
            end: Some(2),
            consumer: consumer.to_owned(),
            host: host.to_owned(),
            client: client.to_owned(),
        };
        let expected = [
            "GROUP           TOPIC           PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG             CONSUMER-ID            HOST            CLIENT-ID",
            "live848         t3              0          2               2               0               5W2O9wf5Q-a6jpDRmIHyeg /127.0.0.1      lc8",
        ];
        assert_eq!(offset_lines("live848", &[row(ID, "/127.0.0.1", "lc8")], false), expected);
        let expected = [
            "GROUP           TOPIC           PARTITION  LEADER-EPOCH    CURRENT-OFFSET  LOG-END-OFFSET  LAG             CONSUMER-ID            HOST            CLIENT-ID",
            "live848         t3              0          0               2               2               0               5W2O9wf5Q-a6jpDRmIHyeg /127.0.0.1      lc8",
        ];
        assert_eq!(offset_lines("live848", &[row(ID, "/127.0.0.1", "lc8")], true), expected);
        let expected = "dead            t3              0          2               2               0               -               -               -";
        assert_eq!(offset_lines("dead", &[row("-", "-", "-")], false)[1], expected);
    }

    #[test]
    fn members_look_as_kafka_prints_them() {
        let expected = [
            "GROUP           CONSUMER-ID            HOST            CLIENT-ID       #PARTITIONS     ",
            "live848         5W2O9wf5Q-a6jpDRmIHyeg /127.0.0.1      lc8             3               ",
        ];
        assert_eq!(member_lines(&group(), false), expected);
        let expected = [
            "GROUP           CONSUMER-ID            HOST            CLIENT-ID       #PARTITIONS     CURRENT-EPOCH   CURRENT-ASSIGNMENT   TARGET-EPOCH    TARGET-ASSIGNMENT   ",
            "live848         5W2O9wf5Q-a6jpDRmIHyeg /127.0.0.1      lc8             3               2               t3:0,1,2             2               t3:0,1,2            ",
        ];
        assert_eq!(member_lines(&group(), true), expected);
    }

    #[test]
    fn the_state_looks_as_kafka_prints_it() {
        let expected = [
            "GROUP           COORDINATOR (ID)          ASSIGNMENT-STRATEGY  STATE                #MEMBERS",
            "live848         127.0.0.1:19092  (1)      uniform              Stable               1",
        ];
        assert_eq!(state_lines(&group(), "127.0.0.1:19092  (1)", false), expected);
        let expected = [
            "GROUP           COORDINATOR (ID)          ASSIGNMENT-STRATEGY  STATE                GROUP-EPOCH     TARGET-ASSIGNMENT-EPOCH   #MEMBERS",
            "live848         127.0.0.1:19092  (1)      uniform              Stable               2               2                         1",
        ];
        assert_eq!(state_lines(&group(), "127.0.0.1:19092  (1)", true), expected);
    }
}
