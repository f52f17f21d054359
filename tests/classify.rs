//! What results mean: every row of the tables of kinds, I/O errors, HTTP and gRPC statuses, and calls that last as long as
//! their bodies.

#[path = "classify/errors.rs"]
mod errors;
