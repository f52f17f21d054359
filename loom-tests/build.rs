//! Builds the library a second time, on loom's atomics; see `src/platform/atomics.rs`.
fn main() {
    println!("cargo:rustc-cfg=microbreaker_loom");
    println!("cargo:rerun-if-changed=build.rs");
}
