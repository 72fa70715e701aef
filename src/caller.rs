//! The caller, as far as it is authenticated, and the peer of its connection.

use std::{net::SocketAddr, sync::Arc};

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

/// A subject alternative name (RFC 5280, section 4.2.1.6) in a client's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum San {
    /// For example `spiffe://acme/ns/prod/sa/calendar`.
    Uri(String),
    /// For example `calendar.prod.acme.example`.
    Dns(String),
}
