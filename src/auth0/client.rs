//! The application that this service is to the tenant's token endpoint, and how it authenticates there.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, header};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{client_assertion, error::Auth0Error};
use crate::{
    config::{self, ClientCredential},
    secret::Secret,
};

/// The application.
pub(super) struct Client {
    endpoint: String,
    /// The tenant's issuer: the audience of everything that is signed for it.
    pub(super) issuer: String,
    /// The client id.
    pub(super) id: String,
    credential: ClientCredential,
}

impl Client {
    pub(super) fn new(settings: &config::Auth0) -> Self {
        Self {
            endpoint: format!("{}oauth/token", settings.base_url),
            issuer: format!("https://{}/", settings.domain),
            id: settings.client_id.clone(),
            credential: settings.credential.clone(),
        }
    }

    /// Returns the secret or key, which must be read again when the tenant refuses it.
    pub(super) fn secret(&self) -> &Arc<Secret> {
        self.credential.secret()
    }

    /// Builds the token request with the parameters in `body`, an object, to which the client's
    /// authentication is added.
    ///
    /// # Errors
    /// When the private key cannot be read.
    pub(super) fn request(&self, mut body: Value) -> Result<Request<Bytes>, Auth0Error> {
        body["client_id"] = json!(self.id);
        match &self.credential {
            ClientCredential::Secret(secret) => body["client_secret"] = json!(secret.get().expose_secret()),
            ClientCredential::PrivateKey(pem) => {
                let assertion = client_assertion::sign(&self.id, &self.issuer, &pem.get())
                    .map_err(Auth0Error::misconfigured)?;
                body["client_assertion_type"] =
                    json!("urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
                body["client_assertion"] = json!(assertion.expose_secret());
            }
        }
        Request::builder()
            .method(Method::POST)
            .uri(&self.endpoint)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json")
            .body(Bytes::from(body.to_string()))
            .map_err(|_| Auth0Error::misconfigured("`auth0.base_url` makes no valid URL"))
    }
}
