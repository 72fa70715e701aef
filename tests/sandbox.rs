//! The sandbox through a real socket, as the service, the SDKs and people see it.

#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

use std::sync::OnceLock;
use std::time::Duration;

use idp_token_service::sandbox::{Fault, Sandbox, Seed};
use reqwest::Method;
use serde_json::{Value, json};

const ADA: &str = "google-oauth2|108204268033311374519";
const GRACE: &str = "github|2000001";
const EDSGER: &str = "google-oauth2|100000000000000000002";
const BARBARA: &str = "google-oauth2|100000000000000000003";
const ALAN: &str = "google-oauth2|100000000000000000004";
const MARGARET: &str = "github|2000003";
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

#[path = "sandbox/vault.rs"]
mod vault;

mod tenant {
    use super::*;

    #[tokio::test]
    async fn client_credentials_come_as_json_form_or_basic() {
        let actor = Actor::new().await;
        let answer = actor.token(actor.credentials("sandbox-service")).await;
        assert_eq!(
            (answer.status, answer.json()["scope"].as_str()),
            (200, Some("read:users read:user_idp_tokens"))
        );
        assert_eq!(answer.json()["expires_in"], 86_400);
        let form = format!("grant_type=client_credentials&audience={}", actor.sandbox.audience());
        let post = format!("{form}&client_id=sandbox-service&client_secret=sandbox-service-secret");
        assert_eq!(actor.form("/oauth/token", &[], &post).await.status, 200);
        let basic = base64::Engine::encode(
            &base64::engine::general_purpose::STANDARD,
            "sandbox-service:sandbox-service-secret",
        );
        let basic = format!("Basic {basic}");
        assert_eq!(actor.form("/oauth/token", &[("authorization", &basic)], &form).await.status, 200);
        assert_eq!(actor.sandbox.journal().token_requests(), 3);
    }

    #[tokio::test]
    async fn a_token_request_is_refused_for_the_reason_it_fails() {
        let actor = Actor::new().await;
        let with = |name: &str, value: &str| {
            let mut body = actor.credentials("sandbox-service");
            body[name] = json!(value);
            body
        };
        let cases = [
            (with("client_secret", "wrong"), 401, "access_denied"),
            (with("client_id", "nobody"), 401, "access_denied"),
            (with("audience", "https://nowhere.example"), 403, "access_denied"),
            (with("grant_type", "password"), 403, "unauthorized_client"),
            (actor.credentials("sandbox-ungranted"), 403, "access_denied"),
        ];
        for (body, status, error) in cases {
            let answer = actor.token(body).await;
            assert_eq!((answer.status, answer.json()["error"].as_str()), (status, Some(error)));
            assert!(answer.json()["error_description"].is_string());
        }
    }

    #[tokio::test]
    async fn a_rotated_client_secret_is_void_at_once() {
        let actor = Actor::new().await;
        actor.sandbox.set_client_secret("sandbox-service", "new").unwrap();
        let mut body = actor.credentials("sandbox-service");
        assert_eq!(actor.token(body.clone()).await.status, 401);
        body["client_secret"] = json!("new");
        assert_eq!(actor.token(body).await.status, 200);
    }

