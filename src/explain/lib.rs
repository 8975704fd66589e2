//! Where a series comes from, and who reads it.
//!
//! From rule files and the catalogue it knows every series that there can be; from boards and alert
//! rules, every query. So it can say what a series means and who would miss it, and which panels and
//! alerts wait for what never comes. It refuses to know what the numbers are.

mod explain;
mod facts;
mod findings;
mod known;
mod labels;
mod query;
mod readers;
mod shipped;
#[cfg(test)]
mod tests;
mod world;

pub use explain::{Explained, Reader, Unknown, explain};
pub use findings::{Class, Finding, check};
pub use known::{Known, Series, Source};
pub use readers::{Queries, ReadError};
pub use shipped::RULES;
