//! Which addresses of the network are nobody's business but ours.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// A range of addresses, as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net {
    first: IpAddr,
    prefix: u8,
}

/// How closed a range is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// Somebody's own network: open to a name that is exempt.
    Private,
    /// No name leads here: only the address itself, written down, does.
    Special,
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Net {
    Net { first: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix }
}

const fn v6(head: [u16; 4], prefix: u8) -> Net {
    let [a, b, c, d] = head;
    Net { first: IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)), prefix }
}

/// What is closed within IPv4 and within IPv6's global space, with its name (IANA's special-purpose registries, and
/// where clouds keep the credentials of their machines).
const CLOSED: &[(Net, Closed, &str)] = &[
    (v4(0, 0, 0, 0, 8), Closed::Special, "this network"),
    (v4(10, 0, 0, 0, 8), Closed::Private, "a private network"),
    (v4(100, 100, 100, 200, 32), Closed::Special, "a cloud's metadata"),
    (v4(100, 64, 0, 0, 10), Closed::Private, "a carrier's own network"),
    (v4(127, 0, 0, 0, 8), Closed::Private, "this machine"),
    (v4(168, 63, 129, 16, 32), Closed::Special, "a cloud's metadata"),
    (v4(169, 254, 0, 0, 16), Closed::Special, "link-local, where clouds keep their metadata"),
    (v4(172, 16, 0, 0, 12), Closed::Private, "a private network"),
    (v4(192, 0, 0, 0, 24), Closed::Special, "reserved"),
    (v4(192, 0, 2, 0, 24), Closed::Special, "documentation"),
    (v4(192, 31, 196, 0, 24), Closed::Special, "reserved"),
    (v4(192, 52, 193, 0, 24), Closed::Special, "reserved"),
    (v4(192, 88, 99, 0, 24), Closed::Special, "a relay of 6to4"),
    (v4(192, 168, 0, 0, 16), Closed::Private, "a private network"),
    (v4(192, 175, 48, 0, 24), Closed::Special, "reserved"),
    (v4(198, 18, 0, 0, 15), Closed::Private, "a network for benchmarks"),
    (v4(198, 51, 100, 0, 24), Closed::Special, "documentation"),
    (v4(203, 0, 113, 0, 24), Closed::Special, "documentation"),
    (v4(224, 0, 0, 0, 4), Closed::Special, "multicast"),
    (v4(240, 0, 0, 0, 4), Closed::Special, "reserved"),
    (v6([0x2001, 0, 0, 0], 23), Closed::Special, "reserved"),
    (v6([0x2001, 0x0db8, 0, 0], 32), Closed::Special, "documentation"),
    (v6([0x2002, 0, 0, 0], 16), Closed::Special, "an IPv4 address within 6to4"),
    (v6([0x2620, 0x004f, 0x8000, 0], 48), Closed::Special, "reserved"),
    (v6([0x3fff, 0, 0, 0], 20), Closed::Special, "documentation"),
];

/// The only part of IPv6 that is everybody's.
const GLOBAL: Net = v6([0x2000, 0, 0, 0], 3);

/// What of the rest of IPv6 is a network of one's own.
const OWN: &[(Net, Closed, &str)] = &[
    (Net { first: IpAddr::V6(Ipv6Addr::LOCALHOST), prefix: 128 }, Closed::Private, "this machine"),
    (
        Net { first: IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)), prefix: 128 },
        Closed::Special,
        "a cloud's metadata",
    ),
    (
        Net { first: IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)), prefix: 128 },
        Closed::Special,
        "a cloud's metadata",
    ),
    (v6([0xfc00, 0, 0, 0], 7), Closed::Private, "a private network"),
];

/// How closed an address is, and what it is; `None` for one that is everybody's.
pub(super) fn closed(address: IpAddr) -> Option<(Closed, &'static str)> {
    let named = |table: &'static [(Net, Closed, &'static str)]| {
        table.iter().find(|(net, _, _)| net.holds(address)).map(|(_, closed, what)| (*closed, *what))
    };
    if address.is_ipv6() && !GLOBAL.holds(address) {
        // Mapped, compatible, translated (64:ff9b), link-local, site-local, multicast, and all that is not given out.
        return Some(named(OWN).unwrap_or((Closed::Special, "not a public address")));
    }
    named(CLOSED)
}

impl Net {
    /// Whether `address` lies in it.
    pub fn holds(&self, address: IpAddr) -> bool {
        match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                first.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                first.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Net {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (first, prefix) = text.split_once('/').map_or((text, None), |(first, prefix)| (first, Some(prefix)));
        let first: IpAddr = first.trim_start_matches('[').trim_end_matches(']').parse().map_err(drop)?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(most), str::parse).map_err(drop)?;
        if prefix > most { Err(()) } else { Ok(Self { first, prefix }) }
    }
}
