//! What each provider's tokens look like, and how long its refresh tokens live.

use std::time::Duration;

use crate::secrets::letters;
use crate::state::account::Provider;

/// A refresh token of an expiring GitHub token lives half a year.
const GITHUB_REFRESH_LIFETIME: Duration = Duration::from_secs(15_811_200);

/// Bitbucket's refresh tokens die after three months without use, and each use brings another one.
/// <https://community.developer.atlassian.com/t/oauth-2-0-and-api-authentication-changes-for-bitbucket-cloud/99003>
const BITBUCKET_REFRESH_LIFETIME: Duration = Duration::from_secs(90 * 86_400);

/// <https://learn.microsoft.com/entra/identity-platform/refresh-tokens>
const MICROSOFT_REFRESH_LIFETIME: Duration = Duration::from_secs(90 * 86_400);

impl Provider {
    /// A made-up access token in the provider's shape; where the shape is not documented, in one that is
    /// known again.
    pub(crate) fn new_access_token(self) -> String {
        match self {
            Self::Google => format!("ya29.a0Af{}", letters(180)),
            Self::GitHub => format!("gho_{}", letters(36)),
            Self::Facebook => format!("EAA{}", letters(190)),
            Self::Bitbucket => format!("sbx_bitbucket_at_{}", letters(68)),
            Self::Entra => format!("eyJ0eXAi{}.{}.{}", letters(60), letters(400), letters(342)),
            Self::MicrosoftAccount => format!("EwB{}", letters(500)),
            Self::Generic(_) => format!("sbx_generic_at_{}", letters(48)),
        }
    }

    /// The same for a refresh token.
    pub(super) fn new_refresh_token(self) -> String {
        match self {
            Self::Google => format!("1//0g{}", letters(98)),
            Self::GitHub => format!("ghr_{}", letters(76)),
            Self::Facebook => format!("EAAR{}", letters(180)),
            Self::Bitbucket => format!("sbx_bitbucket_rt_{}", letters(68)),
            Self::Entra => format!("1.AX{}", letters(400)),
            Self::MicrosoftAccount => format!("M.C5{}", letters(300)),
            Self::Generic(_) => format!("sbx_generic_rt_{}", letters(48)),
        }
    }

    /// How long a refresh token lives unless something ends it; `None`: for ever.
    pub(super) fn refresh_lifetime(self) -> Option<Duration> {
        match self {
            Self::Google | Self::Facebook | Self::Generic(_) => None,
            Self::GitHub => Some(GITHUB_REFRESH_LIFETIME),
            Self::Bitbucket => Some(BITBUCKET_REFRESH_LIFETIME),
            Self::Entra | Self::MicrosoftAccount => Some(MICROSOFT_REFRESH_LIFETIME),
        }
    }
}
