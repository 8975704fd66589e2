//! Where log lines and spans go: lines to standard error, short for people or JSON for machines;
//! spans by OTLP over HTTP when an endpoint is configured, else nowhere and at no cost.
//!
//! Rooms use `tracing` alone; only the front door and tests know this crate.

pub mod capture;
mod exemplar;
mod format;
mod otlp;
mod setup;

pub use exemplar::Exemplar;
pub use otlp::{Otlp, OtlpError};
pub use setup::{Format, Guard, Options, TelemetryError, start};
