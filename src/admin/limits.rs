//! Named limits of the listener.

use std::time::Duration;

/// Connections at once; further ones wait in the backlog.
pub(crate) const MAX_CONNECTIONS: usize = 256;

/// Connections that may wait to be accepted.
pub(crate) const BACKLOG: u32 = 1024;

/// Names and values of a request's headers, in bytes.
pub(crate) const MAX_HEADER_BYTES: usize = 32 * 1024;

/// Buffer for a request's head. Larger than what is allowed, so that the answer can say so.
pub(crate) const HEAD_BUFFER_BYTES: usize = 256 * 1024;

/// Headers of a request.
pub(crate) const MAX_HEADERS: usize = 100;

/// Time for a request's head, and longest pause between two requests of a connection.
pub(crate) const HEAD_DEADLINE: Duration = Duration::from_secs(90);

/// Time in which a peer must take a byte of what is written.
pub(crate) const WRITE_DEADLINE: Duration = Duration::from_secs(30);

/// Time for a handler, with the reading of the request's body.
pub(crate) const REQUEST_DEADLINE: Duration = Duration::from_secs(60);

/// Body of a request, in bytes.
pub(crate) const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Pages that are rendered at the same time.
pub(crate) const MAX_RENDERINGS: usize = 2;

/// Pages that somebody reads or waits for, together, in bytes; a page alone may be larger.
pub(crate) const MAX_HELD_BYTES: usize = 256 * 1024 * 1024;

/// `name[]` parameters of a scrape.
pub(crate) const MAX_NAMES: usize = 1000;

/// Pages below this size are sent as they are.
pub(crate) const MIN_GZIP_BYTES: usize = 1024;

/// Beans in one piece of the `/beans` answer.
pub(crate) const BEANS_PER_PIECE: usize = 200;

/// Time for a TLS handshake, from the first byte on, and for a place after it.
pub(crate) const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);

/// TLS handshakes at once.
pub(crate) const MAX_HANDSHAKES: usize = 64;

/// Slowly hashed passwords that are checked at once.
pub(crate) const MAX_CHECKS: usize = 1;

/// Those that are checked or wait for it.
pub(crate) const MAX_WAITING_CHECKS: usize = 32;

/// Those of one address.
pub(crate) const MAX_WAITING_OF_AN_ADDRESS: usize = 4;

/// Time in which the log is told once of refusing an address for one reason.
pub(crate) const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Addresses and reasons that are remembered for it.
pub(crate) const MAX_TOLD: usize = 1024;
