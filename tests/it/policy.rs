//! Who may do what: the use cases with the callers that authentication will give them, and the real server
//! for nobody in particular.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use idp_token_sandbox::{Sandbox, Seed};
use idp_token_service::{
    audit::AuditScope,
    auth0::Auth0,
    broker::{Broker, Call, Error, Lend, List},
    caller::Caller,
    cli,
    config::EndUsers,
    context::{Asked, Ctx},
    deadline::Deadline,
    identity::{ConnectionName, SelectError, Selector, UserId},
    policy::{
        CallProvider, GetIdentityToken, ListIdentities, Pattern, Permission, Policy, ProviderName,
        RequestPattern, Rule, Who,
    },
    provider::{self, request::RawRequest},
    provider_client::{ProviderClient, Providers},
    rpc::Rpc,
    store::Store,
    telemetry::Metrics,
    tokens::Tokens,
    transport::Transport,
};
use idp_token_testkit::{
    ANYWHERE, World, assert_error, get, keys, memory,
    people::{ADA, GRACE, google},
    process::{Ended, run},
};
use tonic::Code;

/// Has Google and a refresh token.
const BARBARA: &str = "google-oauth2|100000000000000000003";

/// A call of `caller` about identities of the user `id`.
async fn asks(caller: &Caller, id: &str, selector: Selector) -> (Ctx, Asked) {
    let ctx = Ctx::begin(caller.clone(), soon(), memory(), AuditScope::default()).await.unwrap();
    let asked = ctx.asks(user(id), selector);
    (ctx, asked)
}

/// The use cases, with a sandbox for Auth0 and all providers.
struct Office {
    sandbox: Sandbox,
    broker: Broker,
}

impl Office {
    async fn open(rules: Vec<Rule>) -> Self {
        let seed = Seed { signing_key: Some(keys::SIGNING_KEY.clone()), ..Seed::sample() };
        let sandbox = Sandbox::start(seed, ANYWHERE).await.unwrap();
        let config = cli::sandbox_config(&sandbox, ANYWHERE, ANYWHERE);
        let transport = Transport::new().unwrap();
        let metrics = Arc::new(Metrics::default());
        let store = Arc::new(Store::memory());
        let auth0 = Arc::new(Auth0::new(&config.auth0, &transport, &store, &metrics));
        let mut providers = Providers::default();
        let mut strategies = BTreeMap::new();
        for (name, configured) in &config.providers {
            let strategy = configured.strategy.as_str().to_owned();
            let adapter = provider::build(&strategy, configured.settings.clone()).unwrap();
            let transport = transport.with_host_overrides(configured.host_overrides.clone());
            strategies.insert(name.clone(), strategy.clone());
            providers.insert(ProviderClient::new(name.clone(), strategy, adapter, transport));
        }
        let providers = Arc::new(providers);
        let tokens = Tokens::new(Arc::clone(&auth0), Arc::clone(&providers), store, Arc::clone(&metrics));
        let policy = Policy::new(rules, strategies);
        Self { sandbox, broker: Broker::new(auth0, providers, tokens, None, policy, metrics) }
    }

    async fn list(&self, caller: &Caller, id: &str) -> Result<Vec<String>, Error> {
        let (ctx, asked) = asks(caller, id, Selector::default()).await;
        let authorized = ctx.authorize(self.broker.policy(), &asked, ListIdentities)?;
        let list = List { page_size: 0, page_token: String::new() };
        let (views, _) = self.broker.list(&authorized, &list).await?;
        Ok(views.into_iter().map(|view| format!("{}/{}", view.provider, view.account_id)).collect())
    }

    /// The refresh token that comes with the access token, or nothing.
    async fn lend(
        &self,
        caller: &Caller,
        id: &str,
        provider: &str,
        refresh_token: bool,
    ) -> Result<String, Error> {
        let (ctx, asked) = asks(caller, id, at(provider)).await;
        let action = GetIdentityToken { refresh_token };
        let authorized = ctx.authorize(self.broker.policy(), &asked, action)?;
        let lend = Lend { min_validity: Duration::ZERO, rejected: None };
        let lent = self.broker.lend(&authorized, &asked.selector, lend).await?;
        Ok(lent.refresh.map(|refresh| refresh.expose().to_owned()).unwrap_or_default())
    }

