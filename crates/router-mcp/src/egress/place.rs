//! An address as somebody else wrote it, read in the one way in which it will be used.

use std::{fmt, net::IpAddr};

use http::{Uri, uri::Scheme};

/// The longest address that is read, in bytes.
const LONGEST: usize = 2048;

/// Where a request would go. Its spelling is sound; nobody was asked where its name leads.
#[derive(Clone, PartialEq)]
pub struct Place {
    uri: Uri,
    host: Host,
    port: u16,
}

/// Who is to be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    Address(IpAddr),
    /// In lower case, without a dot at its end.
    Name(String),
}

impl Place {
    /// Reads an address: http or https, a host in its usual spelling, no credential, no fragment.
    pub fn read(text: &str) -> Result<Self, &'static str> {
        if text.len() > LONGEST {
            return Err("is too long");
        }
        if text.contains('#') {
            return Err("has a fragment");
        }
        let uri: Uri = text.parse().map_err(|_| "is not an address")?;
        if uri.scheme() != Some(&Scheme::HTTP) && uri.scheme() != Some(&Scheme::HTTPS) {
            return Err("is neither http nor https");
        }
        let authority = uri.authority().ok_or("has no host")?;
        if authority.as_str().contains('@') {
            return Err("holds a credential");
        }
        if authority.as_str() != authority.host() && authority.port_u16().is_none() {
            return Err("has a port that is none");
        }
        let host = Host::read(authority.host())?;
        let port = authority.port_u16().unwrap_or(if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 });
        Ok(Self { uri, host, port })
    }

    /// The address of an upstream of our own configuration.
    pub fn of(uri: &Uri) -> Result<Self, &'static str> {
        Self::read(&uri.to_string())
    }

    /// The address, as it is called.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Whether what is sent there is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.uri.scheme() == Some(&Scheme::HTTPS)
    }

    /// Its path, at least `/`.
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// Scheme, host and port, as browsers write an origin: a usual port is left out.
    pub fn origin(&self) -> String {
        let scheme = if self.is_encrypted() { "https" } else { "http" };
        let usual = if self.is_encrypted() { 443 } else { 80 };
        if self.port == usual {
            format!("{scheme}://{}", self.host)
        } else {
            format!("{scheme}://{}:{}", self.host, self.port)
        }
    }

    /// Whether both are the same scheme, host and port.
    pub fn is_beside(&self, other: &Self) -> bool {
        self.is_encrypted() == other.is_encrypted() && self.host == other.host && self.port == other.port
    }

    /// The same place with another path, and no query.
    pub fn with_path(&self, path: &str) -> String {
        format!("{}{path}", self.origin())
    }

    pub(super) fn host(&self) -> &Host {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

impl Host {
    /// Resolvers read `0x7f.1` or `2130706433` as addresses, and do not agree in which: none of that is a host here.
    fn read(text: &str) -> Result<Self, &'static str> {
        if let Some(inner) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
            return inner
                .parse()
                .map(|address| Self::Address(IpAddr::V6(address)))
                .map_err(|_| "has a host that is none");
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(IpAddr::V4(address)));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let sound = |label: &str| !label.is_empty() && label.len() <= 63 && label.bytes().all(plain);
        if name.len() > 253 || !name.split('.').all(sound) {
            return Err("has a host that is none");
        }
        let last = name.rsplit('.').next().unwrap_or_default();
        let is_hexadecimal = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if last.bytes().all(|byte| byte.is_ascii_digit()) || last.strip_prefix("0x").is_some_and(is_hexadecimal) {
            return Err("has an address in an unusual spelling for its host");
        }
        Ok(Self::Name(name))
    }

    /// Whether its spelling says that it is on this machine or in this network.
    pub(super) fn is_private_by_name(&self) -> bool {
        const ENDINGS: [&str; 5] = ["localhost", "local", "internal", "lan", "home.arpa"];
        let Self::Name(name) = self else { return false };
        let ends = |ending: &str| name.strip_suffix(ending).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        !name.contains('.') || ENDINGS.iter().any(|ending| ends(ending))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Without its query: what stands there may be a secret.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.path())
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
