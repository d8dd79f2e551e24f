//! Who we are to an authorization server, and how we prove it.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use router_core::{Error, Kind, Result, Secret};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{assertion, flow::PATIENCE, form, metadata::Authority};

/// How a client proves itself where tokens are made out, in the words of the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Method {
    /// A public client: the code's verifier is all there is.
    #[serde(rename = "none")]
    None,
    /// Its secret in the header.
    #[serde(rename = "client_secret_basic")]
    Basic,
    /// Its secret in the body.
    #[serde(rename = "client_secret_post")]
    Post,
    /// A text that only the holder of its key can have signed.
    #[serde(rename = "private_key_jwt")]
    Key,
}

impl Method {
    /// By preference: what travels beside the body is written down less often.
    const WITH_SECRET: [Self; 2] = [Self::Basic, Self::Post];

    const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
            Self::Key => "private_key_jwt",
        }
    }

    fn is_taken_by(self, authority: &Authority) -> bool {
        authority.methods.iter().any(|known| known == self.as_str())
    }

    /// How to show a secret.
    fn for_secret(authority: &Authority) -> Self {
        Self::WITH_SECRET.into_iter().find(|method| method.is_taken_by(authority)).unwrap_or(Self::Basic)
    }
}

/// A client of an authorization server. It is kept with what it was made for, and under the issuer that knows it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Client {
    pub(super) id: String,
    /// Its secret, or its key.
    pub(super) secret: Option<Secret<String>>,
    pub(super) method: Method,
    /// When the secret is over, in seconds since 1970.
    pub(super) until: Option<i64>,
}

/// The same, as it is written down.
#[derive(Serialize, Deserialize)]
pub(super) struct ClientRecord {
    id: String,
    secret: Option<String>,
    method: Method,
    until: Option<i64>,
}

impl Client {
    /// A client that the operator has registered himself.
    pub(super) fn configured(
        id: &str,
        secret: Option<&Secret<String>>,
        key: Option<&Secret<String>>,
        authority: &Authority,
    ) -> Self {
        let (secret, method) = match (secret, key) {
            (_, Some(key)) => (Some(key.clone()), Method::Key),
            (Some(secret), None) => (Some(secret.clone()), Method::for_secret(authority)),
            (None, None) => (None, Method::None),
        };
        Self { id: id.to_owned(), secret, method, until: None }
    }

    /// A client that is described at an address of its own, which is its id.
    pub(super) fn described(address: &str) -> Self {
        Self { id: address.to_owned(), secret: None, method: Method::None, until: None }
    }

    /// What an authorization server answered to our registration (RFC 7591 section 3.2.1).
    pub(super) fn registered(document: &Value, authority: &Authority) -> Result<Self> {
        let text = |key: &str| document.get(key).and_then(Value::as_str);
        let id = text("client_id")
            .filter(|id| !id.is_empty())
            .ok_or_else(|| Error::new(Kind::Refused, format!("{} registered us without an id", authority.issuer)))?;
        let secret = text("client_secret").filter(|secret| !secret.is_empty());
        let method = match (secret, text("token_endpoint_auth_method")) {
            (None, _) => Method::None,
            (Some(_), Some("client_secret_post")) => Method::Post,
            (Some(_), Some("client_secret_basic")) => Method::Basic,
            (Some(_), _) => Method::for_secret(authority),
        };
        // Zero is the word for never.
        let until = document.get("client_secret_expires_at").and_then(Value::as_i64).filter(|until| *until > 0);
        Ok(Self { id: id.to_owned(), secret: secret.map(|secret| Secret::new(secret.to_owned())), method, until })
    }

    /// Whether it will still be known when somebody who goes now comes back.
    pub(super) fn is_good(&self, now: i64) -> bool {
        self.until.is_none_or(|until| now.saturating_add(PATIENCE) < until)
    }

    /// What is sent beside a question for tokens, and the fields that are added to it.
    pub(super) fn proof(&self, issuer: &str, now: i64) -> Result<(HeaderMap, Vec<(&'static str, String)>)> {
        let mut headers = HeaderMap::new();
        let mut fields = Vec::new();
        match (self.method, &self.secret) {
            (Method::Basic, Some(secret)) => {
                let pair = format!("{}:{}", form::escaped(&self.id), form::escaped(secret.expose()));
                let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)))
                    .map_err(|_| Error::new(Kind::Internal, "a client's secret could not be written"))?;
                value.set_sensitive(true);
                headers.insert(AUTHORIZATION, value);
            }
            (Method::Post, Some(secret)) => {
                fields.push(("client_id", self.id.clone()));
                fields.push(("client_secret", secret.expose().clone()));
            }
            (Method::Key, Some(key)) => {
                fields.push(("client_id", self.id.clone()));
                fields.push(("client_assertion_type", assertion::TYPE.to_owned()));
                fields.push(("client_assertion", assertion::sign(&self.id, issuer, key, now)?));
            }
            (Method::None, _) | (_, None) => fields.push(("client_id", self.id.clone())),
        }
        Ok((headers, fields))
    }

    pub(super) fn record(&self) -> ClientRecord {
        ClientRecord {
            id: self.id.clone(),
            secret: self.secret.as_ref().map(|secret| secret.expose().clone()),
            method: self.method,
            until: self.until,
        }
    }
}

