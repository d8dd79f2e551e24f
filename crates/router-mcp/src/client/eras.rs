//! The two eras of the protocol: what a connection speaks is found out once, and then every message fits it.

use std::{borrow::Cow, sync::Arc};

use router_core::{
    Error, Kind, Peer, Raw, Result,
    tool::{Errand, Lookup, ToolCall},
};
use serde_json::json;
use smallvec::{SmallVec, smallvec};

use crate::{fields, rpc};

/// What is spoken before the first answer has told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Find out.
    #[default]
    Auto,
    /// `initialize`, up to 2025-11-25.
    Legacy,
    /// `server/discover`, from 2026-07-28 on.
    Modern,
}

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// One handshake, then a session: revisions up to 2025-11-25.
    Legacy,
    /// Every request says everything: from 2026-07-28 on.
    Modern,
}

impl Era {
    /// The word for status and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Modern => "modern",
        }
    }

    /// The question for a sign of life.
    pub(super) fn ping(self) -> (&'static str, Raw) {
        match self {
            Self::Legacy => ("ping", fields::empty()),
            Self::Modern => (DISCOVER, discover_params()),
        }
    }
}

/// The newest legacy revision: what `initialize` asks for.
const LEGACY_VERSION: &str = "2025-11-25";
/// What we accept as its answer.
const LEGACY_VERSIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", LEGACY_VERSION];
/// The modern revision.
pub(crate) const MODERN_VERSION: &str = "2026-07-28";

pub(crate) const INITIALIZE: &str = "initialize";
pub(crate) const DISCOVER: &str = "server/discover";
pub(crate) const INITIALIZED: &str = "notifications/initialized";

/// The keys of `_meta` in which a modern request says who asks, and how.
pub(crate) const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
pub(crate) const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
pub(crate) const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
const MODERN_KEYS: [&str; 4] = [PROTOCOL_VERSION, CLIENT_CAPABILITIES, CLIENT_INFO, LOG_LEVEL];

const META: &str = "_meta";
const PROGRESS_TOKEN: &str = "progressToken";

/// What a server said of itself when it was met.
#[derive(Clone, Debug, PartialEq)]
pub struct Greeting {
    /// What the connection speaks.
    pub era: Era,
    /// The revision agreed on.
    pub version: Arc<str>,
    /// The server's name for itself, which is for people only.
    pub server_name: Option<Arc<str>>,
    /// Its capabilities, as it wrote them.
    pub capabilities: Raw,
    /// What it tells models about its use.
    pub instructions: Option<Arc<str>>,
}

impl Greeting {
    /// Reads the result of `initialize`.
    pub(crate) fn from_initialize(result: &Raw) -> Result<Self> {
        let version = fields::text(result, "protocolVersion").unwrap_or_default();
        if !LEGACY_VERSIONS.contains(&version.as_str()) {
            let message = format!("the server speaks protocol version {version:?}, which is none of ours");
            return Err(Error::new(Kind::Protocol, message));
        }
        let name = fields::get(result, "serverInfo");
        Ok(Self::read(Era::Legacy, &version, result, name.as_ref()))
    }

    /// Reads the result of `server/discover`.
    pub(crate) fn from_discover(result: &Raw) -> Result<Self> {
        let supported = fields::get(result, "supportedVersions").map(|list| fields::elements(&list));
        let ours = rpc::quoted(MODERN_VERSION);
        if !supported.unwrap_or_default().contains(&ours) {
            let message = format!("the server does not list protocol version {MODERN_VERSION}");
            return Err(Error::new(Kind::Protocol, message));
        }
        let name = fields::get_path(result, &[META, SERVER_INFO]).or_else(|| fields::get(result, "serverInfo"));
        Ok(Self::read(Era::Modern, MODERN_VERSION, result, name.as_ref()))
    }

    /// A modern server that answers no discovery.
    pub(crate) fn unspoken() -> Self {
        Self::read(Era::Modern, MODERN_VERSION, &Raw::trusted("{}"), None)
    }

    fn read(era: Era, version: &str, result: &Raw, server: Option<&Raw>) -> Self {
        Self {
            era,
            version: version.into(),
            server_name: server.and_then(|server| fields::text(server, "name")).map(Arc::from),
            capabilities: fields::get(result, "capabilities").unwrap_or_else(|| Raw::trusted("{}")),
            instructions: fields::text(result, "instructions").map(Arc::from),
        }
    }
}

fn client_info() -> serde_json::Value {
    json!({ "name": "mcp-router", "version": env!("CARGO_PKG_VERSION") })
}

