//! Pages: what a scrape reads. A rule set's series keep their labels as they are written, so that a
//! scrape copies them and prints numbers.

mod attempt;
mod collector;
#[cfg(test)]
pub(crate) mod decoded;
mod format;
mod group;
mod labels;
mod leaf;
mod native;
mod negotiate;
mod page;
mod pages;
mod protobuf;
mod reader;
#[cfg(test)]
mod tests;
mod text;
mod text_writer;
mod wire;
mod writer;

pub use attempt::{Attempt, AttemptLimits, Decided, attempt};
pub(crate) use collector::Collector;
pub use format::{Format, accepts_gzip, gzip};
pub(crate) use leaf::Origin;
pub use negotiate::negotiate;
pub(crate) use page::render_rules;
pub use pages::{Pages, PagesOptions};
pub use protobuf::only_families;
pub use text::{MAX_LABEL_VALUE, bound_text, label_text};
