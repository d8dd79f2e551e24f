//! JSON-RPC 2.0 as MCP uses it: the envelope is read in one scan, `params` and `result` stay the bytes they were.

use std::{
    borrow::Cow,
    fmt,
    hash::{Hash, Hasher},
    ops::Range,
    sync::Arc,
};

use bytes::Bytes;
use router_core::{
    Raw,
    scan::{self, Fault, Flaw, Scanner},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use smallvec::SmallVec;

use crate::fields;

/// The numbers of errors that the protocol gives a meaning to.
pub mod code {
    /// The bytes are not JSON.
    pub const PARSE: i64 = -32700;
    /// The JSON is not a message.
    pub const INVALID_REQUEST: i64 = -32600;
    /// There is no such method.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// The parameters are wrong, or name something that does not exist.
    pub const INVALID_PARAMS: i64 = -32602;
    /// A defect.
    pub const INTERNAL: i64 = -32603;
    /// A resource does not exist, as servers before 2026-07-28 say it.
    pub const RESOURCE_NOT_FOUND: i64 = -32002;
    /// Somebody has to visit an address before the request can be answered, as servers of 2025-11-25 say it.
    pub const URL_ELICITATION_REQUIRED: i64 = -32042;
    /// HTTP headers and body say different things (2026-07-28).
    pub const HEADER_MISMATCH: i64 = -32020;
    /// The client did not declare a capability that the request needs (2026-07-28).
    pub const MISSING_CAPABILITY: i64 = -32021;
    /// The protocol version is not served (2026-07-28).
    pub const UNSUPPORTED_VERSION: i64 = -32022;
}

/// How many messages one batch may hold.
const BATCH_MAX: usize = 100;

/// The id of a request: a number or a string, exactly as its sender wrote it.
#[derive(Clone, PartialEq, Eq)]
pub struct Id(Raw);

impl Id {
    /// The id as JSON.
    pub fn raw(&self) -> &Raw {
        &self.0
    }

    /// An id of our own making.
    pub fn number(number: u64) -> Self {
        Self(Raw::trusted(number.to_string()))
    }

    /// The same id in bytes of its own.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self(self.0.apart())
    }

    /// A value as an id, when it can be one.
    pub fn from_raw(raw: Raw) -> Option<Self> {
        matches!(raw.bytes().first(), Some(b'"' | b'-' | b'0'..=b'9')).then_some(Self(raw))
    }

    /// The id as a number, when it is one of ours.
    pub fn as_u64(&self) -> Option<u64> {
        self.0.as_str().parse().ok()
    }
}

impl Hash for Id {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.bytes().hash(state);
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Wants an answer.
    Request {
        /// What the answer has to carry.
        id: Id,
        /// What is asked.
        method: Arc<str>,
        /// An object.
        params: Option<Raw>,
    },
    /// Wants none.
    Notification {
        /// What is told.
        method: Arc<str>,
        /// An object.
        params: Option<Raw>,
    },
    /// The answer to a request.
    Response {
        /// Whose; `None` when the other side could not tell.
        id: Option<Id>,
        /// The result as it came, or the error.
        outcome: Result<Raw, RpcError>,
    },
}

/// An error of JSON-RPC.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message} ({code})")]
pub struct RpcError {
    /// See [`code`].
    pub code: i64,
    /// One sentence.
    pub message: String,
    /// What a program needs to know.
    pub data: Option<Raw>,
    /// The whole object as somebody wrote it: it is written so again, but for the code.
    own: Option<Raw>,
}

/// Two errors are the same when they say the same.
impl PartialEq for RpcError {
    fn eq(&self, other: &Self) -> bool {
        (self.code, &self.message, &self.data) == (other.code, &other.message, &other.data)
    }
}

impl RpcError {
    /// An error without data.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None, own: None }
    }

    /// The same error under another number.
    #[must_use]
    pub fn with_code(self, code: i64) -> Self {
        Self { code, ..self }
    }

    /// The same error with data.
    #[must_use]
    pub fn with_data(self, data: Raw) -> Self {
        Self { data: Some(data), own: None, ..self }
    }

    /// The error object of a message.
    pub fn parse(raw: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Wire<'a> {
            code: i64,
            #[serde(default)]
            message: Cow<'a, str>,
            #[serde(borrow)]
            data: Option<&'a RawValue>,
        }
        let wire: Wire<'_> = serde_json::from_slice(raw).ok()?;
        let data = wire.data.map(|data| Raw::trusted(data.get().to_owned()));
        let own = Some(Raw::trusted(raw.to_vec()));
        Some(Self { code: wire.code, message: wire.message.into_owned(), data, own })
    }
}

