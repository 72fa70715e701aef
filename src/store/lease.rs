//! The right to do alone, for a short time, what must not be done twice.

use std::time::Duration;

use tokio::time::Instant;

use super::IdentityKey;

/// What a lease is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LeaseName {
    /// Work on one identity's tokens.
    Identity(IdentityKey),
    /// Work on what is shared under this name, see [`super::Store::put_shared`].
    Shared(String),
}

/// A lease that was taken. It is not released on drop: then it runs out.
#[derive(Clone, Debug)]
pub struct Lease {
    pub(super) name: LeaseName,
    /// The holder's name and a random part: no two leases are taken for each other.
    pub(super) holder: String,
    pub(super) length: Duration,
    /// Counted from before the request was sent, so that a slow answer is not taken for time that is left.
    pub(super) expires: Instant,
    pub(super) inherited: bool,
}

/// Whether a lease was taken.
#[derive(Debug)]
pub enum Acquired {
    /// Yes: do the work, renew the lease meanwhile, and release it.
    Yes(Lease),
    /// No, somebody has it.
    Held {
        /// The holder's name; empty if it was given back just now.
        by: String,
        /// How long it lasts unless it is renewed.
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

    /// Whether somebody had it who has not given it back, and who may still be at work: it ran out because that one
    /// died, or because it could not reach the store either.
    pub fn is_inherited(&self) -> bool {
        self.inherited
    }

    /// Until when the lease is certain to last.
    pub fn expires(&self) -> Instant {
        self.expires
    }
}

impl Acquired {
    /// `holder` is the stored text, with its random part.
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
