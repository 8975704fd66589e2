//! The front door: the first word picks the role.

fn main() {}
