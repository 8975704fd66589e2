//! Pages: what a scrape reads. A rule set's series keep their labels as they are written, so that a
//! scrape copies them and prints numbers.

mod collector;
mod format;
mod group;
mod labels;
mod native;
mod page;
#[cfg(test)]
mod tests;
mod text;

pub(crate) use collector::{Collector, Origin};
pub use format::{Format, accepts_gzip, gzip, negotiate};
pub(crate) use page::render_rules;
pub use page::{Pages, PagesOptions};
pub use text::{MAX_LABEL_VALUE, label_text};
