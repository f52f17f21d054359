//! Builds the library once more, on loom's atomics: see `src/sync.rs`.
fn main() {
    println!("cargo:rustc-cfg=microbreaker_loom");
    println!("cargo:rerun-if-changed=build.rs");
}
