//! Events out of a stream of bytes, however it is cut into pieces.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderValue;

/// The largest event, in bytes.
pub(super) const EVENT_MAX: usize = 4 * 1024 * 1024;

/// An event larger than [`EVENT_MAX`].
#[derive(Debug, PartialEq)]
pub(super) struct TooLarge;

/// Splits a stream into the data of its events. Everything else of an event has no meaning in MCP, but for resuming.
#[derive(Default)]
pub(super) struct Events {
    buffer: BytesMut,
    /// How much of the buffer is known to hold no end of line.
    searched: usize,
    data: BytesMut,
    has_data: bool,
    /// The last line ended with a carriage return: a line feed right behind it belongs to that.
    after_return: bool,
    begun: bool,
    /// What the event that is being read is called.
    called: Called,
    /// What the last one was called.
    was_called: Called,
    /// The id of the event that is being read, or of the last that had one.
    id: Option<HeaderValue>,
    /// The id of the last event that was read whole.
    last_id: Option<HeaderValue>,
    /// How long the server wants us to stay away before we come back.
    retry: Option<Duration>,
}

/// The name of an event.
#[derive(Clone, Copy, Default, PartialEq)]
enum Called {
    /// Whatever else its name is.
    #[default]
    Message,
    /// It tells where messages are to go.
    Endpoint,
}

impl Events {
    /// Takes the next piece in.
    pub(super) fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The rest comes on another stream: what was half read of this one comes again.
    pub(super) fn begin_anew(&mut self) {
        *self = Self { id: self.last_id.clone(), last_id: self.last_id.take(), retry: self.retry, ..Self::default() };
    }

    /// Whether the last event told where messages are to go, as the older transport begins.
    pub(super) fn was_endpoint(&self) -> bool {
        self.was_called == Called::Endpoint
    }

    /// Where the stream can be gone on with.
    pub(super) fn last_id(&self) -> Option<HeaderValue> {
        self.last_id.clone()
    }

    /// How long the server wants us to stay away.
    pub(super) fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// The data of the next event that is complete.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, TooLarge> {
        while let Some(line) = self.line() {
            if line.is_empty() {
                self.last_id.clone_from(&self.id);
                self.was_called = std::mem::take(&mut self.called);
                if std::mem::take(&mut self.has_data) {
                    return Ok(Some(self.data.split().freeze()));
                }
                continue;
            }
            self.field(&line);
            if self.data.len() > EVENT_MAX {
                return Err(TooLarge);
            }
        }
        if self.buffer.len() > EVENT_MAX { Err(TooLarge) } else { Ok(None) }
    }

    fn field(&mut self, line: &BytesMut) {
        let (name, value) = match memchr::memchr(b':', line) {
            Some(colon) => line.split_at(colon),
            None => (&line[..], &[][..]),
        };
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => self.datum(value),
            b"event" => self.called = if value == b"endpoint" { Called::Endpoint } else { Called::Message },
            b"id" if value.is_empty() => self.id = None,
            // One that cannot be sent back is of no use.
            b"id" => self.id = HeaderValue::from_bytes(value).ok(),
            b"retry" => {
                let number = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
                self.retry = number.map(Duration::from_millis).or(self.retry);
            }
            _ => {}
        }
    }

    fn datum(&mut self, value: &[u8]) {
        if std::mem::replace(&mut self.has_data, true) {
            self.data.extend_from_slice(b"\n");
        }
        self.data.extend_from_slice(value);
    }

    fn line(&mut self) -> Option<BytesMut> {
        if self.after_return && !self.buffer.is_empty() {
            self.after_return = false;
            if self.buffer.first() == Some(&b'\n') {
                self.buffer.advance(1);
            }
        }
        let fresh = self.buffer.get(self.searched..)?;
        let Some(found) = memchr::memchr2(b'\n', b'\r', fresh) else {
            self.searched = self.buffer.len();
            return None;
        };
        let length = self.searched + found;
        self.searched = 0;
        self.after_return = self.buffer.get(length) == Some(&b'\r');
        let mut line = self.buffer.split_to(length);
        self.buffer.advance(1);
        // A byte order mark may open the stream.
        if !std::mem::replace(&mut self.begun, true) && line.starts_with(b"\xEF\xBB\xBF") {
            line.advance(3);
        }
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(pieces: &[&[u8]]) -> Vec<String> {
        let mut events = Events::default();
        let mut found = Vec::new();
        for piece in pieces {
            events.push(piece);
            while let Some(data) = events.next().unwrap() {
                found.push(String::from_utf8(data.to_vec()).unwrap());
            }
        }
        found
    }

    #[test]
    fn events_are_found() {
        for (stream, expected) in [
            ("event: message\ndata: {\"a\":1}\n\n", vec!["{\"a\":1}"]),
            ("data:a\r\ndata: b\r\n\r\ndata:  c\r\r", vec!["a\nb", " c"]),
            ("\u{feff}data: x\n\n", vec!["x"]),
            (": ping\n\nid: 1\nretry: 5\ndata:\n\n", vec![""]),
            ("data\n\n", vec![""]),
            ("id: 7\n\ndatax: no\n\ndata: cut", vec![]),
        ] {
            assert_eq!(split(&[stream.as_bytes()]), expected, "{stream:?}");
        }
    }

    #[test]
    fn an_event_may_tell_where_messages_go() {
        let mut events = Events::default();
        events.push(b"event: endpoint\ndata: /messages\n\ndata: {}\n\nevent:endpoint\ndata: /again\n\n");
        let told: Vec<_> = std::iter::from_fn(|| Some((events.next().unwrap()?, events.was_endpoint()))).collect();
        assert_eq!(told, [("/messages".into(), true), ("{}".into(), false), ("/again".into(), true)]);
    }

    #[test]
    fn a_stream_says_where_it_can_be_gone_on_with() {
        let second = Duration::from_secs(1);
        for (stream, id, retry) in [
            ("data: x\n\n", None, None),
            ("id: 1\nretry: 1000\ndata:\n\n", Some("1"), Some(second)),
            ("id: 1\n\nid: 2\ndata: cut", Some("1"), None),
            ("id:1\ndata: x\n\ndata: y\n\nretry: soon\n\n", Some("1"), None),
            ("id: 1\n\nid\n\n", None, None),
        ] {
            let mut events = Events::default();
            events.push(stream.as_bytes());
            while events.next().unwrap().is_some() {}
            let found = events.last_id();
            assert_eq!((found.as_ref().map(|id| id.to_str().unwrap()), events.retry()), (id, retry), "{stream:?}");
            events.begin_anew();
            events.push(b"data: z\n\n");
            assert_eq!(events.next().unwrap().unwrap(), "z");
            assert_eq!(events.last_id(), found);
        }
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut events = Events::default();
        events.push(b"data: ");
        events.push(&vec![b'x'; EVENT_MAX]);
        assert_eq!(events.next(), Err(TooLarge));
        let mut events = Events::default();
        let line = [b"data: ".as_slice(), &vec![b'x'; 1024 * 1024], b"\n"].concat();
        let refused = (0..6).any(|_| {
            events.push(&line);
            events.next() == Err(TooLarge)
        });
        assert!(refused);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(stream in "(data: ?[ab]?|:|id|\n|\r|\r\n){0,30}", cuts in prop::collection::vec(1_usize..5, 0..40)) {
            let mut rest = stream.as_bytes();
            let mut pieces = Vec::new();
            for cut in cuts {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            pieces.push(rest);
            prop_assert_eq!(split(&pieces), split(&[stream.as_bytes()]));
        }
    }
}
