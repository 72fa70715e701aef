//! THE MATRIX: every kind of caller, with every RPC, every provider and many requests, through the real
//! server with rules out of a file. What must come of it stands in plain tables ([`table`]), and is compared
//! with three things: the answer's code and reason, the call's audit record, and what reached Auth0 and the
//! providers.

mod actors;
mod table;

use std::{collections::HashMap, io::Write};

use actors::{Actor, World};
use idp_token_sandbox::Journal;
use idp_token_service::service::pb::{
    CallProviderRequest, CreateConnectLinkRequest, GetIdentityTokenRequest, HttpRequest,
    InspectIdentityTokenRequest, ListIdentitiesRequest, RevokeIdentityTokenRequest, StreamProviderRequest,
};
use idp_token_testkit::{
    audit::said,
    people::{ADA, at},
};
use serde_json::Value;
use table::{ACTIONS, Expected, PROVIDERS};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

/// One call of the matrix.
struct Cell<'a> {
    /// The call's request id.
    id: String,
    actor: &'a Actor,
    provider: &'static str,
    action: &'static str,
}

/// What came of it, as far as can be seen from outside.
struct Outcome {
    code: Code,
    reason: String,
    /// The providers of the identities that were listed.
    listed: Vec<String>,
    /// `METHOD host/path` of what reached a provider.
    arrived: Vec<String>,
    profile_reads: usize,
}

