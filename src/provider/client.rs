//! The application at the provider, and how it authenticates: RFC 6749, section 2.3, and RFC 7523.

use std::{sync::Arc, time::SystemTime};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use self::assertion::Signing;
pub use self::assertion::{has_certificate, private_key};
pub(super) use self::form::Form;
use super::{MissingCapability, Settings, Unsendable};
use crate::secret::Secret;

pub(super) mod assertion;
mod form;

/// How a client authenticates to a token endpoint, by the names of OpenID Connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMethod {
    /// `client_secret_post`: the secret in the body.
    Post,
    /// `client_secret_basic`: the secret in the `authorization` header.
    Basic,
    /// `private_key_jwt`: an assertion signed with a private key.
    PrivateKeyJwt,
}

impl AuthMethod {
    /// Returns the method of that name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "client_secret_post" => Some(Self::Post),
            "client_secret_basic" => Some(Self::Basic),
            "private_key_jwt" => Some(Self::PrivateKeyJwt),
            _ => None,
        }
    }
}

/// The application that the tokens were issued to.
#[derive(Clone, Debug)]
pub(super) struct Client {
    id: String,
    method: AuthMethod,
    credential: Arc<Secret>,
    signing: Signing,
}

impl Client {
    /// Creates the client of `settings`. It authenticates by their method; if they have none, by the private
    /// key if there is no secret, and otherwise by `default`.
    pub(super) fn new(
        settings: &Settings,
        default: AuthMethod,
        signing: Signing,
    ) -> Result<Self, MissingCapability> {
        let only_key = settings.client_secret.is_none() && settings.private_key.is_some();
        let method = match settings.token_auth_method {
            Some(method) => method,
            None if only_key => AuthMethod::PrivateKeyJwt,
            None => default,
        };
        Self::with(settings, method, signing)
    }

    /// Creates the client of `settings` for a provider that accepts only a secret.
    pub(super) fn with_secret(settings: &Settings) -> Result<Self, MissingCapability> {
        Self::with(settings, AuthMethod::Post, Signing::default())
    }

    fn with(settings: &Settings, method: AuthMethod, signing: Signing) -> Result<Self, MissingCapability> {
        let (credential, key) = match method {
            AuthMethod::PrivateKeyJwt => (&settings.private_key, "private_key_file"),
            AuthMethod::Post | AuthMethod::Basic => (&settings.client_secret, "client_secret"),
        };
        match (&settings.client_id, credential) {
            (Some(id), Some(credential)) => {
                Ok(Self { id: id.clone(), method, credential: Arc::clone(credential), signing })
            }
            (Some(_), None) => Err(MissingCapability::NotConfigured { missing: vec![key] }),
            (None, Some(_)) => Err(MissingCapability::NotConfigured { missing: vec!["client_id"] }),
            (None, None) => Err(MissingCapability::NotConfigured { missing: vec!["client_id", key] }),
        }
    }

    /// The client id.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The credential, so that it can be read again when the provider refuses it.
    pub(super) fn credential(&self) -> &Arc<Secret> {
        &self.credential
    }

    /// Builds the POST of `form` to `url`, with the client's authentication.
    pub(super) fn post(&self, url: &Uri, form: Form, now: SystemTime) -> Result<Request<Bytes>, Unsendable> {
        let form = match self.method {
            AuthMethod::Basic => form,
            AuthMethod::Post => form
                .field("client_id", &self.id)
                .field("client_secret", self.credential.get().expose_secret()),
            AuthMethod::PrivateKeyJwt => {
                let assertion = assertion::sign(&self.id, &self.credential.get(), &self.signing, now)?;
                form.field("client_id", &self.id)
                    .field("client_assertion_type", assertion::TYPE)
                    .field("client_assertion", assertion.expose_secret())
            }
        };
        let mut request = posted(url, form);
        if self.method == AuthMethod::Basic {
            request.headers_mut().insert(AUTHORIZATION, self.basic());
        }
        Ok(request)
    }

    /// The `authorization` header of `client_secret_basic`, with both halves form-encoded (RFC 6749, section
    /// 2.3.1).
    pub(super) fn basic(&self) -> HeaderValue {
        let secret = self.credential.get();
        let pair = form::pair(&self.id, secret.expose_secret());
        let value = Zeroizing::new(format!("Basic {}", BASE64_STANDARD.encode(pair.as_bytes())));
        sensitive(&value)
    }
}

/// A header value that no log shows. A value that a header cannot hold is replaced by one that is certain to
/// be refused.
pub(super) fn sensitive(value: &str) -> HeaderValue {
    let mut value = HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static("-"));
    value.set_sensitive(true);
    value
}

/// Builds the POST of `form` to `url`, without authentication. It asks for JSON: GitHub answers a form
/// otherwise.
pub(super) fn posted(url: &Uri, form: Form) -> Request<Bytes> {
    let mut request = Request::new(form.into_body());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = url.clone();
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    request
}

#[cfg(test)]
mod tests;
