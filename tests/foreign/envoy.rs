//! Envoy as a process of its own, set up as `docs/mesh.md` advises.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
};

use idp_token_testkit::{ANYWHERE, authority::Certified, eventually, page};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Child;

use crate::tools::python_tool;

/// What its connections are made of: plain text on each side where nothing is said.
#[derive(Default)]
pub(crate) struct Wires<'a> {
    /// What it proves itself with to its clients, who must show a certificate too.
    pub(crate) front: Option<&'a Proof>,
    /// What it proves itself with to the service.
    pub(crate) back: Option<&'a Proof>,
    /// What it does with its clients' own words: `forward_client_cert_details`; `SANITIZE` where nothing is
    /// said.
    pub(crate) forwarding: Option<&'a str>,
}

/// A certificate, and whose certificates are believed.
pub(crate) struct Proof {
    pub(crate) own: Certified,
    pub(crate) authority: PathBuf,
}

/// See the module's documentation. Dropping it ends it.
pub(crate) struct Envoy {
    /// Where it takes calls.
    pub(crate) address: SocketAddr,
    admin: SocketAddr,
    _process: Child,
    _folder: TempDir,
}

impl Envoy {
    /// Starts it in front of `services`, and waits until it takes calls.
    pub(crate) async fn start(services: &[SocketAddr], wires: &Wires<'_>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("envoy.json");
        fs::write(&config, configuration(services, wires, folder.path()).to_string()).unwrap();
        let told = folder.path().join("admin");
        let mut command = python_tool("envoy");
        command.arg("-c").arg(&config).arg("--admin-address-path").arg(&told);
        command.args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "error"]);
        let process = command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
        let read = || fs::read_to_string(&told).ok()?.parse::<SocketAddr>().ok();
        eventually("Envoy's admin address", async || read().is_some()).await;
        let admin = read().unwrap();
        eventually("Envoy's start", async || page(admin, "/ready").await.0 == 200).await;
        let listeners: Value = serde_json::from_str(&page(admin, "/listeners?format=json").await.1).unwrap();
        let address = &listeners["listener_statuses"][0]["local_address"]["socket_address"];
        let port = u16::try_from(address["port_value"].as_u64().unwrap()).unwrap();
        Self { address: ([127, 0, 0, 1], port).into(), admin, _process: process, _folder: folder }
    }

    /// Waits until so many services are well by its health checks.
    pub(crate) async fn sees_well(&self, services: u64) {
        let what = format!("{services} healthy services");
        eventually(&what, async || self.count("membership_healthy").await == services).await;
    }

    /// One of its numbers about the services.
    pub(crate) async fn count(&self, name: &str) -> u64 {
        let (_, text) = page(self.admin, &format!("/stats?filter=^cluster.service.{name}$")).await;
        let number = text.trim().rsplit(' ').next().and_then(|number| number.parse().ok());
        number.unwrap_or_else(|| panic!("no {name} in {text:?}"))
    }
}

fn configuration(services: &[SocketAddr], wires: &Wires<'_>, folder: &Path) -> Value {
    json!({
        "admin": {"address": socket(ANYWHERE)},
        "static_resources": {
            "listeners": [listener(wires, folder)],
            "clusters": [cluster(services, wires, folder)]
        }
    })
}

fn listener(wires: &Wires<'_>, folder: &Path) -> Value {
    let route = json!({
        "cluster": "service",
        // The caller's own deadline is the only one, and the service keeps it.
        "timeout": "0s",
        "retry_policy": {"retry_on": "unavailable,connect-failure,refused-stream", "num_retries": 2}
    });
    let connections = json!({
        "@type": extension("filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "front",
        "codec_type": "AUTO",
        "forward_client_cert_details": wires.forwarding.unwrap_or("SANITIZE"),
        "set_current_client_cert_details": {"uri": true, "dns": true},
        "route_config": {"virtual_hosts": [
            {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": route}]}
        ]},
        "http_filters": [
            {"name": "grpc_web", "typed_config": {"@type": extension("filters.http.grpc_web.v3.GrpcWeb")}},
            {"name": "router", "typed_config": {"@type": extension("filters.http.router.v3.Router")}}
        ]
    });
    let mut chain = json!({"filters": [{"name": "http", "typed_config": connections}]});
    if let Some(proof) = wires.front {
        chain["transport_socket"] = json!({"name": "tls", "typed_config": {
            "@type": extension("transport_sockets.tls.v3.DownstreamTlsContext"),
            "require_client_certificate": true,
            "common_tls_context": tls(proof, folder)
        }});
    }
    json!({"name": "front", "address": socket(ANYWHERE), "filter_chains": [chain]})
}

fn cluster(services: &[SocketAddr], wires: &Wires<'_>, folder: &Path) -> Value {
    let endpoints: Vec<_> =
        services.iter().map(|&address| json!({"endpoint": {"address": socket(address)}})).collect();
    let mut cluster = json!({
        "name": "service",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "service", "endpoints": [{"lb_endpoints": endpoints}]},
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": extension("upstreams.http.v3.HttpProtocolOptions"),
            "explicit_http_config": {"http2_protocol_options": {}}
        }},
        // Where no service is well none is asked.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "health_checks": [{
            "interval": "0.1s", "no_traffic_interval": "0.1s", "timeout": "5s",
            "healthy_threshold": 1, "unhealthy_threshold": 1,
            "grpc_health_check": {"service_name": "idptoken.v1.IdpTokenService"}
        }]
    });
    if let Some(proof) = wires.back {
        cluster["transport_socket"] = json!({"name": "tls", "typed_config": {
            "@type": extension("transport_sockets.tls.v3.UpstreamTlsContext"),
            "sni": "localhost",
            "common_tls_context": tls(proof, folder)
        }});
    }
    cluster
}

fn tls(proof: &Proof, folder: &Path) -> Value {
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        json!({"filename": path})
    };
    json!({
        "tls_certificates": [{
            "certificate_chain": file("envoy.pem", &proof.own.certificate),
            "private_key": file("envoy.key", &proof.own.key)
        }],
        "validation_context": {"trusted_ca": {"filename": proof.authority}},
        "alpn_protocols": ["h2"]
    })
}

fn extension(name: &str) -> String {
    format!("type.googleapis.com/envoy.extensions.{name}")
}

fn socket(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}})
}
