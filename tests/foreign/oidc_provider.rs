//! oidc-provider, an OAuth 2.0 server that others wrote and certified, as the provider behind a generic
//! connection.

use std::{
    process::Stdio,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Request, Response};
use idp_token_sandbox::{IdentitySeed, Seed, TokenSeed, UserSeed};
use idp_token_service::{
    config::Config,
    identity::{IdentityKey, UserId},
    provider::{
        self, AuthMethod, InspectionVerdict, Provider, RenewalVerdict, RevocationVerdict, Settings, TokenPair,
    },
    secret::Secret,
    service::pb::{GetIdentityTokenRequest, GetIdentityTokenResponse, TokenSource},
    store::{RenewedTokens, Store},
    token::{AccessToken, RefreshToken},
    transport::Transport,
};
use idp_token_testkit::{PATIENCE, World, database::Database, keys::VAULT_KEY, people::at};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout},
    time::{Instant, timeout},
};

use crate::tools::{client, node};

const CONNECTION: &str = "acme-crm";
const USER: &str = "oauth2|acme-crm|ada";

/// After this time a token of an hour lives for less than the ten minutes that are asked for.
const NEARLY_OVER: Duration = Duration::from_secs(3001);

/// The server, and one of its applications.
struct Issuer {
    _process: Child,
    events: Lines<BufReader<ChildStdout>>,
    settings: Settings,
    access: AccessToken,
    refresh: RefreshToken,
}

impl Issuer {
    /// For the application of that name, which proves itself by `method`.
    async fn start(name: &str, method: AuthMethod) -> Self {
        let mut program = node();
        program.arg(client("node/authorization_server.mjs")).arg(&VAULT_KEY.private_pem);
        let mut process = program.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut events = BufReader::new(process.stdout.take().unwrap()).lines();
        let first = loop {
            let line = timeout(PATIENCE, next(&mut events)).await.expect("the server starts");
            if line["issuer"].is_string() {
                break line;
            }
            assert_eq!(line["event"], "success", "{line}");
        };
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("no tokens: {first}")).to_owned();
        let url = |path: &str| Some(format!("{}{path}", text(&first["issuer"])).parse().unwrap());
        let secret = |value: String| Some(Arc::new(Secret::fixed(value)));
        let is_keyed = method == AuthMethod::PrivateKeyJwt;
        let settings = Settings {
            hosts: vec!["api.crm.example".to_owned()],
            client_id: Some(name.to_owned()),
            client_secret: secret(text(&first["secret"])).filter(|_| !is_keyed),
            private_key: secret(VAULT_KEY.private_pem.clone()).filter(|_| is_keyed),
            token_auth_method: Some(method),
            token_url: url("/token"),
            inspect_url: url("/token/introspection"),
            revoke_url: url("/token/revocation"),
            ..Settings::default()
        };
        let tokens = &first["tokens"][name];
        let access = AccessToken::new(text(&tokens["access_token"]));
        let refresh = RefreshToken::new(text(&tokens["refresh_token"]));
        Self { _process: process, events, settings, access, refresh }
    }

    /// What happened at its token endpoint, up to an error that this makes.
    async fn happened(&mut self) -> Vec<Value> {
        let url = self.settings.token_url.clone().unwrap().to_string();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let form = "grant_type=refresh_token&refresh_token=marker&client_id=nobody";
        let headers = ("content-type", "application/x-www-form-urlencoded");
        client.post(url).header(headers.0, headers.1).body(form).send().await.unwrap();
        let mut found = Vec::new();
        loop {
            let event = timeout(PATIENCE, next(&mut self.events)).await.expect("the marker comes");
            if event["detail"].as_str().is_some_and(|detail| detail.contains("client not found")) {
                return found;
            }
            found.push(event["event"].clone());
        }
    }

    fn adapter(&self) -> Box<dyn Provider> {
        provider::build("oauth2", self.settings.clone()).unwrap()
    }
}

