//! The door: who may come in, under which name, and what is taken off at the threshold.

use std::{net::IpAddr, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, Method, header, request::Parts};
use router_core::{Caller, Error, Kind, Result, Scope, Secret};
use subtle::ConstantTimeEq;

/// Whom the door lets in.
#[derive(Debug)]
pub struct Door {
    keys: Vec<DoorKey>,
    /// `host` or `host:port` in lower case; an entry without a port is good for every port.
    hosts: Vec<String>,
    /// Origins (`https://app.example`) whose pages may call us.
    origins: Vec<String>,
}

#[derive(Debug)]
struct DoorKey {
    name: Arc<str>,
    tenant: Scope,
    digest: [u8; 32],
    admin: bool,
}

/// A key as the configuration has it.
#[derive(Clone, Copy)]
pub struct KeyHolder<'a> {
    /// Whose it is.
    pub name: &'a str,
    /// Whose answers he shares.
    pub tenant: &'a str,
    /// The key.
    pub key: &'a Secret<String>,
    /// Whether he may order the router about.
    pub admin: bool,
}

/// How much a route asks of its visitors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A key, where keys exist, and a host name that is ours.
    Guarded,
    /// The same, but any address will do in place of a name.
    ByAddress,
    /// A key that is an administrator's; without any keys nobody gets in.
    Admin,
    /// Any address, and no key: the probes of an orchestrator.
    Probe,
}

impl Door {
    /// A door that knows `keys`, answers to the names of the address it listens on and to
    /// `hosts`, and to pages of `origins`.
    pub fn new<'a>(
        keys: impl IntoIterator<Item = KeyHolder<'a>>,
        listen: IpAddr,
        hosts: &[String],
        origins: &[String],
    ) -> Self {
        let keys = keys.into_iter().map(|holder| DoorKey {
            name: holder.name.into(),
            tenant: Scope::Tenant(holder.tenant.into()),
            digest: digest(holder.key.expose()),
            admin: holder.admin,
        });
        let own = ["localhost".to_owned(), "127.0.0.1".to_owned(), "[::1]".to_owned(), bracketed(listen)];
        let hosts = own.into_iter().chain(hosts.iter().map(|host| host.to_ascii_lowercase())).collect();
        Self { keys: keys.collect(), hosts, origins: origins.to_vec() }
    }

    /// Lets a request in and says who asks, or why not; which client it is, is found out elsewhere.
    pub fn admit(&self, parts: &mut Parts, access: Access, request_id: Arc<str>) -> Result<Caller> {
        self.check_host(parts, access)?;
        self.check_origin(parts)?;
        if access == Access::Probe {
            return Ok(Caller::anonymous(request_id));
        }
        strip(&mut parts.headers);
        let key = self.check_key(&parts.headers)?;
        if access == Access::Admin && !key.is_some_and(|key| key.admin) {
            return Err(Error::new(Kind::Forbidden, "only an administrator's key opens /admin")
                .hint("add `admin: true` to a key, or use `mcp-router servers` on the machine itself"));
        }
        Ok(Caller {
            name: key.map_or_else(|| "anonymous".into(), |key| Arc::clone(&key.name)),
            tenant: key.map_or_else(|| Scope::Tenant("anonymous".into()), |key| key.tenant.clone()),
            client: None,
            request_id,
        })
    }

    /// The answer to a browser that asks first; `None` when this is no such question, or not one of our origins.
    pub fn preflight(&self, parts: &Parts) -> Option<HeaderMap> {
        let asks = parts.method == Method::OPTIONS && parts.headers.contains_key("access-control-request-method");
        let origin = self.listed_origin(&parts.headers).filter(|_| asks)?;
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, DELETE, HEAD"));
        if let Some(wanted) = parts.headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        headers.insert(header::VARY, HeaderValue::from_static("origin"));
        Some(headers)
    }

    /// The origin of the request, when the configuration lists it.
    pub fn listed_origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        let listed = self.origins.iter().any(|known| known == "*" || known.as_bytes() == origin.as_bytes());
        listed.then(|| origin.clone())
    }

    /// A page that rebinds its own name to our address still sends its own name here.
    fn check_host(&self, parts: &Parts, access: Access) -> Result<()> {
        let host = one(&parts.headers, &header::HOST)?;
        let authority = parts.uri.authority().map(http::uri::Authority::as_str);
        let refused = |shown: &str| {
            Err(Error::new(Kind::Forbidden, format!("this router does not answer to the host {shown:?}"))
                .hint("add it to `allowed_hosts` if it is yours"))
        };
        match (host, authority) {
            (None, None) => refused(""),
            (host, authority) => {
                let known = |name: &str| self.is_ours(name) || (access != Access::Guarded && is_address(name));
                let strange = [host, authority].into_iter().flatten().find(|name| !known(name));
                strange.map_or(Ok(()), refused)
            }
        }
    }

    fn is_ours(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let name = without_port(&host);
        self.hosts.iter().any(|known| known == "*" || *known == host || known == name)
    }

    fn check_origin(&self, parts: &Parts) -> Result<()> {
        let Some(origin) = one(&parts.headers, &header::ORIGIN)? else { return Ok(()) };
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        if is_of_host(origin, host) || self.listed_origin(&parts.headers).is_some() {
            return Ok(());
        }
        Err(Error::new(Kind::Forbidden, format!("pages of {origin:?} may not call this router"))
            .hint("add the origin to `allowed_origins` if it is yours"))
    }

    fn check_key(&self, headers: &HeaderMap) -> Result<Option<&DoorKey>> {
        if self.keys.is_empty() {
            return Ok(None);
        }
        let Some(presented) = presented_key(headers) else {
            return Err(Error::new(Kind::Unauthorized, "a key is needed")
                .hint("send it as `Authorization: Bearer KEY` or `x-api-key: KEY`"));
        };
        let presented = digest(presented);
        // Every key is compared, and each in constant time: how long it takes tells nothing.
        let found = self
            .keys
            .iter()
            .fold(None, |found, key| if bool::from(key.digest.ct_eq(&presented)) { Some(key) } else { found });
        found.map(Some).ok_or_else(|| Error::new(Kind::Unauthorized, "this key is not known here"))
    }
}

