//! `[[callers]]` and `[end_users]`.

use super::*;
use crate::{
    policy::{Permission, ProviderName, Who},
    rpc::Rpc,
};

const CALLER: &str = "[[callers]]\nid = 'spiffe://acme/ns/*/sa/calendar'\nallow = ['ListIdentities', 'CallProvider']\n\
    providers = ['google-oauth2']\nrequests = ['GET www.googleapis.com/calendar/v3/**']\n";

const END_USERS: &str = "[end_users]\naudience = 'https://idp-token.acme.example'\nallow = ['CallProvider']\n\
    providers = ['github']\nrequests = ['GET api.github.com/**']\n";

/// The problem of rules whose callers cannot authenticate.
const NO_PROOF: &str = "`callers` says who may do what, but no caller can prove who it is";

/// Returns the rules in `text`, appended to the minimal file, with problems and warnings.
fn read(text: &str) -> (Vec<Rule>, Vec<String>, Vec<String>) {
    let environment = Environment::from_iter([("IDP_TOKEN_TRUSTED_PEERS", "spiffe://acme/envoy")]);
    let text = format!("{LEAST}{text}");
    let (document, table) = Document::parse(Path::new("idp.toml"), &text).expect("TOML");
    let mut reader = Reader::new(document, &environment);
    let config = Config::read(&mut Section::root(&mut reader, table)).expect("the rest is right");
    let (problems, warnings) = match reader.finish() {
        Ok(warnings) => (Vec::new(), warnings),
        Err(error) => (error.problems, error.warnings),
    };
    let lines = |list: Vec<Problem>| list.iter().map(Problem::to_string).collect();
    (config.callers, lines(problems), lines(warnings))
}

#[test]
fn a_rule_is_read_with_its_place() {
    let (rules, problems, _) = read(&format!(
        "{CALLER}\n[[callers]]\nid = 'x'\nallow = ['GetIdentityToken', 'refresh-token']\nproviders = ['**']\n"
    ));
    assert_eq!(problems, [""; 0]);
    let [calendar, other] = &rules[..] else { panic!("{rules:#?}") };
    assert!(matches!(&calendar.who, Who::Services(id) if id.as_str() == "spiffe://acme/ns/*/sa/calendar"));
    assert_eq!(
        Vec::from_iter(&calendar.allow),
        [&Permission::Rpc(Rpc::ListIdentities), &Permission::Rpc(Rpc::CallProvider)]
    );
    assert_eq!(calendar.providers, [ProviderName::Strategy("google-oauth2".to_owned())]);
    assert_eq!(calendar.requests[0].to_string(), "GET www.googleapis.com/calendar/v3/**");
    assert_eq!((calendar.line, other.line), (Some(5), Some(11)));
    assert_eq!((&other.providers[..], other.requests.len()), (&[ProviderName::All][..], 0));
}

#[test]
fn a_name_is_a_strategy_a_connection_of_the_file_or_just_a_name() {
    let text = "[[callers]]\nid = 'x'\nallow = ['ListIdentities']\nproviders = ['github', 'acme-crm', 'linkedin']\n\
        [providers.acme-crm]\nstrategy = 'oauth2'\nhosts = ['api.acme.example']\n";
    let (rules, problems, _) = read(text);
    assert_eq!(problems, [""; 0]);
    let connection = ProviderName::Connection { name: "acme-crm".to_owned(), strategy: "oauth2".to_owned() };
    let (github, linkedin) =
        (ProviderName::Strategy("github".to_owned()), ProviderName::Name("linkedin".to_owned()));
    assert_eq!(rules[0].providers, [github, connection, linkedin]);
}

#[test]
fn end_users_have_a_table_of_their_own() {
    let config = config(&format!("{LEAST}{END_USERS}"), &[]);
    let users = config.end_users.expect("they are configured");
    assert_eq!(users.audience, "https://idp-token.acme.example");
    assert_eq!((&users.rule.who, users.rule.line), (&Who::EndUsers, Some(5)));
    let variable = [("IDP_TOKEN_END_USERS_AUDIENCE", "https://other.example")];
    let config = super::config(&format!("{LEAST}{END_USERS}"), &variable);
    assert_eq!(config.end_users.map(|users| users.audience).as_deref(), Some("https://other.example"));
    assert!(super::config(LEAST, &[]).end_users.is_none());
}

