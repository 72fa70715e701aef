//! From the proof of who calls to the rule that decides, with the real program, its file and its port.

use std::path::Path;

use idp_token_sandbox::{Sandbox, Seed};
use idp_token_service::service::pb::{
    CallProviderRequest, GetIdentityTokenRequest, HttpRequest, IdentitySelector, InspectIdentityTokenRequest,
    ListIdentitiesRequest, RevokeIdentityTokenRequest, idp_token_service_client::IdpTokenServiceClient,
};
use idp_token_testkit::{
    ANYWHERE, assert_error, channel, get,
    issuer::{AUDIENCE, Issuer},
    keys,
    people::{ADA, github, google},
    post,
    process::{Running, command, environment, host_overrides},
    tls::{self, Pki},
};
use tonic::{
    Code::{PermissionDenied, Unauthenticated},
    Request, Status,
    transport::Channel,
};

type Client = IdpTokenServiceClient<Channel>;

const NOT_ALLOWED: &str = "CALLER_NOT_ALLOWED";
const UNAUTHENTICATED: &str = "CALLER_UNAUTHENTICATED";

/// A service with a file that ends in `rules`, with a sandbox for Auth0 and all providers.
struct Office {
    sandbox: Sandbox,
    service: Running,
}

impl Office {
    async fn open(folder: &Path, rules: &str) -> Self {
        let seed = Seed { signing_key: Some(keys::SIGNING_KEY.clone()), ..Seed::sample() };
        let sandbox = Sandbox::start(seed, ANYWHERE).await.unwrap();
        let file = folder.join("idp.toml");
        std::fs::write(&file, format!("{}{rules}", host_overrides(&sandbox))).unwrap();
        let mut serve = command(&["serve", "--config"]);
        serve.arg(file).envs(environment(&sandbox));
        let service = Running::ready(serve).await;
        Self { sandbox, service }
    }

    /// How often anybody was asked about a user.
    fn requests(&self) -> usize {
        self.sandbox.journal().profile_reads()
            + self.sandbox.journal().to("www.googleapis.com").len()
            + self.sandbox.journal().to("api.github.com").len()
    }
}

/// A message with a bearer token, where there is one.
fn with<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if !token.is_empty() {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    request
}

/// The providers of Ada's identities, as far as they exist for the caller.
async fn list(client: &Client, token: &str) -> Result<Vec<String>, Status> {
    let request = ListIdentitiesRequest { user_id: ADA.to_owned(), ..Default::default() };
    let answer = client.clone().list_identities(with(token, request)).await?.into_inner();
    Ok(answer.identities.into_iter().map(|identity| identity.provider).collect())
}

async fn call(
    client: &Client,
    token: &str,
    identity: IdentitySelector,
    request: HttpRequest,
) -> Result<i32, Status> {
    let request =
        CallProviderRequest { identity: Some(identity), request: Some(request), ..Default::default() };
    client.clone().call_provider(with(token, request)).await.map(|answer| answer.into_inner().status_code)
}

async fn lend(client: &Client, token: &str, identity: IdentitySelector) -> Result<bool, Status> {
    let request = GetIdentityTokenRequest { identity: Some(identity), ..Default::default() };
    let answer = client.clone().get_identity_token(with(token, request)).await?;
    Ok(!answer.into_inner().access_token.is_empty())
}

async fn inspect(client: &Client, identity: IdentitySelector) -> Result<String, Status> {
    let request = InspectIdentityTokenRequest { identity: Some(identity) };
    let answer = client.clone().inspect_identity_token(request).await?.into_inner();
    Ok(answer.identity.unwrap().provider)
}

async fn revoke(client: &Client, identity: IdentitySelector) -> Result<String, Status> {
    let request = RevokeIdentityTokenRequest { identity: Some(identity) };
    let answer = client.clone().revoke_identity_token(request).await?.into_inner();
    Ok(answer.identity.unwrap().provider)
}

/// Any identity of Ada's.
fn any() -> IdentitySelector {
    IdentitySelector { user_id: ADA.to_owned(), ..Default::default() }
}

/// A client with a certificate of the authority with these names.
fn certified(pki: &Pki, office: &Office, names: &[&str]) -> Client {
    let config = tls::client(&[&pki.authority], Some(&pki.authority.client(names)));
    IdpTokenServiceClient::new(tls::channel(office.service.grpc, config))
}

fn mutual_tls(pki: &Pki) -> String {
    let path = |name| pki.path(name).display().to_string();
    format!(
        "[tls]\ncertificate_file = '{}'\nprivate_key_file = '{}'\nclient_ca_file = '{}'\n",
        path("server.pem"),
        path("server.key"),
        path("ca.pem")
    )
}

