//! Programs that must not compile, in `cases`. `tests/refused.rs` tries to compile them.
