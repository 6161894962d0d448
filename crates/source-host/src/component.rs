//! A compiled component of the contract.

use std::io;
use std::path::Path;

use wasmtime::component::types::ComponentItem;

use crate::bindings::SourceHostPre;
use crate::cache;
use crate::engine::{Engine, LoadError};
use crate::instance::State;

/// The package families that a source may import.
const MANIFEST: [&str; 3] = ["wasi:http/", "wasi:io/", "wasi:clocks/"];

const CONTRACT: &str = "pipeline:source/source@0.1.";

/// A compiled component, ready to be instantiated any number of times. Cheap to clone.
#[derive(Clone)]
pub struct Component {
    engine: Engine,
    name: String,
    imports: Vec<String>,
    pre: SourceHostPre<State>,
}

/// What compiling made: native code for this machine, which an engine takes without compiling again.
///
/// It can only be had from a [`Component`], since an engine runs whatever stands in it.
#[derive(Clone)]
pub struct Precompiled(Vec<u8>);

impl Precompiled {
    /// How large it is, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Component {
    pub(crate) fn compile(engine: &Engine, name: &str, bytes: &[u8]) -> Result<Self, LoadError> {
        let no_component = |reason: String| LoadError::NotAComponent { name: name.to_owned(), reason };
        if let Some(reason) = other_format(bytes) {
            return Err(no_component(reason.to_owned()));
        }
        let component = wasmtime::component::Component::new(engine.wasmtime(), bytes)
            .map_err(|error| no_component(format!("{error:#}")))?;
        Self::link(engine, name, &component)
    }

    pub(crate) fn deserialize(engine: &Engine, name: &str, precompiled: &Precompiled) -> Result<Self, LoadError> {
        #[expect(unsafe_code, reason = "sound for bytes that `serialize` made, and a `Precompiled` holds no others")]
        let component = unsafe { wasmtime::component::Component::deserialize(engine.wasmtime(), &precompiled.0) };
        let component =
            component.map_err(|error| LoadError::Mismatch { name: name.to_owned(), reason: format!("{error:#}") })?;
        Self::link(engine, name, &component)
    }

    /// What stands in a file of a cache that nobody else can write to; none where that is of no use.
    pub(crate) fn cached(engine: &Engine, name: &str, file: &Path) -> Option<Result<Self, LoadError>> {
        match cache::why_not(file) {
            Ok(None) => {}
            Ok(Some(reason)) => {
                tracing::warn!("compiled code is not taken from the cache: {reason}");
                return None;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::debug!(file = %file.display(), "compiled code is not taken from the cache: {error}");
                return None;
            }
        }
        // Mapped, so that only what runs takes memory.
        #[expect(
            unsafe_code,
            reason = "sound for a file that `serialize` made, and none but this user can have made it"
        )]
        let component = unsafe { wasmtime::component::Component::deserialize_file(engine.wasmtime(), file) };
        match component {
            Ok(component) => Some(Self::link(engine, name, &component)),
            Err(error) => {
                tracing::warn!(file = %file.display(), "the cached code is of no use, so {name} is compiled again: {error:#}");
                None
            }
        }
    }

    fn link(engine: &Engine, name: &str, component: &wasmtime::component::Component) -> Result<Self, LoadError> {
        let name = name.to_owned();
        let wasmtime = engine.wasmtime();
        let shape = component.component_type();
        let exports: Vec<String> = shape.exports(wasmtime).map(|(name, _)| name.to_owned()).collect();
        if !exports.iter().any(|export| export.starts_with(CONTRACT)) {
            return Err(LoadError::OtherWorld { name, exports });
        }
        let imports: Vec<String> = shape
            .imports(wasmtime)
            .filter(|(_, item)| !matches!(item.ty, ComponentItem::Type(_)))
            .map(|(name, _)| name.to_owned())
            .collect();
        let foreign: Vec<String> = imports
            .iter()
            .filter(|import| !MANIFEST.iter().any(|family| import.starts_with(family)))
            .cloned()
            .collect();
        if !foreign.is_empty() {
            return Err(LoadError::Imports { name, imports: foreign });
        }
        let mismatch =
            |error: wasmtime::Error| LoadError::Mismatch { name: name.clone(), reason: format!("{error:#}") };
        let pre = engine.linker().instantiate_pre(component).map_err(mismatch)?;
        let pre = SourceHostPre::new(pre).map_err(mismatch)?;
        Ok(Self { engine: engine.clone(), name, imports, pre })
    }

    /// The file or name that it was loaded by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Everything that it imports, as it stands in the component, versions included.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// The compiled code, for [`Engine::load_precompiled`].
    ///
    /// # Errors
    ///
    /// wasmtime cannot write it.
    pub fn precompile(&self) -> wasmtime::Result<Precompiled> {
        self.pre.instance_pre().component().serialize().map(Precompiled)
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn pre(&self) -> &SourceHostPre<State> {
        &self.pre
    }
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Component").field("name", &self.name).field("imports", &self.imports).finish_non_exhaustive()
    }
}

/// What a file is that is no component, as far as its first bytes tell.
fn other_format(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Some("it is a core module"),
        [0, b'a', b's', b'm', _, _, 1, 0, ..] => None,
        [0, b'a', b's', b'm', ..] => Some("it is WebAssembly of a version that nobody knows"),
        [] => Some("it is empty"),
        _ => Some("it does not begin as WebAssembly does"),
    }
}
