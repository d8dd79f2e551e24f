//! From a server's reply to ours: a result stays its bytes, an error says whose fault it is and keeps the server's words.

use memchr::memmem;
use router_core::{Error, Kind, Outcome, Raw, Result, Verbatim, tool::Answer};

use super::eras::Era;
use crate::{
    fields,
    rpc::{self, RpcError, code},
};

/// The wire format of the errors that are kept verbatim.
const DIALECT: &str = "mcp";
/// A step that anybody can take: something has to be asked first.
const INPUT_REQUIRED: &str = "input_required";

/// Reads what a server answered to a question of a caller of era `from`.
pub(crate) fn read(outcome: Result<Raw, RpcError>, from: Era) -> Result<Answer> {
    let result = outcome.map_err(|error| failure(&error))?;
    if result.bytes().first() != Some(&b'{') {
        return Err(Error::new(Kind::Protocol, "the server answered with a result that is no object"));
    }
    let step = step(&result);
    if let (Some(step), Era::Legacy) = (&step, from)
        && step != INPUT_REQUIRED
    {
        return Err(unknown_step(step));
    }
    let mut answer = Answer::new(result);
    answer.is_interim = step.is_some();
    answer.is_error = has(&answer.result, "isError") && fields::is_true(&answer.result, "isError");
    Ok(answer)
}

/// What a result is when it is not the whole answer yet.
fn step(result: &Raw) -> Option<String> {
    let kind = has(result, "resultType").then(|| fields::get(result, "resultType")).flatten()?;
    let kind = fields::said(&kind).unwrap_or_else(|| kind.as_str().to_owned());
    (kind != "complete").then_some(kind)
}

/// For a caller of the legacy era what a server needs can be asked; what else there is only a modern one knows.
fn unknown_step(step: &str) -> Error {
    Error::new(Kind::Refused, format!("the server answered a {step:?}, which this client does not know"))
}

/// A quick no, for the many results that do not hold the word at all.
fn has(result: &Raw, word: &str) -> bool {
    memmem::find(result.bytes(), word.as_bytes()).is_some()
}

/// A server's error as ours. It answered: only a defect of its own is a fault.
pub(crate) fn failure(error: &RpcError) -> Error {
    let kind = match error.code {
        code::METHOD_NOT_FOUND | code::RESOURCE_NOT_FOUND => Kind::NotFound,
        code::INVALID_PARAMS | code::INVALID_REQUEST | code::PARSE => Kind::Invalid,
        code::INTERNAL => Kind::Unavailable,
        _ => Kind::Refused,
    };
    let message = if error.message.is_empty() { format!("error {}", error.code) } else { error.message.clone() };
    let envelope = Raw::trusted(rpc::error(None, error));
    let object = fields::get(&envelope, "error").unwrap_or(envelope);
    Error::new(kind, message).outcome_is(Outcome::Failed).verbatim(Verbatim {
        dialect: DIALECT,
        status: 0,
        meta: [].into(),
        body: object.bytes().clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Raw {
        Raw::trusted(json.to_owned())
    }

    #[test]
    fn errors_blame_the_right_side() {
        for (code, kind) in [
            (-32601, Kind::NotFound),
            (-32602, Kind::Invalid),
            (-32600, Kind::Invalid),
            (-32002, Kind::NotFound),
            (-32603, Kind::Unavailable),
            (-32001, Kind::Refused),
            (42, Kind::Refused),
        ] {
            let error = failure(&RpcError::new(code, "no").with_data(raw(r#"{"x":1.0}"#)));
            assert_eq!((error.kind(), error.outcome(), error.message()), (kind, Outcome::Failed, "no"));
            let body = error.words().unwrap().body.clone();
            assert_eq!(body, format!(r#"{{"code":{code},"message":"no","data":{{"x":1.0}}}}"#));
        }
    }

    #[test]
    fn results_stay_their_bytes() {
        for (result, is_error) in [
            (r#"{"content":[], "isError" : true }"#, true),
            (r#"{"isError":false}"#, false),
            (r#"{"structuredContent":{"isError":true}}"#, false),
            (r#"{"content":[{"text":"isError"}]}"#, false),
        ] {
            let answer = read(Ok(raw(result)), Era::Legacy).unwrap();
            assert_eq!((answer.result, answer.is_error), (raw(result), is_error));
        }
    }

    #[test]
    fn unfinished_results_are_for_modern_callers_unless_they_ask_for_input() {
        let asks = raw(r#"{"resultType":"input_required","requestState":"s"}"#);
        for era in [Era::Legacy, Era::Modern] {
            let answer = read(Ok(asks.clone()), era).unwrap();
            assert_eq!((answer.result, answer.is_interim), (asks.clone(), true));
        }
        for (result, interim) in [
            (r#"{"resultType":"complete"}"#, false),
            (r#"{"content":[{"resultType":"task"}]}"#, false),
            (r#"{"content":[{"text":"resultType"}]}"#, false),
            (r#"{"resultType":"task","taskId":"t"}"#, true),
            (r#"{"resultType":7}"#, true),
        ] {
            assert_eq!(read(Ok(raw(result)), Era::Modern).unwrap().is_interim, interim, "{result}");
            assert_eq!(read(Ok(raw(result)), Era::Legacy).is_err(), interim, "{result}");
        }
        assert_eq!(read(Ok(raw("[]")), Era::Modern).unwrap_err().kind(), Kind::Protocol);
    }
}
