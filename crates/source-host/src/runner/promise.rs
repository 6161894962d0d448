//! What a component promises of its batches.

use super::RunOptions;
use crate::bindings::Batch;

/// How a checkpoint does, that of a batch or of a failure.
pub(super) fn broken_by(checkpoint: &str, options: &RunOptions) -> Option<String> {
    let (length, most) = (checkpoint.len(), options.max_checkpoint_bytes);
    (length > most as usize).then(|| format!("its checkpoint has {length} bytes, and it promises at most {most}"))
}

/// How a batch breaks a promise without which nothing of it can be delivered or stored.
pub(super) fn broken(batch: &Batch, options: &RunOptions) -> Option<String> {
    if let Some(broken) = broken_by(&batch.checkpoint, options) {
        return Some(broken);
    }
    let nameless = batch.events.iter().filter(|event| event.key.is_empty()).count()
        + batch.gaps.iter().filter(|gap| gap.key.is_empty()).count();
    (nameless > 0)
        .then(|| format!("{nameless} of its events and gaps have an empty key, and no sink could tell them apart"))
}
