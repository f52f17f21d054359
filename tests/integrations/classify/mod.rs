//! What results mean: every row of the tables of kinds, I/O errors, HTTP and gRPC statuses, and calls that last as long as
//! their bodies.

mod body;
mod errors;
mod grpc;
mod status;
