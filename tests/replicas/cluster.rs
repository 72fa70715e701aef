//! Replicas, their tenant, and their callers.

use std::{fmt::Write as _, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use idp_token_sandbox::{Entry, Reuse, Sandbox, Seed};
use idp_token_service::{
    service::pb::{
        CallProviderRequest, CallProviderResponse, GetIdentityTokenRequest, GetIdentityTokenResponse,
        IdentitySelector, InspectIdentityTokenRequest, RevokeIdentityTokenRequest,
        idp_token_service_client::IdpTokenServiceClient,
    },
    token::Fingerprint,
};
use idp_token_testkit::{
    ANYWHERE, channel, eventually, get,
    http::Build,
    keys,
    process::{Running, command, environment},
    within,
};
use tokio::task::{JoinHandle, JoinSet};
use tonic::{Response, Status, transport::Channel};

use crate::person::{CRM, GITHUB, Kind, Person};

/// Callers of each replica at the same time.
pub(crate) const CALLERS: usize = 64;

/// The replicas.
pub(crate) const REPLICAS: usize = 3;

/// Nobody waits longer for a token than the slowest thing that can happen takes.
const DEADLINE: Duration = Duration::from_secs(120);

/// What a caller is told.
pub(crate) type Lent = Result<GetIdentityTokenResponse, Status>;

/// A sandbox, and replicas of the program that work with it.
pub(crate) struct Cluster {
    pub(crate) sandbox: Sandbox,
    pub(crate) replicas: Vec<Replica>,
    folder: tempfile::TempDir,
}

/// One of them, with a connection to it.
pub(crate) struct Replica {
    pub(crate) process: Running,
    channel: Channel,
}

impl Cluster {
    /// Replicas on the database at `url`, ready.
    pub(crate) async fn start(url: &str) -> Self {
        Self::by([url; REPLICAS]).await
    }

    /// The same, each by a way of its own.
    pub(crate) async fn by<const N: usize>(urls: [&str; N]) -> Self {
        Self::of_tenant(&Seed::sample().domain, urls).await
    }

    /// The same for another tenant.
    pub(crate) async fn of_tenant<const N: usize>(domain: &str, urls: [&str; N]) -> Self {
        let signing_key = Some(keys::SIGNING_KEY.clone());
        let mut seed = Seed { signing_key, domain: domain.to_owned(), ..Seed::sample() };
        // Auth0's limits are not what this is about.
        (seed.management.requests_per_second, seed.management.burst) = (1000.0, 1000);
        let sandbox = Sandbox::start(seed, ANYWHERE).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("keys"), BASE64_STANDARD.encode([7; 32])).unwrap();
        std::fs::write(folder.path().join("service.toml"), configuration(&sandbox)).unwrap();
        let mut cluster = Self { sandbox, replicas: vec![], folder };
        for url in urls {
            let replica = cluster.launch(url).await;
            cluster.replicas.push(replica);
        }
        cluster.sandbox.journal().clear();
        cluster
    }

    /// One more replica, ready.
    pub(crate) async fn launch(&self, url: &str) -> Replica {
        let path = |name: &str| self.folder.path().join(name).to_str().unwrap().to_owned();
        let mut serve = command(&["serve", "--config", &path("service.toml")]);
        serve.envs(environment(&self.sandbox)).env("IDP_TOKEN_STORE_URL", url);
        serve.env("IDP_TOKEN_STORE_ENCRYPTION_KEYS_FILE", path("keys"));
        let process = Running::ready(serve).await;
        Replica { channel: channel(process.grpc), process }
    }

    /// A new user whose token has just expired.
    pub(crate) fn expired(&self, kind: Kind, number: u32) -> Person {
        self.person(kind, number, Duration::from_secs(3600))
    }

    /// A new user who has just logged in.
    pub(crate) fn fresh(&self, kind: Kind, number: u32) -> Person {
        self.person(kind, number, Duration::ZERO)
    }

    fn person(&self, kind: Kind, number: u32, age: Duration) -> Person {
        let (person, seed) = Person::new(kind, number, age);
        self.sandbox.add_user(seed);
        person
    }

    /// Shows every replica that it is known as the application: until then a provider that does not know a
    /// token may mean that it is another application's.
    pub(crate) async fn prove_apps(&self) {
        for kind in [GITHUB, CRM] {
            let person = self.fresh(kind, 1_000_000);
            for replica in &self.replicas {
                let request = InspectIdentityTokenRequest { identity: Some(person.selector()) };
                assert!(replica.client().inspect_identity_token(request).await.unwrap().into_inner().active);
            }
        }
    }

    /// How often a provider was asked for new tokens.
    pub(crate) fn requests(&self, kind: Kind) -> usize {
        self.sandbox.journal().count(|entry| kind.is_renewal(entry))
    }

    /// What a provider was asked for new tokens.
    pub(crate) fn renewals(&self, kind: Kind) -> Vec<Entry> {
        let entries = self.sandbox.journal().entries();
        entries.into_iter().filter(|entry| kind.is_renewal(entry)).collect()
    }

    /// Waits until a provider has been asked so often.
    pub(crate) async fn asked(&self, kind: Kind, times: usize) {
        eventually("a request for new tokens", async || self.requests(kind) >= times).await;
    }

    /// Waits until a provider has answered all that it was asked.
    pub(crate) async fn answered(&self, kind: Kind) {
        let is_due = |entry: &Entry| kind.is_renewal(entry) && entry.status.is_none();
        eventually("an answer", async || self.sandbox.journal().count(is_due) == 0).await;
    }

    /// No refresh token was used twice.
    #[track_caller]
    pub(crate) fn assert_no_reuse(&self) {
        assert_eq!(self.sandbox.reuse(), Reuse::default());
    }

    /// [`CALLERS`] of each replica, who come within `spread`; they hold `rejected` and say that it is
    /// refused.
    pub(crate) fn crowd(&self, person: &Person, spread: Duration, rejected: Option<&str>) -> JoinSet<Lent> {
        let mut crowd = JoinSet::new();
        for replica in &self.replicas {
            replica.crowd(&mut crowd, person, spread, rejected);
        }
        crowd
    }

    /// Every replica lends this token, and it works.
    pub(crate) async fn assert_lent(&self, person: &Person, token: &str) {
        for replica in &self.replicas {
            assert_eq!(replica.lend(person).await.unwrap().access_token, token);
            assert_eq!(replica.call(person).await.unwrap().status_code, 200);
            let sent = self.sandbox.journal().to(person.kind.api_host).pop().unwrap();
            assert_eq!(sent.header("authorization").unwrap(), format!("Bearer {token}"));
        }
    }
}

