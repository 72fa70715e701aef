//! The admin endpoint: `/metrics`, `/healthz` and `/readyz`, on its own port.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};

use super::Metrics;
use crate::audit::Audit;

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
/// receive calls and `audit` can be written.
pub fn router(metrics: Arc<Metrics>, readiness: Readiness, audit: Audit) -> Router {
    Router::new()
        .route("/metrics", get(metrics_page).with_state(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready).with_state((readiness, audit)))
}

async fn metrics_page(State(metrics): State<Arc<Metrics>>) -> impl IntoResponse {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([("content-type", OPEN_METRICS)], metrics.page())
}

async fn ready(State((readiness, audit)): State<(Readiness, Audit)>) -> impl IntoResponse {
    match (readiness.get(), audit.is_writing()) {
        (true, true) => (StatusCode::OK, "ready\n"),
        (true, false) => (StatusCode::SERVICE_UNAVAILABLE, "not ready: the audit log cannot be written\n"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
    }
}
