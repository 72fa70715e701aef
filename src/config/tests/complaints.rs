//! The errors of wrong configurations.

use super::*;

/// Asserts the error of each wrong line, put before or after the minimal file.
fn assert_complaints(cases: &[(&str, &str)], place: impl Fn(&str) -> String) {
    for (wrong, expected) in cases {
        let problems = problems(&place(wrong), &[]);
        assert_eq!(problems.len(), 1, "{wrong}: {problems:#?}");
        assert!(problems[0].contains(expected), "{wrong}\nsays   {}\nwanted {expected}", problems[0]);
    }
}

#[test]
fn a_wrong_value_at_the_top_gets_its_remedy() {
    let cases = [
        (
            "listen = 'localhost:50051'",
            "idp.toml:1: `listen` must be an IP address and a port, such as `127.0.0.1:50051`",
        ),
        ("listen = ':50051'", "must be an IP address"),
        ("listen = '0.0.0.0:50051'", "`listen` is reachable from other machines"),
        ("listen = '[::]:50051'", "write `insecure = true`"),
        ("listen = '[::ffff:10.0.0.1]:50051'", "reachable from other machines"),
        ("admin_listen = '127.0.0.1:50051'", "`listen` and `admin_listen` must differ"),
        (
            "insecure = 'true'",
            "`insecure` must be `true` or `false`, written as a word without quotes, not as a string",
        ),
        ("default_deadline = 30", "must be a duration with its unit, such as `60s`"),
        ("default_deadline = '30'", "must be a duration with its unit, such as `60s`"),
        ("default_deadline = '999ms'", "`default_deadline` must be from 1s to 5m"),
        ("default_deadline = '5m1s'", "must be from 1s to 5m"),
        ("drain = '6m'", "`drain` must be from 0s to 5m"),
        ("drain = '-1s'", "must be a duration"),
        ("drain = ['1s']", "not as an array"),
        ("log_level = 'INFO'", "must be `error`, `warn`, `info`, `debug` or `trace`"),
        ("log_format = 'xml'", "must be `text` or `json`"),
        (
            "admin_listen = '[::1]'",
            "`admin_listen` must be an IP address and a port, such as `127.0.0.1:9464`",
        ),
        ("providers = 3", "`providers` must be a table: write `[providers]`"),
    ];
    assert_complaints(&cases, |wrong| format!("{wrong}\n{LEAST}"));
}

#[test]
fn a_wrong_value_of_the_tenant_gets_its_remedy() {
    let cases = [
        ("base_url = 'http://acme.eu.auth0.com'", "idp.toml:5: `auth0.base_url` must begin with `https://`"),
        ("base_url = 'http://10.0.0.1'", "`http://` is for loopback only"),
        ("base_url = 'https://user:canary-2f9d@acme.eu.auth0.com'", "without path, query and credentials"),
        ("base_url = 'https://acme.eu.auth0.com/tenant'", "without path"),
        ("base_url = 'https://acme.eu.auth0.com?a=b'", "without path, query"),
        ("base_url = 'https://acme.eu.auth0.com#a'", "without path, query"),
        ("base_url = 'acme.eu.auth0.com'", "must be a URL such as"),
        ("base_url = 'ftp://acme.eu.auth0.com'", "must be a URL such as"),
        ("audience = 'https://acme.eu.auth0.com/api/v2'", "with the slash at its end"),
        ("profile_ttl = '0s'", "`auth0.profile_ttl` must be from 1s to 10m"),
        ("requests_per_second = 0", "`auth0.requests_per_second` must be from 1 to 1000"),
        ("requests_per_second = 1001", "must be from 1 to 1000"),
        ("requests_per_second = '10'", "written as a number without quotes, not as a string"),
        ("requests_per_second = -1", "must be a whole number"),
        ("requests_per_second = 1.5", "not as a float"),
        (
            "client_secret_file = 'x'",
            "`auth0.client_secret_file` contradicts `auth0.client_secret`; keep one of them",
        ),
    ];
    assert_complaints(&cases, |wrong| format!("{LEAST}{wrong}\n"));
}

