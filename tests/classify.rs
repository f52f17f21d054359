//! What results mean: every row of the tables of kinds, I/O errors, HTTP and gRPC statuses, and calls that last as long as
//! their bodies.

#[path = "classify/body.rs"]
mod body;
#[path = "classify/errors.rs"]
mod errors;
#[path = "classify/grpc.rs"]
mod grpc;
#[path = "classify/http.rs"]
mod status;
