use std::sync::Arc;

use super::*;
use crate::{
    identity::{Identity, IdentityKey},
    provider::{
        self, Provider, Settings,
        request::{ApiRequest, RawRequest},
    },
};

const CALENDAR: &str = "spiffe://acme/ns/prod/sa/calendar";
const ADA: &str = "google-oauth2|1";

fn user(id: &str) -> UserId {
    UserId::parse(id.to_owned(), "user_id").expect("a valid id")
}

fn service(id: &str) -> Caller {
    Caller::Service { id: id.to_owned() }
}

fn end_user(id: &str) -> Caller {
    Caller::EndUser { subject: user(id), access_token: Arc::default() }
}

fn rule(who: &str, allow: &str, providers: &str, requests: &[&str]) -> Rule {
    let named = |name: &str| match name {
        "**" => ProviderName::All,
        "acme-workspace" => {
            ProviderName::Connection { name: name.to_owned(), strategy: "google-apps".to_owned() }
        }
        _ if provider::kind(name).is_some() => ProviderName::Strategy(name.to_owned()),
        _ => ProviderName::Name(name.to_owned()),
    };
    let who = match who {
        "end users" => Who::EndUsers,
        id => Who::Services(Pattern::parse(id).expect("a pattern")),
    };
    let request = |text: &&str| RequestPattern::parse(text).expect("a pattern");
    Rule {
        who,
        allow: allow.split(' ').map(|name| Permission::named(name).expect("a permission")).collect(),
        providers: providers.split(' ').map(named).collect(),
        requests: requests.iter().map(request).collect(),
        line: None,
    }
}

fn policy() -> Policy {
    let rules = [
        rule(
            "spiffe://acme/ns/*/sa/calendar",
            "ListIdentities CallProvider",
            "google-oauth2",
            &["GET www.googleapis.com/calendar/v3/**"],
        ),
        rule("spiffe://acme/ns/*/sa/calendar", "CallProvider", "github", &["GET api.github.com/user"]),
        rule("mailer", "GetIdentityToken", "acme-workspace linkedin", &[]),
        rule("vault", "GetIdentityToken refresh-token", "**", &[]),
        rule(
            "ops/**",
            "InspectIdentityToken RevokeIdentityToken CreateConnectLink",
            "github acme-workspace",
            &[],
        ),
        rule(
            "end users",
            "ListIdentities CallProvider CreateConnectLink",
            "github",
            &["GET api.github.com/**"],
        ),
    ];
    let strategies =
        ["google-oauth2", "google-apps", "github"].map(|name| (name.to_owned(), name.to_owned()));
    let workspace = ("acme-workspace".to_owned(), "google-apps".to_owned());
    Policy::new(rules, strategies.into_iter().chain([workspace]).collect())
}

fn selector(provider: &str, connection: &str) -> Selector {
    Selector { provider: provider.to_owned(), connection: connection.to_owned(), ..Selector::default() }
}

fn identity(provider: &str, connection: &str) -> Identity {
    let key = IdentityKey { connection: connection.to_owned(), account_id: "1".to_owned() };
    Identity {
        provider: provider.to_owned(),
        key: Arc::new(key),
        is_social: true,
        token: None,
        in_vault: false,
    }
}

/// Tries to get the permit that `name` describes for Ada; if it is granted, returns whether it covers an
/// identity.
fn is_allowed(caller: &Caller, name: &str, provider: &str, connection: &str) -> bool {
    fn covers<A: Action>(caller: &Caller, provider: &str, connection: &str, action: A) -> bool {
        let permit = policy().authorize(caller, user(ADA), &selector(provider, connection), action);
        permit.is_ok_and(|permit| {
            connection.is_empty() || permit.grant().scope().covers(&identity(provider, connection))
        })
    }
    match name {
        "list" => covers(caller, provider, connection, ListIdentities),
        "get" => covers(caller, provider, connection, GetIdentityToken { refresh_token: false }),
        "refresh" => covers(caller, provider, connection, GetIdentityToken { refresh_token: true }),
        "call" => covers(caller, provider, connection, CallProvider),
        "inspect" => covers(caller, provider, connection, InspectIdentityToken),
        "revoke" => covers(caller, provider, connection, RevokeIdentityToken),
        _ => {
            let connection = ConnectionName::parse(connection.to_owned(), "connection").expect("a name");
            policy().authorize_link(caller, connection).is_ok()
        }
    }
}