#[test]
fn a_domain_is_a_bare_host_name() {
    for domain in [
        "https://acme.eu.auth0.com",
        "acme.eu.auth0.com/",
        "acme",
        "Acme.eu.auth0.com",
        "a.com:443",
        "",
        "a b.c",
        "-a.com",
    ] {
        let problems = problems(
            LEAST,
            &[("AUTH0_DOMAIN", domain)].map(|(n, v)| (n, if v.is_empty() { " " } else { v })),
        );
        let expected = "`AUTH0_DOMAIN` must be a bare host name in lower case, such as `acme.eu.auth0.com`, without \
            `https://`, port, path and slash";
        assert_eq!(problems, [expected], "{domain}");
    }
}

#[test]
fn a_wrong_provider_gets_its_remedy() {
    let cases = [
        (
            "[providers.gihub]",
            "idp.toml:5: `providers.gihub` is none of `google-oauth2`, `google-apps`, `github`, `facebook`, ",
        ),
        (
            "[providers.gihub]",
            "` (did you mean `github`?); for a connection of another name, add its `strategy`",
        ),
        ("[providers.acme]\nstrategy = 'gitlab'", "`providers.acme.strategy` must be `google-oauth2`"),
        (
            "[providers.github]\nstrategy = 'facebook'",
            "`providers.github.strategy` contradicts the name of its table",
        ),
        (
            "[providers.google-oauth2]\napi_version = 'v3'",
            "`providers.google-oauth2.api_version` must be left out",
        ),
        ("[providers.github]\napi_version = 'v3'", "must be a date such as `2022-11-28`"),
        ("[providers.github]\napi_version = '2022-13-28'", "must be a date"),
        ("[providers.facebook]\napi_version = '25.0'", "must be a version such as `v25.0`"),
        ("[providers.facebook]\napi_version = 25.0", "written as a string in quotes, not as a float"),
        ("[providers.'a b']\nstrategy = 'github'", "unknown key `providers.\"a b\"`"),
        ("[providers]\nclient_secret = 'canary-2f9d'", "`providers.client_secret` must be a table"),
        (
            "[providers.github]\nhosts = { 'API.github.com' = 'https://a.example' }",
            "must be a host name in lower case",
        ),
        (
            "[providers.github]\nhosts = { 'a.*.com' = 'https://a.example' }",
            "must be a host name in lower case",
        ),
        (
            "[providers.github.hosts]\n'api.github.com' = 'http://a.example'",
            "idp.toml:6: `providers.github.hosts.\"api.github.com\"` must begin with `https://`",
        ),
        ("[providers.github]\nhosts = ['api.github.com']", "`providers.github.hosts` must be a table"),
        (
            "[providers.oauth2]\nhosts = ['api.acme.example']",
            "idp.toml:5: `providers.oauth2` is a strategy that unrelated providers share: call the table after the \
            connection, as `[providers.CONNECTION]`, and write `strategy = \"oauth2\"` there",
        ),
        (
            "[providers.acme]\nstrategy = 'oauth2'",
            "idp.toml:5: `providers.acme` has no `hosts`: list the hosts of the provider's API, the default first, \
            such as `hosts = [\"api.acme.example\"]`",
        ),
        ("[providers.acme]\nstrategy = 'oidc'\nhosts = []", "`providers.acme` has no `hosts`"),
        ("[providers.sharepoint]", "`providers.sharepoint` has no `hosts`"),
        ("[providers.acme]\nstrategy = 'oidc'\nhosts = ['*.acme.example']", "has a `*.` for every host"),
        (
            "[providers.acme]\nstrategy = 'oidc'\nhosts = ['https://api.acme.example']",
            "idp.toml:7: `providers.acme.hosts` must be a host name in lower case",
        ),
        (
            "[providers.acme]\nstrategy = 'oidc'\nhosts = ['a.example', 5]",
            "must hold a host name in lower case, or `*.` and one, such as `www.googleapis.com`, each written as a \
            string in quotes, not as an integer",
        ),
        ("[providers.waad]\nhosts = 'a.example'", "`providers.waad.hosts` must be a table"),
        ("[providers.facebook]\nclient_secret = ''", "`providers.facebook.client_secret` is empty"),
        ("[providers.facebook]\nclient_secret_file = '/nowhere'", "names a file that cannot be read"),
    ];
    assert_complaints(&cases, |wrong| format!("{LEAST}{wrong}\n"));
}

