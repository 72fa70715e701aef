//! Access and refresh tokens: secrets with a name that may be logged, and a judgement of how long they live.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime},
};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

/// A provider's access token. `Debug` shows only its [`Fingerprint`]; the memory is zeroed on drop.
#[derive(Clone)]
pub struct AccessToken {
    secret: SecretString,
    fingerprint: Fingerprint,
}

impl AccessToken {
    /// Wraps the token as the provider issued it.
    pub fn new(secret: impl Into<SecretString>) -> Self {
        let secret = secret.into();
        Self { fingerprint: Fingerprint::of(secret.expose_secret()), secret }
    }

    /// Returns the secret itself, only for the `authorization` header and for a permitted caller.
    pub fn expose(&self) -> &str {
        self.secret.expose_secret()
    }

    /// Returns the name by which logs, errors and callers refer to this token.
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
    /// Wraps the token as the provider issued it.
    pub fn new(secret: impl Into<SecretString>) -> Self {
        Self(secret.into())
    }

    /// Returns the secret itself, only for the provider's token endpoint and for a permitted caller.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// How an access token is presented: RFC 6749, section 7.1. Its name is case-insensitive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TokenType {
    /// In the `authorization` header, as in RFC 6750.
    #[default]
    Bearer,
    /// In a way that this service does not support: `DPoP`, `mac`, OAuth 1.0a's signatures.
    Other(TokenTypeName),
}

impl TokenType {
    /// What providers call bearer tokens besides `Bearer`: gateways of Apigee's kind
    /// (github.com/guillp/requests_oauth2client/issues/15), Azure DevOps
    /// (github.com/MicrosoftDocs/azure-devops-docs/issues/810), eBay
    /// (github.com/postmanlabs/postman-app-support/issues/5434), and Slack, by whom a token acts for
    /// (<https://docs.slack.dev/authentication/using-token-rotation>).
    const BEARERS: [&str; 6] = ["Bearer", "BearerToken", "jwt-bearer", "User Access Token", "user", "bot"];

    /// Returns the type that a provider calls `name`. Several send none, and mean bearer tokens.
    pub fn named(name: &str) -> Self {
        let name = name.trim();
        if name.is_empty() || Self::BEARERS.iter().any(|bearer| name.eq_ignore_ascii_case(bearer)) {
            return Self::Bearer;
        }
        Self::Other(TokenTypeName::of(name))
    }

    /// Returns the type of tokens that come with a secret, with which requests are signed: RFC 5849.
    pub fn oauth1() -> Self {
        Self::Other(TokenTypeName::of("OAuth 1.0a"))
    }
}

impl fmt::Display for TokenType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bearer => f.write_str("Bearer"),
            Self::Other(TokenTypeName(name)) => f.write_str(name),
        }
    }
}

/// A provider's name for a token type, as far as logs and errors may repeat it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenTypeName(Box<str>);

impl TokenTypeName {
    /// Maximum letters; the longest of the registered names, a URN, has about 50.
    const LONGEST: usize = 64;

    /// Returns `name` with `?` for characters that no registered name has, cut off at [`Self::LONGEST`].
    fn of(name: &str) -> Self {
        let is_harmless = |letter: char| letter.is_ascii_alphanumeric() || "-._:/+ ".contains(letter);
        let letters = name.chars().map(|letter| if is_harmless(letter) { letter } else { '?' });
        Self(letters.take(Self::LONGEST).collect())
    }
}

/// Identifies a token without revealing it: the first 16 bytes of its SHA-256, written as unpadded base64url.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; Self::BYTES]);

impl Fingerprint {
    const BYTES: usize = 16;

    /// Returns the fingerprint of `secret`.
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

/// The error for a text that is not a fingerprint: 22 characters of unpadded base64url.
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
    /// The same sum for a user with linked identities: the latest possible expiry.
    UpperBound,
}

/// When a token expires, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// The wall-clock time, for people and callers.
    pub time: SystemTime,
    /// How that is known.
    pub basis: ExpiryBasis,
    /// The same moment on tokio's monotonic clock, which a changed wall clock does not move and tests can
    /// pause; `None` if the token had already expired when it was read, or expires later than any clock
    /// counts.
    deadline: Option<Instant>,
}

impl Expiry {
    /// Makes an expiry at `time`, relative to the current clocks.
    pub fn at(time: SystemTime, basis: ExpiryBasis) -> Self {
        let left = time.duration_since(SystemTime::now()).ok().filter(|left| !left.is_zero());
        Self { time, basis, deadline: left.and_then(|left| Instant::now().checked_add(left)) }
    }

    /// Returns the earlier of two expiries of the same token; a known one comes before an unknown one.
    pub fn earlier(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) if other.remaining() < one.remaining() => Some(other),
            (None, other) => other,
            (one, _) => one,
        }
    }

    /// Returns how long the token still lives; zero if it has expired.
    pub fn remaining(&self) -> Duration {
        self.deadline.map_or(Duration::ZERO, |deadline| deadline.saturating_duration_since(Instant::now()))
    }
}

/// What a token's expiry says about using it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// It lives at least as long as required, or its expiry is unknown: then the provider decides.
    Live,
    /// It lives, but for less than required.
    TooShort,
    /// It has certainly expired.
    Dead,
}

impl Freshness {
    /// Judges a token that expires at `expiry` for a use that needs `min_validity`.
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
    fn a_token_type_is_bearer_where_providers_mean_it() {
        for name in ["", " ", "Bearer", "bearer", "BEARER", " Bearer\n", "BearerToken", "jwt-bearer", "bot"] {
            assert_eq!(TokenType::named(name), TokenType::Bearer, "{name}");
        }
        for name in ["DPoP", "mac", "N_A", "pop", "urn:ietf:params:oauth:token-type:jwt", "bearer2"] {
            let other = TokenType::named(name);
            assert_ne!(other, TokenType::Bearer, "{name}");
            assert_eq!(TokenType::named(&other.to_string()), other, "its name is read back");
        }
        assert_eq!(TokenType::named("OAuth 1.0a"), TokenType::oauth1());
    }

    #[test]
    fn the_name_of_a_token_type_may_be_repeated() {
        let name = |text: &str| TokenType::named(text).to_string();
        assert_eq!(name("a\nb\u{1b}[31m\"ü"), "a?b??31m??");
        assert_eq!(name(&"x".repeat(1000)).len(), 64);
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
