//! The caller, as far as it is authenticated, and the peer of its connection.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
};

use secrecy::SecretString;

use crate::identity::UserId;

/// A caller, as far as it is authenticated.
#[derive(Clone, Debug)]
pub enum Caller {
    /// Anybody who reaches the port, if the configuration does not require authentication.
    Anonymous,
    /// A service of ours.
    Service {
        /// A SAN of its certificate, or the subject of its JWT. DNS names are in lower case: ids are compared
        /// byte by byte.
        id: String,
    },
    /// A user of the tenant, who may act for nobody else.
    EndUser {
        /// The subject of the access token.
        subject: UserId,
        /// That access token, which Token Vault accepts as the user's authority.
        access_token: Arc<SecretString>,
    },
}

impl Caller {
    /// Returns the id that tells this caller from others.
    pub fn id(&self) -> CallerId {
        match self {
            Self::Anonymous => CallerId::Anonymous,
            Self::Service { id } => CallerId::Service(id.clone()),
            Self::EndUser { subject, .. } => CallerId::EndUser(subject.clone()),
        }
    }

    /// Returns the access token of an end user; `None` for all others.
    pub fn access_token(&self) -> Option<&SecretString> {
        match self {
            Self::EndUser { access_token, .. } => Some(access_token),
            Self::Anonymous | Self::Service { .. } => None,
        }
    }
}

/// A caller's id, without its secrets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CallerId {
    /// Any caller; they are not told apart.
    Anonymous,
    /// A service, by its id.
    Service(String),
    /// An end user, by the Auth0 user id.
    EndUser(UserId),
}

/// How a caller was authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Not at all: authentication is not required.
    None,
    /// By the certificate of its connection.
    Certificate,
    /// By a trusted peer's word about its certificate.
    Forwarded,
    /// By a token.
    Token {
        /// The token's issuer.
        issuer: Arc<str>,
    },
}

/// The peer of a connection. Every request has one among its extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Where the connection comes from: the client itself, or a proxy before it.
    pub address: SocketAddr,
    /// The names in the certificate that the client has proved to own, URIs first. Empty if it needed no
    /// certificate.
    pub sans: Vec<San>,
}

impl Peer {
    /// What shares the limits that hold for one address: see [`site`].
    pub fn site(&self) -> IpAddr {
        site(self.address.ip())
    }
}

/// An IPv4 address itself, or the first 64 bits of an IPv6 address: a site is given so many at least (RFC
/// 6177), and has as many addresses below them as it likes.
pub fn site(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address => address,
    }
}

/// What a connection has shown of itself. Every request has that of its connection among its extensions.
#[derive(Debug, Default)]
pub struct Standing {
    is_proven: AtomicBool,
    calls: AtomicU32,
    last_active: AtomicU64,
}

impl Standing {
    /// That of a connection which was opened at `now`, by a clock of the owner's choice.
    pub fn at(now: u64) -> Self {
        Self { last_active: AtomicU64::new(now), ..Self::default() }
    }

    /// Notes that one of its calls came from a caller who proved who they are.
    pub fn proves(&self) {
        self.is_proven.store(true, Ordering::Relaxed);
    }

    /// Whether one of its calls did.
    pub fn is_proven(&self) -> bool {
        self.is_proven.load(Ordering::Relaxed)
    }

    /// Notes that a request begins, at `now`.
    pub fn begins(&self, now: u64) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.last_active.store(now, Ordering::Relaxed);
    }

    /// Notes that a request was answered.
    pub fn ends(&self) {
        self.calls.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether a request is under way.
    pub fn is_busy(&self) -> bool {
        self.calls.load(Ordering::Relaxed) > 0
    }

    /// When the last request began, or else when the connection was opened.
    pub fn last_active(&self) -> u64 {
        self.last_active.load(Ordering::Relaxed)
    }
}

/// A subject alternative name (RFC 5280, section 4.2.1.6) in a client's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum San {
    /// For example `spiffe://acme/ns/prod/sa/calendar`.
    Uri(String),
    /// For example `calendar.prod.acme.example`.
    Dns(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_site_is_one_address_and_a_mapped_ipv4_address_is_itself() {
        let site = |text: &str| site(text.parse().expect("an address"));
        assert_eq!(site("2001:db8:1:2:3:4:5:6"), site("2001:db8:1:2:ffff::1"));
        assert_ne!(site("2001:db8:1:2::1"), site("2001:db8:1:3::1"));
        assert_eq!(site("::ffff:10.0.0.1"), site("10.0.0.1"));
        assert_ne!(site("::ffff:10.0.0.1"), site("::ffff:10.0.0.2"));
    }
}
