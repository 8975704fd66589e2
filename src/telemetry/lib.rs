//! Where log lines and spans go: lines to standard error, short for people or JSON for machines;
//! spans by OTLP over HTTP when an endpoint is configured, else nowhere and at no cost.
//!
//! Rooms use `tracing` alone. Only the front door, tests, and the broker's dispatch, which begins
//! and ends the traces of requests, know this crate.

pub mod capture;
mod collector;
mod export;
mod format;
mod layer;
mod otlp;
mod setup;
mod tracer;

pub use export::{Batching, SpanCounts};
pub use opentelemetry::KeyValue;
pub use otlp::{Otlp, OtlpError};
pub use setup::{Format, Guard, Options, TelemetryError, start};
pub use tracer::{Ended, Scope, Trace, Tracer, Within, current};
