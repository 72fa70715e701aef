//! The token endpoints that the operator configures: RFC 6749, RFC 7662, RFC 7009.

use http::Uri;

use crate::provider::{
    AuthMethod, MissingCapability, Settings,
    client::{Client, assertion::Signing},
    endpoint_error,
    inspection::Introspection,
    renewal::RefreshGrant,
    revocation::StandardRevocation,
};

/// Renews tokens. Refresh tokens are assumed to be single-use unless configured otherwise: the opposite
/// assumption could cost the user's grant.
pub(super) fn renewal(settings: &Settings) -> Result<RefreshGrant, MissingCapability> {
    let (client, url) = client_at(settings, settings.token_url.as_ref(), "token_url")?;
    let scope = Some(settings.scopes.join(" ")).filter(|scope| !scope.is_empty());
    Ok(RefreshGrant {
        client,
        url,
        rotates: settings.rotates.unwrap_or(true),
        fields: scope.map(|scope| ("scope", scope)).into_iter().collect(),
        lifetime: settings.lifetime,
        dialect: endpoint_error::plain,
    })
}

pub(super) fn inspection(settings: &Settings) -> Result<Introspection, MissingCapability> {
    let (client, url) = client_at(settings, settings.inspect_url.as_ref(), "inspect_url")?;
    Ok(Introspection { client, url })
}

pub(super) fn revocation(settings: &Settings) -> Result<StandardRevocation, MissingCapability> {
    let (client, url) = client_at(settings, settings.revoke_url.as_ref(), "revoke_url")?;
    Ok(StandardRevocation { client, url })
}

/// The client, and the endpoint configured under `key`. Auth0 itself posts the secret, so these providers
/// accept that. Assertions name the token endpoint as their audience at every endpoint (RFC 7523, section 3).
fn client_at(
    settings: &Settings,
    url: Option<&Uri>,
    key: &'static str,
) -> Result<(Client, Uri), MissingCapability> {
    let audience = settings.token_url.as_ref().or(url).map(Uri::to_string).unwrap_or_default();
    let signing = Signing { audience, names_certificate: false };
    match (Client::new(settings, AuthMethod::Post, signing), url) {
        (Ok(client), Some(url)) => Ok((client, url.clone())),
        (Ok(_), None) => Err(MissingCapability::NotConfigured { missing: vec![key] }),
        (Err(MissingCapability::NotConfigured { mut missing }), None) => {
            missing.push(key);
            Err(MissingCapability::NotConfigured { missing })
        }
        (Err(missing), _) => Err(missing),
    }
}
