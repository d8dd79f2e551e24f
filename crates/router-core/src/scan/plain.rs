//! The inner loop: how far a string goes on before a byte needs a look.

const ONES: u64 = u64::MAX / 255;
const HIGH: u64 = ONES << 7;

/// How many bytes from the beginning need no look in a string: up to a quote, a backslash or a control character.
///
/// Eight bytes at a time: `word - 0x20..` borrows into the high bit of a byte below 0x20, and a byte that equals another
/// is zero when the two are put together by exclusive or. A borrow only ever reaches upwards, so the lowest high bit is
/// right.
#[inline]
pub(super) fn plain(bytes: &[u8]) -> usize {
    let (words, tail) = bytes.as_chunks::<8>();
    for (place, word) in words.iter().enumerate() {
        let special = special(u64::from_le_bytes(*word));
        if special != 0 {
            return place * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | ..0x20);
    bytes.len() - tail.len() + tail.iter().position(special).unwrap_or(tail.len())
}

#[inline]
fn special(word: u64) -> u64 {
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
    let below = word.wrapping_sub(ONES * 0x20) & !word;
    (below | zeros(word ^ (ONES * 0x22)) | zeros(word ^ (ONES * 0x5c))) & HIGH
}