fn invalid(message: &str) -> RpcError {
    RpcError::new(code::INVALID_REQUEST, message)
}

/// What is wrong with a frame, and where.
fn refused(frame: &[u8], flaw: Flaw) -> RpcError {
    let Flaw { fault, .. } = flaw;
    if fault == Fault::Depth {
        return invalid(&fault.to_string());
    }
    let place = flaw.place(frame);
    if fault == Fault::Twice {
        return invalid(&format!("ambiguous at {place}: {fault}"));
    }
    RpcError::new(code::PARSE, format!("not JSON at {place}: {fault}"))
}

/// Reads one message. `params` and `result` are slices of `frame`.
pub fn read(frame: &Bytes) -> Result<Message, RpcError> {
    let envelope = Envelope::scan(frame).map_err(|flaw| refused(frame, flaw))?;
    envelope.ok_or_else(|| invalid("a message is a JSON object"))?.message(frame)
}

/// Reads one message of a client. Under a null id no answer would find its question; servers that write their empty
/// fields down mean a notification by it, and [`read`] takes it as one.
pub fn read_client(frame: &Bytes) -> Result<Message, RpcError> {
    let message = read(frame)?;
    if let Message::Notification { .. } = &message
        && fields::get(&Raw::trusted(Bytes::clone(frame)), "id").is_some()
    {
        return Err(invalid("`id` of a request has to be a string or a number"));
    }
    Ok(message)
}

/// Whether a frame is a batch, which only the revision 2025-03-26 has.
pub fn is_batch(frame: &[u8]) -> bool {
    frame.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[')
}

/// Reads a batch; each of its messages is right or wrong for itself.
pub fn read_batch(frame: &Bytes) -> Result<Vec<Result<Message, RpcError>>, RpcError> {
    let parts = batched(frame).map_err(|flaw| refused(frame, flaw))?;
    match parts.len() {
        0 => Err(invalid("a batch holds at least one message")),
        1..=BATCH_MAX => Ok(parts.into_iter().map(|part| read(&frame.slice(part))).collect()),
        _ => Err(invalid("a batch holds at most 100 messages")),
    }
}

/// Where the messages of a batch stand; one too many ends the search.
fn batched(frame: &[u8]) -> Result<Vec<Range<usize>>, Flaw> {
    let mut scanner = Scanner::checked(frame)?.strict();
    let mut place = scanner.array()?;
    let mut parts = Vec::new();
    while scanner.element(&mut place)? {
        parts.push(scanner.value()?);
        if parts.len() > BATCH_MAX {
            return Ok(parts);
        }
    }
    scanner.end()?;
    Ok(parts)
}

/// Where the members of an envelope stand in their frame.
#[derive(Default)]
struct Envelope {
    version: Option<Range<usize>>,
    id: Option<Range<usize>>,
    method: Option<Range<usize>>,
    params: Option<Range<usize>>,
    result: Option<Range<usize>>,
    error: Option<Range<usize>>,
}

impl Envelope {
    /// `None` when the frame holds something else than an object.
    fn scan(frame: &[u8]) -> Result<Option<Self>, Flaw> {
        let mut scanner = Scanner::checked(frame)?.strict();
        let mut envelope = Self::default();
        let is_object = scanner.peek() == Some(b'{');
        if is_object {
            scanner.distinct(|scanner, key| envelope.take(scanner, key))?;
        } else {
            scanner.value()?;
        }
        scanner.end()?;
        Ok(is_object.then_some(envelope))
    }

    /// Takes the value behind `key`. No key of `params` may come twice either: what is routed and checked is named there.
    fn take(&mut self, scanner: &mut Scanner<'_>, key: &str) -> Result<(), Flaw> {
        let slot = match key {
            "jsonrpc" => &mut self.version,
            "id" => &mut self.id,
            "method" => &mut self.method,
            "params" => &mut self.params,
            "result" => &mut self.result,
            "error" => &mut self.error,
            _ => &mut None,
        };
        *slot = Some(if key == "params" && scanner.peek() == Some(b'{') {
            scanner.distinct(|scanner, _| scanner.value().map(drop))?
        } else {
            scanner.value()?
        });
        Ok(())
    }

    fn message(self, frame: &Bytes) -> Result<Message, RpcError> {
        let part = |range: Range<usize>| Raw::trusted(frame.slice(range));
        if self.version.map(part).as_ref().map(Raw::as_str) != Some("\"2.0\"") {
            return Err(invalid("`jsonrpc` has to be \"2.0\""));
        }
        let id = match self.id.map(part) {
            Some(raw) if raw.as_str() == "null" => None,
            Some(raw) => Some(Id::from_raw(raw).ok_or_else(|| invalid("`id` has to be a string or a number"))?),
            None => None,
        };
        if let Some(method) = self.method {
            let method = frame.get(method).and_then(scan::text);
            let method = Arc::from(&*method.ok_or_else(|| invalid("`method` has to be a string"))?);
            let params = params(self.params.map(part))?;
            return Ok(match id {
                Some(id) => Message::Request { id, method, params },
                None => Message::Notification { method, params },
            });
        }
        match (self.result.map(part), self.error.map(part)) {
            (Some(result), None) => Ok(Message::Response { id, outcome: Ok(result) }),
            (None, Some(error)) => {
                let error = RpcError::parse(error.bytes()).ok_or_else(|| invalid("`error` has no code"))?;
                Ok(Message::Response { id, outcome: Err(error) })
            }
            _ => Err(invalid("a message has a method, or a result, or an error")),
        }
    }
}

/// Absent and `null` are the same to clients that write their empty fields down.
fn params(params: Option<Raw>) -> Result<Option<Raw>, RpcError> {
    match params {
        Some(raw) if raw.as_str() == "null" => Ok(None),
        Some(raw) if raw.bytes().first() != Some(&b'{') => Err(invalid("`params` has to be an object")),
        params => Ok(params),
    }
}

/// `text` as a JSON string.
pub fn quoted(text: &str) -> Raw {
    let mut json = Vec::with_capacity(text.len() + 2);
    push_quoted(&mut json, text);
    Raw::trusted(json)
}

fn push_quoted(json: &mut Vec<u8>, text: &str) {
    if text.bytes().any(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)) {
        json.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
        return;
    }
    json.push(b'"');
    json.extend_from_slice(text.as_bytes());
    json.push(b'"');
}

