//! Settings of renewals, and of the provider's tokens as only the operator knows them.

use std::time::Duration;

use crate::{
    config::{
        section::Section,
        value::{Setting, must_be},
    },
    provider::IdentityApi,
};

/// Settings of renewals, and of the provider's tokens as only the operator knows them.
pub(super) struct Renewal {
    /// Scopes that a renewal requests. Default: none.
    pub(super) scopes: Vec<String>,
    /// The one of Microsoft's token endpoints that issued the tokens. Default:
    /// `microsoft-identity-platform-v2.0`.
    pub(super) identity_api: IdentityApi,
    /// The resource of tokens from Microsoft's older endpoint. Default: that of the last token.
    pub(super) resource: Option<String>,
    /// Whether a refresh token is invalidated by its use. Default: true.
    pub(super) rotates: Option<bool>,
    /// How long tokens live if the provider does not say so, 1 min to 365 days. Default: unknown.
    pub(super) lifetime: Option<Duration>,
}

impl Renewal {
    /// Reads the settings; `None` after a reported mistake.
    pub(super) fn read(section: &mut Section<'_, '_>) -> Option<Self> {
        let scopes = section.several("scopes", "none", |Scope(scope)| scope);
        let identity_api = section.optional("identity_api", "`microsoft-identity-platform-v2.0`");
        let resource = section.optional("resource", "none");
        let rotates = section.optional("rotates", "`true`");
        let lifetime = section.optional("lifetime", "none");
        let renewal = Self {
            scopes: scopes.ok()?,
            identity_api: identity_api.ok()?.unwrap_or_default(),
            resource: resource.ok()?.map(|Resource(resource)| resource),
            rotates: rotates.ok()?,
            lifetime: lifetime.ok()?.map(|Lifetime(lifetime)| lifetime),
        };
        if let Some(what) = renewal.contradiction() {
            section.wrong_table(what);
            return None;
        }
        Some(renewal)
    }

    fn contradiction(&self) -> Option<&'static str> {
        match (self.identity_api, &self.resource) {
            (IdentityApi::V2, Some(_)) => Some(RESOURCE_OF_V2),
            (IdentityApi::V1, _) if !self.scopes.is_empty() => Some(SCOPES_OF_V1),
            _ => None,
        }
    }
}

const RESOURCE_OF_V2: &str = "has a `resource`, and tokens of the Microsoft identity platform are for scopes: write \
    `scopes`, or add `identity_api = \"azure-active-directory-v1.0\"`";
const SCOPES_OF_V1: &str = "has `scopes`, and tokens of `azure-active-directory-v1.0` are for a resource: write \
    `resource` instead";

/// A scope as in RFC 6749, section 3.3.
struct Scope(String);

impl Setting for Scope {
    const EXPECTED: &'static str = "scopes such as `User.Read`";

    fn parse(text: &str) -> Result<Self, String> {
        let is_allowed = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\';
        if text.is_empty() || !text.chars().all(is_allowed) {
            return Err(format!("must be {}, each without spaces and quotes", Self::EXPECTED));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Setting for IdentityApi {
    const EXPECTED: &'static str = "`microsoft-identity-platform-v2.0` or `azure-active-directory-v1.0`";

    fn parse(text: &str) -> Result<Self, String> {
        Self::named(text).ok_or_else(must_be::<Self>)
    }
}

/// An API that tokens are for.
struct Resource(String);

impl Setting for Resource {
    const EXPECTED: &'static str = "the identifier of an API, such as `https://graph.microsoft.com`";

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || !text.chars().all(|c| c.is_ascii_graphic()) {
            return Err(must_be::<Self>());
        }
        Ok(Self(text.to_owned()))
    }
}

/// A lifetime of tokens.
struct Lifetime(Duration);

impl Setting for Lifetime {
    const EXPECTED: &'static str = "a duration from 1m to 365d, such as `1h`";

    fn parse(text: &str) -> Result<Self, String> {
        const LIMITS: std::ops::RangeInclusive<Duration> =
            Duration::from_secs(60)..=Duration::from_secs(365 * 24 * 3600);
        let lifetime = Duration::parse(text).map_err(|_| must_be::<Self>())?;
        LIMITS.contains(&lifetime).then_some(Self(lifetime)).ok_or_else(must_be::<Self>)
    }
}
