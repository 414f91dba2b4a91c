//! The `pikv` program.

fn main() {}
