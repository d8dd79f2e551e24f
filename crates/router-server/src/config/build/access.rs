//! Who can reach us, and who may: the address, the keys, the names and origins that are allowed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use http::Uri;
use router_core::Secret;

use super::{
    super::{
        environment::{HOST, PORT, ROUTER_HOST, ROUTER_PORT},
        keys::KeyFile,
        leaf::{Hidden, Positive, Text},
        problem::{At, Flaw},
        read::Spanned,
        settings::KeySettings,
    },
    Build, name,
};

/// Where we listen when nobody says otherwise.
pub(super) const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4100);

/// Shorter keys can be guessed.
const KEY_LENGTH: usize = 16;

/// How many connections are served at once when nobody says otherwise.
const CONNECTIONS: u32 = 4096;

/// How many connections are served at once.
pub(super) fn connections(file: Option<Spanned<Positive>>) -> usize {
    let connections = file.map_or(CONNECTIONS, |connections| connections.value.0);
    usize::try_from(connections).unwrap_or(usize::MAX)
}

/// The least that seals.
const STATE_KEY_LENGTH: usize = 32;

impl Build<'_> {
    /// The address: a flag before the environment before the file. Others may reach it only when there are keys.
    pub(super) fn listen(&mut self, file: Option<Spanned<Text>>, keyed: bool) -> SocketAddr {
        let (mut listen, mut at) = (LISTEN, At::outside("listen"));
        let flag = self.given.flags.listen.clone();
        if let Some(Spanned { value: Text(text), at: place }) = file {
            listen = self.address(&text, &place).unwrap_or(listen);
            at = place;
        }
        if let Some((host, place)) = self.host() {
            listen.set_ip(host);
            at = place;
        }
        if let Some(port) = self.given.variables.first(&[&ROUTER_PORT, &PORT]) {
            match port.value.parse() {
                Ok(port) => listen.set_port(port),
                Err(_) => drop(self.findings.problem(&port.at, "its value is not the number of a port")),
            }
        }
        if let Some(text) = flag {
            at = At::outside("--listen");
            listen = self.address(&text, &at).unwrap_or(listen);
        }
        if !listen.ip().is_loopback() && !keyed && !self.findings.is_broken("keys") {
            let finding = self.findings.problem(&at, format!("others can reach {listen}, and there is no key"));
            finding.remedy("add keys: [{ name: me, key: \"${ROUTER_KEY}\" }], or listen on 127.0.0.1");
        }
        listen
    }

    fn address(&mut self, text: &str, at: &At) -> Option<SocketAddr> {
        let address = socket(text);
        address.map_err(|flaw| self.findings.flaw(at, Some(&format!("\"{text}\"")), flaw)).ok()
    }

    /// `HOST` is the machine's name in some shells, so it is not a mistake when it is no address.
    fn host(&mut self) -> Option<(IpAddr, At)> {
        let read = |text: &str| if text == "localhost" { Ok(LISTEN.ip()) } else { text.parse() };
        if let Some(set) = self.given.variables.get(&ROUTER_HOST) {
            let host = read(set.value).ok();
            if host.is_none() {
                self.findings.problem(&set.at, "its value is not an address").remedy("write \"127.0.0.1\"");
            }
            return host.map(|host| (host, set.at));
        }
        let set = self.given.variables.get(&HOST)?;
        read(set.value).ok().map(|host| (host, set.at))
    }

    /// The keys; each has a name and a text of its own.
    pub(super) fn keys(&mut self, file: Option<Spanned<Vec<Spanned<KeyFile>>>>, views: &[String]) -> Vec<KeySettings> {
        let mut keys: Vec<KeySettings> = Vec::new();
        for Spanned { value, at } in file.into_iter().flat_map(|file| file.value) {
            if let Some(key) = self.key(value, &at, (&keys, views)) {
                keys.push(key);
            }
        }
        keys
    }

    fn key(
        &mut self,
        KeyFile { name: whose, key, tenant, admin, view, views }: KeyFile,
        at: &At,
        (keys, known_views): (&[KeySettings], &[String]),
    ) -> Option<KeySettings> {
        let (Some(whose), Some(key)) = (&whose, key) else {
            if self.findings.is_broken(&at.path) {
                return None;
            }
            self.findings
                .problem(at, "a key needs a name and a key")
                .remedy("write { name: me, key: \"${ROUTER_KEY}\" }");
            return None;
        };
        let length = key.0.expose().len();
        if length == 0 {
            self.findings.problem(&key.at, "the key is empty");
            return None;
        }
        if length < KEY_LENGTH {
            let finding = self.findings.warning(&key.at, format!("a key of {length} characters can be guessed"));
            finding.remedy("make one with: openssl rand -hex 24");
        }
        if keys.iter().any(|known| known.name.as_ref() == whose.0) {
            self.findings.problem(&whose.at, format!("there are two keys called \"{}\"", whose.0));
            return None;
        }
        if let Some(known) = keys.iter().find(|known| known.key == key.0) {
            self.findings.problem(&key.at, format!("this is the key of \"{}\", too", known.name));
            return None;
        }
        let tenant = tenant.as_ref().map_or(&whose.0, |tenant| &tenant.0);
        let admin = admin.is_some_and(|admin| admin.0);
        let views = self.views_of_key(view, views, known_views);
        Some(KeySettings { name: name(&whose.0), tenant: name(tenant), key: key.value.0, admin, views })
    }

    /// What replicas seal with: who guesses it can make calls of others go on.
    pub(super) fn state_key(&mut self, file: Option<Spanned<Hidden>>) -> Option<Secret<String>> {
        let Spanned { value: Hidden(key), at } = file?;
        if key.expose().len() < STATE_KEY_LENGTH {
            let finding = self.findings.problem(&at, format!("this is shorter than {STATE_KEY_LENGTH} characters"));
            finding.remedy("make one with: openssl rand -hex 32");
            return None;
        }
        Some(key)
    }

    /// Host names, with or without a port.
    pub(super) fn hosts(&mut self, file: Option<Spanned<Vec<Spanned<Text>>>>) -> Vec<String> {
        let mut hosts = Vec::new();
        for Spanned { value: Text(text), at } in file.into_iter().flat_map(|file| file.value) {
            match text.parse::<http::uri::Authority>() {
                Ok(host) if !host.as_str().contains(['@', '*']) => hosts.push(text.to_ascii_lowercase()),
                Ok(_) | Err(_) => {
                    let finding = self.findings.problem(&at, format!("\"{text}\" is not a host"));
                    finding.remedy("write \"router.example.com\" or \"router.example.com:4100\"");
                }
            }
        }
        hosts
    }

    /// Origins, as a browser sends them.
    pub(super) fn origins(&mut self, file: Option<Spanned<Vec<Spanned<Text>>>>) -> Vec<String> {
        let mut origins = Vec::new();
        for Spanned { value: Text(text), at } in file.into_iter().flat_map(|file| file.value) {
            if is_origin(&text) {
                origins.push(text.trim_end_matches('/').to_ascii_lowercase());
                continue;
            }
            let (says, remedy) = match text.as_str() {
                "*" => ("\"*\" would let every web page call the router".to_owned(), "list the origins one by one"),
                _ => (format!("\"{text}\" is not an origin"), "write \"https://app.example.com\""),
            };
            self.findings.problem(&at, says).remedy(remedy);
        }
        origins
    }
}

fn is_origin(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else { return false };
    let plain = matches!(uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str), "/" | "");
    uri.scheme().is_some() && uri.authority().is_some_and(|host| !host.as_str().contains(['@', '*'])) && plain
}

fn socket(text: &str) -> Result<SocketAddr, Flaw> {
    let written = text.replace("localhost:", "127.0.0.1:");
    if let Ok(address) = written.parse() {
        return Ok(address);
    }
    let remedy = match (text.parse::<u16>(), text.strip_prefix(':').map(str::parse::<u16>), text.parse::<IpAddr>()) {
        (Ok(port), _, _) | (_, Some(Ok(port)), _) => format!("write \"127.0.0.1:{port}\""),
        (_, _, Ok(ip)) => format!("write \"{}\"", SocketAddr::new(ip, LISTEN.port())),
        _ => format!("write an address and a port: \"{LISTEN}\""),
    };
    Err(Flaw::new("is not an address with a port").remedy(remedy))
}
