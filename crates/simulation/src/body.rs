//! An answer on its way: its bytes, in chunks, and how it ends.

use defender_core::http::{TransportFailure, TransportFailureKind};
use defender_core::tick::TICKS_PER_SECOND;

use crate::clock::Clock;
use crate::random::Random;

/// A body that is being sent.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    bytes: Vec<u8>,
    sent: usize,
    ending: Ending,
    chunk: usize,
    /// Whether one chunk may still keep the reader waiting.
    may_pause: bool,
    random: Random,
}

/// What comes after the last byte.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    End,
    Breaks,
    Stalls,
}

/// What the next read of an answer brings.
#[derive(Debug)]
pub enum Piece {
    /// Some bytes.
    Chunk(Vec<u8>),
    /// Its end.
    End,
    /// It broke off.
    Failed(TransportFailure),
}

impl Body {
    /// A body that comes in chunks of at most so many bytes.
    pub(crate) fn new(bytes: Vec<u8>, ending: Ending, chunk: usize, random: Random) -> Self {
        // One byte at a time is slow, and as telling with a short body.
        let chunk = if bytes.len() > 3000 { chunk.max(400) } else { chunk.max(1) };
        Self { bytes, sent: 0, ending, chunk, may_pause: true, random }
    }

    pub(crate) fn is_byte_by_byte(&self) -> bool {
        self.chunk == 1 && !self.bytes.is_empty()
    }

    pub(crate) fn next(&mut self, clock: &mut Clock) -> Piece {
        if self.may_pause && self.random.chance(20) {
            self.may_pause = false;
            clock.advance(TICKS_PER_SECOND);
        }
        let rest = self.bytes.get(self.sent..).unwrap_or_default();
        if rest.is_empty() {
            return match self.ending {
                Ending::End => Piece::End,
                Ending::Breaks => Piece::Failed(failure(TransportFailureKind::Broken)),
                Ending::Stalls => {
                    clock.advance(60 * TICKS_PER_SECOND);
                    Piece::Failed(failure(TransportFailureKind::Timeout))
                }
            };
        }
        let length = (1 + self.random.index(self.chunk)).min(rest.len());
        let chunk = rest[..length].to_vec();
        self.sent += length;
        Piece::Chunk(chunk)
    }
}

pub(crate) fn failure(kind: TransportFailureKind) -> TransportFailure {
    TransportFailure { kind, detail: "of the model".to_owned() }
}
