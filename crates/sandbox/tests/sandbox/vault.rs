//! Token Vault as the tenant plays it.

use idp_token_sandbox::ConnectedAccountSeed;

use super::*;

const KATHERINE: &str = "google-oauth2|100000000000000000005";
const API: &str = "https://idp-token.sandbox.example";
const GRANT_TYPE: &str = "urn:auth0:params:oauth:grant-type:token-exchange:federated-connection-access-token";

/// A tenant with a privileged worker, and its key.
struct Vault {
    actor: Actor,
    key: String,
}

impl Vault {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Seed)) -> Self {
        static PAIR: OnceLock<(String, String)> = OnceLock::new();
        let (key, public) = PAIR.get_or_init(rsa_pair).clone();
        let sow = |seed: &mut Seed| {
            seed.clients[0].privileged_worker.as_mut().unwrap().public_key = Some(public);
            change(seed);
        };
        Self { actor: Actor::with(seed(sow)).await, key }
    }

    fn claims(&self, user: &str) -> Value {
        static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let jti = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string();
        let issuer = self.actor.sandbox.issuer();
        json!({"iss": "sandbox-service", "sub": user, "aud": issuer, "iat": now(), "jti": jti, "audit_context": "a test"})
    }

    fn sign(&self, typ: &str, claims: &Value) -> String {
        sign(&self.key, typ, claims)
    }

    fn request(&self, subject: &str) -> Value {
        json!({
            "grant_type": GRANT_TYPE,
            "client_id": "sandbox-service", "client_secret": "sandbox-service-secret",
            "subject_token": subject,
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "requested_token_type": "http://auth0.com/oauth/token-type/token-vault-access-token",
            "connection": "google-oauth2",
        })
    }

    /// The request of a worker for a user.
    fn worker(&self, user: &str) -> Value {
        self.request(&self.sign("token-vault-req+jwt", &self.claims(user)))
    }

    /// The request on the word of an end user.
    fn end_user(&self, token: &str) -> Value {
        let request = with(self.request(token), "subject_token_type", ACCESS_TOKEN);
        with(request, "requested_token_type", CONNECTION_TOKEN)
    }

    async fn refusal(&self, request: Value) -> (u16, String) {
        let answer = self.actor.token(request).await;
        (answer.status, answer.json()["error"].as_str().unwrap_or_default().to_owned())
    }
}

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const CONNECTION_TOKEN: &str = "http://auth0.com/oauth/token-type/federated-connection-access-token";
const NOT_FOUND: &str = "federated_connection_refresh_token_not_found";

fn sign(key: &str, typ: &str, claims: &Value) -> String {
    let key = jsonwebtoken::EncodingKey::from_rsa_pem(key.as_bytes()).unwrap();
    let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256);
    header.typ = Some(typ.to_owned());
    jsonwebtoken::encode(&header, claims, &key).unwrap()
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// `object` with another value under `name`; null takes it away.
fn with(mut object: Value, name: &str, value: impl Into<Value>) -> Value {
    object[name] = value.into();
    object
}

#[tokio::test]
async fn a_worker_gets_the_stored_token_with_the_time_that_is_left() {
    let vault = Vault::new().await;
    let answer = vault.actor.token(vault.worker(KATHERINE)).await;
    let body = answer.json();
    let stored = vault.actor.sandbox.vault_token(KATHERINE, "google-oauth2").unwrap();
    assert_eq!((answer.status, body["access_token"].as_str()), (200, Some(&*stored)));
    assert!((1700..=1799).contains(&body["expires_in"].as_u64().unwrap()), "{}", body["expires_in"]);
    assert!(body["scope"].as_str().unwrap().starts_with("openid "));
    assert!(body.get("refresh_token").is_none());
    assert!(vault.actor.profile(KATHERINE).await.json()["identities"][0].get("access_token").is_none());
}

