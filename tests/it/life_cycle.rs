//! When beans come and go, as Apache Kafka's do: with the start, with a topic, with the first event
//! of their kind, with a client. Each step says which beans appear and which leave, and no other
//! may; what appears stands among those that Kafka showed after the same kind of event.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use pharos_metrics::Value;
use pharos_protocol::batch::BatchOptions;
use pharos_protocol::compression::Codec;
use pharos_protocol::messages::*;

use crate::start_process::HANG_GUARD;
use crate::start_wire::{Wire, batch, fetch};
use crate::tidy;
use crate::truth::Inside;

/// What a partition has on each of its replicas.
const PARTITION: &[&str] = &[
    "kafka.cluster:type=Partition,name=AtMinIsr,topic=t,partition=0",
    "kafka.cluster:type=Partition,name=InSyncReplicasCount,topic=t,partition=0",
    "kafka.cluster:type=Partition,name=LastStableOffsetLag,topic=t,partition=0",
    "kafka.cluster:type=Partition,name=ReplicasCount,topic=t,partition=0",
    "kafka.cluster:type=Partition,name=UnderMinIsr,topic=t,partition=0",
    "kafka.cluster:type=Partition,name=UnderReplicated,topic=t,partition=0",
    "kafka.log:type=Log,name=LogEndOffset,topic=t,partition=0",
    "kafka.log:type=Log,name=LogStartOffset,topic=t,partition=0",
    "kafka.log:type=Log,name=NumLogSegments,topic=t,partition=0",
    "kafka.log:type=Log,name=RetentionSizeInPercent,topic=t,partition=0",
    "kafka.log:type=Log,name=Size,topic=t,partition=0",
];
const WRITTEN: &[&str] = &[
    "kafka.server:type=BrokerTopicMetrics,name=BytesInPerSec,topic=t",
    "kafka.server:type=BrokerTopicMetrics,name=MessagesInPerSec,topic=t",
    "kafka.server:type=BrokerTopicMetrics,name=TotalProduceRequestsPerSec,topic=t",
];
const READ: &[&str] = &[
    "kafka.server:type=BrokerTopicMetrics,name=BytesOutPerSec,topic=t",
    "kafka.server:type=BrokerTopicMetrics,name=TotalFetchRequestsPerSec,topic=t",
];
const REFUSED: &[&str] = &["kafka.server:type=BrokerTopicMetrics,name=BytesRejectedPerSec,topic=t"];
const ANEW: &[&str] =
    &["kafka.server:type=BrokerTopicMetrics,name=ProduceMessageConversionsPerSec,topic=t"];
const IN_VAIN: &[&str] = &[
    "kafka.server:type=DelayedFetchMetrics,name=ExpiresPerSec,fetcherType=consumer",
    "kafka.server:type=DelayedFetchMetrics,name=ExpiresPerSec,fetcherType=follower",
];

/// Names of all beans now.
fn names(inside: &Inside) -> BTreeSet<String> {
    inside.registry.beans("").iter().map(|bean| bean.name().as_str().to_owned()).collect()
}

/// What a request brings by itself: its own count, once its answer has left.
fn request(api: &str, version: i16, error: &str) -> [String; 2] {
    let of = "kafka.network:type=RequestMetrics,name=";
    [
        format!("{of}ErrorsPerSec,request={api},error={error}"),
        format!("{of}RequestsPerSec,request={api},version={version}"),
    ]
}

