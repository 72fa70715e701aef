//! The callers of the matrix, each with a connection and a proof of its own, and the servers that they call.

use idp_token_sandbox::{Sandbox, Seed, UserSeed};
use idp_token_service::{
    config::{Config, Environment},
    service::pb::idp_token_service_client::IdpTokenServiceClient,
};
use idp_token_testkit::{
    ANYWHERE, Service,
    audit::Log,
    authority::Authority,
    channel, eventually,
    issuer::{self, AUDIENCE, Issuer, now},
    keys, page,
    people::{ADA, GRACE},
    process::{environment, host_overrides},
    tls::{self, Pki},
};
use serde_json::{Value, json};
use tonic::transport::Channel;

pub(super) type Client = IdpTokenServiceClient<Channel>;

/// The audience of end users' tokens.
const API: &str = "https://idp-token.acme.example";

/// Who may do what; `table.rs` says the same in another way.
const RULES: &str = r#"
[[callers]]
id = "spiffe://acme/ns/*/sa/calendar"
allow = ["ListIdentities", "CallProvider"]
providers = ["google-oauth2"]
requests = ["GET www.googleapis.com/calendar/v3/**", "GET www.googleapis.com/oauth2/v3/userinfo"]

[[callers]]
id = "janitor.acme.example"
allow = ["InspectIdentityToken", "RevokeIdentityToken"]
providers = ["google-oauth2"]

[[callers]]
id = "spiffe://acme/ns/prod/sa/mail"
allow = ["GetIdentityToken"]
providers = ["google-oauth2"]

[[callers]]
id = "vault"
allow = ["GetIdentityToken", "refresh-token"]
providers = ["**"]

[[callers]]
id = "code"
allow = ["ListIdentities", "CallProvider", "CreateConnectLink"]
providers = ["github"]
requests = ["GET api.github.com/user", "* api.github.com/repos/ada/*"]

[[callers]]
id = "both"
allow = ["ListIdentities", "CallProvider"]
providers = ["google-oauth2"]
requests = ["GET **"]

[[callers]]
id = "both"
allow = ["CallProvider", "ListIdentities"]
providers = ["github"]
requests = ["POST **"]

[[callers]]
id = "spiffe://acme/admin/**"
allow = ["ListIdentities", "GetIdentityToken", "CallProvider", "StreamProvider", "InspectIdentityToken",
    "RevokeIdentityToken", "CreateConnectLink", "refresh-token"]
providers = ["**"]
requests = ["**"]

[end_users]
audience = "https://idp-token.acme.example"
allow = ["ListIdentities", "CallProvider"]
providers = ["facebook", "github"]
requests = ["GET graph.facebook.com/v25.0/me", "GET api.github.com/**"]
"#;

const FORWARDED: &str = "x-forwarded-client-cert";

/// Somebody who calls.
pub(super) struct Actor {
    pub(super) name: &'static str,
    pub(super) client: Client,
    pub(super) headers: Vec<(&'static str, String)>,
    /// What its records say: kind, id and proof.
    pub(super) known_as: String,
}

/// A server with its log, and those who call it.
pub(super) struct World {
    pub(super) sandbox: Sandbox,
    pub(super) log: Log,
    pub(super) actors: Vec<Actor>,
    service: Service,
    pki: Pki,
    /// Whose keys the server fetches.
    _issuer: Issuer,
}

impl World {
    /// Where every caller must prove who it is, and gets what the rules allow.
    pub(super) async fn strict() -> Self {
        let (pki, issuer) = (Pki::new(), Issuer::start().await);
        let path = |name| pki.path(name).display().to_string();
        let (server, key, ca, url) = (path("server.pem"), path("server.key"), path("ca.pem"), issuer.url());
        let proofs = format!(
            "trusted_peers = ['spiffe://acme/envoy']\n\
            tls = {{ certificate_file = '{server}', private_key_file = '{key}', client_ca_file = '{ca}' }}\n\
            jwt_issuers = [{{ issuer = '{url}', jwks_url = '{url}/jwks', audience = '{AUDIENCE}' }}]\n"
        );
        let mut world = Self::with(&proofs, RULES, pki, issuer).await;
        world.actors = world.callers();
        world
    }

