//! Encodes a core module that wit-bindgen made into a component: `componentize CORE.wasm COMPONENT.wasm`. Prints what the
//! component imports, one interface a line: its capability manifest.
//!
//! The linker that makes components directly, `wasm-component-ld`, raises the versions of `wasi:io` and `wasi:clocks` to
//! those that it carries, and Debian's Rust lacks it. Encoding afterwards keeps the versions that the code was built
//! against, which old hosts can link, and works with every toolchain.

use std::{env, fs, process::ExitCode};

use anyhow::{Context, Result, bail};
use wasmparser::BinaryReader;
use wit_component::{ComponentEncoder, DecodedWasm};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [core, component] = arguments.as_slice() else {
        bail!("usage: componentize CORE.wasm COMPONENT.wasm");
    };
    let module = fs::read(core).with_context(|| format!("cannot read {core}"))?;
    let encoded = ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|mut encoder| encoder.encode())
        .with_context(|| format!("{core} is no module that wit-bindgen made"))?;
    let encoded = without_names(&encoded).context("what was encoded cannot be read back")?;
    for import in imports(&encoded).context("what was encoded cannot be read back")? {
        println!("{import}");
    }
    fs::write(component, encoded).with_context(|| format!("cannot write {component}"))
}

/// The component without the names of its parts, which nothing shows: they are more than a percent of it.
fn without_names(component: &[u8]) -> Result<Vec<u8>> {
    let mut reader = BinaryReader::new(component, 0);
    // The magic number and the version.
    let mut kept = reader.read_bytes(8)?.to_vec();
    while !reader.eof() {
        let begin = reader.original_position();
        let is_custom = reader.read_u8()? == 0;
        let length = reader.read_var_u32()?;
        let content = reader.read_bytes(length as usize)?;
        if !(is_custom && BinaryReader::new(content, 0).read_string()? == "component-name") {
            kept.extend_from_slice(&component[begin..reader.original_position()]);
        }
    }
    Ok(kept)
}

fn imports(component: &[u8]) -> Result<Vec<String>> {
    let DecodedWasm::Component(resolve, world) = wit_component::decode(component)? else {
        bail!("it is no component");
    };
    Ok(resolve.worlds[world].imports.keys().map(|key| resolve.name_world_key(key)).collect())
}
