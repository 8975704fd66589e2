//! `kafka-metadata-quorum`: state of the metadata quorum
//! (org.apache.kafka.tools.MetadataQuorumCommand).

use anyhow::{Result, anyhow, bail};
use pharos_base::{Clock, TopicId};
use pharos_client::Admin;
use pharos_protocol::messages::DescribeQuorumResponse;
use pharos_protocol::messages::describe_quorum_response::{PartitionData, ReplicaState};

use super::command;
use crate::args::{Args, BOOTSTRAP, COMMAND_CONFIG, CONTROLLER, Spec, switch, value};
use crate::common::{admin, block_on};
use crate::io::Io;
use crate::table::tabbed;

/// What the tool takes.
pub const SPEC: Spec = Spec {
    about: "This tool describes kraft metadata quorum status.",
    commands: &[
        ("describe", "Describe the metadata quorum info."),
        ("add-controller", "Add a controller to the KRaft controller cluster."),
        ("remove-controller", "Remove a controller from the KRaft controller cluster."),
    ],
    flags: &[
        BOOTSTRAP,
        CONTROLLER,
        COMMAND_CONFIG,
        switch("status", "A short summary of the quorum."),
        switch("replication", "How far each replica is."),
        switch("human-readable", "Show times as ages."),
        switch("dry-run", "Only say what would be done."),
        value("controller-id", "Integer", "The controller to remove."),
        value("controller-directory-id", "String", "Its directory."),
    ],
};

/// Runs the tool.
pub fn run(args: &Args, io: &mut Io<'_>) -> Result<i32> {
    let command = command(args, &SPEC)?;
    if !args.has("bootstrap-server") && !args.has("bootstrap-controller") {
        bail!("one of the arguments --bootstrap-server --bootstrap-controller is required");
    }
    if command != "describe" {
        bail!("{command} is not here yet: changing the quorum comes later");
    }
    if args.has("status") && args.has("replication") {
        bail!(
            "Only one of --status or --replication should be specified with describe sub-command"
        );
    }
    if !args.has("status") && !args.has("replication") {
        bail!("One of --status or --replication must be specified with describe sub-command");
    }
    if args.has("human-readable") && !args.has("replication") {
        bail!("The option --human-readable is only supported along with --replication");
    }
    let admin = admin(args)?;
    let lines = block_on(async {
        if args.has("replication") {
            replication(&admin, args.has("human-readable")).await
        } else {
            status(&admin).await
        }
    })?;
    lines.iter().try_for_each(|line| io.line(line))?;
    Ok(0)
}

fn quorum(response: &DescribeQuorumResponse) -> Result<(&PartitionData, &ReplicaState)> {
    let partition = response.topics.first().and_then(|topic| topic.partitions.first());
    let partition = partition.ok_or_else(|| anyhow!("the quorum was not described"))?;
    let leader = partition.current_voters.iter().find(|v| v.replica_id == partition.leader_id);
    let leader = leader.ok_or_else(|| anyhow!("the quorum has no leader at the moment"))?;
    Ok((partition, leader))
}

async fn status(admin: &Admin) -> Result<Vec<String>> {
    let cluster_id = admin.describe_cluster(false).await?.cluster_id;
    let response = admin.describe_quorum().await?;
    status_lines(&cluster_id, &response)
}

fn status_lines(cluster_id: &str, response: &DescribeQuorumResponse) -> Result<Vec<String>> {
    let (partition, leader) = quorum(response)?;
    let last = partition.current_voters.iter().min_by_key(|v| v.log_end_offset).unwrap_or(leader);
    let lag_ms = if last.replica_id == leader.replica_id {
        0
    } else if leader.last_caught_up_timestamp >= 0 && last.last_caught_up_timestamp >= 0 {
        leader.last_caught_up_timestamp - last.last_caught_up_timestamp
    } else {
        -1
    };
    Ok(vec![
        format!("ClusterId:              {cluster_id}"),
        format!("LeaderId:               {}", partition.leader_id),
        format!("LeaderEpoch:            {}", partition.leader_epoch),
        format!("HighWatermark:          {}", partition.high_watermark),
        format!(
            "MaxFollowerLag:         {}",
            leader.log_end_offset.saturating_sub(last.log_end_offset)
        ),
        format!("MaxFollowerLagTimeMs:   {lag_ms}"),
        format!("CurrentVoters:          {}", replicas(response, &partition.current_voters)),
        format!("CurrentObservers:       {}", replicas(response, &partition.observers)),
    ])
}

