//! The store refuses a replica that holds a new token, until an operator mends that.

use std::time::Duration;

use idp_token_testkit::{
    authority::Authority,
    eventually,
    postgres::{Role, Server},
};

use crate::{cluster::Cluster, outages::UNSTORED, person::CRM};

/// How long a provider takes meanwhile.
const WHILE: Duration = Duration::from_secs(4);

/// A change to the database that locks the replicas out, and how it is undone.
struct Mistake {
    made: &'static str,
    mended: &'static str,
    /// What the log says is to be done.
    advice: &'static str,
}

/// `SVC` is the role of the replicas.
async fn assert_stored_despite(mistake: Mistake) {
    let role = Server::shared().role().await;
    let sql = async |text: &str| role.sql(&text.replace("SVC", &role.name)).await;
    let made = async || sql(mistake.made).await;
    assert_stored_between(&role, &role.url, made, async || sql(mistake.mended).await, mistake.advice).await;
}

/// A token that is issued after one and before the other is stored, and lent only then.
async fn assert_stored_between(
    role: &Role,
    url: &str,
    made: impl AsyncFnOnce(),
    mended: impl AsyncFnOnce(),
    advice: &str,
) {
    let cluster = Cluster::by([url; 2]).await;
    let crm = cluster.expired(CRM, 1);
    cluster.sandbox.faults().script(CRM.fault().processed().delay(WHILE));
    let caller = cluster.replicas[0].lending(&crm);
    cluster.asked(CRM, 1).await;
    made().await;
    role.end_sessions().await;
    let other = cluster.replicas[1].insisting(&crm);
    cluster.answered(CRM).await;
    let log = || cluster.replicas[0].process.log();
    eventually("a line about it", async || log().contains(UNSTORED)).await;
    let line = log().lines().find(|line| line.contains(UNSTORED)).unwrap().to_owned();
    assert!(line.contains("ERROR") && line.contains(advice), "{line}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!caller.is_finished(), "a token was lent that nobody has stored");

    mended().await;
    let token = caller.await.unwrap().unwrap().access_token;
    assert_eq!(other.await.unwrap(), token);
    assert_eq!(cluster.requests(CRM), 1);
    cluster.assert_lent(&crm, &token).await;
    cluster.assert_no_reuse();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_token_outlives_a_password_that_is_changed_before_the_service_knows_it() {
    assert_stored_despite(Mistake {
        made: "ALTER ROLE SVC PASSWORD 'two'",
        mended: "ALTER ROLE SVC PASSWORD 'one'",
        advice: "the database refuses the user or password of `store.url`",
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_token_outlives_a_server_whose_rules_refuse_the_service() {
    assert_stored_despite(Mistake {
        made: "GRANT refused TO SVC",
        mended: "REVOKE refused FROM SVC",
        advice: "the database refuses the user or password of `store.url`",
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_token_outlives_a_table_without_the_rights_that_the_service_needs() {
    assert_stored_despite(Mistake {
        made: "REVOKE ALL ON idp_token_record FROM SVC",
        mended: "GRANT ALL ON idp_token_record TO SVC",
        advice: "needs the rights",
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_token_outlives_a_table_that_is_gone_until_a_backup_is_back() {
    assert_stored_despite(Mistake {
        made: "ALTER TABLE idp_token_record RENAME TO gone",
        mended: "ALTER TABLE gone RENAME TO idp_token_record",
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
    let (made, mended) = (async || trust(&another), async || trust(&ours));
    assert_stored_between(&role, &url, made, mended, "cannot trust the database server of `store.url`").await;
}