impl Replica {
    fn client(&self) -> IdpTokenServiceClient<Channel> {
        IdpTokenServiceClient::new(self.channel.clone())
    }

    pub(crate) async fn lend(&self, person: &Person) -> Lent {
        lend(self.client(), person.selector(), None).await
    }

    /// A caller that is under way while the test goes on.
    pub(crate) fn lending(&self, person: &Person) -> JoinHandle<Lent> {
        tokio::spawn(lend(self.client(), person.selector(), None))
    }

    pub(crate) async fn revoke(&self, person: &Person) {
        let request = RevokeIdentityTokenRequest { identity: Some(person.selector()) };
        self.client().revoke_identity_token(within(DEADLINE, request)).await.unwrap();
    }

    pub(crate) async fn call(&self, person: &Person) -> Result<CallProviderResponse, Status> {
        call(self.client(), person).await
    }

    /// Adds [`CALLERS`], who come within `spread`.
    pub(crate) fn crowd(
        &self,
        crowd: &mut JoinSet<Lent>,
        person: &Person,
        spread: Duration,
        rejected: Option<&str>,
    ) {
        for caller in 0..CALLERS {
            let (client, selector) = (self.client(), person.selector());
            let rejected = rejected.map(|token| Fingerprint::of(token).to_string());
            crowd.spawn(async move {
                arrive(caller, spread).await;
                lend(client, selector, rejected).await
            });
        }
    }

    /// One caller, who reports `rejected` as refused.
    pub(crate) fn first(&self, crowd: &mut JoinSet<Lent>, person: &Person, rejected: &str) {
        crowd.spawn(lend(self.client(), person.selector(), Some(Fingerprint::of(rejected).to_string())));
    }

