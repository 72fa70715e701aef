//! A person at a provider.

/// The providers that the sandbox plays.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Provider {
    /// Strategies `google-oauth2` and `google-apps`.
    Google,
    /// Strategy `github`.
    GitHub,
    /// Strategy `facebook`.
    Facebook,
}

impl Provider {
    /// The provider behind an Auth0 strategy.
    pub(crate) fn of_strategy(strategy: &str) -> Option<Self> {
        match strategy {
            "google-oauth2" | "google-apps" => Some(Self::Google),
            "github" => Some(Self::GitHub),
            "facebook" => Some(Self::Facebook),
            _ => None,
        }
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