/// What `initialize` says. Of a server that one client has to himself, what he said that he can; of one that many share, what
/// can be relayed to somebody, whoever asks. Roots are offered where somebody has some: of many clients no one's folders must
/// govern the server, so there those of the configuration do.
pub(crate) fn initialize_params(client: Option<&Raw>, has_roots: bool) -> Raw {
    let relayed = || Raw::trusted(r#"{"sampling":{"tools":{}},"elicitation":{"form":{},"url":{}}}"#);
    let own = |client: &Raw| fields::retain(client, |key, _| matches!(key, "sampling" | "elicitation"));
    let capabilities = client.map_or_else(relayed, own);
    let roots = has_roots || client.is_some_and(|client| fields::get(client, "roots").is_some());
    let capabilities = if roots { fields::with_field(&capabilities, "roots", &fields::empty()) } else { capabilities };
    let (version, about) = (rpc::quoted(LEGACY_VERSION), Raw::trusted(client_info().to_string()));
    let said = [("protocolVersion", &version), ("capabilities", &capabilities), ("clientInfo", &about)];
    fields::with_fields(&fields::empty(), &said)
}

/// What `server/discover` says.
pub(crate) fn discover_params() -> Raw {
    let empty = fields::empty();
    fields::with_field(&empty, META, &modern_meta(&fields::Object::of(&empty), None))
}

/// What `subscriptions/listen` says.
pub(crate) fn listen_params(filter: &Raw) -> Raw {
    fields::with_field(&discover_params(), "notifications", filter)
}

/// A question on its way to a server, in the words of its connection.
#[derive(Debug, PartialEq)]
pub(crate) struct Request {
    pub(crate) method: Cow<'static, str>,
    pub(crate) params: Raw,
    /// The caller's own progress token, which is not the one that travels: two callers may have the same.
    pub(crate) token: Option<Raw>,
    /// The era of whoever asked, as far as the question shows it.
    pub(crate) from: Era,
}

impl Request {
    /// A call on its way to a server. A legacy one may refuse a call without arguments; none refuses empty ones.
    pub(crate) fn of_call(call: &ToolCall, at: (Era, u64), peer: &dyn Peer) -> Self {
        let (name, empty) = (rpc::quoted(&call.name), fields::empty());
        let arguments = match (&call.arguments, at.0) {
            (None, Era::Legacy) => Some(&empty),
            (arguments, _) => arguments.as_ref(),
        };
        let mut set: SmallVec<[_; 2]> = smallvec![("name", &name)];
        set.extend(arguments.map(|arguments| ("arguments", arguments)));
        let extra = fields::Object::of(call.extra.as_ref().unwrap_or(&empty));
        let called = Self::fit("tools/call".into(), &extra, &set, at, peer);
        // A modern client means nothing by it, and a legacy server something.
        let strays = at.0 == Era::Legacy && called.from == Era::Modern && extra.get("task").is_some();
        if strays { Self { params: fields::without_field(&called.params, "task"), ..called } } else { called }
    }

    /// A lookup on its way to a server, with what travels along in its place again.
    pub(crate) fn of_lookup(lookup: &Lookup, at: (Era, u64), peer: &dyn Peer) -> Self {
        let empty = fields::empty();
        let params = fields::Object::of(lookup.params.as_ref().unwrap_or(&empty));
        let set = lookup.extra.as_ref().map(|extra| (META, extra));
        Self::fit(lookup.what.method().into(), &params, set.as_slice(), at, peer)
    }

    /// An errand on its way to a server.
    pub(crate) fn of_errand(errand: &Errand, at: (Era, u64), peer: &dyn Peer) -> Self {
        let empty = fields::empty();
        let params = fields::Object::of(errand.params.as_ref().unwrap_or(&empty));
        Self::fit(errand.method.clone(), &params, &[], at, peer)
    }

    /// `params` with `set`, and with a `_meta` that fits the connection's era; `id` is the progress token there, where one
    /// is needed. All is found in one pass and changed in another, and what needs no change is not written anew.
    fn fit(
        method: Cow<'static, str>,
        params: &fields::Object<'_>,
        set: &[(&str, &Raw)],
        (era, id): (Era, u64),
        peer: &dyn Peer,
    ) -> Self {
        let meta = set.iter().find(|(key, _)| *key == META).map(|(_, meta)| (*meta).clone());
        let meta = meta.or_else(|| params.get(META));
        let empty = fields::empty();
        let said = fields::Object::of(meta.as_ref().unwrap_or(&empty));
        let token = said.get(PROGRESS_TOKEN);
        let from = if said.get(PROTOCOL_VERSION).is_some() { Era::Modern } else { Era::Legacy };
        let fitted = match (era, from) {
            (Era::Modern, _) => Some(modern_meta(&said, Some(peer))),
            (Era::Legacy, Era::Modern) => meta.as_ref().map(without_modern_keys),
            (Era::Legacy, Era::Legacy) => meta.clone(),
        };
        let fitted = match &token {
            Some(_) => fitted.map(|meta| fields::with_field(&meta, PROGRESS_TOKEN, &Raw::trusted(id.to_string()))),
            None => fitted,
        };
        let mut set: SmallVec<[(&str, &Raw); 3]> = set.iter().copied().filter(|(key, _)| *key != META).collect();
        set.extend(fitted.as_ref().map(|meta| (META, meta)));
        Self { method, params: params.with(&set), token, from }
    }
}

/// `_meta` without what makes a request modern.
pub(crate) fn without_modern_keys(meta: &Raw) -> Raw {
    fields::without_fields(meta, &MODERN_KEYS)
}

/// `_meta` of a modern request. A modern caller speaks for himself; of a legacy one we say what he said of himself when
/// he greeted us, and how much he wants to hear; our own requests promise nothing.
fn modern_meta(meta: &fields::Object<'_>, peer: Option<&dyn Peer>) -> Raw {
    let version = rpc::quoted(MODERN_VERSION);
    let (speaks, is_named) = (meta.get(CLIENT_CAPABILITIES).is_some(), meta.get(CLIENT_INFO).is_some());
    if speaks && is_named {
        return meta.with(&[(PROTOCOL_VERSION, &version)]);
    }
    let about_us = Raw::trusted(client_info().to_string());
    let capabilities = peer.map_or_else(fields::empty, |peer| modern_capabilities(&peer.capabilities()));
    let level = peer.map(|peer| rpc::quoted(level_of(peer)));
    let mut set = vec![(PROTOCOL_VERSION, &version)];
    if !speaks {
        set.push((CLIENT_CAPABILITIES, &capabilities));
        set.extend(level.as_ref().map(|level| (LOG_LEVEL, level)));
    }
    if !is_named {
        set.push((CLIENT_INFO, &about_us));
    }
    meta.with(&set)
}

/// Modern servers say nothing to whoever names no level; legacy ones, what they think fit.
fn level_of(peer: &dyn Peer) -> &'static str {
    peer.log_level().unwrap_or("info")
}

