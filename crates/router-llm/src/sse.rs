//! Cuts a stream of bytes into whole events: server-sent events, or lines of JSON.

use std::borrow::Cow;

use bytes::{Buf as _, Bytes, BytesMut};
use memchr::{memchr, memchr2};
use router_core::{Error, Kind, Result};

use crate::dialect::Framing;

/// The longest event that is taken from an upstream, in bytes.
pub const MAX_EVENT: usize = 4 << 20;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Takes bytes as they arrive and gives whole events. However the bytes were cut, the events are the same.
///
/// Events that lie within one chunk are slices of it; only one that spans chunks is copied together.
#[derive(Debug)]
pub struct Splitter {
    framing: Framing,
    seam: Seam,
    /// The beginning of an event whose end has not come.
    carry: BytesMut,
    /// How much of the event at hand has passed.
    length: usize,
    started: bool,
}

impl Splitter {
    /// A splitter at the beginning of a stream.
    pub fn new(framing: Framing) -> Self {
        Self { framing, seam: Seam::default(), carry: BytesMut::new(), length: 0, started: false }
    }

    /// Takes a chunk and appends to `frames` what it completes: at most two frames, each of one or more whole events.
    pub fn push(&mut self, mut chunk: Bytes, frames: &mut Vec<Bytes>) -> Result<()> {
        if !self.carry.is_empty() {
            let Some(end) = self.end(&chunk)? else {
                self.carry.extend_from_slice(&chunk);
                return Ok(());
            };
            self.carry.extend_from_slice(&chunk.split_to(end));
            let whole = self.carry.split().freeze();
            self.emit(whole, frames);
        }
        let mut whole = 0;
        let outcome = loop {
            match self.end(chunk.get(whole..).unwrap_or_default()) {
                Ok(Some(end)) => whole += end,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        if whole > 0 {
            self.emit(chunk.split_to(whole), frames);
        }
        self.carry.extend_from_slice(&chunk);
        outcome
    }

    /// The stream has ended: the event that was never closed, closed.
    pub fn finish(&mut self) -> Option<Bytes> {
        let mut rest = self.carry.split();
        if rest.trim_ascii().is_empty() {
            return None;
        }
        match self.framing {
            Framing::Sse => {
                let missing = match self.seam.place {
                    Place::After => "",
                    Place::Between if rest.ends_with(b"\n") => "\n",
                    Place::Between | Place::Before | Place::Line => "\n\n",
                };
                rest.extend_from_slice(missing.as_bytes());
            }
            Framing::Ndjson => rest.extend_from_slice(b"\n"),
        }
        let mut frames = Vec::with_capacity(1);
        self.emit(rest.freeze(), &mut frames);
        frames.pop()
    }

    fn emit(&mut self, mut frame: Bytes, frames: &mut Vec<Bytes>) {
        if !self.started && frame.starts_with(BYTE_ORDER_MARK) {
            frame.advance(BYTE_ORDER_MARK.len());
        }
        self.started = true;
        frames.push(frame);
    }

    fn end(&mut self, bytes: &[u8]) -> Result<Option<usize>> {
        let end = self.seam.end(bytes, self.framing);
        let length = self.length + end.unwrap_or(bytes.len());
        if length > MAX_EVENT {
            return Err(Error::new(Kind::Protocol, format!("an event of the stream is longer than {MAX_EVENT} bytes")));
        }
        self.length = if end.is_some() { 0 } else { length };
        Ok(end)
    }
}

/// The events of a frame, in their order.
pub fn events(frame: &[u8], framing: Framing) -> impl Iterator<Item = &[u8]> {
    let mut rest = frame;
    std::iter::from_fn(move || {
        let end = Seam::default().end(rest, framing).unwrap_or(rest.len());
        let (event, after) = rest.split_at_checked(end)?;
        rest = after;
        (!event.is_empty()).then_some(event)
    })
}

/// Where in an event the scan stands.
#[derive(Debug, Default)]
struct Seam {
    place: Place,
    /// The last byte was a carriage return, to which a line feed may still belong.
    returned: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Place {
    /// Before the first line; blank lines here belong to the event that follows.
    #[default]
    Before,
    /// Within a line.
    Line,
    /// Between lines.
    Between,
    /// After the blank line.
    After,
}

impl Seam {
    /// The end of the event at hand; `None` when it lies beyond `bytes`, all of which are then part of the event.
    fn end(&mut self, bytes: &[u8], framing: Framing) -> Option<usize> {
        let end = match framing {
            Framing::Sse => self.blank_line(bytes)?,
            Framing::Ndjson => memchr(b'\n', bytes)? + 1,
        };
        *self = Self::default();
        Some(end)
    }

    fn blank_line(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        loop {
            let rest = bytes.get(at..)?;
            if self.returned {
                at += usize::from(*rest.first()? == b'\n');
                self.returned = false;
            }
            if self.place == Place::After {
                return Some(at);
            }
            let rest = bytes.get(at..)?;
            let Some(length) = memchr2(b'\n', b'\r', rest) else {
                self.place = if rest.is_empty() { self.place } else { Place::Line };
                return None;
            };
            self.place = match (self.place, length) {
                (Place::Before, 0) => Place::Before,
                (Place::Between | Place::After, 0) => Place::After,
                (Place::Line, _) | (_, 1..) => Place::Between,
            };
            self.returned = rest.get(length) == Some(&b'\r');
            at += length + 1;
        }
    }
}

/// What one server-sent event says.
#[derive(Debug, PartialEq)]
pub struct Said<'a> {
    /// Its `event` field; empty where it has none.
    pub name: &'a str,
    /// Its `data` lines, joined; borrowed when there is only one.
    pub data: Cow<'a, [u8]>,
}

/// Reads one event; `None` when it has no data (a comment, a retry time), which every client skips.
pub fn read(event: &[u8]) -> Option<Said<'_>> {
    let event = event.strip_prefix(BYTE_ORDER_MARK).unwrap_or(event);
    let mut name = "";
    let mut data: Option<Cow<'_, [u8]>> = None;
    for line in event.split(|byte| matches!(byte, b'\n' | b'\r')) {
        if let Some(value) = field(line, b"data") {
            data = Some(match data {
                None => Cow::Borrowed(value),
                Some(former) => Cow::Owned([&former, &b"\n"[..], value].concat()),
            });
        } else if let Some(value) = field(line, b"event") {
            name = std::str::from_utf8(value).unwrap_or_default();
        }
    }
    data.map(|data| Said { name, data })
}

fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    match line.strip_prefix(name)? {
        // Within the line all the same: whoever reads an event may ask where in it the data stands.
        [] => line.get(line.len()..),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(framing: Framing, chunks: &[&[u8]]) -> Result<Vec<Bytes>> {
        let mut splitter = Splitter::new(framing);
        let mut frames = Vec::new();
        for chunk in chunks {
            splitter.push(Bytes::copy_from_slice(chunk), &mut frames)?;
        }
        frames.extend(splitter.finish());
        Ok(frames.iter().flat_map(|frame| events(frame, framing)).map(Bytes::copy_from_slice).collect())
    }

    #[test]
    fn every_line_end_ends_an_event_however_it_is_cut() {
        let cases: &[(&str, &[&str])] = &[
            ("data: a\n\ndata: b\n\n", &["data: a\n\n", "data: b\n\n"]),
            ("data: a\r\n\r\ndata: b\r\n\r\n", &["data: a\r\n\r\n", "data: b\r\n\r\n"]),
            ("data: a\r\rdata: b\r\r", &["data: a\r\r", "data: b\r\r"]),
            ("\u{feff}data: a\n\n", &["data: a\n\n"]),
            ("\n\n: hi\n\n\ndata: b\n\n", &["\n\n: hi\n\n", "\ndata: b\n\n"]),
            ("data: cut", &["data: cut\n\n"]),
            ("data: cut\n", &["data: cut\n\n"]),
            ("data: one\ndata: two\n\n", &["data: one\ndata: two\n\n"]),
            ("data: é\n\n \n", &["data: é\n\n"]),
        ];
        for (stream, expected) in cases {
            for cut in 0..=stream.len() {
                let (one, two) = stream.as_bytes().split_at(cut);
                assert_eq!(split(Framing::Sse, &[one, two]).unwrap(), *expected, "{stream:?} cut at {cut}");
            }
            let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
            assert_eq!(split(Framing::Sse, &bytes).unwrap(), *expected, "{stream:?} byte by byte");
        }
        assert_eq!(split(Framing::Ndjson, &[b"{}\n{\"a\"", b":1}\n[", b"]"]).unwrap(), ["{}\n", "{\"a\":1}\n", "[]\n"]);
    }

    #[test]
    fn what_lies_in_one_chunk_is_not_copied() {
        let mut splitter = Splitter::new(Framing::Sse);
        let chunk = Bytes::from_static(b"data: a\n\ndata: b\n\ndata: c");
        let mut frames = Vec::new();
        splitter.push(chunk.clone(), &mut frames).unwrap();
        assert_eq!(frames, ["data: a\n\ndata: b\n\n"]);
        assert_eq!(frames[0].as_ptr(), chunk.as_ptr());
        let rest = Bytes::from_static(b"\n\ndata: d\n\n");
        splitter.push(rest.clone(), &mut frames).unwrap();
        assert_eq!(frames[1..], ["data: c\n\n", "data: d\n\n"]);
        assert_eq!(frames[2].as_ptr(), rest[2..].as_ptr());
        assert_eq!(splitter.finish(), None);
    }

    #[test]
    fn an_endless_event_is_refused() {
        let chunk = vec![b'x'; 1 << 20];
        let mut splitter = Splitter::new(Framing::Sse);
        let mut frames = Vec::new();
        let mut push = |chunk: &[u8]| splitter.push(Bytes::copy_from_slice(chunk), &mut frames);
        push(b"data: ok\n\n").unwrap();
        for _ in 0..4 {
            push(&chunk).unwrap();
        }
        assert_eq!(push(b"x").unwrap_err().kind(), Kind::Protocol);
        assert_eq!(frames, ["data: ok\n\n"]);
    }

    #[test]
    fn reads_what_an_event_says() {
        let said = |name, data: &'static str| Some(Said { name, data: Cow::Borrowed(data.as_bytes()) });
        assert_eq!(read(b"event: ping\r\ndata: {}\r\n\r\n"), said("ping", "{}"));
        assert_eq!(read(b"data:a\ndata\ndata:  b\nid: 3\n\n"), said("", "a\n\n b"));
        assert_eq!(read(b"\n\rdata: x\n\n"), said("", "x"));
        let empty = b"data\n\n";
        assert_eq!(read(empty), said("", ""));
        assert!(empty.as_ptr_range().contains(&read(empty).unwrap().data.as_ptr()), "even nothing has its place");
        assert_eq!(read(b": OPENROUTER PROCESSING\n\n"), None);
        assert_eq!(read(b"database: x\nretry: 3\n\n"), None);
    }

    proptest! {
        #[test]
        fn chunking_changes_nothing(
            lines in prop::collection::vec("(data: [a-zé]{0,6}|:|event: x|)(\n|\r\n|\r)", 0..12),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
            ndjson: bool,
        ) {
            let framing = if ndjson { Framing::Ndjson } else { Framing::Sse };
            let stream = lines.concat();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.sort_unstable();
            let ends = cuts.iter().copied().chain([stream.len()]);
            let starts = [0].into_iter().chain(cuts.iter().copied());
            let chunks: Vec<&[u8]> = starts.zip(ends).map(|(start, end)| &stream.as_bytes()[start..end]).collect();
            prop_assert_eq!(split(framing, &chunks).unwrap(), split(framing, &[stream.as_bytes()]).unwrap());
        }
    }
}
