//! Lines out of a stream of bytes, bounded: a line that is too long is skipped, and the next one is whole again.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest line, in bytes.
pub(crate) const LINE_MAX: usize = 16 * 1024 * 1024;
/// How much is asked of the pipe at a time.
const CHUNK: usize = 64 * 1024;
/// Below this a line is copied: as a slice it would keep a whole chunk alive for as long as somebody keeps the line.
const SLICE_FROM: usize = 32 * 1024;
/// What is kept of each end of a line that is too long.
const EDGE: usize = 128;

/// One line, without its line feed.
#[derive(Debug, PartialEq)]
pub(crate) enum Line {
    Whole(Bytes),
    /// Longer than the cap: only its ends are known.
    TooLong(Edges),
}

/// The ends of a line.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Edges {
    pub(crate) head: Vec<u8>,
    pub(crate) tail: Vec<u8>,
}

impl Edges {
    /// The ends of a piece that is all there.
    pub(crate) fn of(line: &[u8]) -> Self {
        let mut edges = Self::default();
        edges.add(line);
        edges
    }

    fn add(&mut self, piece: &[u8]) {
        let head = EDGE.saturating_sub(self.head.len()).min(piece.len());
        self.head.extend_from_slice(piece.get(..head).unwrap_or_default());
        self.tail.extend_from_slice(piece.get(piece.len().saturating_sub(EDGE)..).unwrap_or_default());
        let excess = self.tail.len().saturating_sub(EDGE);
        self.tail.drain(..excess);
    }
}

/// Reads lines.
pub(crate) struct Lines<R> {
    input: R,
    buffer: BytesMut,
    /// How much of the buffer is known to hold no line feed.
    searched: usize,
    /// Set while a line that is too long goes by.
    skipped: Option<Edges>,
    max: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(crate) fn new(input: R, max: usize) -> Self {
        Self { input, buffer: BytesMut::new(), searched: 0, skipped: None, max }
    }

    /// The next line; at the end of the stream what is left of it, then `None`.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            if let Some(line) = self.take() {
                return Ok(Some(line));
            }
            if self.buffer.len() > self.max {
                self.skip();
            }
            if self.buffer.is_empty() && self.buffer.capacity() > 4 * CHUNK {
                self.buffer = BytesMut::new();
            }
            self.buffer.reserve(CHUNK);
            if self.input.read_buf(&mut self.buffer).await? == 0 {
                return Ok(self.rest());
            }
        }
    }

    /// What the stream ended with, where that was no line feed.
    fn rest(&mut self) -> Option<Line> {
        let rest = std::mem::take(&mut self.buffer);
        self.searched = 0;
        match self.skipped.take() {
            Some(mut edges) => {
                edges.add(&rest);
                Some(Line::TooLong(edges))
            }
            None => (!rest.is_empty()).then(|| Line::Whole(rest.freeze())),
        }
    }

    fn take(&mut self) -> Option<Line> {
        let fresh = self.buffer.get(self.searched..)?;
        let Some(found) = memchr::memchr(b'\n', fresh) else {
            self.searched = self.buffer.len();
            return None;
        };
        let length = self.searched + found;
        self.searched = 0;
        if self.skipped.is_some() || length > self.max {
            return Some(Line::TooLong(self.finish(length)));
        }
        let line = if length < SLICE_FROM {
            let line = Bytes::copy_from_slice(self.buffer.get(..length)?);
            self.buffer.advance(length);
            line
        } else {
            self.buffer.split_to(length).freeze()
        };
        self.buffer.advance(1);
        Some(Line::Whole(line))
    }

    fn finish(&mut self, length: usize) -> Edges {
        let mut edges = self.skipped.take().unwrap_or_default();
        edges.add(self.buffer.get(..length).unwrap_or_default());
        self.buffer.advance(length + 1);
        edges
    }

    fn skip(&mut self) {
        self.skipped.get_or_insert_default().add(&self.buffer);
        self.buffer.clear();
        self.searched = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    async fn all(mut lines: Lines<impl AsyncRead + Unpin>) -> Vec<Line> {
        let mut found = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            found.push(line);
        }
        found
    }

    fn whole(line: &str) -> Line {
        Line::Whole(Bytes::copy_from_slice(line.as_bytes()))
    }

    fn block<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    /// The same bytes in pieces of the given sizes.
    fn pieces(text: &[u8], sizes: &[usize]) -> impl AsyncRead + Unpin {
        let mut builder: Box<dyn AsyncRead + Unpin> = Box::new(tokio::io::empty());
        let mut at = 0;
        for size in sizes.iter().copied().chain([text.len()]) {
            let end = (at + size).min(text.len());
            builder = Box::new(builder.chain(io::Cursor::new(text[at..end].to_vec())));
            at = end;
        }
        builder
    }

    #[tokio::test]
    async fn finds_lines() {
        let lines = Lines::new(&b"a\n\nbc\r\n{}"[..], 10);
        assert_eq!(all(lines).await, [whole("a"), whole(""), whole("bc\r"), whole("{}")]);
    }

    #[tokio::test]
    async fn a_line_at_the_cap_passes_and_one_above_is_skipped() {
        let text = format!("{}\n{}\nnext\n", "x".repeat(1000), "y".repeat(1001));
        let found = all(Lines::new(text.as_bytes(), 1000)).await;
        let edges = Edges { head: vec![b'y'; EDGE], tail: vec![b'y'; EDGE] };
        assert_eq!(found, [whole(&"x".repeat(1000)), Line::TooLong(edges), whole("next")]);
    }

    #[tokio::test]
    async fn memory_stays_bounded_under_a_line_without_end() {
        let endless = tokio::io::repeat(b'z').take(64 * 1024 * 1024).chain(&b"\nok\n"[..]);
        let mut lines = Lines::new(endless, 1024 * 1024);
        let first = lines.next().await.unwrap().unwrap();
        assert_eq!(first, Line::TooLong(Edges { head: vec![b'z'; EDGE], tail: vec![b'z'; EDGE] }));
        assert!(lines.buffer.capacity() <= 4 * 1024 * 1024, "{}", lines.buffer.capacity());
        assert_eq!(lines.next().await.unwrap(), Some(whole("ok")));
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(text in "[ab\n\r]{0,60}", sizes in prop::collection::vec(0_usize..7, 0..20)) {
            let expected = block(all(Lines::new(text.as_bytes(), 9)));
            let found = block(all(Lines::new(pieces(text.as_bytes(), &sizes), 9)));
            prop_assert_eq!(found, expected);
        }
    }
}
