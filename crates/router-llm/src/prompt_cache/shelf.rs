//! Answers in a store that other replicas share. Whatever is wrong with it, or with what it holds, is a miss.

use std::{future::Future, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, StreamExt, stream};
use router_core::{
    Reply, Scope, Store, StoreKey,
    chat::{ChatRecording, ChatReply, Frame, Shape, Usage},
    layer::answers::Key,
};
use serde::{Deserialize, Serialize};

use crate::provider::Api;

/// Under which name answers are kept there.
const ANSWERS: &str = "prompt";

/// Where answers live beside the memory of this process.
pub(super) struct Shelf<S> {
    store: Option<Arc<S>>,
    clock: fn() -> i64,
}

impl<S> Clone for Shelf<S> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), clock: self.clock }
    }
}

impl<S: Store> Shelf<S> {
    pub(super) fn new(store: Option<Arc<S>>, clock: fn() -> i64) -> Self {
        Self { store, clock }
    }

    /// The answer under `key`, and how old it is, when it is younger than `fresh`.
    pub(super) async fn take(&self, key: Key, fresh: Duration) -> Option<(ChatReply, Duration)> {
        let store = self.store.as_ref().filter(|_| !fresh.is_zero())?;
        let bytes = store.get(&name(key)).await.ok()??;
        let (mut reply, at) = read(&bytes)?;
        let age = Duration::from_secs(u64::try_from((self.clock)().saturating_sub(at)).unwrap_or_default());
        reply.provenance_mut().age = Some(age);
        (age < fresh).then_some((reply, age))
    }

    /// Puts a whole recording there, for the time `keep`.
    pub(super) fn put(
        &self,
        key: Key,
        copy: &ChatRecording,
        keep: Duration,
    ) -> Option<impl Future<Output = ()> + Send + use<S>> {
        let store = Arc::clone(self.store.as_ref()?);
        let value = write(copy, (self.clock)())?;
        // Nobody waits for it, and nobody can do anything about it.
        Some(async move { drop(store.put(name(key), value, keep).await) })
    }
}

/// The key is made with the caller's scope already.
fn name(key: Key) -> StoreKey {
    StoreKey::new(&Scope::Shared, ANSWERS, &blake3::Hash::from_bytes(*key.bytes()).to_hex())
}

/// What stands before the frames of an answer.
#[derive(Serialize, Deserialize)]
struct Head {
    /// When it was given, in seconds of Unix time.
    at: i64,
    dialect: String,
    stream: bool,
    meta: Vec<(String, String)>,
    upstream: Option<String>,
    model: Option<String>,
    dropped: Vec<String>,
    /// The length of each frame, and the tokens that it tells: input, output, cache read and write, thinking.
    frames: Vec<(usize, Option<[u64; 5]>)>,
}

/// An answer in bytes: the length of its head, its head, its frames. `None` for one that is not in a vendor's words: only
/// the memory has those.
fn write(copy: &ChatRecording, at: i64) -> Option<Bytes> {
    let reply = ChatReply::replay(copy)?;
    let provenance = reply.provenance();
    let mut head = Head {
        at,
        dialect: reply.dialect?.name().to_owned(),
        stream: reply.shape == Shape::Stream,
        meta: reply.meta.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        upstream: provenance.upstream.as_deref().map(str::to_owned),
        model: provenance.model.as_deref().map(str::to_owned),
        dropped: provenance.dropped.iter().map(str::to_owned).collect(),
        frames: Vec::new(),
    };
    let mut body = BytesMut::new();
    for frame in reply.collect::<Vec<_>>().now_or_never()? {
        let Frame::Wire { bytes, usage } = frame.ok()? else { return None };
        let usage = usage.map(|it| [it.input, it.output, it.cache_read, it.cache_write, it.thinking]);
        head.frames.push((bytes.len(), usage));
        body.extend_from_slice(&bytes);
    }
    let head = serde_json::to_vec(&head).ok()?;
    let length = u32::try_from(head.len()).ok()?.to_le_bytes();
    Some([&length[..], &head, &body].concat().into())
}

/// The answer in `bytes`, and when it was given.
fn read(bytes: &Bytes) -> Option<(ChatReply, i64)> {
    let (length, _) = bytes.split_first_chunk::<4>()?;
    let begin = 4 + usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let head: Head = serde_json::from_slice(bytes.get(4..begin)?).ok()?;
    let dialect = Api::ALL.into_iter().map(Api::language).find(|language| language.name() == head.dialect)?;
    let mut frames = Vec::with_capacity(head.frames.len());
    let mut at = begin;
    for (length, usage) in head.frames {
        let end = at.checked_add(length).filter(|end| *end <= bytes.len())?;
        let usage = usage.map(|[input, output, cache_read, cache_write, thinking]| {
            Box::new(Usage { input, output, cache_read, cache_write, thinking })
        });
        frames.push(Ok(Frame::Wire { bytes: bytes.slice(at..end), usage }));
        at = end;
    }
    let shape = if head.stream { Shape::Stream } else { Shape::Whole };
    let mut reply = ChatReply::wire(dialect, shape, head.meta.into_iter().collect(), stream::iter(frames));
    let provenance = reply.provenance_mut();
    provenance.upstream = head.upstream.map(Into::into);
    provenance.model = head.model.map(Into::into);
    head.dropped.into_iter().for_each(|lost| provenance.dropped.note(lost));
    Some((reply, head.at))
}
