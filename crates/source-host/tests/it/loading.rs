//! Which files are components of the contract.

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
