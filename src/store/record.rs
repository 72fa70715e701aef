//! What is remembered of one identity.

use std::time::SystemTime;

use super::format;
use crate::token::{AccessToken, Fingerprint, RefreshToken, TokenType};

/// What a renewal obtained, and what has to be remembered besides.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The last tokens that were obtained here; `None` while no renewal has succeeded.
    pub tokens: Option<RenewedTokens>,
    /// A refresh token of an earlier login that was never refused: Google sends one at the first consent only, so the
    /// next login's profile may show none.
    pub spare: Option<RefreshToken>,
    /// The access token that Auth0's profile showed when this record began. Once it shows another one, the user has
    /// logged in since, and what Auth0 has is newer than all this.
    pub descends_from: Option<Fingerprint>,
    /// How the last renewals failed; `None` after a success.
    pub failure: Option<Failure>,
    /// Whether the grant was revoked here.
    pub revoked: bool,
    /// Access tokens that the provider refused or that were revoked here, the latest last. See [`Self::refuse`].
    pub refused: Vec<Fingerprint>,
}

/// Tokens that a provider issued to this service.
#[derive(Clone, Debug)]
pub struct RenewedTokens {
    /// The access token.
    pub access: AccessToken,
    /// How it is presented. One that is no bearer token is kept too: its grant is alive.
    pub token_type: TokenType,
    /// The refresh token that the next renewal needs: the provider's new one, or the old one if it sent none.
    pub refresh: Option<RefreshToken>,
    /// When they were obtained.
    pub obtained_at: SystemTime,
    /// When the access token stops working, as the provider said; `None` if it did not.
    pub expires_at: Option<SystemTime>,
    /// What the token may be used for; empty if the provider did not say.
    pub scopes: Vec<String>,
}

/// Renewals that failed since the last success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How many.
    pub count: u32,
    /// No renewal is tried before.
    pub rest_until: SystemTime,
    /// A word for the last one, such as `invalid_grant`; never the provider's own text.
    pub reason: String,
    /// Whether only a login of the user can help.
    pub permanent: bool,
}

impl Record {
    /// How many refused tokens are remembered; each takes the place of the one before, so that few are ever of use.
    pub const REFUSED: usize = 8;

    /// Remembers a refused access token, and forgets the oldest if there are too many.
    pub fn refuse(&mut self, token: Fingerprint) {
        self.refused.retain(|refused| *refused != token);
        self.refused.push(token);
        let surplus = self.refused.len().saturating_sub(Self::REFUSED);
        self.refused.drain(..surplus);
    }

    /// Takes the refusal of an access token back, since its provider says that it is active.
    pub fn accept(&mut self, token: Fingerprint) {
        self.refused.retain(|refused| *refused != token);
    }
}

/// A record as it lies in the store. Those times are the store's, in milliseconds; those of `record` are put
/// onto the clock of this machine.
#[derive(Clone, Debug)]
pub struct Stored {
    /// What the next swap has to expect; never 0, and greater than all generations before.
    pub generation: u64,
    /// What is remembered.
    pub record: Record,
    /// When there first was a record.
    pub created_at: SystemTime,
    /// When it was last swapped.
    pub updated_at: SystemTime,
    /// When it was last swapped or loaded, to the hour.
    pub last_used_at: SystemTime,
}

/// How a compare-and-swap ended.
#[derive(Clone, Debug)]
pub enum Swap {
    /// The new record is stored, under this generation.
    Done(u64),
    /// Another writer was faster: nothing was changed, and this is what is there now.
    Lost(Option<Box<Stored>>),
}

impl Swap {
    /// What it means that `current` is not what was expected. If it is what the writer brought, a first try of the same
    /// swap did happen, though its answer was lost.
    pub(super) fn lost(current: Option<Stored>, expected: u64, record: &Record) -> Self {
        match current {
            Some(current) if current.follows(expected) && format::is_same(&current.record, record) => {
                Self::Done(current.generation)
            }
            current => Self::Lost(current.map(Box::new)),
        }
    }
}

impl Stored {
    fn follows(&self, expected: u64) -> bool {
        expected == 0 || self.generation == expected.saturating_add(1)
    }
}
