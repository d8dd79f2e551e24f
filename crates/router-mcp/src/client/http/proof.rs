//! What is shown to a server that wants to know who asks.

use http::{HeaderMap, Response, StatusCode, header::WWW_AUTHENTICATE};
use router_core::Result;
use router_http::Answer;

use super::{exchange::Draft, transport::Transport};
use crate::oauth::{Challenge, Keyring, Refused};

/// How often one message is sent: with what is at hand, with something renewed, and with something wider.
const ATTEMPTS: usize = 3;

/// Sends a message with whatever of `keyring` lets it in. Sending it again is safe: what was refused was not begun.
pub(super) async fn send(keyring: &Keyring, transport: &Transport, draft: &Draft<'_>) -> Result<Response<Answer>> {
    let mut shown = keyring.at_hand().await?;
    for _ in 1..ATTEMPTS {
        let response = transport.send(draft.showing(shown.as_ref())).await?;
        let Some(challenge) = challenge(response.status(), response.headers()) else { return Ok(response) };
        response.into_body().leave();
        shown = Some(keyring.instead(Refused { shown, challenge }).await?);
    }
    transport.send(draft.showing(shown.as_ref())).await
}

/// What a refusal asks for, if that is another token. A server that wants another scheme is none of ours; one that
/// does not say what it wants may.
fn challenge(status: StatusCode, headers: &HeaderMap) -> Option<Challenge> {
    let challenge = Challenge::read(headers);
    let wants_other = match status.as_u16() {
        401 => challenge.is_bearer || !headers.contains_key(WWW_AUTHENTICATE),
        403 => challenge.lacks_scope(),
        _ => false,
    };
    wants_other.then_some(challenge)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_a_refusal_of_a_token_asks_for_another() {
        let table = [
            (401, Some("Bearer"), true),
            (401, Some("Basic realm=\"x\", Bearer error=\"invalid_token\""), true),
            (401, None, true),
            (401, Some("Basic realm=\"x\""), false),
            (403, Some("Bearer error=\"insufficient_scope\", scope=\"a\""), true),
            (403, Some("Bearer error=\"invalid_token\""), false),
            (403, None, false),
            (200, Some("Bearer"), false),
            (404, Some("Bearer"), false),
        ];
        for (status, header, expect) in table {
            let mut headers = HeaderMap::new();
            headers.extend(header.map(|header| (WWW_AUTHENTICATE, HeaderValue::from_static(header))));
            assert_eq!(
                challenge(StatusCode::from_u16(status).unwrap(), &headers).is_some(),
                expect,
                "{status} {header:?}"
            );
        }
    }
}
