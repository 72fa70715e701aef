use std::time::Duration;

use secrecy::SecretString;

use super::*;
use crate::provider::tests::NOW;

fn settings(method: Option<AuthMethod>) -> Settings {
    Settings {
        client_id: Some("app+1".to_owned()),
        client_secret: Some(Arc::new(Secret::fixed("s/e:c&r=t".to_owned()))),
        token_auth_method: method,
        ..Settings::default()
    }
}

fn sent(method: Option<AuthMethod>) -> (String, Option<HeaderValue>) {
    let client = Client::new(&settings(method), AuthMethod::Post, Signing::default()).expect("all is there");
    let url = Uri::from_static("https://login.acme.example/token");
    let form = Form::default().field("grant_type", "refresh_token");
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
    let request = client.post(&url, form, now).expect("nothing is wrong");
    assert_eq!((request.method(), request.uri()), (&Method::POST, &url));
    assert_eq!(request.headers()["content-type"], "application/x-www-form-urlencoded");
    (String::from_utf8_lossy(request.body()).into_owned(), request.headers().get("authorization").cloned())
}

#[test]
fn the_secret_stands_in_the_body_or_in_the_header_but_not_in_both() {
    let (body, header) = sent(None);
    assert_eq!(body, "grant_type=refresh_token&client_id=app%2B1&client_secret=s%2Fe%3Ac%26r%3Dt");
    assert_eq!(header, None);

    let (body, header) = sent(Some(AuthMethod::Basic));
    let header = header.expect("the secret must stand somewhere");
    assert_eq!(body, "grant_type=refresh_token");
    assert!(header.is_sensitive());
    let pair = BASE64_STANDARD.decode(&header.as_bytes()["Basic ".len()..]).expect("it is base64");
    assert_eq!(String::from_utf8_lossy(&pair), "app%2B1:s%2Fe%3Ac%26r%3Dt");
}

#[test]
fn what_is_missing_is_named() {
    let lack = |settings: &Settings| match Client::new(settings, AuthMethod::Post, Signing::default()) {
        Err(MissingCapability::NotConfigured { missing }) => missing,
        _ => Vec::new(),
    };
    assert_eq!(lack(&Settings::default()), ["client_id", "client_secret"]);
    assert_eq!(lack(&Settings { client_id: None, ..settings(None) }), ["client_id"]);
    assert_eq!(lack(&Settings { client_secret: None, ..settings(None) }), ["client_secret"]);
    assert_eq!(lack(&settings(Some(AuthMethod::PrivateKeyJwt))), ["private_key_file"]);
    assert!(lack(&settings(None)).is_empty());
}

#[test]
fn a_key_that_is_none_is_an_error_and_no_request() {
    let key = SecretString::from("-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n");
    let wrong = assertion::sign("app", &key, &Signing::default(), SystemTime::now()).expect_err("no key");
    assert_eq!(wrong.to_string(), "the private key is no RSA key in PEM form");
}

#[test]
fn methods_have_the_names_of_openid_connect() {
    let rows = [
        ("client_secret_post", Some(AuthMethod::Post)),
        ("client_secret_basic", Some(AuthMethod::Basic)),
        ("private_key_jwt", Some(AuthMethod::PrivateKeyJwt)),
        ("none", None),
    ];
    for (name, method) in rows {
        assert_eq!(AuthMethod::named(name), method);
    }
}
