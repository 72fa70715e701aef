//! A short tour with a real client: three RPCs, a renewal and one error, and which requests reached Auth0 and
//! the providers.

use std::{net::SocketAddr, time::SystemTime};

use idp_token_sandbox::{PROVIDER_HOSTS, Sandbox, Seed, UserSeed};
use serde_json::json;
use tonic::{Status, transport::Channel};

use super::super::{
    Failure,
    call::describe,
    output::{program, quoted, say},
};
use crate::service::pb::{
    CallProviderRequest, GetIdentityTokenRequest, HttpRequest, Identity, IdentitySelector,
    ListIdentitiesRequest, idp_token_service_client::IdpTokenServiceClient,
};

/// The sample's user with three providers.
const ADA: &str = "google-oauth2|108204268033311374519";
/// The sample's user whose Google token has expired, with a refresh token.
const BARBARA: &str = "google-oauth2|100000000000000000003";
/// The sample's user with two GitHub accounts.
const GRACE: &str = "github|2000001";

/// The calls made as Ada: provider, host and path.
const CALLS: [(&str, &str, &str); 3] = [
    ("google-oauth2", "www.googleapis.com", "/calendar/v3/users/me/calendarList"),
    ("github", "api.github.com", "/user/repos?per_page=2"),
    ("facebook", "graph.facebook.com", "/me?fields=id,name"),
];

type Client = IdpTokenServiceClient<Channel>;

pub(super) async fn take(sandbox: &Sandbox, grpc: SocketAddr) -> Result<(), Failure> {
    let mut client = IdpTokenServiceClient::connect(format!("http://{grpc}"))
        .await
        .map_err(|error| Failure::Other(format!("the service does not answer: {error}")))?;
    list(&mut client).await?;
    lend(&mut client).await?;
    call(&mut client).await?;
    renew(&mut client).await?;
    fail(&mut client).await?;
    count(sandbox)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn failed(status: Status) -> Failure {
    Failure::Other(format!("a call failed that should not:\n{}", describe(&status)))
}

fn selector(user: &str, provider: &str) -> IdentitySelector {
    IdentitySelector {
        user_id: user.to_owned(),
        provider: provider.to_owned(),
        ..IdentitySelector::default()
    }
}

async fn list(client: &mut Client) -> Result<(), Failure> {
    say(format_args!("\n1. ListIdentities: who is Ada ({ADA})?"))?;
    let request = ListIdentitiesRequest { user_id: ADA.to_owned(), ..ListIdentitiesRequest::default() };
    let listed = client.list_identities(request).await.map_err(failed)?.into_inner();
    for identity in listed.identities {
        say(format_args!("     {:14} {:22} {}", identity.provider, identity.account_id, outlook(&identity)))?;
    }
    Ok(())
}

fn outlook(identity: &Identity) -> String {
    let expiry = identity.expire_time.and_then(|time| SystemTime::try_from(time).ok());
    let until = expiry.map_or("no known end".to_owned(), |time| {
        format!("until {} at the latest", humantime::format_rfc3339_seconds(time))
    });
    format!("{}, {until}", identity.state().as_str_name().trim_start_matches("STATE_").to_lowercase())
}

async fn lend(client: &mut Client) -> Result<(), Failure> {
    say(format_args!("\n2. GetIdentityToken: a service borrows her Google token."))?;
    let request = GetIdentityTokenRequest {
        identity: Some(selector(ADA, "google-oauth2")),
        ..GetIdentityTokenRequest::default()
    };
    let lent = client.get_identity_token(request).await.map_err(failed)?.into_inner();
    say(format_args!(
        "     {} characters of {} token; logs call it {}",
        lent.access_token.len(),
        lent.token_type,
        lent.fingerprint
    ))?;
    Ok(())
}

async fn call(client: &mut Client) -> Result<(), Failure> {
    say(format_args!("\n3. CallProvider: another service has calls made as her, and never sees a token."))?;
    for (provider, host, path) in CALLS {
        let http = HttpRequest { host: host.to_owned(), path: path.to_owned(), ..HttpRequest::default() };
        let request = CallProviderRequest {
            identity: Some(selector(ADA, provider)),
            request: Some(http),
            ..CallProviderRequest::default()
        };
        let answer = client.call_provider(request).await.map_err(failed)?.into_inner();
        say(format_args!(
            "     GET https://{host}{path}\n       {}  {}",
            answer.status_code,
            excerpt(&answer.body)
        ))?;
        if answer.status_code != 200 {
            return Err(Failure::Other(format!("{provider} should have answered 200")));
        }
    }
    Ok(())
}

async fn renew(client: &mut Client) -> Result<(), Failure> {
    say(format_args!("\n4. A token that has ended is renewed at the provider: Barbara's ({BARBARA})."))?;
    for again in ["", "; the second caller gets the same, and Google is not asked again"] {
        let request = GetIdentityTokenRequest {
            identity: Some(selector(BARBARA, "google-oauth2")),
            ..GetIdentityTokenRequest::default()
        };
        let lent = client.get_identity_token(request).await.map_err(failed)?.into_inner();
        let source = lent.source().as_str_name().trim_start_matches("TOKEN_SOURCE_").to_lowercase();
        say(format_args!("     {source}: {}{again}", lent.fingerprint))?;
        if source != "renewed" {
            return Err(Failure::Other("a token that had ended was not renewed".to_owned()));
        }
    }
    Ok(())
}

/// Returns the beginning of a body, on one line.
fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let line: Vec<_> = text.split_whitespace().collect();
    let mut line = line.join(" ");
    if let Some((cut, _)) = line.char_indices().nth(90) {
        line.truncate(cut);
        line.push('…');
    }
    line
}

