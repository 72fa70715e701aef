//! The store refuses a replica that has been issued a new token, until somebody mends that.

use std::time::Duration;

use idp_token_testkit::{
    authority::Authority,
    eventually,
    postgres::{Role, Server},
};

use crate::{cluster::Cluster, outages::UNSTORED, person::CRM};

/// How long a provider takes meanwhile.
const WHILE: Duration = Duration::from_secs(4);

/// Something that an operator does, and how it is taken back.
struct Mishap {
    happens: &'static str,
    is_mended: &'static str,
    /// What the log says is to be done.
    advice: &'static str,
}

/// `SVC` is the role of the replicas.
async fn is_survived(mishap: Mishap) {
    let role = Server::shared().role().await;
    let sql = async |text: &str| role.sql(&text.replace("SVC", &role.name)).await;
    let happens = async || sql(mishap.happens).await;
    survive(&role, &role.url, happens, async || sql(mishap.is_mended).await, mishap.advice).await;
}

async fn survive(
    role: &Role,
    url: &str,
    happens: impl AsyncFnOnce(),
    is_mended: impl AsyncFnOnce(),
    advice: &str,
) {
    let cluster = Cluster::by([url; 2]).await;
    let crm = cluster.expired(CRM, 1);
    cluster.sandbox.faults().script(CRM.fault().processed().delay(WHILE));
    let caller = cluster.replicas[0].lending(&crm);
    cluster.asked(CRM, 1).await;
    happens().await;
    role.end_sessions().await;
    let other = cluster.replicas[1].insisting(&crm);
    cluster.answered(CRM).await;
    let log = || cluster.replicas[0].process.log();
    eventually("a line about it", async || log().contains(UNSTORED)).await;
    let line = log().lines().find(|line| line.contains(UNSTORED)).unwrap().to_owned();
    assert!(line.contains("ERROR") && line.contains(advice), "{line}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!caller.is_finished(), "a token was lent that nobody has stored");

    is_mended().await;
    let token = caller.await.unwrap().unwrap().access_token;
    assert_eq!(other.await.unwrap(), token);
    assert_eq!(cluster.requests(CRM), 1);
    cluster.assert_lent(&crm, &token).await;
    cluster.assert_no_reuse();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_token_outlives_a_password_that_is_changed_before_the_service_knows_it() {
    is_survived(Mishap {
        happens: "ALTER ROLE SVC PASSWORD 'two'",
        is_mended: "ALTER ROLE SVC PASSWORD 'one'",
        advice: "the database refuses the user or password of `store.url`",
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_token_outlives_a_server_whose_rules_refuse_the_service() {
    is_survived(Mishap {
        happens: "GRANT refused TO SVC",
        is_mended: "REVOKE refused FROM SVC",
        advice: "the database refuses the user or password of `store.url`",
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_token_outlives_a_table_without_the_rights_that_the_service_needs() {
    is_survived(Mishap {
        happens: "REVOKE ALL ON idp_token_record FROM SVC",
        is_mended: "GRANT ALL ON idp_token_record TO SVC",
        advice: "needs the rights",
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_token_outlives_a_table_that_is_gone_until_a_backup_is_back() {
    is_survived(Mishap {
        happens: "ALTER TABLE idp_token_record RENAME TO gone",
        is_mended: "ALTER TABLE gone RENAME TO idp_token_record",
        advice: "restart to create missing tables",
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_token_outlives_a_certificate_that_the_service_does_not_trust() {
    let server = Server::start();
    let (ours, another) = (Authority::new("ours"), Authority::new("another"));
    server.certify(&ours.server(&["localhost"])).await;
    let role = server.role().await;
    let trusted = tempfile::NamedTempFile::new().unwrap();
    let trust = |authority: &Authority| std::fs::write(trusted.path(), &authority.pem).unwrap();
    trust(&ours);
    let url = format!("{}?sslmode=verify-ca&sslrootcert={}", role.url, trusted.path().display());
    let (happens, is_mended) = (async || trust(&another), async || trust(&ours));
    survive(&role, &url, happens, is_mended, "cannot trust the database server of `store.url`").await;
}