    /// Has `GET api.github.com/user`, or the like, sent as an identity of `provider`; to its main host
    /// without any.
    async fn call(&self, caller: &Caller, id: &str, provider: &str, request: &str) -> Result<u16, Error> {
        let (method, place) = request.split_once(' ').unwrap();
        let (host, path) = place.split_at(place.find('/').unwrap());
        let request = RawRequest {
            method: method.to_owned(),
            host: host.to_owned(),
            path: path.to_owned(),
            ..RawRequest::default()
        };
        let (ctx, asked) = asks(caller, id, at(provider)).await;
        let authorized = ctx.authorize(self.broker.policy(), &asked, CallProvider)?;
        let call = Call { request, idempotent: false };
        let answer = self.broker.call(&authorized, &asked.selector, call).await?;
        Ok(answer.response.status().as_u16())
    }

    async fn link(&self, caller: &Caller, connection: &str) -> Result<(), Error> {
        let connection = ConnectionName::parse(connection.to_owned(), "connection").unwrap();
        let ctx = Ctx::begin(caller.clone(), soon(), memory(), AuditScope::default()).await.unwrap();
        Ok(ctx.authorize_link(self.broker.policy(), connection).map(|_| ())?)
    }

    /// What `action` comes to: `denied` only if nobody was sent anything for it.
    async fn outcome(&self, caller: &Caller, action: &str, provider: &str) -> &'static str {
        self.sandbox.journal().clear();
        let outcome = match action {
            "list" => self.list(caller, ADA).await.map(|_| ()),
            "get" => self.lend(caller, ADA, provider, false).await.map(|_| ()),
            "get all" => self.lend(caller, ADA, provider, true).await.map(|_| ()),
            "link" => self.link(caller, provider).await,
            request => self.call(caller, ADA, provider, request).await.map(|_| ()),
        };
        let sent = self.sandbox.journal().entries().len();
        match outcome {
            Ok(()) => "allowed",
            Err(Error::Denied(_)) if sent == 0 => "denied",
            Err(Error::Invalid(_)) if sent == 0 => "malformed",
            other => panic!("{action} {provider}: {other:?} after {sent} requests"),
        }
    }
}

fn user(id: &str) -> UserId {
    UserId::parse(id.to_owned(), "user_id").unwrap()
}

fn soon() -> Deadline {
    Deadline::from_now(Duration::from_secs(30))
}

fn at(provider: &str) -> Selector {
    Selector { provider: provider.to_owned(), ..Selector::default() }
}

fn service(id: &str) -> Caller {
    Caller::Service { id: id.to_owned() }
}

fn end_user(id: &str) -> Caller {
    Caller::EndUser { subject: user(id), access_token: Arc::default() }
}

/// A rule for a service, or for end users where `id` is empty; `providers` are strategies.
fn rule(id: &str, allow: &[Permission], providers: &[&str], requests: &[&str]) -> Rule {
    let name = |name: &&str| match *name {
        "**" => ProviderName::All,
        name => ProviderName::Strategy(name.to_owned()),
    };
    Rule {
        who: if id.is_empty() { Who::EndUsers } else { Who::Services(Pattern::parse(id).unwrap()) },
        allow: allow.iter().copied().collect(),
        providers: providers.iter().map(name).collect(),
        requests: requests.iter().map(|text| RequestPattern::parse(text).unwrap()).collect(),
        line: None,
    }
}

