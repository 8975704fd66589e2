//! The HTTP listener for metrics, health and beans.
