//! A stream that is written once and read by many, from its beginning, even while it is still being written.

use std::{collections::VecDeque, mem, pin::pin, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt, stream};
use parking_lot::Mutex;
use tokio::{sync::Notify, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{Error, Kind, Result};

/// How long a reader may hold up another one, once the recording is longer than its bound.
const PATIENCE: Duration = Duration::from_secs(1);

/// An append-only, bounded recording of frames.
///
/// One task writes it; readers begin at the beginning. When the last reader goes before the end, the task is cancelled
/// and what it reads from is dropped. Past the bound nobody can begin to read any more, frames that every reader has had
/// are let go, and the task waits for room: memory is bounded by the bound and one frame.
pub struct Recording<F>(Arc<Shared<F>>);

impl<F> Clone for Recording<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Shared<F> {
    tape: Mutex<Tape<F>>,
    weigh: fn(&F) -> usize,
    bound: usize,
    /// Readers wait for it: more frames, or the end.
    grown: Notify,
    /// The writer waits for it: a first reader, or room.
    room: Notify,
    deserted: CancellationToken,
}

struct Tape<F> {
    frames: VecDeque<F>,
    /// How many frames were let go before those.
    gone: usize,
    weight: usize,
    fits: bool,
    progress: Progress,
    readers: Vec<Seat>,
    seats: u64,
}

impl<F> Shared<F> {
    async fn copy(&self, source: impl Stream<Item = Result<F>>) {
        let mut source = pin!(source);
        if timeout(PATIENCE, self.first_reader()).await.is_err() {
            return;
        }
        let progress = loop {
            match source.next().await {
                Some(Ok(frame)) => self.append(frame).await,
                Some(Err(error)) => break Progress::Broken(error),
                None => break Progress::Complete,
            }
        };
        self.tape.lock().progress = progress;
    }

    async fn first_reader(&self) {
        while self.tape.lock().readers.is_empty() {
            self.room.notified().await;
        }
    }

    async fn append(&self, frame: F) {
        let weight = (self.weigh)(&frame);
        while !self.has_room(weight) {
            if timeout(PATIENCE, self.room.notified()).await.is_err() && self.tape.lock().leave_behind() {
                self.grown.notify_waiters();
            }
        }
        let mut tape = self.tape.lock();
        tape.weight += weight;
        tape.frames.push_back(frame);
        drop(tape);
        self.grown.notify_waiters();
    }

    /// Whether one more frame can be held. The first one that does not fit ends the sharing.
    fn has_room(&self, weight: usize) -> bool {
        let mut tape = self.tape.lock();
        tape.fits &= tape.weight + weight <= self.bound;
        tape.let_go(self.weigh);
        tape.weight + weight <= self.bound || tape.frames.is_empty()
    }
}

/// How far the writer is.
enum Progress {
    Writing,
    Complete,
    Broken(Error),
}

/// Where a reader is.
struct Seat {
    id: u64,
    /// The frame it reads next, counted from the beginning.
    next: usize,
}

/// What is told at the end: whether the recording is whole and within its bound.
type Kept = Box<dyn FnOnce(bool) + Send>;

impl<F: Clone + Send + 'static> Recording<F> {
    /// Records `source`, on a task of `tasks`, from the moment when the first reader comes. `weigh` tells what a frame
    /// weighs in bytes, `bound` how many are kept; `kept` is told at the end whether the recording is whole and within it.
    pub fn of(
        source: impl Stream<Item = Result<F>> + Send + 'static,
        weigh: fn(&F) -> usize,
        bound: usize,
        tasks: &TaskTracker,
        kept: Kept,
    ) -> Self {
        let shared = Arc::new(Shared {
            tape: Mutex::new(Tape::new()),
            weigh,
            bound,
            grown: Notify::new(),
            room: Notify::new(),
            deserted: CancellationToken::new(),
        });
        let pen = Pen { shared: Arc::clone(&shared), kept: Some(kept) };
        tasks.spawn(pen.write(source));
        Self(shared)
    }

    /// One more reader; `None` when the recording can no longer be read from its beginning to a good end.
    pub fn read(&self) -> Option<impl Stream<Item = Result<F>> + Send + 'static + use<F>> {
        let id = self.0.tape.lock().seat()?;
        self.0.room.notify_one();
        let reader = Reader { shared: Arc::clone(&self.0), id };
        Some(stream::unfold(Some(reader), |reader| async move {
            let reader = reader?;
            match reader.next().await? {
                Ok(frame) => Some((Ok(frame), Some(reader))),
                Err(error) => Some((Err(error), None)),
            }
        }))
    }

    /// What it weighs in bytes, so far.
    pub fn weight(&self) -> usize {
        mem::size_of::<Shared<F>>() + self.0.tape.lock().weight
    }
}

/// The writer's end. However it goes, the readers are told.
struct Pen<F> {
    shared: Arc<Shared<F>>,
    kept: Option<Kept>,
}

