//! Which files are components of the contract.

use std::fs;
use std::path::{Path, PathBuf};

use source_host::{Engine, LoadError};

use crate::setup::{component, guest};

#[test]
fn what_is_no_component_is_told_apart() {
    let engine = Engine::new().unwrap();
    let load = |bytes: &[u8]| engine.load_bytes("x.wasm", bytes).unwrap_err();
    for (bytes, said) in [
        (&b""[..], "it is empty"),
        (b"#!/bin/sh", "it does not begin as WebAssembly does"),
        (b"\0asm\x01\0\0\0", "it is a core module"),
        (b"\0asm\x0d\0\x01\0\xff", "x.wasm is no WebAssembly component"),
    ] {
        let message = load(bytes).to_string();
        assert!(message.contains(said), "{message}");
    }
    assert!(matches!(load(b"\0asm\x0d\0\x01\0"), LoadError::OtherWorld { .. }));
    assert!(matches!(engine.load("/no/such.wasm".as_ref()), Err(LoadError::Unreadable { .. })));
}

#[test]
fn a_component_imports_the_manifest_and_nothing_else() {
    for import in component().imports() {
        assert!(["wasi:http/", "wasi:io/", "wasi:clocks/"].iter().any(|family| import.starts_with(family)), "{import}");
    }
}

#[test]
fn a_precompiled_component_needs_no_compiling_and_is_the_same() {
    let engine = Engine::new().unwrap();
    let compiled = engine.load(&guest()).unwrap();
    let precompiled = compiled.precompile().unwrap();
    let again = engine.load_precompiled("again", &precompiled).unwrap();
    assert_eq!((again.name(), again.imports()), ("again", compiled.imports()));
}

/// The files of a cache.
fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn compiled_code_is_kept_and_taken_from_the_cache() {
    let (engine, folder) = (Engine::new().unwrap(), tempfile::tempdir().unwrap());
    let cache = folder.path().join("of/its/own");
    let compiled = engine.load_cached(&guest(), &cache).unwrap();
    let [file] = files(&cache).try_into().unwrap();
    let (code, written) = (fs::read(&file).unwrap(), fs::metadata(&file).unwrap().modified().unwrap());
    let again = engine.load_cached(&guest(), &cache).unwrap();
    assert_eq!((again.name(), again.imports()), (compiled.name(), compiled.imports()));
    assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), written, "it was not compiled again");
    // What is no compiled code, or is cut, is compiled anew and replaced.
    drop((compiled, again));
    for spoilt in [&b""[..], b"\x7fELF", &code[..code.len() / 2]] {
        fs::remove_file(&file).unwrap();
        fs::write(&file, spoilt).unwrap();
        restrict(&file, 0o600);
        engine.load_cached(&guest(), &cache).unwrap();
        assert_eq!(fs::read(&file).unwrap().len(), code.len());
    }
    assert_eq!(files(&cache).len(), 1, "nothing else is left there");
}

#[test]
fn other_bytes_have_another_file() {
    let (engine, folder) = (Engine::new().unwrap(), tempfile::tempdir().unwrap());
    let (cache, copy) = (folder.path().join("cache"), folder.path().join("copy.wasm"));
    // A custom section at the end changes nothing but the bytes.
    let mut bytes = fs::read(guest()).unwrap();
    bytes.extend(b"\0\x02\x01x");
    fs::write(&copy, bytes).unwrap();
    engine.load_cached(&guest(), &cache).unwrap();
    engine.load_cached(&copy, &cache).unwrap();
    assert_eq!(files(&cache).len(), 2);
}

#[cfg(unix)]
#[test]
fn a_cache_that_others_may_use_is_not_trusted_and_no_error() {
    let (engine, folder) = (Engine::new().unwrap(), tempfile::tempdir().unwrap());
    let cache = folder.path().join("cache");
    engine.load_cached(&guest(), &cache).unwrap();
    let [file] = files(&cache).try_into().unwrap();
    // Nothing is read of it, so it does not matter what stands in it.
    for mode in [0o777, 0o750, 0o701] {
        restrict(&cache, mode);
        fs::write(&file, "spoilt").unwrap();
        engine.load_cached(&guest(), &cache).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"spoilt", "{mode:o}");
    }
    restrict(&cache, 0o700);
    restrict(&file, 0o660);
    engine.load_cached(&guest(), &cache).unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&cache, &link).unwrap();
    fs::write(&file, "spoilt").unwrap();
    engine.load_cached(&guest(), &link).unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"spoilt", "through a link");
    // A folder that cannot be made.
    engine.load_cached(&guest(), &guest().join("cache")).unwrap();
    assert!(matches!(engine.load_cached("/no/such.wasm".as_ref(), &cache), Err(LoadError::Unreadable { .. })));
}

#[cfg(unix)]
fn restrict(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(not(unix))]
fn restrict(_: &Path, _: u32) {}
