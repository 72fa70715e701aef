//! How a login is asked to bring a refresh token.

/// What a login asks for, so that the provider issues a refresh token too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfflineAccess {
    /// Nothing: a refresh token comes with every login, or never.
    Unasked,
    /// Parameters of Auth0's `/authorize`, which passes them on.
    Parameters(&'static [(&'static str, &'static str)]),
    /// One more scope of the provider's.
    Scope(&'static str),
}

/// What a login with a connection of this strategy asks for.
///
/// - Google wants no scope (`offline_access` is `invalid_scope` there) but a parameter, and issues a refresh token only
///   on its consent screen: <https://developers.google.com/identity/protocols/oauth2/web-server#offline>
/// - GitHub: of an OAuth app, a token with this scope expires after 8 hours and comes with a refresh token (2026:
///   <https://github.com/orgs/community/discussions/204963>); a GitHub App ignores scopes.
/// - Microsoft's v2.0 endpoint and OpenID Connect Core (section 11) have the same scope.
/// - Bitbucket issues one always, Facebook never; plain OAuth 2.0 has no standard, and a scope that its server does not
///   know would fail the login. There, the caller asks for what the provider documents.
pub fn offline_access(strategy: &str) -> OfflineAccess {
    match strategy {
        "google-oauth2" | "google-apps" => {
            OfflineAccess::Parameters(&[("access_type", "offline"), ("prompt", "consent")])
        }
        "github" | "waad" | "windowslive" | "oidc" => OfflineAccess::Scope("offline_access"),
        _ => OfflineAccess::Unasked,
    }
}