impl Cell<'_> {
    fn rpc(&self) -> &'static str {
        match self.action {
            "list" => "ListIdentities",
            "get" | "get all" => "GetIdentityToken",
            "inspect" => "InspectIdentityToken",
            "revoke" => "RevokeIdentityToken",
            "link" => "CreateConnectLink",
            "stream" => "StreamProvider",
            _ => "CallProvider",
        }
    }

    /// Whom it is about: revoking leaves nothing for other cells, so each has somebody of its own.
    fn user(&self) -> String {
        match self.action {
            "revoke" => World::victim(self.actor.name, self.provider),
            _ => ADA.to_owned(),
        }
    }

    fn message<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("x-request-id", self.id.parse().unwrap());
        for (name, value) in &self.actor.headers {
            request.metadata_mut().insert(*name, value.parse().unwrap());
        }
        request
    }

    /// Makes the call: the providers that are listed, if any are.
    async fn call(&self) -> Result<Vec<String>, Status> {
        let mut client = self.actor.client.clone();
        let identity = Some(at(&self.user(), self.provider));
        match self.rpc() {
            "ListIdentities" => {
                let request = ListIdentitiesRequest { user_id: self.user(), ..Default::default() };
                let answer = client.list_identities(self.message(request)).await?.into_inner();
                return Ok(answer.identities.into_iter().map(|identity| identity.provider).collect());
            }
            "GetIdentityToken" => {
                let include_refresh_token = self.action == "get all";
                let request =
                    GetIdentityTokenRequest { identity, include_refresh_token, ..Default::default() };
                client.get_identity_token(self.message(request)).await.map(drop)
            }
            "InspectIdentityToken" => {
                let request = InspectIdentityTokenRequest { identity };
                client.inspect_identity_token(self.message(request)).await.map(drop)
            }
            "RevokeIdentityToken" => {
                let request = RevokeIdentityTokenRequest { identity };
                client.revoke_identity_token(self.message(request)).await.map(drop)
            }
            "CreateConnectLink" => {
                let connection = self.provider.to_owned();
                let redirect_uri = "http://127.0.0.1:3000/connected".to_owned();
                let request = CreateConnectLinkRequest { connection, redirect_uri, ..Default::default() };
                client.create_connect_link(self.message(request)).await.map(drop)
            }
            "StreamProvider" => {
                let head = tokio_stream::once(StreamProviderRequest::default());
                client.stream_provider(self.message(head)).await.map(drop)
            }
            _ => {
                let (method, host, path) = split(self.action);
                let [method, host, path] = [method, host, path].map(str::to_owned);
                let request = Some(HttpRequest { method, host, path, ..Default::default() });
                let request = CallProviderRequest { identity, request, ..Default::default() };
                client.call_provider(self.message(request)).await.map(drop)
            }
        }?;
        Ok(Vec::new())
    }

    async fn outcome(&self, journal: &Journal, tenant: &str) -> Outcome {
        journal.clear();
        let outcome = self.call().await;
        let entries = journal.entries().into_iter().filter(|entry| entry.host != tenant);
        let arrived = entries.map(|entry| format!("{} {}{}", entry.method, entry.host, entry.path)).collect();
        let (code, reason) = outcome.as_ref().err().map_or((Code::Ok, String::new()), |status| {
            (status.code(), status.get_details_error_info().map(|info| info.reason).unwrap_or_default())
        });
        let listed = outcome.unwrap_or_default();
        Outcome { code, reason, listed, arrived, profile_reads: journal.profile_reads() }
    }

    /// What is wrong with the outcome; nothing, if it is as expected.
    fn judge(&self, expected: &Expected, outcome: &Outcome) -> Vec<String> {
        let mut wrong = Vec::new();
        if (outcome.code, &*outcome.reason) != (expected.code, expected.reason) {
            wrong.push(format!(
                "{:?} {}, not {:?} {}",
                outcome.code, outcome.reason, expected.code, expected.reason
            ));
        }
        if let Some(listed) = &expected.listed
            && outcome.listed != *listed
        {
            wrong.push(format!("lists {:?}, not {listed:?}", outcome.listed));
        }
        let is_refused = expected.code != Code::Ok;
        if is_refused && outcome.arrived.len() + outcome.profile_reads > 0 {
            wrong.push(format!(
                "{:?} and {} reads for a refused call",
                outcome.arrived, outcome.profile_reads
            ));
        }
        if let Some(sent) = &expected.sent
            && outcome.arrived != [sent.clone()]
        {
            wrong.push(format!("{:?} arrived, not {sent}", outcome.arrived));
        }
        let asks_a_provider = matches!(self.action, "inspect" | "revoke") || expected.sent.is_some();
        if !is_refused && outcome.arrived.is_empty() == asks_a_provider {
            wrong.push(format!("{:?} arrived", outcome.arrived));
        }
        wrong
    }

    /// What is wrong with the record of the call.
    fn judge_record(&self, expected: &Expected, record: Option<&Value>) -> Vec<String> {
        let Some(record) = record else { return vec!["there is no record".to_owned()] };
        let mut wrong = Vec::new();
        let mut compare = |fields: &[&str], wanted: String| {
            let told = said(record, fields);
            if told != wanted {
                wrong.push(format!("the record says {fields:?}: {told}, not {wanted}"));
            }
        };
        let reason = if expected.reason.is_empty() { "-" } else { expected.reason };
        let code = expected.code_name;
        compare(
            &["rpc", "code", "reason", "decision"],
            format!("{} {code} {reason} {}", self.rpc(), expected.decision),
        );
        let is_known =
            expected.decision != "none" || self.action == "stream" && reason != "CALLER_UNAUTHENTICATED";
        let caller = if is_known { &*self.actor.known_as } else { "unknown - -" };
        compare(&["caller_kind", "caller", "caller_proof"], caller.to_owned());
        let has_user = is_known && !matches!(self.action, "link" | "stream");
        compare(&["user"], if has_user { self.user() } else { "-".to_owned() });
        let has_provider = has_user && self.action != "list";
        compare(&["asked_provider"], if has_provider { self.provider } else { "-" }.to_owned());
        let is_used = expected.code == Code::Ok && has_provider;
        compare(&["provider"], if is_used { self.provider } else { "-" }.to_owned());
        if record["fingerprint"].is_null() == is_used {
            wrong.push(format!("the fingerprint is {}", record["fingerprint"]));
        }
        wrong.extend(self.judge_request(expected, record, is_known));
        wrong
    }

    fn judge_request(&self, expected: &Expected, record: &Value, is_known: bool) -> Option<String> {
        let told = said(record, &["method", "host", "path", "sent"]);
        let wanted = match &expected.sent {
            _ if self.rpc() != "CallProvider" || !is_known => "- - - -".to_owned(),
            // As it was sent.
            Some(sent) => {
                let (method, place) = sent.split_once(' ').unwrap();
                let (host, path) = place.split_at(place.find('/').unwrap());
                format!("{method} {host} {path} 1")
            }
            // As it was asked for.
            None => {
                let (method, host, path) = split(self.action);
                let path = path.split('?').next().unwrap();
                format!("{method} {} {path} 0", if host.is_empty() { "-" } else { host })
            }
        };
        (told != wanted).then(|| format!("the record says {told}, not {wanted}"))
    }
}