const HEAD: &[u8] = br#"{"jsonrpc":"2.0""#;

fn write(parts: &[(&str, &[u8])]) -> Bytes {
    let size: usize = parts.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    let mut json = Vec::with_capacity(HEAD.len() + size + 1);
    json.extend_from_slice(HEAD);
    for (name, value) in parts {
        json.extend_from_slice(b",\"");
        json.extend_from_slice(name.as_bytes());
        json.extend_from_slice(b"\":");
        json.extend_from_slice(value);
    }
    json.push(b'}');
    json.into()
}

/// Writes a request with an id of ours.
pub fn request(id: u64, method: &str, params: Option<&Raw>) -> Bytes {
    let (id, method) = (id.to_string(), quoted(method));
    let head = [("id", id.as_bytes()), ("method", &method.bytes()[..])];
    write_with(&head, "params", params)
}

/// Writes a notification.
pub fn notification(method: &str, params: Option<&Raw>) -> Bytes {
    write_with(&[("method", quoted(method).bytes())], "params", params)
}

fn write_with(head: &[(&str, &[u8])], name: &str, value: Option<&Raw>) -> Bytes {
    let mut parts: SmallVec<[(&str, &[u8]); 3]> = SmallVec::from_slice(head);
    if let Some(value) = value {
        parts.push((name, value.bytes()));
    }
    write(&parts)
}

/// Writes a successful answer.
pub fn result(id: &Id, result: &Raw) -> Bytes {
    write(&[("id", id.raw().bytes()), ("result", result.bytes())])
}

/// Writes a failed answer; without an id when it could not be read.
pub fn error(id: Option<&Id>, error: &RpcError) -> Bytes {
    let id = id.map_or(&b"null"[..], |id| id.raw().bytes());
    write(&[("id", id), ("error", error_object(error).bytes())])
}

/// A message without line breaks, as pipes and event streams need it. JSON has them only between its tokens, where
/// a space means the same; a message without any is handed back as it is.
pub fn one_line(message: Bytes) -> Bytes {
    if memchr::memchr2(b'\n', b'\r', &message).is_none() {
        return message;
    }
    message.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect()
}

fn error_object(error: &RpcError) -> Raw {
    if let Some(own) = &error.own {
        let code = Raw::trusted(error.code.to_string());
        return if fields::get(own, "code").as_ref() == Some(&code) {
            own.clone()
        } else {
            fields::with_field(own, "code", &code)
        };
    }
    let mut json = format!("{{\"code\":{},\"message\":", error.code).into_bytes();
    push_quoted(&mut json, &error.message);
    if let Some(data) = &error.data {
        json.extend_from_slice(b",\"data\":");
        json.extend_from_slice(data.bytes());
    }
    json.push(b'}');
    Raw::trusted(json)
}

#[cfg(test)]
mod tests;
