//! Proves that what cannot work does not compile, and says why: a bad configuration in a `static` fails with the
//! sentence of its `ConfigError`, an impossible window and a layer that would own its breaker with theirs, and a permit can
//! be neither ignored, reported twice nor kept longer than its breaker.
//!
//! What is compared is the compiler's whole output. It quotes the lines of `src` that it speaks of, and its layout is
//! Rust 1.95's, without the component `rust-src` (with it the compiler may quote its own sources); other compilers leave
//! this test out. When a difference is looked at and wanted: `TRYBUILD=overwrite cargo test -p compile-fail`. The
//! sentences themselves are also checked at run time, by `tests/breaker/config.rs`, whatever the compiler.

#[rustversion::attr(not(stable(1.95)), ignore = "the expected output is Rust 1.95's")]
#[test]
fn what_cannot_work_does_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("cases/config_*.rs");
    cases.compile_fail("cases/layer_*.rs");
    cases.compile_fail("cases/window_*.rs");
    cases.compile_fail("cases/permit_*.rs");
}
