//! A store of SQLite outlives the process, a mistake with its keys, and their change: what was rotated is
//! nowhere else.

use std::time::{Duration, SystemTime};

use idp_token_sandbox::{Reuse, Sandbox, Seed};
use idp_token_service::{
    cli,
    service::pb::{
        GetIdentityTokenRequest, GetIdentityTokenResponse, TokenSource,
        idp_token_service_client::IdpTokenServiceClient,
    },
    store::Record,
};
use idp_token_testkit::{
    ANYWHERE, Service, channel,
    database::Database,
    keys,
    process::{Ended, Running, command, environment, run},
};
use tempfile::TempDir;

use super::{
    bench::{LEFT, LIFE, LONG, User, unlimit},
    kinds::{BITBUCKET, GENERIC},
};

const HOUR: Duration = Duration::from_secs(3600);

async fn tenant() -> Sandbox {
    let mut seed = Seed { signing_key: Some(keys::SIGNING_KEY.clone()), ..Seed::sample() };
    unlimit(&mut seed);
    Sandbox::start(seed, ANYWHERE).await.unwrap()
}

/// All that the program needs to renew at Bitbucket.
struct Surroundings {
    sandbox: Sandbox,
    database: Database,
    folder: TempDir,
}

impl Surroundings {
    async fn new() -> Self {
        Self { sandbox: tenant().await, database: Database::new(), folder: tempfile::tempdir().unwrap() }
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        environment(&self.sandbox).into_iter().chain(self.database.environment()).collect()
    }

    /// The configuration file.
    fn file(&self) -> String {
        let (app, url) = (self.sandbox.oauth_app("bitbucket").unwrap(), self.sandbox.url());
        let hosts = format!("{{ {:?} = {url:?}, {:?} = {url:?} }}", "api.bitbucket.org", BITBUCKET.host);
        let (id, secret) = (app.client_id, app.client_secret);
        let text = format!(
            "[providers.bitbucket]\nclient_id = {id:?}\nclient_secret = {secret:?}\nhosts = {hosts}\n"
        );
        let file = self.folder.path().join("configuration.toml");
        std::fs::write(&file, text).unwrap();
        file.display().to_string()
    }

    async fn serve(&self) -> Running {
        let mut serve = command(&["serve", "--config", &self.file()]);
        serve.envs(self.variables()).env("IDP_TOKEN_DRAIN", "0s");
        Running::start(serve).await
    }

    /// What `serve` says where it does not start.
    async fn refusal(&self) -> Ended {
        let variables = self.variables();
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        run(&["serve", "--config", &self.file()], &variables).await
    }

    async fn record(&self, user: &User<'_>) -> (u64, Record) {
        let stored =
            self.database.open().await.unwrap().load(&user.key(), &user.id()).await.unwrap().unwrap();
        (stored.generation, stored.record)
    }

    /// Lets the stored token have been obtained long ago.
    async fn age(&self, user: &User<'_>) {
        let (generation, mut record) = self.record(user).await;
        let tokens = record.tokens.as_mut().unwrap();
        let long_ago = SystemTime::now() - HOUR * 3;
        (tokens.obtained_at, tokens.expires_at) = (long_ago, Some(long_ago + LIFE));
        self.database.open().await.unwrap().swap(&user.key(), &user.id(), generation, &record).await.unwrap();
    }
}

async fn lend(serve: &Running, request: GetIdentityTokenRequest) -> GetIdentityTokenResponse {
    let mut client = IdpTokenServiceClient::new(channel(serve.grpc));
    client.get_identity_token(request).await.unwrap().into_inner()
}

async fn stop(serve: Running) {
    serve.signal("TERM").await;
    assert!(serve.ended().await.0.success());
}

#[tokio::test]
async fn a_rotated_token_outlives_a_restart_and_mistakes_with_the_key_file() {
    let around = Surroundings::new().await;
    let user = User::add(&around.sandbox, &BITBUCKET, 1, LIFE - LEFT);
    let serve = around.serve().await;
    let first = lend(&serve, user.wish(LONG)).await;
    assert_eq!(first.source(), TokenSource::Renewed);
    stop(serve).await;

    let stored = around.database.text("SELECT group_concat(hex(sealed)) FROM idp_token_record").await;
    around.database.write_keys(&[2]);
    let wrong = around.refusal().await;
    std::fs::remove_file(around.database.keys_file()).unwrap();
    let lost = around.refusal().await;
    for (ended, words) in [(wrong, "a row under the encryption key"), (lost, "names an unusable file")] {
        assert_eq!(ended.code, 64, "{}", ended.stderr);
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    }
    around.database.write_keys(&[1]);
    let again = around.database.text("SELECT group_concat(hex(sealed)) FROM idp_token_record").await;
    assert_eq!(stored, again, "nothing was touched");

    around.sandbox.journal().clear();
    let serve = around.serve().await;
    assert_eq!(lend(&serve, user.wish(LONG)).await.access_token, first.access_token);
    assert_eq!(around.sandbox.journal().to(BITBUCKET.host).len(), 0, "nothing is renewed that lives");
    stop(serve).await;

    around.age(&user).await;
    let serve = around.serve().await;
    let second = lend(&serve, user.wish(LONG)).await;
    assert_ne!(second.access_token, first.access_token);
    assert!(around.sandbox.is_alive(&second.access_token));
    assert_eq!(around.sandbox.reuse(), Reuse::default(), "the rotated refresh token was used, not Auth0's");
    stop(serve).await;
}

/// Users whose tokens are renewed before the change of keys, and as many while it is made.
const USERS: u32 = 30;

async fn renew(service: &Service, user: &User<'_>) -> String {
    let lent = service.client().get_identity_token(user.wish(LONG)).await.unwrap().into_inner();
    assert_eq!(lent.source(), TokenSource::Renewed);
    lent.access_token
}

#[tokio::test]
async fn keys_are_changed_while_tokens_are_renewed_and_lent_and_none_is_lost() {
    let around = Surroundings::new().await;
    let mut config = cli::sandbox_config(&around.sandbox, ANYWHERE, ANYWHERE);
    config.auth0.requests_per_second = 1000;
    around.database.configure(&mut config);
    let service = Service::start(&config).await;
    let mut tokens = Vec::new();
    for number in 0..USERS {
        let user = User::add(&around.sandbox, &GENERIC, number, LIFE - LEFT);
        let token = renew(&service, &user).await;
        tokens.push((user, token));
    }
    drop(service);

    around.database.write_keys(&[2, 1]);
    around.database.configure(&mut config);
    let service = Service::start(&config).await;
    let variables = around.variables();
    let rekey = tokio::spawn(async move {
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        run(&["rekey"], &variables).await
    });
    for number in USERS..2 * USERS {
        let user = User::add(&around.sandbox, &GENERIC, number, LIFE - LEFT);
        let token = renew(&service, &user).await;
        tokens.push((user, token));
        let (old, token) = &tokens[usize::try_from(number % USERS).unwrap()];
        assert_eq!(renew(&service, old).await, *token);
    }
    let ended = rekey.await.unwrap();
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
    assert!(ended.stdout.contains("still under others: 0"), "{}", ended.stdout);
    drop(service);

    around.database.write_keys(&[2]);
    around.database.configure(&mut config);
    let service = Service::start(&config).await;
    around.sandbox.journal().clear();
    for (user, token) in &tokens {
        assert_eq!(renew(&service, user).await, *token);
    }
    assert_eq!(around.sandbox.journal().to(GENERIC.host).len(), 0);
    assert_eq!(around.sandbox.reuse(), Reuse::default());
}