/// Lets `act` happen: exactly `come` appears and `go` leaves.
fn step(
    inside: &mut Inside,
    what: &str,
    [come, go]: [BTreeSet<String>; 2],
    act: impl FnOnce(&mut Inside),
) {
    let before = names(inside);
    act(inside);
    let began = Instant::now();
    loop {
        let now = names(inside);
        let came: BTreeSet<_> = now.difference(&before).cloned().collect();
        let went: BTreeSet<_> = before.difference(&now).cloned().collect();
        if (&came, &went) == (&come, &go) {
            return;
        }
        assert!(began.elapsed() < HANG_GUARD, "{what}: came {came:#?}, went {went:#?}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

fn set<'a>(parts: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    parts.into_iter().map(str::to_owned).collect()
}

fn with(fixed: &[&str], requests: &[[String; 2]]) -> [BTreeSet<String>; 2] {
    let mut come = set(fixed.iter().copied());
    come.extend(requests.iter().flatten().cloned());
    [come, BTreeSet::new()]
}

#[test]
fn beans_come_with_the_first_event_and_go_with_the_topic() {
    let mut inside = Inside::start(&["offsets.topic.num.partitions=1"]);
    let small = [("max.message.bytes", "200"), ("compression.type", "uncompressed")];
    let create = request("CreateTopics", 7, "NONE");
    step(&mut inside, "a topic", with(PARTITION, &[create]), |inside| inside.create("t", &small));
    let one = batch(BatchOptions::default(), &[("k", "v")]);
    let produce = request("Produce", 9, "NONE");
    step(&mut inside, "a record", with(WRITTEN, &[produce]), |inside| {
        assert_eq!(inside.wire.produce("t", 0, &one).unwrap().0, 0);
    });
    let large = batch(BatchOptions::default(), &[("k", &"v".repeat(300))]);
    let [refusal, _] = request("Produce", 9, "MESSAGE_TOO_LARGE");
    let mut come = with(REFUSED, &[]);
    come[0].insert(refusal);
    step(&mut inside, "a refused record", come, |inside| {
        assert_eq!(inside.wire.produce("t", 0, &large).unwrap().0, 10);
    });
    let zipped = batch(BatchOptions { codec: Codec::Gzip, ..Default::default() }, &[("k", "v")]);
    step(&mut inside, "a record of another codec", with(ANEW, &[]), |inside| {
        assert_eq!(inside.wire.produce("t", 0, &zipped).unwrap().0, 0);
    });
    let [errors, requests] = request("Fetch", 12, "NONE");
    let consumer = requests.replace("request=Fetch", "request=FetchConsumer");
    let mut come = with(READ, &[[errors, requests]]);
    come[0].insert(consumer);
    step(&mut inside, "a fetch", come, |inside| {
        let _: FetchResponse = inside.wire.call(&fetch("t", 0, 0, 1 << 20), 12).unwrap();
    });
    step(&mut inside, "a fetch in vain", with(IN_VAIN, &[]), |inside| {
        let _: FetchResponse = inside.wire.call(&fetch("t", 0, 2, 1 << 20), 12).unwrap();
    });
    step(&mut inside, "the same again", with(&[], &[]), |inside| {
        assert_eq!(inside.wire.produce("t", 0, &one).unwrap().0, 0);
        let _: FetchResponse = inside.wire.call(&fetch("t", 0, 0, 1 << 20), 12).unwrap();
    });

    let all = "kafka.server:type=BrokerTopicMetrics,name=MessagesInPerSec";
    let counted = inside.registry.read(all, "Count");
    assert_eq!(counted, Some(Value::Long(3)));
    let mut change = with(&[], &[request("DeleteTopics", 6, "NONE")]);
    change[1] = set([PARTITION, WRITTEN, READ, REFUSED, ANEW].concat());
    step(&mut inside, "the topic is deleted", change, |inside| {
        assert_eq!(inside.wire.delete_topic("t").unwrap(), 0);
    });
    assert_eq!(inside.registry.read(all, "Count"), counted, "the sum keeps what the topic gave");
}

#[test]
fn a_client_leaves_its_software_behind() {
    let mut inside = Inside::start(&[]);
    let processor = 1;
    let of_client = |name: &str, version: &str| {
        format!(
            "kafka.server:type=socket-server-metrics,clientSoftwareName={name},\
             clientSoftwareVersion={version},listener=PLAINTEXT,networkProcessor={processor}"
        )
    };
    let (unknown, named) = (of_client("unknown", "unknown"), of_client("app", "7"));
    let mut client = None;
    step(&mut inside, "a connection", with(&[&unknown], &[]), |inside| {
        client = Some(Wire::connect(inside.port).unwrap());
    });
    let asked = request("ApiVersions", 3, "NONE");
    step(&mut inside, "its name", with(&[&named], &[asked]), |_| {
        let request = ApiVersionsRequest {
            client_software_name: "app".to_owned(),
            client_software_version: "7".to_owned(),
        };
        let _: ApiVersionsResponse = client.as_mut().unwrap().call(&request, 3).unwrap();
    });
    let read = |inside: &Inside| inside.registry.read(&named, "connections");
    assert_eq!(read(&inside), Some(Value::Long(1)));
    step(&mut inside, "its end", with(&[], &[]), |inside| {
        drop(client);
        let began = Instant::now();
        while read(inside) != Some(Value::Long(0)) {
            assert!(began.elapsed() < HANG_GUARD, "the connection still counts");
            std::thread::park_timeout(Duration::from_millis(1));
        }
    });
}

/// Without what one workload calls its topics and another one otherwise.
fn kind(name: &str) -> String {
    let (domain, tags) = name.split_once(':').unwrap();
    let tags = tags.split(',').map(|tag| match tag.split_once('=').unwrap() {
        (key @ ("topic" | "partition"), _) => format!("{key}="),
        _ => tag.to_owned(),
    });
    format!("{domain}:{}", tags.collect::<Vec<_>>().join(","))
}

#[test]
fn what_topics_bring_is_what_kafka_showed() {
    let path = tidy::root().join("tests/golden/beans/workload-beans.tsv");
    let text = fs::read_to_string(path).unwrap();
    let kafka: BTreeSet<_> =
        text.lines().map(|line| kind(line.split('\t').next().unwrap())).collect();
    let ours: BTreeSet<_> =
        [PARTITION, WRITTEN, READ, REFUSED, ANEW, IN_VAIN].concat().into_iter().map(kind).collect();
    let strange: Vec<_> = ours.difference(&kafka).collect();
    assert!(strange.is_empty(), "{strange:#?}");
    // The other way: what Kafka has by topic, but for a refusal of another kind.
    let failed = "kafka.server:type=BrokerTopicMetrics,name=FailedProduceRequestsPerSec,topic=";
    let by_topic = kafka.iter().filter(|name| name.contains("topic="));
    let missing: Vec<_> =
        by_topic.filter(|name| !ours.contains(*name) && *name != failed).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}
