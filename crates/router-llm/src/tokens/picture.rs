//! The size of a picture, from the first bytes of its base64, and what pictures and documents take.

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// What is read of a picture before its size is given up on: cameras write their notes before it.
const HEAD_BYTES: usize = 192 << 10;

/// What is read at first, which is enough for most.
const FIRST_BYTES: usize = 3 << 10;

/// Lenient at the end, because only the beginning is decoded.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What a base64 text holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    /// A picture, with its size where that could be read.
    Picture(Option<Size>),
    /// A PDF document of so many bytes.
    Pdf(u64),
}

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) width: u32,
    pub(super) height: u32,
}

/// What a JSON string holds, if it is the base64 of a picture or a document, alone or behind `data:...;base64,`.
pub(super) fn payload(string: &[u8]) -> Option<Payload> {
    let base64 = match string.strip_prefix(b"data:") {
        Some(url) => url.get(memchr::memchr(b',', url)? + 1..)?,
        None => string,
    };
    let head = decoded(base64, FIRST_BYTES);
    if head.starts_with(b"%PDF") {
        return Some(Payload::Pdf(base64.len() as u64 / 4 * 3));
    }
    if !is_picture(&head) {
        return None;
    }
    let size = size(&head).or_else(|| size(&decoded(base64, HEAD_BYTES)));
    Some(Payload::Picture(size))
}

/// The first bytes that a base64 text stands for. Some programs escape its slashes.
fn decoded(base64: &[u8], bytes: usize) -> Vec<u8> {
    let letters = base64.iter().copied().filter(|byte| *byte != b'\\').take(bytes.div_ceil(3) * 4);
    let mut letters: Vec<u8> =
        letters.take_while(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(byte)).collect();
    letters.truncate(letters.len() / 4 * 4);
    BASE64.decode(letters).unwrap_or_default()
}

fn is_picture(head: &[u8]) -> bool {
    head.starts_with(b"\x89PNG")
        || head.starts_with(&[0xFF, 0xD8, 0xFF])
        || head.starts_with(b"GIF8")
        || (head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP"))
}

fn size(head: &[u8]) -> Option<Size> {
    match head {
        [0x89, b'P', b'N', b'G', ..] => Some(Size { width: big(head, 16, 4)?, height: big(head, 20, 4)? }),
        [b'G', b'I', b'F', ..] => Some(Size { width: little(head, 6, 2)?, height: little(head, 8, 2)? }),
        [b'R', b'I', b'F', b'F', ..] => webp(head),
        _ => jpeg(head),
    }
}

/// WebP: lossy (VP8), lossless (VP8L) and extended (VP8X) files keep it in different places.
fn webp(head: &[u8]) -> Option<Size> {
    match head.get(12..16)? {
        b"VP8 " => Some(Size { width: little(head, 26, 2)? & 0x3FFF, height: little(head, 28, 2)? & 0x3FFF }),
        b"VP8L" => {
            let bits = little(head, 21, 4)?;
            Some(Size { width: (bits & 0x3FFF) + 1, height: (bits >> 14 & 0x3FFF) + 1 })
        }
        b"VP8X" => Some(Size { width: little(head, 24, 3)? + 1, height: little(head, 27, 3)? + 1 }),
        _ => None,
    }
}

/// JPEG: in the segment that begins the frame (SOF0 to SOF15, without DHT, JPG and DAC, which lie between them).
fn jpeg(head: &[u8]) -> Option<Size> {
    let mut at = 2;
    loop {
        let [0xFF, marker, ..] = head.get(at..)? else { return None };
        if matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC) {
            return Some(Size { width: big(head, at + 7, 2)?, height: big(head, at + 5, 2)? });
        }
        at += 2 + usize::try_from(big(head, at + 2, 2)?).ok()?;
    }
}

fn big(bytes: &[u8], at: usize, length: usize) -> Option<u32> {
    Some(bytes.get(at..at + length)?.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
}

fn little(bytes: &[u8], at: usize, length: usize) -> Option<u32> {
    Some(bytes.get(at..at + length)?.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte)))
}

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_STANDARD;

    use super::*;

    fn of(head: &[u8]) -> Option<Payload> {
        payload(BASE64_STANDARD.encode([head, &[0; 400]].concat()).as_bytes())
    }

    #[test]
    fn sizes_are_read_where_each_format_keeps_them() {
        let size = |width, height| Some(Payload::Picture(Some(Size { width, height })));
        let jpeg_with_notes =
            [&[0xFF, 0xD8, 0xFF, 0xE1, 0x20, 0x02][..], &[0; 0x2000], b"\xFF\xC2\0\x11\x08\x03\0\x04\0"].concat();
        let table: [(&[u8], _); 9] = [
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x04\0\0\0\x03\0", size(1024, 768)),
            (b"GIF89a\x40\x01\xC8\0", size(320, 200)),
            (b"\xFF\xD8\xFF\xE0\0\x04\0\0\xFF\xC0\0\x11\x08\x03\0\x04\0", size(1024, 768)),
            (&jpeg_with_notes, size(1024, 768)),
            (b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9D\x01\x2A\0\x04\0\x03", size(1024, 768)),
            (b"RIFF\0\0\0\0WEBPVP8X\0\0\0\0\0\0\0\0\xFF\x03\0\xFF\x02\0", size(1024, 768)),
            (b"\xFF\xD8\xFF\xE0\0\x04\0\0\x12\x34", Some(Payload::Picture(None))),
            (b"%PDF-1.7\n", Some(Payload::Pdf(411))),
            (b"Plain text that somebody encoded.", None),
        ];
        for (head, expect) in table {
            assert_eq!(of(head), expect, "{:?}", head.get(..12));
        }
    }

    #[test]
    fn a_picture_is_known_behind_its_address_and_with_escaped_slashes() {
        let png =
            BASE64_STANDARD.encode([&b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x04\0\0\0\x03\0"[..], &[0xFF; 90]].concat());
        let size = Some(Payload::Picture(Some(Size { width: 1024, height: 768 })));
        assert_eq!(payload(format!("data:image/png;base64,{png}").as_bytes()), size);
        assert_eq!(payload(png.replace('/', "\\/").as_bytes()), size);
        assert_eq!(payload(b"data:text/plain;base64,aGVsbG8="), None);
        assert_eq!(payload(b"data:image/png;base64,"), None);
        assert_eq!(payload(b""), None);
    }
}
