//! Who is at the other end of a connection, as far as the connection tells.

use std::net::SocketAddr;

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
