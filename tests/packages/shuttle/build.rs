//! Builds the library once more, on shuttle's atomics: see `src/platform/atomics.rs`.
fn main() {
    println!("cargo:rustc-cfg=microbreaker_shuttle");
    println!("cargo:rerun-if-changed=build.rs");
}
