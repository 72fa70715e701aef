//! Distinctive secrets are put wherever there are secrets, all kinds of calls and failures are made, and then
//! no log, metric, status or printed message may hold any of them in any spelling: only `access_token` may.

mod search;
mod tokens;

use std::time::Duration;

use idp_token_sandbox::{ClientSeed, Fault, IdentitySeed, Sandbox, Seed, TokenSeed};
use idp_token_service::service::pb::{
    CallProviderRequest, CreateConnectLinkRequest, GetIdentityTokenRequest, HttpRequest, IdentitySelector,
    InspectIdentityTokenRequest, ListIdentitiesRequest, RevokeIdentityTokenRequest, StreamProviderRequest,
    idp_token_service_client::IdpTokenServiceClient, stream_provider_request::Part,
};
use idp_token_testkit::{
    ANYWHERE, channel,
    database::Database,
    get, keys,
    keys::ClientKey,
    pair,
    people::{ADA, DONALD, EDSGER, GRACE, facebook, github, google},
    post,
    process::{Running, command, environment, host_overrides},
    within,
};
use search::{Find, Secrets};
use serde_json::json;
use tonic::{Request, Response, Status, transport::Channel};

const SECOND: Duration = Duration::from_secs(1);

const MANAGEMENT_SECRET: &str = "mNaGe+Canary/7Hq2Zr9Wd4Kx1=";
const GOOGLE: &str = "ya29.GoogleCanary-5Tt8_Vb3Nn6Ls0Qe";
const GOOGLE_REFRESH: &str = "1//GoogleRefreshCanary-2Yw9Mk4Jf7";
const GITHUB: &str = "gho_GitHubCanary8Dd1Xc6Uv3Pp0Rb5";
const GITHUB_REFRESH: &str = "ghr_GitHubRefreshCanary3Gg7Az2Ee9Io";
const FACEBOOK: &str = "EAABFacebookCanary6Sw0Hj5Ty2Cm8";
const FACEBOOK_SECRET: &str = "facebook/App+Canary=4Kd9Bn1Lq6";
const GOOGLE_SECRET: &str = "GOCSPX-GoogleAppCanary5Wn2Xt8";
const GITHUB_SECRET: &str = "gitHubAppCanary0Vz6Jq3Ld7Ku1Py4";
const DEAD: &str = "ya29.DeadCanary-1Oi6Ff3Ux8Ww2";

/// The secrets by the names under which a finding reports them.
const ALL: [(&str, &str); 10] = [
    ("the client secret", MANAGEMENT_SECRET),
    ("the Google token", GOOGLE),
    ("the Google refresh token", GOOGLE_REFRESH),
    ("the GitHub token", GITHUB),
    ("the GitHub refresh token", GITHUB_REFRESH),
    ("the Facebook token", FACEBOOK),
    ("the Facebook app's secret", FACEBOOK_SECRET),
    ("the Google app's secret", GOOGLE_SECRET),
    ("the GitHub app's secret", GITHUB_SECRET),
    ("the dead token", DEAD),
];

fn sow(key: &ClientKey) -> Seed {
    let mut seed = Seed { signing_key: Some(keys::SIGNING_KEY.clone()), ..Seed::sample() };
    seed.clients[0].secret = Some(MANAGEMENT_SECRET.to_owned());
    seed.clients.push(ClientSeed {
        id: "sandbox-keyed".to_owned(),
        secret: None,
        public_key: Some(key.public_pem.clone()),
        ..seed.clients[0].clone()
    });
    seed.providers.google.client_secret = GOOGLE_SECRET.to_owned();
    seed.providers.github.client_secret = GITHUB_SECRET.to_owned();
    seed.providers.facebook.client_secret = FACEBOOK_SECRET.to_owned();
    seed.providers.facebook.require_appsecret_proof = true;
    let [ref mut google, ref mut github, ref mut facebook] = seed.users[0].identities[..] else {
        panic!("Ada has three identities")
    };
    plant(google, GOOGLE, Some(GOOGLE_REFRESH));
    plant(github, GITHUB, Some(GITHUB_REFRESH));
    plant(facebook, FACEBOOK, None);
    let edsger = seed.users.iter_mut().find(|user| user.id == EDSGER).unwrap();
    plant(&mut edsger.identities[0], DEAD, None);
    seed
}

fn plant(identity: &mut IdentitySeed, access: &str, refresh: Option<&str>) {
    identity.access_token = Some(TokenSeed::Written(access.to_owned()));
    identity.refresh_token = refresh.map(|token| TokenSeed::Written(token.to_owned()));
}

