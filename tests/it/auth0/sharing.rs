//! One Management token for all replicas on one database.

use std::time::Duration;

use idp_token_sandbox::{ClientSeed, Fault, Sandbox, Seed};
use idp_token_service::{
    cli,
    config::{ClientCredential, Config},
    secret::Secret,
    service::pb::ListIdentitiesRequest,
    store::{Acquired, LeaseName},
};
use idp_token_testkit::{
    ANYWHERE, Service,
    database::Database,
    keys,
    people::{ADA, ALAN},
    within,
};

const SECOND: Duration = Duration::from_secs(1);

/// A tenant with two applications that may read users, and a database.
struct Stage {
    sandbox: Sandbox,
    database: Database,
}

impl Stage {
    async fn new() -> Self {
        let mut seed = Seed { signing_key: Some(keys::SIGNING_KEY.clone()), ..Seed::sample() };
        let other = ClientSeed { id: "sandbox-other".to_owned(), ..seed.clients[0].clone() };
        seed.clients.push(other);
        Self { sandbox: Sandbox::start(seed, ANYWHERE).await.unwrap(), database: Database::new() }
    }

    async fn replica(&self) -> Service {
        self.configured(|_| {}).await
    }

    async fn configured(&self, configure: impl FnOnce(&mut Config)) -> Service {
        let mut config = cli::sandbox_config(&self.sandbox, ANYWHERE, ANYWHERE);
        self.database.configure(&mut config);
        configure(&mut config);
        Service::start(&config).await
    }

    fn token_requests(&self) -> usize {
        self.sandbox.journal().token_requests()
    }
}

/// Has the service read a user, which takes a Management token that Auth0 accepts.
async fn works(service: &Service, user: &str) -> bool {
    let request = ListIdentitiesRequest { user_id: user.to_owned(), ..Default::default() };
    service.client().list_identities(within(30 * SECOND, request)).await.is_ok()
}

#[tokio::test]
async fn replicas_that_start_at_once_make_one_token_request_between_them() {
    let stage = Stage::new().await;
    stage.sandbox.faults().script(Fault::on(stage.sandbox.domain()).path("/oauth/token").delay(SECOND / 2));
    let (one, two, three) = tokio::join!(stage.replica(), stage.replica(), stage.replica());
    let all = tokio::join!(works(&one, ADA), works(&two, ADA), works(&three, ADA));
    assert_eq!((all, stage.token_requests()), ((true, true, true), 1));
}

#[tokio::test]
async fn a_restart_makes_no_token_request() {
    let stage = Stage::new().await;
    let mut first = stage.replica().await;
    assert!(works(&first, ADA).await);
    first.begin_to_stop();
    first.stopped().await;
    let second = stage.replica().await;
    assert!(works(&second, ADA).await);
    assert_eq!(stage.token_requests(), 1);
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_for_all_replicas() {
    let stage = Stage::new().await;
    let (one, two) = (stage.replica().await, stage.replica().await);
    assert!(works(&one, ADA).await && works(&two, ADA).await);
    stage.sandbox.rotate_signing_key().unwrap();
    stage.sandbox.journal().clear();
    // A token that is refused at once would not be replaced.
    tokio::time::pause();
    tokio::time::advance(10 * SECOND).await;
    tokio::time::resume();
    assert!(works(&one, ALAN).await && works(&two, ALAN).await);
    let journal = stage.sandbox.journal();
    assert_eq!((journal.token_requests(), journal.profile_reads()), (1, 4), "each was refused once");
}

#[tokio::test]
async fn another_application_gets_a_token_of_its_own() {
    let stage = Stage::new().await;
    let first = stage.replica().await;
    assert!(works(&first, ADA).await);
    let other = stage
        .configured(|config| {
            config.auth0.client_id = "sandbox-other".to_owned();
            let secret = Secret::fixed("sandbox-service-secret");
            config.auth0.credential = ClientCredential::Secret(secret.into());
        })
        .await;
    assert!(works(&other, ADA).await);
    assert_eq!(stage.token_requests(), 2);
    let name = stage.database.text("SELECT name FROM idp_token_shared LIMIT 1").await;
    assert!(name.contains("/management-token/") && !name.contains("sandbox"), "{name}");
}

#[tokio::test]
async fn a_store_that_fails_keeps_nobody_from_fetching_a_token() {
    for trouble in [
        "DROP TABLE idp_token_shared",
        "DROP TABLE idp_token_lease",
        "CREATE TRIGGER full BEFORE INSERT ON idp_token_shared BEGIN SELECT RAISE(FAIL, 'full'); END",
    ] {
        let stage = Stage::new().await;
        drop(stage.database.open().await.unwrap());
        stage.database.sql(trouble).await;
        let service = stage.replica().await;
        assert!(works(&service, ADA).await, "{trouble}");
        assert_eq!(stage.token_requests(), 1, "{trouble}");
    }
}

#[tokio::test]
async fn a_shared_token_that_cannot_be_read_is_left_alone_and_another_one_fetched() {
    let stage = Stage::new().await;
    assert!(works(&stage.replica().await, ADA).await);
    for damage in ["sealed = x'01ff'", "key_id = x'0000000000000000'"] {
        stage.database.sql(&format!("UPDATE idp_token_shared SET {damage}")).await;
        assert!(works(&stage.replica().await, ADA).await, "{damage}");
    }
    assert_eq!(stage.token_requests(), 3);
}

#[tokio::test]
async fn a_replica_that_died_while_it_fetched_holds_nobody_up_for_long() {
    let stage = Stage::new().await;
    assert!(works(&stage.replica().await, ADA).await);
    let stored = stage.database.text("SELECT name FROM idp_token_shared").await;
    let (_, name) = stored.split_once('/').unwrap();
    stage.database.sql("DELETE FROM idp_token_shared").await;
    let store = stage.database.open().await.unwrap();
    let lease = store.acquire(&LeaseName::Shared(name.to_owned()), "dead", 60 * SECOND).await.unwrap();
    assert!(matches!(lease, Acquired::Yes(_)));
    assert!(works(&stage.replica().await, ADA).await);
    assert_eq!(stage.token_requests(), 2);
    assert_eq!(
        stage.database.number("SELECT count(*) FROM idp_token_shared").await,
        1,
        "and shares its token"
    );
}
