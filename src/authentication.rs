//! Authentication of callers: by a certificate, by a trusted proxy's word about one, or by a token of a known
//! issuer.

use std::{collections::BTreeMap, sync::Arc};

use http::Uri;
use secrecy::{ExposeSecret, SecretString};

use crate::{
    caller::{Caller, Peer, Proof, San},
    config::{Config, TrustedPeer},
    transport::Transport,
};

mod error;
mod forwarded;
mod issuer;
mod key_set;
mod key_source;
mod token;
mod verified;

pub use error::{AuthenticationError, CredentialRejection};

use issuer::{Issuer, Principal, Subjects};
use key_source::KeySource;
use token::{Claims, Token};
use verified::Verified;

/// A caller, and how it was authenticated.
#[derive(Clone, Debug)]
pub struct Authenticated {
    /// The caller.
    pub caller: Caller,
    /// How it was authenticated.
    pub proof: Proof,
}

/// The ways in which callers may authenticate.
pub struct Authentication {
    is_required: bool,
    issuers: Vec<Issuer>,
    trusted_peers: Vec<TrustedPeer>,
    verified: Verified,
}

impl Authentication {
    /// Makes what `config` describes. Sends nothing yet.
    pub fn new(config: &Config, transport: &Transport) -> Self {
        Self {
            is_required: config.identifies_callers(),
            issuers: issuers(config, transport),
            trusted_peers: config.trusted_peers.clone(),
            verified: Verified::default(),
        }
    }

    /// Authenticates nobody: every caller is [`Caller::Anonymous`].
    pub fn open() -> Self {
        Self {
            is_required: false,
            issuers: Vec::new(),
            trusted_peers: Vec::new(),
            verified: Verified::default(),
        }
    }

    /// Returns whether callers must authenticate; otherwise every caller is [`Caller::Anonymous`].
    pub fn is_required(&self) -> bool {
        self.is_required
    }

    /// Returns whether there is an issuer whose tokens are accepted.
    pub fn takes_tokens(&self) -> bool {
        !self.issuers.is_empty()
    }

    /// Returns the caller that `token` identifies, if it was verified recently.
    pub fn remembered(&self, token: &SecretString) -> Option<Authenticated> {
        let (principal, issuer) = self.verified.get(token.expose_secret())?;
        Some(authenticated(principal, issuer, token.clone()))
    }

    /// Verifies `token` and returns the caller that it identifies.
    ///
    /// # Errors
    /// When the token is rejected, or its issuer's keys cannot be fetched.
    pub async fn verify(&self, token: SecretString) -> Result<Authenticated, AuthenticationError> {
        let parsed = Token::parse(token.expose_secret())?;
        let issuer = self.issuer_of(&parsed.claims)?;
        let (principal, left) = issuer.verify(&parsed).await?;
        let name = Arc::clone(&issuer.name);
        self.verified.insert(token.expose_secret(), (principal.clone(), Arc::clone(&name)), left);
        Ok(authenticated(principal, name, token))
    }

    fn issuer_of(&self, claims: &Claims) -> Result<&Issuer, CredentialRejection> {
        let mut of_that_name = self.issuers.iter().filter(|issuer| *issuer.name == *claims.iss).peekable();
        of_that_name.peek().ok_or(CredentialRejection::Issuer)?;
        of_that_name.find(|issuer| claims.is_for(&issuer.audience)).ok_or(CredentialRejection::Audience)
    }

    /// Identifies the peer by its certificate. For a trusted peer, the caller is whoever it names in
    /// `forwarded`, the values of `x-forwarded-client-cert`, and never the peer itself: if it names nobody,
    /// its client is not authenticated. From anybody else the header is ignored.
    ///
    /// # Errors
    /// When the certificate does not name exactly one caller, or the header of a trusted peer is ambiguous or
    /// malformed.
    pub fn by_certificate<'a>(
        &self,
        peer: &Peer,
        mut forwarded: impl Iterator<Item = Option<&'a str>>,
    ) -> Result<Option<Authenticated>, AuthenticationError> {
        let by = |proof| move |caller| Authenticated { caller, proof };
        if !self.trusted_peers.iter().any(|trusted| trusted.is(peer)) {
            return Ok(service(&peer.sans)?.map(by(Proof::Certificate)));
        }
        let Some(header) = forwarded.next() else { return Ok(None) };
        // Of several headers, nobody could say which is the proxy's own.
        let (Some(header), None) = (header, forwarded.next()) else {
            return Err(CredentialRejection::Forwarded.into());
        };
        let sans = forwarded::client(header)?;
        Ok(service(&sans)?.map(by(Proof::Forwarded)))
    }
}

/// Returns whether a key of `key_set` signed `token`; see [`crate::fuzzing`].
#[cfg(fuzzing)]
pub(crate) fn is_signed(key_set: &[u8], token: &str) -> bool {
    let (Ok(keys), Ok(token)) = (key_set::KeySet::parse(key_set), Token::parse(token)) else { return false };
    keys.find(&token.header)
        .is_ok_and(|(key, algorithm)| key.verifies(algorithm, token.message, token.signature))
}

fn authenticated(principal: Principal, issuer: Arc<str>, token: SecretString) -> Authenticated {
    let caller = match principal {
        Principal::Service(id) => Caller::Service { id },
        Principal::User(subject) => Caller::EndUser { subject, access_token: Arc::new(token) },
    };
    Authenticated { caller, proof: Proof::Token { issuer } }
}

/// Returns the service that a certificate names: by its URI, or else by its first DNS name, in lower case. A
/// certificate with several URIs is rejected: SPIFFE's have exactly one (X.509-SVID, section 2).
fn service(sans: &[San]) -> Result<Option<Caller>, CredentialRejection> {
    let uris: Vec<_> = sans.iter().filter(|san| matches!(san, San::Uri(_))).collect();
    match (&*uris, sans.first()) {
        ([San::Uri(id)], _) => Ok(Some(Caller::Service { id: id.clone() })),
        ([], Some(San::Dns(name))) => Ok(Some(Caller::Service { id: name.to_ascii_lowercase() })),
        ([], _) => Ok(None),
        _ => Err(CredentialRejection::Certificate),
    }
}

/// Lists end users first: a token that is for both audiences is judged by the narrower rules.
fn issuers(config: &Config, transport: &Transport) -> Vec<Issuer> {
    let mut sources: BTreeMap<String, Arc<KeySource>> = BTreeMap::new();
    let mut source = |url: &Uri| {
        let new = || Arc::new(KeySource::new(url.clone(), transport.clone()));
        Arc::clone(sources.entry(url.to_string()).or_insert_with(new))
    };
    let tenant = config.auth0.issuer();
    let end_users = config.end_users.as_ref().map(|end_users| Issuer {
        name: tenant.as_str().into(),
        audience: end_users.audience.clone(),
        subjects: Subjects::Users,
        keys: source(&config.auth0.jwks_url()),
    });
    let mut issuers: Vec<_> = end_users.into_iter().collect();
    issuers.extend(config.jwt_issuers.iter().map(|configured| Issuer {
        name: configured.issuer.as_str().into(),
        audience: configured.audience.clone(),
        subjects: if configured.issuer == tenant { Subjects::Applications } else { Subjects::Services },
        keys: source(&configured.jwks_url),
    }));
    issuers
}

#[cfg(test)]
mod tests;
