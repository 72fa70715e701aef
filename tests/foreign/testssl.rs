//! testssl.sh, as a reviewer of security points it at the real port.

use std::{collections::BTreeMap, env, fs};

use idp_token_testkit::{
    ANYWHERE,
    process::{self, Running},
};
use serde_json::Value;

use crate::{
    child::{command, run},
    openssl::Authority,
};

/// What it finds wrong, and why that is well.
const ALLOWED: [(&str, &str); 3] = [
    ("engine_problem", "about the OpenSSL on this machine, which knows no GOST"),
    (
        "cert_revocation",
        "about the certificate, an operator's own: short lives take the place of revocation in a mesh",
    ),
    (
        "sessionresumption_ticket",
        "WARN where the scanner's own client was too slow to tell; `it/tls` tells what is resumed",
    ),
];

/// What there must be, as far as all versions of testssl.sh call it the same.
const EXPECTED: [(&str, &str); 18] = [
    ("SSLv2", "not offered"),
    ("SSLv3", "not offered"),
    ("TLS1", "not offered"),
    ("TLS1_1", "not offered"),
    ("TLS1_2", "offered"),
    ("TLS1_3", "offered with final"),
    ("ALPN_HTTP2", "h2"),
    ("ALPN", "http/1.1"),
    ("cipherlist_NULL", "not offered"),
    ("cipherlist_aNULL", "not offered"),
    ("cipherlist_LOW", "not offered"),
    ("cipherlist_3DES_IDEA", "not offered"),
    ("cipher_order", "server"),
    ("secure_renego", "supported"),
    ("secure_client_renego", "likely not vulnerable"),
    ("CRIME_TLS", "not vulnerable"),
    ("heartbleed", "not vulnerable, no heartbeat extension"),
    ("ROBOT", "not vulnerable"),
];

#[tokio::test]
async fn testssl_finds_nothing_that_is_not_explained() {
    let findings = scan().await;
    let mut wrong = Vec::new();
    for (id, (severity, finding)) in &findings {
        let is_fine = ["OK", "INFO", "DEBUG"].contains(&severity.as_str());
        let is_allowed = ALLOWED.iter().any(|(allowed, _)| allowed == id);
        if !is_fine && !is_allowed {
            wrong.push(format!("{severity} {id}: {finding}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (id, expected) in EXPECTED {
        let (_, finding) = findings.get(id).unwrap_or_else(|| panic!("nothing about {id} in {findings:#?}"));
        assert!(finding.starts_with(expected), "{id}: {finding}");
    }
}

/// Everything but the headers of web pages, which this port has none of, and what needs the internet.
const CHECKS: [&str; 5] =
    ["--protocols", "--std", "--server-preference", "--server-defaults", "--vulnerable"];

/// Debian leaves the ending off its name.
fn program() -> &'static str {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_there = |name: &&str| env::split_paths(&path).any(|folder| folder.join(name).is_file());
    ["testssl", "testssl.sh"].into_iter().find(is_there).expect("scripts/test-tools installs testssl.sh")
}

/// Severity and text of each finding.
async fn scan() -> BTreeMap<String, (String, String)> {
    let authority = Authority::new().await;
    authority.server("server").await;
    let service = serve(&authority).await;
    let report = authority.path("report.json");
    let mut testssl = command(program());
    testssl.args(CHECKS).args(["--quiet", "--color", "0", "--warnings", "batch", "--nodns", "none"]);
    testssl
        .args(["--ip", "127.0.0.1", "--jsonfile"])
        .arg(&report)
        .arg("--add-ca")
        .arg(authority.path("ca.pem"));
    // It ends with the number of its findings.
    let ended = run(testssl.arg(format!("localhost:{}", service.grpc.port()))).await;
    let text = fs::read_to_string(&report).unwrap_or_else(|error| panic!("no report, {error}: {ended}"));
    let findings: Vec<Value> = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {ended}"));
    let word = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    findings.iter().map(|one| (word(one, "id"), (word(one, "severity"), word(one, "finding")))).collect()
}

/// The real program with a certificate that OpenSSL made; no tenant is needed to shake hands.
async fn serve(authority: &Authority) -> Running {
    let mut serve = process::command(&["serve"]);
    let nowhere = ANYWHERE.to_string();
    serve.envs([
        ("AUTH0_DOMAIN", "acme.eu.auth0.com"),
        ("AUTH0_BASE_URL", "http://127.0.0.1:1"),
        ("AUTH0_CLIENT_ID", "app"),
        ("AUTH0_CLIENT_SECRET", "secret"),
        ("IDP_TOKEN_LISTEN", &nowhere),
        ("IDP_TOKEN_ADMIN_LISTEN", &nowhere),
    ]);
    serve.env("IDP_TOKEN_TLS_CERTIFICATE_FILE", authority.path("server.pem"));
    serve.env("IDP_TOKEN_TLS_PRIVATE_KEY_FILE", authority.path("server.key"));
    Running::start(serve).await
}
