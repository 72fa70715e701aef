//! Why it is not known who calls.

/// Nobody is known to call.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AuthenticationError {
    /// There is no certificate and no token to judge.
    #[error(
        "the caller did not prove who it is: send a bearer token in `authorization`, or use a client certificate, as \
         this service is configured"
    )]
    Missing,
    /// What the caller showed is not believed.
    #[error("the caller's proof of who it is was refused: {0}")]
    Refused(#[from] Refusal),
    /// The caller may well be in the right, but the issuer does not give the keys to tell.
    #[error("the keys of {issuer}, which issued the caller's token, cannot be fetched now")]
    KeysUnavailable {
        /// The issuer, as it is configured.
        issuer: String,
        /// Whether that is the tenant.
        is_tenant: bool,
        /// What happened; for the log.
        cause: String,
    },
}

/// Why a proof is refused. All that a caller learns, and all that the log does: neither quotes the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `authorization` stands there twice, or holds no bearer token.
    #[error("`authorization` must be one bearer token")]
    Authorization,
    /// It is not a JWT in compact form with the claims that it must have, or it is too long.
    #[error("the token is malformed")]
    Malformed,
    /// It is signed in a way that is not accepted from its key, or not at all.
    #[error("the token's algorithm is not accepted")]
    Algorithm,
    /// It is an ID token, a logout token, or another kind that is not for calls.
    #[error("the token is of another kind than an access token")]
    Kind,
    /// Nobody here trusts its issuer.
    #[error("the token's issuer is not accepted")]
    Issuer,
    /// It is for somebody else.
    #[error("the token is for another audience")]
    Audience,
    /// Its issuer has no such key, or has several and the token does not say which.
    #[error("the token's key is unknown")]
    Key,
    /// The signature is not of that key.
    #[error("the token's signature is wrong")]
    Signature,
    /// It has expired.
    #[error("the token has expired")]
    Expired,
    /// It is not valid yet.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// It is a program's where a user's is wanted, or the other way round.
    #[error("the token is of a program where a user's is wanted, or of a user where a program's is")]
    Subject,
    /// A trusted proxy sent an `x-forwarded-client-cert` that cannot be read without doubt.
    #[error("`x-forwarded-client-cert` is malformed")]
    Forwarded,
    /// The certificate has several URIs, or nothing that names a caller.
    #[error("the client certificate does not name one caller")]
    Certificate,
}
