//! The proxies whose `x-forwarded-client-cert` is believed.

use std::net::IpAddr;

use super::{
    network::is_host_name,
    section::Section,
    value::{Setting, must_be},
};
use crate::caller::{Peer, San};

/// A proxy, identified by its certificate or by its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustedPeer {
    /// A name in its certificate, compared exactly; DNS names case-insensitively.
    San(San),
    /// A range that contains its address.
    Range(AddressRange),
}

impl TrustedPeer {
    /// Returns whether this identifies `peer`.
    pub fn is(&self, peer: &Peer) -> bool {
        match self {
            Self::Range(range) => range.contains(peer.address.ip()),
            Self::San(San::Uri(uri)) => {
                peer.sans.iter().any(|san| matches!(san, San::Uri(own) if own == uri))
            }
            Self::San(San::Dns(name)) => {
                peer.sans.iter().any(|san| matches!(san, San::Dns(own) if own.eq_ignore_ascii_case(name)))
            }
        }
    }
}

/// A range of addresses with a common prefix: `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    network: IpAddr,
    /// Length of the prefix in bits: 1 to 32, or to 128 for IPv6.
    prefix: u32,
}

impl AddressRange {
    /// Returns whether `address` is in the range. IPv4-mapped IPv6 addresses count as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.network.is_ipv4() && host_bits(address, self.prefix).0 == self.network
    }

    fn parse(text: &str) -> Result<Self, String> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let network: IpAddr = address.parse().map_err(|_| must_be::<TrustedPeer>())?;
        if network != network.to_canonical() {
            return Err("must be written as an IPv4 address, without `::ffff:`".to_owned());
        }
        let most = if network.is_ipv4() { 32 } else { 128 };
        let digits =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?;
        let prefix = prefix.map_or(Some(most), digits).ok_or_else(must_be::<TrustedPeer>)?;
        if !(1..=most).contains(&prefix) {
            return Err(format!(
                "must be an address range of 1 to {most} bits; whoever is in it may call as anybody, so name the proxies alone"
            ));
        }
        match host_bits(network, prefix) {
            (_, false) => Ok(Self { network, prefix }),
            (_, true) => Err("must be the first address of its range, such as `10.0.0.0/8`".to_owned()),
        }
    }
}

/// Returns the first address of the range of `address`, and whether `address` is another one.
fn host_bits(address: IpAddr, prefix: u32) -> (IpAddr, bool) {
    let first: IpAddr = match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            std::net::Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
            std::net::Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    };
    (first, first != address)
}

/// Reads all trusted peers; none after a reported mistake.
pub(super) fn read(root: &mut Section<'_, '_>) -> Vec<TrustedPeer> {
    root.several("trusted_peers", "none", |peer: TrustedPeer| peer).unwrap_or_default()
}

impl Setting for TrustedPeer {
    const EXPECTED: &'static str = "URIs or DNS names of certificates, or address ranges, such as `spiffe://acme/envoy` or `10.1.0.0/16`";

    fn parse(text: &str) -> Result<Self, String> {
        if text.contains("://") {
            let is_uri = text.len() <= 2048 && text.bytes().all(|byte| byte.is_ascii_graphic());
            let has_scheme = text.starts_with(|c: char| c.is_ascii_alphabetic());
            let uri = || Self::San(San::Uri(text.to_owned()));
            return (is_uri && has_scheme && !text.contains('*')).then(uri).ok_or_else(must_be::<Self>);
        }
        if is_host_name(text) {
            return Ok(Self::San(San::Dns(text.to_owned())));
        }
        AddressRange::parse(text).map(Self::Range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str, sans: &[San]) -> Peer {
        let address = format!("{address}:1").parse().expect("an address");
        Peer { address, sans: sans.to_vec() }
    }

    #[test]
    fn a_range_holds_what_begins_with_its_bits() {
        for (range, address, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "[::ffff:10.1.2.3]", true),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("128.0.0.0/1", "200.0.0.1", true),
            ("::1", "[::1]", true),
            ("fd00::/8", "[fd12:3456::1]", true),
            ("fd00::/8", "[fe80::1]", false),
            ("fd00::/8", "10.1.2.3", false),
        ] {
            let range = TrustedPeer::parse(range).expect("a range");
            assert_eq!(range.is(&peer(address, &[])), expected, "{range:?} {address}");
        }
    }

    #[test]
    fn a_name_is_compared_whole() {
        let (uri, dns) = (|uri: &str| San::Uri(uri.to_owned()), |name: &str| San::Dns(name.to_owned()));
        for (trusted, sans, expected) in [
            ("spiffe://acme/envoy", vec![uri("spiffe://acme/envoy")], true),
            ("spiffe://acme/envoy", vec![uri("spiffe://acme/envoy2")], false),
            ("spiffe://acme/envoy", vec![uri("spiffe://acme/Envoy")], false),
            ("spiffe://acme/envoy", vec![dns("spiffe://acme/envoy")], false),
            ("envoy.acme.example", vec![uri("a"), dns("Envoy.acme.example")], true),
            ("envoy.acme.example", vec![uri("envoy.acme.example")], false),
            ("envoy.acme.example", vec![], false),
        ] {
            let trusted = TrustedPeer::parse(trusted).expect("a name");
            assert_eq!(trusted.is(&peer("127.0.0.1", &sans)), expected, "{trusted:?} {sans:?}");
        }
    }
}
