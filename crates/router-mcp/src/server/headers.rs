//! The HTTP headers that repeat what the body says (from 2026-07-28 on): whoever reads only one of the two must not be
//! told something else, so every difference refuses the request.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName};
use router_core::Raw;

use super::parts::Parts;
use crate::{
    fields,
    mirror::Mirror,
    rpc::{RpcError, code},
};

/// The protocol version.
pub(super) const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// The session of a legacy client.
pub(super) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
/// Behind which event a stream that was cut is gone on with.
pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// The largest whole number that every JSON reader keeps exact.
const SAFE: f64 = 9_007_199_254_740_991.0;

fn mismatch(message: impl Into<String>) -> RpcError {
    RpcError::new(code::HEADER_MISMATCH, message)
}

/// The value of a header that may come once; what it says, when it is encoded.
pub(super) fn once(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, RpcError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(mismatch(format!("the header {name} comes twice")));
    }
    let text = value.to_str().map_err(|_| mismatch(format!("the header {name} holds forbidden characters")))?;
    let text = text.trim_matches([' ', '\t']);
    match text.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
        None => Ok(Some(text.to_owned())),
        Some(encoded) => decoded(encoded).map(Some).ok_or_else(|| mismatch(format!("the header {name} is not Base64"))),
    }
}

fn decoded(encoded: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(encoded).ok()?).ok()
}

/// A header must be there, and say the same as the body.
fn agrees(headers: &HeaderMap, name: &HeaderName, body: &str) -> Result<(), RpcError> {
    match once(headers, name)? {
        Some(value) if value == body => Ok(()),
        Some(value) => Err(differs(name, &value, body)),
        None => Err(mismatch(format!("the header {name} is missing"))),
    }
}

fn differs(name: &HeaderName, header: &str, body: &str) -> RpcError {
    mismatch(format!("the header {name} says {header:?}, the body {body:?}"))
}

/// Checks the version, which the body has said.
pub(super) fn check_version(headers: &HeaderMap, version: &str) -> Result<(), RpcError> {
    agrees(headers, &VERSION, version)
}

/// Checks the method, and the name of what is asked for.
pub(super) fn check(headers: &HeaderMap, method: &str, parts: &Parts) -> Result<(), RpcError> {
    agrees(headers, &METHOD, method)?;
    let named = match method {
        "tools/call" | "prompts/get" => &parts.name,
        "resources/read" => &parts.uri,
        "tasks/get" | "tasks/update" | "tasks/cancel" => &parts.task,
        _ => return Ok(()),
    };
    match named.as_ref().and_then(fields::said) {
        Some(name) => agrees(headers, &NAME, &name),
        None => Ok(()),
    }
}

/// Checks the arguments of a tool that are repeated in headers of their own.
pub(super) fn check_mirrors(headers: &HeaderMap, mirrors: &[Mirror], arguments: Option<&Raw>) -> Result<(), RpcError> {
    for mirror in mirrors {
        let Some(name) = mirror.name() else { continue };
        if arguments.is_some_and(|arguments| mirror.is_ambiguous(arguments)) {
            return Err(mismatch(format!("what the header {name} repeats stands in the body twice")));
        }
        let argument = arguments.and_then(|arguments| mirror.argument(arguments));
        match (once(headers, &name)?, argument) {
            (None, None) => {}
            (Some(header), Some(argument)) if same(&header, &argument) => {}
            (Some(header), argument) => {
                return Err(differs(&name, &header, argument.as_ref().map_or("", Raw::as_str)));
            }
            (None, Some(_)) => return Err(mismatch(format!("the header {name} is missing"))),
        }
    }
    Ok(())
}

