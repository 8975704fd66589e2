//! `kafka-broker-api-versions`: what each broker offers
//! (org.apache.kafka.tools.BrokerApiVersionsCommand).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;
use pharos_client::{Node, Target};
use pharos_protocol::ApiKey;

use crate::args::{Args, BOOTSTRAP, COMMAND_CONFIG, Spec};
use crate::common::{admin, block_on};
use crate::io::Io;

/// The greatest number of an API that there may be.
const MAX_KEY: i16 = 1000;

/// What the tool takes.
pub const SPEC: Spec = Spec {
    about: "This tool helps to retrieve broker version information.",
    commands: &[],
    flags: &[BOOTSTRAP, COMMAND_CONFIG],
};

/// Runs the tool.
pub fn run(args: &Args, io: &mut Io<'_>) -> Result<i32> {
    args.required("bootstrap-server")?;
    let admin = admin(args)?;
    block_on(async {
        for node in admin.cluster().nodes().await? {
            let who = name(&node);
            match admin.api_versions(Target::Broker(node.id)).await {
                Ok(versions) => {
                    let ranges = versions.iter().map(|(key, range)| (key, range.min, range.max));
                    io.line(format!("{who} -> {}", describe(ranges)))?;
                }
                Err(error) => io.line(format!("{who} -> ERROR: {error}"))?,
            }
        }
        Ok(())
    })?;
    Ok(0)
}

/// A line for each API that a client may ask a broker for, as if it were not offered.
fn unoffered() -> impl Iterator<Item = (i16, String)> {
    let known = (0..=MAX_KEY).filter_map(ApiKey::from_i16).map(ApiKey::spec);
    let of_clients = known.filter(|api| api.broker && api.versions.is_some());
    of_clients
        .map(|api| (api.key.as_i16(), format!("\t{}({}): UNSUPPORTED", api.name, api.key.as_i16())))
}

fn name(node: &Node) -> String {
    format!(
        "{} (id: {} rack: {} isFenced: false)",
        node.address,
        node.id,
        node.rack.as_deref().unwrap_or("null")
    )
}

/// The lines of `NodeApiVersions.toString(true)`; "usable" is what this client would choose.
fn describe(ranges: impl Iterator<Item = (i16, i16, i16)>) -> String {
    let mut lines: BTreeMap<i16, String> = unoffered().collect();
    for (key, min, max) in ranges {
        let known = ApiKey::from_i16(key);
        let name = known.map_or("UNKNOWN", ApiKey::name);
        let mut line = format!("\t{name}({key}): {min}");
        if max > min {
            let _ = write!(line, " to {max}");
        }
        let newest = known.and_then(|key| key.spec().versions).map(|(_, newest)| newest.min(max));
        match newest {
            Some(usable) if usable >= min => {
                let _ = write!(line, " [usable: {usable}]");
            }
            _ => line.push_str(" [unusable: node too new]"),
        }
        lines.insert(key, line);
    }
    let lines: Vec<_> = lines.into_values().collect();
    format!("(\n{}\n)", lines.join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_look_as_kafka_prints_them() {
        // Captured from kafka-broker-api-versions.sh of 4.3.1.
        let described = describe([(0, 0, 13), (75, 0, 0)].into_iter());
        assert!(
            described
                .starts_with("(\n\tProduce(0): 0 to 13 [usable: 13],\n\tFetch(1): UNSUPPORTED,\n")
        );
        assert!(described.contains(",\n\tDescribeTopicPartitions(75): 0 [usable: 0],\n"));
    }
}
