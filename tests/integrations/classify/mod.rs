//! How results are classified: every row of the tables of kinds, I/O errors, HTTP and gRPC statuses. Also calls that
//! last as long as their bodies.

mod body;
mod errors;
mod grpc;
mod status;