#[test]
fn rules_without_a_way_to_prove_who_calls_are_refused() {
    let found = problems(&format!("{LEAST}{CALLER}{CALLER}id2 = 1\n"), &[]);
    assert!(found[0].starts_with(&format!("idp.toml:5: {NO_PROOF}: set `tls.client_ca_file`")), "{found:#?}");
    assert_eq!(found.iter().filter(|problem| problem.contains(NO_PROOF)).count(), 1);
    for proof in ["trusted_peers = ['spiffe://acme/envoy']\n", "tls.client_ca_file = '/ca.pem'\n"] {
        let found = load(&format!("{proof}{LEAST}{CALLER}"), &[]).err().unwrap_or_default();
        assert!(!found.iter().any(|problem| problem.contains(NO_PROOF)), "{proof}: {found:#?}");
    }
    let variable = [("IDP_TOKEN_TLS_CLIENT_CA_FILE", "/ca.pem")];
    let found = load(&format!("{LEAST}{CALLER}"), &variable).err().unwrap_or_default();
    assert!(!found.iter().any(|problem| problem.contains(NO_PROOF)), "{found:#?}");
}

#[test]
fn a_list_of_nobody_lets_nobody_in_by_mistake() {
    let idle = problems(&format!("trusted_peers = []\n{LEAST}{CALLER}"), &[]);
    assert!(idle.len() == 1 && idle[0].contains(NO_PROOF), "{idle:#?}");
    for key in ["callers", "jwt_issuers"] {
        let found = problems(&format!("{key} = []\n{LEAST}"), &[]);
        let expected = format!("idp.toml:1: `{key}` must hold a table at least");
        assert!(found.len() == 1 && found[0].starts_with(&expected), "{found:#?}");
    }
}

/// Every wrong table of a caller, without its `id`, has its own error.
#[test]
fn a_wrong_rule_gets_its_remedy() {
    let rest = "providers = ['github']\nrequests = ['**']";
    for (wrong, expected) in [
        (
            format!("allow = ['CallProvidr']\n{rest}"),
            "idp.toml:7: `callers.allow` must hold no names but `ListIdentities`, `GetIdentityToken`, `CallProvider`, \
            `StreamProvider`, `InspectIdentityToken`, `RevokeIdentityToken`, `CreateConnectLink`, `refresh-token` (did \
            you mean `CallProvider`?)",
        ),
        (format!("allow = ['refresh_token', 'CallProvider']\n{rest}"), "did you mean `refresh-token`?"),
        (format!("allow = ['callprovider']\n{rest}"), "did you mean `CallProvider`?"),
        (format!("allow = ['**']\n{rest}"), "must hold no names but `ListIdentities`"),
        (format!("allow = 'CallProvider'\n{rest}"), "must be an array of names of RPCs"),
        (format!("allow = [1]\n{rest}"), "each written as a string in quotes, not as an integer"),
        (format!("allow = []\n{rest}"), "idp.toml:5: `callers` has no `allow`"),
        (rest.to_owned(), "`callers` has no `allow`: list RPCs"),
        ("allow = ['refresh-token']\nproviders = ['**']".to_owned(), "no effect without `GetIdentityToken`"),
        (
            "allow = ['ListIdentities']".to_owned(),
            "idp.toml:5: `callers` has no `providers`: list strategies",
        ),
        ("allow = ['ListIdentities']\nproviders = []".to_owned(), "write `[\"**\"]` for all"),
        ("allow = ['ListIdentities']\nproviders = ['*']".to_owned(), "`**` for all: no patterns"),
        ("allow = ['ListIdentities']\nproviders = ['git*']".to_owned(), "no patterns"),
        (
            "allow = ['ListIdentities']\nproviders = ['oauth2']".to_owned(),
            "unrelated providers share: name the connections",
        ),
        (
            "allow = ['CallProvider']\nproviders = ['**']".to_owned(),
            "`callers` allows calls and has no `requests`: list them",
        ),
        (
            "allow = ['StreamProvider']\nproviders = ['**']\nrequests = []".to_owned(),
            "allows calls and has no `requests`",
        ),
        (format!("allow = ['ListIdentities']\n{rest}"), "has `requests`, which have no effect without"),
        (
            "allow = ['CallProvider']\nproviders = ['github']\nrequests = [\n'**',\n'api.github.com/user']"
                .to_owned(),
            "idp.toml:11: `callers.requests` must be a method, a space, a host and a path, such as `GET ",
        ),
        (
            "allow = ['CallProvider']\nproviders = ['github']\nrequests = ['GET api.github.com/a/../b']"
                .to_owned(),
            "`callers.requests` has a path that no request can have",
        ),
        (
            format!("allow = ['CallProvider']\n{rest}\nrequest = 1"),
            "unknown key `callers.request`; did you mean `callers.requests`?",
        ),
    ] {
        let (_, problems, _) = read(&format!("[[callers]]\nid = 'x'\n{wrong}\n"));
        assert_eq!(problems.len(), 1, "{wrong}: {problems:#?}");
        assert!(problems[0].contains(expected), "{wrong}\nsays   {}\nwanted {expected}", problems[0]);
    }
}

