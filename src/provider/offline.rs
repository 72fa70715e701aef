//! How to make a login return a refresh token.

/// What a login must request so that the provider issues a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfflineAccess {
    /// Nothing: either every login returns a refresh token, or none does.
    Unasked,
    /// Parameters of Auth0's `/authorize`, which forwards them.
    Parameters(&'static [(&'static str, &'static str)]),
    /// An additional scope of the provider.
    Scope(&'static str),
}

/// Returns what a login with a connection of this strategy must request.
///
/// - Google takes a parameter rather than a scope (`offline_access` is `invalid_scope` there), and issues a
///   refresh token only on its consent screen:
///   <https://developers.google.com/identity/protocols/oauth2/web-server#offline>
/// - GitHub: a token of an OAuth app with this scope expires after 8 hours and comes with a refresh token
///   (2026: <https://github.com/orgs/community/discussions/204963>); a GitHub App ignores scopes.
/// - Microsoft's v2.0 endpoint and OpenID Connect Core (section 11) have the same scope.
/// - Bitbucket always issues one, Facebook never. Plain OAuth 2.0 has no standard, and a scope that the
///   server does not know would fail the login: there, the caller requests what the provider documents.
pub fn offline_access(strategy: &str) -> OfflineAccess {
    match strategy {
        "google-oauth2" | "google-apps" => {
            OfflineAccess::Parameters(&[("access_type", "offline"), ("prompt", "consent")])
        }
        "github" | "waad" | "windowslive" | "oidc" => OfflineAccess::Scope("offline_access"),
        _ => OfflineAccess::Unasked,
    }
}
