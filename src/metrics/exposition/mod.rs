//! Pages: what a scrape reads. A rule set's series keep their labels as they are written, so that a
//! scrape copies them and prints numbers.

mod collector;
mod format;
mod group;
mod labels;
mod leaf;
mod native;
mod page;
mod pages;
#[cfg(test)]
mod tests;
mod text;

pub(crate) use collector::Collector;
pub use format::{Format, accepts_gzip, gzip, negotiate};
pub(crate) use leaf::Origin;
pub(crate) use page::render_rules;
pub use pages::{Pages, PagesOptions};
pub use text::{MAX_LABEL_VALUE, label_text};
