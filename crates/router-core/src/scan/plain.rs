//! The inner loop: how far a string goes on before a byte needs a look.

const ONES: u64 = u64::MAX / 255;
const HIGH: u64 = ONES << 7;

/// How many bytes from the beginning need no look in a string: up to a quote, a backslash or a control character.
///
/// Most strings are short, so the beginning is read by eights. What is longer than that, such as prose or an image, is
/// read in blocks, whose loop the compiler turns into vectors.
#[inline]
pub fn plain(bytes: &[u8]) -> usize {
    const NEAR: usize = 16;
    match bytes.split_at_checked(NEAR) {
        Some((near, far)) => match by_eights(near) {
            NEAR => NEAR + by_blocks(far),
            found => found,
        },
        None => by_eights(bytes),
    }
}

/// `word - 0x20..` borrows into the high bit of a byte below 0x20. A borrow only ever reaches upwards, so the lowest high
/// bit is right.
#[inline]
fn by_eights(bytes: &[u8]) -> usize {
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word;
    let (words, tail) = bytes.as_chunks::<8>();
    for (place, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let special = (below(word ^ (ONES * 2), 0x21) | below(word ^ (ONES * 0x5c), 1)) & HIGH;
        if special != 0 {
            return place * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    bytes.len() - tail.len() + tail.iter().position(|byte| is_special(*byte)).unwrap_or(tail.len())
}

#[inline(never)]
fn by_blocks(bytes: &[u8]) -> usize {
    let (blocks, _) = bytes.as_chunks::<32>();
    let is_plain = |block: &&[u8; 32]| !block.iter().fold(false, |special, byte| special | is_special(*byte));
    let passed = blocks.iter().take_while(is_plain).count() * 32;
    passed + by_eights(bytes.get(passed..).unwrap_or_default())
}

/// A quote and the control characters are told by one comparison: the second bit turned, a quote is 0x20 and all control
/// characters are still below that.
const fn is_special(byte: u8) -> bool {
    byte ^ 2 <= 0x20 || byte == b'\\'
}
