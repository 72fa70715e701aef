//! What is scarce is shared out by caller: who takes too much is told so before anybody else feels it.

use std::time::Duration;

use idp_token_sandbox::Fault;
use idp_token_service::service::pb::{
    CallProviderRequest, GetIdentityTokenRequest, ListIdentitiesRequest,
    idp_token_service_client::IdpTokenServiceClient,
};
use idp_token_testkit::{
    World, assert_error, channel, eventually, get,
    http::Build,
    issuer::Issuer,
    page,
    people::{ADA, ALAN, GRACE, github, google},
};
use serde_json::json;
use tokio::task::JoinSet;
use tonic::{Code, Request, Status, transport::Channel};
use tonic_types::StatusExt;

use crate::callers::{API, admit_end_users};

/// A service that tells callers apart, and calls in their names.
struct Shared {
    world: World,
    issuer: Issuer,
    /// One connection for all: what is shared is not shared by connection.
    channel: Channel,
}

impl Shared {
    async fn start() -> Self {
        let issuer = Issuer::start().await;
        let world = World::configured(|config| {
            issuer.trust(config);
            admit_end_users(config);
        })
        .await;
        let channel = channel(world.service.address);
        let shared = Self { world, issuer, channel };
        eventually("readiness", async || shared.lends("anybody").await.is_ok()).await;
        shared
    }

    /// A message from the service of this id.
    fn by<T>(&self, id: &str, message: T) -> Request<T> {
        let mut claims = self.issuer.claims();
        claims["sub"] = json!(id);
        signed(message, &self.issuer.sign(&claims))
    }

    fn client(&self) -> IdpTokenServiceClient<Channel> {
        // One connection takes 200 calls at once.
        IdpTokenServiceClient::new(channel(self.world.service.address))
    }

    async fn lends(&self, id: &str) -> Result<(), Status> {
        let message = GetIdentityTokenRequest { identity: Some(google(ADA)), ..Default::default() };
        IdpTokenServiceClient::new(self.channel.clone())
            .get_identity_token(self.by(id, message))
            .await
            .map(drop)
    }

    async fn lists(&self, id: &str, user: &str) -> Result<(), Status> {
        IdpTokenServiceClient::new(self.channel.clone())
            .list_identities(self.by(id, list(user)))
            .await
            .map(drop)
    }

    /// So many calls at once from one caller that no provider answers.
    fn hang(&self, id: &str, count: usize, call: &CallProviderRequest) -> JoinSet<Result<(), Status>> {
        let mut calls = JoinSet::new();
        for of_one_connection in (0..count).collect::<Vec<_>>().chunks(200) {
            let client = self.client();
            for _ in of_one_connection {
                let (mut client, mut call) = (client.clone(), self.by(id, call.clone()));
                call.set_timeout(Duration::from_secs(600));
                calls.spawn(async move { client.call_provider(call).await.map(drop) });
            }
        }
        calls
    }
}

fn signed<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

fn list(user: &str) -> ListIdentitiesRequest {
    ListIdentitiesRequest { user_id: user.to_owned(), ..Default::default() }
}

/// The first so many failures of these calls; all say when to come back.
async fn refusals(calls: &mut JoinSet<Result<(), Status>>, count: usize) {
    for _ in 0..count {
        let status = calls.join_next().await.unwrap().unwrap().unwrap_err();
        assert!(status.message().contains("this caller has all that one may have"), "{status:?}");
        assert!(status.get_error_details().retry_info().is_some());
        assert_error(Err::<(), _>(status), Code::Unavailable, "OVERLOADED");
    }
}

