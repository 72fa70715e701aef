//! Clients that others wrote, with certificates that OpenSSL made: who is let in, and who is turned away.

use std::{net::SocketAddr, path::PathBuf};

use idp_token_service::{
    policy::{Pattern, Who},
    tls::Files,
};
use idp_token_testkit::{World, eventually, page, people::ADA, rules::everything};
use serde_json::json;
use tokio::process::Command;

use crate::{
    child::run,
    grpcurl::SERVICE,
    openssl::Authority,
    python::stubs,
    tools::{client, node, python_tool},
};

const CALENDAR: &str = "spiffe://acme/ns/prod/sa/calendar";

/// The files that a client has.
struct Proof {
    authority: PathBuf,
    own: Option<Own>,
}

struct Own {
    key: PathBuf,
    certificate: PathBuf,
}

impl Proof {
    fn new(authority: &Authority, own: Option<(&Authority, &str)>) -> Self {
        let own = own.map(|(by, name)| Own {
            key: by.path(&format!("{name}.key")),
            certificate: by.path(&format!("{name}.pem")),
        });
        Self { authority: authority.path("ca.pem"), own }
    }

    /// As the programs in `tests/clients` take them.
    fn files(&self) -> Vec<&PathBuf> {
        let own = self.own.iter().flat_map(|own| [&own.key, &own.certificate]);
        [&self.authority].into_iter().chain(own).collect()
    }

    /// As flags with these names.
    fn flags(&self, command: &mut Command, [authority, certificate, key]: [&str; 3]) {
        command.arg(authority).arg(&self.authority);
        if let Some(own) = &self.own {
            command.arg(certificate).arg(&own.certificate).arg(key).arg(&own.key);
        }
    }
}

/// Has a client list identities with each proof. Only the right one lets it; without it the handshake fails.
async fn only_the_right_certificate_lets_in(client: impl Fn(SocketAddr, &Proof) -> Command) {
    let (ours, others) = (Authority::new().await, Authority::new().await);
    ours.server("server").await;
    ours.workload("calendar", CALENDAR).await;
    ours.expired_workload("expired", CALENDAR).await;
    others.workload("calendar", CALENDAR).await;
    let world = World::configured(|config| {
        config.tls = Some(Files {
            certificate: ours.path("server.pem"),
            private_key: ours.path("server.key"),
            client_ca: Some(ours.path("ca.pem")),
        });
        config.callers.push(everything(Who::Services(Pattern::parse(CALENDAR).unwrap())));
    })
    .await;
    let address = world.service.address;
    run(&mut client(address, &Proof::new(&ours, Some((&ours, "calendar"))))).await.well();
    for wrong in [None, Some((&others, "calendar")), Some((&ours, "expired"))] {
        let before = refused(&world).await;
        let ended = run(&mut client(address, &Proof::new(&ours, wrong))).await;
        assert!(!ended.is_well() && !ended.stderr.is_empty(), "{ended}");
        eventually("a refused handshake", async || refused(&world).await > before).await;
    }
}

/// How many handshakes failed so far.
async fn refused(world: &World) -> u64 {
    let (_, page) = page(world.service.admin, "/metrics").await;
    let name = "idp_token_connections_refused_total{reason=\"handshake\"} ";
    page.lines().find_map(|line| line.strip_prefix(name)).map_or(0, |number| number.parse().unwrap())
}

#[tokio::test]
async fn python_is_let_in_by_its_certificate_alone() {
    let stubs = stubs().await;
    only_the_right_certificate_lets_in(|address, proof| {
        let mut python = python_tool("python");
        python.env("PYTHONPATH", &stubs).arg(client("python/contract.py")).arg("lists_identities");
        python.arg(address.to_string()).args(proof.files());
        python
    })
    .await;
}

#[tokio::test]
async fn node_is_let_in_by_its_certificate_alone() {
    only_the_right_certificate_lets_in(|address, proof| {
        let mut node = node();
        node.arg(client("node/contract.js")).arg("lists_identities");
        node.arg(address.to_string()).args(proof.files());
        node
    })
    .await;
}

#[tokio::test]
async fn grpcurl_is_let_in_by_its_certificate_alone() {
    only_the_right_certificate_lets_in(|address, proof| {
        let mut grpcurl = python_tool("grpcurl");
        proof.flags(&mut grpcurl, ["-cacert", "-cert", "-key"]);
        grpcurl.args(["-max-time", "10", "-d", &json!({"userId": ADA}).to_string()]);
        grpcurl.arg(address.to_string()).arg(format!("{SERVICE}/ListIdentities"));
        grpcurl
    })
    .await;
}

#[tokio::test]
async fn buf_curl_is_let_in_by_its_certificate_alone() {
    only_the_right_certificate_lets_in(|address, proof| {
        let mut buf = python_tool("buf");
        buf.args(["curl", "--protocol", "grpc"]);
        proof.flags(&mut buf, ["--cacert", "--cert", "--key"]);
        buf.arg("--data").arg(json!({"userId": ADA}).to_string());
        buf.arg(format!("https://{address}/{SERVICE}/ListIdentities"));
        buf
    })
    .await;
}
