//! Leases: exclusive, temporary rights to do what must not be done twice.

use std::time::Duration;

use tokio::time::Instant;

use super::IdentityKey;

/// The subject of a lease.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LeaseName {
    /// Work on one identity's tokens.
    Identity(IdentityKey),
    /// Work on the value shared under this name, see [`super::Store::put_shared`].
    Shared(String),
}

/// A lease that was taken. It is not released on drop, but then expires.
#[derive(Clone, Debug)]
pub struct Lease {
    pub(super) name: LeaseName,
    /// The holder's name and a random part, so that no two leases are confused.
    pub(super) holder: String,
    pub(super) length: Duration,
    /// Measured from before the request was sent, so that a slow answer does not extend it.
    pub(super) expires: Instant,
    pub(super) inherited: bool,
}

/// The result of taking a lease.
#[derive(Debug)]
pub enum Acquired {
    /// The lease was taken: do the work, renew the lease meanwhile, and release it.
    Yes(Lease),
    /// Somebody else has the lease.
    Held {
        /// The holder's name; empty if it was released just now.
        by: String,
        /// How long it lasts unless renewed.
        remaining: Duration,
    },
}

impl Lease {
    pub(super) fn new(name: &LeaseName, holder: &str, length: Duration) -> Self {
        let expires = Instant::now() + length;
        Self {
            name: name.clone(),
            holder: format!("{holder}#{}", nonce()),
            length,
            expires,
            inherited: false,
        }
    }

    /// Returns whether a former holder did not release it and may still be at work: the lease expired because
    /// that holder died, or could not reach the store either.
    pub fn is_inherited(&self) -> bool {
        self.inherited
    }

    /// The time until which the lease is certain to last.
    pub fn expires(&self) -> Instant {
        self.expires
    }
}

impl Acquired {
    /// `holder` is the stored text, including its random part.
    pub(super) fn held(holder: &str, remaining: Duration) -> Self {
        let by = holder.rsplit_once('#').map_or(holder, |(by, _)| by).to_owned();
        Self::Held { by, remaining }
    }
}

/// 16 hexadecimal digits.
fn nonce() -> String {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has random bytes");
    format!("{:016x}", u64::from_ne_bytes(bytes))
}