fn rules() -> Vec<Rule> {
    let [list, get, call, link] =
        [Rpc::ListIdentities, Rpc::GetIdentityToken, Rpc::CallProvider, Rpc::CreateConnectLink]
            .map(Permission::Rpc);
    let calendar = ["GET www.googleapis.com/calendar/v3/**"];
    let code = ["GET api.github.com/user", "* api.github.com/repos/ada/*"];
    vec![
        rule("spiffe://acme/ns/*/sa/calendar", &[list, call], &["google-oauth2"], &calendar),
        rule("code", &[call, link], &["github"], &code),
        rule("both", &[list, call], &["google-oauth2"], &["GET **"]),
        rule("both", &[list, call], &["github"], &["GET **"]),
        rule("mailer", &[get], &["google-oauth2"], &[]),
        rule("vault", &[get, Permission::RefreshToken], &["**"], &[]),
        rule(
            "",
            &[list, call],
            &["facebook", "github"],
            &["GET graph.facebook.com/v25.0/me", "GET api.github.com/**"],
        ),
    ]
}

const PROVIDERS: [&str; 3] = ["google-oauth2", "github", "facebook"];

/// RPCs, and requests of `CallProvider`.
const ACTIONS: [&str; 14] = [
    "list",
    "get",
    "get all",
    "link",
    "GET /calendar/v3/users/me/calendarList",
    "GET www.googleapis.com/calendar/v3/users/me/calendarList",
    "POST /calendar/v3/users/me/calendarList",
    "GET /user",
    "GET /user?page=2",
    "GET /user/",
    "GET /repos/ada/engine",
    "DELETE /repos/ada/engine",
    "GET /me",
    "GET /v24.0/me",
];

#[tokio::test]
async fn every_caller_gets_what_its_rules_allow_and_nothing_is_sent_for_what_they_do_not() {
    let office = Office::open(rules()).await;
    let calendar_list = "google-oauth2 GET www.googleapis.com/calendar/v3/users/me/calendarList";
    let calendar = ["google-oauth2 GET /calendar/v3/users/me/calendarList", calendar_list];
    let code = [
        "github link",
        "github GET /user",
        "github GET /user?page=2",
        "github GET /repos/ada/engine",
        "github DELETE /repos/ada/engine",
    ];
    let gets = ACTIONS.iter().filter(|action| action.starts_with("GET "));
    let both: Vec<_> = gets
        .flat_map(|action| ["google-oauth2", "github"].map(|provider| format!("{provider} {action}")))
        .filter(|allowed| *allowed != calendar_list.replace("google-oauth2", "github"))
        .collect();
    let ada = [
        "facebook GET /me",
        "github GET /user",
        "github GET /user?page=2",
        "github GET /user/",
        "github GET /repos/ada/engine",
        "github GET /me",
        "github GET /v24.0/me",
        "github GET /calendar/v3/users/me/calendarList",
    ];
    let vault: Vec<_> =
        PROVIDERS.iter().flat_map(|one| ["get", "get all"].map(|action| format!("{one} {action}"))).collect();
    let own = |list: &[&str]| -> Vec<String> { list.iter().map(|text| (*text).to_owned()).collect() };
    for (caller, lists, allowed) in [
        (Caller::Anonymous, false, own(&[])),
        (service("spiffe://acme/ns/prod/sa/calendar"), true, own(&calendar)),
        (service("spiffe://acme/ns/prod/sa/calendar/x"), false, own(&[])),
        (service("code"), false, own(&code)),
        (service("both"), true, both),
        (service("mailer"), false, own(&["google-oauth2 get"])),
        (service("vault"), false, vault),
        (service(ADA), false, own(&[])),
        (end_user(ADA), true, own(&ada)),
        (end_user(GRACE), false, own(&[])),
    ] {
        for (provider, action) in PROVIDERS.iter().flat_map(|one| ACTIONS.map(|action| (*one, action))) {
            let outcome = office.outcome(&caller, action, provider).await;
            let expected = allowed.contains(&format!("{provider} {action}")) || action == "list" && lists;
            // What no host of the provider is called with is malformed, whoever asks, if they may call it at
            // all.
            let is_elsewhere = action.contains("www.googleapis.com") && provider != "google-oauth2";
            match outcome {
                "malformed" => assert!(is_elsewhere, "{caller:?} {provider} {action}"),
                outcome => {
                    assert_eq!(outcome == "allowed", expected, "{caller:?} {provider} {action}: {outcome}");
                }
            }
        }
    }
}

