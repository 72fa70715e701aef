//! The admin endpoint: `/metrics`, `/healthz` and `/readyz`, on its own port.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};

use super::Metrics;

/// Tells why new calls cannot be taken now; `None` if they can.
pub type Probe = Box<dyn Fn() -> Option<&'static str> + Send + Sync>;

/// Whether this server should receive calls: not before the first Management token, and not while it drains.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Sets the readiness.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    /// Returns the readiness.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The admin endpoint's routes. `/healthz` succeeds while the process runs; `/readyz` while the server should
/// receive calls and every one of `probes` says that it can.
pub fn router(metrics: Arc<Metrics>, readiness: Readiness, probes: Vec<Probe>) -> Router {
    Router::new()
        .route("/metrics", get(metrics_page).with_state(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready).with_state((readiness, probes.into())))
}

async fn metrics_page(State(metrics): State<Arc<Metrics>>) -> impl IntoResponse {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([("content-type", OPEN_METRICS)], metrics.page())
}

/// Says every reason on a line of its own.
async fn ready(State((readiness, probes)): State<(Readiness, Arc<[Probe]>)>) -> impl IntoResponse {
    if !readiness.get() {
        return (StatusCode::SERVICE_UNAVAILABLE, "not ready\n".to_owned());
    }
    let reasons = probes.iter().filter_map(|probe| probe());
    let reasons: String = reasons.map(|reason| format!("not ready: {reason}\n")).collect();
    if reasons.is_empty() {
        return (StatusCode::OK, "ready\n".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, reasons)
}
