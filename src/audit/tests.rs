//! The form of a record, and whether the documentation describes it.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::{
    Audit, Destination, Format, Level, Outcome, QUEUE, Settings,
    line::Line,
    record::{Found, Record, Sent},
};
use crate::{
    caller::{CallerId, Proof},
    identity::{IdentityKey, Selector, UserId},
    telemetry::Metrics,
    token::Fingerprint,
};

const DOCUMENTATION: &str = include_str!("../../docs/audit.md");

fn user(id: &str) -> UserId {
    UserId::parse(id.to_owned(), "user_id").expect("a user id")
}

/// A record that has every field.
fn full() -> Record {
    let key = IdentityKey { connection: "github".to_owned(), account_id: "2000001".to_owned() };
    let selector = ["github", "github", "2000001"].map(str::to_owned);
    let [provider, connection, account_id] = selector;
    Record {
        time: SystemTime::UNIX_EPOCH + Duration::from_micros(1_767_323_045_000_001),
        rpc: "CallProvider",
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
        peer: Some("10.1.2.3:50000".parse().expect("an address")),
        peer_name: Some("spiffe://acme/envoy".to_owned()),
        caller: Some(CallerId::EndUser(user("auth0|1"))),
        proof: Proof::Token { issuer: "https://acme.eu.auth0.com/".into() },
        user: Some(user("auth0|1")),
        asked: Selector { provider: provider.clone(), connection, account_id },
        refresh_token: Some("asked"),
        is_allowed: true,
        found: Some(Found { provider, key: Arc::new(key) }),
        fingerprint: Some(Fingerprint::of("abc")),
        request: Some(Sent {
            method: Some("GET".to_owned()),
            host: "api.github.com".to_owned(),
            path: "/user".to_owned(),
        }),
        sent: 2,
        status: Some(200),
        outcome: Some(outcome()),
    }
}

fn outcome() -> Outcome {
    Outcome {
        code: "INVALID_ARGUMENT",
        reason: Some("INVALID_FIELD".to_owned()),
        detail: Some("request.path".to_owned()),
        request_id: Some("one-of-mine".to_owned()),
        took: Duration::from_micros(1234),
    }
}

fn written(format: Format, record: &Record) -> String {
    let mut out = Vec::new();
    let mut line = Line::begin(format, &mut out);
    record.write(&mut line, None);
    line.end();
    String::from_utf8(out).expect("it is text")
}

/// The fields' names, in the order in which they are written.
fn names(logfmt: &str) -> Vec<&str> {
    logfmt.split_whitespace().filter_map(|field| Some(field.split_once('=')?.0)).collect()
}

#[test]
fn every_field_is_in_the_documentation_in_its_order() {
    let text = written(Format::Logfmt, &full());
    let rows = DOCUMENTATION.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    assert_eq!(rows.map(|(name, _)| name).collect::<Vec<_>>(), names(&text));
}

#[test]
fn both_formats_say_the_same() {
    let json: serde_json::Value = serde_json::from_str(&written(Format::Json, &full())).expect("it is JSON");
    let logfmt = written(Format::Logfmt, &full());
    let fields: BTreeSet<_> = logfmt.split_whitespace().collect();
    for (name, value) in json.as_object().expect("an object") {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        assert!(fields.contains(&*format!("{name}={value}")), "{name}={value}\n{logfmt}");
    }
    assert_eq!(json.as_object().map(serde_json::Map::len), Some(fields.len()));
    assert!(logfmt.starts_with("audit=1 time=2026-01-02T03:04:05.000001Z rpc=CallProvider "), "{logfmt}");
}

#[test]
fn what_is_not_known_has_no_field() {
    let record = Record { time: full().time, rpc: "ListIdentities", ..Record::default() };
    let text = written(Format::Json, &record);
    let expected =
        r#"{"audit":1,"time":"2026-01-02T03:04:05.000001Z","rpc":"ListIdentities","caller_kind":"unknown"}"#;
    assert_eq!(text, format!("{expected}\n"));
}

#[test]
fn long_texts_are_cut() {
    let mut record = full();
    record.asked.connection = "ü".repeat(2000);
    record.caller = Some(CallerId::Service("x".repeat(2000)));
    let json: serde_json::Value = serde_json::from_str(&written(Format::Json, &record)).expect("it is JSON");
    assert_eq!(json["asked_connection"].as_str(), Some(&*format!("{}…", "ü".repeat(512))));
    assert_eq!(json["caller"].as_str(), Some(&*format!("{}…", "x".repeat(1024))));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_worked_on_has_a_place_and_waits_for_it_no_longer_than_a_second() {
    let settings = Settings {
        destination: Destination::File("/dev/null".into()),
        format: Format::Json,
        level: Level::All,
        user_id_key: None,
    };
    let metrics = Arc::new(Metrics::default());
    let audit = Audit::start(&settings, &metrics).expect("it opens");
    let mut held = Vec::new();
    for _ in 0..QUEUE {
        let call = audit.begin();
        call.scope().reserve().await.expect("there is room");
        held.push(call);
    }
    // A call that has only begun takes no place.
    let late = audit.begin();
    assert!(!audit.is_writing());
    let began = Instant::now();
    late.scope().reserve().await.expect_err("there is no room");
    // tokio's timers count whole milliseconds.
    assert_eq!(began.elapsed().as_millis(), 1000);
    audit.begin().end(outcome());
    assert!(metrics.page().contains("idp_token_audit_calls_left_out_total 1\n"));
    held.pop();
    late.scope().reserve().await.expect("there is room again");
    late.scope().reserve().await.expect("it has its place");
    assert!(!audit.is_writing(), "one place for one call");
}
