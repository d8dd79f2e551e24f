//! The way of a person through the authorization server and back (RFC 6749 section 4.1, PKCE, RFC 8707, RFC 9207).

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use router_core::{Error, Kind, Result, Secret};
use serde::{Deserialize, Serialize};

use super::{
    Per, Whose, form,
    tokens::{Claim, ClaimRecord, word},
};

/// How long a person may take, in seconds.
pub const PATIENCE: i64 = 600;

/// 256 bits that nobody can guess, as text.
pub(super) fn random() -> Result<String> {
    let mut bytes = [0; 32];
    let none = |error| Error::new(Kind::Internal, "the system gives no random numbers").because(error);
    getrandom::fill(&mut bytes).map_err(none)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// What of `secret` may be seen: whoever shows the secret later is who asked (RFC 7636 section 4.2).
pub(super) fn challenge(secret: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, secret.as_bytes()))
}

/// The name of the cookie that a browser keeps while somebody is on his way: one for each journey.
pub fn cookie(state: &str) -> String {
    let id = challenge(state);
    format!("mcp-router-{}", id.get(..16).unwrap_or_default())
}

/// Somebody on his way. It is kept under its `state`, used once, and good for ten minutes. It begins at a page of ours,
/// where he is told what for, and ends in the browser in which he agreed: whoever asked for it cannot send somebody
/// else off in his place.
#[derive(Clone, Debug)]
pub(super) struct Journey {
    /// The server that it is for, who may use what comes of it, and for whom somebody signs in there.
    pub(super) name: String,
    pub(super) whose: Whose,
    pub(super) per: Per,
    /// Until when, in seconds since 1970.
    pub(super) until: i64,
    pub(super) verifier: Secret<String>,
    pub(super) redirect_uri: String,
    /// Where the person signs in.
    pub(super) endpoint: String,
    /// What may be seen of the cookie of the browser in which somebody agreed, once he has.
    pub(super) browser: Option<String>,
    /// Whether the answer has to say whose it is.
    pub(super) signed: bool,
    pub(super) claim: Claim,
}

/// The same, as it is written down.
#[derive(Serialize, Deserialize)]
pub(super) struct JourneyRecord {
    name: String,
    whose: Whose,
    per: Per,
    until: i64,
    verifier: String,
    redirect_uri: String,
    endpoint: String,
    browser: Option<String>,
    signed: bool,
    #[serde(flatten)]
    claim: ClaimRecord,
}

/// What a browser brought back.
#[derive(Clone, Default)]
pub struct Callback {
    /// Which journey it ends.
    pub state: String,
    /// What tokens are given for.
    pub code: Option<Secret<String>>,
    /// Why there is no code.
    pub error: Option<String>,
    /// Who says so.
    pub iss: Option<String>,
    /// What the browser's cookie for this journey holds.
    pub browser: Option<Secret<String>>,
}

impl Callback {
    /// Reads the query of a redirect. What is there twice is nothing: somebody added to it.
    pub fn read(fields: &[(String, String)]) -> Option<Self> {
        let one = |name: &str| {
            let mut found = fields.iter().filter(|(known, _)| known == name).map(|(_, value)| value.clone());
            match (found.next(), found.next()) {
                (first, None) => Some(first),
                (_, Some(_)) => None,
            }
        };
        let (state, code) = (one("state")?.filter(|state| !state.is_empty())?, one("code")?);
        Some(Self { state, code: code.map(Secret::new), error: one("error")?, iss: one("iss")?, browser: None })
    }
}

