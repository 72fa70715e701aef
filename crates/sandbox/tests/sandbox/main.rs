//! The sandbox through a real socket, as the service, the SDKs and people see it.

#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

mod bitbucket;
mod facebook;
mod faults_and_journal;
mod faults_of_renewals;
mod generic;
mod github;
mod google;
mod login_page;
mod microsoft;
mod playground;
mod sharepoint;
mod tenant;
mod vault;

use std::sync::OnceLock;
use std::time::Duration;

use idp_token_sandbox::{Fault, Reuse, Sandbox, Seed};
use reqwest::Method;
use serde_json::{Value, json};

const ADA: &str = "google-oauth2|108204268033311374519";
const GRACE: &str = "github|2000001";
const EDSGER: &str = "google-oauth2|100000000000000000002";
const BARBARA: &str = "google-oauth2|100000000000000000003";
const ALAN: &str = "google-oauth2|100000000000000000004";
const MARGARET: &str = "github|2000003";
const FRANCES: &str = "oauth2|acme-crm|501";
const KEN: &str = "bitbucket|{7b1e0f3c-52a4-4d0a-9f0e-1a2b3c4d5e6f}";
const RADIA: &str = "waad|dGhpcyBpcyBhIHBhaXJ3aXNlIHN1Yg";
const HEDY: &str = "windowslive|4f2a9c1d7e3b5a60";
const MARY: &str = "auth0|4a61636b736f6e0000000001";
const SIWE: &str = "oauth2|siwe|eip155%3A5%3A0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const SLASHES: &str = "samlp|acme-adfs|https://adfs.acme.example/users/42";

/// A running sandbox and a client that adds nothing to requests.
struct Actor {
    sandbox: Sandbox,
    http: reqwest::Client,
}

/// What came back.
struct Answer {
    status: u16,
    headers: http::HeaderMap,
    body: bytes::Bytes,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Actor {
    async fn new() -> Self {
        Self::with(Seed::sample()).await
    }

    async fn with(mut seed: Seed) -> Self {
        // One key for all: making one takes longer than most of these tests.
        static KEY: OnceLock<String> = OnceLock::new();
        seed.signing_key.get_or_insert_with(|| KEY.get_or_init(|| Seed::new_signing_key().unwrap()).clone());
        let sandbox = Sandbox::start(seed, "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let http = reqwest::Client::builder()
            .no_proxy()
            .no_gzip()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(20));
        Self { sandbox, http: http.build().unwrap() }
    }

    async fn try_send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Result<Answer, reqwest::Error> {
        let (host, path) = url.split_once('/').unwrap();
        let mut request = self.http.request(method, format!("{}/{path}", self.sandbox.url())).body(body);
        if !host.is_empty() {
            request = request.header("host", host);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, body: response.bytes().await? })
    }

    /// `url` is `host/path`; without a host it is the tenant's.
    async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        self.try_send(method, url, headers, body).await.unwrap()
    }

    async fn token(&self, body: Value) -> Answer {
        let headers = [("content-type", "application/json")];
        self.send(Method::POST, "/oauth/token", &headers, body.to_string()).await
    }

    async fn form(&self, url: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
        all.extend(headers);
        self.send(Method::POST, url, &all, body.to_owned()).await
    }

    fn credentials(&self, client: &str) -> Value {
        json!({
            "grant_type": "client_credentials", "client_id": client,
            "client_secret": format!("{client}-secret"), "audience": self.sandbox.audience(),
        })
    }

    async fn management_token(&self, client: &str) -> String {
        let answer = self.token(self.credentials(client)).await;
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    async fn profile_as(&self, client: &str, id: &str) -> Answer {
        let token = format!("Bearer {}", self.management_token(client).await);
        let id: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
        self.send(Method::GET, &format!("/api/v2/users/{id}"), &[("authorization", &token)], "").await
    }

    async fn profile(&self, id: &str) -> Answer {
        self.profile_as("sandbox-service", id).await
    }

    fn bearer(&self, user: &str, connection: &str) -> String {
        format!("Bearer {}", self.sandbox.access_token(user, connection).unwrap())
    }

    /// A form that must be answered with JSON: status and body.
    async fn answered(&self, url: &str, headers: &[(&str, &str)], body: &str) -> (u16, Value) {
        let answer = self.form(url, headers, body).await;
        (answer.status, answer.json())
    }

    /// GET with the token of a user, and a user agent.
    async fn get_as(&self, user: &str, connection: &str, url: &str) -> Answer {
        let token = self.bearer(user, connection);
        self.send(Method::GET, url, &[("authorization", &token), ("user-agent", "test")], "").await
    }
}

fn seed(change: impl FnOnce(&mut Seed)) -> Seed {
    let mut seed = Seed::sample();
    change(&mut seed);
    seed
}

/// The header of `client_secret_basic`.
fn basic(id: &str, secret: &str) -> String {
    let pair = format!("{id}:{secret}");
    format!("Basic {}", base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pair))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// A new RSA key: private and public PEM.
fn rsa_pair() -> (String, String) {
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
    use aws_lc_rs::signature::KeyPair as _;
    let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let pem = |label: &str, der: &[u8]| {
        let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der);
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    };
    let private = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    let public = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap();
    (pem("PRIVATE KEY", private.as_ref()), pem("PUBLIC KEY", public.as_ref()))
}