    /// Where nobody is asked.
    pub(super) async fn open() -> Self {
        let mut world = Self::with("", "", Pki::new(), Issuer::start().await).await;
        let client = Client::new(channel(world.service.address));
        let known_as = "anonymous - -".to_owned();
        world.actors.push(Actor { name: "anonymous", client, headers: Vec::new(), known_as });
        world
    }

    async fn with(before: &str, rules: &str, pki: Pki, issuer: Issuer) -> Self {
        let seed = Seed { signing_key: Some(keys::SIGNING_KEY.clone()), ..Seed::sample() };
        let sandbox = Sandbox::start(seed, ANYWHERE).await.unwrap();
        let (login, redirect_uris) = sandbox.login_application().unwrap();
        let connect = format!("[connect]\nclient_id = '{login}'\nredirect_uris = {redirect_uris:?}\n");
        let text = format!("{before}{}{connect}{rules}", host_overrides(&sandbox));
        let file = pki.write("idp.toml", &text);
        let variables: Environment = environment(&sandbox).into_iter().collect();
        let mut config = Config::load(Some(&file), &variables).unwrap_or_else(|error| panic!("{error}"));
        let log = Log::new();
        log.record(&mut config);
        let service = Service::start(&config).await;
        eventually("readiness", async || page(service.admin, "/readyz").await.0 == 200).await;
        Self { sandbox, log, actors: Vec::new(), service, pki, _issuer: issuer }
    }

    /// A client with a certificate of the authority with these names.
    fn certified(&self, names: &[&str]) -> Client {
        let config = tls::client(&[&self.pki.authority], Some(&self.pki.authority.client(names)));
        Client::new(tls::channel(self.service.address, config))
    }

    /// Who is known by a certificate.
    fn by_certificate(&self, name: &'static str, san: &str, id: &str) -> Actor {
        let known_as = format!("service {id} certificate");
        Actor { name, client: self.certified(&[san]), headers: Vec::new(), known_as }
    }

    /// Who shows a token, over a connection that says nothing, or something else.
    fn by_token(&self, name: &'static str, san: &[&str], token: &str, known_as: &str) -> Actor {
        let headers = vec![("authorization", format!("Bearer {token}"))];
        Actor { name, client: self.certified(san), headers, known_as: format!("{known_as} jwt") }
    }

    fn callers(&self) -> Vec<Actor> {
        let mut actors = self.by_certificates();
        actors.extend(self.behind_proxies());
        actors.extend(self.by_jwts());
        actors.extend(self.end_users());
        actors
    }

    fn by_certificates(&self) -> Vec<Actor> {
        let spiffe = |name, id: &str| self.by_certificate(name, id, id);
        vec![
            spiffe("calendar", "spiffe://acme/ns/prod/sa/calendar"),
            spiffe("calendar-elsewhere", "spiffe://acme/ns/test/sa/calendar"),
            spiffe("calendar-too-deep", "spiffe://acme/ns/a/b/sa/calendar"),
            spiffe("admin", "spiffe://acme/admin/eu/ops"),
            self.by_certificate("janitor", "Janitor.ACME.example", "janitor.acme.example"),
            Actor { client: self.certified(&[]), ..spiffe("nameless", "spiffe://acme/x") },
            Actor {
                client: self.certified(&["spiffe://acme/ns/prod/sa/calendar", "spiffe://acme/admin/eu"]),
                ..spiffe("two-names", "spiffe://acme/x")
            },
        ]
    }

