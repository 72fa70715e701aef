//! A tenant, real programs that work with it, and what may stand in front of them.

use std::net::SocketAddr;

use idp_token_sandbox::{Sandbox, Seed};
use idp_token_testkit::{
    ANYWHERE, keys,
    process::{Running, command, environment, host_overrides},
    tls::{self, Pki},
};
use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
use tonic::transport::Channel;

use crate::envoy::{Envoy, Proof, Wires};

/// A workload that may list identities.
pub(crate) const CALENDAR: &str = "spiffe://acme/ns/prod/sa/calendar";
/// A workload without a SPIFFE id that may do so too.
pub(crate) const REPORTS: &str = "reports.acme.example";
/// A workload that may do nothing.
pub(crate) const MAIL: &str = "spiffe://acme/ns/prod/sa/mail";

const SIDECAR: &str = "spiffe://acme/envoy";

/// See the module's documentation.
pub(crate) struct Stage {
    pub(crate) sandbox: Sandbox,
    pub(crate) pki: Pki,
    /// Envoy's.
    proof: Proof,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let seed = Seed { signing_key: Some(keys::SIGNING_KEY.clone()), ..Seed::sample() };
        let sandbox = Sandbox::start(seed, ANYWHERE).await.unwrap();
        let pki = Pki::new();
        // A sidecar is a server to its clients, and a client to the service.
        let both = |params: &mut rcgen::CertificateParams| params.extended_key_usages.push(ClientAuth);
        let own = pki.authority.certify(ServerAuth, &[SIDECAR, "localhost"], both);
        let proof = Proof { own, authority: pki.path("ca.pem") };
        Self { sandbox, pki, proof }
    }

    /// A `serve` with `settings`, which are TOML, and with every provider in the sandbox.
    pub(crate) async fn serve(&self, settings: &str) -> Running {
        self.serve_with(settings, &[]).await
    }

    /// The same, with environment variables.
    pub(crate) async fn serve_with(&self, settings: &str, variables: &[(&str, &str)]) -> Running {
        let file = self.pki.write("service.toml", &format!("{settings}\n{}", host_overrides(&self.sandbox)));
        let mut serve = command(&["serve", "--config", file.to_str().unwrap()]);
        serve.envs(environment(&self.sandbox)).envs(variables.iter().copied());
        Running::start(serve).await
    }

    /// Settings of a service that asks for certificates, believes the sidecar, and lets [`CALENDAR`] and
    /// [`REPORTS`] list.
    pub(crate) fn mutual(&self) -> String {
        let [certificate, key, ca] = ["server.pem", "server.key", "ca.pem"].map(|name| self.pki.path(name));
        let callers = callers(&[CALENDAR, REPORTS]);
        format!(
            "trusted_peers = [{SIDECAR:?}]\n[tls]\ncertificate_file = {certificate:?}\nprivate_key_file = {key:?}\n\
             client_ca_file = {ca:?}\n{callers}"
        )
    }

    /// An Envoy with certificates on both sides.
    pub(crate) async fn envoy(&self, service: &Running, forwarding: &str) -> Envoy {
        let (front, back) = (Some(&self.proof), Some(&self.proof));
        let envoy = Envoy::start(&[service.grpc], &Wires { front, back, forwarding: Some(forwarding) }).await;
        envoy.sees_well(1).await;
        envoy
    }

    /// An Envoy that asks its clients for certificates, and speaks plain text to the service.
    pub(crate) async fn envoy_with_plain_text_behind(&self, service: &Running) -> Envoy {
        let wires = Wires { front: Some(&self.proof), back: None, forwarding: Some("SANITIZE_SET") };
        let envoy = Envoy::start(&[service.grpc], &wires).await;
        envoy.sees_well(1).await;
        envoy
    }

    /// An Envoy with plain text on both sides.
    pub(crate) async fn plain_envoy(&self, services: &[&Running]) -> Envoy {
        let addresses: Vec<_> = services.iter().map(|service| service.grpc).collect();
        Envoy::start(&addresses, &Wires::default()).await
    }

    /// A connection of a workload with these names in its certificate.
    pub(crate) fn workload(&self, address: SocketAddr, names: &[&str]) -> Channel {
        let authority = &self.pki.authority;
        tls::channel(address, tls::client(&[authority], Some(&authority.client(names))))
    }
}

/// Rules by which each of `ids` may list identities.
pub(crate) fn callers(ids: &[&str]) -> String {
    let rule =
        |id: &&str| format!("[[callers]]\nid = {id:?}\nallow = [\"ListIdentities\"]\nproviders = [\"**\"]\n");
    ids.iter().map(rule).collect()
}
