//! The OAuth apps at the providers, and the providers' limits.

use serde::Deserialize;

use super::GenericSeed;

/// The OAuth apps at the providers.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProvidersSeed {
    /// Google.
    #[serde(rename = "google-oauth2")]
    pub google: GoogleSeed,
    /// GitHub.
    pub github: GitHubSeed,
    /// Facebook.
    pub facebook: FacebookSeed,
    /// Bitbucket.
    pub bitbucket: BitbucketSeed,
    /// Microsoft, for the strategies `waad` and `windowslive`.
    pub microsoft: MicrosoftSeed,
    /// Connections of the strategies `oauth2` and `oidc`, each a provider of its own.
    pub generic: Vec<GenericSeed>,
}

/// The OAuth app behind a connection: what its token endpoint wants to see.
#[derive(Clone, Copy)]
pub struct OAuthApp<'a> {
    /// The app's client id.
    pub client_id: &'a str,
    /// The app's client secret.
    pub client_secret: &'a str,
}

impl ProvidersSeed {
    /// The app behind the connections of an Auth0 strategy; `None` where unrelated providers share it, or it
    /// is not played.
    pub fn app(&self, strategy: &str) -> Option<OAuthApp<'_>> {
        let (client_id, client_secret) = match strategy {
            "google-oauth2" | "google-apps" => (&self.google.client_id, &self.google.client_secret),
            "github" => (&self.github.client_id, &self.github.client_secret),
            "facebook" => (&self.facebook.client_id, &self.facebook.client_secret),
            "bitbucket" => (&self.bitbucket.client_id, &self.bitbucket.client_secret),
            "waad" | "windowslive" => (&self.microsoft.client_id, &self.microsoft.client_secret),
            _ => return None,
        };
        Some(OAuthApp { client_id, client_secret })
    }
}

/// The Google app and its project.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GoogleSeed {
    /// The app's client id.
    pub client_id: String,
    /// The app's client secret.
    pub client_secret: String,
    /// Hosts whose API is switched off in the project: they answer SERVICE_DISABLED.
    pub disabled: Vec<String>,
    /// Requests of one user in a minute before the API answers `rateLimitExceeded`. 600.
    pub requests_per_minute: u64,
}

impl Default for GoogleSeed {
    fn default() -> Self {
        Self {
            client_id: "1007-sandbox.apps.googleusercontent.com".to_owned(),
            client_secret: "GOCSPX-sandbox-google-secret".to_owned(),
            disabled: Vec::new(),
            requests_per_minute: 600,
        }
    }
}

/// The GitHub app.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GitHubSeed {
    /// The app's client id.
    pub client_id: String,
    /// The app's client secret.
    pub client_secret: String,
    /// Requests of one user in an hour, across all apps. 5,000, GitHub's own.
    pub requests_per_hour: u64,
}

impl Default for GitHubSeed {
    fn default() -> Self {
        Self {
            client_id: "Iv1.sandboxgithub".to_owned(),
            client_secret: "sandbox-github-secret".to_owned(),
            requests_per_hour: 5_000,
        }
    }
}

/// The Facebook app.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FacebookSeed {
    /// The app's id.
    pub client_id: String,
    /// The app's secret, also the key of `appsecret_proof`.
    pub client_secret: String,
    /// The app setting "Require App Secret": calls without `appsecret_proof` fail. Off.
    pub require_appsecret_proof: bool,
    /// Calls of one user in an hour before code 17. 200, Graph's platform limit.
    pub calls_per_hour: u64,
    /// Calls of the whole app in an hour before code 4. 10,000.
    pub app_calls_per_hour: u64,
}

impl Default for FacebookSeed {
    fn default() -> Self {
        Self {
            client_id: "1234567890123456".to_owned(),
            client_secret: "sandbox-facebook-secret".to_owned(),
            require_appsecret_proof: false,
            calls_per_hour: 200,
            app_calls_per_hour: 10_000,
        }
    }
}

/// The Bitbucket consumer.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BitbucketSeed {
    /// The consumer's key.
    pub client_id: String,
    /// The consumer's secret.
    pub client_secret: String,
    /// Requests of one user in an hour. 1,000, Bitbucket's own for most of its API.
    pub requests_per_hour: u64,
}

impl Default for BitbucketSeed {
    fn default() -> Self {
        Self {
            client_id: "sandboxBitbucketKey".to_owned(),
            client_secret: "sandbox-bitbucket-secret".to_owned(),
            requests_per_hour: 1_000,
        }
    }
}

/// The application that is registered with Microsoft, and the organisation of its work accounts.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MicrosoftSeed {
    /// The application's id.
    pub client_id: String,
    /// The application's secret.
    pub client_secret: String,
    /// The id of the organisation's directory, which stands in the token endpoint's path.
    pub tenant: String,
    /// The directory's domain, which may stand there as well.
    pub tenant_domain: String,
    /// The organisation's SharePoint: any other `*.sharepoint.com` takes none of its tokens.
    pub sharepoint_host: String,
    /// Requests of one user to Graph in ten minutes. 10,000, Outlook's limit for an application and a
    /// mailbox.
    pub requests_per_ten_minutes: u64,
}

impl Default for MicrosoftSeed {
    fn default() -> Self {
        Self {
            client_id: "6731de76-14a6-49ae-97bc-6eba6914391e".to_owned(),
            client_secret: "sandbox~microsoft~secret".to_owned(),
            tenant: "5e1b9c52-3f0a-4e9c-9d0b-6f2c1a7d8e90".to_owned(),
            tenant_domain: "acme.onmicrosoft.com".to_owned(),
            sharepoint_host: "acme.sharepoint.com".to_owned(),
            requests_per_ten_minutes: 10_000,
        }
    }
}
