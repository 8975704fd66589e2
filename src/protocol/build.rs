//! Generates the wire codec from the tables in `spec/`.
//!
//! Cargo shows an error returned from here as it is: file, line, and what is wrong with it.

mod codegen;

use std::path::PathBuf;

fn main() -> Result<(), String> {
    let root = PathBuf::from(env("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env("OUT_DIR")?);
    #[allow(clippy::print_stdout, reason = "this is how a build script speaks to Cargo")]
    {
        println!("cargo::rerun-if-changed=spec");
        println!("cargo::rerun-if-changed=build.rs");
        println!("cargo::rerun-if-changed=codegen");
        println!("cargo::rerun-if-changed=codegen.rs");
    }
    codegen::generate(&root.join("spec"), &out)
}

fn env(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|error| format!("{name}: {error}"))
}
