//! Generates the wire codec from the tables in `spec/`.
fn main() {}
