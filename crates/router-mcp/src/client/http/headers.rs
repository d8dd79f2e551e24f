//! The headers of MCP that mirror a message's body.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue};
use router_core::Raw;

use super::super::eras::{self, Era};
use crate::fields;

const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// What opens and closes a value that had to be encoded.
const SENTINEL: (&str, &str) = ("=?base64?", "?=");

/// The header that says which revision is spoken.
pub(super) fn version(headers: &mut HeaderMap, version: &str) {
    if let Ok(version) = HeaderValue::from_str(version) {
        headers.insert(PROTOCOL_VERSION, version);
    }
}

/// The headers of a modern message: what intermediaries need of its body.
pub(super) fn mirror(headers: &mut HeaderMap, method: impl Into<Cow<'static, str>>, params: &Raw) {
    headers.insert(PROTOCOL_VERSION, HeaderValue::from_static(eras::MODERN_VERSION));
    let method = method.into();
    let name = match &*method {
        "tools/call" | "prompts/get" => fields::text(params, "name"),
        "resources/read" => fields::text(params, "uri"),
        "tasks/get" | "tasks/update" | "tasks/cancel" => fields::text(params, "taskId"),
        _ => None,
    };
    let said = match method {
        Cow::Borrowed(method) => Ok(HeaderValue::from_static(method)),
        Cow::Owned(method) => HeaderValue::try_from(encoded(method)),
    };
    if let Ok(said) = said {
        headers.insert(METHOD, said);
    }
    if let Some(name) = name.and_then(|name| HeaderValue::try_from(encoded(name)).ok()) {
        headers.insert(NAME, name);
    }
}

/// Whether they are those of a modern request, each of which names its method.
pub(super) fn is_modern(headers: &HeaderMap) -> bool {
    headers.contains_key(METHOD)
}

/// A value as a header can carry it: encoded, if it is not plain, or looks as if it were encoded.
pub(super) fn encoded(value: String) -> String {
    let (open, close) = SENTINEL;
    let plain = value.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && value.trim_ascii() == value
        && !(value.starts_with(open) && value.ends_with(close));
    if plain { value } else { format!("{open}{}{close}", STANDARD.encode(value)) }
}

/// Which era a version belongs to, for the header of a session.
pub(super) fn is_sent(era: Era, version: &str) -> bool {
    era == Era::Modern || version >= "2025-06-18"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_headers() {
        for (value, expected) in [
            ("get_weather", "get_weather"),
            ("a b~", "a b~"),
            (" a", "=?base64?IGE=?="),
            ("ü", "=?base64?w7w=?="),
            ("a\nb", "=?base64?YQpi?="),
            ("=?base64?YQ==?=", "=?base64?PT9iYXNlNjQ/WVE9PT89?="),
        ] {
            assert_eq!(encoded(value.to_owned()), expected);
        }
    }

    #[test]
    fn a_modern_message_is_mirrored() {
        let mut headers = HeaderMap::new();
        let params = Raw::trusted(r#"{"uri":"test://x","name":"no","taskId":"t"}"#);
        for (method, name) in [
            (Cow::Borrowed("resources/read"), Some("test://x")),
            (Cow::Borrowed("tasks/get"), Some("t")),
            (Cow::Owned("com.example/x".to_owned()), None),
        ] {
            headers.clear();
            mirror(&mut headers, method.clone(), &params);
            let get = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
            assert_eq!(
                (get("mcp-protocol-version"), get("mcp-method"), get("mcp-name")),
                (Some("2026-07-28"), Some(&*method), name)
            );
        }
    }
}
