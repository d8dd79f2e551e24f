//! What servers say of themselves: protected resources (RFC 9728) and authorization servers (RFC 8414, OpenID Connect
//! Discovery). Reading only: who asks for the documents is [`super::discover`].

use router_core::{Error, Kind, Result};
use serde_json::Value;

use super::scopes::Scopes;
use crate::egress::Place;

/// Where a server may describe itself, in the order in which to look: where it says, then under its own path, then at its root.
pub(super) fn resource_addresses(server: &Place, told: Option<&str>) -> Vec<String> {
    const AT: &str = "/.well-known/oauth-protected-resource";
    let path = server.path().trim_end_matches('/');
    let mut addresses: Vec<String> = told.map(str::to_owned).into_iter().collect();
    if !path.is_empty() {
        addresses.push(server.with_path(&format!("{AT}{path}")));
    }
    addresses.push(server.with_path(AT));
    addresses.dedup();
    addresses
}

/// Where an authorization server may describe itself, in the order in which to look.
pub(super) fn authority_addresses(issuer: &Place) -> Vec<String> {
    const OAUTH: &str = "/.well-known/oauth-authorization-server";
    const OPENID: &str = "/.well-known/openid-configuration";
    let path = issuer.path().trim_end_matches('/');
    if path.is_empty() {
        return vec![issuer.with_path(OAUTH), issuer.with_path(OPENID)];
    }
    [format!("{OAUTH}{path}"), format!("{OPENID}{path}"), format!("{path}{OPENID}")]
        .iter()
        .map(|path| issuer.with_path(path))
        .collect()
}

/// An MCP server, as the world is told of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Resource {
    /// What a token for it is made out to.
    pub(super) id: String,
    /// Who makes them out, the preferred one first.
    pub(super) issuers: Vec<String>,
    /// What is needed to get anywhere with it.
    pub(super) scopes: Option<Scopes>,
    /// Whether all of this is a guess, because the server says nothing of itself.
    pub(super) is_silent: bool,
}

impl Resource {
    /// Reads the description of `server`. One that is about something else is somebody's attempt to get our tokens.
    pub(super) fn read(document: &Value, server: &Place) -> Result<Self> {
        let id = text(document, "resource").ok_or_else(|| wrong("the server's metadata names no resource"))?;
        let described =
            Place::read(&id).map_err(|why| wrong(&format!("the server's metadata names a resource that {why}")))?;
        if !covers(&described, server) {
            return Err(wrong(&format!("the server's metadata is about {described}, not about {server}")));
        }
        let issuers = words(document, "authorization_servers").unwrap_or_default();
        if issuers.is_empty() {
            return Err(wrong("the server's metadata names no authorization server"));
        }
        let scopes = words(document, "scopes_supported");
        let scopes = scopes.map(|words| Scopes::from_words(words.iter().map(String::as_str)));
        Ok(Self { id, issuers, scopes, is_silent: false })
    }

    /// A server that says nothing, as those of the revision of March 2025: its own root makes out its tokens.
    pub(super) fn silent(server: &Place) -> Self {
        let id = server.with_path(server.path().trim_end_matches('/'));
        Self { id, issuers: vec![server.origin()], scopes: None, is_silent: true }
    }
}

/// Whether a resource is the server itself, or what it is a part of.
fn covers(resource: &Place, server: &Place) -> bool {
    let (whole, part) = (resource.path().trim_end_matches('/'), server.path().trim_end_matches('/'));
    let within = part.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    resource.is_beside(server) && within
}

/// An authorization server.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word of its own in the metadata")]
pub(super) struct Authority {
    /// Its name, as it writes it: whatever is kept of it is kept under this.
    pub(super) issuer: String,
    pub(super) authorization_endpoint: Option<String>,
    pub(super) token_endpoint: String,
    pub(super) registration_endpoint: Option<String>,
    pub(super) revocation_endpoint: Option<String>,
    /// Whether all of this is a guess, because it says nothing of itself.
    pub(super) is_silent: bool,
    /// Whether it checks that who redeems a code is who asked for it.
    pub(super) has_pkce: bool,
    /// Whether its answers say whose they are (RFC 9207).
    pub(super) signs_answers: bool,
    /// Whether a client may be the address of its description.
    pub(super) takes_documents: bool,
    /// Whether it knows the scope of renewable tokens.
    pub(super) is_offline: bool,
    /// How clients may prove themselves.
    pub(super) methods: Vec<String>,
}

impl Authority {
    /// Reads the description of `issuer`. It has to say the same name (RFC 8414 section 3.3): otherwise anybody could
    /// speak for anybody.
    pub(super) fn read(document: &Value, issuer: &str) -> Result<Self> {
        let named =
            text(document, "issuer").ok_or_else(|| wrong("the authorization server's metadata names no issuer"))?;
        if !is_same_issuer(&named, issuer) {
            return Err(wrong(&format!("the metadata of {issuer} is that of {named}")));
        }
        Self::named(named, document)
    }

