//! One stack for each key that a query names, such as its model: so that one that is broken does not close its neighbours.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::RwLock;

use super::guard::Guard;
use crate::{BoxUpstream, Cx, Name, Query, Result, Upstream};

/// Stacks by a key of the query, each built on first use. Keys come from clients, so the stacks are bounded: the one
/// that was not used for longest goes first.
pub struct Keyed<Q: Query> {
    key: fn(&Q) -> &Name,
    build: Build<Q>,
    bound: usize,
    uses: AtomicU64,
    links: RwLock<HashMap<Name, Link<Q>>>,
}

/// Builds the stack of a key, and says which guard stands over it.
type Build<Q> = Box<dyn Fn(&Name) -> (Arc<Guard>, BoxUpstream<Q>) + Send + Sync>;

struct Link<Q: Query> {
    guard: Arc<Guard>,
    stack: BoxUpstream<Q>,
    last_use: AtomicU64,
}

impl<Q: Query> Keyed<Q> {
    /// At most `bound` stacks, by what `key` says of a query, each made by `build`.
    pub fn new(
        bound: usize,
        key: fn(&Q) -> &Name,
        build: impl Fn(&Name) -> (Arc<Guard>, BoxUpstream<Q>) + Send + Sync + 'static,
    ) -> Self {
        let (uses, links) = (AtomicU64::new(0), RwLock::default());
        Self { key, build: Box::new(build), bound: bound.max(1), uses, links }
    }

    /// The guards of the stacks that there are, each with its key, in the keys' order: for health.
    pub fn guards(&self) -> Vec<(Name, Arc<Guard>)> {
        let links = self.links.read();
        let mut guards: Vec<_> = links.iter().map(|(key, link)| (Arc::clone(key), Arc::clone(&link.guard))).collect();
        guards.sort_by(|(one, _), (other, _)| one.cmp(other));
        guards
    }

    /// The stack of a key.
    fn stack(&self, key: &Name) -> BoxUpstream<Q> {
        if let Some(stack) = self.links.read().get(key).map(|link| self.used(link)) {
            return stack;
        }
        let mut links = self.links.write();
        if let Some(link) = links.get(key) {
            return self.used(link);
        }
        while links.len() >= self.bound {
            let oldest = links.iter().min_by_key(|(_, link)| link.last_use.load(Ordering::Relaxed));
            let Some(oldest) = oldest.map(|(key, _)| Arc::clone(key)) else { break };
            links.remove(&oldest);
        }
        let (guard, stack) = (self.build)(key);
        let link = Link { guard, stack, last_use: AtomicU64::new(0) };
        let stack = self.used(&link);
        links.insert(Arc::clone(key), link);
        stack
    }

    fn used(&self, link: &Link<Q>) -> BoxUpstream<Q> {
        link.last_use.store(self.uses.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        link.stack.clone()
    }
}

impl<Q: Query> Upstream<Q> for Keyed<Q> {
    async fn call(&self, cx: &Cx, query: Q) -> Result<Q::Reply> {
        let stack = self.stack((self.key)(&query));
        stack.call(cx, query).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Error, Kind, NoMeter, Repeat,
        chat::{Chat, ChatReply, Prompt, Shape},
        layer::{breaker::State, guard::GuardPolicy, stack},
        upstream::Answering,
    };

    fn keyed(bound: usize) -> Keyed<Chat> {
        let build = |model: &Name| {
            let guard = Guard::new(Arc::clone(model), GuardPolicy::default(), Arc::new(NoMeter));
            let answer = Answering(|_, chat: Chat| async move {
                if &*chat.model == "bad" { Err(Error::new(Kind::Unavailable, "no")) } else { Ok(ChatReply::say("a")) }
            });
            let stack = stack::<Chat>(&guard, answer).breaker().boxed();
            (guard, stack)
        };
        Keyed::new(bound, |chat: &Chat| &chat.model, build)
    }

    fn chat(model: &str) -> Chat {
        Chat::of(Prompt::default(), model, Shape::Stream)
    }

    async fn ask(keyed: &Keyed<Chat>, model: &str) -> Result<(), Kind> {
        let cx = crate::layer::testing::cx(60);
        keyed.call(&cx, chat(model)).await.map(drop).map_err(|error| error.kind())
    }

    #[tokio::test(start_paused = true)]
    async fn one_bad_key_does_not_close_its_neighbours() {
        let keyed = keyed(8);
        assert_eq!(chat("good").repeat(), Repeat::Safe);
        for _ in 0..5 {
            assert_eq!(ask(&keyed, "bad").await, Err(Kind::Unavailable));
        }
        assert_eq!((ask(&keyed, "bad").await, ask(&keyed, "good").await), (Err(Kind::Open), Ok(())));
        let states: Vec<_> =
            keyed.guards().iter().map(|(key, guard)| (key.to_string(), guard.standing().state)).collect();
        assert_eq!(states, [("bad".to_owned(), State::Open), ("good".to_owned(), State::Closed)]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_one_not_used_for_longest_goes() {
        let keyed = keyed(2);
        for model in ["a", "b", "a", "c", "a"] {
            ask(&keyed, model).await.unwrap();
        }
        assert_eq!(keyed.guards().iter().map(|(key, _)| key.to_string()).collect::<Vec<_>>(), ["a", "c"]);
    }
}