const ACTIONS: [&str; 7] = ["list", "get", "refresh", "call", "inspect", "revoke", "link"];

const IDENTITIES: [(&str, &str); 7] = [
    ("google-oauth2", "google-oauth2"),
    ("github", "github"),
    ("google-apps", "acme-workspace"),
    ("google-apps", "other-workspace"),
    ("oauth2", "acme-workspace"),
    ("oauth2", "github"),
    ("linkedin", "linkedin"),
];

#[test]
fn only_what_a_rule_allows_is_allowed() {
    let ada = end_user(ADA);
    let callers = [
        ("anonymous", Caller::Anonymous, vec![]),
        ("calendar", service(CALENDAR), vec!["list google-oauth2", "call google-oauth2", "call github"]),
        ("another calendar", service("spiffe://acme/ns/a/b/sa/calendar"), vec![]),
        ("mailer", service("mailer"), vec!["get acme-workspace", "get linkedin"]),
        ("MAILER", service("MAILER"), vec![]),
        (
            "ops",
            service("ops/x/y"),
            vec![
                "inspect github",
                "revoke github",
                "link github",
                "inspect acme-workspace",
                "revoke acme-workspace",
                "link acme-workspace",
            ],
        ),
        ("end user", ada, vec!["list github", "call github", "link github"]),
        ("another end user", end_user("google-oauth2|2"), vec!["link github"]),
        ("a service with a user's name", service(ADA), vec![]),
        ("a service of no name", service(""), vec![]),
    ];
    for (who, caller, allowed) in callers {
        for action in ACTIONS {
            for (provider, connection) in IDENTITIES {
                // A link has only a connection.
                let is_own = action == "link"
                    || connection != "github" && connection != "acme-workspace"
                    || provider != "oauth2";
                let expected = is_own && allowed.contains(&&*format!("{action} {connection}"));
                let found = is_allowed(&caller, action, provider, connection);
                assert_eq!(found, expected, "{who}: {action} {provider}/{connection}");
            }
        }
    }
}

#[test]
fn two_stars_mean_every_identity() {
    for (provider, connection) in IDENTITIES {
        for action in ["get", "refresh"] {
            assert!(is_allowed(&service("vault"), action, provider, connection), "{provider}/{connection}");
        }
        assert!(!is_allowed(&service("vault"), "list", provider, connection));
    }
}

/// A selector's open parts are decided once the identity is known; what it rules out is denied at once.
#[test]
fn a_selector_that_can_mean_nothing_allowed_is_denied_at_once() {
    for (provider, connection, expected) in [
        ("google-apps", "", true),
        ("", "acme-workspace", true),
        ("", "", true),
        ("linkedin", "", true),
        // Perhaps of a connection called `linkedin`.
        ("oauth2", "", true),
        ("", "github", false),
        ("github", "github", false),
        ("google-apps", "other-workspace", false),
    ] {
        let selector = selector(provider, connection);
        let permit = policy().authorize(
            &service("mailer"),
            user(ADA),
            &selector,
            GetIdentityToken { refresh_token: false },
        );
        assert_eq!(permit.is_ok(), expected, "{provider}/{connection}");
    }
    let calendar =
        |provider| policy().authorize(&service(CALENDAR), user(ADA), &selector(provider, ""), CallProvider);
    assert!(
        calendar("google-oauth2").is_ok()
            && calendar("facebook").is_err()
            && calendar("google-apps").is_err()
    );
}