    /// Reads what stands at the root of a server that says nothing of itself. Those of the revision of March 2025 give
    /// themselves any name there; of their own origin it may be.
    pub(super) fn read_beside(document: &Value, server: &Place) -> Result<Self> {
        let named =
            text(document, "issuer").ok_or_else(|| wrong("the authorization server's metadata names no issuer"))?;
        if !Place::read(&named).is_ok_and(|place| place.is_beside(server)) {
            return Err(wrong(&format!("the metadata of {} is that of {named}", server.origin())));
        }
        Self::named(named, document)
    }

    /// A server that says nothing at all makes out its tokens where the revision of March 2025 has it. That one has every
    /// authorization server check who redeems a code.
    pub(super) fn silent(server: &Place) -> Self {
        Self {
            issuer: server.origin(),
            authorization_endpoint: Some(server.with_path("/authorize")),
            token_endpoint: server.with_path("/token"),
            registration_endpoint: Some(server.with_path("/register")),
            revocation_endpoint: None,
            is_silent: true,
            has_pkce: true,
            signs_answers: false,
            takes_documents: false,
            is_offline: false,
            methods: default_methods(),
        }
    }

    fn named(named: String, document: &Value) -> Result<Self> {
        let endpoint = |key| text(document, key);
        let token_endpoint =
            endpoint("token_endpoint").ok_or_else(|| wrong(&format!("{named} names no token endpoint")))?;
        let has = |key, word: &str| words(document, key).is_some_and(|words| words.iter().any(|known| known == word));
        let methods = words(document, "token_endpoint_auth_methods_supported");
        Ok(Self {
            authorization_endpoint: endpoint("authorization_endpoint"),
            token_endpoint,
            registration_endpoint: endpoint("registration_endpoint"),
            revocation_endpoint: endpoint("revocation_endpoint"),
            is_silent: false,
            has_pkce: has("code_challenge_methods_supported", "S256"),
            signs_answers: is_true(document, "authorization_response_iss_parameter_supported"),
            takes_documents: is_true(document, "client_id_metadata_document_supported"),
            is_offline: has("scopes_supported", "offline_access"),
            methods: methods.unwrap_or_else(default_methods),
            issuer: named,
        })
    }

    /// Every address of it that is going to be called or shown.
    pub(super) fn endpoints(&self) -> impl Iterator<Item = &str> {
        let others = [&self.authorization_endpoint, &self.registration_endpoint, &self.revocation_endpoint];
        std::iter::once(self.token_endpoint.as_str()).chain(others.into_iter().flatten().map(String::as_str))
    }
}

/// What is meant where nothing is said (RFC 8414 section 2).
fn default_methods() -> Vec<String> {
    vec!["client_secret_basic".to_owned()]
}

/// Names are compared byte by byte, but for the slash after a bare host, which many libraries put there or take away:
/// both lead to the same document.
fn is_same_issuer(one: &str, other: &str) -> bool {
    let bare = |name: &str| name.strip_suffix('/').filter(|host| host.matches('/').count() == 2).map(str::to_owned);
    one == other || bare(one).as_deref() == Some(other) || bare(other).as_deref() == Some(one)
}

fn text(document: &Value, key: &str) -> Option<String> {
    document.get(key)?.as_str().map(str::to_owned)
}

fn words(document: &Value, key: &str) -> Option<Vec<String>> {
    let list = document.get(key)?.as_array()?;
    Some(list.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect())
}

fn is_true(document: &Value, key: &str) -> bool {
    document.get(key).and_then(Value::as_bool) == Some(true)
}

