//! `--reset-offsets`: new offsets by one of eight rules, shown, exported or set.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context, Result, anyhow, bail};
use pharos_base::{Clock, Offset, TopicPartition};
use pharos_client::admin::OffsetSpec;
use pharos_client::consumer::{Committed, parse_iso_duration};
use pharos_client::{Admin, ClientError};
use pharos_protocol::ErrorCode;

use super::{groups_of, scope, widest};
use crate::args::Args;
use crate::io::Io;
use crate::table::pad;

/// Rules, of which one must be given.
const RULES: [&str; 8] = [
    "to-earliest",
    "to-current",
    "to-latest",
    "by-duration",
    "to-datetime",
    "from-file",
    "shift-by",
    "to-offset",
];

/// New offsets of one group.
type Plan = BTreeMap<TopicPartition, i64>;

pub fn check(args: &Args) -> Result<()> {
    if args.has("dry-run") && args.has("execute") {
        bail!("Option [reset-offsets] only accepts one of [execute] and [dry-run]");
    }
    super::need_group(args, "reset-offsets")?;
    for rule in RULES {
        let others: Vec<&str> = RULES.into_iter().filter(|other| *other != rule).collect();
        args.refuse_beside(rule, &others)?;
    }
    if !RULES.iter().any(|rule| args.has(rule)) {
        let rules: Vec<_> = RULES.iter().map(|rule| format!("[{rule}]")).collect();
        bail!(
            "Option '[reset-offsets]' requires one of the following scenarios: [{}]",
            rules.join(", ")
        );
    }
    args.refuse_beside("topic", &["all-topics"])?;
    if !args.has("topic") && !args.has("all-topics") && !args.has("from-file") {
        bail!("One of the reset scopes should be defined: --all-topics, --topic.");
    }
    Ok(())
}

/// 1 when a group was left out because it is active.
pub async fn run(args: &Args, admin: &Admin, io: &mut Io<'_>) -> Result<i32> {
    if !args.has("dry-run") && !args.has("execute") {
        io.warn(
            "WARN: No action will be performed as the --execute option is missing. In version 5.0, \
             this command will require either --dry-run or --execute to be specified. You should \
             add the --dry-run option explicitly if you are scripting this command and want to \
             keep the current default behavior without prompting.",
        );
    }
    let groups = groups_of(args, admin).await?;
    let file = match args.one("from-file")? {
        Some(path) => {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
            Some(read_csv(&text, &groups)?)
        }
        None => None,
    };
    let mut plans: BTreeMap<String, Plan> = BTreeMap::new();
    let mut active = false;
    for group in groups {
        if let Some(state) = active_state(admin, &group).await? {
            active = true;
            io.line(format!(
                "\nError: Assignments can only be reset if the group '{group}' is inactive, but the \
                 current state is {state}."
            ))?;
            continue;
        }
        let plan = match &file {
            Some(file) => {
                let wanted = file.get(&group).cloned().unwrap_or_default();
                within_range(admin, wanted, io).await?
            }
            None => plan(args, admin, &group, io).await?,
        };
        if args.has("execute") {
            execute(admin, &group, &plan).await?;
        }
        plans.insert(group, plan);
    }
    let lines = if args.has("export") { csv(&plans) } else { table(&plans) };
    lines.iter().try_for_each(|line| io.line(line))?;
    Ok(i32::from(active))
}

