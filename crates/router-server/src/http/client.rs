//! Which client asks: by its path, by its own word, by its key, or by the product it is.

use http::{HeaderMap, Uri, uri::PathAndQuery};
use router_core::{Caller, Result};
use router_llm::enhance::{ClientRules, Signs};

/// Takes `/c/{client}` off a path: what is left is the path of the front that is meant.
pub fn take(uri: &mut Uri) -> Option<String> {
    let (name, rest) = uri.path().strip_prefix("/c/").map(|path| path.split_once('/').unwrap_or((path, "")))?;
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let path = PathAndQuery::try_from(format!("/{rest}{query}")).ok()?;
    let name = decoded(name).filter(|name| !name.is_empty())?;
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path);
    *uri = Uri::from_parts(parts).ok()?;
    Some(name)
}

/// The caller, with the name of the client that he is.
pub fn named(caller: Caller, path: Option<&str>, headers: &HeaderMap, rules: &ClientRules) -> Result<Caller> {
    let told = |name: &str| headers.get(name)?.to_str().ok().filter(|told| !told.is_empty());
    let agent = told("user-agent").and_then(|agent| agent.split(['/', ' ']).next());
    let signs = Signs { path, says: told("x-client-name"), key: Some(&caller.name), agent };
    let client = rules.client(signs)?;
    Ok(Caller { client, ..caller })
}

/// A segment of a path as it was meant (RFC 3986, 2.1).
fn decoded(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment;
    while let Some((before, after)) = rest.split_once('%') {
        let (digits, after) = after.split_at_checked(2)?;
        bytes.extend_from_slice(before.as_bytes());
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use router_core::{Cx, Upstream};
    use router_llm::{echo::Echo, enhance::ClientRule};

    use super::*;

    #[test]
    fn a_path_below_a_client_is_a_path_of_a_front() {
        let table = [
            ("/c/raycast/v1/messages?beta=true", Some("raycast"), "/v1/messages?beta=true"),
            ("/c/raycast/ask", Some("raycast"), "/ask"),
            ("/c/Claude%20Desktop/api/chat", Some("Claude Desktop"), "/api/chat"),
            ("/c/raycast", Some("raycast"), "/"),
            ("/c/raycast/", Some("raycast"), "/"),
            ("/c/a/c/b/ask", Some("a"), "/c/b/ask"),
            ("/c//ask", None, "/c//ask"),
            ("/c/%zz/ask", None, "/c/%zz/ask"),
            ("/c/%ff/ask", None, "/c/%ff/ask"),
            ("/c", None, "/c"),
            ("/cx/raycast/ask", None, "/cx/raycast/ask"),
            ("http://localhost:1/c/raycast/ask", Some("raycast"), "http://localhost:1/ask"),
        ];
        for (path, client, front) in table {
            let mut uri: Uri = path.parse().expect("an address");
            assert_eq!(take(&mut uri).as_deref(), client, "{path}");
            assert_eq!(uri.to_string(), front, "{path}");
        }
    }

    /// Key, path and headers of a request, and who it is from.
    type Signs = (&'static str, Option<&'static str>, &'static [(&'static str, &'static str)], Option<&'static str>);

    #[test]
    fn a_client_is_known_by_its_signs() {
        let rules = ["raycast", "laptop"].map(|name| (Arc::from(name), ClientRule::default()));
        let rules = ClientRules::new(rules, String::new, Echo.boxed());
        let caller = |name: &str| Caller { name: name.into(), ..Caller::anonymous("r") };
        let table: [Signs; 6] = [
            ("me", None, &[("user-agent", "claude-cli/2.1.0 (external, cli)")], Some("claude-cli")),
            ("me", None, &[("user-agent", "claude-cli/2.1.0"), ("x-client-name", "RAYCAST")], Some("raycast")),
            ("laptop", None, &[("user-agent", "claude-cli/2.1.0")], Some("laptop")),
            ("laptop", Some("raycast"), &[("x-client-name", "laptop")], Some("raycast")),
            ("me", None, &[("user-agent", "")], None),
            ("me", None, &[], None),
        ];
        for (key, path, headers, expected) in table {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, value.parse().expect("a header"));
            }
            let named = named(caller(key), path, &map, &rules).expect("somebody");
            assert_eq!(named.client.as_deref(), expected, "{key} {path:?} {headers:?}");
        }
        assert!(named(caller("me"), Some("raycst"), &HeaderMap::new(), &rules).is_err());
        assert!(!rules.confined(Cx::new(Arc::new(caller("me")), std::time::Duration::from_secs(1))).is_local());
    }
}
