//! Users whose tokens are to be renewed, at a service with a durable store.

use std::time::Duration;

use idp_token_sandbox::{Entry, Fault, IdentitySeed, Sandbox, Seed, TokenSeed, UserSeed};
use idp_token_service::{
    config::Config,
    identity::{IdentityKey, UserId},
    service::pb::{GetIdentityTokenRequest, GetIdentityTokenResponse, IdentitySelector},
    store::{Record, Store},
};
use idp_token_testkit::{
    World,
    database::Database,
    eventually,
    people::{FRANCES, KEN, MARGARET, at},
};
use tonic::Status;
use tonic_types::StatusExt;

use super::kinds::Kind;

/// What every token here lives when it is new.
pub(super) const LIFE: Duration = Duration::from_secs(3600);

/// What is left of it: too much for a renewal ahead of need.
pub(super) const LEFT: Duration = Duration::from_secs(400);

/// More than is left, in seconds.
pub(super) const LONG: i64 = 600;

/// Less than is left, in seconds.
pub(super) const SHORT: i64 = 60;

/// Longer than a renewal may take, and shorter than a call.
const TOO_LONG: Duration = Duration::from_secs(21);

/// A world that can have many users, one after the other.
pub(super) struct Bench {
    pub(super) world: World,
    store: Store,
    users: u32,
    _database: Database,
}

/// Auth0's limits are not what is tested here.
pub(super) fn unlimit(seed: &mut Seed) {
    seed.management.requests_per_second = 1000.0;
    seed.management.burst = 1000;
}

/// A user of one provider, whose token lives for [`LEFT`] more.
pub(super) struct User<'a> {
    pub(super) kind: &'a Kind,
    pub(super) id: String,
    account: String,
}

impl Bench {
    pub(super) async fn start() -> Self {
        Self::configured(|_| {}).await
    }

    pub(super) async fn configured(configure: impl FnOnce(&mut Config)) -> Self {
        let database = Database::new();
        let quick = |config: &mut Config| {
            config.auth0.requests_per_second = 1000;
            database.configure(config);
            configure(config);
        };
        let world = World::with(unlimit, quick).await.ready().await;
        let store = database.open().await.unwrap();
        Self { world, store, users: 0, _database: database }
    }

    /// Has the provider call another user's token active, so that it is believed when it calls one dead.
    pub(super) async fn prove(&self, kind: &Kind) {
        let user = match kind.strategy {
            "github" => MARGARET,
            "bitbucket" => KEN,
            _ => FRANCES,
        };
        assert!(self.world.inspect(at(user, kind.strategy)).await.unwrap().active);
    }

