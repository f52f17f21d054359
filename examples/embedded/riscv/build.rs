//! Memory of the emulated machine, and the linker's arguments.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    // qemu-system-riscv32 -machine virt -bios none: RAM at 0x8000_0000, entered there.
    let memory = "MEMORY\n{\n  RAM : ORIGIN = 0x80000000, LENGTH = 1M\n}\n".to_owned()
        + &["TEXT", "RODATA", "DATA", "BSS", "HEAP", "STACK"]
            .map(|region| format!("REGION_ALIAS(\"REGION_{region}\", RAM);\n"))
            .concat();
    fs::write(out.join("memory.x"), memory).expect("OUT_DIR is writable");
    println!("cargo:rustc-link-search={}", out.display());
    for argument in
        ["-Tmemory.x", "-Tlink.x"].into_iter().chain(env::var_os("CARGO_FEATURE_DEFMT").map(|_| "-Tdefmt.x"))
    {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
    let target = env::var("TARGET").expect("cargo sets it");
    let backend = env::var_os("CARGO_FEATURE_SINGLE_CORE").map_or("", |_| "+single-core");
    println!("cargo:rustc-env=BOARD_TARGET={target}{backend}");
    println!("cargo:rerun-if-changed=build.rs");
}
