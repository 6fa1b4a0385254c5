//! Which network addresses may be requested.
//!
//! A stranger's list of URLs, or a redirect, must not make this machine send requests to its own
//! services or its neighbours. So addresses are checked, not names, after every resolution: a name
//! that resolves differently a moment later is checked again.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// IPv4 networks outside the public internet: first address, length of the prefix. From IANA's
/// registry of special-purpose addresses, with multicast and the reserved rest.
const SPECIAL_IPV4: &[([u8; 4], u32)] = &[
    ([0, 0, 0, 0], 8),       // this network
    ([10, 0, 0, 0], 8),      // private
    ([100, 64, 0, 0], 10),   // behind a provider's NAT
    ([127, 0, 0, 0], 8),     // loopback
    ([169, 254, 0, 0], 16),  // link-local; cloud machines find their credentials here
    ([172, 16, 0, 0], 12),   // private
    ([192, 0, 0, 0], 24),    // protocol assignments
    ([192, 0, 2, 0], 24),    // documentation
    ([192, 88, 99, 0], 24),  // 6to4 relays, given up
    ([192, 168, 0, 0], 16),  // private
    ([198, 18, 0, 0], 15),   // benchmarks
    ([198, 51, 100, 0], 24), // documentation
    ([203, 0, 113, 0], 24),  // documentation
    ([224, 0, 0, 0], 4),     // multicast
    ([240, 0, 0, 0], 4),     // reserved, and broadcast
];

/// Networks within IPv6's global unicast, 2000::/3, that are outside the public internet.
const SPECIAL_IPV6: &[([u16; 2], u32)] = &[
    ([0x2001, 0x0000], 23), // protocol assignments, Teredo among them
    ([0x2001, 0x0db8], 32), // documentation
    ([0x3fff, 0x0000], 20), // documentation
];

/// Whether an address is on the public internet.
///
/// IPv6 forms of an IPv4 address (mapped, NAT64, 6to4) are checked as that IPv4 address.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_ipv4(address),
        IpAddr::V6(address) => match embedded_ipv4(address) {
            Some(embedded) => is_public_ipv4(embedded),
            None => is_public_ipv6(address),
        },
    }
}

fn is_public_ipv4(address: Ipv4Addr) -> bool {
    let bits = u32::from(address);
    let is_in = |&(network, length): &([u8; 4], u32)| {
        (bits ^ u32::from(Ipv4Addr::from(network))) >> (32 - length) == 0
    };
    !SPECIAL_IPV4.iter().any(is_in)
}

fn is_public_ipv6(address: Ipv6Addr) -> bool {
    let bits = first_bits(address.segments()[0], address.segments()[1]);
    let is_in =
        |&([a, b], length): &([u16; 2], u32)| (bits ^ first_bits(a, b)) >> (32 - length) == 0;
    bits >> 29 == 0b001 && !SPECIAL_IPV6.iter().any(is_in)
}

fn first_bits(first: u16, second: u16) -> u32 {
    u32::from(first) << 16 | u32::from(second)
}

/// The IPv4 address inside `::ffff:0:0/96`, `64:ff9b::/96` or `2002::/16`.
fn embedded_ipv4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let ipv4 = |high: u16, low: u16| Ipv4Addr::from(first_bits(high, low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(ipv4(high, low))
        }
        [0x2002, high, low, ..] => Some(ipv4(high, low)),
        _ => None,
    }
}

/// The error of [`AddressRule`] for a name with only private addresses.
#[derive(Debug)]
pub(super) struct PrivateAddress {
    address: IpAddr,
}

impl fmt::Display for PrivateAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the host's address, {}, is not on the public internet",
            self.address
        )
    }
}

impl std::error::Error for PrivateAddress {}

/// The error of [`AddressRule`] for a redirect to a URL with a user name or a password, which the
/// client would send. Such URLs in a list are refused when it is read.
#[derive(Debug)]
pub(super) struct HasCredentials;

impl fmt::Display for HasCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("redirected to a URL with a user name or a password; these are not sent")
    }
}

impl std::error::Error for HasCredentials {}

/// Resolves names, and returns only allowed addresses.
///
/// The client calls it before every connection, including those after redirects, and only connects
/// to the addresses that it returns.
#[derive(Debug)]
pub(super) struct AddressRule {
    is_allowed: fn(IpAddr) -> bool,
    system: DefaultResolver,
}

impl AddressRule {
    pub(super) fn new(is_allowed: fn(IpAddr) -> bool) -> Self {
        Self {
            is_allowed,
            system: DefaultResolver::default(),
        }
    }
}

impl Resolver for AddressRule {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if authority.contains('@') {
            return Err(ureq::Error::Other(Box::new(HasCredentials)));
        }
        let resolved = match self.system.resolve(uri, config, timeout) {
            // Only here is it known that the name failed, not a connection.
            Err(ureq::Error::Io(_)) => return Err(ureq::Error::HostNotFound),
            resolved => resolved?,
        };
        let mut allowed = self.empty();
        for address in &resolved {
            if (self.is_allowed)(address.ip()) {
                allowed.push(*address);
            }
        }
        match resolved.first() {
            Some(first) if allowed.is_empty() => {
                let address = first.ip();
                Err(ureq::Error::Other(Box::new(PrivateAddress { address })))
            }
            _ => Ok(allowed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(address: &str) -> bool {
        is_public(address.parse().unwrap())
    }

    #[test]
    fn addresses_of_the_public_internet_are_let_through() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450:4001::200e",
            "2001:4860:4860::8888",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
        ] {
            assert!(public(address), "{address}");
        }
    }

    #[test]
    fn all_others_are_refused_in_every_spelling() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::8.8.8.8",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b::192.168.1.1",
            "64:ff9b:1::808:808",
            "2002:7f00:1::",
            "2002:c0a8:101::1",
            "100::1",
            "2001::1",
            "2001:10::1",
            "2001:db8::1",
            "3fff::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!public(address), "{address}");
        }
    }

    #[test]
    fn names_and_numbers_that_lead_to_this_machine_are_refused() {
        let resolve = |host: &str, is_allowed| {
            let uri: Uri = format!("http://{host}/x.jpg").parse().unwrap();
            let rule = AddressRule::new(is_allowed);
            rule.resolve(&uri, &Config::default(), NextTimeout::default())
        };
        for host in ["localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"] {
            let refused = resolve(host, is_public).unwrap_err();
            assert!(
                matches!(&refused, ureq::Error::Other(error) if error.is::<PrivateAddress>()),
                "{host}: {refused}"
            );
            assert!(resolve(host, |_| true).is_ok(), "{host}");
        }
        // Other spellings of 127.0.0.1: a whole number, octal, hexadecimal, cut short. Some systems
        // read them and some do not; none may come through.
        for host in ["2130706433", "0177.0.0.1", "0x7f.1", "127.1"] {
            assert!(resolve(host, is_public).is_err(), "{host}");
        }
        assert_eq!(
            resolve("8.8.8.8", is_public).unwrap()[0].ip().to_string(),
            "8.8.8.8"
        );
    }
}
