//! What was found about tokens by reading with hostile eyes, at the level where a user would feel it: grants
//! that were lost, dead tokens that were lent, living ones that were withheld.

mod dead;
mod ends;
mod facebook;
mod inspections;
mod linking;
mod types;
mod unconfirmed;

use std::time::Duration;

use idp_token_sandbox::{IdentitySeed, Seed, TokenSeed, UserSeed};
use idp_token_service::{
    service::pb::{
        GetIdentityTokenRequest, Identity, IdentitySelector, InspectIdentityTokenRequest,
        InspectIdentityTokenResponse, ListIdentitiesRequest, identity::State,
    },
    token::Fingerprint,
};
use idp_token_testkit::{World, assert_error, get, http::Build, issuer::Issuer};
use tonic::{Code, Request, Status};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Where a provider that only the standards describe is, and where its tokens come from.
const CRM: &str = "api.crm.example";
const CRM_LOGIN: &str = "login.crm.example";

/// Who calls.
struct Caller {
    bearer: String,
}

impl Caller {
    /// The service `name` of a world that trusts `issuer`.
    fn service(issuer: &Issuer, name: &str) -> Self {
        let mut claims = issuer.claims();
        claims["sub"] = name.into();
        Self::bearing(&issuer.sign(&claims))
    }

    fn bearing(token: &str) -> Self {
        Self { bearer: format!("Bearer {token}") }
    }

    fn says<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.bearer.parse().unwrap());
        request
    }

    async fn lend(&self, world: &World, identity: IdentitySelector) -> Result<String, Status> {
        self.lend_instead(world, identity, "").await
    }

    /// Asks for another token than `rejected`, if that is not empty.
    async fn lend_instead(
        &self,
        world: &World,
        identity: IdentitySelector,
        rejected: &str,
    ) -> Result<String, Status> {
        let rejected_fingerprint = Some(rejected).filter(|token| !token.is_empty());
        let rejected_fingerprint =
            rejected_fingerprint.map(|token| Fingerprint::of(token).to_string()).unwrap_or_default();
        let request =
            GetIdentityTokenRequest { identity: Some(identity), rejected_fingerprint, ..Default::default() };
        let lent = world.service.client().get_identity_token(self.says(request)).await?;
        Ok(lent.into_inner().access_token)
    }

    /// GETs a path of the provider: the status of its answer.
    async fn call(&self, world: &World, identity: IdentitySelector, path: &str) -> Result<i32, Status> {
        let request = self.says(get(path).by(identity));
        world.service.client().call_provider(request).await.map(|answer| answer.into_inner().status_code)
    }

    async fn states(&self, world: &World, user: &str) -> Vec<State> {
        let request = ListIdentitiesRequest { user_id: user.to_owned(), ..Default::default() };
        let answer = world.service.client().list_identities(self.says(request)).await.unwrap();
        answer.into_inner().identities.iter().map(Identity::state).collect()
    }

    async fn inspect(&self, world: &World, identity: IdentitySelector) -> InspectIdentityTokenResponse {
        let request = self.says(InspectIdentityTokenRequest { identity: Some(identity) });
        world.service.client().inspect_identity_token(request).await.unwrap().into_inner()
    }
}

#[track_caller]
fn assert_only_the_user_can_help<T: std::fmt::Debug>(outcome: Result<T, Status>) {
    assert_error(outcome, Code::FailedPrecondition, "REAUTHENTICATION_REQUIRED");
}

/// How often a host was asked for something below `path`.
fn requests(world: &World, host: &str, path: &str) -> usize {
    world.sandbox.journal().to(host).iter().filter(|entry| entry.path.starts_with(path)).count()
}

/// The sample's user of that id.
fn user<'a>(seed: &'a mut Seed, id: &str) -> &'a mut UserSeed {
    seed.users.iter_mut().find(|user| user.id == id).unwrap()
}

/// Gives the only identity of `id` a token that is `age` old and lives for an hour; with a refresh token, or
/// without.
fn aged(seed: &mut Seed, id: &str, age: Duration, refreshes: bool) {
    let identity = &mut user(seed, id).identities[0];
    (identity.logged_in, identity.expires_in) = (age, Some(HOUR));
    identity.refresh_token = refreshes.then_some(TokenSeed::Made(true));
}

/// A user with an identity of Google, whose tokens end, and one of GitHub, whose tokens do not; both logged
/// in so long ago.
const LINKED: &str = "google-oauth2|777";

fn linked_user(age: Duration, refreshes: bool) -> UserSeed {
    let identity = |connection: &str, expires_in: Option<Duration>| IdentitySeed {
        connection: connection.to_owned(),
        provider: None,
        user_id: "777".to_owned(),
        nickname: None,
        logged_in: age,
        expires_in,
        scopes: Vec::new(),
        access_token: None,
        refresh_token: None,
    };
    let google = IdentitySeed {
        refresh_token: refreshes.then_some(TokenSeed::Made(true)),
        ..identity("google-oauth2", Some(HOUR - SECOND))
    };
    UserSeed {
        id: LINKED.to_owned(),
        name: "Jean Bartik".to_owned(),
        email: "jean@sandbox.example".to_owned(),
        identities: vec![google, identity("github", None)],
        connected_accounts: Vec::new(),
    }
}
