//! Access and refresh tokens: secrets with a name that may be spoken, and a judgement of how long they live.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime},
};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

/// A provider's access token. `Debug` shows its [`Fingerprint`] only; the memory is zeroed on drop.
#[derive(Clone)]
pub struct AccessToken {
    secret: SecretString,
    fingerprint: Fingerprint,
}

impl AccessToken {
    /// Takes the token as the provider issued it.
    pub fn new(secret: impl Into<SecretString>) -> Self {
        let secret = secret.into();
        Self { fingerprint: Fingerprint::of(secret.expose_secret()), secret }
    }

    /// The secret itself: for the `authorization` header and for a permitted caller, nowhere else.
    pub fn expose(&self) -> &str {
        self.secret.expose_secret()
    }

    /// The name under which logs, errors and callers speak of this token.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessToken({})", self.fingerprint)
    }
}

/// A provider's refresh token. `Debug` reveals nothing; the memory is zeroed on drop.
#[derive(Clone, Debug)]
pub struct RefreshToken(SecretString);

impl RefreshToken {
    /// Takes the token as the provider issued it.
    pub fn new(secret: impl Into<SecretString>) -> Self {
        Self(secret.into())
    }

    /// The secret itself: for the provider's token endpoint and for a permitted caller, nowhere else.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// Names a token without revealing it: the first 16 bytes of its SHA-256, written as unpadded base64url.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; Self::BYTES]);

impl Fingerprint {
    const BYTES: usize = 16;

    /// The fingerprint of `secret`.
    pub fn of(secret: &str) -> Self {
        let hash = digest(&SHA256, secret.as_bytes());
        let mut bytes = [0; Self::BYTES];
        bytes.copy_from_slice(&hash.as_ref()[..Self::BYTES]);
        Self(bytes)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 22 characters: written to the stack, since every lent token carries its fingerprint.
        let mut text = [0; 22];
        let length = URL_SAFE_NO_PAD.encode_slice(self.0, &mut text).map_err(|_| fmt::Error)?;
        f.write_str(str::from_utf8(&text[..length]).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no fingerprint: 22 characters of unpadded base64url.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint is 22 characters of unpadded base64url")]
pub struct NotAFingerprint;

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NotAFingerprint)?;
        bytes.try_into().map(Self).map_err(|_| NotAFingerprint)
    }
}

/// Where a token came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// The `identities` of the user's Auth0 profile.
    Auth0Profile,
    /// Renewed by this service at the provider.
    Renewed,
    /// Auth0 Token Vault.
    TokenVault,
}

/// How an expiry is known. Auth0 records how long a token lives, but not when it was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpiryBasis {
    /// The provider said so when this service obtained or inspected the token.
    Provider,
    /// Last login plus lifetime: exact, since the user has one identity.
    LastLogin,
    /// The same sum for a user with linked identities: the latest that it can be.
    UpperBound,
}

/// When a token stops working, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// The wall-clock time, for people and callers.
    pub time: SystemTime,
    /// How that is known.
    pub basis: ExpiryBasis,
    /// The same moment on tokio's monotonic clock, which a changed wall clock does not move and tests can pause;
    /// `None` if the token was dead already when it was read, or ends in a time that no clock counts.
    deadline: Option<Instant>,
}

impl Expiry {
    /// An expiry at `time`, as known now.
    pub fn at(time: SystemTime, basis: ExpiryBasis) -> Self {
        let left = time.duration_since(SystemTime::now()).ok().filter(|left| !left.is_zero());
        Self { time, basis, deadline: left.and_then(|left| Instant::now().checked_add(left)) }
    }

    /// The earlier of two ends of the same token; one that is known comes before one that is not.
    pub fn earlier(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) if other.remaining() < one.remaining() => Some(other),
            (None, other) => other,
            (one, _) => one,
        }
    }

    /// How long the token still lives; zero if it is dead.
    pub fn remaining(&self) -> Duration {
        self.deadline.map_or(Duration::ZERO, |deadline| deadline.saturating_duration_since(Instant::now()))
    }
}

/// What a token's expiry says about using it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Lives at least as long as asked for, or says nothing of its end: then the provider decides.
    Live,
    /// Lives, but shorter than asked for.
    TooShort,
    /// Surely dead.
    Dead,
}

impl Freshness {
    /// Judges a token that ends at `expiry` for a use that needs `min_validity`.
    pub fn of(expiry: Option<Expiry>, min_validity: Duration) -> Self {
        match expiry.map(|expiry| expiry.remaining()) {
            None => Self::Live,
            Some(Duration::ZERO) => Self::Dead,
            Some(left) if left < min_validity => Self::TooShort,
            Some(_) => Self::Live,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_the_first_16_bytes_of_sha_256_in_unpadded_base64url() {
        // SHA-256 of "abc" is FIPS 180-2's first example: ba7816bf 8f01cfea 414140de 5dae2223 ...
        assert_eq!(Fingerprint::of("abc").to_string(), "ungWv48Bz-pBQUDeXa4iIw");
    }

    #[test]
    fn a_fingerprint_reads_back_and_nothing_else_does() {
        let fingerprint = Fingerprint::of("token");
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        for wrong in
            ["", "abc", "ungWv48Bz-pBQUDeXa4iIw==", "ungWv48Bz+pBQUDeXa4iIw", "ungWv48Bz-pBQUDeXa4iIwAA"]
        {
            assert_eq!(wrong.parse::<Fingerprint>(), Err(NotAFingerprint), "{wrong}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let access = format!("{:?}", AccessToken::new("canary-access"));
        let refresh = format!("{:?}", RefreshToken::new("canary-refresh"));
        assert!(!access.contains("canary") && !refresh.contains("canary"), "{access} {refresh}");
    }

    #[tokio::test(start_paused = true)]
    async fn freshness_follows_the_monotonic_clock() {
        let expiry = Expiry::at(SystemTime::now() + Duration::from_secs(100), ExpiryBasis::LastLogin);
        let judge = |seconds| Freshness::of(Some(expiry), Duration::from_secs(seconds));
        assert_eq!((judge(60), judge(200)), (Freshness::Live, Freshness::TooShort));
        tokio::time::advance(Duration::from_secs(50)).await;
        assert_eq!(judge(60), Freshness::TooShort);
        tokio::time::advance(Duration::from_secs(50)).await;
        assert_eq!(judge(0), Freshness::Dead);
    }

    #[tokio::test]
    async fn a_token_without_expiry_is_for_the_provider_to_judge() {
        assert_eq!(Freshness::of(None, Duration::from_secs(3600)), Freshness::Live);
        let long_ago = Expiry::at(SystemTime::UNIX_EPOCH, ExpiryBasis::UpperBound);
        assert_eq!(Freshness::of(Some(long_ago), Duration::ZERO), Freshness::Dead);
    }
}
