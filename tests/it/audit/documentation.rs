//! The records that docs/audit.md shows are such as the service writes.

use idp_token_service::{
    audit::{Format, Settings},
    policy::{Pattern, Permission, ProviderName, RequestPattern, Rule, Who},
    rpc::Rpc,
    service::pb::CallProviderRequest,
};
use idp_token_testkit::{
    World,
    audit::Log,
    eventually, get,
    people::{ADA, google},
    post,
};
use tonic::Request;

use crate::callers::certificates::{FORWARDED, trusting};

const DOCUMENTATION: &str = include_str!("../../../docs/audit.md");

/// What differs from run to run, and what the documentation shows in its place.
const VARYING: [(&str, &str); 4] = [
    ("time", "2026-11-22T13:05:00.123456Z"),
    ("took_us", "41725"),
    ("peer", "127.0.0.1:50514"),
    ("fingerprint", "ungWv48Bz-pBQUDeXa4iIw"),
];

/// The line with the documentation's values for what varies.
fn settled(line: &str, format: Format) -> String {
    let mut line = line.to_owned();
    for (name, shown) in VARYING {
        let (before, ends) = match format {
            Format::Json => (format!("\"{name}\":"), [',', '}']),
            Format::Logfmt => (format!(" {name}="), [' ', '\n']),
        };
        let Some(at) = line.find(&before).map(|at| at + before.len()) else { continue };
        let end = line[at..].find(ends).map_or(line.len(), |end| at + end);
        let quoted = line[at..].starts_with('"');
        line.replace_range(at..end, &if quoted { format!("\"{shown}\"") } else { shown.to_owned() });
    }
    line.trim_end().to_owned()
}

/// The record of a call that was allowed, and that of one that was refused.
async fn recorded(format: Format) -> [String; 2] {
    let log = Log::new();
    let world = World::configured(|config| {
        config.audit = Settings { format, ..log.settings() };
        config.trusted_peers = trusting("127.0.0.0/8");
        config.callers.push(Rule {
            who: Who::Services(Pattern::parse("spiffe://acme/ns/*/sa/calendar").unwrap()),
            allow: [Permission::Rpc(Rpc::CallProvider)].into(),
            providers: vec![ProviderName::Strategy("google-oauth2".to_owned())],
            requests: vec![RequestPattern::parse("GET www.googleapis.com/calendar/v3/**").unwrap()],
            line: None,
        });
    })
    .await;
    let path = "/calendar/v3/users/me/calendarList";
    for (id, request) in [("req-7f3a", get(path)), ("req-7f3b", post(path, "{}"))] {
        let message =
            CallProviderRequest { identity: Some(google(ADA)), request: Some(request), ..Default::default() };
        let mut message = Request::new(message);
        for (name, value) in [
            ("x-forwarded-client-cert", FORWARDED),
            ("x-request-id", id),
            ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa00000001-01"),
        ] {
            message.metadata_mut().insert(name, value.parse().unwrap());
        }
        let _ = world.service.client().call_provider(message).await;
    }
    eventually("two records", async || log.text().matches('\n').count() == 2).await;
    let text = log.text();
    let mut lines = text.lines().map(|line| settled(line, format));
    [lines.next().unwrap(), lines.next().unwrap()]
}

#[tokio::test]
async fn the_documentation_shows_what_is_written() {
    let [allowed, refused] = recorded(Format::Json).await;
    let [_, logfmt] = recorded(Format::Logfmt).await;
    let shown = |line: &&String| DOCUMENTATION.lines().any(|shown| shown == **line);
    let lines = [allowed, refused, logfmt];
    let missing: Vec<_> = lines.iter().filter(|line| !shown(line)).map(String::as_str).collect();
    assert!(missing.is_empty(), "docs/audit.md lacks\n{}", missing.join("\n"));
}