fn wrong(what: &str) -> Error {
    Error::new(Kind::Refused, what)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn place(url: &str) -> Place {
        Place::read(url).unwrap()
    }

    #[test]
    fn where_to_look() {
        let base = "https://mcp.example/.well-known/oauth-protected-resource";
        let told = "https://elsewhere.example/prm.json";
        let table: [(&str, Option<&str>, Vec<String>); 4] = [
            ("https://mcp.example", None, vec![base.to_owned()]),
            ("https://mcp.example/a/mcp?x=1", None, vec![format!("{base}/a/mcp"), base.to_owned()]),
            ("https://mcp.example/mcp", Some(told), vec![told.to_owned(), format!("{base}/mcp"), base.to_owned()]),
            ("https://mcp.example/", Some(base), vec![base.to_owned()]),
        ];
        for (server, told, expect) in table {
            assert_eq!(resource_addresses(&place(server), told), expect, "{server}");
        }
        assert_eq!(
            authority_addresses(&place("https://as.example/")),
            [
                "https://as.example/.well-known/oauth-authorization-server",
                "https://as.example/.well-known/openid-configuration"
            ]
        );
        assert_eq!(
            authority_addresses(&place("https://as.example:8443/t1")),
            [
                "https://as.example:8443/.well-known/oauth-authorization-server/t1",
                "https://as.example:8443/.well-known/openid-configuration/t1",
                "https://as.example:8443/t1/.well-known/openid-configuration",
            ]
        );
    }

    #[test]
    fn a_description_has_to_be_about_the_server() {
        let table = [
            ("https://mcp.example/mcp", "https://mcp.example/mcp", true),
            ("https://mcp.example/mcp/", "https://mcp.example/mcp", true),
            ("https://MCP.example/mcp", "https://mcp.example:443/mcp", true),
            ("https://mcp.example", "https://mcp.example/mcp", true),
            ("https://mcp.example/a", "https://mcp.example/a/mcp", true),
            ("https://mcp.example/a", "https://mcp.example/ab", false),
            ("https://mcp.example/mcp/deeper", "https://mcp.example/mcp", false),
            ("https://evil.example/mcp", "https://mcp.example/mcp", false),
            ("https://mcp.example:8443/mcp", "https://mcp.example/mcp", false),
            ("http://mcp.example/mcp", "https://mcp.example/mcp", false),
            ("https://mcp.example.evil.example/mcp", "https://mcp.example/mcp", false),
            ("urn:mcp", "https://mcp.example/mcp", false),
        ];
        for (resource, server, good) in table {
            let document = json!({ "resource": resource, "authorization_servers": ["https://as.example"], "scopes_supported": ["a", 1, "b"] });
            let read = Resource::read(&document, &place(server));
            assert_eq!(read.is_ok(), good, "{resource} {server}: {read:?}");
            if let Ok(read) = read {
                let scopes = Some(Scopes::read("a b"));
                assert_eq!(
                    read,
                    Resource {
                        id: resource.to_owned(),
                        issuers: vec!["https://as.example".to_owned()],
                        scopes,
                        is_silent: false
                    }
                );
            }
        }
        for document in
            [json!({}), json!([]), json!({ "resource": "https://mcp.example/mcp", "authorization_servers": [] })]
        {
            assert!(Resource::read(&document, &place("https://mcp.example/mcp")).is_err(), "{document}");
        }
    }

    #[test]
    fn an_authority_speaks_for_itself() {
        let table = [
            ("https://as.example", "https://as.example", true),
            ("https://as.example/", "https://as.example", true),
            ("https://as.example", "https://as.example/", true),
            ("https://as.example/t1/", "https://as.example/t1", false),
            ("https://AS.example", "https://as.example", false),
            ("https://as.example:443", "https://as.example", false),
            ("https://evil.example", "https://as.example", false),
        ];
        for (named, asked, good) in table {
            let document = json!({ "issuer": named, "token_endpoint": "https://as.example/token" });
            let read = Authority::read(&document, asked);
            assert_eq!(read.is_ok(), good, "{named} {asked}: {read:?}");
        }
    }

    #[test]
    fn at_the_root_of_a_silent_server_any_name_of_its_own_origin_will_do() {
        let server = place("https://mcp.example/a/mcp");
        for (named, good) in [
            ("https://mcp.example", true),
            ("https://mcp.example/oauth", true),
            ("https://mcp.example:8443", false),
            ("http://mcp.example", false),
            ("https://evil.example", false),
            ("mcp", false),
        ] {
            let document = json!({ "issuer": named, "token_endpoint": "https://mcp.example/token" });
            let read = Authority::read_beside(&document, &server);
            assert_eq!(read.is_ok_and(|authority| authority.issuer == named), good, "{named}");
        }
        let silent = Authority::silent(&server);
        let endpoints: Vec<&str> = silent.endpoints().collect();
        let at = |path: &str| format!("https://mcp.example{path}");
        assert_eq!(endpoints, [at("/token"), at("/authorize"), at("/register")]);
        assert!(silent.has_pkce && silent.issuer == at(""));
    }

    #[test]
    fn what_an_authority_can_do() {
        let document = json!({
            "issuer": "https://as.example", "token_endpoint": "https://as.example/t", "authorization_endpoint": "https://as.example/a",
            "registration_endpoint": "https://as.example/r", "revocation_endpoint": "https://as.example/revoke", "code_challenge_methods_supported": ["plain", "S256"],
            "authorization_response_iss_parameter_supported": true, "client_id_metadata_document_supported": "true",
            "scopes_supported": ["offline_access"], "token_endpoint_auth_methods_supported": ["none"],
        });
        let all = Authority {
            issuer: "https://as.example".to_owned(),
            authorization_endpoint: Some("https://as.example/a".to_owned()),
            token_endpoint: "https://as.example/t".to_owned(),
            registration_endpoint: Some("https://as.example/r".to_owned()),
            revocation_endpoint: Some("https://as.example/revoke".to_owned()),
            is_silent: false,
            has_pkce: true,
            signs_answers: true,
            takes_documents: false,
            is_offline: true,
            methods: vec!["none".to_owned()],
        };
        assert_eq!(Authority::read(&document, "https://as.example").unwrap(), all);
        assert_eq!(all.endpoints().count(), 4);
        let least =
            Authority::read(&json!({ "issuer": "https://as.example", "token_endpoint": "x" }), "https://as.example")
                .unwrap();
        assert!(!least.has_pkce && !least.signs_answers && least.methods == ["client_secret_basic"]);
    }
}
