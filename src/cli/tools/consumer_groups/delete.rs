//! `--delete` and `--delete-offsets`.

use anyhow::Result;
use pharos_client::{Admin, ClientError};
use pharos_protocol::ErrorCode;

use super::{MISSING, groups_of, scope, widest};
use crate::args::Args;
use crate::common::{exception, sentence, told, with_exception};
use crate::io::Io;
use crate::table::pad;

/// Deletes groups; 1 when one of them was not.
pub async fn groups(args: &Args, admin: &Admin, io: &mut Io<'_>) -> Result<i32> {
    let (mut deleted, mut failed) = (Vec::new(), Vec::new());
    for group in groups_of(args, admin).await? {
        match admin.delete_group(&group).await {
            Ok(()) => deleted.push(format!("'{group}'")),
            Err(error) => failed.push(format!(
                "* Group '{group}' could not be deleted due to: {}",
                with_exception(&error)
            )),
        }
    }
    let deleted = deleted.join(", ");
    if failed.is_empty() {
        io.line(format!("Deletion of requested consumer groups ({deleted}) was successful."))?;
        return Ok(0);
    }
    io.line("\nError: Deletion of some consumer groups failed:")?;
    failed.iter().try_for_each(|line| io.line(line))?;
    if !deleted.is_empty() {
        io.line(format!("\nThese consumer groups were deleted successfully: {deleted}"))?;
    }
    Ok(1)
}

/// Topic, partition and outcome.
type Row = [String; 3];

/// Deletes offsets of a group; 1 when one of them was not.
pub async fn offsets(args: &Args, admin: &Admin, io: &mut Io<'_>) -> Result<i32> {
    let group = args.required("group")?;
    let mut rows: Vec<Row> = Vec::new();
    let mut partitions = Vec::new();
    let mut failed = false;
    for text in args.values("topic") {
        let scope = scope::parse(text)?;
        match scope::partitions(admin, &scope).await {
            Ok(found) => partitions.extend(found),
            Err(error) => match error.downcast_ref::<ClientError>() {
                Some(cause) if cause.code().is_some() => {
                    let status = format!("Error: {}", with_exception(cause));
                    rows.push([scope.topic, MISSING.to_owned(), status]);
                }
                _ => return Err(error),
            },
        }
    }
    partitions.sort();
    let outcome = admin.delete_group_offsets(group, &partitions).await?;
    for partition in &partitions {
        let code = match &outcome.group_error {
            Some(error) => error.code().unwrap_or(ErrorCode::UnknownServerError),
            None => outcome.partitions.get(partition).copied().unwrap_or(ErrorCode::None),
        };
        failed |= code != ErrorCode::None;
        let status = match code {
            ErrorCode::None => "Successful".to_owned(),
            code => format!("Error: {}: {}", exception(code), sentence(code)),
        };
        rows.push([partition.topic.to_string(), partition.partition.to_string(), status]);
    }
    io.line(match (&outcome.group_error, failed) {
        (Some(error), _) => format!("\nError: {}", told(error)),
        (None, true) => "\nError: Encountered some partition-level error, see the follow-up \
                         details."
            .to_owned(),
        (None, false) => format!("Request succeeded for deleting offsets from group {group}."),
    })?;
    io.line("")?;
    lines(&rows).iter().try_for_each(|line| io.line(line))?;
    let missing = rows.iter().any(|row| row[1] == MISSING);
    Ok(i32::from(failed || missing || outcome.group_error.is_some()))
}

fn lines(rows: &[Row]) -> Vec<String> {
    let width = widest(rows.iter().map(|row| row[0].as_str()), 15);
    let line = |topic: &str, partition: &str, status: &str| {
        format!("{} {} {}", pad(topic, width), pad(partition, 10), pad(status, 15))
    };
    let mut lines = vec![line("TOPIC", "PARTITION", "STATUS")];
    lines.extend(rows.iter().map(|[topic, partition, status]| line(topic, partition, status)));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_look_as_kafka_prints_them() {
        // Captured from kafka-consumer-groups.sh --delete-offsets of 4.3.1.
        let expected = [
            "TOPIC           PARTITION  STATUS         ",
            "t3              0          Successful     ",
        ];
        let row = ["t3".to_owned(), "0".to_owned(), "Successful".to_owned()];
        assert_eq!(lines(&[row]), expected);
    }
}