#[test]
fn an_unknown_key_is_refused_and_the_near_one_named() {
    let cases = [
        (
            "[auth0]\nclient_secrt = 1",
            "idp.toml:2: unknown key `auth0.client_secrt`; did you mean `auth0.client_secret`?",
        ),
        ("lisen = 1", "unknown key `lisen`; did you mean `listen`?"),
        ("deadline = 1", "did you mean `default_deadline`?"),
        ("domain = 1", "unknown key `domain`; did you mean `auth0.domain`?"),
        ("[auth]\ndomain = 1", "unknown key `auth`; did you mean `auth0`?"),
        ("[auth0]\nprivate_key = 1", "did you mean `auth0.private_key_file`?"),
        ("[providers.github]\nhost = 1", "did you mean `providers.github.hosts`?"),
        ("[[caller]]\nid = 1", "unknown key `caller`; did you mean `callers`?"),
        ("xyzzy = 1", "idp.toml:1: unknown key `xyzzy`; remove it"),
    ];
    let three =
        [("AUTH0_DOMAIN", "a.auth0.com"), ("AUTH0_CLIENT_ID", "app"), ("AUTH0_CLIENT_SECRET", CANARY)];
    for (wrong, expected) in cases {
        let problems = problems(wrong, &three);
        assert_eq!(problems.len(), 1, "{wrong}: {problems:#?}");
        assert!(problems[0].ends_with(expected), "{wrong}\nsays   {}\nwanted {expected}", problems[0]);
    }
}

#[test]
fn nothing_at_all_names_what_is_missing() {
    let problems = Config::load(None, &Environment::default()).expect_err("nothing is not enough").problems;
    let texts: Vec<_> = problems.iter().map(Problem::text).collect();
    assert_eq!(texts.len(), 3, "{texts:#?}");
    assert!(texts[0].starts_with("`auth0.domain` is missing: write `domain = \"acme.eu.auth0.com\"`"));
    assert!(texts[1].contains("or set `AUTH0_CLIENT_ID`"));
    assert!(texts[2].contains("`AUTH0_CLIENT_SECRET`"));
}

#[test]
fn a_misspelt_variable_is_told_of_beside_what_it_leaves_missing() {
    let variables = [("AUTH0_DOMAIN", "acme.eu.auth0.com"), ("AUTH0_CLIENTID", "app")];
    let error = Config::load(None, &variables.into_iter().collect()).expect_err("two are missing");
    assert_eq!(error.problems.len(), 2, "{error}");
    let warnings: Vec<_> = error.warnings.iter().map(Problem::text).collect();
    assert_eq!(warnings, ["the variable `AUTH0_CLIENTID` is unknown; did you mean `AUTH0_CLIENT_ID`?"]);
}

#[test]
fn a_version_for_an_api_that_has_none_is_to_be_left_out() {
    let file = problems(&format!("{LEAST}[providers.google-apps]\napi_version = 'v3'\n"), &[]);
    let variable = problems(LEAST, &[("IDP_TOKEN_PROVIDERS_GOOGLE_APPS_API_VERSION", "v3")]);
    for problem in [&file[0], &variable[0]] {
        assert!(
            problem.contains("api_version` must be left out")
                || problem.contains("VERSION` must be left out")
        );
    }
}

#[test]
fn a_secret_file_without_content_is_called_empty() {
    let folder = folder();
    let empty = file(&folder, "secret", " \n", 0o600);
    let problems = problems(LEAST, &[("AUTH0_CLIENT_SECRET_FILE", &empty.to_string_lossy())]);
    let expected = "`AUTH0_CLIENT_SECRET_FILE` names an empty file; write the path of a file that holds the secret alone";
    assert_eq!(problems, [expected]);
}

