//! Envoy sends calls only where its health checks say that they will be answered.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use idp_token_sandbox::Fault;
use idp_token_testkit::{channel, eventually, process::Running};
use tonic::{Code, Status};

use super::list;
use crate::stage::Stage;

#[tokio::test]
async fn a_service_that_auth0_does_not_let_work_yet_gets_no_calls() {
    let stage = Stage::new().await;
    let refusal = Fault::on(stage.sandbox.domain()).path("/oauth/token").answer(401).always();
    stage.sandbox.faults().script(refusal);
    let service = stage.serve("").await;
    let envoy = stage.plain_envoy(&[&service]).await;
    envoy.sees_well(0).await;
    let channel = channel(envoy.address);
    let refused = list(&channel, &[]).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::Unavailable, "no healthy upstream"));
    stage.sandbox.faults().clear();
    envoy.sees_well(1).await;
    assert_eq!(list(&channel, &[]).await.unwrap(), 3);
}

/// Calls until it is told to stop; gives what went wrong.
async fn load(address: SocketAddr, stop: Arc<AtomicBool>) -> Vec<Status> {
    let mut failures = Vec::new();
    let channel = channel(address);
    while !stop.load(Ordering::Relaxed) {
        failures.extend(list(&channel, &[]).await.err());
    }
    failures
}

/// Calls that it has answered well.
async fn answered(service: &Running) -> u64 {
    let (_, page) = service.page("/metrics").await;
    let line = r#"idp_token_rpcs_total{method="ListIdentities",code="OK"} "#;
    page.lines().find_map(|row| row.strip_prefix(line)).map_or(0, |number| number.parse().unwrap())
}

#[tokio::test]
async fn a_service_that_stops_under_load_costs_no_call() {
    let stage = Stage::new().await;
    // A fifth of the drain time is left to the health checks.
    let drain = [("IDP_TOKEN_DRAIN", "15s")];
    let (first, second) = (stage.serve_with("", &drain).await, stage.serve_with("", &drain).await);
    let envoy = stage.plain_envoy(&[&first, &second]).await;
    envoy.sees_well(2).await;
    let stop = Arc::<AtomicBool>::default();
    let callers: Vec<_> = (0..4).map(|_| tokio::spawn(load(envoy.address, Arc::clone(&stop)))).collect();
    eventually("calls at both", async || answered(&first).await > 0 && answered(&second).await > 0).await;

    first.signal("TERM").await;
    envoy.sees_well(1).await;
    let (status, log) = first.ended().await;
    assert_eq!(status.code(), Some(0), "{log}");
    let before = answered(&second).await;
    eventually("calls at the other", async || answered(&second).await > before + 10).await;
    stop.store(true, Ordering::Relaxed);
    let mut failures = Vec::new();
    for caller in callers {
        failures.extend(caller.await.unwrap());
    }
    assert!(failures.is_empty(), "{failures:?}");
    assert_eq!(envoy.count("upstream_rq_retry").await, 0, "and Envoy had nothing to mend");
}
