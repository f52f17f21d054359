//! Proves that a mistake which can never work does not compile, and that the compiler says why. A bad configuration in
//! a `static`, or in a policy, fails with the sentence of its `ConfigError`. An impossible window, and a layer that would own its
//! breaker, fail with sentences of their own. A permit can be neither ignored, nor reported twice, nor kept longer than
//! its breaker; a ticket can be neither ignored nor reported twice.
//!
//! The test compares the compiler's whole output. That quotes lines of `src`, and its layout is that of Rust 1.95
//! without the component `rust-src` (with it the compiler may quote its own sources). Other compilers skip this test.
//! If a difference is wanted: `TRYBUILD=overwrite cargo test -p compile-fail`. `tests/breaker/config.rs` also checks
//! the sentences at run time, with any compiler.

#[rustversion::attr(not(stable(1.95)), ignore = "the expected output is Rust 1.95's")]
#[test]
fn what_cannot_work_does_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("cases/config_*.rs");
    cases.compile_fail("cases/layer_*.rs");
    cases.compile_fail("cases/window_*.rs");
    cases.compile_fail("cases/permit_*.rs");
    cases.compile_fail("cases/policy_*.rs");
    cases.compile_fail("cases/ticket_*.rs");
}