impl From<ClientRecord> for Client {
    fn from(record: ClientRecord) -> Self {
        Self { id: record.id, secret: record.secret.map(Secret::new), method: record.method, until: record.until }
    }
}

/// What we ask to be registered as (RFC 7591 section 2). Scopes are left out: what a server asks for later must be
/// open to the same client.
pub(super) fn registration(name: &str, redirect_uri: &str, authority: &Authority) -> Value {
    let methods = [Method::Basic, Method::Post, Method::None];
    let method = methods.into_iter().find(|method| method.is_taken_by(authority)).unwrap_or(Method::None);
    json!({
        "client_name": name,
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": method.as_str(),
        "application_type": application_type(redirect_uri),
    })
}

/// What stands at the address that is our id (OAuth Client ID Metadata Document).
pub fn description(name: &str, address: &str, redirect_uri: &str) -> Value {
    json!({
        "client_id": address,
        "client_name": name,
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": Method::None.as_str(),
        "application_type": application_type(redirect_uri),
    })
}

/// OpenID's rules for redirects differ between programs on somebody's machine and sites.
fn application_type(redirect_uri: &str) -> &'static str {
    if redirect_uri.starts_with("https:") { "web" } else { "native" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority(methods: &[&str]) -> Authority {
        let document = json!({ "issuer": "https://as.example", "token_endpoint": "https://as.example/t", "token_endpoint_auth_methods_supported": methods });
        Authority::read(&document, "https://as.example").unwrap()
    }

    /// What the authority takes, our secret, and what is sent: a header, a body.
    type Row<'a> = (&'a [&'a str], Option<&'a Secret<String>>, Option<&'a str>, &'a str);

    #[test]
    fn a_client_proves_itself_as_the_authority_wants() {
        let secret = Secret::new("s:1".to_owned());
        let basic = format!("Basic {}", STANDARD.encode("id%2F1:s%3A1"));
        let table: [Row<'_>; 5] = [
            (&["client_secret_basic", "client_secret_post"], Some(&secret), Some(&basic), ""),
            (&["client_secret_post"], Some(&secret), None, "client_id=id%2F1&client_secret=s%3A1"),
            (&["none"], Some(&secret), Some(&basic), ""),
            (&["none"], None, None, "client_id=id%2F1"),
            (&["client_secret_basic"], None, None, "client_id=id%2F1"),
        ];
        for (methods, secret, header, body) in table {
            let client = Client::configured("id/1", secret, None, &authority(methods));
            let (headers, fields) = client.proof("https://as.example", 0).unwrap();
            let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let shown = headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap());
            assert_eq!((shown, form::encode(&fields).as_str()), (header, body), "{methods:?}");
            assert_eq!(Client::from(client.record()), client);
        }
    }

    #[test]
    fn what_a_registration_answers_counts() {
        let secret = || Some(Secret::new("s".to_owned()));
        let table = [
            (json!({ "client_id": "a" }), Some((None, Method::None))),
            (json!({ "client_id": "a", "client_secret": "s" }), Some((secret(), Method::Post))),
            (
                json!({ "client_id": "a", "client_secret": "s", "token_endpoint_auth_method": "client_secret_basic" }),
                Some((secret(), Method::Basic)),
            ),
            (
                json!({ "client_id": "a", "client_secret": "", "token_endpoint_auth_method": "none" }),
                Some((None, Method::None)),
            ),
            (json!({ "client_id": "" }), None),
            (json!([]), None),
        ];
        for (document, expect) in table {
            let read = Client::registered(&document, &authority(&["client_secret_post"])).ok();
            assert_eq!(read.map(|client| (client.secret, client.method)), expect, "{document}");
        }
    }

    #[test]
    fn a_secret_that_is_nearly_over_is_not_used_any_more() {
        for (told, now, good) in
            [(json!(0), 5_000, true), (json!(5_000), 4_399, true), (json!(5_000), 4_400, false), (json!(null), 9, true)]
        {
            let document = json!({ "client_id": "a", "client_secret": "s", "client_secret_expires_at": told });
            let client = Client::registered(&document, &authority(&[])).unwrap();
            assert_eq!(Client::from(client.record()).is_good(now), good, "{told} {now}");
        }
    }

    #[test]
    fn what_we_ask_to_be_registered_as() {
        let loopback = "http://127.0.0.1:4100/oauth/callback";
        let wish = registration("MCP Router", loopback, &authority(&["none", "client_secret_post"]));
        assert_eq!(
            wish,
            json!({
                "client_name": "MCP Router", "redirect_uris": [loopback], "grant_types": ["authorization_code", "refresh_token"],
                "response_types": ["code"], "token_endpoint_auth_method": "client_secret_post", "application_type": "native",
            })
        );
        let site = registration("MCP Router", "https://router.example/oauth/callback", &authority(&["x"]));
        assert_eq!((&site["application_type"], &site["token_endpoint_auth_method"]), (&json!("web"), &json!("none")));
    }
}
