//! Brokers that mean harm: whatever they send, the call ends with an error that names them.

use bytes::{BufMut, Bytes, BytesMut};
use pharos_protocol::messages::describe_topic_partitions_response::{
    Cursor as NextCursor, DescribeTopicPartitionsResponseTopic,
};
use pharos_protocol::messages::metadata_response::{MetadataResponseBroker, MetadataResponseTopic};
use pharos_protocol::messages::{
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, MetadataRequest,
    MetadataResponse,
};

use crate::admin::Admin;
use crate::cluster::{Cluster, Target};
use crate::config::{ClientConfig, Properties};
use crate::error::ClientError;
use crate::testing::Script;

fn config(address: &str) -> ClientConfig {
    let text =
        format!("bootstrap.servers={address}\nrequest.timeout.ms=300\ndefault.api.timeout.ms=1000");
    ClientConfig::parse(&Properties::parse(&text)).unwrap()
}

/// Runs one call against a broker that answers every frame by `answer`.
async fn call(answer: impl FnMut(&[u8]) -> Option<Bytes> + Send + 'static) -> ClientError {
    let broker = Script::new().raw(answer).start().await.unwrap();
    let cluster = Cluster::new(config(&broker.address()));
    let outcome = cluster.call(Target::Any, &MetadataRequest::default()).await;
    let error = outcome.err().unwrap();
    assert!(error.to_string().contains(&broker.address()), "{error}");
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
    let error = call(|_| None).await;
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
    let cluster = Cluster::new(config(&address));
    let error = cluster.nodes().await.err().unwrap().to_string();
    assert!(error.contains(&address), "{error}");
}

fn metadata(topics: &[&str], port: u16) -> MetadataResponse {
    MetadataResponse {
        brokers: vec![MetadataResponseBroker {
            node_id: 1,
            host: "127.0.0.1".to_owned(),
            port: i32::from(port),
            rack: None,
        }],
        topics: topics
            .iter()
            .map(|name| MetadataResponseTopic {
                name: Some((*name).to_owned()),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    }
}

#[tokio::test]
async fn topics_that_were_not_asked_for_are_not_kept() {
    let broker = Script::new()
        .on(|_: MetadataRequest| Some(metadata(&["asked", "other"], 1)))
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
