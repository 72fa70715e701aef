//! Why a caller could not be authenticated.

/// The caller could not be authenticated.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AuthenticationError {
    /// There is neither a certificate nor a token.
    #[error(
        "the caller did not prove who it is: send a bearer token in `authorization`, or use a client certificate, as \
         this service is configured"
    )]
    Missing,
    /// The caller's credential was rejected.
    #[error("the caller's credential was rejected: {0}")]
    Rejected(#[from] CredentialRejection),
    /// The issuer's keys, without which the token cannot be judged, are unavailable. The caller may be right.
    #[error("the keys of {issuer}, which issued the caller's token, cannot be fetched now")]
    KeysUnavailable {
        /// The issuer, as configured.
        issuer: String,
        /// Whether the issuer is the tenant.
        is_tenant: bool,
        /// What happened, for the log.
        cause: String,
    },
}

/// Why a credential is rejected. Callers and the log learn no more than this, which never quotes the
/// credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialRejection {
    /// `authorization` occurs twice, or holds no bearer token.
    #[error("`authorization` must be one bearer token")]
    Authorization,
    /// The token is too long, or not a JWT in compact form with the required claims.
    #[error("the token is malformed")]
    Malformed,
    /// The token is unsigned, or its key does not accept the signature's algorithm.
    #[error("the token's algorithm is not accepted")]
    Algorithm,
    /// The token is an ID token, a logout token, or of another kind that is not for calls.
    #[error("the token is not an access token")]
    Kind,
    /// The token's issuer is not trusted.
    #[error("the token's issuer is not accepted")]
    Issuer,
    /// The token is for another audience.
    #[error("the token is for another audience")]
    Audience,
    /// The token's issuer has no such key, or has several and the token does not name one.
    #[error("the token's key is unknown")]
    Key,
    /// The signature was not made with that key.
    #[error("the token's signature is wrong")]
    Signature,
    /// The token has expired.
    #[error("the token has expired")]
    Expired,
    /// The token is not valid yet.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// The token is a program's where a user's is expected, or the other way round.
    #[error("the token is a program's where a user's is expected, or a user's where a program's is")]
    Subject,
    /// A trusted proxy sent an ambiguous or malformed `x-forwarded-client-cert`.
    #[error("`x-forwarded-client-cert` is malformed")]
    Forwarded,
    /// The certificate has several URIs, or no name that identifies a caller.
    #[error("the client certificate does not name one caller")]
    Certificate,
}