#[tokio::test]
async fn identities_that_a_caller_may_not_use_do_not_exist_for_it() {
    let office = Office::open(rules()).await;
    let calendar = service("spiffe://acme/ns/prod/sa/calendar");
    assert_eq!(office.list(&calendar, ADA).await.unwrap(), ["google-oauth2/108204268033311374519"]);
    assert_eq!(office.list(&calendar, GRACE).await.unwrap(), [""; 0]);
    assert_eq!(office.list(&end_user(GRACE), GRACE).await.unwrap(), ["github/2000001", "github/2000002"]);

    // She has three; without a provider, only those that the caller may call compete.
    assert_eq!(office.call(&calendar, ADA, "", "GET /calendar/v3/users/me/calendarList").await.unwrap(), 200);
    let Err(Error::Select(SelectError::Ambiguous { candidates })) =
        office.call(&service("both"), ADA, "", "GET /user").await
    else {
        panic!("two are left")
    };
    assert_eq!(candidates.iter().filter(|one| one.starts_with("facebook")).count(), 0, "{candidates:?}");
    assert_eq!(candidates.len(), 2);

    // Two GitHub accounts are no candidates for who may not call GitHub.
    let none = office.call(&calendar, GRACE, "", "GET /calendar/v3/users/me/calendarList").await;
    assert!(matches!(none, Err(Error::Select(SelectError::NotLinked { .. }))), "{none:?}");
}

#[tokio::test]
async fn without_a_provider_a_request_that_no_rule_lets_through_is_refused_before_anybody_is_asked() {
    let office = Office::open(rules()).await;
    for (caller, request) in [
        (service("code"), "GET /users"),
        (service("code"), "GET api.github.com/users"),
        (service("spiffe://acme/ns/prod/sa/calendar"), "GET api.github.com/user"),
        (end_user(ADA), "POST /me"),
    ] {
        assert_ne!(office.outcome(&caller, request, "").await, "allowed", "{caller:?} {request}");
    }
}

/// A path that some server could read as another never passes a pattern, in whatever way it is written.
#[tokio::test]
async fn no_spelling_of_a_path_gets_around_a_pattern() {
    let office = Office::open(rules()).await;
    let caller = service("code");
    for (path, expected) in [
        ("/repos/ada/engine", "allowed"),
        ("/repos/ada/engine?ref=../..", "allowed"),
        ("/repos/ada/engine;v=1", "allowed"),
        ("/repos/ada", "denied"),
        ("/repos/ada/", "denied"),
        ("/repos/ada/engine/", "denied"),
        ("/repos/ada/engine/contents", "denied"),
        ("/repos/ada//engine", "denied"),
        ("/repos//ada/engine", "denied"),
        ("/repos/ada/engine%2Fcontents", "denied"),
        ("/repos/ada/engine%2fcontents", "denied"),
        ("/repos/ada/engine%252Fcontents", "denied"),
        ("/repos/ada/%2F", "denied"),
        ("/repos/Ada/engine", "denied"),
        ("/REPOS/ada/engine", "denied"),
        ("/repos/%61da/engine", "denied"),
        ("/repos%2Fada/engine", "denied"),
        ("/repos/ada%00/engine", "malformed"),
        ("/repos/ada/../grace", "malformed"),
        ("/repos/ada/..", "malformed"),
        ("/repos/ada/.", "malformed"),
        ("/repos/ada/%2e%2e", "malformed"),
        ("/repos/ada/%252e%252e", "malformed"),
        ("/repos/ada/..%2Fgrace", "malformed"),
        ("/repos/ada/..;", "malformed"),
        ("/repos/ada/x%5C..%5Cgrace", "malformed"),
        ("/repos/ada\\engine", "malformed"),
        ("//api.github.com/repos/ada/engine", "malformed"),
        ("/%2Frepos/ada/engine", "malformed"),
        ("/repos/ada/engine#/user", "malformed"),
        ("/user%3Fx", "denied"),
        ("/user%23", "denied"),
        ("/user;x", "denied"),
        ("/user%20", "denied"),
    ] {
        let outcome = office.outcome(&caller, &format!("GET {path}"), "github").await;
        assert_eq!(outcome, expected, "{path}");
    }
    for (request, expected) in [
        ("GET API.GitHub.com/user", "allowed"),
        ("get api.github.com/user", "malformed"),
        ("HEAD api.github.com/user", "denied"),
        ("GET uploads.github.com/user", "denied"),
        ("GET api.github.com./user", "malformed"),
        ("GET api.github.com:443/user", "malformed"),
    ] {
        assert_eq!(office.outcome(&caller, request, "github").await, expected, "{request}");
    }
}