/// A tenant with canaries, the program that serves for it, and all that callers got to see.
struct Stage {
    sandbox: Sandbox,
    service: Running,
    database: Database,
    key: ClientKey,
    seen: Vec<String>,
    /// The deadline of calls: long where they must succeed, short where nothing answers.
    deadline: Duration,
    folder: tempfile::TempDir,
}

impl Stage {
    async fn new(format: &str, keyed: bool) -> Self {
        let key = ClientKey::new();
        let sandbox = Sandbox::start(sow(&key), ANYWHERE).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(path("service.toml"), host_overrides(&sandbox)).unwrap();
        std::fs::write(path("facebook"), FACEBOOK_SECRET).unwrap();
        std::fs::write(path("key"), &key.private_pem).unwrap();
        std::fs::write(path("secret"), MANAGEMENT_SECRET).unwrap();

        let database = Database::full().await;
        let mut serve = command(&["serve", "--config", &path("service.toml")]);
        serve.envs(environment(&sandbox)).envs(database.environment()).env_remove("AUTH0_CLIENT_SECRET");
        serve.env("IDP_TOKEN_PROVIDERS_FACEBOOK_CLIENT_SECRET_FILE", path("facebook"));
        serve.env("IDP_TOKEN_AUDIT_FILE", path("audit.log"));
        // The audit log's own formats have other names.
        serve.env("IDP_TOKEN_AUDIT_FORMAT", if format == "json" { "json" } else { "logfmt" });
        serve.env("IDP_TOKEN_LOG_FORMAT", format).env("RUST_LOG", "trace").env("IDP_TOKEN_DRAIN", "1s");
        if keyed {
            serve.env("AUTH0_CLIENT_ID", "sandbox-keyed").env("AUTH0_PRIVATE_KEY_FILE", path("key"));
        } else {
            serve.env("AUTH0_CLIENT_SECRET_FILE", path("secret"));
        }
        let service = Running::ready(serve).await;
        Self { sandbox, service, database, key, seen: Vec::new(), deadline: 30 * SECOND, folder }
    }

    fn client(&self) -> IdpTokenServiceClient<Channel> {
        IdpTokenServiceClient::new(channel(self.service.grpc))
    }

    fn tenant(&self, path: &str) -> Fault {
        Fault::on(self.sandbox.domain()).path(path)
    }

    /// Keeps everything that a caller could print of an outcome.
    fn keep<T: std::fmt::Debug>(&mut self, outcome: Result<Response<T>, Status>) -> Option<T> {
        match outcome {
            Ok(answer) => {
                self.seen.push(format!("{answer:?}"));
                Some(answer.into_inner())
            }
            Err(status) => {
                self.seen.push(format!("{status:?} {status}"));
                self.seen.push(String::from_utf8_lossy(status.details()).into_owned());
                self.seen.push(format!("{:?}", status.metadata()));
                None
            }
        }
    }

    async fn lend(&mut self, identity: IdentitySelector) -> Option<String> {
        let request = GetIdentityTokenRequest { identity: Some(identity), ..Default::default() };
        let outcome = self.client().get_identity_token(request).await;
        self.keep(outcome).map(|lent| {
            let others = (&lent.refresh_token, &lent.fingerprint, &lent.scopes, &lent.token_type);
            self.seen.push(format!("{others:?}"));
            lent.access_token
        })
    }

    /// Answers the status that the provider gave.
    async fn call(&mut self, identity: IdentitySelector, request: HttpRequest) -> Option<i32> {
        let request =
            CallProviderRequest { identity: Some(identity), request: Some(request), ..Default::default() };
        let outcome = self.client().call_provider(within(self.deadline, request)).await;
        self.keep(outcome).map(|answer| {
            self.seen.push(String::from_utf8_lossy(&answer.body).into_owned());
            answer.status_code
        })
    }

    async fn list(&mut self, user: &str) {
        let request = ListIdentitiesRequest { user_id: user.to_owned(), ..Default::default() };
        let outcome = self.client().list_identities(within(self.deadline, request)).await;
        self.keep(outcome);
    }

