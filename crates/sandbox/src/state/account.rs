//! A person at a provider.

use crate::seed::ProvidersSeed;

/// The providers that the sandbox plays.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Provider {
    /// Strategies `google-oauth2` and `google-apps`.
    Google,
    /// Strategy `github`.
    GitHub,
    /// Strategy `facebook`.
    Facebook,
    /// Strategy `bitbucket`.
    Bitbucket,
    /// Strategy `waad`: accounts of an organisation, with Microsoft Graph and SharePoint.
    Entra,
    /// Strategy `windowslive`: a person's own Microsoft account, with Microsoft Graph.
    MicrosoftAccount,
    /// Strategies `oauth2` and `oidc`: the connection of that place in [`ProvidersSeed::generic`].
    Generic(usize),
}

impl Provider {
    /// The provider behind an Auth0 strategy that is played the same for all its connections.
    pub(crate) fn of_strategy(strategy: &str) -> Option<Self> {
        match strategy {
            "google-oauth2" | "google-apps" => Some(Self::Google),
            "github" => Some(Self::GitHub),
            "facebook" => Some(Self::Facebook),
            "bitbucket" => Some(Self::Bitbucket),
            "waad" => Some(Self::Entra),
            "windowslive" => Some(Self::MicrosoftAccount),
            _ => None,
        }
    }

    /// The provider behind a connection: `oauth2` and `oidc` are a different one in each.
    pub(crate) fn behind(strategy: &str, connection: &str, seeds: &ProvidersSeed) -> Option<Self> {
        if !matches!(strategy, "oauth2" | "oidc") {
            return Self::of_strategy(strategy);
        }
        seeds.generic.iter().position(|one| one.connection == connection).map(Self::Generic)
    }

    /// Whether Auth0 counts the connection among the social ones.
    pub(crate) fn is_social(self) -> bool {
        !matches!(self, Self::Entra | Self::Generic(_))
    }

    /// What an ordinary login asks for.
    pub(crate) fn login_scopes(self) -> Vec<String> {
        let scopes: &[&str] = match self {
            Self::Google => &[
                "openid",
                "https://www.googleapis.com/auth/userinfo.email",
                "https://www.googleapis.com/auth/userinfo.profile",
            ],
            Self::GitHub => &["read:user", "user:email"],
            Self::Facebook => &["public_profile", "email"],
            Self::Bitbucket => &["account", "email"],
            Self::Entra | Self::MicrosoftAccount => {
                &["openid", "profile", "email", "offline_access", "User.Read"]
            }
            Self::Generic(_) => &["profile"],
        };
        scopes.iter().map(|&scope| scope.to_owned()).collect()
    }
}

/// Names an account at a provider.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Account {
    /// Which provider.
    pub(crate) provider: Provider,
    /// The provider's own id of the person.
    pub(crate) id: String,
}
