//! What the labels of the metrics say.

/// Why a connection was closed before its first call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There are as many connections as there may be.
    Full,
    /// It had not said yet what it speaks, and too many newer ones came.
    Crowded,
    /// It did not say in time what it speaks.
    Silent,
    /// Its TLS handshake failed: no certificate, or not one of ours, or no TLS.
    Handshake,
}

impl Refusal {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Crowded => "crowded",
            Self::Silent => "silent",
            Self::Handshake => "handshake",
        }
    }
}

/// Why a call ended whose peer did not send or take its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slow {
    /// Its answer was not taken by its deadline.
    Late,
    /// It had waited longest, and too much was waiting.
    Crowded,
}

impl Slow {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Crowded => "crowded",
        }
    }
}

/// Why a request was no call at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoCall {
    /// Its content type is none of gRPC, gRPC-Web and Connect.
    MediaType,
    /// It is no POST.
    Method,
    /// It speaks Connect, but not to an RPC of the contract.
    NotFound,
    /// Callers prove nothing, and it came by a name rather than by an address.
    Host,
    /// Callers prove nothing, and it comes from a page of another origin.
    Origin,
}

impl NoCall {
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

/// An endpoint of Auth0 that is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `POST /oauth/token`.
    Token,
    /// `POST /oauth/token` for a token out of Token Vault.
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
    /// Kept, and fresh.
    Cache,
    /// Read from Auth0, perhaps by another caller.
    Auth0,
    /// Kept beyond its time, since Auth0 gave no answer.
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