    async fn good_calls(&mut self) {
        self.list(ADA).await;
        for (identity, token) in [(google(ADA), GOOGLE), (github(ADA), GITHUB), (facebook(ADA), FACEBOOK)] {
            assert_eq!(self.lend(identity).await.as_deref(), Some(token), "the one place for it");
        }
        let userinfo = self.call(google(ADA), get("/oauth2/v3/userinfo")).await;
        let user = self.call(github(ADA), get("/user")).await;
        let me = self.call(facebook(ADA), get("/me?fields=id,name")).await;
        assert_eq!((userinfo, user, me), (Some(200), Some(200), Some(200)));
        // Graph's paging repeats the token.
        self.call(facebook(ADA), get("/me/posts?limit=1")).await;
    }

    async fn refusals(&mut self) {
        assert_eq!(self.lend(google(EDSGER)).await, None, "dead");
        for identity in [github(GRACE), google(DONALD), google("auth0|nobody")] {
            assert_eq!(self.lend(identity).await, None);
        }
        self.list("auth0|nobody").await;
        let mut client = self.client();
        let refresh = GetIdentityTokenRequest {
            identity: Some(google(ADA)),
            include_refresh_token: true,
            ..Default::default()
        };
        let outcome = client.get_identity_token(refresh).await;
        self.keep(outcome);
        for request in [
            CreateConnectLinkRequest::default(),
            CreateConnectLinkRequest { connection: format!("{GITHUB}\n"), ..Default::default() },
            CreateConnectLinkRequest {
                connection: "github".to_owned(),
                redirect_uri: GITHUB.to_owned(),
                ..Default::default()
            },
        ] {
            let link = client.create_connect_link(request).await;
            self.keep(link);
        }
        let head = CallProviderRequest { identity: Some(google(ADA)), ..Default::default() };
        let head = StreamProviderRequest { part: Some(Part::Head(head)) };
        let streamed = client.stream_provider(tokio_stream::once(head)).await;
        self.keep(streamed.map(|_| Response::new(())));
    }

    /// Secrets where the contract wants something else: a confused caller's own mistake, and still not for
    /// the log.
    async fn misplaced_secrets(&mut self) {
        let secret = || GITHUB.to_owned();
        let ada = || google(ADA);
        for identity in [
            google(GOOGLE),
            IdentitySelector { provider: secret(), ..ada() },
            IdentitySelector { connection: secret(), ..ada() },
            IdentitySelector { account_id: secret(), ..ada() },
        ] {
            self.lend(identity.clone()).await;
            self.call(identity, get("/user")).await;
        }
        let rejected = GetIdentityTokenRequest {
            identity: Some(ada()),
            rejected_fingerprint: secret(),
            ..Default::default()
        };
        let rejected = self.client().get_identity_token(rejected).await;
        self.keep(rejected);
        let page =
            ListIdentitiesRequest { user_id: ADA.to_owned(), page_token: secret(), ..Default::default() };
        let page = self.client().list_identities(page).await;
        self.keep(page);
        self.list(FACEBOOK).await;
        for request in [
            HttpRequest { host: secret(), ..get("/user") },
            HttpRequest { method: secret(), ..get("/user") },
            HttpRequest { query: vec![pair("access_token", GITHUB)], ..get("/user") },
            HttpRequest { headers: vec![pair("authorization", GITHUB)], ..get("/user") },
            HttpRequest { headers: vec![pair(GITHUB, "x\n")], ..get("/user") },
            get(&format!("/user?access_token={GITHUB}")),
            get(&format!("//{GITHUB}")),
            get(&format!("/users/../{GITHUB}")),
            get(&format!("/users/{GITHUB}%zz")),
        ] {
            assert_eq!(self.call(ada(), request).await, None);
        }
        let encoded: String = GITHUB.bytes().map(|byte| format!("%{byte:02X}")).collect();
        for path in [GITHUB, GOOGLE, FACEBOOK, DEAD, GITHUB_REFRESH, &encoded] {
            assert!(
                self.call(github(ADA), get(&format!("/users/{path}"))).await.is_some(),
                "it is well-formed"
            );
        }
        let mut request = Request::new(ListIdentitiesRequest { page_size: -1, ..Default::default() });
        for (name, value) in [
            ("traceparent", GITHUB),
            ("authorization", GOOGLE),
            ("x-api-key", GITHUB),
            ("grpc-timeout", FACEBOOK),
        ] {
            request.metadata_mut().insert(name, value.parse().unwrap());
        }
        let outcome = self.client().list_identities(request).await;
        self.keep(outcome);
    }