/// The state of a group whose offsets belong to its members; a group that does not exist yet is as
/// good as an empty one.
async fn active_state(admin: &Admin, group: &str) -> Result<Option<String>> {
    match admin.describe_group(group).await {
        Ok(described) => {
            let idle = matches!(described.state.as_str(), "Empty" | "Dead");
            Ok((!idle).then_some(described.state))
        }
        Err(error) if error.code() == Some(ErrorCode::GroupIdNotFound) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn plan(args: &Args, admin: &Admin, group: &str, io: &mut Io<'_>) -> Result<Plan> {
    let partitions = partitions(args, admin, group).await?;
    if args.has("to-earliest") {
        return listed(admin, &partitions, OffsetSpec::Earliest, io).await;
    }
    if args.has("to-latest") {
        return listed(admin, &partitions, OffsetSpec::Latest, io).await;
    }
    if let Some(text) = args.one("to-datetime")? {
        return listed(admin, &partitions, OffsetSpec::Timestamp(datetime_ms(text)?), io).await;
    }
    if let Some(text) = args.one("by-duration")? {
        let age = parse_iso_duration(text)
            .ok_or_else(|| anyhow!("{text} is no duration of the form PnDTnHnMnS"))?;
        let now = Clock::real().now_ms();
        let at = now.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
        return listed(admin, &partitions, OffsetSpec::Timestamp(at), io).await;
    }
    if let Some(offset) = args.parsed::<i64>("to-offset")? {
        let wanted = partitions.into_iter().map(|partition| (partition, offset)).collect();
        return within_range(admin, wanted, io).await;
    }
    let all: Vec<_> = partitions.iter().cloned().collect();
    let committed = admin.group_offsets(group, Some(&all)).await?;
    if let Some(shift) = args.parsed::<i64>("shift-by")? {
        let mut wanted = Plan::new();
        for partition in partitions {
            let current = committed.get(&partition).ok_or_else(|| {
                anyhow!(
                    "Cannot shift offset for partition {partition} since there is no current \
                     committed offset"
                )
            })?;
            wanted.insert(partition, current.offset.0.saturating_add(shift));
        }
        return within_range(admin, wanted, io).await;
    }
    to_current(admin, partitions, &committed, io).await
}

async fn to_current(
    admin: &Admin,
    partitions: BTreeSet<TopicPartition>,
    committed: &HashMap<TopicPartition, Committed>,
    io: &mut Io<'_>,
) -> Result<Plan> {
    let (with, without): (BTreeSet<_>, BTreeSet<_>) =
        partitions.into_iter().partition(|partition| committed.contains_key(partition));
    let wanted = with.into_iter().filter_map(|partition| {
        let offset = committed.get(&partition)?.offset.0;
        Some((partition, offset))
    });
    let mut plan = within_range(admin, wanted.collect(), io).await?;
    plan.extend(listed(admin, &without, OffsetSpec::Latest, io).await?);
    Ok(plan)
}

async fn partitions(args: &Args, admin: &Admin, group: &str) -> Result<BTreeSet<TopicPartition>> {
    if args.has("all-topics") {
        return Ok(admin.group_offsets(group, None).await?.into_keys().collect());
    }
    let mut partitions = BTreeSet::new();
    for text in args.values("topic") {
        partitions.extend(scope::existing(admin, &scope::parse(text)?).await?);
    }
    Ok(partitions)
}

/// Offsets that the leaders name; where no record is that young, the end.
async fn listed(
    admin: &Admin,
    partitions: &BTreeSet<TopicPartition>,
    spec: OffsetSpec,
    io: &mut Io<'_>,
) -> Result<Plan> {
    let ask = |spec| partitions.iter().map(|p| (p.clone(), spec)).collect::<Vec<_>>();
    let mut plan = Plan::new();
    let mut missing = Vec::new();
    for (partition, found) in admin.list_offsets(&ask(spec), false).await {
        match found?.offset.0 {
            -1 => missing.push((partition, OffsetSpec::Latest)),
            offset => {
                plan.insert(partition, offset);
            }
        }
    }
    missing.sort_by(|a, b| a.0.cmp(&b.0));
    for (partition, _) in &missing {
        io.line(format!(
            "\nWarn: Partition {} from topic {} is empty. Falling back to latest known offset.",
            partition.partition, partition.topic
        ))?;
    }
    for (partition, found) in admin.list_offsets(&missing, false).await {
        plan.insert(partition, found?.offset.0);
    }
    Ok(plan)
}

/// Moves offsets into the range of the log.
async fn within_range(admin: &Admin, wanted: Plan, io: &mut Io<'_>) -> Result<Plan> {
    let ask = |spec| wanted.keys().map(|p| (p.clone(), spec)).collect::<Vec<_>>();
    let first = admin.list_offsets(&ask(OffsetSpec::Earliest), false).await;
    let last = admin.list_offsets(&ask(OffsetSpec::Latest), false).await;
    let bound = |listed: &pharos_client::admin::Listed, partition: &TopicPartition| {
        let unknown =
            || ClientError::Broker { code: ErrorCode::UnknownTopicOrPartition, message: None };
        let found = listed.get(partition).cloned().unwrap_or_else(|| Err(unknown()));
        found.map(|listed| listed.offset.0)
    };
    let mut plan = Plan::new();
    for (partition, offset) in &wanted {
        let (first, last) = (bound(&first, partition)?, bound(&last, partition)?);
        let (kept, how) = if *offset < first {
            (first, Some("lower than earliest"))
        } else if *offset > last {
            (last, Some("higher than latest"))
        } else {
            (*offset, None)
        };
        if let Some(how) = how {
            io.warn(format!(
                "WARN New offset ({offset}) is {how} offset for topic partition {partition}. Value \
                 will be set to {kept}"
            ));
        }
        plan.insert(partition.clone(), kept);
    }
    Ok(plan)
}

async fn execute(admin: &Admin, group: &str, plan: &Plan) -> Result<()> {
    let offsets: HashMap<_, _> = plan
        .iter()
        .map(|(partition, offset)| (partition.clone(), Committed::at(Offset(*offset))))
        .collect();
    if offsets.is_empty() {
        return Ok(());
    }
    for (_, code) in admin.alter_group_offsets(group, &offsets).await? {
        ClientError::check(code.code(), None)?;
    }
    Ok(())
}

/// Milliseconds of `2020-01-01T00:00:00.000`, with a zone or in UTC.
fn datetime_ms(text: &str) -> Result<i64> {
    let zoned = text.parse::<jiff::Timestamp>();
    let at = match zoned {
        Ok(at) => Ok(at),
        Err(_) => format!("{text}Z").parse::<jiff::Timestamp>(),
    };
    at.map(|at| at.as_millisecond())
        .map_err(|_| anyhow!("{text} is no time of the form YYYY-MM-DDThh:mm:ss.sss"))
}

/// Reads `topic,partition,offset` for one group, `group,topic,partition,offset` for several.
fn read_csv(text: &str, groups: &[String]) -> Result<BTreeMap<String, Plan>> {
    let mut plans: BTreeMap<String, Plan> = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let fields: Vec<&str> = line.split(',').map(|f| f.trim().trim_matches('"')).collect();
        let (group, rest) = match (fields.as_slice(), groups) {
            ([group, rest @ ..], _) if rest.len() == 3 => ((*group).to_owned(), rest.to_vec()),
            (rest, [only]) => (only.clone(), rest.to_vec()),
            (rest, _) => (String::new(), rest.to_vec()),
        };
        let entry = match rest.as_slice() {
            [topic, partition, offset] if !group.is_empty() => {
                let partition = partition.parse::<i32>().ok();
                partition.zip(offset.parse::<i64>().ok()).map(|pair| (*topic, pair))
            }
            _ => None,
        };
        let Some((topic, (partition, offset))) = entry else {
            bail!("line {number} of the file is not of the form [group,]topic,partition,offset");
        };
        let plan = plans.entry(group).or_default();
        plan.insert(TopicPartition::new(topic, partition), offset);
    }
    Ok(plans)
}

/// The CSV that `--from-file` reads; the empty line at its end is Kafka's.
fn csv(plans: &BTreeMap<String, Plan>) -> Vec<String> {
    let several = plans.len() > 1;
    let mut lines = Vec::new();
    for (group, plan) in plans {
        lines.extend(plan.iter().map(|(partition, offset)| {
            let prefix = if several { format!("{group},") } else { String::new() };
            format!("{prefix}{},{},{offset}", partition.topic, partition.partition)
        }));
    }
    lines.push(String::new());
    lines
}

fn table(plans: &BTreeMap<String, Plan>) -> Vec<String> {
    let topics = plans.values().flat_map(|plan| plan.keys().map(|p| &*p.topic));
    let of_topic = widest(topics, 15);
    let of_group = widest(plans.keys().map(String::as_str), 15);
    let line = |group: &str, topic: &str, partition: &str, offset: &str| {
        format!("{} {} {} {offset}", pad(group, of_group), pad(topic, of_topic), pad(partition, 10))
    };
    let mut lines = vec![String::new(), line("GROUP", "TOPIC", "PARTITION", "NEW-OFFSET")];
    for (group, plan) in plans {
        lines.extend(plan.iter().map(|(partition, offset)| {
            let index = partition.partition.to_string();
            line(group, &partition.topic, &index, &offset.to_string())
        }));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plans() -> BTreeMap<String, Plan> {
        let plan = [(TopicPartition::new("t3", 0), 1), (TopicPartition::new("t3", 1), 2)];
        BTreeMap::from([("dead".to_owned(), plan.into_iter().collect())])
    }

    #[test]
    fn plans_look_as_kafka_prints_them() {
        // Captured from kafka-consumer-groups.sh --reset-offsets of 4.3.1.
        let expected = [
            "",
            "GROUP           TOPIC           PARTITION  NEW-OFFSET",
            "dead            t3              0          1",
            "dead            t3              1          2",
        ];
        assert_eq!(table(&plans()), expected);
        assert_eq!(csv(&plans()), ["t3,0,1", "t3,1,2", ""]);
        let mut several = plans();
        several.insert("g1".to_owned(), Plan::from([(TopicPartition::new("u", 0), 0)]));
        assert_eq!(csv(&several), ["dead,t3,0,1", "dead,t3,1,2", "g1,u,0,0", ""]);
    }

    #[test]
    fn exported_plans_are_read_back() {
        let one = csv(&plans()).join("\n");
        assert_eq!(read_csv(&one, &["dead".to_owned()]).unwrap(), plans());
        let quoted = "\"t3\",0,1\n\"t3\",1,2\n";
        assert_eq!(read_csv(quoted, &["dead".to_owned()]).unwrap(), plans());
        let several = "dead,t3,0,1\ndead,t3,1,2\n";
        assert_eq!(read_csv(several, &["dead".to_owned(), "g".to_owned()]).unwrap(), plans());
        for bad in ["t3,0", "t3,x,1", "t3,0,y"] {
            assert!(read_csv(bad, &["dead".to_owned()]).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_are_utc_unless_they_say_otherwise() {
        for (text, expected) in [
            ("1970-01-01T00:00:01.500", 1500),
            ("1970-01-01T00:00:01Z", 1000),
            ("1970-01-01T01:00:00.000+01:00", 0),
        ] {
            assert_eq!(datetime_ms(text).unwrap(), expected, "{text}");
        }
        assert!(datetime_ms("yesterday").is_err());
    }
}
