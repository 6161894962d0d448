//! Where in some bytes quotes, backslashes and control characters stand: what a JSON string is read by.

/// How many bytes are looked at together.
const BLOCK: usize = 64;

/// The special bytes of one block, which is kept since a block holds several strings.
pub(crate) struct Specials {
    block: usize,
    /// One bit for each byte of the block, the first one lowest.
    mask: u64,
}

impl Specials {
    /// None is known yet.
    pub(crate) fn new() -> Self {
        Self { block: usize::MAX, mask: 0 }
    }

    /// Where the first special byte from `from` on stands; the number of bytes where there is none. The bytes must be the
    /// same at each call.
    #[inline(always)]
    pub(crate) fn next(&mut self, bytes: &[u8], from: usize) -> usize {
        let mut block = from / BLOCK;
        let mut wanted = u64::MAX << (from % BLOCK);
        loop {
            if self.block != block {
                self.look_at(bytes, block);
            }
            let found = self.mask & wanted;
            if found != 0 {
                return block * BLOCK + found.trailing_zeros() as usize;
            }
            block += 1;
            wanted = u64::MAX;
            if block * BLOCK >= bytes.len() {
                return bytes.len();
            }
        }
    }

    // Called once for some three strings, so out of line: it is wanted in several places.
    #[inline(never)]
    fn look_at(&mut self, bytes: &[u8], block: usize) {
        let rest = bytes.get(block * BLOCK..).unwrap_or_default();
        self.block = block;
        self.mask = match rest.first_chunk() {
            Some(whole) => mask_of(whole),
            None => mask_of_few(rest),
        };
    }
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[inline]
fn mask_of(block: &[u8; BLOCK]) -> u64 {
    use core::arch::wasm32::{i8x16_bitmask, u8x16_eq, u8x16_le, u8x16_splat, u64x2, v128_or};

    let mask = |[low, high]: [[u8; 8]; 2]| {
        let bytes = u64x2(u64::from_le_bytes(low), u64::from_le_bytes(high));
        let is = |byte| u8x16_eq(bytes, u8x16_splat(byte));
        let is_special = v128_or(v128_or(is(b'"'), is(b'\\')), u8x16_le(bytes, u8x16_splat(0x1F)));
        u64::from(i8x16_bitmask(is_special))
    };
    let (words, _) = block.as_chunks::<8>();
    let [a, b, c, d, e, f, g, h] = words.first_chunk().copied().unwrap_or_default();
    mask([a, b]) | mask([c, d]) << 16 | mask([e, f]) << 32 | mask([g, h]) << 48
}

/// Compiles to comparisons of vectors where it is optimised for speed, which the component is not.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
#[inline]
fn mask_of(block: &[u8; BLOCK]) -> u64 {
    let marks = block.map(|byte| if matches!(byte, b'"' | b'\\' | 0..0x20) { 1_u8 } else { 0 });
    let (words, _) = marks.as_chunks::<8>();
    words.iter().rev().fold(0, |mask, word| {
        // Moves the lowest bit of each byte into the highest byte, side by side.
        mask << 8 | u64::from_le_bytes(*word).wrapping_mul(0x0102_0408_1020_4080) >> 56
    })
}

/// The last block, filled up with bytes that are not special.
#[cold]
fn mask_of_few(bytes: &[u8]) -> u64 {
    let mut block = [b' '; BLOCK];
    for (to, from) in block.iter_mut().zip(bytes) {
        *to = *from;
    }
    mask_of(&block)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_special_byte_is_found_wherever_it_stands_and_no_other_byte() {
        for length in [0, 1, 63, 64, 65, 130] {
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    let mut bytes = vec![b'~'; length];
                    bytes[at] = byte;
                    let is_special = matches!(byte, b'"' | b'\\' | 0..0x20);
                    let expected = if is_special { at } else { length };
                    assert_eq!(Specials::new().next(&bytes, 0), expected, "{byte} at {at} of {length}");
                    assert_eq!(Specials::new().next(&bytes, at + 1), length, "after {byte} at {at} of {length}");
                }
            }
        }
    }

    #[test]
    fn one_after_the_other_is_found_over_the_borders_of_blocks() {
        let bytes: Vec<u8> = (0..300_usize).map(|at| if at * at % 7 == 2 { b'"' } else { 0x80 }).collect();
        let mut specials = Specials::new();
        let mut from = 0;
        while from < bytes.len() {
            let expected = bytes[from..].iter().position(|byte| *byte == b'"').map_or(bytes.len(), |at| from + at);
            assert_eq!(specials.next(&bytes, from), expected);
            from = expected + 1;
        }
    }
}
