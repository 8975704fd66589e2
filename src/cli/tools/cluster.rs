//! `kafka-cluster`: id, endpoints, unregistering brokers (org.apache.kafka.tools.ClusterTool).

use anyhow::{Result, anyhow};
use pharos_base::BrokerId;
use pharos_client::Admin;
use pharos_client::admin::ClusterNode;
use pharos_protocol::ErrorCode;

use super::command;
use crate::args::{Args, BOOTSTRAP, COMMAND_CONFIG, CONTROLLER, Spec, switch, value};
use crate::common::{admin, block_on};
use crate::io::Io;
use crate::table::pad;

/// What the tool takes.
pub const SPEC: Spec = Spec {
    about: "The Kafka cluster tool.",
    commands: &[
        ("cluster-id", "Get information about the ID of a cluster."),
        ("unregister", "Unregister a broker."),
        ("list-endpoints", "List endpoints."),
    ],
    flags: &[
        BOOTSTRAP,
        CONTROLLER,
        COMMAND_CONFIG,
        value("config", "String: file", "The old name of --command-config."),
        value("id", "Integer: broker id", "The broker to unregister."),
        switch("include-fenced-brokers", "List fenced brokers too."),
    ],
};

/// Runs the tool.
pub fn run(args: &Args, io: &mut Io<'_>) -> Result<i32> {
    let command = command(args, &SPEC)?;
    if !args.has("bootstrap-server") && !args.has("bootstrap-controller") {
        anyhow::bail!(
            "one of the arguments --bootstrap-server/-b --bootstrap-controller/-C is required"
        );
    }
    if args.has("config") {
        io.line(
            "Option --config has been deprecated and will be removed in a future version. Use \
             --command-config instead.",
        )?;
    }
    let admin = admin(args)?;
    block_on(async {
        match command {
            "cluster-id" => cluster_id(&admin, io).await,
            "unregister" => unregister(args, &admin, io).await,
            _ => list_endpoints(args, &admin, io).await,
        }
    })?;
    Ok(0)
}

async fn cluster_id(admin: &Admin, io: &mut Io<'_>) -> Result<()> {
    let description = admin.describe_cluster(false).await?;
    Ok(io.line(format!("Cluster ID: {}", description.cluster_id))?)
}

async fn unregister(args: &Args, admin: &Admin, io: &mut Io<'_>) -> Result<()> {
    let id: i32 = args.parsed("id")?.ok_or_else(|| anyhow!("argument --id/-i is required"))?;
    match admin.unregister_broker(BrokerId(id)).await {
        Err(error)
            if error.code() == Some(ErrorCode::UnsupportedVersion)
                || matches!(error, pharos_client::ClientError::Unsupported { .. }) =>
        {
            io.line("The target cluster does not support the broker unregistration API.")?;
        }
        outcome => {
            outcome?;
            io.line(format!("Broker {id} is no longer registered."))?;
        }
    }
    Ok(())
}

async fn list_endpoints(args: &Args, admin: &Admin, io: &mut Io<'_>) -> Result<()> {
    let controllers = admin.cluster().config().bootstrap_controllers;
    let include_fenced = args.has("include-fenced-brokers");
    if controllers && include_fenced {
        anyhow::bail!(
            "The option --include-fenced-brokers is only supported with --bootstrap-server option"
        );
    }
    let description = admin.describe_cluster(include_fenced).await?;
    for line in endpoint_lines(&description.nodes, controllers) {
        io.line(line)?;
    }
    Ok(())
}

fn endpoint_lines(nodes: &[ClusterNode], controllers: bool) -> Vec<String> {
    let widest = |text: fn(&ClusterNode) -> usize| nodes.iter().map(text).max().unwrap_or(0);
    let host = widest(|node| node.host.len()).max(4);
    let rack = widest(|node| node.rack.as_ref().map_or(4, String::len)).max(10);
    let line = |cells: [&str; 6]| {
        let [id, name, port, rack_name, state, kind] = cells;
        let mut cells = vec![pad(id, 10), pad(name, host), pad(port, 10), pad(rack_name, rack)];
        // Controllers are never fenced.
        cells.extend((!controllers).then(|| pad(state, 10)));
        cells.push(pad(kind, 15));
        cells.join(" ")
    };
    let mut lines = vec![line(["ID", "HOST", "PORT", "RACK", "STATE", "ENDPOINT_TYPE"])];
    let kind = if controllers { "controller" } else { "broker" };
    lines.extend(nodes.iter().map(|node| {
        let state = if node.fenced { "fenced" } else { "unfenced" };
        let (id, port) = (node.id.to_string(), node.port.to_string());
        line([&id, &node.host, &port, node.rack.as_deref().unwrap_or("null"), state, kind])
    }));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_look_as_kafka_prints_them() {
        let node = ClusterNode {
            id: BrokerId(1),
            host: "127.0.0.1".to_owned(),
            port: 19092,
            rack: None,
            fenced: false,
        };
        // Captured from kafka-cluster.sh list-endpoints of 4.3.1.
        let expected = [
            "ID         HOST      PORT       RACK       STATE      ENDPOINT_TYPE  ",
            "1          127.0.0.1 19092      null       unfenced   broker         ",
        ];
        assert_eq!(endpoint_lines(std::slice::from_ref(&node), false), expected);
        let expected = [
            "ID         HOST      PORT       RACK       ENDPOINT_TYPE  ",
            "1          127.0.0.1 19092      null       controller     ",
        ];
        assert_eq!(endpoint_lines(&[node], true), expected);
    }
}
