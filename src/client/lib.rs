//! An asynchronous Kafka client: metadata, producer, consumer and admin.
