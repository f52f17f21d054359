//! The quick start of the front page as a documentation test, with nothing but the default features of `microbreaker`.
//! `examples/first.rs` is a test of this package too, see `Cargo.toml`.

#[cfg(doctest)]
#[doc = include_str!(concat!(env!("OUT_DIR"), "/quick_start.md"))]
pub struct QuickStart;
