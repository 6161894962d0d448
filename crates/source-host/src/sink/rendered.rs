//! A batch as lines, each event and gap one.

use std::ops::Range;

use super::line::{Shape, push_event, push_gap};
use crate::bindings::Batch;

/// The lines of a batch.
pub(super) struct Rendered {
    pub(super) lines: Vec<u8>,
    /// Where each line ends, its line break included.
    pub(super) ends: Vec<usize>,
    /// Gaps that have no place among bare records.
    pub(super) apart: Vec<u8>,
}

impl Rendered {
    pub(super) fn of(source: &str, batch: &Batch, shape: Shape) -> Self {
        let (mut lines, mut apart) = (Vec::with_capacity(batch.events.len() * 2_048), Vec::new());
        let mut ends = Vec::with_capacity(batch.events.len() + batch.gaps.len());
        for event in &batch.events {
            push_event(&mut lines, shape, source, event);
            lines.push(b'\n');
            ends.push(lines.len());
        }
        for gap in &batch.gaps {
            if shape == Shape::Bare {
                push_gap(&mut apart, source, gap);
                apart.push(b'\n');
            } else {
                push_gap(&mut lines, source, gap);
                lines.push(b'\n');
                ends.push(lines.len());
            }
        }
        Self { lines, ends, apart }
    }

    /// Where a line begins.
    pub(super) fn start(&self, index: usize) -> usize {
        index.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    /// The bytes of some lines, with the last line break.
    pub(super) fn slice(&self, lines: &Range<usize>) -> &[u8] {
        &self.lines[self.start(lines.start)..self.start(lines.end)]
    }

    /// All lines in as few parts as limits allow. A line that is over the limit is a part by itself.
    pub(super) fn parts(&self, max_bytes: usize, max_lines: usize) -> Vec<Range<usize>> {
        let mut parts = Vec::new();
        let mut start = 0;
        while start < self.ends.len() {
            let most = self.start(start).saturating_add(max_bytes);
            let fit = self.ends[start..].partition_point(|&end| end <= most).clamp(1, max_lines.max(1));
            parts.push(start..start + fit);
            start += fit;
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_keep_to_both_limits_and_leave_nothing_out() {
        let rendered = Rendered { lines: vec![b'x'; 100], ends: vec![10, 20, 80, 90, 100], apart: Vec::new() };
        assert_eq!(rendered.parts(20, 10), [0..2, 2..3, 3..5]);
        assert_eq!(rendered.parts(1_000, 2), [0..2, 2..4, 4..5]);
        assert_eq!(rendered.parts(0, 0), [0..1, 1..2, 2..3, 3..4, 4..5]);
        assert_eq!((rendered.slice(&(2..4)).len(), rendered.slice(&(0..1)).len()), (70, 10));
    }
}
