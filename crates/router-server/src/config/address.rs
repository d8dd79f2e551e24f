//! The address of an upstream: http or https, a host, and no credential in it.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use http::{Uri, uri::Scheme};

use super::problem::Flaw;

/// Where an upstream is reached. It is written out in full where it is called; what follows a `?` may be a key, so
/// `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Uri);

impl Address {
    /// Reads an address; without one of the two schemes, a host or a port's number it is none.
    pub(super) fn parse(text: &str) -> Result<Self, Flaw> {
        let flaw = || Flaw::new("is not an address").remedy("write \"https://HOST/PATH\" or \"http://HOST:PORT\"");
        let text = text.trim_end_matches('/');
        let uri: Uri = text.parse().map_err(|_| flaw())?;
        let authority = uri.authority().ok_or_else(flaw)?;
        if uri.scheme() != Some(&Scheme::HTTP) && uri.scheme() != Some(&Scheme::HTTPS) {
            return Err(flaw());
        }
        if authority.as_str().contains('@') {
            return Err(Flaw::new("holds a credential").remedy("give it as api_key, or in headers"));
        }
        let wrong_port = authority.as_str() != authority.host() && authority.port_u16().is_none();
        if authority.host().is_empty() || wrong_port {
            return Err(flaw());
        }
        Ok(Self(uri))
    }

    /// Its host.
    pub(super) fn host(&self) -> &str {
        self.0.host().unwrap_or_default()
    }

    /// Its port, written or implied.
    pub(super) fn port(&self) -> u16 {
        self.0.port_u16().unwrap_or(if self.0.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 })
    }

    /// Where to connect, if no name has to be looked up for it.
    pub fn socket(&self) -> Option<SocketAddr> {
        let host = self.host().trim_start_matches('[').trim_end_matches(']');
        let ip = if host == "localhost" { Some(Ipv4Addr::LOCALHOST.into()) } else { host.parse::<IpAddr>().ok() };
        ip.map(|ip| SocketAddr::new(ip, self.port()))
    }

    /// Whether what is sent there is encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        self.0.scheme() == Some(&Scheme::HTTPS)
    }

    /// Whether it is this machine's own, as far as its spelling tells.
    pub(super) fn is_loopback(&self) -> bool {
        self.socket().is_some_and(|socket| socket.ip().is_loopback())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.authority().map_or("", http::uri::Authority::as_str);
        write!(f, "{}://{host}{}", self.0.scheme_str().unwrap_or_default(), self.0.path().trim_end_matches('/'))?;
        f.write_str(if self.0.query().is_some() { "?****" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_addresses_and_hides_their_queries() {
        let cases = [
            ("https://api.example.com/v1/", Ok("https://api.example.com/v1")),
            ("http://localhost:1234", Ok("http://localhost:1234")),
            ("http://[::1]:1234/x", Ok("http://[::1]:1234/x")),
            ("https://mcp.example.com/mcp?key=hunter2", Ok("https://mcp.example.com/mcp?****")),
            ("https://me:hunter2@example.com", Err("holds a credential")),
            ("localhost:1234", Err("is not an address")),
            ("ftp://example.com", Err("is not an address")),
            ("https://", Err("is not an address")),
            ("example.com", Err("is not an address")),
            ("http://a:99999", Err("is not an address")),
            ("", Err("is not an address")),
        ];
        for (text, expected) in cases {
            let read = Address::parse(text).map(|address| format!("{address:?}")).map_err(|flaw| flaw.says);
            assert_eq!(read, expected.map(str::to_owned).map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn knows_its_own_machine() {
        for (text, own) in [
            ("http://localhost", true),
            ("http://[::1]:1", true),
            ("http://127.0.0.2", true),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(Address::parse(text).unwrap().is_loopback(), own, "{text}");
        }
    }
}