#[tokio::test]
async fn the_vault_renews_by_itself_what_has_ended() {
    let vault = Vault::new().await;
    let stored = || vault.actor.sandbox.vault_token(KATHERINE, "google-oauth2").unwrap();
    let old = stored();
    vault.actor.sandbox.advance(Duration::from_secs(1800));
    let claims = with(vault.claims(KATHERINE), "iat", now() + 1800);
    let request = vault.request(&vault.sign("token-vault-req+jwt", &claims));
    let body = vault.actor.token(request).await.json();
    assert_eq!(body["access_token"], stored());
    assert_ne!(stored(), old);
    assert!(body["expires_in"].as_u64().unwrap() > 3500 && vault.actor.sandbox.is_alive(&stored()));
}

#[tokio::test]
async fn a_subject_token_must_be_right_in_every_part() {
    let vault = Vault::new().await;
    let good = || vault.claims(KATHERINE);
    let signed = |claims: Value| vault.sign("token-vault-req+jwt", &claims);
    let (other, _) = rsa_pair();
    let wrong = [
        vault.sign("JWT", &good()),
        sign(&other, "token-vault-req+jwt", &good()),
        signed(with(good(), "iss", "sandbox-blind")),
        signed(with(good(), "aud", "https://elsewhere.example/")),
        signed(with(good(), "iat", now() - 61)),
        signed(with(good(), "iat", now() + 60)),
        signed(with(good(), "iat", Value::Null)),
        signed(with(good(), "exp", now() - 11)),
        signed(with(good(), "jti", "")),
        signed(with(good(), "audit_context", "")),
        signed(with(good(), "audit_context", "x".repeat(257))),
        signed(with(good(), "sub", Value::Null)),
        "opaque".to_owned(),
    ];
    for (index, subject) in wrong.iter().enumerate() {
        let refusal = vault.refusal(vault.request(subject)).await;
        assert_eq!(refusal, (400, "invalid_request".to_owned()), "{index}");
    }
    let once = vault.request(&signed(with(good(), "exp", now() + 600)));
    assert_eq!(vault.actor.token(once.clone()).await.status, 200);
    assert_eq!(vault.refusal(once).await, (400, "invalid_request".to_owned()), "a jti is good once");
}

