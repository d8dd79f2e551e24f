//! How a failure is told to a client: an upstream's own words as they came, ours outside the numbers of the protocol.

use router_core::{Error, Kind, Outcome, Raw, Verbatim};
use serde_json::json;

use super::version::Version;
use crate::{
    fields,
    rpc::{self, RpcError, code},
};

/// The wire format of the words that pass through.
const DIALECT: &str = "mcp";

/// An error as the answer to a tool call. What a model can read and act on is a result; only what the protocol itself
/// calls an error is one: an unknown tool, wrong parameters, and what the server itself called so.
pub(super) fn of_tool(error: &Error, version: Version) -> Result<Raw, RpcError> {
    if words(error).is_some() || matches!(error.kind(), Kind::NotFound | Kind::Invalid) {
        return Err(of(error, version));
    }
    let text = rpc::quoted(&error.to_string());
    let about = about(error);
    // Not in `structuredContent`: clients check that against the tool's own schema, which knows nothing of failures.
    let result = format!(
        r#"{{"content":[{{"type":"text","text":{}}}],"isError":true,"_meta":{{"mcp-router/error":{}}}}}"#,
        text.as_str(),
        about.as_str()
    );
    Ok(Raw::trusted(result))
}

/// An error as the answer to any other request.
pub(super) fn of(error: &Error, version: Version) -> RpcError {
    match words(error) {
        Some(said) => {
            let code = fit(said.code, version);
            said.with_code(code)
        }
        None => RpcError::new(number(error.kind()), error.to_string()).with_data(about(error)),
    }
}

/// A client's refusal of a question, for the server that asked.
pub(super) fn of_client(method: &str, error: &RpcError) -> Error {
    let body = fields::get(&Raw::trusted(rpc::error(None, error)), "error").unwrap_or_else(fields::empty);
    let verbatim = Verbatim { dialect: DIALECT, status: 0, meta: [].into(), body: body.bytes().clone() };
    Error::new(Kind::Refused, format!("the client refused {method}: {}", error.message)).verbatim(verbatim)
}

/// What an upstream said itself.
pub(super) fn words(error: &Error) -> Option<RpcError> {
    let words = error.words().filter(|words| words.dialect == DIALECT)?;
    RpcError::parse(&words.body)
}

/// Each era has numbers that the other must not see.
fn fit(number: i64, version: Version) -> i64 {
    match (number, version.is_modern()) {
        (code::RESOURCE_NOT_FOUND | code::URL_ELICITATION_REQUIRED, true)
        | (code::MISSING_CAPABILITY | code::UNSUPPORTED_VERSION, false) => code::INVALID_PARAMS,
        (code::HEADER_MISMATCH, false) => code::INVALID_REQUEST,
        (number, _) => number,
    }
}

/// The number of an error of ours: the protocol's where it has one for it, otherwise one that it leaves alone, which
/// reads like the HTTP status that says the same.
fn number(kind: Kind) -> i64 {
    match kind {
        Kind::Invalid | Kind::NotFound => code::INVALID_PARAMS,
        Kind::Unauthorized => 401,
        Kind::Forbidden => 403,
        Kind::TooLong => 413,
        Kind::Limited | Kind::Shed => 429,
        Kind::Cancelled => 499,
        Kind::Internal => code::INTERNAL,
        Kind::Protocol | Kind::Refused | Kind::Credential => 502,
        Kind::Unavailable | Kind::Open => 503,
        Kind::Timeout | Kind::Deadline => 504,
    }
}

/// What a program needs to know of a failure.
fn about(error: &Error) -> Raw {
    let mut about = json!({ "kind": error.kind().as_str(), "outcome": error.outcome().as_str() });
    if let Some(fields) = about.as_object_mut() {
        fields.extend(error.upstream().map(|upstream| ("upstream".to_owned(), json!(**upstream))));
        let wait = error.wait().map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        fields.extend(wait.map(|wait| ("retry_after_ms".to_owned(), json!(wait))));
    }
    Raw::trusted(about.to_string())
}

