//! The answer of a model: a stream of frames, watched and paced in one place so that a layer costs no extra poll.

use std::{
    fmt,
    future::Future as _,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream, stream::BoxStream};
use smallvec::SmallVec;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::task::TaskTracker;

use super::{Block, Dialect, Event, Meta, Shape, StopReason, Usage};
use crate::{Done, End, Error, Kind, Pace, Provenance, Recording, Reply, Result};

/// One piece of an answer.
#[derive(Clone, Debug)]
pub enum Frame {
    /// In the upstream's own words: the whole body of a [`Shape::Whole`] reply, or one or more whole events of a
    /// stream.
    Wire {
        /// The bytes.
        bytes: Bytes,
        /// The usage that a cheap scan found in them.
        usage: Option<Box<Usage>>,
    },
    /// Decoded.
    Events(Vec<Event>),
}

impl Frame {
    /// What it weighs in bytes, roughly.
    pub fn weight(&self) -> usize {
        match self {
            Self::Wire { bytes, .. } => bytes.len() + 64,
            Self::Events(events) => events.len() * 64 + events.iter().map(text_len).sum::<usize>(),
        }
    }

    fn usage(&self) -> Option<Usage> {
        match self {
            Self::Wire { usage, .. } => usage.as_deref().copied(),
            Self::Events(events) => {
                events.iter().rev().find_map(|event| if let Event::Usage(usage) = event { Some(*usage) } else { None })
            }
        }
    }
}

fn text_len(event: &Event) -> usize {
    match event {
        Event::Text(text) | Event::Thinking(text) | Event::Signature(text) | Event::Arguments(text) => text.len(),
        Event::Start { .. } | Event::Open(_) | Event::Close | Event::Usage(_) | Event::Stop { .. } => 0,
    }
}

/// The answer of a model. As a stream it yields its frames; it ends after an error.
pub struct ChatReply {
    /// The dialect its frames are written in; `None` when they are decoded events.
    pub dialect: Option<&'static dyn Dialect>,
    /// Whether the upstream answered with one body or a stream of events.
    pub shape: Shape,
    /// What came with it and is worth handing on to a caller of the same dialect.
    pub meta: Meta,
    /// In a box, so that a reply is small to hand from layer to layer.
    course: Box<Course>,
}

/// What a reply goes through while it is read.
struct Course {
    provenance: Provenance,
    frames: BoxStream<'static, Result<Frame>>,
    watchers: SmallVec<[Done; 4]>,
    clock: Clock,
    usage: Usage,
}

impl ChatReply {
    /// An answer in the upstream's own words. Its first frame has content: whoever makes it has waited for that.
    pub fn wire(
        dialect: &'static dyn Dialect,
        shape: Shape,
        meta: Meta,
        frames: impl Stream<Item = Result<Frame>> + Send + 'static,
    ) -> Self {
        let mut reply = Self::decoded(shape, frames);
        (reply.dialect, reply.meta) = (Some(dialect), meta);
        reply
    }

    /// An answer in decoded events.
    pub fn events(shape: Shape, events: impl Stream<Item = Result<Event>> + Send + 'static) -> Self {
        Self::decoded(shape, events.map(|event| event.map(|event| Frame::Events(vec![event]))))
    }

    /// The answer that is one text.
    pub fn say(text: &str) -> Self {
        let events = vec![
            Event::Start { id: None, model: None },
            Event::Open(Block::Text),
            Event::Text(text.to_owned()),
            Event::Close,
            Event::Stop { reason: StopReason::EndTurn, sequence: None },
        ];
        Self::decoded(Shape::Stream, stream::iter([Ok(Frame::Events(events))]))
    }

    fn decoded(shape: Shape, frames: impl Stream<Item = Result<Frame>> + Send + 'static) -> Self {
        let course = Course {
            provenance: Provenance::default(),
            frames: frames.boxed(),
            watchers: SmallVec::new(),
            clock: Clock::default(),
            usage: Usage::default(),
        };
        Self { dialect: None, shape, meta: Meta::default(), course: Box::new(course) }
    }

    /// The same answer, of which is known beforehand what it used.
    #[must_use]
    pub fn used(mut self, usage: Usage) -> Self {
        self.course.usage = self.course.usage.and(usage);
        self
    }

    /// What was used so far.
    pub fn usage(&self) -> Usage {
        self.course.usage
    }

    /// The answer as events, decoding frames where need be.
    pub fn into_events(self) -> impl Stream<Item = Result<Event>> + Send + 'static {
        let decoder = self.dialect.map(|dialect| dialect.frames(self.shape));
        let provenance = self.course.provenance.clone();
        let start = (self.map(Some).chain(stream::iter([None])), decoder);
        let batches = stream::unfold(Some(start), |state| async move {
            let (mut frames, mut decoder) = state?;
            let mut events = Vec::new();
            let outcome = match (frames.next().await?, decoder.as_mut()) {
                (Some(Ok(Frame::Events(ready))), _) => {
                    events = ready;
                    Ok(())
                }
                (Some(Ok(Frame::Wire { bytes, .. })), Some(decoder)) => decoder.decode(&bytes, &mut events),
                (Some(Ok(Frame::Wire { .. })) | None, None) => Ok(()),
                (Some(Err(error)), _) => Err(error),
                (None, Some(decoder)) => decoder.finish(&mut events),
            };
            let broke = outcome.is_err();
            let batch = events.into_iter().map(Ok).chain(outcome.err().map(Err)).collect::<Vec<_>>();
            Some((stream::iter(batch), (!broke).then_some((frames, decoder))))
        });
        batches.flatten().map(move |event| event.map_err(|error| named(error, &provenance)))
    }

    /// Lets go of the upstream, and tells everybody who watches.
    fn end(&mut self, end: &End) {
        self.course.frames = stream::empty().boxed();
        for done in self.course.watchers.drain(..) {
            done(end.clone());
        }
    }
}