impl Journey {
    /// The code that `callback` brings, if it is what this journey waits for. Who brings it and who answers is looked at
    /// first: of an answer from elsewhere not even the error is believed.
    pub(super) fn code(&self, callback: &Callback, now: i64) -> Result<Secret<String>> {
        let refused = |why: String| Err(Error::new(Kind::Refused, why).hint("begin again"));
        let browser = callback.browser.as_ref().map(|cookie| challenge(cookie.expose()));
        if browser.is_none() || browser != self.browser {
            return refused("the sign-in was not begun in this browser".to_owned());
        }
        match &callback.iss {
            // Byte by byte: two spellings of one address are two issuers here (RFC 9207 section 2.4).
            Some(iss) if *iss != self.claim.issuer => {
                return refused("the answer is not from the authorization server that was asked".to_owned());
            }
            None if self.signed => {
                return refused("the answer does not say which authorization server it is from".to_owned());
            }
            Some(_) | None => {}
        }
        if now >= self.until {
            return refused(format!("the sign-in took longer than {} minutes", PATIENCE / 60));
        }
        match (&callback.error, &callback.code) {
            (Some(error), _) => refused(format!("{} refused: {}", self.claim.issuer, word(error))),
            (None, Some(code)) => Ok(code.clone()),
            (None, None) => refused(format!("{} answered without a code", self.claim.issuer)),
        }
    }

    /// Where the person goes.
    pub(super) fn address(&self, state: &str) -> String {
        let endpoint = &self.endpoint;
        let (scope, challenge) = (self.claim.wanted.to_string(), challenge(self.verifier.expose()));
        let mut fields = vec![
            ("response_type", "code"),
            ("client_id", self.claim.client.id.as_str()),
            ("redirect_uri", self.redirect_uri.as_str()),
            ("state", state),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
            ("resource", self.claim.resource.as_str()),
        ];
        if !scope.is_empty() {
            fields.push(("scope", &scope));
        }
        if self.claim.wanted.are_offline() {
            // OpenID gives what can be renewed only to who is asked for it anew.
            fields.push(("prompt", "consent"));
        }
        let separator = if endpoint.contains('?') { '&' } else { '?' };
        format!("{endpoint}{separator}{}", form::encode(&fields))
    }

    pub(super) fn record(&self) -> JourneyRecord {
        JourneyRecord {
            name: self.name.clone(),
            whose: self.whose.clone(),
            per: self.per,
            until: self.until,
            verifier: self.verifier.expose().clone(),
            redirect_uri: self.redirect_uri.clone(),
            endpoint: self.endpoint.clone(),
            browser: self.browser.clone(),
            signed: self.signed,
            claim: self.claim.record(),
        }
    }
}

impl From<JourneyRecord> for Journey {
    fn from(record: JourneyRecord) -> Self {
        Self {
            name: record.name,
            whose: record.whose,
            per: record.per,
            until: record.until,
            verifier: Secret::new(record.verifier),
            redirect_uri: record.redirect_uri,
            endpoint: record.endpoint,
            browser: record.browser,
            signed: record.signed,
            claim: record.claim.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{client::Client, scopes::Scopes},
        *,
    };

    fn journey(signed: bool) -> Journey {
        Journey {
            name: "s".to_owned(),
            whose: Whose::Shared,
            per: Per::Shared,
            until: 1_000,
            verifier: Secret::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned()),
            redirect_uri: "http://127.0.0.1:4100/oauth/callback".to_owned(),
            endpoint: "https://as.example/a?x=1".to_owned(),
            browser: Some(challenge("cookie")),
            signed,
            claim: Claim {
                issuer: "https://as.example".to_owned(),
                token_endpoint: "https://as.example/t".to_owned(),
                revocation_endpoint: None,
                client: Client::described("c"),
                resource: "https://mcp.example/mcp".to_owned(),
                server: "https://mcp.example/mcp".to_owned(),
                wanted: Scopes::read("a b"),
            },
        }
    }

    #[test]
    fn the_way_there_says_all_that_binds_the_way_back() {
        assert_eq!(
            journey(true).address("st"),
            // The verifier and the challenge are those of RFC 7636, appendix B.
            "https://as.example/a?x=1&response_type=code&client_id=c&redirect_uri=http%3A%2F%2F127.0.0.1%3A4100%2Foauth%2Fcallback&state=st\
             &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256\
             &resource=https%3A%2F%2Fmcp.example%2Fmcp&scope=a%20b"
        );
    }

