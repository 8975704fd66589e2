//! Tests that walk all rows, and whole configurations.

mod golden;
mod load;
mod rows;