async fn fail(client: &mut Client) -> Result<(), Failure> {
    say(format_args!("\n5. An error says what to do: Grace ({GRACE}) has two GitHub accounts."))?;
    let request = GetIdentityTokenRequest {
        identity: Some(selector(GRACE, "github")),
        ..GetIdentityTokenRequest::default()
    };
    match client.get_identity_token(request).await {
        Ok(_) => Err(Failure::Other("an ambiguous identity was answered with a token".to_owned())),
        Err(status) => {
            say(format_args!("     {}", describe(&status).replace('\n', "\n     ")))?;
            Ok(())
        }
    }
}

fn count(sandbox: &Sandbox) -> Result<(), Failure> {
    let journal = sandbox.journal();
    let providers = journal.count(|entry| PROVIDER_HOSTS.contains(&entry.host.as_str()));
    say(format_args!(
        "\nOf these 8 calls, Auth0 saw {} token request and {} profile reads (one for each user), the providers {providers}.",
        journal.token_requests(),
        journal.profile_reads()
    ))
}

/// The users of the seed that the suggested commands are about.
pub(super) struct People {
    /// A user with an account for which calls can be made: id, provider and path.
    caller: Option<(String, &'static str, &'static str)>,
    /// A user to list: the second, since the tour began with the first.
    listed: Option<String>,
}

/// The request that shows the user's account, by provider: provider and path.
const OWN_ACCOUNT: [(&str, &str); 3] =
    [("github", "/user"), ("google-oauth2", "/oauth2/v3/userinfo"), ("facebook", "/me?fields=id,name")];

impl People {
    pub(super) fn of(seed: &Seed) -> Self {
        let caller = seed.users.iter().find_map(|user| {
            let (provider, path) = OWN_ACCOUNT.into_iter().find(|(provider, _)| has_one(user, provider))?;
            Some((user.id.clone(), provider, path))
        });
        let listed = seed.users.get(1).or(seed.users.first());
        Self { caller, listed: listed.map(|user| user.id.clone()) }
    }
}

/// Returns whether a selector of `provider` matches exactly one account of `user`.
fn has_one(user: &UserSeed, provider: &str) -> bool {
    let strategies = user.identities.iter().map(|one| one.provider.as_deref().unwrap_or(&one.connection));
    strategies.filter(|strategy| *strategy == provider).count() == 1
}

/// Returns commands to try, ready to paste.
pub(super) fn hints(people: &People, sandbox: &Sandbox, grpc: SocketAddr, has_page: bool) -> String {
    let url = sandbox.url();
    let mut lines = vec!["\nIt keeps serving until Ctrl-C. To try:\n".to_owned()];
    if has_page {
        let page = sandbox.playground_url();
        lines.push(format!("{page}       # in a browser: log in, and call the service as yourself"));
    }
    lines.push(format!("grpcurl -plaintext {grpc} list"));
    if let Some((user, provider, path)) = &people.caller {
        let request = json!({"identity": {"userId": user, "provider": provider}, "request": {"path": path}});
        let request = quoted(&request.to_string());
        lines
            .push(format!("grpcurl -plaintext -d {request} {grpc} idptoken.v1.IdpTokenService/CallProvider"));
    }
    if let Some(user) = &people.listed {
        let request = quoted(&json!({"userId": user}).to_string());
        lines.push(format!("{} call ListIdentities {request} --address http://{grpc}", program()));
    }
    let fault = quoted(r#"{"host": "api.github.com", "answer": {"status": 503}}"#);
    lines.extend([
        format!(
            "curl -s {url}/sandbox/journal       # what reached Auth0 and the providers, secrets left out"
        ),
        format!("curl -s {url}/sandbox/users         # who there is"),
        format!("curl -s {url}/sandbox/faults -d {fault}   # the next request to GitHub fails"),
        "\nMore of this: docs/sandbox.md".to_owned(),
    ]);
    lines.join("\n  ").replace("\n  \n", "\n\n")
}
