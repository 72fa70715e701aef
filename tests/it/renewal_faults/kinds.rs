//! The kinds of providers that renew, and the words in which each refuses.

use super::table::Expected::{self, Dead, Rests};

/// A provider that renews.
pub(super) struct Kind {
    pub(super) strategy: &'static str,
    pub(super) connection: &'static str,
    /// Where its token endpoint is.
    pub(super) host: &'static str,
    pub(super) path: &'static str,
    /// Whether what is renewed from dies at use.
    pub(super) rotates: bool,
    /// Whether there are refresh tokens; otherwise a token that lives is exchanged.
    pub(super) refreshes: bool,
    pub(super) scopes: &'static [&'static str],
    /// Refusals in its own words: status, body, and what they mean.
    pub(super) words: &'static [(u16, &'static str, Expected)],
}

const RFC6749: &[(u16, &str, Expected)] = &[
    (400, r#"{"error":"invalid_grant","error_description":"Unknown refresh token"}"#, Dead("invalid_grant")),
    (403, r#"{"error":"invalid_grant"}"#, Dead("invalid_grant")),
    (401, r#"{"error":"invalid_client"}"#, Rests("invalid_client")),
    (400, r#"{"error":"unauthorized_client"}"#, Rests("unauthorized_client")),
    (400, r#"{"error":"invalid_scope"}"#, Rests("invalid_scope")),
    (400, r#"{"error":"invalid_target"}"#, Rests("invalid_target")),
    (400, "error=invalid_grant&error_description=ung%FCltig", Dead("invalid_grant")),
    (400, r#"{"error":"something_new"}"#, Rests("unavailable")),
    (500, r#"{"error":"invalid_grant"}"#, Rests("unavailable")),
];

pub(super) const GOOGLE: Kind = Kind {
    strategy: "google-oauth2",
    connection: "google-oauth2",
    host: "oauth2.googleapis.com",
    path: "/token",
    rotates: false,
    refreshes: true,
    scopes: &["openid", "https://www.googleapis.com/auth/calendar.readonly"],
    words: &[
        (
            400,
            r#"{"error":"invalid_grant","error_description":"Token has been expired or revoked."}"#,
            Dead("invalid_grant"),
        ),
        (400, r#"{"error":"invalid_grant","error_subtype":"invalid_rapt"}"#, Dead("invalid_rapt")),
        (401, r#"{"error":"invalid_client"}"#, Rests("invalid_client")),
        (401, r#"{"error":"deleted_client"}"#, Rests("deleted_client")),
        (403, r#"{"error":"rate_limit_exceeded"}"#, Rests("unavailable")),
    ],
};

pub(super) const GITHUB: Kind = Kind {
    strategy: "github",
    connection: "github",
    host: "github.com",
    path: "/login/oauth/access_token",
    rotates: true,
    refreshes: true,
    scopes: &["read:user", "repo"],
    words: &[
        (200, r#"{"error":"bad_refresh_token"}"#, Dead("bad_refresh_token")),
        (200, "error=bad_refresh_token&error_description=x", Dead("bad_refresh_token")),
        (200, r#"{"error":"incorrect_client_credentials"}"#, Rests("incorrect_client_credentials")),
        (200, r#"{"error":"something_new"}"#, Rests("unavailable")),
        (404, r#"{"error":"Not Found"}"#, Rests("unavailable")),
        (503, r#"{"error":"bad_refresh_token"}"#, Rests("unavailable")),
    ],
};

pub(super) const BITBUCKET: Kind = Kind {
    strategy: "bitbucket",
    connection: "bitbucket",
    host: "bitbucket.org",
    path: "/site/oauth2/access_token",
    rotates: true,
    refreshes: true,
    scopes: &["account", "repository"],
    words: &[
        (
            400,
            r#"{"error":"invalid_request","error_description":"Invalid refresh_token"}"#,
            Dead("invalid_request"),
        ),
        (400, r#"{"error":"invalid_grant"}"#, Dead("invalid_grant")),
        (400, r#"{"error":"invalid_request","error_description":"No grant_type"}"#, Rests("invalid_request")),
        (400, r#"{"error":"unauthorized_client"}"#, Rests("unauthorized_client")),
    ],
};

const AADSTS: &[(u16, &str, Expected)] = &[
    (400, r#"{"error":"invalid_grant","error_codes":[700082]}"#, Dead("invalid_grant")),
    (400, r#"{"error":"invalid_grant","error_codes":[50173],"suberror":"bad_token"}"#, Dead("bad_token")),
    (
        400,
        r#"{"error":"interaction_required","error_codes":[50076],"suberror":"basic_action"}"#,
        Dead("basic_action"),
    ),
    (400, r#"{"error":"invalid_grant","error_codes":[50196]}"#, Rests("unavailable")),
    (400, r#"{"error":"invalid_grant","error_codes":[90024]}"#, Rests("unavailable")),
    (400, r#"{"error":"temporarily_unavailable","error_codes":[90033]}"#, Rests("unavailable")),
    (401, r#"{"error":"invalid_client","error_codes":[7000222]}"#, Rests("invalid_client")),
    (400, r#"{"error":"invalid_resource","error_codes":[500011]}"#, Rests("invalid_resource")),
    (400, r#"{"error":"invalid_tenant","error_codes":[90002]}"#, Rests("AADSTS90002")),
    (400, r#"{"error":"invalid_scope","error_codes":[70011]}"#, Rests("invalid_scope")),
];

pub(super) const WORK: Kind = Kind {
    strategy: "waad",
    connection: "acme-entra",
    host: "login.microsoftonline.com",
    path: "/organizations/oauth2/v2.0/token",
    rotates: false,
    refreshes: true,
    scopes: &["openid", "offline_access", "User.Read", "Mail.Read"],
    words: AADSTS,
};

pub(super) const PERSONAL: Kind =
    Kind { strategy: "windowslive", connection: "windowslive", path: "/consumers/oauth2/v2.0/token", ..WORK };

pub(super) const GENERIC: Kind = Kind {
    strategy: "oauth2",
    connection: "acme-crm",
    host: "login.crm.example",
    path: "/oauth2/token",
    rotates: true,
    refreshes: true,
    scopes: &["profile", "things.read"],
    words: RFC6749,
};

pub(super) const FACEBOOK: Kind = Kind {
    strategy: "facebook",
    connection: "facebook",
    host: "graph.facebook.com",
    path: "/v25.0/oauth/access_token",
    rotates: false,
    refreshes: false,
    scopes: &["public_profile", "email"],
    words: &[
        (400, r#"{"error":{"message":"Session has expired","code":190,"error_subcode":463}}"#, Dead("190")),
        (400, r#"{"error":{"message":"Error validating client secret.","code":1}}"#, Rests("client_secret")),
        (400, r#"{"error":{"message":"Invalid application ID.","code":101}}"#, Rests("101")),
        (
            400,
            r#"{"error":{"message":"(#4) Application request limit reached","code":4}}"#,
            Rests("unavailable"),
        ),
        (500, r#"{"error":{"message":"m","code":190}}"#, Rests("unavailable")),
    ],
};

pub(super) const ALL: [&Kind; 7] = [&GOOGLE, &GITHUB, &BITBUCKET, &WORK, &PERSONAL, &GENERIC, &FACEBOOK];
