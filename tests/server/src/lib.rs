//! The integrations of a server under the real libraries: all of it is in `tests/`, so that the crate itself keeps few.