    fn behind_proxies(&self) -> Vec<Actor> {
        const HASH: &str = "Hash=468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688";
        let behind = |name, san: &str, header: &str, known_as: &str| Actor {
            name,
            client: self.certified(&[san]),
            headers: (!header.is_empty()).then(|| (FORWARDED, header.to_owned())).into_iter().collect(),
            known_as: known_as.to_owned(),
        };
        let (envoy, mail) = ("spiffe://acme/envoy", "spiffe://acme/ns/prod/sa/mail");
        let admin = format!("{HASH};URI=spiffe://acme/admin/eu/ops");
        vec![
            behind(
                "mail-behind-envoy",
                envoy,
                &format!("{HASH};URI={mail}"),
                &format!("service {mail} forwarded"),
            ),
            behind("envoy-alone", envoy, "", ""),
            behind("envoy-malformed", envoy, "URI=spiffe://acme/admin/eu/ops", ""),
            behind(
                "stranger-with-forged-header",
                "spiffe://acme/x",
                &admin,
                "service spiffe://acme/x certificate",
            ),
        ]
    }

    fn by_jwts(&self) -> Vec<Actor> {
        let issuer = &self._issuer;
        let signed = |change: &[(&str, Value)]| {
            let mut claims = issuer.claims();
            change.iter().for_each(|(name, value)| claims[*name] = value.clone());
            issuer.sign(&claims)
        };
        let named = |name: &'static str| {
            self.by_token(name, &[], &signed(&[("sub", json!(name))]), &format!("service {name}"))
        };
        let bad = |name, token: &str| self.by_token(name, &[], token, "");
        let forged = issuer::Key::new("first").sign(&{
            let mut claims = issuer.claims();
            claims["sub"] = json!("vault");
            claims
        });
        vec![
            named("vault"),
            named("code"),
            named("both"),
            bad("jwt-expired", &signed(&[("sub", json!("vault")), ("exp", json!(now() - 3600))])),
            bad(
                "jwt-other-audience",
                &signed(&[("sub", json!("vault")), ("aud", json!("https://other.example"))]),
            ),
            bad(
                "jwt-unknown-issuer",
                &signed(&[("sub", json!("vault")), ("iss", json!("https://other.example"))]),
            ),
            bad("jwt-forged", &forged),
            self.by_token("jwt-of-admin-but-junk", &["spiffe://acme/admin/eu/ops"], "a.b.c", ""),
        ]
    }

    fn end_users(&self) -> Vec<Actor> {
        let token = |user| self.sandbox.end_user_token(user, API, &[]).unwrap();
        let id_token = self.sandbox.sign(&json!({
            "iss": self.sandbox.issuer(), "sub": ADA, "aud": API, "iat": now(), "exp": now() + 300, "nonce": "n",
        }));
        let (ada, grace) = (format!("end_user {ADA}"), format!("end_user {GRACE}"));
        let admin = &["spiffe://acme/admin/eu/ops"];
        vec![
            self.by_token("ada", &[], &token(ADA), &ada),
            self.by_token("ada-with-a-service-certificate", admin, &token(ADA), &ada),
            self.by_token("grace", &[], &token(GRACE), &grace),
            self.by_token("id-token", &[], &id_token, ""),
        ]
    }

    /// Those whom TLS keeps out: with a certificate of nobody known, with none, and without TLS.
    pub(super) fn strangers(&self) -> [Client; 3] {
        let address = self.service.address;
        let other = Authority::new("other").client(&["spiffe://acme/admin/eu/ops"]);
        let with = |own| Client::new(tls::channel(address, tls::client(&[&self.pki.authority], own)));
        [with(Some(&other)), with(None), Client::new(channel(address))]
    }

    /// Whose tokens a cell may revoke.
    pub(super) fn victim(actor: &str, provider: &str) -> String {
        format!("auth0|victim-of-{actor}-at-{provider}")
    }

    pub(super) fn add_victim(&self, actor: &str, provider: &str) {
        let id = Self::victim(actor, provider);
        let ada = Seed::sample().users.into_iter().find(|user| user.id == ADA).unwrap();
        let mut identity =
            ada.identities.iter().find(|identity| identity.connection == provider).unwrap().clone();
        identity.user_id = fastrand::u32(..).to_string();
        self.sandbox.add_user(UserSeed { id, identities: vec![identity], ..ada });
    }
}
