//! Cost per call.
fn main() {}
