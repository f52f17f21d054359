//! Memory and the linker's arguments. These images are never run: any memory will do.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let arm = env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "arm");
    let memory = "MEMORY\n{\n  FLASH : ORIGIN = 0, LENGTH = 256K\n  RAM : ORIGIN = 0x20000000, LENGTH = 16K\n}\n".to_owned();
    let places =
        [("TEXT", "FLASH"), ("RODATA", "FLASH"), ("DATA", "RAM"), ("BSS", "RAM"), ("HEAP", "RAM"), ("STACK", "RAM")];
    let aliases = places.map(|(region, place)| format!("REGION_ALIAS(\"REGION_{region}\", {place});\n"));
    let memory = if arm { memory } else { memory + &aliases.concat() };
    fs::write(out.join("memory.x"), memory).expect("OUT_DIR is writable");
    println!("cargo:rustc-link-search={}", out.display());
    let script = if arm { "--nmagic" } else { "-Tmemory.x" };
    let defmt = env::var_os("CARGO_FEATURE_DEFMT").map(|_| "-Tdefmt.x");
    for argument in [script, "-Tlink.x"].into_iter().chain(defmt) {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
    println!("cargo:rerun-if-changed=build.rs");
}