#[test]
fn an_end_user_acts_for_the_subject_alone_and_never_gets_a_raw_token() {
    let rules =
        [rule("end users", "ListIdentities GetIdentityToken refresh-token CallProvider", "**", &["**"])];
    let policy = Policy::new(rules, BTreeMap::new());
    let any = Selector::default();
    for (subject, allowed) in
        [(ADA, true), ("google-oauth2|2", false), ("google-oauth2|1 ", false), ("GOOGLE-oauth2|1", false)]
    {
        let caller = end_user(subject);
        assert_eq!(policy.authorize(&caller, user(ADA), &any, ListIdentities).is_ok(), allowed, "{subject}");
        assert_eq!(policy.authorize(&caller, user(ADA), &any, CallProvider).is_ok(), allowed, "{subject}");
        for refresh_token in [true, false] {
            assert!(policy.authorize(&caller, user(ADA), &any, GetIdentityToken { refresh_token }).is_err());
        }
    }
}

#[test]
fn without_rules_everybody_but_an_end_user_may_do_everything_save_get_refresh_tokens() {
    let policy = Policy::open();
    let any = Selector::default();
    for (caller, allowed) in [(Caller::Anonymous, true), (service("x"), true), (end_user(ADA), false)] {
        assert_eq!(policy.authorize(&caller, user(ADA), &any, CallProvider).is_ok(), allowed);
        let get =
            |refresh_token| policy.authorize(&caller, user(ADA), &any, GetIdentityToken { refresh_token });
        assert_eq!(get(false).is_ok(), allowed);
        assert!(get(true).is_err());
    }
    assert!(
        Policy::new([], BTreeMap::new()).authorize(&service("x"), user(ADA), &any, CallProvider).is_err()
    );
}

fn adapter(strategy: &str) -> Box<dyn Provider> {
    provider::build(strategy, Settings::default()).expect("an adapter")
}

fn checked(method: &str, path: &str, adapter: &dyn Provider) -> ApiRequest {
    let raw = RawRequest { method: method.to_owned(), path: path.to_owned(), ..RawRequest::default() };
    ApiRequest::check(raw, adapter).expect("a request that can be sent")
}

/// A rule allows alone: the provider of one and the request of another do not add up to a permission.
#[test]
fn a_request_passes_only_with_the_provider_of_its_own_rule() {
    let permit = policy().authorize(&service(CALENDAR), user(ADA), &Selector::default(), CallProvider);
    let permit = permit.expect("the service may call");
    for (strategy, method, path, expected) in [
        ("google-oauth2", "GET", "/calendar/v3/users/me", true),
        ("google-oauth2", "GET", "/calendar/v3/users/me?x=/../", true),
        ("google-oauth2", "", "/calendar/v3/", true),
        ("google-oauth2", "POST", "/calendar/v3/users/me", false),
        ("google-oauth2", "HEAD", "/calendar/v3/users/me", false),
        ("google-oauth2", "GET", "/calendar/v3", false),
        ("google-oauth2", "GET", "/user", false),
        ("google-oauth2", "GET", "/user?/calendar/v3/", false),
        ("github", "GET", "/user", true),
        ("github", "GET", "/user?page=2", true),
        ("github", "GET", "/user/", false),
        ("github", "GET", "/calendar/v3/users/me", false),
    ] {
        let adapter = adapter(strategy);
        let request = checked(method, path, &*adapter);
        let cleared = permit.clear(&identity(strategy, strategy), request, &*adapter);
        assert_eq!(cleared.is_ok(), expected, "{strategy} {method} {path}");
    }
    let google = adapter("google-oauth2");
    let request = checked("GET", "/calendar/v3/x", &*google);
    assert!(permit.clear(&identity("google-apps", "acme-workspace"), request, &*google).is_err());
}