impl<F> Pen<F> {
    async fn write(self, source: impl Stream<Item = Result<F>>) {
        self.shared.deserted.run_until_cancelled(self.shared.copy(source)).await;
    }
}

impl<F> Drop for Pen<F> {
    fn drop(&mut self) {
        let mut tape = self.shared.tape.lock();
        if matches!(tape.progress, Progress::Writing) {
            tape.progress = Progress::Broken(Error::new(Kind::Internal, "the recording of the answer broke off"));
        }
        let whole = tape.fits && matches!(tape.progress, Progress::Complete);
        drop(tape);
        self.shared.grown.notify_waiters();
        if let Some(kept) = self.kept.take() {
            kept(whole);
        }
    }
}

/// A reader's end.
struct Reader<F> {
    shared: Arc<Shared<F>>,
    id: u64,
}

impl<F: Clone> Reader<F> {
    async fn next(&self) -> Option<Result<F>> {
        loop {
            let grown = self.shared.grown.notified();
            let taken = self.shared.tape.lock().take(self.id, self.shared.weigh);
            match taken {
                Taken::Frame { frame, freed } => {
                    if freed {
                        self.shared.room.notify_one();
                    }
                    return Some(Ok(frame));
                }
                Taken::Error(error) => return Some(Err(error)),
                Taken::End => return None,
                Taken::Nothing => grown.await,
            }
        }
    }
}

impl<F> Drop for Reader<F> {
    fn drop(&mut self) {
        let mut tape = self.shared.tape.lock();
        tape.readers.retain(|seat| seat.id != self.id);
        let deserted = tape.readers.is_empty() && matches!(tape.progress, Progress::Writing);
        if deserted {
            tape.progress = Progress::Broken(Error::new(Kind::Cancelled, "everybody who asked has gone"));
        }
        tape.let_go(self.shared.weigh);
        drop(tape);
        if deserted {
            self.shared.deserted.cancel();
        }
        self.shared.room.notify_one();
    }
}

/// What a reader finds.
enum Taken<F> {
    Frame { frame: F, freed: bool },
    Error(Error),
    End,
    Nothing,
}

impl<F> Tape<F> {
    fn new() -> Self {
        Self {
            frames: VecDeque::new(),
            gone: 0,
            weight: 0,
            fits: true,
            progress: Progress::Writing,
            readers: Vec::with_capacity(1),
            seats: 0,
        }
    }

    fn seat(&mut self) -> Option<u64> {
        if !self.fits || matches!(self.progress, Progress::Broken(_)) {
            return None;
        }
        self.seats += 1;
        self.readers.push(Seat { id: self.seats, next: 0 });
        Some(self.seats)
    }

    fn written(&self) -> usize {
        self.gone + self.frames.len()
    }

    /// Gives up readers who hold up one that has read everything; whether there were any.
    fn leave_behind(&mut self) -> bool {
        let written = self.written();
        let starving = self.readers.iter().any(|seat| seat.next == written);
        let before = self.readers.len();
        self.readers.retain(|seat| !starving || seat.next > self.gone);
        self.readers.len() < before
    }

    /// Lets go of the frames that every reader has had, once nobody can begin any more; whether there were any.
    fn let_go(&mut self, weigh: fn(&F) -> usize) -> bool {
        let slowest = self.readers.iter().map(|seat| seat.next).min().unwrap_or(usize::MAX);
        let mut freed = false;
        while !self.fits && self.gone < slowest {
            let Some(frame) = self.frames.pop_front() else { break };
            self.weight -= weigh(&frame);
            self.gone += 1;
            freed = true;
        }
        freed
    }
}

impl<F: Clone> Tape<F> {
    fn take(&mut self, id: u64, weigh: fn(&F) -> usize) -> Taken<F> {
        let Some(seat) = self.readers.iter_mut().find(|seat| seat.id == id) else {
            return Taken::Error(Error::new(Kind::Shed, "this reader of a shared answer fell behind the others"));
        };
        let Some(frame) = self.frames.get(seat.next - self.gone).cloned() else {
            return match &self.progress {
                Progress::Writing => Taken::Nothing,
                Progress::Complete => Taken::End,
                Progress::Broken(error) => Taken::Error(error.clone()),
            };
        };
        seat.next += 1;
        Taken::Frame { frame, freed: self.let_go(weigh) }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, stream::BoxStream};
    use tokio::sync::{mpsc, oneshot};

    use super::*;

    type Sent = mpsc::UnboundedSender<Result<String>>;

    /// A recording of what is sent, how to send, and how it ended.
    fn recording(bound: usize) -> (Sent, Recording<String>, oneshot::Receiver<bool>) {
        let (send, mut receive) = mpsc::unbounded_channel();
        let (told, kept) = oneshot::channel();
        let tell = Box::new(move |whole| told.send(whole).unwrap());
        let source = stream::poll_fn(move |cx| receive.poll_recv(cx));
        (send, Recording::of(source, String::len, bound, &TaskTracker::new(), tell), kept)
    }

