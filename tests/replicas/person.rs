//! Whose tokens are renewed, and where.

use std::time::Duration;

use idp_token_sandbox::{Entry, Fault, IdentitySeed, Seed, UserSeed};
use idp_token_service::service::pb::IdentitySelector;
use idp_token_testkit::people::{BARBARA, FRANCES, KEN, MARGARET, at};

/// A provider, as far as renewals go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// Auth0's strategy.
    pub(crate) strategy: &'static str,
    pub(crate) connection: &'static str,
    /// The user of the sample after whom others are made.
    model: &'static str,
    token_host: &'static str,
    token_path: &'static str,
    pub(crate) api_host: &'static str,
    /// A request that any living token may make.
    pub(crate) path: &'static str,
}

/// Refresh tokens live on.
pub(crate) const GOOGLE: Kind = Kind {
    strategy: "google-oauth2",
    connection: "google-oauth2",
    model: BARBARA,
    token_host: "oauth2.googleapis.com",
    token_path: "/token",
    api_host: "www.googleapis.com",
    path: "/oauth2/v3/userinfo",
};

/// A refresh token dies at use; its second use is refused.
pub(crate) const BITBUCKET: Kind = Kind {
    strategy: "bitbucket",
    connection: "bitbucket",
    model: KEN,
    token_host: "bitbucket.org",
    token_path: "/site/oauth2/access_token",
    api_host: "api.bitbucket.org",
    path: "/2.0/user",
};

/// The same, its second use ends the grant, and the access token dies with a renewal.
pub(crate) const GITHUB: Kind = Kind {
    strategy: "github",
    connection: "github",
    model: MARGARET,
    token_host: "github.com",
    token_path: "/login/oauth/access_token",
    api_host: "api.github.com",
    path: "/user",
};

/// A refresh token dies at use, and its second use ends the grant.
pub(crate) const CRM: Kind = Kind {
    strategy: "oauth2",
    connection: "acme-crm",
    model: FRANCES,
    token_host: "login.crm.example",
    token_path: "/oauth2/token",
    api_host: "api.crm.example",
    path: "/v1/me",
};

pub(crate) const ALL: [Kind; 4] = [GOOGLE, BITBUCKET, GITHUB, CRM];

impl Kind {
    /// A fault of the provider's token endpoint.
    pub(crate) fn fault(self) -> Fault {
        Fault::on(self.token_host).path(self.token_path)
    }

    /// Whether a request of the journal is for tokens.
    pub(crate) fn is_renewal(self, entry: &Entry) -> bool {
        entry.host == self.token_host && entry.path == self.token_path
    }
}

/// A user with one account.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) kind: Kind,
    pub(crate) id: String,
}

impl Person {
    /// A user as the seed knows it, whose token was issued `age` ago and lives for an hour. `number` tells
    /// users of a provider apart.
    pub(crate) fn new(kind: Kind, number: u32, age: Duration) -> (Self, UserSeed) {
        let account = match kind {
            CRM => format!("acme-crm|{number}"),
            _ => number.to_string(),
        };
        let id = format!("{}|{account}", kind.strategy);
        let model = Seed::sample().users.into_iter().find(|user| user.id == kind.model).unwrap();
        let identity = IdentitySeed {
            user_id: account,
            logged_in: age,
            expires_in: Some(Duration::from_secs(3600)),
            ..model.identities[0].clone()
        };
        let seed = UserSeed { id: id.clone(), identities: vec![identity], ..model };
        (Self { kind, id }, seed)
    }

    pub(crate) fn selector(&self) -> IdentitySelector {
        at(&self.id, self.kind.strategy)
    }
}
