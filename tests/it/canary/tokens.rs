//! The same for what callers prove themselves with: good tokens, refused ones, and those that stand where
//! they should not.

use idp_token_sandbox::{Fault, Sandbox, Seed};
use idp_token_service::service::pb::{
    ListIdentitiesRequest, idp_token_service_client::IdpTokenServiceClient,
};
use idp_token_testkit::{
    ANYWHERE, channel,
    issuer::now,
    keys,
    people::{ADA, DONALD},
    process::{Running, command, environment},
};
use serde_json::json;
use tonic::Request;

use super::search::{Find, Secrets};

const API: &str = "https://idp-token.acme.example";

#[tokio::test]
async fn no_token_of_a_caller_leaks() {
    let seed = Seed { signing_key: Some(keys::SIGNING_KEY.clone()), ..Seed::sample() };
    let sandbox = Sandbox::start(seed, ANYWHERE).await.unwrap();
    let mut serve = command(&["serve"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("idp.toml");
    let rule = "allow = ['ListIdentities']\nproviders = ['**']\n";
    std::fs::write(&file, format!("[end_users]\naudience = '{API}'\n{rule}")).unwrap();
    serve.envs(environment(&sandbox)).arg("--config").arg(&file);
    serve.env("IDP_TOKEN_TRUSTED_PEERS", "127.0.0.1").env("RUST_LOG", "trace").env("IDP_TOKEN_DRAIN", "1s");
    let service = Running::ready(serve).await;

    let claims = json!({ "iss": sandbox.issuer(), "sub": ADA, "aud": API, "exp": now() + 300 });
    let token = |name: &str, value: serde_json::Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        sandbox.sign(&claims)
    };
    let good = token("jti", json!("1"));
    let tokens = [
        good.clone(),
        token("exp", json!(1)),
        token("aud", json!("canary")),
        token("iss", json!("https://canary.example/")),
        token("sub", json!("canary@clients")),
        format!("{good}x"),
        good.replace('.', "="),
    ];
    let mut client = IdpTokenServiceClient::new(channel(service.grpc));
    let mut seen = Vec::new();
    let mut call = async |user: &str, header: &'static str, value: &str| {
        let mut request =
            Request::new(ListIdentitiesRequest { user_id: user.to_owned(), ..Default::default() });
        request.metadata_mut().insert(header, value.parse().unwrap());
        let outcome = client.list_identities(request).await;
        seen.push(format!("{outcome:?}"));
        outcome.is_ok()
    };
    assert!(call(ADA, "authorization", &format!("Bearer {good}")).await, "the service listens to tokens");
    for token in &tokens {
        call(DONALD, "authorization", &format!("Bearer {token}")).await;
        call(ADA, "authorization", token).await;
        call(ADA, "x-forwarded-client-cert", token).await;
    }
    sandbox.faults().script(Fault::on(sandbox.domain()).path("/.well-known/").always().answer(500));
    sandbox.rotate_signing_key().unwrap();
    let unknown = sandbox.sign(&claims);
    assert!(!call(ADA, "authorization", &format!("Bearer {unknown}")).await);

    let (_, metrics) = service.page("/metrics").await;
    service.signal("TERM").await;
    let (_, log) = service.ended().await;
    for part in ["UNAUTHENTICATED", "PERMISSION_DENIED", "has expired", "Cannot fetch an issuer's keys"] {
        assert!(log.contains(part), "{part}: {log}");
    }
    let mut secrets = Secrets::default();
    for token in tokens.iter().chain([&unknown]) {
        // The header and the beginning of the claims are the same in all of them, and no secret.
        let (_, signature) = token.rsplit_once('.').unwrap_or(("", token));
        secrets.add("a signature", signature);
        secrets.add("a token", token);
    }
    for text in seen.iter().chain([&log, &metrics]) {
        assert_eq!(secrets.find_in(text), Find::NOTHING);
    }
}