    pub(super) fn user<'a>(&mut self, kind: &'a Kind) -> User<'a> {
        self.user_since(kind, LIFE - LEFT)
    }

    /// A user who logged in so long ago.
    pub(super) fn user_since<'a>(&mut self, kind: &'a Kind, logged_in: Duration) -> User<'a> {
        self.users += 1;
        User::add(&self.world.sandbox, kind, self.users, logged_in)
    }

    /// Scripts `fault` for the next request to the token endpoint, and forgets earlier ones.
    pub(super) fn script(&self, kind: &Kind, fault: impl FnOnce(Fault) -> Fault) {
        self.world.sandbox.journal().clear();
        self.world.sandbox.faults().clear();
        self.world.sandbox.faults().script(fault(Fault::on(kind.host).path(kind.path)));
    }

    /// Asks for a token that lives `seconds`.
    pub(super) async fn lend(
        &self,
        user: &User<'_>,
        seconds: i64,
    ) -> Result<GetIdentityTokenResponse, Status> {
        self.ask(user.wish(seconds)).await
    }

    /// Asks again where the store has just been asked something while time passed, which it takes for a slow answer.
    async fn ask(&self, request: GetIdentityTokenRequest) -> Result<GetIdentityTokenResponse, Status> {
        let mut outcome = Err(Status::unknown("nobody asked"));
        eventually("an answer of the store", async || {
            outcome = self.world.lend_with(request.clone()).await;
            let is_of_store = |status: &Status| {
                let details = status.get_error_details();
                details.error_info().is_some_and(|info| info.reason == "STORE_UNAVAILABLE")
            };
            !outcome.as_ref().is_err_and(is_of_store)
        })
        .await;
        outcome
    }

    /// The same at an endpoint that does not answer: until the service gives up.
    pub(super) async fn lend_in_vain(&mut self, user: &User<'_>) -> Result<GetIdentityTokenResponse, Status> {
        let mut client = self.world.service.client();
        let request = user.wish(LONG);
        let lent = tokio::spawn(async move { client.get_identity_token(request).await });
        eventually("a request for new tokens", async || self.requests(user.kind).len() == 1).await;
        self.world.pass(TOO_LONG).await;
        lent.await.unwrap().map(tonic::Response::into_inner)
    }

    /// Asks for another token than `rejected`.
    pub(super) async fn lend_instead(
        &self,
        user: &User<'_>,
        rejected: &str,
    ) -> Result<GetIdentityTokenResponse, Status> {
        let request =
            GetIdentityTokenRequest { rejected_fingerprint: rejected.to_owned(), ..user.wish(SHORT) };
        self.ask(request).await
    }

    /// The requests for new tokens since the last [`Self::script`].
    pub(super) fn requests(&self, kind: &Kind) -> Vec<Entry> {
        let mut entries = self.world.sandbox.journal().to(kind.host);
        entries.retain(|entry| entry.path == kind.path);
        entries
    }

    /// The refresh tokens that were sent since the last [`Self::script`].
    pub(super) fn sent(&self, kind: &Kind) -> Vec<String> {
        let token = |entry: &Entry| {
            let mut fields = url::form_urlencoded::parse(&entry.body);
            fields.find(|(name, _)| name == "refresh_token").map(|(_, value)| value.into_owned())
        };
        self.requests(kind).iter().filter_map(token).collect()
    }

    /// What the store holds of the user.
    pub(super) async fn record(&self, user: &User<'_>) -> Record {
        self.store
            .load(&user.key(), &user.id())
            .await
            .unwrap()
            .expect("something is known of the identity")
            .record
    }

    /// The access token that Auth0 has.
    pub(super) fn old(&self, user: &User<'_>) -> String {
        self.world.sandbox.access_token(&user.id, user.kind.connection).unwrap()
    }
}

impl<'a> User<'a> {
    /// The user of this number, who logged in so long ago.
    pub(super) fn add(sandbox: &Sandbox, kind: &'a Kind, number: u32, logged_in: Duration) -> Self {
        let digits = (9_000_000 + number).to_string();
        let account =
            if kind.strategy == "oauth2" { format!("{}|{digits}", kind.connection) } else { digits };
        let user = Self { kind, id: format!("{}|{account}", kind.strategy), account };
        sandbox.add_user(UserSeed {
            id: user.id.clone(),
            name: "Jean Bartik".to_owned(),
            email: format!("jean{number}@sandbox.example"),
            identities: vec![IdentitySeed {
                connection: kind.connection.to_owned(),
                provider: Some(kind.strategy.to_owned()),
                user_id: user.account.clone(),
                nickname: Some(format!("jean{number}")),
                logged_in,
                expires_in: Some(LIFE),
                scopes: kind.scopes.iter().map(ToString::to_string).collect(),
                access_token: None,
                refresh_token: kind.refreshes.then_some(TokenSeed::Made(true)),
            }],
            connected_accounts: Vec::new(),
        });
        user
    }

    pub(super) fn id(&self) -> UserId {
        UserId::parse(self.id.clone(), "user_id").unwrap()
    }

    /// By which the store knows the identity.
    pub(super) fn key(&self) -> IdentityKey {
        IdentityKey { connection: self.kind.connection.to_owned(), account_id: self.account.clone() }
    }

    /// A request for a token that lives `seconds`.
    pub(super) fn wish(&self, seconds: i64) -> GetIdentityTokenRequest {
        let min_validity = Some(prost_types::Duration { seconds, nanos: 0 });
        GetIdentityTokenRequest { identity: Some(self.selector()), min_validity, ..Default::default() }
    }

    pub(super) fn selector(&self) -> IdentitySelector {
        let (user_id, provider) = (self.id.clone(), self.kind.strategy.to_owned());
        IdentitySelector { user_id, provider, ..Default::default() }
    }
}
