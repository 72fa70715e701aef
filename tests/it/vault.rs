//! Token Vault: the client of the tenant against the sandbox, over a real socket.

use std::{sync::Arc, time::Duration};

use idp_token_sandbox::{Fault, PrivilegedWorkerSeed, Sandbox, Seed, UserSeed};
use idp_token_service::{
    auth0::{Acceptance, Auth0, Auth0Error, Judge, Subject, VaultError},
    cache::Loaded,
    cli,
    config::{self, Config},
    identity::{StoredToken, UserId},
    secret::Secret,
    store::Store,
    telemetry::Metrics,
    token::ExpiryBasis,
    transport::Transport,
};
use idp_token_testkit::{
    ANYWHERE,
    keys::{self, VAULT_KEY},
    people::{ADA, KATHERINE},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::{task::JoinSet, time::Instant};

const SECOND: Duration = Duration::from_secs(1);
const GOOGLE: &str = "google-oauth2";
const API: &str = "https://idp-token.sandbox.example";

type Sow = fn(&mut Seed);
type Outcome = Result<Loaded<Arc<StoredToken>>, VaultError>;

/// A tenant with a privileged worker, and a client that is it.
struct Vault {
    sandbox: Sandbox,
    auth0: Arc<Auth0>,
    metrics: Arc<Metrics>,
}

impl Vault {
    async fn start() -> Self {
        Self::with(|_| {}, |_| {}).await
    }

    async fn seeded(sow: impl FnOnce(&mut Seed)) -> Self {
        Self::with(sow, |_| {}).await
    }

    async fn with(sow: impl FnOnce(&mut Seed), configure: impl FnOnce(&mut Config)) -> Self {
        let mut seed = Seed { signing_key: Some(keys::SIGNING_KEY.clone()), ..Seed::sample() };
        worker(&mut seed).public_key = Some(VAULT_KEY.public_pem.clone());
        sow(&mut seed);
        let sandbox = Sandbox::start(seed, ANYWHERE).await.unwrap();
        let mut config = cli::sandbox_config(&sandbox, ANYWHERE, ANYWHERE);
        let private_key = Arc::new(Secret::fixed(VAULT_KEY.private_pem.clone()));
        let connections = [GOOGLE, "github"].map(str::to_owned).into();
        config.auth0.token_vault = Some(config::TokenVault { connections, private_key });
        configure(&mut config);
        let metrics = Arc::new(Metrics::default());
        let auth0 =
            Auth0::new(&config.auth0, &Transport::new().unwrap(), &Arc::new(Store::memory()), &metrics);
        Self { sandbox, auth0: Arc::new(auth0), metrics }
    }

    /// Any token will do.
    async fn token(&self, user: &str, subject: Subject<'_>) -> Outcome {
        self.fitting(user, subject, &|_, _| Acceptance::Accept).await
    }

    async fn fitting(&self, user: &str, subject: Subject<'_>, judge: Judge<'_, StoredToken>) -> Outcome {
        self.auth0.vault_token(&id(user), GOOGLE, "", subject, judge).await
    }

    /// What Katherine's worker gets, as text.
    async fn katherine(&self) -> String {
        text(&self.token(KATHERINE, Subject::Worker).await.unwrap())
    }

    fn exchanges(&self) -> usize {
        self.sandbox.journal().token_requests()
    }

    fn stored(&self) -> String {
        self.sandbox.vault_token(KATHERINE, GOOGLE).unwrap()
    }

    fn fault(&self) -> Fault {
        Fault::on(self.sandbox.domain()).path("/oauth/token")
    }

    fn end_user(&self, user: &str, scope: &str) -> SecretString {
        self.sandbox.end_user_token(user, API, &[scope]).unwrap().into()
    }
}

fn worker(seed: &mut Seed) -> &mut PrivilegedWorkerSeed {
    seed.clients[0].privileged_worker.as_mut().unwrap()
}

fn sample(user: &str) -> UserSeed {
    Seed::sample().users.into_iter().find(|one| one.id == user).unwrap()
}

/// Ada, with an account in the vault.
fn connected_ada() -> UserSeed {
    UserSeed { connected_accounts: sample(KATHERINE).connected_accounts, ..sample(ADA) }
}

/// A seed whose Katherine has a token of eight hours.
fn long_lived(seed: &mut Seed) {
    let katherine = seed.users.iter_mut().find(|user| user.id == KATHERINE).unwrap();
    katherine.connected_accounts[0].expires_in = Some(8 * 3600 * SECOND);
}

fn id(user: &str) -> UserId {
    UserId::parse(user.to_owned(), "user_id").unwrap()
}

fn text(loaded: &Loaded<Arc<StoredToken>>) -> String {
    loaded.value.access.expose().to_owned()
}

/// Lets time pass for the client. The sandbox's clock stays.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// What an operator is told; anything else is not an error of theirs.
fn misconfigured(outcome: Outcome) -> String {
    match outcome {
        Err(VaultError::Auth0(Auth0Error::Misconfigured { detail, .. })) => detail,
        outcome => panic!("{outcome:?}"),
    }
}

#[tokio::test]
async fn forty_callers_share_one_exchange() {
    let vault = Vault::start().await;
    let mut calls = JoinSet::new();
    for _ in 0..40 {
        let auth0 = Arc::clone(&vault.auth0);
        calls.spawn(async move {
            let judge: Judge<'_, StoredToken> = &|_, _| Acceptance::Accept;
            text(&auth0.vault_token(&id(KATHERINE), GOOGLE, "", Subject::Worker, judge).await.unwrap())
        });
    }
    let tokens = calls.join_all().await;
    assert!(tokens.iter().all(|token| *token == vault.stored()));
    assert_eq!(vault.exchanges(), 1);
    assert!(vault.metrics.page().contains(r#"endpoint="token_vault",outcome="ok"} 1"#));
}

#[tokio::test]
async fn a_token_comes_with_its_end_and_its_scopes() {
    let vault = Vault::start().await;
    let token = vault.token(KATHERINE, Subject::Worker).await.unwrap().value;
    let expiry = token.expiry.unwrap();
    assert_eq!(expiry.basis, ExpiryBasis::Provider);
    assert!((1700 * SECOND..=1799 * SECOND).contains(&expiry.remaining()), "{:?}", expiry.remaining());
    assert!(token.scopes.contains(&"openid".to_owned()));
    assert!(!format!("{token:?}").contains(token.access.expose()));
}

#[tokio::test]
async fn a_token_is_kept_until_shortly_before_its_end() {
    let vault = Vault::start().await;
    vault.katherine().await;
    pass(1700 * SECOND).await;
    vault.katherine().await;
    assert_eq!(vault.exchanges(), 1);
    pass(95 * SECOND).await;
    vault.katherine().await;
    assert_eq!(vault.exchanges(), 2);
}

#[tokio::test]
async fn a_long_lived_token_is_asked_for_again_after_an_hour_and_serves_while_auth0_fails() {
    let vault = Vault::seeded(long_lived).await;
    let token = vault.katherine().await;
    pass(3590 * SECOND).await;
    assert_eq!((vault.katherine().await, vault.exchanges()), (token.clone(), 1));
    pass(20 * SECOND).await;
    vault.sandbox.faults().script(vault.fault().answer(503).always());
    assert_eq!(vault.katherine().await, token);
    assert!(vault.exchanges() > 1, "it was asked");
}

#[tokio::test]
async fn an_error_is_the_answer_for_no_longer_than_its_rest() {
    let vault = Vault::start().await;
    for _ in 0..3 {
        let outcome = vault.token(ADA, Subject::Worker).await;
        assert!(matches!(outcome, Err(VaultError::NotConnected)), "{outcome:?}");
    }
    assert_eq!(vault.exchanges(), 1);
    vault.sandbox.add_user(connected_ada());
    pass(SECOND).await;
    vault.token(ADA, Subject::Worker).await.unwrap();
    assert_eq!(vault.exchanges(), 2);
}

#[tokio::test]
async fn two_users_never_share_nor_do_a_worker_and_end_users() {
    let vault = Vault::start().await;
    vault.sandbox.add_user(connected_ada());
    let (first, second) = (vault.end_user(KATHERINE, "a"), vault.end_user(KATHERINE, "b"));
    assert_ne!(vault.katherine().await, text(&vault.token(ADA, Subject::Worker).await.unwrap()));
    for (subject, exchanges) in
        [(&first, 3), (&second, 4), (&first, 4)].map(|(token, count)| (Subject::EndUser(token), count))
    {
        assert_eq!(text(&vault.token(KATHERINE, subject).await.unwrap()), vault.stored());
        assert_eq!(vault.exchanges(), exchanges);
    }
    // Whoever is asked for, an end user's token opens what is that user's, and is kept for them alone.
    let ada = vault.end_user(ADA, "a");
    assert_ne!(text(&vault.token(KATHERINE, Subject::EndUser(&ada)).await.unwrap()), vault.stored());
    assert_eq!(vault.katherine().await, vault.stored());
}

#[tokio::test]
async fn a_rejected_token_leads_to_one_new_exchange() {
    let vault = Vault::start().await;
    let old = vault.katherine().await;
    let (rejected, since) = (vault.token(KATHERINE, Subject::Worker).await.unwrap().value, Instant::now());
    let fingerprint = rejected.access.fingerprint();
    let fit = |token: &StoredToken, began: Instant| match token.access.fingerprint() == fingerprint {
        false => Acceptance::Accept,
        true if began < since => Acceptance::Stale { since },
        true => Acceptance::Insufficient,
    };
    // The vault still gives the same one: it is asked once, and not by everybody who comes.
    for _ in 0..5 {
        assert_eq!(text(&vault.fitting(KATHERINE, Subject::Worker, &fit).await.unwrap()), old);
    }
    assert_eq!(vault.exchanges(), 2);

    vault.sandbox.add_user(sample(KATHERINE));
    pass(10 * SECOND).await;
    let new = vault.fitting(KATHERINE, Subject::Worker, &fit).await.unwrap();
    assert_eq!((text(&new), vault.exchanges()), (vault.stored(), 3));
    assert_ne!(text(&new), old);
}

#[tokio::test]
async fn a_token_that_is_too_short_is_asked_about_ever_more_rarely() {
    let vault = Vault::start().await;
    let lacks = |_: &StoredToken, _: Instant| Acceptance::Insufficient;
    for (wait, exchanges) in [(0, 1), (0, 1), (5, 2), (5, 2), (5, 3), (10, 3), (10, 4)] {
        pass(wait * SECOND).await;
        vault.fitting(KATHERINE, Subject::Worker, &lacks).await.unwrap();
        assert_eq!(vault.exchanges(), exchanges, "after {wait} s");
    }
}

#[tokio::test]
async fn a_passing_failure_is_tried_again_and_each_time_with_another_subject_token() {
    let vault = Vault::start().await;
    vault.sandbox.faults().script(vault.fault().cut().processed());
    assert_eq!(vault.katherine().await, vault.stored());
    let entries = vault.sandbox.journal().entries();
    let subject = |index: usize| -> String {
        let body: Value = serde_json::from_slice(&entries[index].body).unwrap();
        body["subject_token"].as_str().unwrap().to_owned()
    };
    assert_eq!(entries.len(), 2);
    assert_ne!(subject(0), subject(1));
}

#[tokio::test]
async fn a_reached_limit_holds_every_user_back() {
    let vault = Vault::start().await;
    vault.sandbox.faults().script(vault.fault().answer(429).header("retry-after", "30"));
    for user in [KATHERINE, ADA] {
        let outcome = vault.token(user, Subject::Worker).await;
        let Err(VaultError::Auth0(Auth0Error::RateLimited { retry_after })) = outcome else {
            panic!("{outcome:?}")
        };
        assert!((25 * SECOND..=30 * SECOND).contains(&retry_after), "{retry_after:?}");
    }
    assert_eq!(vault.exchanges(), 1);
    pass(30 * SECOND).await;
    assert_eq!(vault.katherine().await, vault.stored());
}

#[tokio::test]
async fn an_operator_is_told_which_right_is_missing() {
    let cases: [(Sow, &str); 5] = [
        (|seed| seed.clients[0].grant_types.truncate(1), "switch on the grant type Token Vault"),
        (|seed| seed.clients[0].privileged_worker = None, "and its Privileged Worker"),
        (|seed| worker(seed).ip_allowlist.clear(), "the IP Allowlist the address of this service"),
        (|seed| worker(seed).connections.clear(), "for the connection `google-oauth2`: "),
        (|seed| worker(seed).public_key = None, "the public half of `auth0.token_vault.private_key_file`"),
    ];
    for (sow, part) in cases {
        let vault = Vault::seeded(sow).await;
        let detail = misconfigured(vault.token(KATHERINE, Subject::Worker).await);
        assert!(detail.contains(part), "{part}: {detail}");
        assert_eq!(vault.exchanges(), 1, "a refusal is not repeated");
    }
}

#[tokio::test]
async fn a_refusal_of_the_policy_and_nonsense_are_told_apart() {
    let vault = Vault::start().await;
    let mfa = r#"{"error":"mfa_required","error_description":"canary-2f9d"}"#;
    vault.sandbox.faults().script(vault.fault().answer(403).body(mfa));
    let error = vault.token(KATHERINE, Subject::Worker).await.unwrap_err();
    assert!(matches!(error, VaultError::MfaPolicy) && error.to_string().contains("set it to \"Never\""));
    pass(SECOND).await;
    vault.sandbox.faults().script(vault.fault().answer(200).body("{\"canary-2f9d\":1}").always());
    let error = vault.token(KATHERINE, Subject::Worker).await.unwrap_err();
    assert!(matches!(error, VaultError::Auth0(Auth0Error::Unavailable { .. })), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
}

#[tokio::test]
async fn an_end_users_wrong_token_is_theirs_to_mend() {
    let vault = Vault::start().await;
    let other: SecretString =
        vault.sandbox.end_user_token(KATHERINE, "https://other.example", &[]).unwrap().into();
    let error = vault.token(KATHERINE, Subject::EndUser(&other)).await.unwrap_err();
    assert!(matches!(error, VaultError::SubjectRefused), "{error:?}");
    assert!(!format!("{error} {error:?}").contains(other.expose_secret()));
}

#[tokio::test]
async fn a_rotated_key_and_a_rotated_secret_are_read_again_from_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("key"), &*keys::SIGNING_KEY).unwrap();
    std::fs::write(path("secret"), "the old one").unwrap();
    let vault = Vault::with(
        |_| {},
        |config| {
            let secret = Arc::new(Secret::from_file(path("secret")).unwrap());
            config.auth0.credential = config::ClientCredential::Secret(secret);
            config.auth0.token_vault.as_mut().unwrap().private_key =
                Arc::new(Secret::from_file(path("key")).unwrap());
        },
    )
    .await;
    assert!(misconfigured(vault.token(KATHERINE, Subject::Worker).await).contains("the client secret"));
    assert_eq!(vault.exchanges(), 1, "nothing changed, so nothing is tried again");
    std::fs::write(path("key"), &VAULT_KEY.private_pem).unwrap();
    std::fs::write(path("secret"), "sandbox-service-secret").unwrap();
    pass(SECOND).await;
    assert_eq!(vault.katherine().await, vault.stored());
    assert_eq!(vault.exchanges(), 3, "the old ones once more, and the new ones");
}

#[tokio::test]
async fn the_account_is_named_where_it_is_known() {
    let vault = Vault::start().await;
    let ask = async |account: &str| {
        let judge: Judge<'_, StoredToken> = &|_, _| Acceptance::Accept;
        vault.auth0.vault_token(&id(KATHERINE), GOOGLE, account, Subject::Worker, judge).await
    };
    ask("100000000000000000005").await.unwrap();
    let body: Value = serde_json::from_slice(&vault.sandbox.journal().entries()[0].body).unwrap();
    assert_eq!(body["login_hint"], "100000000000000000005");
    assert!(matches!(ask("2").await, Err(VaultError::NotConnected)));
}

#[tokio::test]
async fn a_connection_that_is_not_listed_asks_nobody() {
    let vault = Vault::with(|_| {}, |config| config.auth0.token_vault = None).await;
    let detail = misconfigured(vault.token(KATHERINE, Subject::Worker).await);
    assert!(detail.contains("`google-oauth2` is not listed in `auth0.token_vault.connections`"), "{detail}");
    assert_eq!(vault.exchanges(), 0);
}