async fn next(lines: &mut Lines<BufReader<ChildStdout>>) -> Value {
    let line = lines.next_line().await.unwrap().expect("the server goes on");
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

async fn send(request: Request<Bytes>) -> Response<Bytes> {
    Transport::new().unwrap().send(request, 64 * 1024, Instant::now() + PATIENCE).await.unwrap()
}

/// What the adapter reads of a renewal with `refresh`.
async fn renew(adapter: &dyn Provider, access: &AccessToken, refresh: &RefreshToken) -> RenewalVerdict {
    let renewal = adapter.renewal().unwrap();
    let request = renewal.encode(TokenPair { access, refresh: Some(refresh) }, SystemTime::now()).unwrap();
    renewal.read(&send(request).await, SystemTime::now())
}

async fn inspect(adapter: &dyn Provider, access: &AccessToken) -> InspectionVerdict {
    let inspection = adapter.inspection().unwrap();
    let request = inspection.encode(access, SystemTime::now()).unwrap();
    inspection.read(&send(request).await, SystemTime::now())
}

/// A user with the tokens of the login, of which Auth0 believes that they end in five minutes.
fn sow(seed: &mut Seed, issuer: &Issuer) {
    seed.users = vec![UserSeed {
        id: USER.to_owned(),
        name: "Ada Lovelace".to_owned(),
        email: "ada@sandbox.example".to_owned(),
        identities: vec![IdentitySeed {
            connection: CONNECTION.to_owned(),
            provider: Some("oauth2".to_owned()),
            user_id: "acme-crm|ada".to_owned(),
            nickname: None,
            logged_in: Duration::from_secs(55 * 60),
            expires_in: Some(Duration::from_secs(3600)),
            scopes: Vec::new(),
            access_token: Some(TokenSeed::Written(issuer.access.expose().to_owned())),
            refresh_token: Some(TokenSeed::Written(issuer.refresh.expose().to_owned())),
        }],
        connected_accounts: Vec::new(),
    }];
}

fn configure(config: &mut Config, issuer: &Issuer, database: &Database) {
    config.providers.get_mut(CONNECTION).unwrap().settings = issuer.settings.clone();
    database.configure(config);
}

async fn lend(world: &World) -> GetIdentityTokenResponse {
    let request = GetIdentityTokenRequest {
        identity: Some(at(USER, "oauth2")),
        min_validity: Some(prost_types::Duration { seconds: 600, nanos: 0 }),
        ..Default::default()
    };
    world.lend_with(request).await.unwrap()
}

async fn stored(store: &Store) -> RenewedTokens {
    let user = UserId::parse(USER.to_owned(), "user_id").unwrap();
    let (connection, account_id) = (CONNECTION.to_owned(), "acme-crm|ada".to_owned());
    let record = store.load(&IdentityKey { connection, account_id }, &user).await.unwrap().unwrap().record;
    record.tokens.unwrap()
}

/// Renewals in a row, each from what the last one brought.
async fn rotates_without_being_taken_for_a_thief(name: &str, method: AuthMethod) {
    let mut issuer = Issuer::start(name, method).await;
    let database = Database::new();
    let sow = |seed: &mut Seed| sow(seed, &issuer);
    let mut world = World::with(sow, |config| configure(config, &issuer, &database)).await;
    let store = database.open().await.unwrap();
    let adapter = issuer.adapter();

    let mut refresh = issuer.refresh.expose().to_owned();
    for _ in 0..3 {
        let lent = lend(&world).await;
        assert_eq!(lent.source(), TokenSource::Renewed);
        let tokens = stored(&store).await;
        assert_eq!(tokens.access.expose(), lent.access_token);
        let newer = tokens.refresh.unwrap().expose().to_owned();
        assert_ne!(newer, refresh, "it has rotated, and the new one is stored");
        assert!(matches!(inspect(&*adapter, &tokens.access).await, InspectionVerdict::Active(_)));
        refresh = newer;
        world.pass(NEARLY_OVER).await;
    }
    assert_eq!(issuer.happened().await, [json!("success"), json!("success"), json!("success")]);

    // It would have noticed: Auth0 still has the first refresh token.
    let reused = renew(&*adapter, &issuer.access, &issuer.refresh).await;
    assert!(matches!(reused, RenewalVerdict::GrantDead { code: "invalid_grant" }), "{reused:?}");
    assert_eq!(issuer.happened().await, [json!("revoked"), json!("error")]);
}

#[tokio::test]
async fn tokens_rotate_with_a_secret_in_the_header() {
    rotates_without_being_taken_for_a_thief("basic", AuthMethod::Basic).await;
}

#[tokio::test]
async fn tokens_rotate_with_a_signed_assertion() {
    rotates_without_being_taken_for_a_thief("keyed", AuthMethod::PrivateKeyJwt).await;
}

#[tokio::test]
async fn a_token_is_inspected_and_revoked_with_either_proof() {
    for (name, method) in [("basic", AuthMethod::Basic), ("keyed", AuthMethod::PrivateKeyJwt)] {
        let issuer = Issuer::start(name, method).await;
        let adapter = issuer.adapter();
        let InspectionVerdict::Active(found) = inspect(&*adapter, &issuer.access).await else {
            panic!("{name}: the token of the login lives")
        };
        let left = found.expires_at.unwrap().duration_since(SystemTime::now()).unwrap();
        assert!(left > Duration::from_secs(3000) && left <= Duration::from_secs(3600), "{name}: {left:?}");
        assert_eq!(found.subject.as_deref(), Some("ada"), "{name}");
        assert_eq!(found.scopes, ["openid", "offline_access"], "{name}");

        let revocation = adapter.revocation().unwrap();
        let pair = TokenPair { access: &issuer.access, refresh: Some(&issuer.refresh) };
        let request = revocation.encode(pair, SystemTime::now()).unwrap();
        let verdict = revocation.read(&send(request).await, SystemTime::now());
        assert_eq!(verdict, RevocationVerdict::Revoked, "{name}");
        assert_eq!(inspect(&*adapter, &issuer.access).await, InspectionVerdict::DeadOrForeign, "{name}");
        let renewed = renew(&*adapter, &issuer.access, &issuer.refresh).await;
        assert!(matches!(renewed, RenewalVerdict::GrantDead { .. }), "{name}: {renewed:?}");
    }
}

#[tokio::test]
async fn a_wrong_proof_is_the_clients_fault_and_uses_nothing_up() {
    let mut issuer = Issuer::start("basic", AuthMethod::Basic).await;
    let right = issuer.settings.client_secret.replace(Arc::new(Secret::fixed("wrong")));
    let refused = renew(&*issuer.adapter(), &issuer.access, &issuer.refresh).await;
    assert!(matches!(refused, RenewalVerdict::ClientRefused { code: "invalid_client" }), "{refused:?}");
    issuer.settings.client_secret = right;
    let renewed = renew(&*issuer.adapter(), &issuer.access, &issuer.refresh).await;
    assert!(matches!(renewed, RenewalVerdict::Renewed(_)), "{renewed:?}");
}
