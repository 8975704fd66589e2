//! Listeners, framing, the order of requests on a connection and connection limits.
