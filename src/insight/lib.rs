//! Lag in offsets and seconds, and client telemetry.
