//! What the console tools make of lines and records.

mod columns;
mod formatter;
mod line_reader;

pub use formatter::Formatter;
pub use line_reader::LineReader;
