//! Linear memories that a test can read after a component wrote to them.

#![allow(unsafe_code, reason = "wasmtime's interface for memories of a host is unsafe")]

use std::cell::UnsafeCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use source_host::{Component, Engine, Precompiled};
use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

use crate::setup::guest;

/// What a memory may grow to, in bytes: the limit that an instance has.
const CAPACITY: usize = 64 << 20;

/// All memories of an engine, those of instances that are gone included.
#[derive(Clone, Default)]
pub(crate) struct Memories(Arc<Mutex<Vec<Arc<Memory>>>>);

struct Memory {
    bytes: UnsafeCell<Box<[u8]>>,
    size: AtomicUsize,
}

// SAFETY: only the instance writes to it, and the tests read while none runs.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

/// The memory as the instance has it.
struct Lent(Arc<Memory>);

impl Memories {
    /// The test component on these memories.
    pub(crate) fn component(&self) -> Component {
        self.component_of(&guest())
    }

    /// Another component on them. Each is compiled once for all tests.
    pub(crate) fn component_of(&self, file: &Path) -> Component {
        static COMPILED: Mutex<BTreeMap<PathBuf, Precompiled>> = Mutex::new(BTreeMap::new());
        let mut compiled = COMPILED.lock().unwrap();
        let code =
            compiled.entry(file.to_owned()).or_insert_with(|| self.engine().load(file).unwrap().precompile().unwrap());
        self.engine().load_precompiled("component", code).unwrap()
    }

    fn engine(&self) -> Engine {
        let mut config = wasmtime::Config::new();
        // Without guard pages every access is checked, so that any piece of the heap does.
        config.memory_reservation(0).memory_guard_size(0).memory_reservation_for_growth(0).memory_init_cow(false);
        config.with_host_memory(Arc::new(self.clone()));
        Engine::with_config(config).unwrap()
    }

    /// Whether any of them holds these bytes. No instance may be running.
    pub(crate) fn hold(&self, bytes: impl AsRef<[u8]>) -> bool {
        let memories = self.0.lock().unwrap();
        assert!(!memories.is_empty(), "there are no memories");
        memories.iter().any(|memory| {
            // SAFETY: no instance runs, so nobody writes.
            let all = unsafe { &*memory.bytes.get() };
            memchr::memmem::find(&all[..memory.size.load(Ordering::Acquire)], bytes.as_ref()).is_some()
        })
    }
}

// SAFETY: a memory is zeroed, never moves, and is as large as it says.
unsafe impl MemoryCreator for Memories {
    fn new_memory(
        &self,
        _: MemoryType,
        minimum: usize,
        _: Option<usize>,
        _: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        assert!(guard == 0 && minimum <= CAPACITY);
        let bytes = UnsafeCell::new(vec![0; CAPACITY].into_boxed_slice());
        let memory = Arc::new(Memory { bytes, size: AtomicUsize::new(minimum) });
        self.0.lock().unwrap().push(Arc::clone(&memory));
        Ok(Box::new(Lent(memory)))
    }
}

// SAFETY: as above.
unsafe impl LinearMemory for Lent {
    fn byte_size(&self) -> usize {
        self.0.size.load(Ordering::Acquire)
    }

    fn byte_capacity(&self) -> usize {
        CAPACITY
    }

    fn grow_to(&mut self, size: usize) -> wasmtime::Result<()> {
        wasmtime::ensure!(size <= CAPACITY, "the memories of this test end at {CAPACITY} bytes");
        self.0.size.store(size, Ordering::Release);
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        // SAFETY: the slice itself is never replaced.
        unsafe { (*self.0.bytes.get()).as_mut_ptr() }
    }
}
