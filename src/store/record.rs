//! The stored record of an identity.

use std::time::SystemTime;

use super::format;
use crate::token::{AccessToken, Fingerprint, RefreshToken, TokenType};

/// The result of renewals, and what must be remembered with it.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The last tokens that this service obtained; `None` while no renewal has succeeded.
    pub tokens: Option<RenewedTokens>,
    /// A refresh token of an earlier login that was never refused: Google sends one only at the first
    /// consent, so the profile of the next login may have none.
    pub spare: Option<RefreshToken>,
    /// The access token in Auth0's profile when this record began. A different one means that the user has
    /// logged in since, and that Auth0's tokens are newer than all of this.
    pub descends_from: Option<Fingerprint>,
    /// The failed renewals; `None` after a success.
    pub failure: Option<Failure>,
    /// Whether this service revoked the grant.
    pub revoked: bool,
    /// Access tokens that the provider refused or this service revoked, the latest last. See
    /// [`Self::refuse`].
    pub refused: Vec<Fingerprint>,
}

/// Tokens that a provider issued to this service.
#[derive(Clone, Debug)]
pub struct RenewedTokens {
    /// The access token.
    pub access: AccessToken,
    /// The token type. Tokens other than bearer are kept too: their grant is alive.
    pub token_type: TokenType,
    /// The refresh token for the next renewal: the provider's new one, or the old one if it sent none.
    pub refresh: Option<RefreshToken>,
    /// When the tokens were obtained.
    pub obtained_at: SystemTime,
    /// When the access token expires, according to the provider; `None` if it did not say.
    pub expires_at: Option<SystemTime>,
    /// The granted scopes; empty if the provider did not say.
    pub scopes: Vec<String>,
}

/// Renewals that failed since the last success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Their number.
    pub count: u32,
    /// The earliest time of the next attempt.
    pub retry_at: SystemTime,
    /// The code of the last one, such as `invalid_grant`; never the provider's own text.
    pub reason: String,
    /// Whether only a new login of the user can help.
    pub permanent: bool,
}

impl Record {
    /// How many refused tokens are remembered. Each replaces the one before, so few are ever of use.
    pub const REFUSED: usize = 8;

    /// Remembers a refused access token, and forgets the oldest if there are too many.
    pub fn refuse(&mut self, token: Fingerprint) {
        self.refused.retain(|refused| *refused != token);
        self.refused.push(token);
        let surplus = self.refused.len().saturating_sub(Self::REFUSED);
        self.refused.drain(..surplus);
    }

    /// Forgets the refusal of an access token, since its provider says that it is active.
    pub fn accept(&mut self, token: Fingerprint) {
        self.refused.retain(|refused| *refused != token);
    }
}

/// A record as stored. Its own times are by the store's clock, in milliseconds; those of `record` are
/// converted to this machine's clock.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The generation for the next swap to expect; never 0, and greater than all before.
    pub generation: u64,
    /// The content.
    pub record: Record,
    /// When the first record was stored.
    pub created_at: SystemTime,
    /// When the record was last swapped.
    pub updated_at: SystemTime,
    /// When the record was last swapped or loaded, to the hour.
    pub last_used_at: SystemTime,
}

/// The result of a compare-and-swap.
#[derive(Clone, Debug)]
pub enum Swap {
    /// The new record is stored, under this generation.
    Done(u64),
    /// Another writer was faster: nothing changed, and this is the current record.
    Lost(Option<Box<Stored>>),
}

impl Swap {
    /// The result if `current` is not what was expected. If it equals what the writer brought, the same swap
    /// succeeded before, and its answer was lost.
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