fn replicas(response: &DescribeQuorumResponse, list: &[ReplicaState]) -> String {
    let one = |replica: &ReplicaState| {
        let mut fields = vec![format!("\"id\": {}", replica.replica_id)];
        if replica.replica_directory_id != TopicId::ZERO {
            fields.push(format!("\"directoryId\": \"{}\"", replica.replica_directory_id));
        }
        let node = response.nodes.iter().find(|node| node.node_id == replica.replica_id);
        let endpoints: Vec<_> = node
            .into_iter()
            .flat_map(|node| &node.listeners)
            .map(|l| format!("\"{}://{}:{}\"", l.name, l.host, l.port))
            .collect();
        if !endpoints.is_empty() {
            fields.push(format!("\"endpoints\": [{}]", endpoints.join(", ")));
        }
        format!("{{{}}}", fields.join(", "))
    };
    format!("[{}]", list.iter().map(one).collect::<Vec<_>>().join(", "))
}

async fn replication(admin: &Admin, human: bool) -> Result<Vec<String>> {
    let response = admin.describe_quorum().await?;
    replication_lines(&response, human.then(|| Clock::real().now_ms()))
}

/// `now_ms` turns times into ages.
fn replication_lines(
    response: &DescribeQuorumResponse,
    now_ms: Option<i64>,
) -> Result<Vec<String>> {
    let (partition, leader) = quorum(response)?;
    let time = |timestamp_ms: i64| match now_ms {
        _ if timestamp_ms < 0 => "-1".to_owned(),
        Some(now) => format!("{} ms ago", now.saturating_sub(timestamp_ms)),
        None => timestamp_ms.to_string(),
    };
    let row = |replica: &ReplicaState, status: &str| {
        vec![
            replica.replica_id.to_string(),
            replica.replica_directory_id.to_string(),
            replica.log_end_offset.to_string(),
            leader.log_end_offset.saturating_sub(replica.log_end_offset).to_string(),
            time(replica.last_fetch_timestamp),
            time(replica.last_caught_up_timestamp),
            status.to_owned(),
        ]
    };
    let mut rows = vec![row(leader, "Leader")];
    let followers = partition.current_voters.iter().filter(|v| v.replica_id != leader.replica_id);
    rows.extend(followers.map(|replica| row(replica, "Follower")));
    rows.extend(partition.observers.iter().map(|replica| row(replica, "Observer")));
    let headers = [
        "NodeId",
        "DirectoryId",
        "LogEndOffset",
        "Lag",
        "LastFetchTimestamp",
        "LastCaughtUpTimestamp",
        "Status",
    ];
    Ok(tabbed(&headers, &rows))
}

#[cfg(test)]
mod tests {
    use pharos_protocol::messages::describe_quorum_response::{Listener, Node, TopicData};

    use super::*;

    fn response() -> DescribeQuorumResponse {
        let leader = ReplicaState {
            replica_id: 1,
            log_end_offset: 1053,
            last_fetch_timestamp: 1_795_258_598_336,
            last_caught_up_timestamp: 1_795_258_598_336,
            ..Default::default()
        };
        let partition = PartitionData {
            leader_id: 1,
            leader_epoch: 1,
            high_watermark: 1050,
            current_voters: vec![leader],
            ..Default::default()
        };
        let listener =
            Listener { name: "CONTROLLER".to_owned(), host: "127.0.0.1".to_owned(), port: 19093 };
        DescribeQuorumResponse {
            topics: vec![TopicData { partitions: vec![partition], ..Default::default() }],
            nodes: vec![Node { node_id: 1, listeners: vec![listener] }],
            ..Default::default()
        }
    }

    #[test]
    fn replication_looks_as_kafka_prints_it() {
        // Captured from kafka-metadata-quorum.sh describe --replication of 4.3.1.
        let expected = [
            "NodeId\tDirectoryId           \tLogEndOffset\tLag\tLastFetchTimestamp\tLastCaughtUpTimestamp\tStatus\t",
            "1     \tAAAAAAAAAAAAAAAAAAAAAA\t1053        \t0  \t1795258598336     \t1795258598336        \tLeader\t",
        ];
        assert_eq!(replication_lines(&response(), None).unwrap(), expected);
        let human = replication_lines(&response(), Some(1_795_258_598_344)).unwrap();
        assert!(human[1].contains("\t8 ms ago          \t"));
    }

    #[test]
    fn status_looks_as_kafka_prints_it() {
        // Captured from kafka-metadata-quorum.sh describe --status of 4.3.1.
        let expected = [
            "ClusterId:              MkU3OEVBNTcwNTJENDM2Qk",
            "LeaderId:               1",
            "LeaderEpoch:            1",
            "HighWatermark:          1050",
            "MaxFollowerLag:         0",
            "MaxFollowerLagTimeMs:   0",
            "CurrentVoters:          [{\"id\": 1, \"endpoints\": [\"CONTROLLER://127.0.0.1:19093\"]}]",
            "CurrentObservers:       []",
        ];
        assert_eq!(status_lines("MkU3OEVBNTcwNTJENDM2Qk", &response()).unwrap(), expected);
    }
}
