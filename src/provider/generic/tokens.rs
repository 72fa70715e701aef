//! The token endpoints that the operator names: RFC 6749, RFC 7662, RFC 7009.

use http::Uri;

use crate::provider::{
    AuthMethod, Lack, Settings,
    client::{Client, assertion::Signing},
    inspection::Introspection,
    renewal::RefreshGrant,
    revocation::StandardRevocation,
    setback,
};

/// A renewal. Unless it is known better, a refresh token is taken to die at use: to believe the opposite of one that
/// does would cost the user's grant.
pub(super) fn renewal(settings: &Settings) -> Result<RefreshGrant, Lack> {
    let (client, url) = client_at(settings, settings.token_url.as_ref(), "token_url")?;
    let scope = Some(settings.scopes.join(" ")).filter(|scope| !scope.is_empty());
    Ok(RefreshGrant {
        client,
        url,
        rotates: settings.rotates.unwrap_or(true),
        fields: scope.map(|scope| ("scope", scope)).into_iter().collect(),
        lifetime: settings.lifetime,
        dialect: setback::plain,
    })
}

pub(super) fn inspection(settings: &Settings) -> Result<Introspection, Lack> {
    let (client, url) = client_at(settings, settings.inspect_url.as_ref(), "inspect_url")?;
    Ok(Introspection { client, url })
}

pub(super) fn revocation(settings: &Settings) -> Result<StandardRevocation, Lack> {
    let (client, url) = client_at(settings, settings.revoke_url.as_ref(), "revoke_url")?;
    Ok(StandardRevocation { client, url })
}

/// The client, and the endpoint that the key named `key` has. Auth0 itself posts the secret, so these providers take
/// it; assertions are for the token endpoint wherever they are sent (RFC 7523, section 3).
fn client_at(settings: &Settings, url: Option<&Uri>, key: &'static str) -> Result<(Client, Uri), Lack> {
    let audience = settings.token_url.as_ref().or(url).map(Uri::to_string).unwrap_or_default();
    let signing = Signing { audience, names_certificate: false };
    match (Client::new(settings, AuthMethod::Post, signing), url) {
        (Ok(client), Some(url)) => Ok((client, url.clone())),
        (Ok(_), None) => Err(Lack::NotConfigured { missing: vec![key] }),
        (Err(Lack::NotConfigured { mut missing }), None) => {
            missing.push(key);
            Err(Lack::NotConfigured { missing })
        }
        (Err(lack), _) => Err(lack),
    }
}