    async fn troubles_at_providers(&mut self) {
        let echo = json!({ "error": { "message": format!("token {FACEBOOK} {GOOGLE} {GITHUB} is bad"), "code": 2 } });
        for (identity, host, path) in [
            (google(ADA), "www.googleapis.com", "/oauth2/v3/userinfo"),
            (github(ADA), "api.github.com", "/user"),
            (facebook(ADA), "graph.facebook.com", "/me"),
        ] {
            // Only the user's own token is masked in an answer: each provider repeats the one that it got.
            let own = self.lend(identity.clone()).await.unwrap();
            let echo = json!({ "error": { "message": format!("{own} is bad, as is Bearer {own}") } });
            for status in [400, 403, 404, 500, 503] {
                let fault = Fault::on(host).answer(status).json(&echo).header("www-authenticate", &own);
                self.sandbox.faults().script(fault.always());
                self.call(identity.clone(), get(path)).await;
                self.call(identity.clone(), post(path, "{}")).await;
                self.sandbox.faults().clear();
            }
            for fault in [Fault::hang, Fault::cut, Fault::garbage, |fault: Fault| fault.cut_body(3)] {
                self.sandbox.faults().script(fault(Fault::on(host).always()));
                self.call(identity.clone(), get(path)).await;
                self.sandbox.faults().clear();
            }
        }
        // Refused tokens: no answer gets through, so it may repeat whatever it likes.
        for (identity, host, status) in [
            (google(ADA), "www.googleapis.com", 401),
            (github(ADA), "api.github.com", 401),
            (facebook(ADA), "graph.facebook.com", 400),
        ] {
            let mut refusal = echo.clone();
            refusal["error"]["code"] = json!(190);
            self.sandbox.faults().script(Fault::on(host).always().answer(status).json(&refusal));
            // Nor does anybody vouch for the token.
            let vouching = Fault::on("oauth2.googleapis.com").always().answer(503).json(&echo);
            self.sandbox.faults().script(vouching);
            assert_eq!(self.call(identity, get("/me")).await, None, "{host}");
            self.sandbox.faults().clear();
        }
    }

    async fn inspect(&mut self, identity: IdentitySelector) {
        let request = InspectIdentityTokenRequest { identity: Some(identity) };
        let outcome = self.client().inspect_identity_token(within(self.deadline, request)).await;
        self.keep(outcome);
    }

    async fn revoke(&mut self, identity: IdentitySelector) {
        let request = RevokeIdentityTokenRequest { identity: Some(identity) };
        let outcome = self.client().revoke_identity_token(within(self.deadline, request)).await;
        self.keep(outcome);
    }

    /// Each provider repeats the token that it got wherever its answers have a text.
    async fn inspections_and_revocations(&mut self) {
        for (identity, host, path) in [
            (google(ADA), "oauth2.googleapis.com", "/"),
            (github(ADA), "api.github.com", "/applications"),
            (facebook(ADA), "graph.facebook.com", "/"),
        ] {
            self.inspect(identity.clone()).await;
            let own = self.sandbox.access_token(ADA, &identity.provider).unwrap();
            let echo = json!({
                "aud": own, "sub": own, "scope": own, "scopes": [own], "user": { "id": own }, "message": own,
                "data": { "is_valid": true, "scopes": [own], "user_id": own },
                "error": own, "error_description": own,
            });
            for status in [200, 400, 401, 404, 429, 500] {
                let fault = Fault::on(host).path(path).answer(status).json(&echo).header("retry-after", "1");
                self.sandbox.faults().script(fault.always());
                self.inspect(identity.clone()).await;
                self.revoke(identity.clone()).await;
                self.sandbox.faults().clear();
            }
            self.inspect(identity.clone()).await;
            self.revoke(identity.clone()).await;
            self.inspect(identity).await;
        }
    }

    async fn troubles_at_auth0(&mut self) {
        let echo = json!({
            "statusCode": 400, "error": MANAGEMENT_SECRET, "error_description": MANAGEMENT_SECRET,
            "message": format!("{MANAGEMENT_SECRET} {GOOGLE}"), "errorCode": MANAGEMENT_SECRET,
        });
        for status in [200, 302, 400, 403, 404, 418, 429, 500, 503] {
            let answer = self.tenant("/api/v2/").answer(status).json(&echo).header("retry-after", "0");
            self.sandbox.faults().script(answer.header("location", MANAGEMENT_SECRET).always());
            self.list(&format!("auth0|number-{status}")).await;
            self.sandbox.faults().clear();
        }
        for fault in [Fault::hang, Fault::cut, Fault::garbage, |fault: Fault| fault.cut_body(300)] {
            self.sandbox.faults().script(fault(self.tenant("/api/v2/").always()));
            self.list(EDSGER).await;
            self.sandbox.faults().clear();
        }
        // The key is rotated, so that each further read wants another Management token.
        self.sandbox.faults().script(self.tenant("/oauth/token").always().answer(400).json(&echo));
        self.sandbox.faults().script(self.tenant("/api/v2/").always().answer(401).json(&echo));
        self.list("auth0|number-401").await;
        self.sandbox.faults().clear();
    }

