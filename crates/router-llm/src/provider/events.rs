//! Reads a provider's stream: whole events in the chunks they came in, looked at but not decoded.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, StreamExt, stream};
use http::StatusCode;
use http_body_util::BodyExt;
use router_core::{
    Error, Kind, Result,
    chat::{ChatReply, Frame, Meta, Shape, Usage},
    scan,
};
use router_http::Answer;
use tokio::time::timeout;

use super::thoughts::Witness;
use crate::{
    dialect::{Framing, Language, Mark},
    sse,
    sse::Splitter,
};

/// What may come before the first content.
const MAX_HEAD_BYTES: usize = 1 << 20;

/// How much is joined into one frame.
const BATCH_BYTES: usize = 16 << 10;

/// How long the close may take that follows a terminator. Nothing else follows one; an upstream that closes in order
/// keeps its connection for the next question, and nobody notices so short a wait.
const FAREWELL: Duration = Duration::from_millis(10);

/// How long a stream that has told its end without its terminator may stay open before it is taken as ended.
const LEAVE: Duration = Duration::from_secs(2);

/// Reads up to the first content and returns with it; an error that comes before is the call's own.
pub(super) async fn read(
    language: &'static dyn Language,
    meta: Meta,
    body: Answer,
    witness: Option<Witness>,
) -> Result<ChatReply> {
    let mut events = Events {
        language,
        meta: meta.clone(),
        body,
        witness,
        splitter: Splitter::new(language.framing()),
        ready: Vec::with_capacity(2),
        parting: None,
        broken: None,
        usage: Usage::default(),
        last: false,
        over: false,
    };
    let first = events.first().await?;
    let rest = stream::unfold(events, |mut events| async move {
        let frame = events.next().await?;
        Some((frame, events))
    });
    Ok(ChatReply::wire(language, Shape::Stream, meta, stream::iter([Ok(first)]).chain(rest)))
}

/// A stream that is being read.
struct Events {
    language: &'static dyn Language,
    meta: Meta,
    body: Answer,
    /// Who sees what is handed out.
    witness: Option<Witness>,
    splitter: Splitter,
    /// Whole events that have come and are not handed out.
    ready: Vec<Bytes>,
    /// How the body ended.
    parting: Option<hyper::Result<()>>,
    /// What is said once everything before it has been handed out.
    broken: Option<Error>,
    usage: Usage,
    /// The end has been told: a close is a clean one.
    last: bool,
    /// The terminator has come: nothing is waited for.
    over: bool,
}

impl Events {
    /// The first frame: all that came before the first content, but for what only kept the stream alive, and that.
    async fn first(&mut self) -> Result<Frame> {
        let mut head = BytesMut::new();
        while let Some(frame) = self.frame().await? {
            let mut at = 0;
            for event in sse::events(&frame, self.language.framing()) {
                let mark = self.look(event);
                if mark.error {
                    return Err(self.failure(event));
                }
                if mark.content || mark.last {
                    let frame = self.inspected(frame.slice(at..))?;
                    return Ok(after(head, self.usage, frame));
                }
                if !mark.idle {
                    head.extend_from_slice(event);
                }
                at += event.len();
            }
            if head.len() > MAX_HEAD_BYTES {
                let message = format!("{MAX_HEAD_BYTES} bytes of the stream held no content");
                return Err(Error::new(Kind::Protocol, message));
            }
        }
        Err(Error::new(Kind::Protocol, "the stream ended before its first content"))
    }

    /// The next frame; `None` after a clean end.
    async fn next(&mut self) -> Option<Result<Frame>> {
        let patience = if self.over { FAREWELL } else { LEAVE };
        let next =
            if self.last { timeout(patience, self.frame()).await.unwrap_or(Ok(None)) } else { self.frame().await };
        match next {
            Ok(_) if self.over => None,
            Ok(Some(frame)) => Some(self.inspected(frame)),
            Ok(None) | Err(_) if self.last => None,
            Ok(None) => Some(Err(cut())),
            Err(error) => Some(Err(error)),
        }
    }

