//! An asynchronous Kafka client: connections, metadata, producer, consumer and admin.
//!
//! It speaks to any broker of Kafka's protocol and believes none: lengths, counts and ids that
//! arrive are checked, errors name the broker. It refuses to know anything of our broker's insides.
//!
//! Start at [`Cluster`], the shared handle; [`Producer`], [`Consumer`] and [`Admin`] are made of it.

pub mod admin;
mod backoff;
mod cluster;
pub mod config;
mod connection;
pub mod consumer;
mod error;
#[cfg(test)]
mod hostile_tests;
mod metadata;
pub mod producer;
pub mod testing;
mod versions;
mod wire;

pub use admin::Admin;
pub use cluster::{Cluster, Target};
pub use config::{ClientConfig, HostPort, Properties};
pub use connection::Connection;
pub use consumer::{Consumer, ConsumerConfig, ConsumerRecord};
pub use error::{ClientError, Result};
pub use metadata::{Metadata, Node, PartitionMetadata, TopicMetadata};
pub use producer::{Producer, ProducerConfig, ProducerRecord, RecordMetadata};
pub use versions::ApiRange;
