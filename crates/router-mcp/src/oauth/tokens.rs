//! Tokens: how they are asked for, read, and kept.

use http::{HeaderValue, Method, header};
use router_core::{Error, Kind, Result, Secret};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    client::{Client, ClientRecord},
    form,
    metadata::Authority,
    scopes::Scopes,
};
use crate::egress::{Ask, Told};

/// How long before its end a token is not used any more, in seconds: a request takes its time.
const BEFORE_END: i64 = 30;

/// What lets us in somewhere.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tokens {
    pub(super) access: Secret<String>,
    pub(super) refresh: Option<Secret<String>>,
    /// When the first is over, in seconds since 1970.
    pub(super) until: Option<i64>,
    /// What they were got under: they are shown and renewed there, and nowhere else.
    pub(super) claim: Claim,
}

/// The same, as they are written down.
#[derive(Serialize, Deserialize)]
pub(super) struct TokensRecord {
    access: String,
    refresh: Option<String>,
    until: Option<i64>,
    #[serde(flatten)]
    claim: ClaimRecord,
}

/// For whom and what tokens are asked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Claim {
    /// Who makes them out.
    pub(super) issuer: String,
    /// Where they are made out, and taken back.
    pub(super) token_endpoint: String,
    pub(super) revocation_endpoint: Option<String>,
    /// As whom we ask.
    pub(super) client: Client,
    /// For what: its own name for itself, and the address at which we call it.
    pub(super) resource: String,
    pub(super) server: String,
    /// What is asked for: the next question asks for no less.
    pub(super) wanted: Scopes,
}

/// The same, as it is written down.
#[derive(Serialize, Deserialize)]
pub(super) struct ClaimRecord {
    issuer: String,
    token_endpoint: String,
    revocation_endpoint: Option<String>,
    client: ClientRecord,
    resource: String,
    server: String,
    wanted: String,
}

/// In exchange for what.
pub(super) enum Grant<'a> {
    Code {
        code: &'a str,
        verifier: &'a str,
        redirect_uri: &'a str,
    },
    Refresh {
        token: &'a Secret<String>,
    },
    /// Our being who we are.
    Client,
}

impl Claim {
    pub(super) fn new(authority: &Authority, client: Client, (resource, server): (&str, &str), wanted: Scopes) -> Self {
        Self {
            issuer: authority.issuer.clone(),
            token_endpoint: authority.token_endpoint.clone(),
            revocation_endpoint: authority.revocation_endpoint.clone(),
            client,
            resource: resource.to_owned(),
            server: server.to_owned(),
            wanted,
        }
    }

    /// The question for tokens.
    pub(super) fn ask(&self, grant: &Grant<'_>, now: i64) -> Result<Ask> {
        let wanted = self.wanted.to_string();
        let mut fields: Vec<(&str, &str)> = match grant {
            Grant::Code { code, verifier, redirect_uri } => vec![
                ("grant_type", "authorization_code"),
                ("code", code),
                ("code_verifier", verifier),
                ("redirect_uri", redirect_uri),
            ],
            Grant::Refresh { token } => vec![("grant_type", "refresh_token"), ("refresh_token", token.expose())],
            Grant::Client => vec![("grant_type", "client_credentials")],
        };
        fields.push(("resource", &self.resource));
        if matches!(grant, Grant::Client) && !wanted.is_empty() {
            fields.push(("scope", &wanted));
        }
        self.sent(&self.token_endpoint, &fields, now)
    }

    /// The request to take `token` back (RFC 7009 section 2.1); `None` where nobody can be asked to.
    pub(super) fn revoke(&self, token: &Secret<String>, kind: &str, now: i64) -> Option<Result<Ask>> {
        let endpoint = self.revocation_endpoint.as_ref()?;
        Some(self.sent(endpoint, &[("token", token.expose()), ("token_type_hint", kind)], now))
    }

    /// A form for the authorization server, with the proof of who sends it.
    fn sent(&self, to: &str, fields: &[(&str, &str)], now: i64) -> Result<Ask> {
        let (mut headers, proof) = self.client.proof(&self.issuer, now)?;
        let proof = proof.iter().map(|(name, value)| (*name, value.as_str()));
        let fields: Vec<_> = fields.iter().copied().chain(proof).collect();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        Ok(Ask { method: Method::POST, url: to.to_owned(), headers, body: form::encode(&fields).into() })
    }

    pub(super) fn record(&self) -> ClaimRecord {
        ClaimRecord {
            issuer: self.issuer.clone(),
            token_endpoint: self.token_endpoint.clone(),
            revocation_endpoint: self.revocation_endpoint.clone(),
            client: self.client.record(),
            resource: self.resource.clone(),
            server: self.server.clone(),
            wanted: self.wanted.to_string(),
        }
    }

