//! What fuzzing reaches of parsers that are private. There only with `--cfg fuzzing`, which `scripts/fuzz`
//! and `cargo fuzz` set and nothing else does; most targets of `fuzz/` use what is public.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::Response;

use crate::{
    auth0::{self, Auth0Error, VaultError},
    authentication, broker,
    identity::{Profile, StoredToken, UserId},
};

/// The token of the page behind one that begins at `start`, in a list of `length`; empty if there is none.
pub fn page_token(user: &UserId, start: usize, size: usize, length: usize) -> String {
    broker::page_token(user, start, size, length)
}

/// Where the page of `token` begins; `None` if the token is refused.
pub fn page_start(user: &UserId, token: &str) -> Option<usize> {
    broker::page_start(user, token)
}

/// Whether a key of `key_set` signed `token`.
pub fn is_signed(key_set: &[u8], token: &str) -> bool {
    authentication::is_signed(key_set, token)
}

/// What the Management API's answer says of `user`, with the tokens of the connections in `vault` in Token
/// Vault.
///
/// # Errors
/// When it says nothing; `None` when the Management token is refused.
pub fn profile(
    answer: &Response<Bytes>,
    user: &UserId,
    vault: &BTreeSet<String>,
) -> Result<Profile, Option<Auth0Error>> {
    auth0::profile_in(answer, user, vault)
}

/// The token in Token Vault's answer; `by_end_user` tells on whose word it was asked for.
///
/// # Errors
/// When there is none.
pub fn vault_token(
    answer: &Response<Bytes>,
    connection: &str,
    by_end_user: bool,
) -> Result<StoredToken, VaultError> {
    auth0::vault_token_in(answer, connection, by_end_user)
}
