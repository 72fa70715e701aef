//! The values of the metrics' labels.

/// Why a connection was closed before its client wanted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionRefusal {
    /// The maximum number of connections is reached, and all of them are at work.
    Full,
    /// Its address has as many connections as one may have.
    Address,
    /// It was the longest idle when others needed its place.
    Idle,
    /// It had not sent a preface yet, and too many newer connections arrived.
    Crowded,
    /// It did not send a preface in time.
    Silent,
    /// Its TLS handshake failed: no TLS, no certificate, or an untrusted one.
    Handshake,
}

impl ConnectionRefusal {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Address => "address",
            Self::Idle => "idle",
            Self::Crowded => "crowded",
            Self::Silent => "silent",
            Self::Handshake => "handshake",
        }
    }
}

/// Why a request is not a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpRejection {
    /// Its content type is not one of gRPC, gRPC-Web or Connect.
    MediaType,
    /// Its method is not POST.
    Method,
    /// It uses Connect for a path that is not an RPC of the contract.
    NotFound,
    /// Callers prove nothing, and it was sent to a name rather than to an address.
    Host,
    /// Callers prove nothing, and it comes from a page of another origin.
    Origin,
}

impl HttpRejection {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::MediaType => "media_type",
            Self::Method => "method",
            Self::NotFound => "not_found",
            Self::Host => "host",
            Self::Origin => "origin",
        }
    }
}

/// An endpoint of Auth0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `POST /oauth/token`.
    Token,
    /// `POST /oauth/token` for a token from Token Vault.
    TokenVault,
    /// `GET /api/v2/users/{id}`.
    Users,
}

impl Endpoint {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::TokenVault => "token_vault",
            Self::Users => "users",
        }
    }
}

/// Where a profile came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileSource {
    /// From the cache, and fresh.
    Cache,
    /// Read from Auth0, perhaps for another caller.
    Auth0,
    /// From the cache after it expired, since Auth0 did not answer.
    Stale,
}

impl ProfileSource {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cache => "cache",
            Self::Auth0 => "auth0",
            Self::Stale => "stale",
        }
    }
}