#[test]
fn a_rule_says_whom_it_is_about() {
    let rest = "allow = ['ListIdentities']\nproviders = ['**']";
    let long = format!("id = '{}'", "x".repeat(513));
    for (wrong, expected) in [
        ("", "idp.toml:5: `callers` has no `id`: write whom the rule is about"),
        ("id = ''", "`callers.id` must be 1 to 512 bytes long"),
        ("id = 'spiffe://acme/x**'", "idp.toml:6: `callers.id` must have `**` alone between slashes"),
        ("id = \"a\\nb\"", "`callers.id` must be the id of a caller"),
        ("id = ['x']", "written as a string in quotes, not as an array"),
        (&*long, "must be 1 to 512 bytes long"),
    ] {
        let (_, problems, _) = read(&format!("[[callers]]\n{wrong}\n{rest}\n"));
        assert_eq!(problems.len(), 1, "{wrong}: {problems:#?}");
        assert!(problems[0].contains(expected), "{wrong}\nsays   {}\nwanted {expected}", problems[0]);
    }
    for wrong in ["callers = 'x'\n", "[callers]\nid = 'x'\n", "callers = [1]\n"] {
        let found = problems(&format!("{wrong}{LEAST}"), &[]);
        let expected = "idp.toml:1: `callers` must be tables: write `[[callers]]` and its keys below";
        assert!(found.iter().any(|problem| problem == expected), "{wrong} {found:#?}");
    }
}

#[test]
fn a_rule_that_stands_there_twice_is_refused_and_one_that_adds_something_is_not() {
    let (_, problems, _) = read(&format!("{CALLER}{CALLER}"));
    assert_eq!(
        problems,
        ["idp.toml:10: `callers` repeats the rule of line 5: remove one of the two, or change what differs"]
    );
    let (rules, problems, _) = read(&format!("{CALLER}{}", CALLER.replace("GET", "POST")));
    assert_eq!((rules.len(), problems.len()), (2, 0));
}