/// What of a legacy client's capabilities a modern request can name: tasks, for one, mean something else there.
pub(crate) fn modern_capabilities(legacy: &Raw) -> Raw {
    const KNOWN: [&str; 5] = ["elicitation", "sampling", "roots", "experimental", "extensions"];
    fields::retain(legacy, |key, _| KNOWN.contains(&key))
}

/// The parameters of a progress notification with another token in them.
pub(crate) fn with_token(params: &Raw, token: &Raw) -> Raw {
    fields::with_field(params, PROGRESS_TOKEN, token)
}

/// Whose progress a notification tells.
pub(crate) fn token_of(params: &Raw) -> Option<u64> {
    fields::number(params, PROGRESS_TOKEN)
}

#[cfg(test)]
mod tests {
    use router_core::tool::What;

    use super::*;

    fn raw(json: &str) -> Raw {
        Raw::trusted(json.to_owned())
    }

    /// A legacy client.
    struct Legacy;

    impl Peer for Legacy {
        fn notify(&self, _: router_core::Note) {}

        fn ask<'a>(
            &'a self,
            method: &'a str,
            params: Raw,
        ) -> std::pin::Pin<Box<dyn Future<Output = Result<Raw>> + Send + 'a>> {
            router_core::NoPeer.ask(method, params)
        }

        fn capabilities(&self) -> Raw {
            raw(r#"{"tasks":{},"roots":{}}"#)
        }
    }

    #[test]
    fn a_request_fits_its_era() {
        let us = concat!(r#"{"name":"mcp-router","version":""#, env!("CARGO_PKG_VERSION"), r#""}"#);
        let added = format!(
            r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{"roots":{{}}}},"io.modelcontextprotocol/logLevel":"info","io.modelcontextprotocol/clientInfo":{us}"#
        );
        let modern = r#"{"name":"t","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"x":1},"io.modelcontextprotocol/clientInfo":{"name":"c"},"keep":1.0}}"#;
        for (params, era, expected, token, from) in [
            (r#"{"z":1.50, "a":1}"#, Era::Legacy, r#"{"z":1.50, "a":1}"#.to_owned(), None, Era::Legacy),
            (r#"{"z":1.50}"#, Era::Modern, format!(r#"{{"z":1.50,"_meta":{{{added}}}}}"#), None, Era::Legacy),
            (
                r#"{"_meta":{"progressToken":"a","k":2},"z":1}"#,
                Era::Legacy,
                r#"{"_meta":{"progressToken":7,"k":2},"z":1}"#.to_owned(),
                Some(r#""a""#),
                Era::Legacy,
            ),
            (modern, Era::Legacy, r#"{"name":"t","_meta":{"keep":1.0}}"#.to_owned(), None, Era::Modern),
            (modern, Era::Modern, modern.to_owned(), None, Era::Modern),
        ] {
            let expected = Request { method: "m".into(), params: raw(&expected), token: token.map(raw), from };
            let params = raw(params);
            let object = fields::Object::of(&params);
            let fitted = Request::fit("m".into(), &object, &[], (era, 7), &Legacy);
            assert_eq!(fitted, expected, "{params:?} {era:?}");
        }
    }

    #[test]
    fn a_server_is_promised_what_its_clients_can_do() {
        let all = r#"{"roots":{"listChanged":true},"elicitation":{},"tasks":{},"x":1,"sampling":{"z":1.0}}"#;
        for (client, has_roots, expected) in [
            (None, false, r#"{"sampling":{"tools":{}},"elicitation":{"form":{},"url":{}}}"#),
            (None, true, r#"{"sampling":{"tools":{}},"elicitation":{"form":{},"url":{}},"roots":{}}"#),
            (Some(all), false, r#"{"elicitation":{},"sampling":{"z":1.0},"roots":{}}"#),
            (Some("{}"), false, "{}"),
            (Some("{}"), true, r#"{"roots":{}}"#),
        ] {
            let params = initialize_params(client.map(raw).as_ref(), has_roots);
            assert_eq!(fields::get(&params, "capabilities"), Some(raw(expected)), "{client:?} {has_roots}");
        }
    }

    #[test]
    fn a_call_has_arguments_where_they_are_needed() {
        let bare = ToolCall::new("t\"x", None);
        let sent = |call: &ToolCall, era| Request::of_call(call, (era, 7), &Legacy).params;
        assert_eq!(sent(&bare, Era::Legacy), raw(r#"{"name":"t\"x","arguments":{}}"#));
        assert_eq!(fields::without_field(&sent(&bare, Era::Modern), META), raw(r#"{"name":"t\"x"}"#));
        let mut full = ToolCall::new("t", Some(raw(r#"{"b":1,"a":12345678901234567890123}"#)));
        full.extra = Some(raw(r#"{"task":{}}"#));
        let expected = r#"{"task":{},"name":"t","arguments":{"b":1,"a":12345678901234567890123}}"#;
        assert_eq!(sent(&full, Era::Legacy), raw(expected));
        // What says the same already is passed on as it stands, however it is written.
        let whole = raw(r#"{ "arguments" : {"b" :1}, "name":"t" }"#);
        let same = ToolCall { extra: Some(whole.clone()), ..ToolCall::new("t", Some(raw(r#"{"b" :1}"#))) };
        assert_eq!(sent(&same, Era::Legacy), whole);
    }

    #[test]
    fn what_travels_along_with_a_lookup_stands_in_its_place_again() {
        let bare = Lookup::new(What::Resource);
        let marked = Lookup { extra: Some(raw(r#"{"progressToken":1}"#)), ..bare.clone() };
        let full = Lookup { params: Some(raw(r#"{"uri":"x:1"}"#)), ..marked.clone() };
        for (lookup, expected) in [
            (bare, "{}"),
            (marked, r#"{"_meta":{"progressToken":7}}"#),
            (full, r#"{"uri":"x:1","_meta":{"progressToken":7}}"#),
        ] {
            assert_eq!(Request::of_lookup(&lookup, (Era::Legacy, 7), &Legacy).params, raw(expected));
        }
    }

    #[test]
    fn greetings_are_read_from_what_servers_say() {
        let legacy = raw(
            r#"{"protocolVersion":"2025-06-18","capabilities":{"tools":{"x":1}},"serverInfo":{"name":"s"},"instructions":"do"}"#,
        );
        let expected = Greeting {
            era: Era::Legacy,
            version: "2025-06-18".into(),
            server_name: Some("s".into()),
            capabilities: raw(r#"{"tools":{"x":1}}"#),
            instructions: Some("do".into()),
        };
        assert_eq!(Greeting::from_initialize(&legacy).unwrap(), expected);
        let modern = raw(
            r#"{"supportedVersions":["2026-07-28"],"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"m"}},"capabilities":{}}"#,
        );
        let greeting = Greeting::from_discover(&modern).unwrap();
        assert_eq!((greeting.era, greeting.server_name.as_deref()), (Era::Modern, Some("m")));
        for wrong in [r#"{"protocolVersion":"1999-01-01"}"#, "{}", "[]"] {
            assert_eq!(Greeting::from_initialize(&raw(wrong)).unwrap_err().kind(), Kind::Protocol);
            assert_eq!(Greeting::from_discover(&raw(wrong)).unwrap_err().kind(), Kind::Protocol);
        }
    }
}
