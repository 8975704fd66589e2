//! `kafka-delete-records`: deletes records before given offsets
//! (org.apache.kafka.tools.DeleteRecordsCommand).

use std::collections::BTreeMap;

use anyhow::{Result, anyhow, bail};
use pharos_base::{Offset, TopicPartition};
use serde_json::Value;

use crate::args::{Args, BOOTSTRAP, COMMAND_CONFIG, Spec, value};
use crate::common::{admin, block_on, with_exception};
use crate::io::Io;

/// What the tool takes.
pub const SPEC: Spec = Spec {
    about: "This tool helps to delete records of the given partitions down to the specified offset.",
    commands: &[],
    flags: &[
        BOOTSTRAP,
        COMMAND_CONFIG,
        value(
            "offset-json-file",
            "String: Offset json file path",
            "File with {\"partitions\":[{\"topic\":..,\"partition\":..,\"offset\":..}],\"version\":1}.",
        ),
    ],
};

/// Runs the tool.
pub fn run(args: &Args, io: &mut Io<'_>) -> Result<i32> {
    args.required("bootstrap-server")?;
    let file = args.required("offset-json-file")?;
    let Ok(text) = std::fs::read_to_string(file) else { bail!("Unable to read file {file}") };
    let before = parse(&text)?;
    let admin = admin(args)?;
    io.line("Executing records delete operation")?;
    let outcomes = block_on(async { Ok(admin.delete_records(&before).await?) })?;
    io.line("Records delete operation completed:")?;
    for (partition, _) in before {
        match outcomes.get(&partition) {
            Some(Ok(low)) => io.line(format!("partition: {partition}\tlow_watermark: {low}"))?,
            Some(Err(error)) => {
                io.line(format!("partition: {partition}\terror: {}", with_exception(error)))?;
            }
            None => {}
        }
    }
    Ok(0)
}

fn parse(text: &str) -> Result<Vec<(TopicPartition, Offset)>> {
    let json: Value =
        serde_json::from_str(text).map_err(|_| anyhow!("The input string is not a valid JSON"))?;
    match json.get("version") {
        None => {}
        Some(version) if version.as_i64() == Some(1) => {}
        Some(version) => bail!("Not supported version field value {version}"),
    }
    let list = json.get("partitions").and_then(Value::as_array);
    let list = list.ok_or_else(|| anyhow!("Missing partitions field"))?;
    let mut before = BTreeMap::new();
    for entry in list {
        let field = |name: &str| {
            entry.get(name).ok_or_else(|| anyhow!("an entry of partitions has no field {name}"))
        };
        let topic = field("topic")?.as_str().ok_or_else(|| anyhow!("topic must be a string"))?;
        let partition = field("partition")?.as_i64().and_then(|id| i32::try_from(id).ok());
        let partition = partition.ok_or_else(|| {
            anyhow!(
                "Expected `Integer` value, received {}",
                entry.get("partition").unwrap_or(&Value::Null)
            )
        })?;
        let offset =
            field("offset")?.as_i64().ok_or_else(|| anyhow!("offset must be a whole number"))?;
        let name = TopicPartition::new(topic, partition);
        if before.insert(name.clone(), Offset(offset)).is_some() {
            bail!("Offset json file contains duplicate topic partitions: {name}");
        }
    }
    Ok(before.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files() {
        let good = r#"{"partitions":[{"topic":"t","partition":1,"offset":-1}],"version":1}"#;
        assert_eq!(parse(good).unwrap(), [(TopicPartition::new("t", 1), Offset(-1))]);
        for (text, expected) in [
            ("{", "The input string is not a valid JSON"),
            ("{}", "Missing partitions field"),
            (r#"{"version":2,"partitions":[]}"#, "Not supported version field value 2"),
            (r#"{"partitions":[{"topic":"t"}]}"#, "an entry of partitions has no field partition"),
            (
                r#"{"partitions":[{"topic":"t","partition":0,"offset":1},{"topic":"t","partition":0,"offset":2}]}"#,
                "Offset json file contains duplicate topic partitions: t-0",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), expected);
        }
    }
}
