//! Streams of a legacy session that outlive their connections: losing a connection is no cancellation there, and who comes
//! back within a minute is told the rest.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Front,
    body::{Events, Source, event_with},
    session::Session,
    version::Version,
};

/// How long a stream that nobody reads waits for its client, whether it goes on or has ended.
const KEPT: Duration = Duration::from_mins(1);
/// After how long a client that lost its connection is to come back, in milliseconds.
const RETRY: u64 = 1_000;
/// How much of a stream is kept: so many messages, and bytes. The last message is kept however long it is.
const MESSAGES_MAX: usize = 256;
const BYTES_MAX: usize = 256 * 1024;
/// How many streams of a session may wait for their client. Those that have ended may hold as much as one that goes on.
const STREAMS_MAX: usize = 64;
/// How much all streams of an endpoint may hold, but for the last message of each, in bytes.
const TOTAL_MAX: usize = 64 * 1024 * 1024;

/// What the names of streams begin with: one that answers a request, and one on which a session hears what changes.
pub(super) const CALL: &str = "call";
pub(super) const STANDING: &str = "standing";

/// The streams of a session that can be gone on with, the oldest first.
#[derive(Default)]
pub(super) struct Streams(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    count: u64,
    streams: Vec<Entry>,
    /// Somebody sees to it that they do not wait for ever.
    is_watched: bool,
}

struct Entry {
    stream: Arc<Stream>,
    /// Cancelled when another connection goes on with the stream.
    taken: CancellationToken,
    /// Since when nobody reads it.
    left: Option<Instant>,
}

/// One stream, whoever reads it.
struct Stream {
    name: Box<str>,
    feed: tokio::sync::Mutex<Feed>,
}

/// Where its messages come from, and the last of those that came.
struct Feed {
    source: Source,
    is_over: bool,
    said: VecDeque<Bytes>,
    /// The number of the next message; the first is 1.
    next: u64,
    bytes: usize,
    total: Arc<AtomicUsize>,
}

impl Feed {
    /// The message of that number, or the oldest behind it that is kept; waits for it while there is none.
    async fn read(&mut self, number: u64) -> Option<(u64, Bytes)> {
        let oldest = self.next - self.said.len() as u64;
        let number = number.max(oldest);
        if let Some(message) = usize::try_from(number - oldest).ok().and_then(|place| self.said.get(place)) {
            return Some((number, message.clone()));
        }
        let Some(message) = self.source.next().await else {
            self.is_over = true;
            return None;
        };
        let number = self.next;
        self.next += 1;
        self.keep(message.clone());
        Some((number, message))
    }