    /// Whether answers are signed; iss, code, error, the clock; what becomes of it.
    type Row<'a> = (bool, Option<&'a str>, Option<&'a str>, Option<&'a str>, i64, Result<&'a str, &'a str>);

    #[test]
    fn only_the_asked_authority_is_believed() {
        let here = Some("https://as.example");
        let (code, denied) = (Some("c"), Some("access_denied"));
        let other = "the answer is not from the authorization server that was asked";
        let table: [Row<'_>; 11] = [
            (true, here, code, None, 999, Ok("c")),
            (true, None, code, None, 0, Err("the answer does not say which authorization server it is from")),
            (false, here, code, None, 0, Ok("c")),
            (false, None, code, None, 0, Ok("c")),
            (true, Some("https://evil.example"), code, None, 0, Err(other)),
            (false, Some("https://evil.example"), code, None, 0, Err(other)),
            (true, Some("https://as.example/"), code, None, 0, Err(other)),
            (true, Some("https://evil.example"), None, denied, 0, Err(other)),
            (true, here, None, denied, 0, Err("https://as.example refused: access_denied")),
            (true, here, None, None, 0, Err("https://as.example answered without a code")),
            (true, here, code, None, 1_000, Err("the sign-in took longer than 10 minutes")),
        ];
        for (signed, iss, code, error, now, expect) in table {
            let text = |text: Option<&str>| text.map(str::to_owned);
            let callback = Callback {
                state: "x".to_owned(),
                code: text(code).map(Secret::new),
                error: text(error),
                iss: text(iss),
                browser: Some(Secret::new("cookie".to_owned())),
            };
            let journey = Journey::from(journey(signed).record());
            let code = journey
                .code(&callback, now)
                .map(|code| code.expose().clone())
                .map_err(|error| error.message().to_owned());
            assert_eq!(code, expect.map(str::to_owned).map_err(str::to_owned), "{signed} {iss:?} {error:?}");
        }
    }

    #[test]
    fn a_journey_ends_in_the_browser_that_it_began_in() {
        // T-09: neither a browser that was sent straight to the authorization server, nor a journey that nobody agreed to.
        let table = [
            (Some("cookie"), Some("cookie"), true),
            (Some("cookie"), Some("other"), false),
            (Some("cookie"), None, false),
            (None, Some("cookie"), false),
            (None, None, false),
        ];
        for (began, ends, good) in table {
            let journey = Journey { browser: began.map(challenge), ..journey(false) };
            let (code, browser) =
                (Some(Secret::new("c".to_owned())), ends.map(|cookie| Secret::new(cookie.to_owned())));
            let callback = Callback { state: "x".to_owned(), code, browser, ..Callback::default() };
            assert_eq!(journey.code(&callback, 0).is_ok(), good, "{began:?} {ends:?}");
        }
        assert_ne!(cookie("one"), cookie("other"));
    }

    #[test]
    fn a_redirect_that_says_anything_twice_is_none() {
        let read = |fields: &[(&str, &str)]| {
            let fields: Vec<(String, String)> =
                fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            Callback::read(&fields)
                .map(|callback| (callback.state, callback.code.map(|code| code.expose().clone()), callback.iss))
        };
        assert_eq!(
            read(&[("code", "c"), ("state", "s"), ("x", "y"), ("x", "z")]),
            Some(("s".into(), Some("c".into()), None))
        );
        assert_eq!(read(&[("code", "c"), ("state", "s"), ("state", "t")]), None);
        assert_eq!(read(&[("code", "c"), ("code", "d"), ("state", "s")]), None);
        assert_eq!(read(&[("code", "c")]), None);
        assert_eq!(read(&[("code", "c"), ("state", "")]), None);
    }

    #[test]
    fn what_is_random_is_long_and_never_the_same() {
        let (one, other) = (random().unwrap(), random().unwrap());
        assert_eq!((one.len(), other.len()), (43, 43));
        assert_ne!(one, other);
    }
}
