//! Tracing set-up and span export.
