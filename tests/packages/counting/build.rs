//! Builds the library once more, on counting atomics: see `src/platform/atomics.rs`.
fn main() {
    println!("cargo:rustc-cfg=microbreaker_counting");
    println!("cargo:rerun-if-changed=build.rs");
}