#[test]
fn a_path_is_judged_as_it_is_sent() {
    let rules = [rule("x", "CallProvider", "facebook", &["GET graph.facebook.com/v25.0/me"])];
    let policy = Policy::new(rules, BTreeMap::new());
    let permit = policy.authorize(&service("x"), user(ADA), &selector("facebook", ""), CallProvider);
    let (permit, facebook) = (permit.expect("the service may call"), adapter("facebook"));
    for (path, expected) in [("/me", true), ("/v25.0/me", true), ("/v24.0/me", false), ("/me/feed", false)] {
        let cleared =
            permit.clear(&identity("facebook", "facebook"), checked("GET", path, &*facebook), &*facebook);
        assert_eq!(cleared.is_ok(), expected, "{path}");
    }
}

#[test]
fn a_refusal_names_neither_rule_nor_user_nor_provider() {
    let denied =
        policy().authorize(&service("mailer"), user(ADA), &selector("github", "github"), CallProvider);
    let text = denied.map(|_| ()).expect_err("denied").to_string();
    assert_eq!(text, "the policy does not allow this caller to have this request sent");
}

/// Explanation and decision agree in every combination.
#[test]
fn the_explanation_and_the_decision_agree() {
    let policy = policy();
    let callers = [
        Caller::Anonymous,
        service(CALENDAR),
        service("mailer"),
        service("vault"),
        end_user(ADA),
        end_user("x"),
    ];
    let paths = ["/user", "/calendar/v3/x", "/user/", "/calendar/v3"];
    let ada = user(ADA);
    for (caller, strategy, path) in callers
        .iter()
        .flat_map(|caller| ["google-oauth2", "github"].map(move |strategy| (caller, strategy)))
        .flat_map(|(caller, strategy)| paths.map(move |path| (caller, strategy, path)))
    {
        let adapter = adapter(strategy);
        let permit = policy.authorize(caller, user(ADA), &selector(strategy, strategy), CallProvider);
        let request = checked("GET", path, &*adapter);
        let host = request.host.clone();
        let decided =
            permit.and_then(|permit| permit.clear(&identity(strategy, strategy), request, &*adapter)).is_ok();
        let question = Question {
            user: Some(&ada),
            needs: CallProvider.needs(),
            provider: strategy,
            connection: strategy,
            target: Some(Target { method: "GET", host: &host, path }),
        };
        let explained = policy.explain(caller, &question).basis.is_allowed();
        assert_eq!(explained, decided, "{caller:?} {strategy} {path}");
    }
}

#[test]
fn an_explanation_names_the_rule_that_decides_and_what_others_lack() {
    let (policy, ada) = (policy(), user(ADA));
    let question = Question {
        user: Some(&ada),
        needs: CallProvider.needs(),
        provider: "github",
        connection: "github",
        target: Some(Target { method: "GET", host: "api.github.com", path: "/user" }),
    };
    let decision = policy.explain(&service(CALENDAR), &question);
    let Basis::Rule(deciding) = decision.basis else { panic!("{:?}", decision.basis) };
    assert_eq!(deciding, decision.rules[1].0);
    let lacks: Vec<_> = decision.rules.iter().map(|(_, judgement)| *judgement).collect();
    let others = Err(Mismatch::Caller);
    assert_eq!(lacks, [Err(Mismatch::Provider), Ok(()), others, others, others, others]);
    let post = Question {
        target: Some(Target { method: "POST", host: "api.github.com", path: "/user" }),
        ..question
    };
    let decision = policy.explain(&end_user(ADA), &post);
    assert!(matches!(decision.basis, Basis::Default));
    assert_eq!(decision.rules[5].1, Err(Mismatch::Request));
    assert!(matches!(policy.explain(&Caller::Anonymous, &post).basis, Basis::Principle(_)));
    assert!(matches!(policy.explain(&end_user("x"), &post).basis, Basis::Principle(_)));
}