#[tokio::test]
async fn a_refresh_token_comes_with_its_own_permission_and_only_when_asked_for() {
    let office = Office::open(rules()).await;
    assert_ne!(office.lend(&service("vault"), BARBARA, "google-oauth2", true).await.unwrap(), "");
    assert_eq!(office.lend(&service("vault"), BARBARA, "google-oauth2", false).await.unwrap(), "");
    assert_eq!(office.lend(&service("mailer"), BARBARA, "google-oauth2", false).await.unwrap(), "");
    let denied = office.lend(&service("mailer"), BARBARA, "google-oauth2", true).await;
    assert!(matches!(denied, Err(Error::Denied(_))), "{denied:?}");
}

/// Whoever did not prove who they are gets nothing, and the same words whatever exists.
#[tokio::test]
async fn a_server_with_rules_tells_a_stranger_nothing() {
    let end_users = EndUsers {
        audience: "https://idp-token.acme.example".to_owned(),
        rule: rule("", &[Rpc::ListIdentities, Rpc::CallProvider].map(Permission::Rpc), &["**"], &["**"]),
    };
    let world = World::configured(|config| config.end_users = Some(end_users)).await;
    let mut words = std::collections::BTreeSet::new();
    for id in [ADA, "auth0|nobody"] {
        let outcomes = [
            world.list(id).await.map(|_| ()),
            world.lend(google(id)).await.map(|_| ()),
            world.call(google(id), get("/calendar/v3/users/me/calendarList")).await.map(|_| ()),
        ];
        for outcome in outcomes {
            words.insert(outcome.as_ref().expect_err("denied").message().to_owned());
            let details = assert_error(outcome, Code::Unauthenticated, "CALLER_UNAUTHENTICATED");
            assert!(details.error_info().unwrap().metadata.is_empty());
        }
    }
    assert_eq!(words.len(), 1, "the same whatever is asked: {words:?}");
    assert_eq!((world.sandbox.journal().profile_reads(), world.provider_calls("www.googleapis.com")), (0, 0));
}

/// `policy explain` with a file of rules about end users, which needs nobody to prove who they are.
async fn explain(arguments: &[&str]) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("idp.toml");
    let text = "[auth0]\ndomain = 'acme.eu.auth0.com'\nclient_id = 'app'\nclient_secret_file = '/nowhere'\n\
        [end_users]\naudience = 'https://idp-token.acme.example'\nallow = ['ListIdentities', 'CallProvider']\n\
        providers = ['facebook']\nrequests = ['GET graph.facebook.com/v25.0/me']\n";
    std::fs::write(&file, text).unwrap();
    let all = [&["policy", "explain", "--config", file.to_str().unwrap()][..], arguments].concat();
    let ended = run(&all, &[("AUTH0_CLIENT_SECRET", "x")]).await;
    let folder = format!("{}/", folder.path().display());
    Ended { stdout: ended.stdout.replace(&folder, ""), ..ended }
}