#[tokio::test]
async fn a_caller_with_a_thousand_hanging_calls_leaves_places_to_others() {
    let shared = Shared::start().await;
    for host in ["api.github.com", "www.googleapis.com"] {
        shared.world.sandbox.faults().script(Fault::on(host).always().hang());
    }
    shared.lends("other").await.unwrap();
    // Of 512 places at each provider one caller gets 384.
    let mut at_github = shared.hang("greedy", 512, &get("/user").by(github(ADA)));
    let mut at_google = shared.hang("greedy", 512, &get("/drive/v3/about").by(google(ADA)));
    refusals(&mut at_github, 128).await;
    refusals(&mut at_google, 128).await;
    // That is three quarters of the 1,024 that there are in all.
    assert_error(shared.lends("greedy").await, Code::Unavailable, "OVERLOADED");
    for other in ["other", "another"] {
        shared.lends(other).await.unwrap();
        shared.lists(other, ALAN).await.unwrap();
    }
    let metrics = page(shared.world.service.admin, "/metrics").await.1;
    assert!(metrics.contains(r#"idp_token_overloads_total{reason="caller"} 257"#), "{metrics}");
    assert_eq!((at_github.len(), at_google.len()), (384, 384));
    drop((at_github, at_google));
    eventually("places", async || shared.lends("greedy").await.is_ok()).await;
}

#[tokio::test]
async fn an_end_user_who_hangs_on_everything_keeps_neither_users_nor_services_out() {
    let shared = Shared::start().await;
    shared.world.sandbox.faults().script(Fault::on("api.github.com").always().hang());
    let token = shared.world.sandbox.end_user_token(ADA, API, &[]).unwrap();
    let mut calls = JoinSet::new();
    for _ in 0..3 {
        let client = shared.client();
        for _ in 0..200 {
            let (mut client, token) = (client.clone(), token.clone());
            let call = signed(get("/user").by(github("")), &token);
            calls.spawn(async move { client.call_provider(call).await.map(drop) });
        }
    }
    refusals(&mut calls, 600 - 384).await;
    let other = shared.world.sandbox.end_user_token(GRACE, API, &[]).unwrap();
    shared.client().list_identities(signed(list(""), &other)).await.unwrap();
    shared.lends("service").await.unwrap();
}

#[tokio::test]
async fn a_caller_with_hundreds_of_made_up_users_keeps_nobody_from_auth0() {
    let shared = Shared::start().await;
    let mut greedy = JoinSet::new();
    for number in 0..350 {
        let mut client = IdpTokenServiceClient::new(shared.channel.clone());
        let call = shared.by("greedy", list(&format!("auth0|made-up-{number}")));
        greedy.spawn(async move { client.list_identities(call).await.map(drop) });
    }
    // Those whose turn would come too late are told at once: some hundred and fifty.
    for _ in 0..100 {
        let outcome = greedy.join_next().await.unwrap().unwrap();
        if outcome.as_ref().is_err_and(|status| status.code() == Code::NotFound) {
            continue;
        }
        let status = assert_error(outcome, Code::ResourceExhausted, "AUTH0_RATE_LIMITED");
        assert!(status.retry_info().is_some());
    }
    // Cold ones, also one that the greedy caller has queued far behind, and one that is urgent.
    for user in [ADA, ALAN, GRACE] {
        shared.lists("other", user).await.unwrap();
    }
    let refused = shared.lists("other", "auth0|made-up-190").await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound, "{refused:?}");
    assert!(greedy.len() > 100, "{} of the greedy caller's reads wait still", greedy.len());
}

#[tokio::test]
async fn of_ten_callers_a_greedy_one_costs_the_other_nine_no_call() {
    let shared = Shared::start().await;
    shared.world.sandbox.faults().script(Fault::on("www.googleapis.com").always().hang());
    let mut greedy = shared.hang("greedy", 512, &get("/drive/v3/about").by(google(ADA)));
    refusals(&mut greedy, 128).await;
    let mut others = JoinSet::new();
    for number in 0..9 {
        let client = shared.client();
        for _ in 0..20 {
            let mut client = client.clone();
            let call = shared.by(&format!("other-{number}"), get("/user").by(github(ADA)));
            others.spawn(async move { client.call_provider(call).await.map(drop) });
        }
    }
    for outcome in others.join_all().await {
        outcome.unwrap();
    }
    assert_eq!(greedy.len(), 384, "the greedy caller still holds all that it may");
}
