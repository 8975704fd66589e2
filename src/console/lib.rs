//! The live page of a node, at `/` of the admin listener: what is wrong now, since when and why, and
//! where each number comes from.
//!
//! It reads what everybody can read: pages, families and rules. It writes nothing, asks no other
//! host, and works without a Prometheus. What costs is done a few at a time and answers within named
//! limits ([`limits`]), so that a scrape never waits for a person who looks.

mod allowance;
mod answer;
mod beans;
mod explained;
mod figures;
mod files;
mod groups;
mod limits;
mod lines;
mod now;
mod page;
mod pulse;
mod runbooks;
mod section;
mod shared;
mod skew;
mod stream;
#[cfg(test)]
mod tests;
mod topics;

pub use section::section;
pub use shared::ConsoleOptions;