#[tokio::test]
async fn a_certificate_names_the_service_that_a_rule_is_about() {
    let (pki, folder) = (Pki::new(), tempfile::tempdir().unwrap());
    let rules = "[[callers]]\nid = 'spiffe://acme/ns/*/sa/calendar'\nallow = ['ListIdentities', 'CallProvider']\n\
        providers = ['google-oauth2']\nrequests = ['GET www.googleapis.com/oauth2/v3/userinfo']\n\
        [[callers]]\nid = 'janitor.acme.example'\nallow = ['InspectIdentityToken', 'RevokeIdentityToken']\n\
        providers = ['google-oauth2']\n";
    let office = Office::open(folder.path(), &format!("{}{rules}", mutual_tls(&pki))).await;
    let userinfo = || get("/oauth2/v3/userinfo");

    for name in ["spiffe://acme/ns/prod/sa/mail", "spiffe://acme/ns/a/b/sa/calendar", "calendar"] {
        let other = certified(&pki, &office, &[name]);
        assert_error(list(&other, "").await, PermissionDenied, NOT_ALLOWED);
        assert_error(call(&other, "", google(ADA), userinfo()).await, PermissionDenied, NOT_ALLOWED);
    }
    let two = ["spiffe://acme/ns/prod/sa/calendar", "spiffe://acme/ns/prod/sa/mail"];
    for names in [&[][..], &["192.0.2.1"], &two] {
        let nobody = certified(&pki, &office, names);
        assert_error(list(&nobody, "").await, Unauthenticated, UNAUTHENTICATED);
    }
    assert_eq!(office.requests(), 0, "who is refused makes nobody asked");

    let calendar = certified(&pki, &office, &["spiffe://acme/ns/prod/sa/calendar"]);
    assert_eq!(list(&calendar, "").await.unwrap(), ["google-oauth2"]);
    assert_eq!(call(&calendar, "", google(ADA), userinfo()).await.unwrap(), 200);
    for (identity, request) in [
        (google(ADA), get("/oauth2/v3/userinfo/")),
        (google(ADA), post("/oauth2/v3/userinfo", "")),
        (github(ADA), get("/user")),
    ] {
        assert_error(call(&calendar, "", identity, request).await, PermissionDenied, NOT_ALLOWED);
    }
    assert_error(lend(&calendar, "", google(ADA)).await, PermissionDenied, NOT_ALLOWED);
    assert_error(inspect(&calendar, google(ADA)).await, PermissionDenied, NOT_ALLOWED);
    assert_error(revoke(&calendar, google(ADA)).await, PermissionDenied, NOT_ALLOWED);

    // Of several identities only that of the rule exists for the janitor, so it need not say which one it
    // means.
    let janitor = certified(&pki, &office, &["Janitor.acme.example"]);
    assert_eq!(inspect(&janitor, any()).await.unwrap(), "google-oauth2");
    for outcome in [inspect(&janitor, github(ADA)).await, revoke(&janitor, github(ADA)).await] {
        assert_error(outcome, PermissionDenied, NOT_ALLOWED);
    }
    assert_eq!(revoke(&janitor, any()).await.unwrap(), "google-oauth2");
}

#[tokio::test]
async fn a_jwt_names_the_service_that_a_rule_is_about() {
    let (issuer, folder) = (Issuer::start().await, tempfile::tempdir().unwrap());
    let url = issuer.url();
    let rules = format!(
        "[[jwt_issuers]]\nissuer = '{url}'\njwks_url = '{url}/jwks'\naudience = '{AUDIENCE}'\n\
        [[callers]]\nid = 'calendar'\nallow = ['ListIdentities', 'GetIdentityToken']\nproviders = ['google-oauth2']\n"
    );
    let office = Office::open(folder.path(), &rules).await;
    let client = IdpTokenServiceClient::new(channel(office.service.grpc));

    assert_error(list(&client, "").await, Unauthenticated, UNAUTHENTICATED);
    assert_error(list(&client, "a.b.c").await, Unauthenticated, UNAUTHENTICATED);
    let mut claims = issuer.claims();
    claims["sub"] = "mail".into();
    let mail = issuer.sign(&claims);
    assert_error(list(&client, &mail).await, PermissionDenied, NOT_ALLOWED);
    assert_error(lend(&client, &mail, google(ADA)).await, PermissionDenied, NOT_ALLOWED);
    assert_eq!(office.requests(), 0, "who is refused makes nobody asked");

    let calendar = issuer.token();
    assert_eq!(list(&client, &calendar).await.unwrap(), ["google-oauth2"]);
    assert!(lend(&client, &calendar, any()).await.unwrap());
    assert_error(lend(&client, &calendar, github(ADA)).await, PermissionDenied, NOT_ALLOWED);
    let request = get("/oauth2/v3/userinfo");
    assert_error(call(&client, &calendar, google(ADA), request).await, PermissionDenied, NOT_ALLOWED);
}
