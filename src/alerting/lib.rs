//! The alert rules, asked of this node's own figures: what is wrong now, since when, and how it is
//! told, without a Prometheus.
//!
//! The rules are those that Prometheus is given, to the letter, and the tests that promtool runs on
//! them run here, too. It is pure: whoever has pages and a clock shows them to a [`Watch`]. It refuses to
//! notify anyone, and what it cannot know it names ([`Blind`]) instead of calling it well.

mod alert;
mod eval;
mod history;
mod labels;
mod page;
mod rules;
mod template;
#[cfg(test)]
mod tests;
mod watch;

pub use alert::{Alert, State};
pub use history::{MAX_KEEP_MS, Use};
pub use labels::Labels;
pub use page::end_of_value;
pub use rules::{RuleError, Rules};
pub use watch::{Blind, Kept, Line, Memory, Taking, Target, Watch, WatchOptions};
