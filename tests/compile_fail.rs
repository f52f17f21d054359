//! Proves that what cannot work does not compile, and says why: a bad configuration in a `static` fails with the
//! sentence of its `ConfigError`, an impossible window with its own, and a permit can be neither ignored, reported twice
//! nor kept longer than its breaker.
//!
//! What is compared is the compiler's whole output, which may change its layout with a new compiler: then look at the
//! difference, and regenerate by `TRYBUILD=overwrite cargo test --test compile_fail`. The sentences themselves are also
//! checked at run time, by `config.rs`, whatever the compiler. Made with Rust 1.95, without the component `rust-src`
//! (with it the compiler may quote its own sources).

#[test]
fn what_cannot_work_does_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/compile_fail/config_*.rs");
    cases.compile_fail("tests/compile_fail/window_*.rs");
    cases.compile_fail("tests/compile_fail/permit_*.rs");
}