    /// The next whole events as they came: all that are there already, as one frame.
    async fn frame(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some(frame) = joined_up(&mut self.ready) {
                return Ok(Some(frame));
            }
            if let Some(error) = self.broken.take() {
                return Err(error);
            }
            if self.parting.is_none() {
                match self.body.frame().await {
                    Some(Ok(part)) => self.take(part),
                    parting => self.parting = Some(parting.map_or(Ok(()), |error| error.map(drop))),
                }
                continue;
            }
            return match self.parting.replace(Ok(())) {
                Some(Err(error)) => Err(cut().because(error)),
                Some(Ok(())) | None => Ok(self.splitter.finish().filter(|rest| self.is_whole(rest))),
            };
        }
    }

    /// Takes a part of the body, and what has come behind it: many small events that came together go on together.
    fn take(&mut self, part: http_body::Frame<Bytes>) {
        let mut next = part;
        let mut taken = 0;
        while self.broken.is_none() {
            let chunk = next.into_data().unwrap_or_default();
            taken += chunk.len();
            self.broken = self.splitter.push(chunk, &mut self.ready).err();
            if taken > BATCH_BYTES {
                return;
            }
            next = match self.body.frame().now_or_never() {
                Some(Some(Ok(part))) => part,
                Some(parting) => {
                    self.parting = Some(parting.map_or(Ok(()), |error| error.map(drop)));
                    return;
                }
                None => return,
            };
        }
    }

    /// Whether an event that nothing closed was cut, or lacks nothing but the blank line after it.
    fn is_whole(&self, rest: &Bytes) -> bool {
        let mark = self.language.scan(rest, Shape::Stream);
        let payload = payload(rest, self.language.framing());
        (mark.last || mark.usage.is_some() || mark.error) && (scan::is_json(&payload) || !payload.starts_with(b"{"))
    }

    /// A frame of whole events, looked through; what follows an error in it is not handed out.
    fn inspected(&mut self, frame: Bytes) -> Result<Frame> {
        if let Some(witness) = &self.witness {
            witness.see(&frame);
        }
        let (mut at, mut told) = (0, false);
        for event in sse::events(&frame, self.language.framing()) {
            let mark = self.look(event);
            if mark.error {
                let error = self.failure(event);
                if at == 0 {
                    return Err(error);
                }
                self.ready.clear();
                self.broken = Some(error);
                return Ok(wire(frame.slice(..at), told.then_some(self.usage)));
            }
            told |= mark.usage.is_some();
            at += event.len();
        }
        Ok(wire(frame, told.then_some(self.usage)))
    }

    /// What an event that tells an error means.
    fn failure(&self, event: &[u8]) -> Error {
        self.language.failure(StatusCode::OK.as_u16(), &self.meta, payload(event, self.language.framing()))
    }

    fn look(&mut self, event: &[u8]) -> Mark {
        let mark = self.language.scan(event, Shape::Stream);
        self.last |= mark.last;
        self.over |= mark.end;
        if let Some(usage) = mark.usage {
            self.usage = joined(self.usage, usage);
        }
        mark
    }
}

/// All of the frames as one.
fn joined_up(frames: &mut Vec<Bytes>) -> Option<Bytes> {
    if frames.len() < 2 {
        return frames.pop();
    }
    let mut joined = BytesMut::with_capacity(frames.iter().map(Bytes::len).sum());
    frames.drain(..).for_each(|frame| joined.extend_from_slice(&frame));
    Some(joined.freeze())
}

fn cut() -> Error {
    Error::new(Kind::Protocol, "the stream was cut before its end")
}

fn wire(bytes: Bytes, usage: Option<Usage>) -> Frame {
    Frame::Wire { bytes, usage: usage.map(Box::new) }
}

/// `frame`, with `head` before it, and what both told of the usage.
fn after(mut head: BytesMut, known: Usage, frame: Frame) -> Frame {
    match frame {
        Frame::Wire { bytes, .. } if !head.is_empty() => {
            head.extend_from_slice(&bytes);
            wire(head.freeze(), Some(known).filter(Usage::is_known))
        }
        Frame::Wire { .. } | Frame::Events(_) => frame,
    }
}

/// What is known of the usage: later numbers replace earlier ones, but what is told once stays told.
fn joined(old: Usage, new: Usage) -> Usage {
    let later = |old: u64, new: u64| if new == 0 { old } else { new };
    Usage {
        input: later(old.input, new.input),
        output: later(old.output, new.output),
        cache_read: later(old.cache_read, new.cache_read),
        cache_write: later(old.cache_write, new.cache_write),
        thinking: later(old.thinking, new.thinking),
    }
}

/// What an event says, without the framing around it.
fn payload(event: &[u8], framing: Framing) -> Bytes {
    match framing {
        Framing::Sse => sse::read(event).map(|said| Bytes::copy_from_slice(&said.data)).unwrap_or_default(),
        Framing::Ndjson => Bytes::copy_from_slice(event.trim_ascii()),
    }
}