#[test]
fn every_mistake_is_reported_at_once_those_of_the_environment_first() {
    let file = "drain = 15\nlog_levle = 'info'\n[auth0]\ndomain = 'https://acme'\nrequests_per_second = 0\n[web]\nallowed_origins = ['*']\n";
    let problems = problems(file, &[("IDP_TOKEN_LISTEN", "here"), ("AUTH0_CLIENT_ID", "a b")]);
    let starts = [
        "`IDP_TOKEN_LISTEN` must",
        "`AUTH0_CLIENT_ID` must",
        "`auth0.client_secret_file` is missing",
        "idp.toml:1: `drain`",
        "idp.toml:2: unknown key `log_levle`",
        "idp.toml:4: `auth0.domain`",
        "idp.toml:5: `auth0.requests_per_second`",
        "idp.toml:7: `web.allowed_origins` must name each origin",
    ];
    assert_eq!(problems.len(), starts.len(), "{problems:#?}");
    assert!(problems.iter().zip(starts).all(|(problem, start)| problem.starts_with(start)), "{problems:#?}");
}

#[test]
fn two_connections_never_share_a_variable() {
    let file = format!("{LEAST}[providers.a-b]\nstrategy = 'github'\n[providers.a_b]\nstrategy = 'github'\n");
    assert!(load(&file, &[]).is_ok());
    let problems = problems(&file, &[("IDP_TOKEN_PROVIDERS_A_B_API_VERSION", "2022-11-28")]);
    assert!(
        problems[0].contains("could mean `providers.a-b.api_version` or `providers.a_b.api_version`"),
        "{problems:?}"
    );
}

#[test]
fn a_file_that_is_not_toml_is_placed_but_not_quoted() {
    let broken = [
        "[auth0]\nclient_secret = canary-2f9d\n",
        "[auth0]\nclient_secret = \"canary-2f9d\n",
        "[auth0]\nclient_secret = 'canary-2f9d' canary-2f9d\n",
        "[auth0]\nclient_secret = \"\\canary-2f9d\"\n",
        "[auth0]\nclient_secret canary-2f9d\n",
        "[auth0]\nclient_secret = 'a'\nclient_secret = 'canary-2f9d'\n",
        "[auth0]\nclient_secret = 'a'\nclient_secret.canary-2f9d = 1\n",
        "[auth0]\nclient_secret = 0xcanary-2f9d\n",
    ];
    for text in broken {
        let problems = problems(text, &[]);
        assert!(
            problems[0].starts_with("idp.toml:2:") || problems[0].starts_with("idp.toml:3:"),
            "{problems:?}"
        );
        assert!(
            problems
                .iter()
                .all(|problem| problem.contains("this is not TOML: ") && !problem.contains(CANARY)),
            "{problems:?}"
        );
    }
}

#[test]
fn two_broken_lines_are_two_problems() {
    let problems = problems("listen = here\ndrain = \"15s\"\ninsecure = yes\n", &[]);
    let lines: Vec<_> = problems.iter().filter_map(|problem| problem.split(':').nth(1)).collect();
    assert_eq!(lines, ["1", "3"], "{problems:#?}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let nowhere = Path::new("/nowhere/idp.toml");
    let problems = Config::load(Some(nowhere), &Environment::default()).expect_err("no file").problems;
    assert!(
        problems[0].to_string().starts_with("/nowhere/idp.toml: the configuration file cannot be read: ")
    );
}

#[test]
fn a_variable_that_is_not_utf_8_is_refused() {
    use std::os::unix::ffi::OsStringExt;
    let variables = [("AUTH0_DOMAIN", std::ffi::OsString::from_vec(vec![0xff]))];
    let error = Config::load(None, &variables.into_iter().collect()).expect_err("the domain is unreadable");
    assert_eq!(error.problems[0].text(), "`AUTH0_DOMAIN` must be UTF-8");
}

#[test]
fn a_refused_variable_does_not_make_the_keys_of_the_file_unknown() {
    use std::os::unix::ffi::OsStringExt;
    let folder = folder();
    let path = file(&folder, "idp.toml", LEAST, 0o600);
    let unreadable = std::ffi::OsString::from_vec(vec![0xff]);
    let variables = ["AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET"].map(|name| (name, unreadable.clone()));
    let error = Config::load(Some(&path), &variables.into_iter().collect()).expect_err("both are unreadable");
    let texts: Vec<_> = error.problems.iter().map(Problem::text).collect();
    assert_eq!(texts, ["`AUTH0_CLIENT_ID` must be UTF-8", "`AUTH0_CLIENT_SECRET` must be UTF-8"]);
}