#[test]
fn end_users_are_refused_what_they_never_get() {
    let table = |line: &str, key: &str| {
        let lines = END_USERS.lines().filter(|line| !line.starts_with(key));
        format!("{LEAST}{}\n{line}\n", lines.collect::<Vec<_>>().join("\n"))
    };
    for (key, line, expected) in [
        ("allow", "allow = ['CallProvider', 'GetIdentityToken']", "end users never get a raw token"),
        ("allow", "allow = ['CallProvider', 'refresh-token']", "end users never get a raw token"),
        ("audience", "", "idp.toml:5: `end_users` has no `audience`"),
        ("audience", "audience = ''", "`end_users.audience` must be the identifier of an API"),
        ("allow", "", "`end_users` has no `allow`"),
        ("providers", "", "`end_users` has no `providers`"),
        ("requests", "", "`end_users` allows calls and has no `requests`"),
        ("-", "id = 'x'", "unknown key `end_users.id`"),
    ] {
        let found = problems(&table(line, key), &[]);
        assert_eq!(found.len(), 1, "{key} {line}: {found:#?}");
        assert!(found[0].contains(expected), "{key} {line}\nsays   {}\nwanted {expected}", found[0]);
    }
    let empty = problems(&format!("{LEAST}[end_users]\n"), &[]);
    assert_eq!(empty.len(), 3, "{empty:#?}");
    let variable = problems(LEAST, &[("IDP_TOKEN_END_USERS_AUDIENCE", "x")]);
    assert!(variable[0].contains("`end_users` has no `allow`"), "{variable:#?}");
}

#[test]
fn a_request_that_no_adapter_of_the_rule_sends_is_warned_of() {
    for (providers, request, expected) in [
        ("'github'", "GET api.github.com/user", None),
        ("'google-oauth2'", "GET gmail.googleapis.com/**", None),
        ("'google-oauth2'", "GET *.googleapis.com/**", None),
        ("'**'", "GET graph.microsoft.com/**", None),
        ("'facebook'", "GET graph.facebook.com/*/me", None),
        ("'facebook'", "GET graph.facebook.com/v25.0/me", None),
        ("'facebook'", "GET graph.facebook.com/**", None),
        ("'linkedin'", "GET api.linkedin.com/**", None),
        ("'github'", "**", None),
        ("'github'", "GET api.gihub.com/user", Some("whose host none of the rule's providers uses")),
        ("'google-oauth2'", "GET api.github.com/user", Some("whose host none of the rule's")),
        ("'google-oauth2'", "GET oauth2.googleapis.com/token", Some("whose host none of the rule's")),
        ("'facebook'", "GET graph.facebook.com/me", Some("whose path is sent as `/v25.0/me`")),
    ] {
        let (_, problems, warnings) = read(&format!(
            "[[callers]]\nid = 'x'\nallow = ['CallProvider']\nproviders = [{providers}]\nrequests = ['{request}']\n"
        ));
        assert_eq!(problems, [""; 0]);
        let warnings = Vec::from_iter(warnings.iter().filter(|warning| warning.contains("callers.requests")));
        assert_eq!(warnings.len(), usize::from(expected.is_some()), "{request}: {warnings:#?}");
        let is_told = |warning: &&String| {
            warning.starts_with("idp.toml:5: ") && warning.contains(expected.unwrap_or_default())
        };
        assert!(warnings.iter().all(is_told), "{request}: {warnings:#?}");
    }
}

#[test]
fn without_a_word_about_callers_everybody_may_do_everything_and_with_one_nobody_unnamed() {
    use crate::{
        caller::Caller,
        identity::{Selector, UserId},
        policy::ListIdentities,
    };
    let may_list = |text: &str, caller: &Caller| {
        let user = UserId::parse("auth0|ada".to_owned(), "user_id").expect("an id");
        config(text, &[]).policy().authorize(caller, user, &Selector::default(), ListIdentities).is_ok()
    };
    assert!(may_list(LEAST, &Caller::Anonymous));
    let service = Caller::Service { id: "calendar".to_owned() };
    let peers = format!("trusted_peers = ['10.0.0.1']\n{LEAST}");
    let issuer = "[[jwt_issuers]]\nissuer = 'a'\njwks_url = 'https://a.example/'\naudience = 'us'\n";
    for text in [&format!("{LEAST}{END_USERS}"), &peers, &format!("{LEAST}{issuer}")] {
        for caller in [&Caller::Anonymous, &service] {
            assert!(!may_list(text, caller), "{caller:?} {text}");
        }
    }
}
