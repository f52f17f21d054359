//! Builds the library once more, on counting atomics: see `src/sync.rs`.
fn main() {
    println!("cargo:rustc-cfg=microbreaker_counting");
    println!("cargo:rerun-if-changed=build.rs");
}
