//! Who may call at all, and as whom.

pub(crate) mod certificates;
mod confusion;
mod end_users;
mod forged;
mod keys;

use idp_token_service::{
    config::{Config, EndUsers},
    policy::Who,
    service::pb::ListIdentitiesRequest,
};
use idp_token_testkit::{
    World, assert_error,
    issuer::{Issuer, now},
    people::ADA,
    rules::everything,
};
use serde_json::{Value, json};
use tonic::{Code::Unauthenticated, Request, Status};

/// The audience of end users' tokens.
pub(crate) const API: &str = "https://idp-token.acme.example";

/// Users of the tenant may do everything that can be allowed, and what cannot besides: that holds whatever
/// rules say.
pub(crate) fn admit_end_users(config: &mut Config) {
    config.end_users = Some(EndUsers { audience: API.to_owned(), rule: everything(Who::EndUsers) });
}

/// A service for programs of `issuer` and for users of the tenant.
async fn world_of(issuer: &Issuer) -> World {
    World::configured(|config| {
        issuer.trust(config);
        admit_end_users(config);
    })
    .await
}

/// A message with headers.
fn with<T>(message: T, headers: &[(&'static str, &str)]) -> Request<T> {
    let mut request = Request::new(message);
    for (name, value) in headers {
        request.metadata_mut().append(*name, value.parse().unwrap());
    }
    request
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// Lists Ada's identities with these headers: how many there are.
async fn list(world: &World, headers: &[(&'static str, &str)]) -> Result<usize, Status> {
    let request = ListIdentitiesRequest { user_id: ADA.to_owned(), ..Default::default() };
    let answer = world.service.client().list_identities(with(request, headers)).await?;
    Ok(answer.into_inner().identities.len())
}

pub(crate) async fn list_with(world: &World, token: &str) -> Result<usize, Status> {
    list(world, &[("authorization", &bearer(token))]).await
}

/// Asserts that the call was refused for `why`, and that nobody was asked about any user.
#[track_caller]
fn assert_refused(world: &World, outcome: Result<usize, Status>, why: &str) {
    let message = outcome.as_ref().err().map(|status| status.message().to_owned()).unwrap_or_default();
    assert_error(outcome, Unauthenticated, "CALLER_UNAUTHENTICATED");
    assert!(message.contains(why), "{message}\nwanted {why}");
    assert_eq!(world.sandbox.journal().profile_reads(), 0, "{why}");
}

/// The claims of a good token of the tenant for Ada.
fn user_claims(world: &World) -> Value {
    let now = now();
    json!({ "iss": world.sandbox.issuer(), "sub": ADA, "aud": [API, "https://x/userinfo"], "iat": now, "exp": now + 300 })
}

#[tokio::test]
async fn where_nothing_is_configured_everybody_may_call_whatever_they_show() {
    let world = World::start().await;
    for headers in [&[][..], &[("authorization", "Bearer junk")], &[("x-forwarded-client-cert", "junk")]] {
        assert_eq!(list(&world, headers).await.unwrap(), 3, "{headers:?}");
    }
}

#[tokio::test]
async fn a_program_and_a_user_call_with_tokens_of_their_own() {
    let issuer = Issuer::start().await;
    let world = world_of(&issuer).await;
    let user = world.sandbox.end_user_token(ADA, API, &[]).unwrap();
    for token in [&issuer.token(), &user, &user] {
        assert_eq!(list_with(&world, token).await.unwrap(), 3);
    }
    assert_eq!(list(&world, &[("authorization", &format!("bEARER {user}"))]).await.unwrap(), 3);
}

#[tokio::test]
async fn who_proves_nothing_is_refused() {
    let issuer = Issuer::start().await;
    let world = world_of(&issuer).await;
    assert_refused(&world, list(&world, &[]).await, "did not prove who it is");
    let good = bearer(&issuer.token());
    for headers in [
        &[("authorization", "Basic YTpi")][..],
        &[("authorization", "Bearer")],
        &[("authorization", &*good), ("authorization", &*good)],
        &[("authorization", &*format!("{good}, {good}"))],
    ] {
        assert_refused(&world, list(&world, headers).await, "must be one bearer token");
    }
    assert_eq!(issuer.fetches(), 0, "none of this takes a key");
}

#[tokio::test]
async fn a_verified_token_is_not_remembered_beyond_its_end() {
    let issuer = Issuer::start().await;
    let mut world = world_of(&issuer).await;
    let mut claims = issuer.claims();
    claims["exp"] = json!(now() + 30);
    let short = issuer.sign(&claims);
    assert_eq!(list_with(&world, &short).await.unwrap(), 3);
    // The wall clock stays, so a token that is looked at again is still good; with other keys it is not.
    issuer.rotate("second");
    assert_eq!(list_with(&world, &short).await.unwrap(), 3, "remembered");
    assert_eq!(list_with(&world, &issuer.token()).await.unwrap(), 3, "the new key is known now");
    world.pass(std::time::Duration::from_secs(31)).await;
    let outcome = list_with(&world, &short).await;
    assert_error(outcome, Unauthenticated, "CALLER_UNAUTHENTICATED");
}