#[tokio::test]
async fn every_parameter_is_checked() {
    let vault = Vault::new().await;
    for (name, value, status, error) in [
        ("subject_token", "", 400, "invalid_request"),
        ("subject_token_type", "", 400, "invalid_request"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:refresh_token", 400, "invalid_request"),
        ("requested_token_type", "", 400, "invalid_request"),
        ("requested_token_type", CONNECTION_TOKEN, 400, "invalid_request"),
        ("connection", "", 400, "invalid_request"),
        ("connection", "github", 403, "access_denied"),
        ("login_hint", "1", 401, NOT_FOUND),
        ("client_secret", "wrong", 401, "access_denied"),
    ] {
        let request = with(vault.worker(KATHERINE), name, value);
        assert_eq!(vault.refusal(request).await, (status, error.to_owned()), "{name} {value}");
    }
    assert_eq!(vault.refusal(vault.worker(ADA)).await, (401, NOT_FOUND.to_owned()), "never connected");
    assert_eq!(vault.refusal(vault.worker("auth0|nobody")).await, (401, NOT_FOUND.to_owned()));
}

#[tokio::test]
async fn a_worker_needs_its_rights() {
    type Change = fn(&mut Seed);
    let cases: [(Change, u16, &str); 4] = [
        (|seed| drop(seed.clients[0].grant_types.pop()), 403, "unauthorized_client"),
        (|seed| seed.clients[0].privileged_worker = None, 403, "unauthorized_client"),
        (|seed| worker_of(seed).ip_allowlist = vec!["192.0.2.0/24".to_owned()], 403, "access_denied"),
        (|seed| worker_of(seed).public_key = None, 400, "invalid_request"),
    ];
    for (change, status, error) in cases {
        let vault = Vault::with(change).await;
        assert_eq!(vault.refusal(vault.worker(KATHERINE)).await, (status, error.to_owned()));
    }
}

fn worker_of(seed: &mut Seed) -> &mut idp_token_sandbox::PrivilegedWorkerSeed {
    seed.clients[0].privileged_worker.as_mut().unwrap()
}

#[tokio::test]
async fn an_end_user_gets_in_with_a_living_access_token_of_the_clients_own_api() {
    let vault = Vault::with(|seed| worker_of(seed).connections.clear()).await;
    let sandbox = &vault.actor.sandbox;
    let token = sandbox.end_user_token(KATHERINE, API, &[]).unwrap();
    let answer = vault.actor.token(vault.end_user(&token)).await;
    assert_eq!((answer.status, answer.json()["issued_token_type"].as_str()), (200, Some(CONNECTION_TOKEN)));
    assert_eq!(vault.actor.token(vault.end_user(&token)).await.status, 200, "not only once");
    let elsewhere = sandbox.end_user_token(KATHERINE, "https://other.example", &[]).unwrap();
    let ada = sandbox.end_user_token(ADA, API, &[]).unwrap();
    let forged =
        vault.sign("JWT", &json!({"sub": KATHERINE, "aud": API, "iss": sandbox.issuer(), "exp": now() + 60}));
    for (token, status) in [(elsewhere, 400), (forged, 400), (ada, 401)] {
        assert_eq!(vault.refusal(vault.end_user(&token)).await.0, status);
    }
    sandbox.advance(Duration::from_secs(7201));
    assert_eq!(vault.refusal(vault.end_user(&token)).await.0, 400, "it has ended");
}

#[tokio::test]
async fn accounts_of_one_connection_are_told_apart_by_the_login_hint() {
    let vault = Vault::with(|seed| {
        let katherine = seed.users.iter_mut().find(|user| user.id == KATHERINE).unwrap();
        let home = katherine.connected_accounts[0].clone();
        katherine.connected_accounts.push(ConnectedAccountSeed { user_id: "2".to_owned(), ..home });
    })
    .await;
    for (hint, selector) in [("100000000000000000005", "google-oauth2"), ("2", "google-oauth2|2")] {
        let request = with(vault.worker(KATHERINE), "login_hint", hint);
        let token = vault.actor.token(request).await.json()["access_token"].clone();
        assert_eq!(token, vault.actor.sandbox.vault_token(KATHERINE, selector).unwrap());
    }
}

#[tokio::test]
async fn what_has_ended_without_a_refresh_token_is_no_longer_there() {
    let vault = Vault::with(|seed| {
        let katherine = seed.users.iter_mut().find(|user| user.id == KATHERINE).unwrap();
        katherine.connected_accounts[0].refresh_token = None;
        katherine.connected_accounts[0].connected = Duration::from_secs(3600);
    })
    .await;
    assert_eq!(vault.refusal(vault.worker(KATHERINE)).await, (401, NOT_FOUND.to_owned()));
}

#[tokio::test]
async fn the_provider_may_refuse_what_the_vault_still_gives() {
    let vault = Vault::new().await;
    vault.actor.sandbox.expire_token(KATHERINE, "google-oauth2").unwrap();
    let token = vault.actor.token(vault.worker(KATHERINE)).await.json()["access_token"].clone();
    assert!(!vault.actor.sandbox.is_alive(token.as_str().unwrap()));
}

#[test]
fn a_connected_account_of_a_provider_that_is_not_played_is_refused() {
    let user = "[[users]]\nid = 'a|b'\nname = 'A'\nemail = 'a@b.example'\nidentities = []\n";
    let account = "[[users.connected_accounts]]\nconnection = 'acme'\nuser_id = '1'\n";
    let error = Seed::from_toml(&format!("{user}{account}")).err().unwrap().to_string();
    assert!(error.contains("the connected account of \"acme\" needs the `provider`"), "{error}");
}