    /// Reads the answer (RFC 6749 section 5). `before` is what a renewal renews: what it does not say stays.
    pub(super) fn read(self, told: &Told, before: Option<&Tokens>, now: i64) -> Result<Tokens, Refusal> {
        let document: Value = serde_json::from_slice(&told.body).unwrap_or_default();
        if !told.status.is_success() {
            return Err(Refusal::read(&document, told.status.as_u16(), &self.issuer));
        }
        let text = |key: &str| document.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let unusable = |why: &str| Refusal::new(None, &format!("{} {why}", self.issuer));
        let access = text("access_token").ok_or_else(|| unusable("answered without a token"))?;
        if HeaderValue::try_from(format!("Bearer {access}")).is_err() {
            return Err(unusable("made out a token that no header can carry"));
        }
        if !text("token_type").is_none_or(|kind| kind.eq_ignore_ascii_case("bearer")) {
            return Err(unusable("made out a token of another kind than Bearer"));
        }
        let seconds = document.get("expires_in").and_then(|time| time.as_i64().or_else(|| time.as_str()?.parse().ok()));
        let refresh = text("refresh_token").map(|token| Secret::new(token.to_owned()));
        Ok(Tokens {
            access: Secret::new(access.to_owned()),
            refresh: refresh.or_else(|| before?.refresh.clone()),
            until: seconds.map(|seconds| now.saturating_add(seconds.max(0))),
            claim: self,
        })
    }
}

impl From<ClaimRecord> for Claim {
    fn from(record: ClaimRecord) -> Self {
        Self {
            issuer: record.issuer,
            token_endpoint: record.token_endpoint,
            revocation_endpoint: record.revocation_endpoint,
            client: record.client.into(),
            resource: record.resource,
            server: record.server,
            wanted: Scopes::read(&record.wanted),
        }
    }
}

/// Why no token was made out.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The word of the registry for it.
    pub(super) code: Option<String>,
    pub(super) error: Error,
}

impl Refusal {
    fn new(code: Option<&str>, message: &str) -> Self {
        Self { code: code.map(str::to_owned), error: Error::new(Kind::Credential, message) }
    }

    /// Of an authority's own words only the word from the registry is handed on: the rest could hold what we sent.
    fn read(document: &Value, status: u16, issuer: &str) -> Self {
        let code = document.get("error").and_then(Value::as_str).map(|code| word(code).to_owned());
        let message = match &code {
            Some(code) => format!("{issuer} makes out no token: {code}"),
            None => format!("{issuer} makes out no token (HTTP {status})"),
        };
        if status == 429 || status >= 500 {
            return Self { code, error: Error::new(Kind::Unavailable, message) };
        }
        Self::new(code.as_deref(), &message)
    }

    /// Whether the authority does not know us, or not any more: the next journey begins with a new registration.
    pub(super) fn is_of_client(&self) -> bool {
        matches!(self.code.as_deref(), Some("invalid_client" | "unauthorized_client"))
    }

    /// Whether what was shown is not good any more.
    pub(super) fn is_final(&self) -> bool {
        matches!(
            self.code.as_deref(),
            Some("invalid_grant" | "invalid_client" | "unauthorized_client" | "invalid_scope" | "invalid_target")
        )
    }
}

/// A word of the registry: nothing that could be a sentence, or markup.
pub(super) fn word(text: &str) -> &str {
    let sound =
        text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    if sound && !text.is_empty() { text } else { "an error without a name" }
}

impl Tokens {
    /// How long the first is good, in seconds; `None` for one without an end.
    pub(super) fn good_for(&self, now: i64) -> Option<u64> {
        self.until.map(|until| u64::try_from(until.saturating_sub(now).saturating_sub(BEFORE_END)).unwrap_or(0))
    }