impl Stream for ChatReply {
    type Item = Result<Frame>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let item = match this.course.frames.as_mut().poll_next(cx) {
            Poll::Ready(Some(Ok(frame))) => Some(this.course.clock.tick().map_or(Ok(frame), Err)),
            Poll::Ready(item) => item,
            Poll::Pending => match this.course.clock.poll(cx) {
                Poll::Ready(error) => Some(Err(error)),
                Poll::Pending => return Poll::Pending,
            },
        };
        let item = item.map(|frame| frame.map_err(|error| named(error, &this.course.provenance)));
        match &item {
            Some(Ok(frame)) => this.course.usage = this.course.usage.and(frame.usage().unwrap_or_default()),
            Some(Err(error)) => this.end(&End::Broken(error.kind(), this.course.usage)),
            None => this.end(&End::Complete(this.course.usage)),
        }
        Poll::Ready(item)
    }
}

/// A break names who broke, as an error before the reply does.
fn named(error: Error, provenance: &Provenance) -> Error {
    provenance.upstream.iter().fold(error, Error::at)
}

impl Drop for ChatReply {
    fn drop(&mut self) {
        self.end(&End::Dropped(self.course.usage));
    }
}

impl fmt::Debug for ChatReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dialect = self.dialect.map(Dialect::name);
        f.debug_struct("ChatReply").field("dialect", &dialect).field("shape", &self.shape).finish_non_exhaustive()
    }
}

impl Reply for ChatReply {
    type Recording = ChatRecording;

    fn watch(mut self, done: Done) -> Self {
        self.course.watchers.push(done);
        self
    }

    fn paced(mut self, pace: Pace) -> Self {
        self.course.clock.narrow(pace);
        self
    }

    fn record(self, bound: usize, tasks: &TaskTracker, kept: Box<dyn FnOnce(bool) + Send>) -> ChatRecording {
        let (dialect, shape, meta) = (self.dialect, self.shape, self.meta.clone());
        let provenance = self.course.provenance.clone();
        ChatRecording {
            dialect,
            shape,
            meta,
            provenance,
            frames: Recording::of(self, Frame::weight, bound, tasks, kept),
        }
    }

    fn replay(recording: &ChatRecording) -> Option<Self> {
        let mut reply = Self::decoded(recording.shape, recording.frames.read()?);
        reply.dialect = recording.dialect;
        reply.meta = recording.meta.clone();
        reply.course.provenance = recording.provenance.clone();
        Some(reply)
    }

    fn weight(recording: &ChatRecording) -> usize {
        recording.frames.weight()
    }

    fn keepable(&self) -> bool {
        true
    }

    fn provenance(&self) -> &Provenance {
        &self.course.provenance
    }

    fn provenance_mut(&mut self) -> &mut Provenance {
        &mut self.course.provenance
    }
}

/// A recorded answer.
#[derive(Clone)]
pub struct ChatRecording {
    dialect: Option<&'static dyn Dialect>,
    shape: Shape,
    meta: Meta,
    provenance: Provenance,
    frames: Recording<Frame>,
}

/// Holds a stream to its pace. A frame costs one reading of the clock at the most; the timer is moved only when it fires.
#[derive(Default)]
struct Clock {
    pace: Option<Pace>,
    begun: bool,
    /// Since when somebody listens in vain: a reader who is slow himself is no silence.
    silent: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Clock {
    fn narrow(&mut self, pace: Pace) {
        let old = self.pace.unwrap_or(Pace { idle: None, end: None });
        let idle = [old.idle, pace.idle].into_iter().flatten().min();
        let end = [old.end, pace.end].into_iter().flatten().min_by_key(|(end, _)| *end);
        self.pace = Some(Pace { idle, end });
        self.timer = None;
    }

    /// A frame came: an error when the reply should have been over before it.
    fn tick(&mut self) -> Option<Error> {
        self.silent = None;
        let first = !std::mem::replace(&mut self.begun, true);
        let (end, kind) = self.pace?.end.filter(|_| !first)?;
        (end <= Instant::now()).then(|| overrun(kind))
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        loop {
            let Some((due, error)) = self.due() else { return Poll::Pending };
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if Instant::now() >= due {
                return Poll::Ready(error());
            }
            timer.as_mut().reset(due);
        }
    }

    /// The next moment that would be too late, and what is said then.
    fn due(&mut self) -> Option<(Instant, impl FnOnce() -> Error + use<>)> {
        let Pace { idle, end } = self.pace?;
        let silent = idle.map(|idle| *self.silent.get_or_insert_with(Instant::now) + idle);
        let due = silent.into_iter().chain(end.map(|(end, _)| end)).min()?;
        Some((due, move || match (idle, end) {
            (_, Some((end, kind))) if end == due => overrun(kind),
            (idle, _) => silence(idle.unwrap_or_default()),
        }))
    }
}

fn overrun(kind: Kind) -> Error {
    Error::new(kind, "the answer was not over in its time")
}

fn silence(idle: Duration) -> Error {
    Error::new(Kind::Timeout, format!("no more of the answer came for {idle:?}"))
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
