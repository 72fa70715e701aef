//! What can go wrong with the sandbox itself; what the played systems answer is not an error here.

use std::io;
use std::net::SocketAddr;

/// Why the sandbox could not start, or why a change of its state was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The seed file does not parse, or cannot work; the message names line or key.
    #[error("the seed is not valid: {0}")]
    Seed(String),
    /// A signing key could not be made.
    #[error("cannot make a signing key: {0}")]
    Key(String),
    /// The user id is not in the tenant.
    #[error("no user {0:?} in the tenant")]
    NoSuchUser(String),
    /// The user has no identity of that connection.
    #[error("user {user:?} has no identity of connection {connection:?}")]
    NoSuchIdentity {
        /// The user asked for.
        user: String,
        /// The connection asked for.
        connection: String,
    },
    /// A user was to be linked to itself.
    #[error("user {0:?} cannot be linked to itself")]
    LinkedToItself(String),
    /// The connection leads to no provider that the sandbox plays, so that it has no tokens to change.
    #[error("the sandbox plays no provider behind connection {0:?}")]
    NotPlayed(String),
    /// The identity holds no access token.
    #[error("the identity of connection {0:?} holds no access token")]
    NoToken(String),
    /// The client id is not in the tenant.
    #[error("no client {0:?} in the tenant")]
    NoSuchClient(String),
}