/// The client does not wait any more.
pub(super) fn cancelled() -> Error {
    Error::new(Kind::Cancelled, "the client cancelled the request")
}

/// The caller's time is over.
pub(super) fn too_late() -> Error {
    Error::new(Kind::Deadline, "the request took longer than it may").outcome_is(Outcome::Unknown)
}

/// A modern client has not declared what its request turned out to need: capabilities, by their paths.
pub(super) fn lacking(paths: &[&str]) -> RpcError {
    let required = paths.iter().fold(fields::empty(), |required, path| {
        let path: Vec<&str> = path.split('.').collect();
        if fields::get_path(&required, &path).is_some() {
            required
        } else {
            fields::with_path(&required, &path, &fields::empty())
        }
    });
    let data = fields::with_field(&fields::empty(), "requiredCapabilities", &required);
    let message = format!("the client has to declare {}", paths.join(", "));
    RpcError::new(code::MISSING_CAPABILITY, message).with_data(data)
}

/// There is no such method.
pub(super) fn no_such_method(method: &str) -> RpcError {
    RpcError::new(code::METHOD_NOT_FOUND, format!("method not found: {method}"))
}

/// The protocol version is not served, or not in this way.
pub(super) fn unsupported(requested: &str) -> RpcError {
    let supported = Version::ALL.map(Version::as_str);
    let data = json!({ "supported": supported, "requested": requested });
    RpcError::new(code::UNSUPPORTED_VERSION, format!("unsupported protocol version: {requested}"))
        .with_data(Raw::trusted(data.to_string()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn our_own_numbers_stay_out_of_the_reserved_ranges() {
        for kind in Kind::ALL {
            let number = number(kind);
            assert!(!(-32099..=-32000).contains(&number), "{kind:?}");
        }
    }

    #[test]
    fn what_a_client_lacks_is_told_as_capabilities() {
        for (paths, required) in [
            (&["sampling"][..], r#"{"sampling":{}}"#),
            (
                &["elicitation.url", "sampling.tools", "sampling"],
                r#"{"elicitation":{"url":{}},"sampling":{"tools":{}}}"#,
            ),
        ] {
            let error = lacking(paths);
            let data = format!(r#"{{"requiredCapabilities":{required}}}"#);
            assert_eq!((error.code, error.data), (-32021, Some(Raw::trusted(data))));
        }
    }

    #[test]
    fn a_failed_call_is_a_result_that_says_what_to_do() {
        let error =
            Error::new(Kind::Open, "the breaker is open").at(&"github".into()).retry_after(Duration::from_secs(2));
        let result = of_tool(&error, Version::Modern).unwrap();
        assert_eq!(
            result.as_str(),
            r#"{"content":[{"type":"text","text":"github: the breaker is open"}],"isError":true,"_meta":{"mcp-router/error":{"kind":"open","outcome":"not_sent","upstream":"github","retry_after_ms":2000}}}"#
        );
        assert_eq!(of(&error, Version::Modern).code, 503);
        assert_eq!(of_tool(&Error::new(Kind::NotFound, "unknown tool: x"), Version::Modern).unwrap_err().code, -32602);
    }

    #[test]
    fn an_upstreams_words_pass_but_for_the_other_eras_numbers() {
        for (number, modern, legacy) in [
            (-32002, -32602, -32002),
            (-32020, -32020, -32600),
            (-32021, -32021, -32602),
            (-32000, -32000, -32000),
            (7, 7, 7),
        ] {
            let error = of_client("x", &RpcError::new(number, "no").with_data(Raw::trusted("[1.0]")));
            let said = |code| RpcError::new(code, "no").with_data(Raw::trusted("[1.0]"));
            assert_eq!(of_tool(&error, Version::Modern), Err(said(modern)));
            assert_eq!(of(&error, Version::LastLegacy), said(legacy));
        }
    }
}
