//! The application at the provider, and how it authenticates there.

use std::sync::Arc;

use crate::{
    config::{
        secrets::{FILE, SECRET},
        section::Section,
        strategy::Strategy,
        value::{Setting, must_be},
    },
    provider::AuthMethod,
    secret::Secret,
};

/// The application that a provider issues tokens to.
pub(super) struct Application {
    /// The client id. Default: none.
    pub(super) client_id: Option<String>,
    /// The client secret. Default: none.
    pub(super) client_secret: Option<Arc<Secret>>,
    /// The RSA private key in PEM form, for `private_key_jwt`. Default: none.
    pub(super) private_key: Option<Arc<Secret>>,
    /// How the application authenticates to the token endpoint. Default: the strategy's own way, or the
    /// private key if only that is set.
    pub(super) token_auth_method: Option<AuthMethod>,
}

/// The keys that are set.
struct Set {
    id: bool,
    secret: bool,
    key: bool,
    method: Option<AuthMethod>,
}

impl Application {
    /// Reads the application; `None` after a reported mistake.
    pub(super) fn read(section: &mut Section<'_, '_>, strategy: Option<Strategy>) -> Option<Self> {
        let client_id = section.optional("client_id", "none");
        let client_secret = client_secret(section);
        let private_key = private_key(section, strategy);
        let token_auth_method = section.optional("token_auth_method", "the strategy's");

        let client_id = client_id.ok()?.map(|ClientId(id)| id);
        let (client_secret, private_key) = (client_secret?, private_key?);
        let token_auth_method = token_auth_method.ok()?;
        let set = Set {
            id: client_id.is_some(),
            secret: client_secret.is_some(),
            key: private_key.is_some(),
            method: token_auth_method,
        };
        if let Some(what) = set.contradiction(strategy) {
            section.wrong_table(what);
            return None;
        }
        Some(Self { client_id, client_secret, private_key, token_auth_method })
    }
}

impl Set {
    /// Says which settings contradict each other, to complete a sentence after the table's name.
    fn contradiction(&self, strategy: Option<Strategy>) -> Option<&'static str> {
        let secret_may_be_alone = strategy.is_none_or(|strategy| strategy.kind().takes_lone_secret());
        match *self {
            Self { secret: true, key: true, method: None, .. } => Some(TWO_PROOFS),
            Self { key: false, method: Some(AuthMethod::PrivateKeyJwt), .. } => Some(METHOD_WITHOUT_KEY),
            Self { secret: false, method: Some(AuthMethod::Post | AuthMethod::Basic), .. } => {
                Some(METHOD_WITHOUT_SECRET)
            }
            Self { id: false, key: true, .. } => Some(PROOF_WITHOUT_ID),
            Self { id: false, secret: true, .. } if !secret_may_be_alone => Some(PROOF_WITHOUT_ID),
            Self { id: true, secret: false, key: false, .. } => Some(ID_WITHOUT_PROOF),
            _ => None,
        }
    }
}

const TWO_PROOFS: &str = "has a client secret and a `private_key_file`: keep one of them, or say with \
    `token_auth_method` which one proves the application";
const METHOD_WITHOUT_KEY: &str = "has `token_auth_method = \"private_key_jwt\"` and no key: name the RSA private key \
    of the application in `private_key_file`, or remove `token_auth_method`";
const METHOD_WITHOUT_SECRET: &str = "has a `token_auth_method` that takes a client secret, and none: name the file \
    that holds it in `client_secret_file`, or remove `token_auth_method`";
const PROOF_WITHOUT_ID: &str = "has a client secret or a private key and no `client_id`: add the client id of the \
    application that they belong to";
const ID_WITHOUT_PROOF: &str = "has a `client_id` and nothing to prove it with: name the file that holds the client \
    secret in `client_secret_file`";

/// Reads the secret. The outer `None` means a reported mistake, the inner one that no secret is set.
fn client_secret(section: &mut Section<'_, '_>) -> Option<Option<Arc<Secret>>> {
    section.register("client_secret", "none", SECRET);
    section.register("client_secret_file", "none", FILE);
    let Some((name, raw)) = section.one_of(&["client_secret", "client_secret_file"]).ok()? else {
        return Some(None);
    };
    let secret = if name == "client_secret" { section.secret_in(&raw) } else { section.secret_file(&raw) };
    secret.map(Some)
}

fn private_key(section: &mut Section<'_, '_>, strategy: Option<Strategy>) -> Option<Option<Arc<Secret>>> {
    section.register("private_key_file", "none", FILE);
    let Some((_, raw)) = section.one_of(&["private_key_file"]).ok()? else { return Some(None) };
    let wants_certificate = strategy.is_some_and(|strategy| strategy.kind().wants_certificate());
    section.providers_private_key_file(&raw, wants_certificate).map(Some)
}

/// A client id of a provider.
struct ClientId(String);

impl Setting for ClientId {
    const EXPECTED: &'static str = "a client id as the provider shows it";

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || !text.chars().all(|c| c.is_ascii_graphic()) {
            return Err(format!("must be {}, without white space", Self::EXPECTED));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Setting for AuthMethod {
    const EXPECTED: &'static str = "`client_secret_post`, `client_secret_basic` or `private_key_jwt`";

    fn parse(text: &str) -> Result<Self, String> {
        Self::named(text).ok_or_else(must_be::<Self>)
    }
}
