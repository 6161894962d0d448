//! How long making a component ready takes.

use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use source_host::{Engine, Limits, Source};

use crate::component::{runtime, wasm};
use crate::config;
use crate::sample::{median, tell};
use crate::usage;

const REPETITIONS: u32 = 7;

/// Medians, in seconds.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Start {
    /// On the wall, until a compiled component can be instantiated.
    pub(crate) compiled: f64,
    /// Its CPU time: compiling uses all cores.
    pub(crate) compiled_cpu: f64,
    /// On the wall, with native code that was compiled before.
    pub(crate) precompiled: f64,
    /// On the wall, an instance and its first call, `plan`.
    pub(crate) instance: f64,
    /// The native code, in bytes.
    pub(crate) native_bytes: u64,
}

/// Times both ways.
pub(crate) fn run(path: &Path) -> anyhow::Result<()> {
    let engine = Engine::new().map_err(wasm)?;
    let (limits, config) = (Limits::default(), config::source(1, ""));
    let runtime = runtime()?;
    let (mut compiled, mut compiled_cpu, mut precompiled, mut instance) = (vec![], vec![], vec![], vec![]);
    let mut native_bytes = 0;
    for _ in 0..REPETITIONS {
        let (since, cpu) = (Instant::now(), usage::own_cpu()?);
        let component = engine.load(path)?;
        compiled.push(since.elapsed().as_secs_f64());
        compiled_cpu.push((usage::own_cpu()? - cpu).as_secs_f64());

        let code = component.precompile().map_err(wasm)?;
        native_bytes = code.size() as u64;
        drop(component);
        let since = Instant::now();
        let component = engine.load_precompiled("precompiled", &code)?;
        precompiled.push(since.elapsed().as_secs_f64());

        let since = Instant::now();
        let planned = runtime.block_on(Source::plan(&component, &config, &limits))?;
        anyhow::ensure!(planned.is_ok(), "the configuration is not valid: {planned:?}");
        instance.push(since.elapsed().as_secs_f64());
    }
    tell(&Start {
        compiled: median(compiled),
        compiled_cpu: median(compiled_cpu),
        precompiled: median(precompiled),
        instance: median(instance),
        native_bytes,
    })
}