    #[tokio::test]
    async fn an_assertion_is_good_once_and_for_five_minutes() {
        let (private, public) = rsa_pair();
        let actor = Actor::with(seed(|seed| {
            seed.clients[0].secret = None;
            seed.clients[0].public_key = Some(public);
        }))
        .await;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let sign = |audience: &str, jti: &str, exp: u64| {
            let claims = json!({"iss": "sandbox-service", "sub": "sandbox-service", "aud": audience, "jti": jti, "exp": exp});
            let key = jsonwebtoken::EncodingKey::from_rsa_pem(private.as_bytes()).unwrap();
            let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256);
            jsonwebtoken::encode(&header, &claims, &key).unwrap()
        };
        let issuer = actor.sandbox.issuer();
        let good = sign(&issuer, "one", now + 60);
        let cases = [
            (good.clone(), 200),
            (good, 401),
            (sign(&issuer, "two", now + 3600), 401),
            (sign(&issuer, "three", now - 60), 401),
            (sign("https://elsewhere.example/", "four", now + 60), 401),
            (sign(&issuer, "five", now + 60), 200),
        ];
        for (assertion, status) in cases {
            let answer = actor.token(json!({
                "grant_type": "client_credentials", "audience": actor.sandbox.audience(),
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": assertion,
            }));
            assert_eq!(answer.await.status, status);
        }
        let by_secret = actor.token(actor.credentials("sandbox-service")).await;
        assert_eq!(by_secret.status, 401);
    }

    pub(super) fn rsa_pair() -> (String, String) {
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

    #[tokio::test]
    async fn a_profile_shows_the_tokens_of_all_linked_accounts() {
        let actor = Actor::new().await;
        let profile = actor.profile(ADA).await;
        assert_eq!((profile.status, profile.json()["user_id"].as_str()), (200, Some(ADA)));
        let identities = profile.json()["identities"].clone();
        assert_eq!(identities[0]["expires_in"], 3599);
        assert_eq!(identities[0]["access_token"], actor.sandbox.access_token(ADA, "google-oauth2").unwrap());
        assert!(identities[0]["refresh_token"].as_str().unwrap().starts_with("1//"));
        assert_eq!(identities[0]["profileData"], Value::Null);
        assert_eq!(identities[1]["user_id"], 583_231);
        assert_eq!(identities[1]["expires_in"], Value::Null);
        assert_eq!(identities[1]["profileData"]["nickname"], "ada");
        assert!(identities[2]["access_token"].as_str().unwrap().starts_with("EAA"));
    }

    #[tokio::test]
    async fn without_the_second_scope_tokens_are_left_out_in_silence() {
        let actor = Actor::new().await;
        let profile = actor.profile_as("sandbox-blind", ADA).await;
        assert_eq!(profile.status, 200);
        let google = profile.json()["identities"][0].clone();
        assert_eq!(google["connection"], "google-oauth2");
        assert!(google.get("access_token").is_none() && google.get("refresh_token").is_none());
    }

    #[tokio::test]
    async fn ids_with_escapes_and_slashes_are_decoded_exactly_once() {
        let actor = Actor::new().await;
        assert_eq!(actor.profile(SIWE).await.json()["user_id"], SIWE);
        assert_eq!(actor.profile(SLASHES).await.json()["user_id"], SLASHES);
        let token = format!("Bearer {}", actor.management_token("sandbox-service").await);
        let once_too_few = format!("/api/v2/users/{}", SIWE.replace('|', "%7C"));
        assert_eq!(
            actor.send(Method::GET, &once_too_few, &[("authorization", &token)], "").await.status,
            404
        );
        let double = "/api/v2/users/google-oauth2%257C108204268033311374519";
        assert_eq!(actor.send(Method::GET, double, &[("authorization", &token)], "").await.status, 400);
    }

    #[tokio::test]
    async fn fields_choose_what_a_profile_shows() {
        let actor = Actor::new().await;
        let token = format!("Bearer {}", actor.management_token("sandbox-service").await);
        let path =
            "/api/v2/users/google-oauth2%7C108204268033311374519?fields=user_id,identities&include_fields=";
        let only = actor.send(Method::GET, &format!("{path}true"), &[("authorization", &token)], "").await;
        assert_eq!(only.json().as_object().unwrap().len(), 2);
        let others = actor.send(Method::GET, &format!("{path}false"), &[("authorization", &token)], "").await;
        assert!(others.json().get("identities").is_none() && others.json()["email"].is_string());
        let odd = actor.send(Method::GET, &format!("{path}maybe"), &[("authorization", &token)], "").await;
        assert_eq!((odd.status, odd.json()["errorCode"].as_str()), (400, Some("invalid_query_string")));
    }

    #[tokio::test]
    async fn the_management_api_says_what_is_wrong_with_a_token() {
        let actor = Actor::new().await;
        let claims = |audience: String, exp: u64, scope: &str| json!({"iss": actor.sandbox.issuer(), "sub": "x@clients", "aud": audience, "exp": exp, "scope": scope});
        let future = 4_000_000_000;
        let sign = |claims: Value| format!("Bearer {}", actor.sandbox.sign(&claims));
        let here = actor.sandbox.audience();
        let cases = [
            (sign(claims(here.clone(), 1, "read:users")), 401, "Expired token"),
            (sign(claims("https://other.example".into(), future, "read:users")), 401, "Bad audience"),
            (
                sign(claims(here, future, "read:clients")),
                403,
                "Insufficient scope, expected any of: read:users,",
            ),
            ("Bearer opaque".into(), 400, "Bad HTTP authentication header format"),
            ("Bearer a.b.c".into(), 401, "Invalid token"),
        ];
        for (token, status, message) in cases {
            let answer =
                actor.send(Method::GET, "/api/v2/users/a%7Cb", &[("authorization", &token)], "").await;
            assert_eq!(answer.status, status, "{message}");
            assert!(answer.json()["message"].as_str().unwrap().starts_with(message), "{}", answer.json());
        }
        assert_eq!(actor.send(Method::GET, "/api/v2/users/a%7Cb", &[], "").await.status, 401);
    }

    #[tokio::test]
    async fn a_token_without_audience_opens_nothing() {
        let actor = Actor::new().await;
        let mut body = actor.credentials("sandbox-service");
        body.as_object_mut().unwrap().remove("audience");
        let answer = actor.token(body).await;
        let token = format!("Bearer {}", answer.json()["access_token"].as_str().unwrap());
        assert!(!token.contains('.'));
        let read = actor.send(Method::GET, "/api/v2/users/a%7Cb", &[("authorization", &token)], "").await;
        assert_eq!(read.status, 400);
    }

    #[tokio::test]
    async fn a_token_expires_and_dies_with_its_key() {
        let actor = Actor::new().await;
        let token = format!("Bearer {}", actor.management_token("sandbox-service").await);
        let headers = [("authorization", token.as_str())];
        let read = || actor.send(Method::GET, "/api/v2/users/a%7Cb", &headers, "");
        assert_eq!(read().await.status, 404);
        actor.sandbox.rotate_signing_key().unwrap();
        assert_eq!(
            read().await.json()["message"],
            "Invalid signature received for JSON Web Token validation"
        );
        let token = format!("Bearer {}", actor.management_token("sandbox-service").await);
        actor.sandbox.advance(Duration::from_secs(86_401));
        let late = actor.send(Method::GET, "/api/v2/users/a%7Cb", &[("authorization", &token)], "").await;
        assert_eq!(late.status, 401);
    }

    #[tokio::test]
    async fn an_empty_bucket_answers_429_and_refills() {
        let actor = Actor::with(seed(|seed| {
            seed.management.requests_per_second = 0.1;
            seed.management.burst = 2;
        }))
        .await;
        let first = actor.profile(ADA).await;
        assert_eq!((first.header("x-ratelimit-limit"), first.header("x-ratelimit-remaining")), ("2", "1"));
        assert_eq!(actor.profile(ADA).await.status, 200);
        let third = actor.profile(ADA).await;
        assert_eq!((third.status, third.json()["errorCode"].as_str()), (429, Some("too_many_requests")));
        assert!(third.header("x-ratelimit-reset").parse::<u64>().unwrap() > 1_700_000_000);
        actor.sandbox.advance(Duration::from_secs(11));
        assert_eq!(actor.profile(ADA).await.status, 200);
    }

    #[tokio::test]
    async fn an_unknown_user_and_a_bad_id_differ() {
        let actor = Actor::new().await;
        let absent = actor.profile("auth0|nobody").await;
        assert_eq!((absent.status, absent.json()["errorCode"].as_str()), (404, Some("inexistent_user")));
        let bad = actor.profile("nobody").await;
        assert_eq!((bad.status, bad.json()["errorCode"].as_str()), (400, Some("invalid_uri")));
    }

    #[tokio::test]
    async fn the_key_set_verifies_a_user_token() {
        let actor = Actor::new().await;
        let audience = "https://idp-token.sandbox.example";
        let token = actor.sandbox.end_user_token(ADA, audience, &["read"]).unwrap();
        let jwks = actor.send(Method::GET, "/.well-known/jwks.json", &[], "").await.json();
        let set: jsonwebtoken::jwk::JwkSet = serde_json::from_value(jwks).unwrap();
        let kid = jsonwebtoken::decode_header(&token).unwrap().kid.unwrap();
        let key = jsonwebtoken::DecodingKey::from_jwk(set.find(&kid).unwrap()).unwrap();
        let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
        rules.set_audience(&[audience]);
        rules.set_issuer(&[actor.sandbox.issuer()]);
        let claims = jsonwebtoken::decode::<Value>(&token, &key, &rules).unwrap().claims;
        assert_eq!(claims["sub"], ADA);
    }

    #[tokio::test]
    async fn a_narrowed_client_is_refused_with_its_next_token() {
        let actor = Actor::new().await;
        let old = format!("Bearer {}", actor.management_token("sandbox-service").await);
        actor.sandbox.set_tenant_scopes("sandbox-service", &["read:clients"]).unwrap();
        let refused = actor.profile(ADA).await;
        assert_eq!((refused.status, refused.json()["errorCode"].as_str()), (403, Some("insufficient_scope")));
        let path = "/api/v2/users/google-oauth2%7C108204268033311374519";
        assert_eq!(actor.send(Method::GET, path, &[("authorization", &old)], "").await.status, 200);
    }

    #[tokio::test]
    async fn accounts_that_share_a_connection_are_told_apart_by_their_id() {
        let actor = Actor::new().await;
        let (home, work) = ("github|2000001", "github|2000002");
        actor.sandbox.revoke_token(GRACE, work).unwrap();
        assert_eq!(actor.get_as(GRACE, work, "api.github.com/user").await.status, 401);
        assert_eq!(actor.get_as(GRACE, home, "api.github.com/user").await.json()["login"], "grace");
        assert!(actor.sandbox.revoke_token(GRACE, "facebook").is_err());
        actor.sandbox.forget_token(GRACE, home).unwrap();
        assert!(actor.profile(GRACE).await.json()["identities"][0].get("access_token").is_none());
    }

    #[tokio::test]
    async fn a_login_replaces_the_token_and_moves_last_login() {
        let actor = Actor::new().await;
        let before = actor.profile(EDSGER).await.json();
        let token = actor.sandbox.log_in(EDSGER, "google-oauth2").unwrap();
        let after = actor.profile(EDSGER).await.json();
        assert_eq!(after["identities"][0]["access_token"], token);
        assert_ne!(before["identities"][0]["access_token"], token);
        assert!(after["last_login"].as_str() > before["last_login"].as_str());
    }

    #[tokio::test]
    async fn an_ordinary_google_login_leaves_no_refresh_token_and_a_consent_brings_one() {
        let actor = Actor::new().await;
        actor.sandbox.log_in(BARBARA, "google-oauth2").unwrap();
        assert_eq!(actor.sandbox.refresh_token(BARBARA, "google-oauth2"), None);
        actor.sandbox.log_in_with_consent(BARBARA, "google-oauth2").unwrap();
        assert!(actor.sandbox.refresh_token(BARBARA, "google-oauth2").is_some());
    }

    #[tokio::test]
    async fn a_seed_names_the_key_it_does_not_know() {
        let error = Seed::from_toml("[[users]]\nid = \"a|b\"\nnam = \"x\"").err().unwrap().to_string();
        assert!(error.contains("nam") && error.contains("line 3"), "{error}");
        let error = Seed::from_toml("[management]\ntoken_lifetime = \"soon\"").err().unwrap().to_string();
        assert!(error.contains("soon"), "{error}");
    }

    #[tokio::test]
    async fn a_seed_that_cannot_work_names_what_to_change() {
        let user = |more: &str| format!("[[users]]\nid = 'a|b'\nname = 'A'\nemail = 'a@b.example'\n{more}");
        let identity = "[[users.identities]]\nconnection = 'acme'\nuser_id = '1'\n";
        let (plain, odd) = (user("identities = []\n"), user(identity));
        for (text, part) in [
            (format!("{plain}{plain}"), "two `[[users]]` have the `id` \"a|b\""),
            ("[[clients]]\nid = 'a'\n[[clients]]\nid = 'a'\n".to_owned(), "two `[[clients]]`"),
            (odd, "the connection \"acme\" of \"a|b\" needs its `provider`"),
            (
                "[management]\nrequests_per_second = 0.0".to_owned(),
                "`management.requests_per_second` must be more",
            ),
            ("[management]\nburst = 0".to_owned(), "`management.burst` must be more"),
            ("domain = 'https://a.example'".to_owned(), "`domain` must be a host name"),
            ("domain = 'A.example'".to_owned(), "`domain` must be a host name"),
        ] {
            let error = Seed::from_toml(&text).err().unwrap().to_string();
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}

mod login_page {
    use super::*;

    const START: &str = "/authorize?response_type=code&client_id=sandbox-login&state=s1&scope=openid\
                         &redirect_uri=http%3A%2F%2F127.0.0.1%3A3000%2Fconnected\
                         &audience=https%3A%2F%2Fidp-token.sandbox.example\
                         &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"; // RFC 7636, appendix B
    const CHOICE: &str = "&sandbox_user=google-oauth2%7C100000000000000000004";

    async fn code(actor: &Actor, more: &str) -> String {
        let answer = actor.send(Method::GET, &format!("{START}{CHOICE}{more}"), &[], "").await;
        let back = url::Url::parse(answer.header("location")).unwrap();
        assert_eq!((answer.status, back.path()), (302, "/connected"));
        assert!(back.query_pairs().any(|pair| pair == ("state".into(), "s1".into())));
        back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned()
    }

    async fn exchange(actor: &Actor, code: &str, verifier: &str) -> Answer {
        let body = json!({
            "grant_type": "authorization_code", "client_id": "sandbox-login", "code": code,
            "redirect_uri": "http://127.0.0.1:3000/connected", "code_verifier": verifier,
        });
        actor.token(body).await
    }

    #[tokio::test]
    async fn a_code_is_exchanged_once_and_only_with_its_verifier() {
        let actor = Actor::new().await;
        let wrong = exchange(&actor, &code(&actor, "").await, "wrong").await;
        assert_eq!((wrong.status, wrong.json()["error"].as_str()), (403, Some("invalid_grant")));
        let code = code(&actor, "").await;
        let tokens = exchange(&actor, &code, VERIFIER).await;
        assert_eq!((tokens.status, tokens.json()["expires_in"].as_u64()), (200, Some(7200)));
        assert!(tokens.json()["id_token"].is_string());
        assert_eq!(exchange(&actor, &code, VERIFIER).await.status, 403);
    }

    #[tokio::test]
    async fn connection_scopes_widen_the_grant_and_consent_brings_a_refresh_token() {
        let actor = Actor::new().await;
        let events = "www.googleapis.com/calendar/v3/calendars/primary/events";
        assert_eq!(actor.get_as(ALAN, "google-oauth2", events).await.status, 403);
        let more = "&connection=google-oauth2&prompt=consent&access_type=offline\
                    &connection_scope=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fcalendar.readonly";
        code(&actor, more).await;
        assert_eq!(actor.get_as(ALAN, "google-oauth2", events).await.status, 200);
        assert!(actor.sandbox.refresh_token(ALAN, "google-oauth2").is_some());
    }

    #[tokio::test]
    async fn google_sends_no_refresh_token_without_the_consent_screen() {
        let actor = Actor::new().await;
        for more in ["&access_type=offline", "&prompt=consent"] {
            code(&actor, &format!("&connection=google-oauth2{more}")).await;
            assert_eq!(actor.sandbox.refresh_token(ALAN, "google-oauth2"), None, "{more}");
        }
    }

    #[tokio::test]
    async fn a_github_login_with_offline_access_brings_an_expiring_token_and_one_to_renew_it_with() {
        let actor = Actor::new().await;
        let ada = "&sandbox_user=google-oauth2%7C108204268033311374519&connection=github";
        let log_in = async |more: &str| {
            let start = format!("{START}{ada}{more}");
            assert_eq!(actor.send(Method::GET, &start, &[], "").await.status, 302);
            actor.sandbox.refresh_token(ADA, "github")
        };
        assert_eq!(log_in("").await, None);
        assert!(log_in("&connection_scope=offline_access%2Cgist").await.is_some());
        let scopes = actor.get_as(ADA, "github", "api.github.com/user").await;
        assert_eq!(scopes.header("x-oauth-scopes"), "read:user, user:email, repo, gist");
        actor.sandbox.advance(Duration::from_secs(28_801));
        assert_eq!(actor.get_as(ADA, "github", "api.github.com/user").await.status, 401);
    }

    #[tokio::test]
    async fn the_page_offers_users_and_sends_nobody_to_a_strange_address() {
        let actor = Actor::new().await;
        let page = actor.send(Method::GET, &format!("{START}&connection=github"), &[], "").await;
        let text = String::from_utf8(page.body.to_vec()).unwrap();
        assert!(text.contains("Grace Hopper") && !text.contains("Alan Turing"));
        let strange = START.replace("connected", "connected%2Felsewhere");
        let refused = actor.send(Method::GET, &format!("{strange}{CHOICE}"), &[], "").await;
        assert_eq!((refused.status, refused.header("location")), (403, ""));
        let silent = actor.send(Method::GET, &format!("{START}&prompt=none"), &[], "").await;
        assert!(silent.header("location").contains("error=login_required"));
    }
}

mod google {
    use super::*;

    const EVENTS: &str = "www.googleapis.com/calendar/v3/calendars/primary/events";

    #[tokio::test]
    async fn pages_of_events_end() {
        let actor = Actor::new().await;
        let first = actor.get_as(ADA, "google-oauth2", &format!("{EVENTS}?maxResults=3")).await.json();
        let token = first["nextPageToken"].as_str().unwrap();
        let next = format!("{EVENTS}?maxResults=3&pageToken={token}");
        let second = actor.get_as(ADA, "google-oauth2", &next).await.json();
        assert_eq!(
            (first["items"].as_array().unwrap().len(), second["items"].as_array().unwrap().len()),
            (3, 2)
        );
        assert!(second.get("nextPageToken").is_none());
    }

    #[tokio::test]
    async fn an_inserted_event_is_in_the_next_list() {
        let actor = Actor::new().await;
        let token = actor.bearer(ADA, "google-oauth2");
        let body = json!({"summary": "Tea"}).to_string();
        assert_eq!(actor.send(Method::POST, EVENTS, &[("authorization", &token)], body).await.status, 200);
        let list = actor.get_as(ADA, "google-oauth2", EVENTS).await.json();
        assert_eq!(list["items"][5]["summary"], "Tea");
    }

    #[tokio::test]
    async fn a_missing_scope_is_named_in_the_header() {
        let actor = Actor::new().await;
        let answer =
            actor.get_as(ALAN, "google-oauth2", "gmail.googleapis.com/gmail/v1/users/me/messages").await;
        let detail = answer.json()["error"]["details"][0].clone();
        assert_eq!(
            (answer.status, detail["reason"].as_str()),
            (403, Some("ACCESS_TOKEN_SCOPE_INSUFFICIENT"))
        );
        let header = answer.header("www-authenticate");
        assert!(header.contains("insufficient_scope") && header.contains("auth/gmail.readonly"), "{header}");
    }

    #[tokio::test]
    async fn expired_revoked_and_foreign_tokens_are_unauthenticated() {
        let actor = Actor::new().await;
        assert_eq!(actor.get_as(EDSGER, "google-oauth2", EVENTS).await.status, 401);
        actor.sandbox.revoke_token(ADA, "google-oauth2").unwrap();
        let answer = actor.get_as(ADA, "google-oauth2", EVENTS).await;
        assert_eq!(answer.json()["error"]["status"], "UNAUTHENTICATED");
        assert_eq!(actor.get_as(GRACE, "github", EVENTS).await.status, 401);
    }

    #[tokio::test]
    async fn a_disabled_service_and_a_used_up_quota_have_their_own_reasons() {
        let actor = Actor::with(seed(|seed| seed.providers.google.requests_per_minute = 2)).await;
        let off = actor.get_as(ADA, "google-oauth2", "sheets.googleapis.com/v4/spreadsheets/x").await;
        assert_eq!(off.json()["error"]["details"][0]["reason"], "SERVICE_DISABLED");
        let gmail = "gmail.googleapis.com/gmail/v1/users/me/messages";
        assert_eq!(actor.get_as(ADA, "google-oauth2", gmail).await.status, 200);
        assert_eq!(actor.get_as(ADA, "google-oauth2", gmail).await.status, 200);
        assert_eq!(actor.get_as(ADA, "google-oauth2", gmail).await.status, 429);
        let calendar = actor.get_as(ADA, "google-oauth2", EVENTS).await;
        assert_eq!(calendar.status, 403);
        assert_eq!(calendar.json()["error"]["errors"][0]["reason"], "userRateLimitExceeded");
    }

    #[tokio::test]
    async fn uploaded_bytes_come_back_as_they_were() {
        let actor = Actor::new().await;
        let token = actor.bearer(ADA, "google-oauth2");
        let bytes: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
        let url = "www.googleapis.com/upload/drive/v3/files?uploadType=media";
        let headers = [("authorization", token.as_str()), ("content-type", "image/x-odd")];
        let file = actor.send(Method::POST, url, &headers, bytes.clone()).await.json();
        let url = format!("www.googleapis.com/drive/v3/files/{}?alt=media", file["id"].as_str().unwrap());
        let back = actor.get_as(ADA, "google-oauth2", &url).await;
        assert_eq!((back.body.to_vec(), back.header("content-type")), (bytes, "image/x-odd"));
        assert_eq!(actor.get_as(ALAN, "google-oauth2", &url).await.status, 403);
    }

    #[tokio::test]
    async fn a_refresh_token_renews_again_and_again_until_revoked() {
        let actor = Actor::new().await;
        let refresh = actor.sandbox.refresh_token(BARBARA, "google-oauth2").unwrap();
        let app =
            "client_id=1007-sandbox.apps.googleusercontent.com&client_secret=GOCSPX-sandbox-google-secret";
        let body = format!("{app}&grant_type=refresh_token&refresh_token={refresh}");
        let renew = || actor.form("oauth2.googleapis.com/token", &[], &body);
        let (one, two) = (renew().await.json(), renew().await.json());
        assert!(one.get("refresh_token").is_none() && one["access_token"] != two["access_token"]);
        assert_eq!(one["expires_in"], 3599);
        let info =
            format!("oauth2.googleapis.com/tokeninfo?access_token={}", one["access_token"].as_str().unwrap());
        let info = actor.send(Method::GET, &info, &[], "").await.json();
        assert_eq!(info["sub"], "100000000000000000003");
        let revoke = actor.form("oauth2.googleapis.com/revoke", &[], &format!("token={refresh}")).await;
        assert_eq!(revoke.status, 200);
        let dead = renew().await;
        assert_eq!((dead.status, dead.json()["error"].as_str()), (400, Some("invalid_grant")));
        assert!(!actor.sandbox.is_alive(two["access_token"].as_str().unwrap()));
    }

    #[tokio::test]
    async fn a_wrong_app_secret_renews_nothing() {
        let actor = Actor::new().await;
        let refresh = actor.sandbox.refresh_token(BARBARA, "google-oauth2").unwrap();
        let body = format!("client_id=x&client_secret=y&grant_type=refresh_token&refresh_token={refresh}");
        let answer = actor.form("oauth2.googleapis.com/token", &[], &body).await;
        assert_eq!((answer.status, answer.json()["error"].as_str()), (401, Some("invalid_client")));
    }
}

mod github {
    use super::*;

    const APP: &str = "client_id=Iv1.sandboxgithub&client_secret=sandbox-github-secret";

    #[tokio::test]
    async fn every_answer_tells_scopes_and_quota() {
        let actor = Actor::new().await;
        let answer = actor.get_as(ADA, "github", "api.github.com/user").await;
        assert_eq!((answer.status, answer.json()["login"].as_str()), (200, Some("ada")));
        assert_eq!(answer.header("x-oauth-scopes"), "read:user, user:email, repo");
        assert_eq!(
            (answer.header("x-ratelimit-limit"), answer.header("x-ratelimit-remaining")),
            ("5000", "4999")
        );
    }

    #[tokio::test]
    async fn a_request_needs_a_user_agent_a_known_version_and_a_live_token() {
        let actor = Actor::new().await;
        let token = actor.bearer(ADA, "github");
        let plain = actor.send(Method::GET, "api.github.com/user", &[("authorization", &token)], "").await;
        assert!(
            plain.status == 403 && plain.body.starts_with(b"\r\nRequest forbidden by administrative rules.")
        );
        let versioned =
            [("authorization", token.as_str()), ("user-agent", "t"), ("x-github-api-version", "1999-01-01")];
        assert_eq!(actor.send(Method::GET, "api.github.com/user", &versioned, "").await.status, 400);
        actor.sandbox.revoke_token(ADA, "github").unwrap();
        let dead = actor.get_as(ADA, "github", "api.github.com/user").await;
        assert_eq!((dead.status, dead.json()["message"].as_str()), (401, Some("Bad credentials")));
    }

    #[tokio::test]
    async fn private_repositories_are_not_found_without_the_scope() {
        let actor = Actor::new().await;
        let notes = "api.github.com/repos/ada/notes";
        assert_eq!(actor.get_as(ADA, "github", notes).await.status, 200);
        actor.sandbox.set_scopes(ADA, "github", &["read:user"]).unwrap();
        let hidden = actor.get_as(ADA, "github", notes).await;
        assert_eq!((hidden.status, hidden.json()["message"].as_str()), (404, Some("Not Found")));
        assert_eq!(actor.get_as(ADA, "github", "api.github.com/repos/ada/hello-world").await.status, 200);
    }

    #[tokio::test]
    async fn repositories_come_in_pages_with_links() {
        let actor = Actor::new().await;
        let first = actor.get_as(ADA, "github", "api.github.com/user/repos?per_page=2").await;
        let next = "<https://api.github.com/user/repos?per_page=2&page=2>; rel=\"next\"";
        assert!(first.header("link").starts_with(next), "{}", first.header("link"));
        let second = actor.get_as(ADA, "github", "api.github.com/user/repos?per_page=2&page=2").await;
        assert_eq!(second.json().as_array().unwrap().len(), 1);
        assert!(!second.header("link").contains("next"));
    }

    #[tokio::test]
    async fn an_issue_is_created_and_listed() {
        let actor = Actor::new().await;
        let token = actor.bearer(ADA, "github");
        let headers = [("authorization", token.as_str()), ("user-agent", "t")];
        let url = "api.github.com/repos/ada/notes/issues";
        let made = actor.send(Method::POST, url, &headers, json!({"title": "Bug"}).to_string()).await;
        assert_eq!((made.status, made.json()["number"].as_u64()), (201, Some(1)));
        assert_eq!(actor.get_as(ADA, "github", url).await.json()[0]["title"], "Bug");
        assert_eq!(actor.send(Method::POST, url, &headers, "{}").await.status, 422);
    }

    #[tokio::test]
    async fn renamed_repositories_and_tarballs_redirect() {
        let actor = Actor::new().await;
        let moved = actor.get_as(ADA, "github", "api.github.com/repos/ada/difference-engine").await;
        assert_eq!(moved.status, 301);
        let there = moved.header("location").strip_prefix("https://").unwrap().to_owned();
        assert_eq!(actor.get_as(ADA, "github", &there).await.json()["name"], "engine");
        let tarball = actor.get_as(ADA, "github", "api.github.com/repos/ada/notes/tarball").await;
        assert!(tarball.header("location").starts_with("https://codeload.github.com/ada/notes/"));
        let there = tarball.header("location").strip_prefix("https://").unwrap().to_owned();
        assert_eq!(actor.send(Method::GET, &there, &[], "").await.body.len(), 4096);
    }

    #[tokio::test]
    async fn used_up_quotas_differ_by_their_headers() {
        let actor = Actor::with(seed(|seed| seed.providers.github.requests_per_hour = 90)).await;
        let token = actor.bearer(ADA, "github");
        let headers = [("authorization", token.as_str()), ("user-agent", "t")];
        let url = "api.github.com/repos/ada/notes/issues";
        for _ in 0..80 {
            actor.send(Method::POST, url, &headers, json!({"title": "x"}).to_string()).await;
        }
        let secondary = actor.send(Method::POST, url, &headers, json!({"title": "x"}).to_string()).await;
        assert_eq!((secondary.status, secondary.header("retry-after")), (403, "60"));
        assert_eq!(secondary.header("x-ratelimit-remaining"), "9");
        for _ in 0..9 {
            actor.get_as(ADA, "github", "api.github.com/user").await;
        }
        let primary = actor.get_as(ADA, "github", "api.github.com/user").await;
        assert_eq!((primary.status, primary.header("x-ratelimit-remaining")), (403, "0"));
        actor.sandbox.advance(Duration::from_secs(3600));
        assert_eq!(actor.get_as(ADA, "github", "api.github.com/user").await.status, 200);
    }

    #[tokio::test]
    async fn raw_contents_have_any_size_with_and_without_a_length() {
        let actor = Actor::new().await;
        let token = actor.bearer(ADA, "github");
        let headers = [
            ("authorization", token.as_str()),
            ("user-agent", "t"),
            ("accept", "application/vnd.github.raw+json"),
        ];
        let get = |name: &str| {
            let url = format!("api.github.com/repos/ada/hello-world/contents/{name}");
            let actor = &actor;
            async move { actor.send(Method::GET, &url, &headers, "").await }
        };
        let (sized, chunked) = (get("5000000.bin").await, get("5000000.chunked").await);
        assert_eq!((sized.header("content-length"), chunked.header("content-length")), ("5000000", ""));
        assert!(sized.body.len() == 5_000_000 && sized.body == chunked.body);
    }

    #[tokio::test]
    async fn compression_and_entity_tags_are_given_to_those_who_ask() {
        let actor = Actor::new().await;
        let token = actor.bearer(ADA, "github");
        let ask = |name: &'static str, value: String| {
            let (actor, token) = (&actor, &token);
            async move {
                let headers =
                    [("authorization", token.as_str()), ("user-agent", "t"), (name, value.as_str())];
                actor.send(Method::GET, "api.github.com/user", &headers, "").await
            }
        };
        let packed = ask("accept-encoding", "gzip".into()).await;
        assert!(packed.header("content-encoding") == "gzip" && packed.body.starts_with(&[0x1f, 0x8b]));
        let again = ask("if-none-match", packed.header("etag").into()).await;
        assert_eq!((again.status, again.body.len()), (304, 0));
    }

    #[tokio::test]
    async fn the_eleventh_login_ends_the_oldest_token() {
        let actor = Actor::new().await;
        let oldest = actor.sandbox.access_token(GRACE, "github").unwrap();
        for _ in 0..9 {
            actor.sandbox.log_in(GRACE, "github").unwrap();
        }
        assert!(actor.sandbox.is_alive(&oldest));
        actor.sandbox.log_in(GRACE, "github").unwrap();
        assert!(!actor.sandbox.is_alive(&oldest));
    }

    #[tokio::test]
    async fn rotation_kills_the_old_pair_and_reuse_kills_the_family() {
        let actor = Actor::new().await;
        let old_access = actor.sandbox.access_token(MARGARET, "github").unwrap();
        let old_refresh = actor.sandbox.refresh_token(MARGARET, "github").unwrap();
        let renew = |token: String| {
            let (actor, body) = (&actor, format!("{APP}&grant_type=refresh_token&refresh_token={token}"));
            async move {
                let json = [("accept", "application/json")];
                actor.form("github.com/login/oauth/access_token", &json, &body).await.json()
            }
        };
        let new = renew(old_refresh.clone()).await;
        let new_access = new["access_token"].as_str().unwrap().to_owned();
        assert!(!actor.sandbox.is_alive(&old_access) && actor.sandbox.is_alive(&new_access));
        assert_eq!(new["expires_in"], 28_800);
        assert_eq!(renew(old_refresh).await["error"], "bad_refresh_token");
        assert!(!actor.sandbox.is_alive(&new_access));
        let refresh = new["refresh_token"].as_str().unwrap().to_owned();
        assert_eq!(renew(refresh).await["error"], "bad_refresh_token");
    }

    #[tokio::test]
    async fn the_app_inspects_and_revokes_tokens() {
        let actor = Actor::new().await;
        let token = actor.sandbox.access_token(ADA, "github").unwrap();
        let basic = base64::Engine::encode(
            &base64::engine::general_purpose::STANDARD,
            "Iv1.sandboxgithub:sandbox-github-secret",
        );
        let basic = format!("Basic {basic}");
        let url = "api.github.com/applications/Iv1.sandboxgithub/token";
        let body = json!({"access_token": token}).to_string();
        let headers = [("authorization", basic.as_str())];
        let ask = |method| actor.send(method, url, &headers, body.clone());
        assert_eq!(ask(Method::POST).await.json()["user"]["id"], 583_231);
        assert_eq!(ask(Method::DELETE).await.status, 204);
        assert!(!actor.sandbox.is_alive(&token));
        assert_eq!(ask(Method::POST).await.status, 404);
    }

    #[tokio::test]
    async fn uploads_go_to_their_own_host_and_come_back() {
        let actor = Actor::new().await;
        let token = actor.bearer(ADA, "github");
        let headers =
            [("authorization", token.as_str()), ("user-agent", "t"), ("content-type", "application/zip")];
        let url = "uploads.github.com/repos/ada/notes/releases/1/assets?name=a.zip";
        let made = actor.send(Method::POST, url, &headers, vec![0_u8, 255, 10, 13]).await.json();
        let there = made["url"].as_str().unwrap().strip_prefix("https://").unwrap();
        assert_eq!(actor.get_as(ADA, "github", there).await.body.as_ref(), [0, 255, 10, 13]);
    }
}

mod facebook {
    use super::*;

    const ME: &str = "graph.facebook.com/v25.0/me";
    const APP: &str = "client_id=1234567890123456&client_secret=sandbox-facebook-secret";

    fn proof(token: &str) -> String {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"sandbox-facebook-secret");
        let tag = aws_lc_rs::hmac::sign(&key, token.as_bytes());
        tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn code(answer: &Answer) -> (u16, u64, u64) {
        let error = answer.json()["error"].clone();
        (answer.status, error["code"].as_u64().unwrap(), error["error_subcode"].as_u64().unwrap_or(0))
    }

    #[tokio::test]
    async fn a_token_is_taken_from_the_header_or_the_query() {
        let actor = Actor::new().await;
        let by_header = actor.get_as(ADA, "facebook", &format!("{ME}?fields=id,email")).await;
        assert_eq!(by_header.json()["email"], "ada@sandbox.example");
        assert_eq!(by_header.header("facebook-api-version"), "v25.0");
        let token = actor.sandbox.access_token(ADA, "facebook").unwrap();
        let url = format!("graph.facebook.com/me?access_token={token}");
        let by_query = actor.send(Method::GET, &url, &[], "").await;
        assert_eq!((by_query.status, by_query.header("facebook-api-version")), (200, "v20.0"));
        assert_eq!(code(&actor.get_as(ADA, "facebook", "graph.facebook.com/v99.0/me").await), (400, 2500, 0));
    }

    #[tokio::test]
    async fn dead_tokens_differ_by_their_subcode() {
        let actor = Actor::new().await;
        actor.sandbox.expire_token(ADA, "facebook").unwrap();
        assert_eq!(code(&actor.get_as(ADA, "facebook", ME).await), (400, 190, 463));
        actor.sandbox.log_in(ADA, "facebook").unwrap();
        actor.sandbox.change_password(ADA, "facebook").unwrap();
        assert_eq!(code(&actor.get_as(ADA, "facebook", ME).await), (400, 190, 460));
        actor.sandbox.log_in(ADA, "facebook").unwrap();
        actor.sandbox.revoke_token(ADA, "facebook").unwrap();
        assert_eq!(code(&actor.get_as(ADA, "facebook", ME).await), (400, 190, 458));
        let unknown = actor.send(Method::GET, ME, &[("authorization", "Bearer EAAx")], "").await;
        assert_eq!(code(&unknown), (400, 190, 0));
    }

    #[tokio::test]
    async fn the_next_page_repeats_the_token_in_its_address() {
        let actor = Actor::new().await;
        let first = actor.get_as(ADA, "facebook", "graph.facebook.com/v25.0/me/posts?limit=3").await.json();
        let next = first["paging"]["next"].as_str().unwrap();
        assert!(next.contains("access_token=EAA") && first["paging"]["cursors"]["after"].is_string());
        let second = actor.send(Method::GET, next.strip_prefix("https://").unwrap(), &[], "").await.json();
        assert_eq!((second["data"].as_array().unwrap().len(), second["paging"].get("next")), (1, None));
    }

    #[tokio::test]
    async fn a_missing_permission_and_used_up_quotas_have_their_codes() {
        let actor = Actor::with(seed(|seed| seed.providers.facebook.calls_per_hour = 2)).await;
        actor.sandbox.set_scopes(ADA, "facebook", &["public_profile"]).unwrap();
        let posts = "graph.facebook.com/v25.0/me/posts";
        assert_eq!(code(&actor.get_as(ADA, "facebook", posts).await), (400, 10, 0));
        assert!(actor.get_as(ADA, "facebook", ME).await.header("x-app-usage").contains("call_count"));
        assert_eq!(code(&actor.get_as(ADA, "facebook", ME).await), (400, 17, 0));
        let actor = Actor::with(seed(|seed| seed.providers.facebook.app_calls_per_hour = 0)).await;
        assert_eq!(code(&actor.get_as(ADA, "facebook", ME).await), (400, 4, 0));
    }

    #[tokio::test]
    async fn a_proof_is_verified_when_sent_and_demanded_when_required() {
        let actor = Actor::with(seed(|seed| seed.providers.facebook.require_appsecret_proof = true)).await;
        let token = actor.sandbox.access_token(ADA, "facebook").unwrap();
        assert_eq!(code(&actor.get_as(ADA, "facebook", ME).await), (400, 100, 0));
        let wrong = format!("{ME}?appsecret_proof={}", proof("other"));
        assert_eq!(code(&actor.get_as(ADA, "facebook", &wrong).await), (400, 100, 0));
        let right = format!("{ME}?appsecret_proof={}", proof(&token));
        assert_eq!(actor.get_as(ADA, "facebook", &right).await.status, 200);
    }

    #[tokio::test]
    async fn a_living_token_is_exchanged_and_a_dead_one_is_not() {
        let actor = Actor::new().await;
        let token = actor.sandbox.access_token(ADA, "facebook").unwrap();
        let url = format!(
            "graph.facebook.com/v25.0/oauth/access_token?grant_type=fb_exchange_token&{APP}&fb_exchange_token={token}"
        );
        let new = actor.send(Method::GET, &url, &[], "").await.json();
        assert_eq!(new["expires_in"], 5_183_944);
        assert!(
            actor.sandbox.is_alive(&token) && actor.sandbox.is_alive(new["access_token"].as_str().unwrap())
        );
        actor.sandbox.expire_token(ADA, "facebook").unwrap();
        assert_eq!(code(&actor.send(Method::GET, &url, &[], "").await), (400, 190, 463));
    }

    #[tokio::test]
    async fn inspection_tells_the_state_and_removal_ends_it() {
        let actor = Actor::new().await;
        let token = actor.sandbox.access_token(ADA, "facebook").unwrap();
        let url = format!(
            "graph.facebook.com/debug_token?input_token={token}&access_token=1234567890123456|sandbox-facebook-secret"
        );
        let inspect = || actor.send(Method::GET, &url, &[], "");
        assert_eq!(inspect().await.json()["data"]["is_valid"], true);
        let bearer = actor.bearer(ADA, "facebook");
        let permissions = "graph.facebook.com/v25.0/10158222222222222/permissions";
        let removed = actor.send(Method::DELETE, permissions, &[("authorization", &bearer)], "").await;
        assert_eq!(removed.json()["success"], true);
        assert_eq!(inspect().await.json()["data"]["error"]["subcode"], 458);
    }
}

mod faults_and_journal {
    use super::*;

    const USER: &str = "api.github.com/user";

    #[tokio::test]
    async fn the_second_answer_is_the_scripted_one() {
        let actor = Actor::new().await;
        let fault = Fault::on("api.github.com").path("/user").after(1).answer(429).header("retry-after", "3");
        actor.sandbox.faults().script(fault);
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(actor.get_as(ADA, "github", USER).await.status);
        }
        assert_eq!((statuses, actor.sandbox.faults().pending()), (vec![200, 429, 200], 0));
        let journal: Vec<_> =
            actor.sandbox.journal().to("api.github.com").iter().map(|one| one.status).collect();
        assert_eq!(journal[1].unwrap(), 429);
    }

    #[tokio::test]
    async fn connections_break_before_the_answer_or_within_it() {
        let actor = Actor::new().await;
        let token = actor.bearer(ADA, "github");
        let headers = [("authorization", token.as_str()), ("user-agent", "t")];
        let get = || actor.try_send(Method::GET, USER, &headers, "");
        actor.sandbox.faults().script(Fault::on("api.github.com").cut());
        assert!(get().await.err().unwrap().is_request());
        actor.sandbox.faults().script(Fault::on("api.github.com").cut_body(10));
        let error = get().await.err().unwrap();
        assert!(error.is_body() || error.is_decode(), "{error:?}");
        assert_eq!(get().await.unwrap().status, 200);
    }

    #[tokio::test]
    async fn a_hung_request_is_in_the_journal_and_holds_up_no_other() {
        let actor = Actor::new().await;
        actor.sandbox.faults().script(Fault::on("api.github.com").hang());
        let hung = actor.get_as(ADA, "github", USER);
        tokio::pin!(hung);
        let other = async {
            while actor.sandbox.journal().to("api.github.com").is_empty() {
                tokio::task::yield_now().await;
            }
            actor.get_as(ADA, "facebook", "graph.facebook.com/v25.0/me").await.status
        };
        tokio::select! {
            _ = &mut hung => panic!("a hung request was answered"),
            status = other => assert_eq!(status, 200),
        }
        assert!(actor.sandbox.journal().to("api.github.com")[0].status.is_none());
    }

    #[tokio::test]
    async fn a_processed_fault_loses_the_answer_but_not_the_effect() {
        let actor = Actor::new().await;
        let old = actor.sandbox.access_token(MARGARET, "github").unwrap();
        let refresh = actor.sandbox.refresh_token(MARGARET, "github").unwrap();
        actor.sandbox.faults().script(Fault::on("github.com").processed().answer(504));
        let body = format!(
            "client_id=Iv1.sandboxgithub&client_secret=sandbox-github-secret&grant_type=refresh_token\
             &refresh_token={refresh}"
        );
        assert_eq!(actor.form("github.com/login/oauth/access_token", &[], &body).await.status, 504);
        assert!(!actor.sandbox.is_alive(&old));
    }

    #[tokio::test]
    async fn garbage_empty_bodies_and_delays_happen_on_the_tenant_too() {
        let actor = Actor::new().await;
        let domain = actor.sandbox.domain().to_owned();
        actor.sandbox.faults().script(Fault::on(&domain).path("/oauth").garbage());
        actor.sandbox.faults().script(Fault::on(&domain).path("/oauth").after(1).empty());
        let delay = Duration::from_millis(30);
        actor.sandbox.faults().script(Fault::on(&domain).path("/oauth").after(2).delay(delay));
        let ask = || actor.token(actor.credentials("sandbox-service"));
        assert!(ask().await.body.starts_with(b"<!doctype html>"));
        assert!(ask().await.body.is_empty());
        let started = std::time::Instant::now();
        assert!(ask().await.status == 200 && started.elapsed() >= delay);
    }

    #[tokio::test]
    async fn the_journal_shows_what_arrived_to_tests_and_hides_secrets_from_others() {
        let actor = Actor::new().await;
        actor.profile(ADA).await;
        let token = actor.sandbox.access_token(ADA, "facebook").unwrap();
        let url = format!("graph.facebook.com/v25.0/me?access_token={token}&fields=id");
        actor.send(Method::GET, &url, &[], "").await;
        let entries = actor.sandbox.journal().entries();
        assert!(entries[2].query.as_ref().unwrap().contains(&token));
        assert_eq!(actor.sandbox.journal().profile_reads(), 1);
        let shown = actor.send(Method::GET, "/sandbox/journal", &[], "").await;
        let text = String::from_utf8(shown.body.to_vec()).unwrap();
        assert!(!text.contains(&token) && !text.contains("sandbox-service-secret") && !text.contains("eyJ"));
        assert!(
            text.contains("access_token=sha256:")
                && text.contains("Bearer sha256:")
                && text.contains("fields=id")
        );
        assert_eq!(actor.send(Method::DELETE, "/sandbox/journal", &[], "").await.status, 204);
        assert_eq!(actor.sandbox.journal().count(|_| true), 0);
    }

    #[tokio::test]
    async fn a_token_in_a_strange_place_is_hidden_too() {
        let actor = Actor::new().await;
        let token = actor.sandbox.access_token(ADA, "google-oauth2").unwrap();
        let refresh = actor.sandbox.refresh_token(ADA, "google-oauth2").unwrap();
        let url = format!("www.googleapis.com/strange/{refresh}?q={token}");
        actor.send(Method::POST, &url, &[("x-leak", &token)], format!("free text with {token}")).await;
        actor.send(Method::POST, &url, &[], json!({"deep": [{"odd": refresh}]}).to_string()).await;
        let shown = actor.send(Method::GET, "/sandbox/journal", &[], "").await;
        let text = String::from_utf8(shown.body.to_vec()).unwrap();
        assert!(!text.contains(&token) && !text.contains(&refresh));
        assert!(text.contains("/strange/sha256:") && text.contains("x-leak"));
    }

    #[tokio::test]
    async fn people_steer_the_sandbox_over_http() {
        let actor = Actor::new().await;
        let fault =
            json!({"host": "api.github.com", "answer": {"status": 503, "headers": {"retry-after": "1"}}});
        assert_eq!(actor.send(Method::POST, "/sandbox/faults", &[], fault.to_string()).await.status, 204);
        assert_eq!(actor.get_as(ADA, "github", USER).await.header("retry-after"), "1");
        assert_eq!(actor.send(Method::POST, "/sandbox/faults", &[], "{\"hots\": 1}").await.status, 400);
        let url = "/sandbox/users/google-oauth2%7C108204268033311374519/github/revoke";
        assert_eq!(actor.send(Method::POST, url, &[], "").await.status, 204);
        assert_eq!(actor.get_as(ADA, "github", USER).await.status, 401);
        let users = actor.send(Method::GET, "/sandbox/users", &[], "").await;
        let text = String::from_utf8(users.body.to_vec()).unwrap();
        assert!(text.contains("revoked") && !text.contains("gho_") && !text.contains("ya29."));
        assert_eq!(actor.send(Method::POST, "/sandbox/clock/1h", &[], "").await.status, 204);
        assert_eq!(
            actor.get_as(ADA, "google-oauth2", "www.googleapis.com/oauth2/v3/userinfo").await.status,
            401
        );
    }

    #[tokio::test]
    async fn a_fault_that_cannot_happen_is_refused_with_the_reason() {
        let actor = Actor::new().await;
        for (fault, part) in [
            (json!({}), "nothing would happen"),
            (json!({"processed": true}), "nothing would happen"),
            (json!({"host": "api.gihub.com", "kind": "cut"}), "nobody plays the host"),
            (json!({"answer": {"status": 99}}), "from 100 to 599"),
            (json!({"answer": {"status": 600}}), "from 100 to 599"),
            (json!({"answer": {"status": 200, "headers": {"a b": "c"}}}), "HTTP forbids"),
            (json!({"answer": {"status": 200}, "kind": "cut"}), "answer and kind contradict"),
            (json!({"kind": "hang", "cut_body": 3}), "kind and cut_body contradict"),
            (json!({"kind": "cut", "times": 2, "always": true}), "times and always contradict"),
            (json!({"kind": "cut", "times": 0}), "`times` must be 1 or more"),
            (json!({"kind": "explode"}), "`garbage`"),
            (json!({"delay": "soon"}), "like \\\"3s\\\""),
        ] {
            let answer = actor.send(Method::POST, "/sandbox/faults", &[], fault.to_string()).await;
            let text = String::from_utf8(answer.body.to_vec()).unwrap();
            assert!(answer.status == 400 && text.contains(part), "{fault}: {text}");
        }
        assert_eq!(actor.sandbox.faults().pending(), 0);
    }

    #[tokio::test]
    async fn the_faults_that_wait_are_shown() {
        let actor = Actor::new().await;
        let fault = json!({"host": "api.github.com", "path": "/user", "times": 2, "answer": {"status": 503}});
        actor.send(Method::POST, "/sandbox/faults", &[], fault.to_string()).await;
        actor.get_as(ADA, "github", USER).await;
        let shown = actor.send(Method::GET, "/sandbox/faults", &[], "").await.json();
        let first = &shown[0];
        assert_eq!((&first["host"], &first["effect"]), (&json!("api.github.com"), &json!("answer 503")));
        assert_eq!((&first["times"], &first["happened"]), (&json!(2), &json!(1)));
        actor.get_as(ADA, "github", USER).await;
        let shown = actor.send(Method::GET, "/sandbox/faults", &[], "").await;
        assert_eq!(shown.json(), json!([]), "what is over waits no more");
    }

    #[tokio::test]
    async fn people_read_the_journal_and_the_users_line_by_line() {
        let actor = Actor::new().await;
        actor.profile(ADA).await;
        for page in ["/sandbox/journal", "/sandbox/users", "/sandbox/faults"] {
            let answer = actor.send(Method::GET, page, &[], "").await;
            assert!(answer.body.ends_with(b"]\n"), "{page}");
        }
        let users = actor.send(Method::GET, "/sandbox/users", &[], "").await;
        assert!(String::from_utf8(users.body.to_vec()).unwrap().lines().count() > 50);
    }

    #[tokio::test]
    async fn an_unknown_action_is_answered_with_those_that_there_are() {
        let actor = Actor::new().await;
        let answer = actor.send(Method::POST, "/sandbox/users/a/github/explode", &[], "").await;
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(answer.status == 404 && text.contains("log-in, consent, expire, revoke"), "{text}");
    }

    #[tokio::test]
    async fn a_dropped_sandbox_listens_no_more() {
        let actor = Actor::new().await;
        let address = actor.sandbox.address();
        drop(actor);
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }
}
