//! Who calls, as far as that is proven, and who is at the other end of the connection.

use std::{net::SocketAddr, sync::Arc};

use secrecy::SecretString;

use crate::identity::UserId;

/// Who calls, as far as that is proven.
#[derive(Clone, Debug)]
pub enum Caller {
    /// Whoever reaches the port, where the configuration asks nobody who they are.
    Anonymous,
    /// A service of ours.
    Service {
        /// A SAN of its certificate, or the subject of its JWT. DNS names in lower case: ids are compared byte for byte.
        id: String,
    },
    /// A user of the tenant, who may act for no other.
    EndUser {
        /// The subject of the access token.
        subject: UserId,
        /// That access token, which Token Vault takes as their word.
        access_token: Arc<SecretString>,
    },
}

impl Caller {
    /// What tells this caller from others.
    pub fn id(&self) -> CallerId {
        match self {
            Self::Anonymous => CallerId::Anonymous,
            Self::Service { id } => CallerId::Service(id.clone()),
            Self::EndUser { subject, .. } => CallerId::EndUser(subject.clone()),
        }
    }

    /// The access token of an end user; `None` for all others.
    pub fn access_token(&self) -> Option<&SecretString> {
        match self {
            Self::EndUser { access_token, .. } => Some(access_token),
            Self::Anonymous | Self::Service { .. } => None,
        }
    }
}

/// A caller's name, without its secrets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CallerId {
    /// Nobody is told apart.
    Anonymous,
    /// A service, by its id.
    Service(String),
    /// An end user, by the Auth0 user id.
    EndUser(UserId),
}

/// How a caller proved who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Not at all: nobody asked.
    None,
    /// By the certificate of its connection.
    Certificate,
    /// By the word of a trusted peer about its certificate.
    Forwarded,
    /// By a token.
    Token {
        /// Whose.
        issuer: Arc<str>,
    },
}

/// The other end of a connection. Every request has one among its extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Where the connection comes from: the client itself, or whatever stands before it.
    pub address: SocketAddr,
    /// The names in the certificate that the client has proved to own, URIs first. None where it needed no certificate.
    pub sans: Vec<San>,
}

/// A subject alternative name (RFC 5280, section 4.2.1.6) of a client's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum San {
    /// `spiffe://acme/ns/prod/sa/calendar`
    Uri(String),
    /// `calendar.prod.acme.example`
    Dns(String),
}
