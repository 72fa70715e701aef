//! The audit log: what every call leaves behind.

mod documentation;
mod losses;
mod paths;
mod refusals;

use idp_token_sandbox::Fault;
use idp_token_service::{
    audit::{Format, Level, Settings, UserIdKey},
    service::pb::{
        CreateConnectLinkRequest, GetIdentityTokenRequest, ListIdentitiesRequest, StreamProviderRequest,
    },
};
use idp_token_testkit::{
    World,
    audit::{Log, said},
    eventually, get,
    http::{Build, Read},
    people::{ADA, BARBARA, SATOSHI, facebook, github, google},
};
use serde_json::Value;
use tonic::Request;

use crate::callers::certificates::trusting;

const ACCOUNT: &str = "108204268033311374519";

async fn recorded(log: &Log) -> World {
    World::configured(|config| log.record(config)).await
}

/// A message with a header.
fn with<T>(message: T, name: &'static str, value: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(name, value.parse().unwrap());
    request
}

fn listing(user: &str) -> ListIdentitiesRequest {
    ListIdentitiesRequest { user_id: user.to_owned(), ..Default::default() }
}

/// What every record must have.
#[track_caller]
fn assert_whole(record: &Value) {
    assert_eq!(record["audit"], 1);
    let time = record["time"].as_str().unwrap();
    assert!(time.starts_with("20") && time.ends_with('Z') && time.len() == 27, "{time}");
    assert!(record["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!(record["took_us"].is_u64());
}

#[tokio::test]
async fn every_rpc_leaves_one_record_of_what_was_asked_and_done() {
    let log = Log::new();
    let world = recorded(&log).await;
    let mut client = world.service.client();
    world.list(ADA).await.unwrap();
    let fingerprint = world.lend(google(ADA)).await.unwrap().fingerprint;
    world.call(google(ADA), get("/oauth2/v3/userinfo?alt=json")).await.unwrap();
    world.call(facebook(ADA), get("/me").param("fields", "id")).await.unwrap();
    world.inspect(google(ADA)).await.unwrap();
    world.revoke(google(ADA)).await.unwrap();
    let redirect_uri = "http://127.0.0.1:3000/connected".to_owned();
    let link =
        CreateConnectLinkRequest { connection: "github".to_owned(), redirect_uri, ..Default::default() };
    client.create_connect_link(link).await.unwrap();
    client.stream_provider(tokio_stream::once(StreamProviderRequest::default())).await.unwrap_err();

    let records = log.after(8).await;
    records.iter().for_each(assert_whole);
    let fields = [
        "rpc",
        "code",
        "decision",
        "caller_kind",
        "user",
        "asked_provider",
        "provider",
        "connection",
        "account_id",
    ];
    let found = format!("{ADA} google-oauth2 google-oauth2 google-oauth2 {ACCOUNT}");
    let facebook = format!("{ADA} facebook facebook facebook 10158222222222222");
    let told: Vec<_> = records.iter().map(|record| said(record, &fields)).collect();
    assert_eq!(
        told,
        [
            format!("ListIdentities OK allow anonymous {ADA} - - - -"),
            format!("GetIdentityToken OK allow anonymous {found}"),
            format!("CallProvider OK allow anonymous {found}"),
            format!("CallProvider OK allow anonymous {facebook}"),
            format!("InspectIdentityToken OK allow anonymous {found}"),
            format!("RevokeIdentityToken OK allow anonymous {found}"),
            "CreateConnectLink OK allow anonymous - - - - -".to_owned(),
            "StreamProvider UNIMPLEMENTED none anonymous - - - - -".to_owned(),
        ]
    );
    let uses = ["method", "host", "path", "sent", "status"];
    let used: Vec<_> = records.iter().map(|record| said(record, &uses)).collect();
    assert_eq!(used[1], "- - - - -");
    assert_eq!(used[2], "GET www.googleapis.com /oauth2/v3/userinfo 1 200");
    assert_eq!(used[3], "GET graph.facebook.com /v25.0/me 1 200");
    for record in [1, 2, 4, 5].map(|index| &records[index]) {
        assert_eq!(record["fingerprint"], fingerprint, "{record}");
    }
    assert_eq!(said(&records[6], &["asked_connection", "fingerprint"]), "github -");
    assert_eq!(said(&records[7], &["reason", "fingerprint"]), "OPERATION_UNSUPPORTED -");
}

#[tokio::test]
async fn a_record_is_found_by_the_ids_that_the_caller_knows() {
    let log = Log::new();
    let world = recorded(&log).await;
    let mut client = world.service.client();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa00000001-01";
    let mut request = with(listing(ADA), "x-request-id", "one-of-mine");
    request.metadata_mut().insert("traceparent", trace.parse().unwrap());
    client.list_identities(request).await.unwrap();
    client.list_identities(listing(ADA)).await.unwrap();
    let made = client.list_identities(listing("auth0|nobody")).await.unwrap_err();
    let hostile = with(listing(ADA), "x-request-id", "a id=\"forged\" b");
    let replaced = client.list_identities(hostile).await.unwrap();
    let records = log.after(4).await;
    let ids: Vec<_> = records.iter().map(|record| said(record, &["request_id", "trace_id"])).collect();
    assert_eq!(ids[..2], ["one-of-mine 4bf92f3577b34da6a3ce929d0e0e4736", "- -"]);
    for (record, metadata) in [(2, made.metadata()), (3, replaced.metadata())] {
        let id = metadata.get("x-request-id").unwrap().to_str().unwrap();
        assert_eq!(ids[record], format!("{id} -"));
        assert_eq!(id.len(), 32, "{id}");
    }
}

#[tokio::test]
async fn a_token_that_was_renewed_and_sent_again_is_the_one_on_record() {
    let log = Log::new();
    let world = recorded(&log).await;
    world.lend(google(ADA)).await.unwrap();
    world.sandbox.expire_token(ADA, "google-oauth2").unwrap();
    world.sandbox.log_in(ADA, "google-oauth2").unwrap();
    world.call(google(ADA), get("/oauth2/v3/userinfo")).await.unwrap();
    let later = world.lend(google(ADA)).await.unwrap();
    let record = &log.after(3).await[1];
    assert_eq!(said(record, &["sent", "status", "fingerprint"]), format!("2 200 {}", later.fingerprint));
}

#[tokio::test]
async fn a_refresh_token_that_is_handed_out_is_on_record() {
    let log = Log::new();
    let world = World::configured(|config| {
        log.record(config);
        config.callers.push(idp_token_testkit::rules::everything_for_services());
        config.trusted_peers = trusting("127.0.0.0/8");
    })
    .await;
    let header = "By=spiffe://acme/envoy;Hash=468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688;\
        URI=spiffe://acme/mail";
    for identity in [google(BARBARA), github(ADA)] {
        let request = GetIdentityTokenRequest {
            identity: Some(identity),
            include_refresh_token: true,
            ..Default::default()
        };
        let request = with(request, "x-forwarded-client-cert", header);
        world.service.client().get_identity_token(request).await.unwrap();
    }
    let told: Vec<_> = log.after(2).await.iter().map(|record| said(record, &["refresh_token"])).collect();
    assert_eq!(told, ["lent", "asked"]);
}

#[tokio::test]
async fn a_call_whose_caller_left_is_on_record_with_what_was_sent() {
    let log = Log::new();
    let world = recorded(&log).await;
    world.sandbox.faults().script(Fault::on("www.googleapis.com").hang());
    let mut client = world.service.client();
    let request = get("/oauth2/v3/userinfo").by(google(ADA));
    let call = tokio::spawn(async move { client.call_provider(request).await });
    eventually("a call to Google", async || world.provider_calls("www.googleapis.com") > 0).await;
    call.abort();
    let record = log.last(1).await;
    let fields = ["rpc", "code", "decision", "user", "path", "sent", "status"];
    assert_eq!(said(&record, &fields), format!("CallProvider CANCELLED allow {ADA} /oauth2/v3/userinfo 1 -"));
    assert!(record["fingerprint"].is_string());
}

#[tokio::test]
async fn with_a_key_no_id_of_a_user_is_on_record_and_each_user_can_be_told_apart() {
    let log = Log::new();
    let world = World::configured(|config| {
        let key = UserIdKey::parse("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=").unwrap();
        config.audit = Settings { user_id_key: Some(key.into()), ..log.settings() };
    })
    .await;
    for user in [ADA, ADA, SATOSHI] {
        world.list(user).await.unwrap();
    }
    let mut one = google(ADA);
    one.account_id = ACCOUNT.to_owned();
    world.lend(one).await.unwrap();
    let records = log.after(4).await;
    let user = |index: usize| records[index]["user"].as_str().unwrap();
    assert!(user(0).starts_with("hmac-sha256:") && user(0).len() == 12 + 64, "{}", user(0));
    assert!(user(0) == user(1) && user(1) != user(2));
    assert_eq!(records[3]["account_id"], records[3]["asked_account_id"]);
    for id in [ADA, ACCOUNT, SATOSHI] {
        assert!(!log.text().contains(id), "{id}");
    }
}

#[tokio::test]
async fn what_callers_write_stays_in_its_field_in_both_formats() {
    let user = "auth0|a\u{2028}b\u{202e}c\"d\\e=f code=OK";
    let account = "x\",\"code\":\"OK";
    for format in [Format::Json, Format::Logfmt] {
        let log = Log::new();
        let world = World::configured(|config| config.audit = Settings { format, ..log.settings() }).await;
        let mut identity = google(user);
        identity.account_id = account.to_owned();
        world.lend(identity).await.unwrap_err();
        eventually("a record", async || log.text().ends_with('\n')).await;
        let text = log.text();
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        if format == Format::Json {
            let record = log.last(1).await;
            assert_eq!(said(&record, &["code", "user"]), format!("NOT_FOUND {user}"));
            assert_eq!(record["asked_account_id"], account);
        } else {
            let quoted = r#" user="auth0|a\u2028b\u202ec\"d\\e=f code=OK" "#;
            assert!(text.contains(quoted) && text.contains(" code=NOT_FOUND "), "{text}");
        }
    }
}

#[tokio::test]
async fn a_token_that_its_caller_puts_into_a_path_is_not_on_record() {
    let log = Log::new();
    let world = recorded(&log).await;
    let token = world.lend(github(ADA)).await.unwrap().access_token;
    let encoded: String = token.bytes().map(|byte| format!("%{byte:02x}")).collect();
    for path in [format!("/users/{token}"), format!("/users/{encoded}"), format!("/users/x{token}x")] {
        world.call(github(ADA), get(&path)).await.unwrap();
    }
    let paths: Vec<_> = log.after(4).await.iter().map(|record| said(record, &["path"])).collect();
    assert_eq!(paths[1..], ["/users/***", "/***", "/users/x***x"]);
    assert!(!log.text().contains(&token) && !log.text().contains(&encoded));
}

#[tokio::test]
async fn the_level_chooses_what_is_recorded() {
    for (level, expected) in [(Level::All, 2), (Level::Refusals, 1), (Level::Off, 0)] {
        let log = Log::new();
        let mut world = World::configured(|config| config.audit = Settings { level, ..log.settings() }).await;
        world.list(ADA).await.unwrap();
        world.lend(google("auth0|nobody")).await.unwrap_err();
        world.service.begin_to_stop();
        world.service.stopped().await;
        assert_eq!(log.records().len(), expected, "{level:?}");
        assert_eq!(log.path().exists(), level != Level::Off);
    }
}

#[tokio::test]
async fn the_answer_tells_what_the_record_does() {
    let log = Log::new();
    let world = recorded(&log).await;
    world.sandbox.faults().script(Fault::on("api.github.com").answer(503));
    let answer = world.call(github(ADA), get("/user")).await.unwrap();
    let record = log.last(1).await;
    assert_eq!(record["sent"], answer.report().attempts);
    assert_eq!(record["status"], answer.status_code);
}
