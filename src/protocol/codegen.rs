//! The generator behind `build.rs`: reads the tables, writes one file per message and an index.

mod apis;
mod emit;
mod index;
mod json;
mod model;
mod names;
mod parse;
mod views;

use std::fs;
use std::path::{Path, PathBuf};

use self::model::Spec;

/// Reads all tables under `spec` and writes the generated code to `out`.
pub fn generate(spec: &Path, out: &Path) -> Result<(), String> {
    let mut all = Spec::default();
    for file in tables(spec)?.into_iter().chain(tables(&spec.join("records"))?) {
        let text = fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        parse::parse(&file.display().to_string(), &text, &mut all)?;
    }
    all.messages.retain(|message| message.versions.is_some());
    for message in &all.messages {
        let module = names::snake(&message.name);
        let mut code = emit::message(message)?;
        code.push_str(&views::message(message)?);
        write(out, &format!("{module}.rs"), &code)?;
        write(out, &format!("{module}_json.rs"), &json::message(message))?;
    }
    write(out, "messages.rs", &index::messages(&all))?;
    write(out, "golden.rs", &json::dispatch(&all))?;
    write(out, "api_key.rs", &apis::table(&all)?)
}

fn tables(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let fault = |error| format!("{}: {error}", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        let is_table = path.extension().is_some_and(|extension| extension == "txt");
        if is_table {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn write(out: &Path, name: &str, code: &str) -> Result<(), String> {
    fs::write(out.join(name), code).map_err(|error| format!("{name}: {error}"))
}