    /// The secrets that only came to be meanwhile: the tokens and assertions that the sandbox saw.
    fn secrets(&self) -> Secrets {
        let mut secrets = Secrets::new(ALL);
        for line in self.key.private_pem.lines().filter(|line| !line.starts_with('-')) {
            secrets.add("the private key", line);
        }
        let keys = std::fs::read_to_string(self.database.keys_file()).unwrap();
        secrets.add("the encryption key", &keys);
        for entry in self.sandbox.journal().entries() {
            if let Some(token) = entry.header("authorization").and_then(|value| value.split(' ').nth(1)) {
                secrets.add("a token that was sent", token);
            }
            let body: serde_json::Value = serde_json::from_slice(&entry.body).unwrap_or_default();
            if let Some(assertion) = body["client_assertion"].as_str() {
                secrets.add("an assertion", assertion);
            }
            let pairs = url::form_urlencoded::parse(entry.query.as_deref().unwrap_or_default().as_bytes());
            for (_, proof) in pairs.filter(|(name, _)| name == "appsecret_proof") {
                secrets.add("an appsecret_proof", &proof);
            }
        }
        secrets
    }
}

async fn nothing_leaks(format: &str, keyed: bool) {
    let mut stage = Stage::new(format, keyed).await;
    stage.good_calls().await;
    stage.refusals().await;
    stage.misplaced_secrets().await;
    stage.deadline = SECOND;
    stage.troubles_at_auth0().await;
    stage.troubles_at_providers().await;
    stage.inspections_and_revocations().await;
    let (_, metrics) = stage.service.page("/metrics").await;
    let secrets = stage.secrets();
    let Stage { service, seen, sandbox, folder, .. } = stage;
    service.signal("TERM").await;
    let (_, log) = service.ended().await;

    // The search looked at something: the logs have the failures, and the metrics count them.
    assert_every_level_was_heard(&log);
    let audit = std::fs::read_to_string(folder.path().join("audit.log")).unwrap();
    assert!(audit.lines().count() > 100 && audit.contains("/users/***"), "{audit}");
    for family in ["rpcs", "inspections", "revocations"] {
        assert!(metrics.contains(&format!("idp_token_{family}_total")), "{family}: {metrics}");
    }
    assert!(seen.len() > 100);
    for name in ["a token that was sent", "an appsecret_proof"] {
        assert!(secrets.have(name), "{name}");
    }
    assert_eq!(secrets.have("an assertion"), keyed);
    drop(sandbox);

    assert_eq!(secrets.find_in(&log), Find::NOTHING, "in the log");
    assert_eq!(secrets.find_in(&audit), Find::NOTHING, "in the audit log");
    assert_eq!(secrets.find_in(&metrics), Find::NOTHING, "in the metrics");
    for text in seen {
        assert_eq!(secrets.find_in(&text), Find::NOTHING, "in what a caller saw");
    }
}

/// The log has the failures at every level, and nothing of other crates below `info`: they write headers and
/// frames there.
fn assert_every_level_was_heard(log: &str) {
    assert!(log.lines().count() > 30);
    let told = ["Fetched a Management token", "Cannot share the Management token", "DEADLINE_EXCEEDED"];
    for part in ["DEBUG", "WARN", "ERROR"].into_iter().chain(told) {
        assert!(log.contains(part), "{part}: {log}");
    }
    let chatter = log.lines().filter(|line| line.contains("DEBUG") || line.contains("TRACE"));
    assert_eq!(chatter.filter(|line| !line.contains("idp_token_service::")).collect::<Vec<_>>(), [""; 0]);
}

#[tokio::test]
async fn no_secret_leaks_into_a_log_for_people() {
    nothing_leaks("text", false).await;
}

#[tokio::test]
async fn no_secret_leaks_into_a_log_for_machines() {
    nothing_leaks("json", true).await;
}
