//! The counters behind `/metrics`. No label ever holds a user, a token or a path.

use std::{
    sync::OnceLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use tonic::Code;

use crate::{rpc::Rpc, shares::Overload};

mod labels;

pub use labels::{ConnectionRefusal, Endpoint, HttpRejection, ProfileSource};

/// In seconds: from a cached answer (tens of microseconds) to the default deadline.
const BUCKETS: [f64; 11] = [0.000_1, 0.000_5, 0.001, 0.005, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0];

/// All metrics of one server. There is no global registry, so that several servers fit into one process.
pub struct Metrics {
    registry: Registry,
    /// Those of [`Rpc::ALL`], then those of all other calls.
    rpcs: Vec<RpcMetrics>,
    rpcs_by_code: Family<CodeLabels, Counter>,
    auth0_requests: Family<Auth0Labels, Counter>,
    auth0_remaining: Gauge,
    management_token_expiry: Gauge,
    profiles: Family<ProfileLabels, Counter>,
    provider_requests: Family<ProviderLabels, Counter>,
    renewals: Family<ProviderLabels, Counter>,
    inspections: Family<ProviderLabels, Counter>,
    revocations: Family<ProviderLabels, Counter>,
    connections_refused: Family<RefusalLabels, Counter>,
    slow_peers: Counter,
    overloads: Family<RefusalLabels, Counter>,
    requests_refused: Family<RefusalLabels, Counter>,
    tls_certificate_expiry: Gauge,
    audit_records: Counter,
    audit_write_failures: Counter,
    audit_calls_left_out: Counter,
}

/// One RPC's metrics, looked up once: recording costs an array index.
struct RpcMetrics {
    method: &'static str,
    /// Created when a code first occurs, so that the page has no empty series.
    by_code: [OnceLock<Counter>; Self::CODES],
    duration: Histogram,
}

impl RpcMetrics {
    /// gRPC's status codes are 0 to 16.
    const CODES: usize = 17;
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RpcLabels {
    method: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CodeLabels {
    method: &'static str,
    code: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Auth0Labels {
    endpoint: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ProfileLabels {
    source: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ProviderLabels {
    provider: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RefusalLabels {
    reason: &'static str,
}

impl Default for Metrics {
    /// Registers all metrics.
    fn default() -> Self {
        let mut registry = Registry::with_prefix("idp_token");
        let by_code = Family::<CodeLabels, Counter>::default();
        let duration = Family::<RpcLabels, Histogram>::new_with_constructor(|| Histogram::new(BUCKETS));
        registry.register("rpcs", "Calls answered, by RPC and gRPC status code", by_code.clone());
        registry.register_with_unit("rpc_duration", "Time to answer a call", Unit::Seconds, duration.clone());
        let methods = Rpc::ALL.into_iter().map(Some).chain([None]).map(Rpc::label);
        let rpcs = methods.map(|method| RpcMetrics {
            method,
            by_code: std::array::from_fn(|_| OnceLock::new()),
            duration: duration.get_or_create(&RpcLabels { method }).clone(),
        });
        let rpcs = rpcs.collect();

        let auth0_requests = Family::default();
        registry.register(
            "auth0_requests",
            "Requests sent to Auth0, by endpoint and outcome",
            Family::clone(&auth0_requests),
        );
        let auth0_remaining = Gauge::default();
        registry.register(
            "auth0_requests_remaining",
            "Requests left in Auth0's current window, as of its last answer",
            auth0_remaining.clone(),
        );
        let management_token_expiry = Gauge::default();
        registry.register_with_unit(
            "management_token_expiry_timestamp",
            "When the Management token ends, as Unix time; 0 before the first",
            Unit::Seconds,
            management_token_expiry.clone(),
        );
        let profiles = Family::default();
        registry.register("profiles", "Profiles used, by where they came from", Family::clone(&profiles));
        let provider_requests = Family::default();
        registry.register(
            "provider_requests",
            "Requests sent to providers, by provider and outcome",
            Family::clone(&provider_requests),
        );
        let renewals = Family::default();
        registry.register(
            "renewals",
            "Requests for new tokens sent to providers, by provider and outcome",
            Family::clone(&renewals),
        );
        let inspections = Family::default();
        registry.register(
            "inspections",
            "Questions to providers whether a token is alive, by provider and outcome",
            Family::clone(&inspections),
        );
        let revocations = Family::default();
        registry.register(
            "revocations",
            "Tokens that providers were asked to revoke, by provider and outcome",
            Family::clone(&revocations),
        );
        let connections_refused = Family::default();
        registry.register(
            "connections_refused",
            "Connections closed to keep places for others, by reason",
            Family::clone(&connections_refused),
        );
        let overloads = Family::default();
        registry.register(
            "overloads",
            "Calls refused because too much was asked for at once, by whose share was used up",
            Family::clone(&overloads),
        );
        let requests_refused = Family::default();
        registry.register(
            "requests_refused",
            "HTTP requests that are no calls, by reason",
            Family::clone(&requests_refused),
        );
        let tls_certificate_expiry = Gauge::default();
        registry.register_with_unit(
            "tls_certificate_expiry_timestamp",
            "When the certificate of the gRPC port ends, as Unix time; 0 without TLS",
            Unit::Seconds,
            tls_certificate_expiry.clone(),
        );
        let mut counter = |name, help| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let slow_peers = counter("slow_peers", "Answers thrown away because their callers did not take them");
        let audit_records = counter("audit_records", "Audit records written");
        let audit_write_failures = counter(
            "audit_write_failures",
            "Attempts to write audit records that failed, and are made again",
        );
        let audit_calls_left_out = counter(
            "audit_calls_left_out",
            "Calls that could not be put on record; none of them was worked on",
        );
        Self {
            registry,
            rpcs,
            rpcs_by_code: by_code,
            auth0_requests,
            auth0_remaining,
            management_token_expiry,
            profiles,
            provider_requests,
            renewals,
            inspections,
            revocations,
            connections_refused,
            slow_peers,
            overloads,
            requests_refused,
            tls_certificate_expiry,
            audit_records,
            audit_write_failures,
            audit_calls_left_out,
        }
    }
}

impl Metrics {
    /// The page for Prometheus, in the OpenMetrics text format.
    pub fn page(&self) -> String {
        let mut page = String::new();
        // Writing to a String does not fail; a truncated page would lack its `# EOF` and be refused.
        let _ = prometheus_client::encoding::text::encode(&mut page, &self.registry);
        page
    }

    /// Counts an answered call; `None` stands for a call to another service.
    pub fn rpc_done(&self, rpc: Option<Rpc>, code: Code, took: Duration) {
        let rpc = &self.rpcs[rpc.map_or(Rpc::ALL.len(), |rpc| rpc as usize)];
        let counter = rpc.by_code[code as usize].get_or_init(|| {
            let labels = CodeLabels { method: rpc.method, code: code_name(code) };
            self.rpcs_by_code.get_or_create(&labels).clone()
        });
        counter.inc();
        rpc.duration.observe(took.as_secs_f64());
    }

    /// Counts a request to Auth0.
    pub fn auth0_request(&self, endpoint: Endpoint, outcome: &'static str) {
        self.auth0_requests.get_or_create(&Auth0Labels { endpoint: endpoint.name(), outcome }).inc();
    }

    /// Records how many requests Auth0 reports as left.
    pub fn auth0_remaining(&self, remaining: i64) {
        self.auth0_remaining.set(remaining);
    }

    /// Records a new Management token.
    pub fn management_token(&self, expiry_unix_seconds: i64) {
        self.management_token_expiry.set(expiry_unix_seconds);
    }

    /// Counts the use of a profile.
    pub fn profile(&self, source: ProfileSource) {
        self.profiles.get_or_create(&ProfileLabels { source: source.name() }).inc();
    }

    /// Counts a connection that was closed before its first call.
    pub fn connection_refused(&self, reason: ConnectionRefusal) {
        self.connections_refused.get_or_create(&RefusalLabels { reason: reason.name() }).inc();
    }

    /// Counts an answer that was not taken in time.
    pub fn slow_peer(&self) {
        self.slow_peers.inc();
    }

    /// Counts a call that was refused because of `overload`.
    pub fn overload(&self, overload: Overload) {
        let reason = match overload {
            Overload::OverShare => "caller",
            Overload::Exhausted => "server",
        };
        self.overloads.get_or_create(&RefusalLabels { reason }).inc();
    }

    /// Counts a request that is not a call.
    pub fn request_refused(&self, reason: HttpRejection) {
        self.requests_refused.get_or_create(&RefusalLabels { reason: reason.name() }).inc();
    }

    /// Records when the gRPC port's certificate expires.
    pub fn tls_certificate(&self, expires_at: SystemTime) {
        let since = expires_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.tls_certificate_expiry.set(since.as_secs().try_into().unwrap_or(i64::MAX));
    }

    /// Counts written audit records.
    pub fn audit_records_written(&self, count: usize) {
        self.audit_records.inc_by(count.try_into().unwrap_or(u64::MAX));
    }

    /// Counts a failed attempt to write audit records.
    pub fn audit_write_failed(&self) {
        self.audit_write_failures.inc();
    }

    /// Counts a call that was refused because it could not be recorded.
    pub fn audit_call_left_out(&self) {
        self.audit_calls_left_out.inc();
    }

    /// Counts a request to a provider's API.
    pub fn provider_request(&self, provider: &str, outcome: &'static str) {
        let labels = ProviderLabels { provider: provider.to_owned(), outcome };
        self.provider_requests.get_or_create(&labels).inc();
    }

    /// Counts a renewal.
    pub fn renewal(&self, provider: &str, outcome: &'static str) {
        self.renewals.get_or_create(&ProviderLabels { provider: provider.to_owned(), outcome }).inc();
    }

    /// Counts an inspection.
    pub fn inspection(&self, provider: &str, outcome: &'static str) {
        self.inspections.get_or_create(&ProviderLabels { provider: provider.to_owned(), outcome }).inc();
    }

    /// Counts a revocation.
    pub fn revocation(&self, provider: &str, outcome: &'static str) {
        self.revocations.get_or_create(&ProviderLabels { provider: provider.to_owned(), outcome }).inc();
    }
}

/// The name of a status code in gRPC's documentation.
pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