    fn keep(&mut self, message: Bytes) {
        self.bytes += message.len();
        let mut total = self.total.fetch_add(message.len(), Ordering::Relaxed) + message.len();
        self.said.push_back(message);
        while self.said.len() > 1 && (self.said.len() > MESSAGES_MAX || self.bytes > BYTES_MAX || total > TOTAL_MAX) {
            let lost = self.said.pop_front().unwrap_or_default();
            self.bytes -= lost.len();
            total = self.total.fetch_sub(lost.len(), Ordering::Relaxed) - lost.len();
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Entry {
    /// How much it holds, if it has ended.
    fn ended(&self) -> Option<usize> {
        let feed = self.stream.feed.try_lock().ok()?;
        (self.left.is_some() && feed.is_over).then_some(feed.bytes)
    }
}

impl Streams {
    fn open(&self, kind: &str, source: Source, total: &Arc<AtomicUsize>) -> (Arc<Stream>, CancellationToken) {
        let feed = Feed { source, is_over: false, said: VecDeque::new(), next: 1, bytes: 0, total: Arc::clone(total) };
        let mut kept = self.0.lock();
        kept.count += 1;
        let name = format!("{kind}-{}", kept.count).into();
        let stream = Arc::new(Stream { name, feed: tokio::sync::Mutex::new(feed) });
        let taken = CancellationToken::new();
        kept.streams.push(Entry { stream: Arc::clone(&stream), taken: taken.clone(), left: None });
        (stream, taken)
    }

    /// Takes a stream from whoever reads it, if anybody still does.
    fn take(&self, name: &str) -> Option<(Arc<Stream>, CancellationToken)> {
        let mut kept = self.0.lock();
        let entry = kept.streams.iter_mut().find(|entry| &*entry.stream.name == name)?;
        let taken = CancellationToken::new();
        std::mem::replace(&mut entry.taken, taken.clone()).cancel();
        entry.left = None;
        Some((Arc::clone(&entry.stream), taken))
    }

    /// Whoever read the stream does not any more, unless somebody else does. Whether it has to be watched from now on.
    fn leave(&self, stream: &Arc<Stream>, taken: &CancellationToken) -> bool {
        let mut kept = self.0.lock();
        if taken.is_cancelled() {
            return false;
        }
        let entry = kept.streams.iter_mut().find(|entry| Arc::ptr_eq(&entry.stream, stream));
        let Some(entry) = entry else { return false };
        entry.left = Some(Instant::now());
        kept.make_room();
        !std::mem::replace(&mut kept.is_watched, true)
    }

    /// Forgets what nobody has come back for; when to look again.
    fn expire(&self) -> Option<Instant> {
        let mut kept = self.0.lock();
        kept.streams.retain(|entry| entry.left.is_none_or(|left| left.elapsed() < KEPT));
        let next = kept.streams.iter().filter_map(|entry| entry.left).min().map(|left| left + KEPT);
        kept.is_watched = next.is_some();
        next
    }

    fn clear(&self) {
        let mut kept = self.0.lock();
        kept.streams.clear();
        kept.is_watched = false;
    }
}

impl Kept {
    /// Those that ended first go first; one that goes on goes when there are too many of them.
    fn make_room(&mut self) {
        let mut bytes: usize = self.streams.iter().filter_map(Entry::ended).sum();
        let mut waiting = self.streams.iter().filter(|entry| entry.left.is_some()).count();
        while bytes > BYTES_MAX || waiting > STREAMS_MAX {
            let mut ended = self.streams.iter().enumerate().filter_map(|(place, entry)| Some((place, entry.ended()?)));
            let oldest = ended.next();
            let is_last = ended.next().is_none();
            let (place, freed) = match oldest {
                Some(oldest) if !is_last || waiting > STREAMS_MAX => oldest,
                // An answer alone may be longer.
                Some(_) => return,
                None => match self.streams.iter().position(|entry| entry.left.is_some()) {
                    Some(place) => (place, 0),
                    None => return,
                },
            };
            self.streams.remove(place);
            bytes -= freed;
            waiting -= 1;
        }
    }
}

/// A connection, and where it has got to in a stream.
pub(super) struct Reader {
    front: Front,
    session: Arc<Session>,
    stream: Arc<Stream>,
    taken: CancellationToken,
    next: u64,
    /// What is told first: from where on the client can go on, before it has heard anything.
    opening: Option<Bytes>,
}

impl Events for Reader {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(opening) = self.opening.take() {
            return Some(opening);
        }
        let read = async { self.stream.feed.lock().await.read(self.next).await };
        let (number, message) = self.taken.run_until_cancelled(read).await??;
        self.next = number + 1;
        Some(event_with(format_args!("{}-{number}", self.stream.name), message))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.session.streams.leave(&self.stream, &self.taken) {
            // Without a runtime the process ends, and what is kept with it.
            let Ok(runtime) = Handle::try_current() else { return };
            let (session, closing) = (Arc::clone(&self.session), self.front.0.setup.closing.clone());
            self.front.0.setup.tasks.spawn_on(watch(session, closing), &runtime);
        }
    }
}

/// Forgets the streams of a session when their time is up, for as long as there are any that nobody reads.
async fn watch(session: Arc<Session>, closing: CancellationToken) {
    while let Some(next) = session.streams.expire() {
        tokio::select! {
            () = sleep_until(next) => {}
            () = session.over.cancelled() => return session.streams.clear(),
            () = closing.cancelled() => return session.streams.clear(),
        }
    }
}

impl Front {
    /// A stream of that kind, which its session keeps when its connection is lost.
    pub(super) fn kept(&self, session: &Arc<Session>, kind: &str, source: Source) -> Reader {
        let (stream, taken) = session.streams.open(kind, source, &self.0.kept);
        // Older clients take an event without data for a broken message.
        let primes = session.hello().version >= Version::LastLegacy;
        let opening = primes.then(|| format!("id: {}-0\nretry: {RETRY}\ndata:\n\n", stream.name).into());
        Reader { front: self.clone(), session: Arc::clone(session), stream, taken, next: 1, opening }
    }

    /// The rest of the stream behind the event of that id, if it is kept. Whoever reads it still is too late.
    pub(super) fn rest_of(&self, session: &Arc<Session>, event: &str) -> Option<Reader> {
        let (name, number) = event.rsplit_once('-')?;
        let next = number.parse::<u64>().ok()?.checked_add(1)?;
        let (stream, taken) = session.streams.take(name)?;
        Some(Reader { front: self.clone(), session: Arc::clone(session), stream, taken, next, opening: None })
    }
}
