//! Programs that must not compile: `cases`, tried by `tests/refused.rs`.
