//! Kafka's wire codec, record batches, compression, error codes and the table of APIs.