/// `GET api.github.com/user` as method, host and path; the host is empty where none stands there.
fn split(action: &str) -> (&str, &str, &str) {
    let (method, place) = action.split_once(' ').unwrap();
    let (host, path) = place.split_at(place.find('/').unwrap());
    (method, host, path)
}

/// Goes through all cells of `world`, and says what is wrong.
async fn go_through(world: &World) -> (usize, Vec<String>) {
    let mut wrong = Vec::new();
    let mut judged = Vec::new();
    for actor in &world.actors {
        for action in ACTIONS {
            // A list is about all providers.
            let providers = if *action == "list" { &PROVIDERS[..1] } else { &PROVIDERS };
            for provider in providers {
                let id = format!("{}/{provider}/{}", actor.name, judged.len());
                let cell = Cell { id, actor, provider, action };
                let expected = Expected::of(actor.name, provider, action);
                if let (Code::Ok, "revoke") = (expected.code, *action) {
                    world.add_victim(actor.name, provider);
                }
                let outcome = cell.outcome(world.sandbox.journal(), world.sandbox.domain()).await;
                wrong.extend(cell.judge(&expected, &outcome).into_iter().map(|what| cell.complaint(&what)));
                judged.push((cell, expected));
            }
        }
    }
    let records = world.log.after(judged.len()).await;
    let mut by_id: HashMap<_, _> =
        records.iter().map(|record| (record["request_id"].as_str().unwrap_or_default(), record)).collect();
    for (cell, expected) in &judged {
        let record = by_id.remove(&*cell.id);
        wrong.extend(cell.judge_record(expected, record).into_iter().map(|what| cell.complaint(&what)));
    }
    (judged.len(), wrong)
}

impl Cell<'_> {
    fn complaint(&self, what: &str) -> String {
        format!("{} {} {}: {what}", self.actor.name, self.provider, self.action)
    }
}

#[tokio::test]
async fn every_caller_gets_what_its_rules_allow_and_all_of_it_is_on_record() {
    let (strict, open) = (World::strict().await, World::open().await);
    let (mut cells, mut wrong) = (0, Vec::new());
    for world in [&strict, &open] {
        let (number, found) = go_through(world).await;
        cells += number;
        wrong.extend(found);
    }
    let actors = strict.actors.len() + open.actors.len();
    // Past the test's own capture: a matrix that shrinks should be seen.
    let told = format!(
        "the matrix: {cells} cells of {actors} callers, {} providers and {} actions; {} wrong\n",
        PROVIDERS.len(),
        ACTIONS.len(),
        wrong.len()
    );
    std::io::stderr().write_all(told.as_bytes()).unwrap();
    assert!(wrong.is_empty(), "{} wrong, such as\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
    assert!(cells > 1000, "{cells}");
}

#[tokio::test]
async fn who_cannot_even_connect_leaves_no_record_and_reaches_nobody() {
    let world = World::strict().await;
    world.sandbox.journal().clear();
    for stranger in world.strangers() {
        let request = ListIdentitiesRequest { user_id: ADA.to_owned(), ..Default::default() };
        stranger.clone().list_identities(request).await.unwrap_err();
    }
    assert_eq!(world.log.text(), "");
    assert_eq!(world.sandbox.journal().profile_reads(), 0);
}
