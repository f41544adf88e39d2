//! Runs real gateways.
fn main() {}
