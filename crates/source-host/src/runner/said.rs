//! What a component says to the operator.

use crate::bindings::{Batch, Budget, Diagnostic, Level};

/// What a batch says, and where it does not keep to the contract.
pub(super) fn batch(source: &str, batch: &Batch, budget: &Budget) {
    for notice in &batch.notices {
        report(source, notice);
    }
    for gap in &batch.gaps {
        let cause = crate::sink::cause(&gap.cause);
        tracing::warn!(source, cause, kind = gap.kind, "a gap: {}", gap.detail);
    }
    let bytes: usize = batch.events.iter().map(|event| event.body.as_bytes().len()).sum();
    if batch.events.len() > budget.max_events as usize || bytes as u64 > budget.max_bytes {
        tracing::warn!(source, events = batch.events.len(), bytes, "the component passed its budget");
    }
    tracing::debug!(source, events = batch.events.len(), bytes, counters = ?batch.counters, next = ?batch.next, "batch");
}

/// Tells the operator what a component has to say.
pub fn report(source: &str, diagnostic: &Diagnostic) {
    let Diagnostic { level, code, pointer, message, hint } = diagnostic;
    let (pointer, hint) = (pointer.as_deref(), hint.as_deref());
    match level {
        Level::Error => tracing::error!(source, code, pointer, hint, "{message}"),
        Level::Warning => tracing::warn!(source, code, pointer, hint, "{message}"),
        Level::Note => tracing::info!(source, code, pointer, hint, "{message}"),
    }
}
