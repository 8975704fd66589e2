//! Brokers that mean harm: whatever they send, the call ends in time with an error that names them.

mod fetched;
mod leaders;

use std::future::Future;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use pharos_protocol::messages::api_versions_response::ApiVersion;
use pharos_protocol::messages::describe_topic_partitions_response::{
    Cursor as NextCursor, DescribeTopicPartitionsResponseTopic,
};
use pharos_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use pharos_protocol::messages::{
    ApiVersionsResponse, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    MetadataRequest, MetadataResponse,
};
use pharos_protocol::{ApiKey, Message, encode_to_bytes};

use crate::admin::Admin;
use crate::cluster::{Cluster, Target};
use crate::config::{ClientConfig, Properties};
use crate::error::ClientError;
use crate::testing::{FakeBroker, Script};

/// Longest time for a call that has limits of its own: a guard against hanging, not a measure.
const HANG_GUARD: Duration = Duration::from_secs(30);

/// Limits for calls that end by them.
const HASTY: &str = "request.timeout.ms=300\ndefault.api.timeout.ms=1000\n";

/// The limits are far from what an answer may take.
fn properties(address: &str, more: &str) -> Properties {
    Properties::parse(&format!(
        "bootstrap.servers={address}\nrequest.timeout.ms=20000\ndefault.api.timeout.ms=20000\n{more}"
    ))
}

fn config(address: &str) -> ClientConfig {
    ClientConfig::parse(&properties(address, "")).unwrap()
}

fn hasty(address: &str) -> ClientConfig {
    ClientConfig::parse(&properties(address, HASTY)).unwrap()
}

/// The outcome of what has limits of its own.
async fn in_time<T>(call: impl Future<Output = T>) -> T {
    tokio::time::timeout(HANG_GUARD, call).await.expect("the call has no end")
}

fn at(id: i32, port: u16) -> MetadataResponseBroker {
    MetadataResponseBroker {
        node_id: id,
        host: "127.0.0.1".to_owned(),
        port: i32::from(port),
        rack: None,
    }
}