#[tokio::test]
async fn an_operator_is_told_which_rule_decides_and_why_no_other_does() {
    let ada = ["--end-user", ADA, "--provider", "facebook"];
    for (more, code, said) in [
        (
            &["--request", "GET /me"][..],
            0,
            &[
                "asked    CallProvider, identity facebook of connection facebook, GET graph.facebook.com/v25.0/me\n",
                "ALLOWED  by idp.toml:5 [end_users]\n",
            ][..],
        ),
        (&["--request", "GET graph.facebook.com/v25.0/me?fields=id"], 0, &["ALLOWED"]),
        (
            &["--request", "GET /me/feed"],
            1,
            &[
                "DENIED   no rule allows it\n",
                "idp.toml:5 [end_users]: not by `requests` GET graph.facebook.com/v25.0/me\n",
            ],
        ),
        (
            &["--request", "GET /me", "--user", GRACE],
            1,
            &["DENIED   whatever the rules say: an end user may only act for the subject"],
        ),
        (
            &["--rpc", "GetIdentityToken"],
            1,
            &["an end user never gets a raw token", "`allow` lacks GetIdentityToken"],
        ),
        (&["--rpc", "ListIdentities"], 0, &["ALLOWED"]),
        (&["--rpc", "CreateConnectLink"], 1, &["`allow` lacks CreateConnectLink"]),
    ] {
        let ended = explain(&[&ada[..], more].concat()).await;
        assert_eq!(ended.code, code, "{more:?}: {}{}", ended.stdout, ended.stderr);
        assert!(said.iter().all(|part| ended.stdout.contains(part)), "{more:?}: {}", ended.stdout);
        assert_eq!(ended.stderr, "", "{more:?}");
    }
    let service = explain(&["--caller", "x", "--provider", "github", "--request", "GET /user"]).await;
    assert!(service.stdout.contains("[end_users]: is about other callers"), "{}", service.stdout);
    let provider = explain(&["--end-user", ADA, "--provider", "github", "--request", "GET /user"]).await;
    assert!(provider.stdout.contains("[end_users]: not with `providers` facebook"), "{}", provider.stdout);
    assert_eq!((service.code, provider.code), (1, 1));
}

#[tokio::test]
async fn a_question_that_cannot_be_decided_is_bad_usage() {
    for (arguments, remedy) in [
        (&["--provider", "github", "--request", "GET /user"][..], "--caller"),
        (&["--caller", "x", "--end-user", "y", "--provider", "github"], "cannot be used with"),
        (&["--caller", "x", "--request", "GET /user"], "name the identity"),
        (&["--caller", "x", "--provider", "github"], "say what is to be sent"),
        (&["--caller", "x", "--provider", "github", "--request", "/user"], "must be a method, a space"),
        (
            &["--caller", "x", "--provider", "github", "--request", "GET /a/../b"],
            "before it asks the policy: request.path",
        ),
        (
            &["--caller", "x", "--provider", "github", "--request", "GET evil.example/"],
            "before it asks the policy: request.host",
        ),
        (&["--caller", "x", "--provider", "samlp", "--request", "GET /a"], "no adapter for samlp"),
        (&["--caller", "x", "--provider", "github", "--rpc", "Lend"], "--rpc must be one of ListIdentities"),
        (
            &["--caller", "x", "--provider", "github", "--refresh-token", "--request", "GET /a"],
            "goes with `--rpc GetIdentityToken`",
        ),
        (
            &["--caller", "x", "--provider", "github", "--rpc", "GetIdentityToken", "--request", "GET /a"],
            "--request goes with",
        ),
        (&["--end-user", "", "--provider", "github", "--request", "GET /a"], "--end-user is required"),
    ] {
        let ended = explain(arguments).await;
        assert_eq!(ended.code, 64, "{arguments:?}: {}{}", ended.stdout, ended.stderr);
        assert!(ended.stderr.contains(remedy), "{arguments:?}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn without_rules_the_explanation_says_so() {
    let environment =
        [("AUTH0_DOMAIN", "acme.eu.auth0.com"), ("AUTH0_CLIENT_ID", "app"), ("AUTH0_CLIENT_SECRET", "x")];
    let ask = ["policy", "explain", "--caller", "x", "--provider", "github"];
    let call = run(&[&ask[..], &["--request", "GET /user"]].concat(), &environment).await;
    assert_eq!(call.code, 0, "{}", call.stderr);
    assert!(call.stdout.contains("ALLOWED  there are no rules"), "{}", call.stdout);
    let refresh =
        run(&[&ask[..], &["--rpc", "GetIdentityToken", "--refresh-token"]].concat(), &environment).await;
    assert_eq!(refresh.code, 1, "{}", refresh.stderr);
    assert!(refresh.stdout.contains("`refresh-token` is never implied"), "{}", refresh.stdout);
}