    fn reader(recording: &Recording<String>) -> BoxStream<'static, Result<String>> {
        recording.read().unwrap().boxed()
    }

    async fn all(reader: BoxStream<'static, Result<String>>) -> Vec<Result<String, Kind>> {
        reader.map(|frame| frame.map_err(|error| error.kind())).collect().await
    }

    fn texts(texts: &[&str]) -> Vec<Result<String, Kind>> {
        texts.iter().map(|text| Ok((*text).to_owned())).collect()
    }

    fn send(sent: &Sent, text: &str) {
        sent.send(Ok(text.to_owned())).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn every_reader_reads_from_the_beginning() {
        let (sent, recording, kept) = recording(100);
        let mut early = reader(&recording);
        send(&sent, "a");
        assert_eq!(early.next().await.unwrap().unwrap(), "a");
        let late = reader(&recording);
        send(&sent, "b");
        drop(sent);
        assert_eq!(all(early).await, texts(&["b"]));
        assert_eq!(all(late).await, texts(&["a", "b"]));
        assert_eq!(kept.await, Ok(true));
        assert_eq!(all(reader(&recording)).await, texts(&["a", "b"]), "after the end, too");
        assert_eq!(recording.weight(), mem::size_of::<Shared<String>>() + 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_reaches_every_reader_and_nobody_after() {
        let (sent, recording, kept) = recording(100);
        let readers = [reader(&recording), reader(&recording)];
        send(&sent, "a");
        sent.send(Err(Error::new(Kind::Protocol, "cut"))).unwrap();
        for reader in readers {
            assert_eq!(all(reader).await, [Ok("a".to_owned()), Err(Kind::Protocol)]);
        }
        assert_eq!(kept.await, Ok(false));
        assert!(recording.read().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_reader_gone_cancels_the_writer() {
        let (sent, recording, kept) = recording(100);
        let (first, second) = (reader(&recording), reader(&recording));
        send(&sent, "a");
        drop(first);
        tokio::task::yield_now().await;
        assert!(!sent.is_closed());
        drop(second);
        assert!(recording.read().is_none(), "nobody joins what is being given up");
        sent.closed().await;
        assert_eq!(kept.await, Ok(false));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_reader_nothing_is_pulled() {
        let (sent, recording, kept) = recording(100);
        send(&sent, "a");
        assert_eq!(kept.await, Ok(false));
        assert!(sent.is_closed() && recording.read().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn past_the_bound_it_is_a_bounded_pipe() {
        let (sent, recording, kept) = recording(4);
        let mut only = reader(&recording);
        for text in ["aa", "bb", "cc", "dd", "a frame longer than the bound"] {
            send(&sent, text);
        }
        drop(sent);
        tokio::time::sleep(PATIENCE * 5).await;
        assert_eq!(recording.0.tape.lock().frames.len(), 2, "the writer waits for room, however long");
        assert!(recording.read().is_none(), "no new reader");
        assert_eq!(only.next().await.unwrap().unwrap(), "aa");
        assert_eq!(all(only).await, texts(&["bb", "cc", "dd", "a frame longer than the bound"]));
        assert_eq!(kept.await, Ok(false));
        assert_eq!(recording.0.tape.lock().weight, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_too_far_behind_does_not_starve_another() {
        let (sent, recording, _kept) = recording(4);
        let (mut quick, slow) = (reader(&recording), reader(&recording));
        for text in ["aa", "bb", "cc"] {
            send(&sent, text);
        }
        drop(sent);
        for text in ["aa", "bb"] {
            assert_eq!(quick.next().await.unwrap().unwrap(), text);
        }
        assert!(quick.next().now_or_never().is_none(), "held up at first");
        let (quick, slow) = tokio::join!(all(quick), async {
            tokio::time::sleep(PATIENCE * 2).await;
            all(slow).await
        });
        assert_eq!((quick, slow), (texts(&["cc"]), vec![Err(Kind::Shed)]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_who_goes_makes_room() {
        let (sent, recording, _kept) = recording(4);
        let (quick, slow) = (reader(&recording), reader(&recording));
        for text in ["aa", "bb", "cc"] {
            send(&sent, text);
        }
        drop(sent);
        let started = tokio::time::Instant::now();
        let quick = tokio::join!(all(quick), async {
            tokio::time::sleep(PATIENCE / 2).await;
            drop(slow);
        });
        assert_eq!((quick.0, started.elapsed()), (texts(&["aa", "bb", "cc"]), PATIENCE / 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_of_the_source_is_an_error() {
        let (told, kept) = oneshot::channel();
        let source = stream::poll_fn(|_| panic!("a defect"));
        let tell = Box::new(move |whole| told.send(whole).unwrap());
        let recording = Recording::of(source, String::len, 9, &TaskTracker::new(), tell);
        assert_eq!(all(reader(&recording)).await, [Err(Kind::Internal)]);
        assert_eq!(kept.await, Ok(false));
    }
}