/// Topic `t`, whose partitions are led by brokers 1, 2 and so on, all of them at one port.
fn metadata(port: u16, partitions: i32) -> MetadataResponse {
    let partition = |index| MetadataResponsePartition {
        partition_index: index,
        leader_id: index + 1,
        ..Default::default()
    };
    MetadataResponse {
        brokers: (0..partitions.max(1)).map(|index| at(index + 1, port)).collect(),
        topics: vec![MetadataResponseTopic {
            name: Some("t".to_owned()),
            partitions: (0..partitions).map(partition).collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// A broker that leads partition 0 of topic `t`, and for the rest does as the test says.
async fn leader(script: impl FnOnce(Script) -> Script) -> FakeBroker {
    let port = Arc::new(AtomicU16::new(0));
    let told = port.clone();
    let answer = move |_: MetadataRequest| Some(metadata(told.load(Ordering::Acquire), 1));
    let broker = script(Script::new().on(answer)).start().await.unwrap();
    port.store(broker.port(), Ordering::Release);
    broker
}

/// A peer below the protocol: `serve` is given each connection, on a thread of its own.
fn peer(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let (socket, serve) = (socket.unwrap(), serve.clone());
            std::thread::spawn(move || serve(socket));
        }
    });
    port
}

/// Reads one frame; its correlation id.
fn request_of(mut socket: &TcpStream) -> Option<i32> {
    let mut size = [0; 4];
    socket.read_exact(&mut size).ok()?;
    let mut frame = vec![0; usize::try_from(i32::from_be_bytes(size)).ok()?];
    socket.read_exact(&mut frame).ok()?;
    frame.get(4..8).map(|id| i32::from_be_bytes(id.try_into().unwrap()))
}

/// The answer to ApiVersions of a broker that serves these APIs in all versions.
fn versions(keys: &[ApiKey]) -> Vec<u8> {
    let range = |key: &ApiKey| {
        let (min_version, max_version) = key.spec().versions.unwrap();
        ApiVersion { api_key: key.as_i16(), min_version, max_version }
    };
    let own = ApiVersion { api_key: 18, min_version: 0, max_version: 4 };
    let api_keys = keys.iter().map(range).chain([own]).collect();
    encode_to_bytes(&ApiVersionsResponse { api_keys, ..Default::default() }, 4).unwrap().to_vec()
}

/// Runs one call against a broker that answers every frame by `answer`.
async fn call(answer: impl FnMut(&[u8]) -> Option<Bytes> + Send + 'static) -> ClientError {
    let broker = Script::new().raw(answer).start().await.unwrap();
    refused(config(&broker.address()), &broker.address()).await
}

/// The error of one call, which names the broker at `address`.
async fn refused(config: ClientConfig, address: &str) -> ClientError {
    let cluster = Cluster::new(config);
    let outcome = in_time(cluster.call(Target::Any, &MetadataRequest::default())).await;
    let error = outcome.err().unwrap();
    assert!(error.to_string().contains(address), "{error}");
    error
}

fn frame(size: i32, correlation: i32, body: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i32(size);
    out.put_i32(correlation);
    out.put_slice(body);
    out.freeze()
}

#[tokio::test]
async fn an_announced_length_is_not_believed() {
    for size in [i32::MAX, -1, 0, 3] {
        let error = call(move |_| Some(frame(size, 0, &[]))).await;
        assert!(matches!(error, ClientError::ResponseSize { .. }), "{size}: {error}");
    }
}

#[tokio::test]
async fn an_answer_to_something_else_ends_the_connection() {
    let error = call(|_| Some(frame(6, 77, &[0, 0]))).await;
    assert!(matches!(error, ClientError::Correlation { expected: 0, found: 77, .. }), "{error}");
}

#[tokio::test]
async fn a_truncated_answer_is_malformed() {
    for len in 0..12u8 {
        let body = vec![0; usize::from(len)];
        let error = call(move |_| Some(frame(4 + i32::from(len), 0, &body))).await;
        let refused =
            matches!(error, ClientError::Malformed { .. } | ClientError::Unsupported { .. });
        assert!(refused, "{len}: {error}");
    }
}

#[tokio::test]
async fn a_count_is_not_believed() {
    // ApiVersions version 4, no error, 2^31 - 2 APIs.
    let body = [0, 0, 0xff, 0xff, 0xff, 0xff, 0x07];
    let error = call(move |_| Some(frame(11, 0, &body))).await;
    assert!(matches!(error, ClientError::Malformed { .. }), "{error}");
}

#[tokio::test]
async fn a_broker_that_never_answers_is_left() {
    let broker = Script::new().raw(|_: &[u8]| None).start().await.unwrap();
    let error = refused(hasty(&broker.address()), &broker.address()).await;
    assert!(matches!(error, ClientError::RequestTimeout { timeout_ms: 300, .. }), "{error}");
}

#[tokio::test]
async fn metadata_without_brokers_is_refused() {
    let broker = Script::new()
        .on(|_: MetadataRequest| Some(MetadataResponse::default()))
        .start()
        .await
        .unwrap();
    let cluster = Cluster::new(config(&broker.address()));
    let error = cluster.refresh(None, false).await.err().unwrap();
    assert!(error.to_string().contains("it names no broker"), "{error}");
}

#[tokio::test]
async fn a_closed_port_is_named() {
    let broker = Script::new().start().await.unwrap();
    let address = broker.address();
    drop(broker);
    let cluster = Cluster::new(hasty(&address));
    let error = cluster.nodes().await.err().unwrap().to_string();
    assert!(error.contains(&address), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_ends_early_is_a_closed_connection() {
    let honest = frame(i32::try_from(4 + versions(&[]).len()).unwrap(), 0, &versions(&[]));
    for cut in 0..honest.len() {
        let part = honest.slice(..cut);
        let port = peer(move |mut socket| {
            request_of(&socket);
            let _ = socket.write_all(&part);
        });
        let address = format!("127.0.0.1:{port}");
        let error = refused(config(&address), &address).await;
        assert!(matches!(error, ClientError::Disconnected { .. }), "{cut}: {error}");
    }
}

/// A byte now and then keeps nobody waiting longer than silence does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_trickles_is_given_up() {
    let port = peer(|mut socket| {
        request_of(&socket);
        let endless = frame(100_000_000, 0, &[]);
        for byte in endless.iter().chain(std::iter::repeat(&7)) {
            std::thread::yield_now();
            if socket.write_all(&[*byte]).is_err() {
                return;
            }
        }
    });
    let address = format!("127.0.0.1:{port}");
    let error = refused(hasty(&address), &address).await;
    assert!(matches!(error, ClientError::RequestTimeout { timeout_ms: 300, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_asked_for_end_the_connection() {
    let port = peer(|mut socket| {
        request_of(&socket);
        let body = versions(&[ApiKey::Metadata]);
        let answer = frame(i32::try_from(4 + body.len()).unwrap(), 0, &body);
        while socket.write_all(&answer).is_ok() {}
    });
    let address = format!("127.0.0.1:{port}");
    let error = refused(config(&address), &address).await;
    let expected =
        matches!(error, ClientError::Correlation { .. } | ClientError::Disconnected { .. });
    assert!(expected, "{error}");
}

/// A broker that refuses every version of ApiVersions is asked twice, not for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_that_are_never_agreed_on() {
    let port = peer(|mut socket| {
        while let Some(id) = request_of(&socket) {
            let _ = socket.write_all(&frame(10, id, &[0, 35, 0, 0, 0, 0]));
        }
    });
    let address = format!("127.0.0.1:{port}");
    let error = refused(config(&address), &address).await;
    assert!(matches!(error, ClientError::Unsupported { api: "ApiVersions", .. }), "{error}");
}

#[tokio::test]
async fn impossible_versions_are_not_spoken() {
    for (min, max) in [(5, 4), (i16::MIN, -1), (i16::MAX, i16::MAX), (i16::MAX, i16::MIN)] {
        let range = ApiVersion {
            api_key: MetadataRequest::API_KEY.unwrap(),
            min_version: min,
            max_version: max,
        };
        let answer = ApiVersionsResponse { api_keys: vec![range], ..Default::default() };
        let body = encode_to_bytes(&answer, 4).unwrap();
        let size = i32::try_from(4 + body.len()).unwrap();
        let error = call(move |_| Some(frame(size, 0, &body))).await;
        assert!(matches!(error, ClientError::Unsupported { api: "Metadata", .. }), "{error}");
    }
}

#[tokio::test]
async fn brokers_that_cannot_be_are_left_out() {
    let broker = Script::new()
        .on(|_: MetadataRequest| {
            let mut answer = metadata(0, 3);
            answer.brokers = vec![at(1, 1), at(-1, 1), at(i32::MIN, 1)];
            answer.brokers[1].port = 65_536;
            answer.brokers[2].port = -1;
            answer.topics[0].partitions[1].leader_id = i32::MAX;
            answer.topics[0].partitions[2].partition_index = i32::MIN;
            Some(answer)
        })
        .start()
        .await
        .unwrap();
    let cluster = Cluster::new(config(&broker.address()));
    let known = cluster.refresh(None, false).await.unwrap();
    assert_eq!(known.brokers.len(), 1);
    let leaders =
        [0, 1, 2].map(|index| known.leader(&pharos_base::TopicPartition::new("t", index)));
    assert_eq!(leaders, [Some(pharos_base::BrokerId(1)), None, None]);
}

/// An answer that names these topics.
fn naming(topics: &[&str], port: u16) -> MetadataResponse {
    let topic = |name: &&str| MetadataResponseTopic {
        name: Some((*name).to_owned()),
        ..Default::default()
    };
    MetadataResponse {
        brokers: vec![at(1, port)],
        topics: topics.iter().map(topic).collect(),
        ..Default::default()
    }
}

#[tokio::test]
async fn topics_that_were_not_asked_for_are_not_kept() {
    let broker = Script::new()
        .on(|_: MetadataRequest| Some(naming(&["asked", "other"], 1)))
        .start()
        .await
        .unwrap();
    let cluster = Cluster::new(config(&broker.address()));
    let known = cluster.refresh(Some(&["asked".to_owned()]), false).await.unwrap();
    assert_eq!(known.topics.keys().collect::<Vec<_>>(), ["asked"]);
    let known = cluster.refresh(None, false).await.unwrap();
    assert_eq!(known.topics.len(), 2);
}

#[tokio::test]
async fn a_description_that_stands_still_ends() {
    let broker = Script::new()
        .on(|request: DescribeTopicPartitionsRequest| {
            let next = NextCursor { topic_name: "t".to_owned(), partition_index: 3 };
            let topics = ["t", "other"].map(|name| DescribeTopicPartitionsResponseTopic {
                name: Some(name.to_owned()),
                ..Default::default()
            });
            let next_cursor = Some(next).filter(|_| request.response_partition_limit == 1);
            let topics = topics.to_vec();
            Some(DescribeTopicPartitionsResponse { topics, next_cursor, ..Default::default() })
        })
        .start()
        .await
        .unwrap();
    let admin = Admin::new(Cluster::new(config(&broker.address())));
    let names = ["t".to_owned()];
    let error = admin.describe_topics(&names, 1).await.err().unwrap();
    assert!(error.to_string().contains("stands still"), "{error}");
    let described = admin.describe_topics(&names, 2).await.unwrap();
    assert!(matches!(described.as_slice(), [(name, Ok(_))] if name == "t"), "{described:?}");
}
