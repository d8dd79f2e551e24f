//! One request at the door: who asks, under which id, and what its answer says about itself.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use router_core::{
    CacheUse, Caller, Cx, Provenance, Source, Trail,
    chat::{Keep, OnLoss},
};
use router_llm::enhance::{ClientRules, Signs};

/// What an answer says about itself. The names are made once: to make one is to check each of its letters.
pub static UPSTREAM: HeaderName = HeaderName::from_static("x-mcp-router-upstream");
static CACHE: HeaderName = HeaderName::from_static("x-mcp-router-cache");
static CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
static SOURCE: HeaderName = HeaderName::from_static("x-mcp-router-source");
static DROPPED: HeaderName = HeaderName::from_static("x-mcp-router-dropped");
static ATTEMPTS: HeaderName = HeaderName::from_static("x-mcp-router-attempts");
static COST: HeaderName = HeaderName::from_static("x-mcp-router-cost");
/// The id of a request, as either vendor's clients look for it.
pub static IDS: [HeaderName; 2] = [HeaderName::from_static("request-id"), HeaderName::from_static("x-request-id")];

/// A request that was let in. It rides in the request's extensions.
#[derive(Clone)]
pub struct Visit {
    /// Who asks.
    pub caller: Arc<Caller>,
    /// The context of what is asked on his behalf.
    pub cx: Cx,
    /// What he says about kept answers.
    pub keep: Keep,
    /// Whether its path names the client.
    pub by_path: bool,
    /// What he says about what may be lost.
    pub on_loss: Option<OnLoss>,
}

impl Visit {
    /// A visit whose questions must be answered before `time` has passed.
    pub fn new(caller: Caller, time: std::time::Duration) -> Self {
        let caller = Arc::new(caller);
        let cx = Cx::new(Arc::clone(&caller), time);
        Self { cx, caller, keep: Keep::default(), by_path: false, on_loss: None }
    }

    /// The id of the request.
    pub fn id(&self) -> &str {
        &self.caller.request_id
    }

    /// The same visit, kept on this machine where the rule of its client says so.
    #[must_use]
    pub fn ruled(mut self, rules: &ClientRules) -> Self {
        self.cx = rules.confined(self.cx);
        self
    }

    /// The client program, where the question itself names it: its path goes before that, its key and product do not.
    pub fn name_client(&mut self, says: Option<&str>, rules: &ClientRules) {
        if says.is_none() || self.by_path {
            return;
        }
        let signs = Signs { says, key: Some(&self.caller.name), ..Signs::default() };
        let client = rules.client(signs).ok().flatten();
        self.caller = Arc::new(Caller { client, ..Caller::clone(&self.caller) });
        self.cx = rules.confined(self.cx.for_caller(Arc::clone(&self.caller)));
    }

    /// Signs an answer: who gave it, from where, after how many attempts.
    pub fn sign(&self, headers: &mut HeaderMap, provenance: &Provenance) {
        sign(headers, self.cx.trail(), provenance);
    }

    /// Tells what an answer cost, where all of that is known: it is when the last byte of it is.
    pub fn bill(&self, headers: &mut HeaderMap) {
        let cost = self.cx.trail().cost().map(decimal);
        if let Some(Ok(cost)) = cost.as_deref().map(HeaderValue::from_str) {
            headers.insert(&COST, cost);
        }
    }
}

fn sign(headers: &mut HeaderMap, trail: &Trail, provenance: &Provenance) {
    let mut put = |name: &HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    match (&provenance.upstream, &provenance.model) {
        (Some(upstream), Some(model)) => put(&UPSTREAM, &[upstream, "/", model].concat()),
        (Some(upstream), None) => put(&UPSTREAM, upstream),
        (None, _) => {}
    }
    if let Some(age) = provenance.age {
        put(&header::AGE, &age.as_secs().to_string());
    }
    if !provenance.dropped.is_empty() {
        put(&DROPPED, &provenance.dropped.to_string());
    }
    if let Some(status) = cache_status(provenance) {
        headers.insert(&CACHE_STATUS, HeaderValue::from_static(status));
    }
    headers.insert(&CACHE, HeaderValue::from_static(provenance.cache.as_str()));
    headers.insert(&SOURCE, HeaderValue::from_static(provenance.source.as_str()));
    headers.insert(&ATTEMPTS, HeaderValue::from(trail.attempts()));
}

/// The same in the words of RFC 9211. `hit` is also what is too old to be fresh: its detail says so.
fn cache_status(provenance: &Provenance) -> Option<&'static str> {
    match (provenance.cache, provenance.source) {
        (CacheUse::Hit, _) => Some("mcp-router; hit"),
        (CacheUse::Semantic, _) => Some("mcp-router; hit; detail=semantic"),
        (CacheUse::Stale, _) => Some("mcp-router; hit; detail=stale"),
        (CacheUse::Miss, _) => Some("mcp-router; fwd=miss"),
        (CacheUse::None, Source::Backup) => Some("mcp-router; fwd=bypass; detail=backup"),
        (CacheUse::None, Source::Default) => Some("mcp-router; fwd=bypass; detail=default"),
        (CacheUse::None, Source::Live | Source::Cache) => None,
    }
}

/// Dollars as a plain decimal, to the billionth: `0.000123`.
fn decimal(dollars: f64) -> String {
    let text = format!("{dollars:.9}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A new id: it only has to be new, not secret.
pub fn new_request_id() -> Arc<str> {
    format!("req_{:016x}{:08x}", fastrand::u64(..), fastrand::u32(..)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_written_plainly() {
        let table = [
            (0.0, "0"),
            (0.000_123, "0.000123"),
            (1e-7, "0.0000001"),
            (12.5, "12.5"),
            (0.1 + 0.2, "0.3"),
            (100.0, "100"),
        ];
        for (dollars, expect) in table {
            assert_eq!(decimal(dollars), expect);
        }
    }
}
