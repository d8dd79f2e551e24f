//! Which of the calls in flight a server means that does not say which: one that is told or asked what is another's would
//! be misled.

use std::sync::Arc;

use parking_lot::Mutex;
use router_core::Raw;

use super::{
    eras,
    listener::{self, Listener},
};

/// Who may hear what a server says beside all requests.
#[derive(Debug, PartialEq)]
pub(super) enum Audience {
    /// Nothing is in flight: it is about nobody.
    Everybody,
    /// All that is in flight is his.
    One(Arc<str>),
    /// It may be about any of several callers.
    Nobody,
}

/// Who may hear what a server says while these calls are in flight.
pub(super) fn audience<'a>(calls: impl Iterator<Item = &'a Listener>) -> Audience {
    let mut callers = calls.map(Listener::caller);
    match callers.next() {
        None => Audience::Everybody,
        Some(first) if callers.all(|caller| caller == first) => Audience::One(Arc::clone(first)),
        Some(_) => Audience::Nobody,
    }
}

/// The only call, when there is exactly one.
pub(super) fn only<'a>(mut calls: impl Iterator<Item = &'a Listener>) -> Option<Listener> {
    match (calls.next(), calls.next()) {
        (Some(listener), None) => Some(listener.clone()),
        _ => None,
    }
}

/// Whose a question can be: that of the only call. Where one caller has them all, it is the only one that does not wait
/// for an answer of his already, or, when all of them do, the youngest, which asks more than one thing.
pub(super) fn meant<'a>(calls: impl Iterator<Item = (u64, &'a Listener)>) -> Option<Listener> {
    let mut calls: Vec<_> = calls.collect();
    calls.sort_unstable_by_key(|(id, _)| *id);
    let (_, youngest) = calls.last()?;
    if calls.iter().any(|(_, listener)| listener.caller() != youngest.caller()) {
        return None;
    }
    let mut free = calls.iter().map(|(_, listener)| *listener).filter(|listener| !listener.is_asked());
    match (free.next(), free.next()) {
        (None, _) => Some(Listener::clone(youngest)),
        (Some(only), None) => Some(only.clone()),
        (Some(_), Some(_)) => None,
    }
}

/// The calls in flight of one session, where each is a request of its own.
#[derive(Default)]
pub(super) struct InFlight(Mutex<Vec<(u64, Listener)>>);

impl InFlight {
    pub(super) fn enter(&self, id: u64, listener: &Listener) {
        self.0.lock().push((id, listener.clone()));
    }

    pub(super) fn leave(&self, id: u64) {
        let mut calls = self.0.lock();
        if let Some(place) = calls.iter().position(|(known, _)| *known == id) {
            calls.swap_remove(place);
        }
    }

    /// Whose a question is.
    pub(super) fn meant(&self) -> Option<Listener> {
        meant(self.0.lock().iter().map(|(id, listener)| (*id, listener)))
    }

    /// Whose a notification is: progress names its call, a log line names none.
    pub(super) fn whose(&self, method: &str, params: Option<&Raw>) -> Option<Listener> {
        let calls = self.0.lock();
        match method {
            listener::PROGRESS => {
                let id = params.and_then(eras::token_of)?;
                calls.iter().find(|(known, _)| *known == id).map(|(_, listener)| listener.clone())
            }
            method if method == listener::MESSAGE || listener::is_foreign(method) => {
                only(calls.iter().map(|(_, listener)| listener))
            }
            _ => None,
        }
    }

    pub(super) fn audience(&self) -> Audience {
        audience(self.0.lock().iter().map(|(_, listener)| listener))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use router_core::{Caller, Cx};

    use super::*;

    fn listener(caller: &str) -> (Cx, Listener) {
        let caller = Caller { name: caller.into(), ..Caller::anonymous("test") };
        let cx = Cx::new(Arc::new(caller), Duration::from_secs(1));
        let listener = Listener::new(&cx, None);
        (cx, listener)
    }

    #[test]
    fn what_names_no_call_is_somebodys_only_where_it_can_be_nobody_elses() {
        let one = |caller: &str| Audience::One(caller.into());
        // Who calls; whose call waits for an answer of his already; to which call a question goes; who may hear the rest.
        for (callers, asked, meant, audience) in [
            (&[][..], &[][..], None, Audience::Everybody),
            (&["a"], &[], Some(0), one("a")),
            (&["a"], &[0], Some(0), one("a")),
            (&["a", "b"], &[], None, Audience::Nobody),
            (&["a", "a"], &[], None, one("a")),
            (&["a", "a"], &[0], Some(1), one("a")),
            (&["a", "a"], &[0, 1], Some(1), one("a")),
            (&["a", "a", "b"], &[0, 1], None, Audience::Nobody),
        ] {
            let calls: Vec<_> = callers.iter().map(|caller| listener(caller)).collect();
            let _held: Vec<_> = asked.iter().map(|&call| calls[call].0.pulse().hold()).collect();
            let in_flight = InFlight::default();
            (0..).zip(&calls).for_each(|(id, (_, listener))| in_flight.enter(id, listener));
            let is = |found: Option<Listener>, call: Option<usize>| match (found, call) {
                (Some(found), Some(call)) => Arc::ptr_eq(found.caller(), calls[call].1.caller()),
                (found, call) => found.is_none() && call.is_none(),
            };
            assert!(is(in_flight.meant(), meant), "{callers:?} {asked:?}");
            assert_eq!(in_flight.audience(), audience, "{callers:?}");
            let only = (callers.len() == 1).then_some(0);
            assert!(is(in_flight.whose(listener::MESSAGE, None), only), "{callers:?}");
            let token = Raw::trusted(r#"{"progressToken":0}"#);
            let first = (!callers.is_empty()).then_some(0);
            assert!(is(in_flight.whose(listener::PROGRESS, Some(&token)), first), "{callers:?}");
            in_flight.leave(0);
            assert!(in_flight.whose(listener::PROGRESS, Some(&token)).is_none());
        }
    }
}