fn digest(key: &str) -> [u8; 32] {
    *blake3::hash(key.as_bytes()).as_bytes()
}

/// `x-api-key` wins where both are sent, as at Anthropic's own door.
fn presented_key(headers: &HeaderMap) -> Option<&str> {
    if let Some(key) = headers.get("x-api-key") {
        return key.to_str().ok().map(str::trim);
    }
    let (scheme, key) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// The one value of a header; a second one is an attempt to be two things at once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>> {
    let mut values = headers.get_all(name).iter();
    let (first, second) = (values.next(), values.next());
    match (first.map(HeaderValue::to_str), second) {
        (None, _) => Ok(None),
        (Some(Ok(value)), None) => Ok(Some(value)),
        (Some(_), _) => Err(Error::new(Kind::Forbidden, format!("the header {name} is doubled or unreadable"))),
    }
}

/// What is said to us under a name of ours.
const TOLD_TO_US: [&str; 2] = ["x-mcp-router-cache", "x-mcp-router-on-loss"];

/// Takes off what only we may say: nobody outside speaks in our name.
fn strip(headers: &mut HeaderMap) {
    let is_ours = |name: &str| name.starts_with("x-mcp-router-") && !TOLD_TO_US.contains(&name);
    let ours: Vec<HeaderName> = headers.keys().filter(|name| is_ours(name.as_str())).cloned().collect();
    for name in ours {
        headers.remove(name);
    }
}

/// Whether a page of `origin` is from the host that it calls.
pub(super) fn is_of_host(origin: &str, host: &str) -> bool {
    origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
}

fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

