//! Memory of the emulated machine, and the linker's arguments.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let target = env::var("TARGET").expect("cargo sets it");
    let (flash, ram, hertz) = if target == "thumbv6m-none-eabi" {
        ("256K", "16K", 16_000_000) // microbit: nRF51
    } else {
        ("256K", "64K", 25_000_000) // mps2-an385, mps2-an386
    };
    let memory = format!(
        "MEMORY\n{{\n  FLASH : ORIGIN = 0, LENGTH = {flash}\n  RAM : ORIGIN = 0x20000000, LENGTH = {ram}\n}}\n"
    );
    fs::write(out.join("memory.x"), memory).expect("OUT_DIR is writable");
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-env=CORE_HZ={hertz}");
    println!("cargo:rustc-check-cfg=cfg(cortex_m0)");
    if target == "thumbv6m-none-eabi" {
        println!("cargo:rustc-cfg=cortex_m0");
    }
    // No page alignment of segments. The arguments are lld's, as rustc drives it for these targets.
    for argument in ["--nmagic", "-Tlink.x"].into_iter().chain(env::var_os("CARGO_FEATURE_DEFMT").map(|_| "-Tdefmt.x"))
    {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
    let backend = env::var_os("CARGO_FEATURE_SINGLE_CORE").map_or("", |_| "+single-core");
    println!("cargo:rustc-env=BOARD_TARGET={target}{backend}");
    println!("cargo:rerun-if-changed=build.rs");
}