/// Whether a header says what a value is: texts by their characters, numbers by their worth.
fn same(header: &str, value: &Raw) -> bool {
    if let Some(text) = fields::said(value) {
        return header == text;
    }
    let worth = |text: &str| text.parse::<f64>().ok().filter(|number| number.abs() <= SAFE);
    header == value.as_str() || worth(header).is_some_and(|number| worth(value.as_str()) == Some(number))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn header_and_body_say_the_same_or_the_request_is_refused() {
        let sentinel = STANDARD.encode("=?base64?literal?=");
        let twice = format!("=?base64?{sentinel}?=");
        for (method, params, pairs, fits) in [
            ("tools/call", r#"{"name":"a"}"#, vec![("mcp-method", "tools/call"), ("mcp-name", "a")], true),
            ("tools/call", r#"{"name":"a"}"#, vec![("mcp-method", " tools/call\t"), ("mcp-name", "  a ")], true),
            ("tools/call", r#"{"name":"a"}"#, vec![("mcp-method", "tools/call"), ("mcp-name", "A")], false),
            ("tools/call", r#"{"name":"a"}"#, vec![("mcp-method", "tools/call")], false),
            ("tools/call", r#"{"name":"a"}"#, vec![("mcp-name", "a")], false),
            ("tools/call", r#"{"name":"a"}"#, vec![("mcp-method", "Tools/Call"), ("mcp-name", "a")], false),
            ("tools/call", r#"{"name":"a"}"#, vec![("mcp-method", "tools/list"), ("mcp-name", "a")], false),
            (
                "tools/call",
                r#"{"name":"a"}"#,
                vec![("mcp-method", "tools/call"), ("mcp-name", "a"), ("mcp-name", "a")],
                false,
            ),
            (
                "tools/call",
                r#"{"name":"\u00e4"}"#,
                vec![("mcp-method", "tools/call"), ("mcp-name", "=?base64?w6Q=?=")],
                true,
            ),
            ("tools/call", r#"{"name":"ä"}"#, vec![("mcp-method", "tools/call"), ("mcp-name", "ä")], false),
            (
                "tools/call",
                r#"{"name":"=?base64?literal?="}"#,
                vec![("mcp-method", "tools/call"), ("mcp-name", &twice)],
                true,
            ),
            ("tools/call", r#"{"name":"literal"}"#, vec![("mcp-method", "tools/call"), ("mcp-name", &twice)], false),
            ("tools/call", r#"{"name":"a"}"#, vec![("mcp-method", "tools/call"), ("mcp-name", "=?base64?!?=")], false),
            (
                "resources/read",
                r#"{"uri":"x:1","name":"n"}"#,
                vec![("mcp-method", "resources/read"), ("mcp-name", "x:1")],
                true,
            ),
            (
                "resources/read",
                r#"{"uri":"x:1","name":"n"}"#,
                vec![("mcp-method", "resources/read"), ("mcp-name", "n")],
                false,
            ),
            ("tasks/get", r#"{"taskId":"t"}"#, vec![("mcp-method", "tasks/get"), ("mcp-name", "t")], true),
            ("tools/list", "{}", vec![("mcp-method", "tools/list")], true),
        ] {
            let parts = Parts::read(Some(&Raw::trusted(params.to_owned())));
            let outcome = check(&headers(&pairs), method, &parts);
            assert_eq!(
                outcome.as_ref().err().map(|error| error.code),
                (!fits).then_some(-32020),
                "{pairs:?} {outcome:?}"
            );
        }
    }

    #[test]
    fn mirrored_arguments_agree_by_their_worth() {
        let mirror = Mirror { header: "Where".into(), path: vec!["at".into(), "place".into()] };
        for (argument, header, fits) in [
            (r#""x""#, Some("x"), true),
            (r#""x""#, Some("y"), false),
            (r#""x""#, None, false),
            ("null", None, true),
            ("null", Some("null"), false),
            ("42", Some("42.0"), true),
            ("42", Some("43"), false),
            ("true", Some("true"), true),
            ("9007199254740993", Some("9007199254740992"), false),
            (r#""42""#, Some("42.0"), false),
        ] {
            let arguments = Raw::trusted(format!(r#"{{"at":{{"place":{argument}}}}}"#));
            let pairs: Vec<_> = header.map(|value| ("mcp-param-where", value)).into_iter().collect();
            let outcome = check_mirrors(&headers(&pairs), std::slice::from_ref(&mirror), Some(&arguments));
            assert_eq!(outcome.is_ok(), fits, "{argument} {header:?}");
        }
    }
}
