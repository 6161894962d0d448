//! What one instance may use of the machine.

use std::time::Duration;

use wasmtime::ResourceLimiter;

use crate::transport::Timeouts;

/// What one instance may use of the machine. The defaults suit a source that polls an API.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Linear memory, all of an instance's memories together, in bytes.
    pub memory_bytes: usize,
    /// Linear memory that an instance may keep while its source waits for the next poll, in bytes. Memory never shrinks, so
    /// an instance that grew beyond it is thrown away, and the next one signs in again.
    pub idle_memory_bytes: usize,
    /// How long one call may take, waiting included.
    pub call: Duration,
    /// How long one call may compute, waiting excluded.
    pub cpu: Duration,
    /// What one crossing between host and guest may copy, in bytes. A poll raises it to what its budget needs.
    pub copied_bytes: usize,
    /// Handles that an instance may hold: streams, requests, timers.
    pub handles: usize,
    /// Headers of one request or answer, in bytes.
    pub header_bytes: usize,
    /// The body of one answer, decoded, in bytes.
    pub body_bytes: u64,
    /// The longest waits that a component may ask for.
    pub timeouts: Timeouts,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            idle_memory_bytes: 2 << 20,
            call: Duration::from_secs(300),
            cpu: Duration::from_secs(60),
            copied_bytes: 32 << 20,
            handles: 1_000,
            header_bytes: 64 << 10,
            body_bytes: 4 << 30,
            timeouts: Timeouts::default(),
        }
    }
}

/// Keeps an instance within its memory and remembers that it wanted more.
#[derive(Debug)]
pub(crate) struct Limiter {
    limit: usize,
    pub(crate) used: usize,
    pub(crate) exceeded: bool,
}

const TABLE_ELEMENTS: usize = 100_000;

impl Limiter {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, used: 0, exceeded: false }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.limit {
            self.exceeded = true;
            // A refusal in place of an error would reach the guest as a failed allocation, which aborts it without a
            // word.
            wasmtime::bail!("memory limit of {} bytes", self.limit);
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }

    // A component is a few core instances: the module itself and what glues it to its imports.
    fn instances(&self) -> usize {
        64
    }

    fn tables(&self) -> usize {
        64
    }

    fn memories(&self) -> usize {
        16
    }
}