/// No page can rebind an address: only names are a danger.
fn is_address(host: &str) -> bool {
    without_port(host).trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(keys: &[(&str, &str)]) -> Door {
        let secrets: Vec<_> = keys.iter().map(|(name, key)| (*name, Secret::new((*key).to_owned()))).collect();
        let keys = secrets.iter().map(|(name, key)| KeyHolder { name, tenant: name, key, admin: *name == "root" });
        let hosts = ["router.example".to_owned(), "pinned.example:8443".to_owned()];
        Door::new(keys, IpAddr::from([10, 1, 2, 3]), &hosts, &["https://app.example".to_owned()])
    }

    #[test]
    fn probes_come_by_any_address_but_by_no_strange_name() {
        let door = door(&[("alice", "key-a")]);
        for (host, admitted) in [("10.9.9.9:4100", true), ("[fe80::1]:4100", true), ("evil.example", false)] {
            let request = http::Request::builder().uri("/health").header("host", host);
            let (mut parts, ()) = request.body(()).expect("a request").into_parts();
            assert_eq!(door.admit(&mut parts, Access::Probe, "req_1".into()).is_ok(), admitted, "{host}");
        }
    }

    #[test]
    fn only_an_administrator_gets_to_admin() {
        let keyed = door(&[("alice", "key-a"), ("root", "key-r")]);
        for (door, key, expected) in [
            (&keyed, "key-a", Err(Kind::Forbidden)),
            (&keyed, "key-r", Ok("root")),
            (&keyed, "key-x", Err(Kind::Unauthorized)),
            (&door(&[]), "key-r", Err(Kind::Forbidden)),
        ] {
            let request = http::Request::builder().uri("/admin/servers").header("host", "localhost");
            let (mut parts, ()) = request.header("x-api-key", key).body(()).expect("a request").into_parts();
            let admitted = door.admit(&mut parts, Access::Admin, "req_1".into());
            let admitted = admitted.as_ref().map(|caller| &*caller.name).map_err(Error::kind);
            assert_eq!(admitted, expected, "{key}");
        }
    }

    fn visit(door: &Door, headers: &[(&'static str, &'static str)]) -> Result<Caller> {
        let mut request = http::Request::builder().uri("/ask");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut parts, ()) = request.body(()).expect("a request").into_parts();
        door.admit(&mut parts, Access::Guarded, "req_1".into())
    }

    #[test]
    fn only_our_own_names_are_answered() {
        let door = door(&[]);
        let table = [
            ("localhost:4100", true),
            ("LOCALHOST", true),
            ("127.0.0.1:9", true),
            ("[::1]:4100", true),
            ("10.1.2.3:4100", true),
            ("router.example", true),
            ("router.example:99", true),
            ("pinned.example:8443", true),
            ("pinned.example", false),
            ("evil.example", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example:4100", false),
            ("10.9.9.9", false),
            ("", false),
        ];
        for (host, admitted) in table {
            assert_eq!(visit(&door, &[("host", host)]).is_ok(), admitted, "{host}");
        }
        assert!(visit(&door, &[]).is_err(), "no host at all");
        assert!(visit(&door, &[("host", "localhost"), ("host", "localhost")]).is_err(), "two hosts");
    }

    #[test]
    fn only_listed_pages_may_call() {
        let door = door(&[]);
        let table = [
            ("http://localhost:4100", true),
            ("https://app.example", true),
            ("https://app.example.evil", false),
            ("http://localhost:3000", false),
            ("null", false),
            ("https://evil.example", false),
        ];
        for (origin, admitted) in table {
            let visited = visit(&door, &[("host", "localhost:4100"), ("origin", origin)]);
            assert_eq!(visited.is_ok(), admitted, "{origin}");
        }
    }

    #[test]
    fn a_key_opens_and_names_its_holder() {
        let door = door(&[("alice", "key-a"), ("bob", "key-b")]);
        let host = ("host", "localhost");
        let name = |headers: &[(&'static str, &'static str)]| {
            visit(&door, headers).map(|caller| caller.name.to_string()).map_err(|error| error.kind())
        };
        assert_eq!(name(&[host, ("authorization", "Bearer key-a")]), Ok("alice".into()));
        assert_eq!(name(&[host, ("authorization", "bearer key-b")]), Ok("bob".into()));
        assert_eq!(name(&[host, ("x-api-key", "key-b"), ("authorization", "Bearer key-a")]), Ok("bob".into()));
        assert_eq!(name(&[host]), Err(Kind::Unauthorized));
        assert_eq!(name(&[host, ("authorization", "Basic key-a")]), Err(Kind::Unauthorized));
        assert_eq!(
            name(&[host, ("x-api-key", "key-a ")]),
            Ok("alice".into()),
            "white space around a value is not of it"
        );
        assert_eq!(name(&[host, ("x-api-key", "' OR 1=1 --")]), Err(Kind::Unauthorized));
    }

    #[test]
    fn nobody_speaks_in_our_name() {
        let door = door(&[]);
        let request = http::Request::builder().header("host", "localhost").header("x-mcp-router-source", "live");
        let (mut parts, ()) = request.header("x-other", "1").body(()).expect("a request").into_parts();
        door.admit(&mut parts, Access::Guarded, "req_1".into()).expect("admitted");
        assert!(!parts.headers.contains_key("x-mcp-router-source") && parts.headers.contains_key("x-other"));
    }
}
