//! Which addresses may be dialled on a client's word: global ones, and what the configuration opens.
//!
//! Owns the tables of refused networks and nothing else: no name is resolved and no socket opened here. The
//! tables follow the IANA special-purpose registries. `IpAddr::is_global` would be shorter, but is not stable
//! and lets through what reaches a private IPv4 address inside an IPv6 one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), prefix)
}

/// IPv4 networks that are not the public internet, or are where clouds keep their secrets.
const REFUSED_V4: [Ipv4Net; 19] = [
    v4(0, 0, 0, 0, 8),        // this host; Linux connects 0.0.0.0 to itself
    v4(10, 0, 0, 0, 8),       // private
    v4(100, 64, 0, 0, 10),    // carrier-grade NAT; metadata service of one cloud
    v4(127, 0, 0, 0, 8),      // loopback
    v4(168, 63, 129, 16, 32), // metadata service behind an address that looks public
    v4(169, 254, 0, 0, 16),   // link-local; metadata service of most clouds
    v4(172, 16, 0, 0, 12),    // private
    v4(192, 0, 0, 0, 24),     // protocol assignments
    v4(192, 0, 2, 0, 24),     // documentation
    v4(192, 31, 196, 0, 24),  // AS112
    v4(192, 52, 193, 0, 24),  // AMT
    v4(192, 88, 99, 0, 24),   // 6to4 relays
    v4(192, 168, 0, 0, 16),   // private
    v4(192, 175, 48, 0, 24),  // AS112
    v4(198, 18, 0, 0, 15),    // benchmarking
    v4(198, 51, 100, 0, 24),  // documentation
    v4(203, 0, 113, 0, 24),   // documentation
    v4(224, 0, 0, 0, 4),      // multicast
    v4(240, 0, 0, 0, 4),      // reserved, broadcast
];

/// The part of IPv6 that is handed out. All else is refused: loopback, mapped and compatible IPv4, NAT64,
/// discard, segment routing, unique local, link- and site-local, multicast.
const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 3);

/// What is special inside [`GLOBAL_V6`].
const REFUSED_V6: [Ipv6Net; 4] = [
    v6(0x2001, 0, 23),     // protocol assignments: Teredo, benchmarking, ORCHID
    v6(0x2001, 0xdb8, 32), // documentation
    v6(0x2002, 0, 16),     // 6to4, which carries an IPv4 address
    v6(0x3fff, 0, 20),     // documentation
];

/// The addresses that may be dialled.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    opened: Vec<IpNet>,
}

impl Addresses {
    /// Global addresses and those of the networks named.
    pub fn new(opened: &[IpNet]) -> Self {
        Self { opened: opened.to_vec() }
    }

    /// Whether the configuration names a network with this address.
    pub fn opens(&self, address: IpAddr) -> bool {
        self.opened.iter().any(|network| network.contains(&address))
    }

    /// Whether the address may be dialled.
    pub fn permits(&self, address: IpAddr) -> bool {
        self.opens(address) || is_global(address)
    }
}

fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !REFUSED_V4.iter().any(|network| network.contains(&address)),
        IpAddr::V6(address) => {
            GLOBAL_V6.contains(&address) && !REFUSED_V6.iter().any(|network| network.contains(&address))
        }
    }
}

#[cfg(test)]
mod tests;
