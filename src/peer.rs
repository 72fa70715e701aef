//! Who is at the other end of a connection, as the connection itself tells.

use std::net::SocketAddr;

/// A name in a certificate's Subject Alternative Names (RFC 5280, section 4.2.1.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum San {
    /// A URI, such as a SPIFFE ID: `spiffe://acme/ns/prod/sa/calendar`.
    Uri(String),
    /// A DNS name.
    Dns(String),
}

/// The other end of the connection that a request came over. The server puts it into the request's extensions.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where the connection comes from.
    pub address: SocketAddr,
    /// The names in the certificate that it proved to have; none over plain text.
    pub sans: Vec<San>,
}