    /// A caller who tries again until it is served; the token.
    pub(crate) fn insisting(&self, person: &Person) -> JoinHandle<String> {
        let (client, person) = (self.client(), person.clone());
        let insist = async move {
            loop {
                match lend(client.clone(), person.selector(), None).await {
                    Ok(lent) => return lent.access_token,
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        };
        tokio::spawn(async { tokio::time::timeout(DEADLINE, insist).await.expect("it is served at last") })
    }

    /// Adds [`CALLERS`] who have calls made.
    pub(crate) fn callers(
        &self,
        crowd: &mut JoinSet<Result<CallProviderResponse, Status>>,
        person: &Person,
        spread: Duration,
    ) {
        for caller in 0..CALLERS {
            let (client, person) = (self.client(), person.clone());
            crowd.spawn(async move {
                arrive(caller, spread).await;
                call(client, &person).await
            });
        }
    }
}

/// Callers come one after the other within `spread`, in an order that is not that of their numbers.
async fn arrive(caller: usize, spread: Duration) {
    let place = u32::try_from(caller * 37 % CALLERS + 1).unwrap();
    tokio::time::sleep(spread * place / u32::try_from(CALLERS).unwrap()).await;
}

async fn lend(
    mut client: IdpTokenServiceClient<Channel>,
    identity: IdentitySelector,
    rejected: Option<String>,
) -> Lent {
    let request = GetIdentityTokenRequest {
        identity: Some(identity),
        rejected_fingerprint: rejected.unwrap_or_default(),
        ..Default::default()
    };
    client.get_identity_token(within(DEADLINE, request)).await.map(Response::into_inner)
}

async fn call(
    mut client: IdpTokenServiceClient<Channel>,
    person: &Person,
) -> Result<CallProviderResponse, Status> {
    let request: CallProviderRequest = get(person.kind.path).at(person.kind.api_host).by(person.selector());
    client.call_provider(within(DEADLINE, request)).await.map(Response::into_inner)
}

/// All were served, with one and the same token, which is this.
pub(crate) async fn one_token(crowd: JoinSet<Lent>) -> String {
    let mut tokens: Vec<_> =
        crowd.join_all().await.into_iter().map(|lent| lent.unwrap().access_token).collect();
    tokens.sort();
    tokens.dedup();
    let [token] = &tokens[..] else { panic!("{} different tokens", tokens.len()) };
    token.clone()
}

/// A file that finds every provider at `sandbox`, as the app that it knows.
fn configuration(sandbox: &Sandbox) -> String {
    let mut file = "[auth0]\nrequests_per_second = 500\n".to_owned();
    let table = |file: &mut String, name: &str, app: (&str, &str), hosts: &[&str]| {
        let hosts: Vec<_> = hosts.iter().map(|host| format!("{host:?} = {:?}", sandbox.url())).collect();
        let ((id, secret), hosts) = (app, hosts.join(", "));
        writeln!(file, "[providers.{name}]\nclient_id = {id:?}\nclient_secret = {secret:?}").unwrap();
        writeln!(file, "hosts = {{ {hosts} }}").unwrap();
    };
    for (strategy, hosts) in [
        ("google-oauth2", ["www.googleapis.com", "oauth2.googleapis.com"]),
        ("github", ["api.github.com", "github.com"]),
        ("bitbucket", ["api.bitbucket.org", "bitbucket.org"]),
    ] {
        let app = sandbox.oauth_app(strategy).unwrap();
        table(&mut file, strategy, (app.client_id, app.client_secret), &hosts);
    }
    let crm = &sandbox.generic_providers()[0];
    let app = (crm.client_id.as_str(), crm.client_secret.as_deref().unwrap());
    table(&mut file, &crm.connection, app, &[&crm.api_host, &crm.auth_host]);
    writeln!(file, "strategy = \"oauth2\"\ntoken_url = {:?}", crm.token_url()).unwrap();
    writeln!(file, "inspect_url = {:?}", crm.inspect_url()).unwrap();
    file
}