    /// What shows the first to its server.
    pub(super) fn header(&self) -> Result<HeaderValue> {
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.access.expose()))
            .map_err(|_| Error::new(Kind::Internal, "a token that no header can carry was kept"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    pub(super) fn record(&self) -> TokensRecord {
        TokensRecord {
            access: self.access.expose().clone(),
            refresh: self.refresh.as_ref().map(|token| token.expose().clone()),
            until: self.until,
            claim: self.claim.record(),
        }
    }
}

impl From<TokensRecord> for Tokens {
    fn from(record: TokensRecord) -> Self {
        Self {
            access: Secret::new(record.access),
            refresh: record.refresh.map(Secret::new),
            until: record.until,
            claim: record.claim.into(),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { code: None, error }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};
    use serde_json::json;

    use super::*;

    fn claim() -> Claim {
        Claim {
            issuer: "https://as.example".to_owned(),
            token_endpoint: "https://as.example/t".to_owned(),
            revocation_endpoint: Some("https://as.example/r".to_owned()),
            client: Client::described("https://router.example/oauth/client.json"),
            resource: "https://mcp.example/mcp".to_owned(),
            server: "https://mcp.example/mcp".to_owned(),
            wanted: Scopes::read("a b"),
        }
    }

    fn told(status: u16, body: &Value) -> Told {
        Told { status: StatusCode::from_u16(status).unwrap(), headers: HeaderMap::new(), body: body.to_string().into() }
    }

    #[test]
    fn each_grant_names_its_resource() {
        let token = Secret::new("r+1".to_owned());
        let client = "client_id=https%3A%2F%2Frouter.example%2Foauth%2Fclient.json";
        let resource = "resource=https%3A%2F%2Fmcp.example%2Fmcp";
        let code = Grant::Code { code: "c", verifier: "v", redirect_uri: "http://127.0.0.1:1/cb" };
        let table = [
            (
                code,
                format!(
                    "grant_type=authorization_code&code=c&code_verifier=v&redirect_uri=http%3A%2F%2F127.0.0.1%3A1%2Fcb&{resource}&{client}"
                ),
            ),
            (
                Grant::Refresh { token: &token },
                format!("grant_type=refresh_token&refresh_token=r%2B1&{resource}&{client}"),
            ),
            (Grant::Client, format!("grant_type=client_credentials&{resource}&scope=a%20b&{client}")),
        ];
        for (grant, body) in table {
            let ask = claim().ask(&grant, 0).unwrap();
            assert_eq!((ask.url.as_str(), &*ask.body), ("https://as.example/t", body.as_bytes()));
        }
        let revoked = claim().revoke(&token, "refresh_token", 0).unwrap().unwrap();
        let body = format!("token=r%2B1&token_type_hint=refresh_token&{client}");
        assert_eq!((revoked.url.as_str(), &*revoked.body), ("https://as.example/r", body.as_bytes()));
        assert!(Claim { revocation_endpoint: None, ..claim() }.revoke(&token, "refresh_token", 0).is_none());
    }

    #[test]
    fn an_answer_is_read_or_refused() {
        let good = json!({ "access_token": "t", "token_type": "bearer", "expires_in": 60, "refresh_token": "r", "scope": "a" });
        let tokens = claim().read(&told(200, &good), None, 1_000).unwrap();
        assert_eq!((tokens.until, tokens.good_for(1_000), tokens.good_for(1_050)), (Some(1_060), Some(30), Some(0)));
        assert_eq!(tokens.header().unwrap(), "Bearer t");
        assert!(tokens.header().unwrap().is_sensitive());
        assert_eq!(Tokens::from(tokens.record()), tokens);
        let renewed =
            claim().read(&told(200, &json!({ "access_token": "u", "expires_in": "5" })), Some(&tokens), 2_000).unwrap();
        assert_eq!((renewed.refresh, renewed.until), (Some(Secret::new("r".to_owned())), Some(2_005)));
        for (status, body, says) in [
            (200, json!({}), "https://as.example answered without a token"),
            (200, json!({ "access_token": "a\nb" }), "https://as.example made out a token that no header can carry"),
            (
                200,
                json!({ "access_token": "t", "token_type": "DPoP" }),
                "https://as.example made out a token of another kind than Bearer",
            ),
            (
                400,
                json!({ "error": "invalid_grant", "error_description": "r-canary" }),
                "https://as.example makes out no token: invalid_grant",
            ),
            (
                400,
                json!({ "error": "<b>r-canary</b>" }),
                "https://as.example makes out no token: an error without a name",
            ),
            (503, json!("r-canary"), "https://as.example makes out no token (HTTP 503)"),
        ] {
            let refusal = claim().read(&told(status, &body), None, 0).unwrap_err();
            assert_eq!(refusal.error.message(), says);
            assert_eq!(refusal.is_final(), says.ends_with("invalid_grant"), "{says}");
        }
    }

    #[test]
    fn nothing_of_a_token_is_printed() {
        let good = json!({ "access_token": "t-canary", "refresh_token": "r-canary" });
        let client = Client { secret: Some(Secret::new("s-canary".to_owned())), ..claim().client };
        let tokens = Claim { client, ..claim() }.read(&told(200, &good), None, 0).unwrap();
        assert!(!format!("{tokens:?} {:?}", tokens.header()).contains("canary"));
    }
}
