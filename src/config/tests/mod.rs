//! Tests that walk all rows, and whole configurations.

mod load;
mod rows;
